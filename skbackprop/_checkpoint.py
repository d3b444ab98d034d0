"""Checkpoints: a training's whole state in a file, from which the same call goes on."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from numbers import Integral, Real
from typing import Any

import numpy as np

from ._checkpoint_file import STATE, checkpoint_pieces, read_checkpoint
from ._files import Lock, Locked, OneAtATime, path_text, write_atomically
from ._fingerprint import check_stream
from ._observers import Epoch, Observer
from ._safetensors import ModelFormatError
from ._state import Ending, State, stream_at
from ._warn import warn_user

#: Between two writes, where nothing else is asked for.
_SECONDS = 30.0


class Checkpoint:
    """Where a fit keeps its state, so that a crash loses little of it.

    To be handed to ``fit``. The state of the training (parameters, moments, random
    stream, order of the rows, best epoch, history, finished networks) is written to a
    file as it goes. Where the file is there already, the same call goes on from it, and
    ends with the bits it would have had without the interruption; a training that had
    ended is not repeated. Every fit needs a path of its own.

    Parameters
    ----------
    path : str or path-like
        The file, or a folder that exists, in which every fit has a file of its own,
        named by its data and parameters: for a grid search.
    every : int or None, default=None
        Epochs between two writes.
    seconds : float or None, default=None
        Seconds between two writes. Where neither is given it is 30; where both are,
        whichever is over first. A network of an ensemble is also written when it is
        finished, and everything when ``fit`` ends or is interrupted. Writing goes on
        beside the training of the next epoch.
    resume : bool, default=True
        Whether to go on from a file that is there. False begins anew, and the file is
        overwritten.

    Raises
    ------
    ValueError, TypeError
        Where a parameter is not allowed.

    See Also
    --------
    save_model : For a model that is finished.

    Notes
    -----
    ``fit`` raises ValueError where the file is that of another fit: other data, other
    parameters, another version of skbackprop. These may differ: ``n_jobs`` and
    ``verbose``, which change no bit; a larger ``max_iter``, which goes on, with
    schedules of the new length from there on (networks of ``TabularMLP*`` that are
    finished stay so, with a warning); ``time_limit``, with which fewer epochs are
    trained; the instruction set, in which sums round otherwise. A callable ``scoring``
    must be one that can be pickled, by whose pickle it is known again.

    Two fits cannot write one file: the second is a RuntimeError. With
    ``random_state=None`` what was drawn is in the file, and a second fit to the same
    data with the same path, or folder, is the first one again. If the file cannot be
    written, training goes on with a warning, and the last one stays. It is no pickle:
    reading it runs nothing.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> from skbackprop import BackpropMLPRegressor, Checkpoint
    >>> X = np.random.default_rng(0).normal(size=(200, 3))
    >>> y = X @ [1.0, -2.0, 0.5]
    >>> path = os.path.join(tempfile.mkdtemp(), "fit.checkpoint")
    >>> model = BackpropMLPRegressor(random_state=0, max_iter=300, tol=0.01)
    >>> model = model.fit(X, y, checkpoint=Checkpoint(path, every=5))

    After a crash the same lines go on. Here nothing is left to be done:

    >>> again = BackpropMLPRegressor(random_state=0, max_iter=300, tol=0.01)
    >>> again = again.fit(X, y, checkpoint=Checkpoint(path, every=5))
    >>> again.loss_curve_ == model.loss_curve_
    True
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        every: int | None = None,
        *,
        seconds: float | None = None,
        resume: bool = True,
    ) -> None:
        if not isinstance(path, str | os.PathLike):
            raise TypeError(f"path must be a str or path-like. Got {path!r:.80}.")
        if not os.fspath(path):
            raise ValueError("path must not be empty.")
        whole = isinstance(every, Integral) and not isinstance(every, bool)
        if every is not None and not (whole and every >= 1):
            raise ValueError(
                f"every must be a number of epochs, 1 or more. Got {every!r:.80}."
            )
        number = isinstance(seconds, Real) and not isinstance(seconds, bool)
        if seconds is not None and not (number and seconds >= 0):
            raise ValueError(f"seconds must be 0 or more. Got {seconds!r:.80}.")
        if not isinstance(resume, bool | np.bool_):
            raise TypeError(f"resume must be a bool. Got {resume!r:.80}.")
        self.path, self.every, self.seconds = path, every, seconds
        self.resume = bool(resume)

    def __repr__(self) -> str:
        return (
            f"Checkpoint({os.fspath(self.path)!r}, every={self.every}, "
            f"seconds={self.seconds}, resume={self.resume})"
        )


def check_checkpoint(given: Any) -> None:
    """Refuse what is neither a Checkpoint nor None."""
    if given is not None and not isinstance(given, Checkpoint):
        raise TypeError(
            f"checkpoint must be a skbackprop.Checkpoint or None. Got {given!r:.80}."
        )


# A fit and its file ----------------------------------------------------------


class Session(Observer):
    """A fit and its checkpoint: what was there, and what is written.

    ``saved`` is what the file has of each member: a state, or a result.
    """

    def __init__(self, checkpoint: Checkpoint, path: str, identity: dict[str, str]):
        self.checkpoint, self.path, self.identity = checkpoint, path, identity
        self.max_iter: int | None = None
        self.saved: dict[int, dict[str, Any]] = {}
        self._stream: np.random.RandomState | None = None
        self._before: dict[str, str] | None = None
        self._members: dict[int, dict[str, Any]] = {}
        self._written = time.monotonic()
        self._epochs = 0
        self._dirty = False
        self._one_writes = threading.Lock()
        self._writer = OneAtATime()
        self._told = False

    # Before training

    def start(self) -> None:
        self._writer.start()

    def read(self) -> None:
        """Take what the file has, where it is of this fit."""
        try:
            with open(self.path, "rb") as file:
                data = file.read()
        except FileNotFoundError:
            return
        if not data:  # as a temporary file begins
            return
        try:
            kept = read_checkpoint(data)
        except ModelFormatError as error:
            raise ValueError(
                f"{self.path!r} is no checkpoint, and would be overwritten: {error}. "
                "Give Checkpoint another path, or remove the file."
            ) from None
        if not self.checkpoint.resume:
            return
        self._before = kept["identity"]
        early = (_without_validation(each) for each in (self._before, self.identity))
        self._compare(*early)
        self.saved = self._members = kept["members"]
        self.max_iter, self._stream = kept["max_iter"], kept["stream"]

    def _compare(self, before: Mapping[str, str], after: Mapping[str, str]) -> None:
        others = [
            name
            for name in sorted({*before, *after})
            if before.get(name) != after.get(name)
        ]
        if not others:
            return
        said = []
        for name in others[:4]:
            was, now = before.get(name), after.get(name)
            hidden = any(each is None or len(each) > 60 for each in (was, now))
            said.append(
                f"{name} differs" if hidden else f"{name} was {was} and is {now}"
            )
        raise ValueError(
            f"The checkpoint {self.path!r} is of another fit: {', '.join(said)}. Give "
            "each fit a path of its own, or all of them a folder that exists, or "
            "resume=False to begin anew."
        )

    def check(self, more: Mapping[str, str]) -> None:
        """Refuse a file whose fit had other data to validate on; ``more`` are these."""
        self.identity |= more
        if self._before is not None:
            self._compare(self._before, self.identity)

    def begin(
        self, random_state: np.random.RandomState, max_iter: int
    ) -> np.random.RandomState:
        """The stream that this fit draws from, as it was when it began."""
        if self.max_iter is not None and max_iter < self.max_iter:
            raise ValueError(
                f"The checkpoint {self.path!r} is of another fit: max_iter was "
                f"{self.max_iter} and is {max_iter}, which may only grow. Give "
                "Checkpoint another path, or resume=False to begin anew."
            )
        self._tell_of_shorter(max_iter)
        self.max_iter = max_iter
        check_stream(random_state)
        if self._stream is None:
            self._stream = stream_at(random_state.get_state(legacy=False))
            return random_state
        if random_state is np.random.mtrand._rand:  # everybody's: left as it is
            return stream_at(self._stream.get_state(legacy=False))
        random_state.set_state(self._stream.get_state(legacy=False))
        return random_state

    def _tell_of_shorter(self, max_iter: int) -> None:
        """Warn where finished networks will not be trained for more epochs."""
        before = self.max_iter
        n = sum("result" in each for each in self.saved.values())
        if before is not None and max_iter > before and n:
            warn_user(
                f"{n} networks of the checkpoint {self.path!r} were finished with "
                f"max_iter={before} and stay as they are; max_iter={max_iter} is for "
                "the others. resume=False trains all of them anew."
            )

    def restore(self, state: State, member: int = 0) -> bool:
        """Let a state before its first epoch be the one that was kept."""
        if "state" not in self.saved.get(member, {}):
            return False
        try:
            STATE(self.saved[member]["state"], {})
            state.adopt(self.saved[member]["state"])
        except (
            AttributeError,
            KeyError,
            OverflowError,
            TypeError,
            ValueError,
        ) as error:
            raise self.broken(error) from None
        return True

    def broken(self, why: Any) -> ValueError:
        """The error of a file that is of this fit and fits it not."""
        return ValueError(
            f"The checkpoint {self.path!r} holds no state of this fit: {why}. Give "
            "Checkpoint another path, or resume=False to begin anew."
        )

    # While training

    def epoch_ends(self, epoch: Epoch) -> None:
        with self._one_writes:
            self._members[epoch.member] = {"state": epoch.plain_state()}
            self._dirty = True
            self._epochs += 1
            if self._is_due():
                self._write()

    def member_ends(self, member: int, ending: Ending, result: Any) -> None:
        """Keep what is finished; what was stopped may go on another time."""
        if ending in (Ending.STOPPED, Ending.INTERRUPTED) or isinstance(result, State):
            return
        with self._one_writes:
            self._members[member] = {"result": result.as_plain()}
            self._write()

    def fit_ends(self) -> None:
        with self._one_writes:
            if self._dirty:
                self._write()

    def close(self) -> None:
        """Wait for the last file, and tell where one could not be written."""
        self._writer.finish()
        self._tell_of_failure()

    def _is_due(self) -> bool:
        every, seconds = self.checkpoint.every, self.checkpoint.seconds
        if every is None and seconds is None:
            seconds = _SECONDS
        if every is not None and self._epochs >= every:
            return True
        return seconds is not None and time.monotonic() - self._written >= seconds

    def _write(self) -> None:
        """Write what there is, beside the training, after what is being written."""
        kept = {
            "identity": self.identity,
            "max_iter": self.max_iter,
            "stream": self._stream,
            "members": {str(n): each for n, each in self._members.items()},
        }
        path = os.path.realpath(self.path)
        self._writer.ask(
            lambda: write_atomically(path, checkpoint_pieces(kept), f"{path}.tmp")
        )
        self._tell_of_failure()
        self._written, self._epochs, self._dirty = time.monotonic(), 0, False

    def _tell_of_failure(self) -> None:
        failure = self._writer.failure
        if failure is not None and not self._told:
            self._told = True
            why = str(failure).removesuffix(".") or repr(failure)
            warn_user(
                f"The checkpoint {self.path!r} could not be written: {why}. Training "
                "goes on, and a file that was there stays."
            )


def _without_validation(identity: Mapping[str, str]) -> dict[str, str]:
    """What is known before data to validate on are read."""
    return {name: v for name, v in identity.items() if not name.endswith("_val")}


@contextmanager
def session_of(
    checkpoint: Any, identity: Mapping[str, str] | None
) -> Iterator[Session | None]:
    """The session of a fit; its file is locked until it ends."""
    if checkpoint is None or identity is None:
        yield None
        return
    path = path_text(checkpoint.path)
    if os.path.isdir(path):
        text = json.dumps(sorted(_without_validation(identity).items())).encode()
        name = f"{hashlib.sha256(text).hexdigest()[:24]}.checkpoint"
        path = os.path.join(path, name)
    elif not os.path.isdir(os.path.dirname(os.path.abspath(path))) or path.endswith(
        (os.sep, "/")
    ):
        raise FileNotFoundError(f"The folder of the checkpoint {path!r} is not there.")
    session = Session(checkpoint, path, dict(identity))
    lock = Lock(os.path.realpath(path) + ".lock")
    try:
        try:
            lock.acquire()
        except Locked:
            raise RuntimeError(
                f"Another fit is writing the checkpoint {path!r}. Give each a path of "
                "its own, or a folder that exists, in which each has a file."
            ) from None
        except OSError:  # a folder that may not be written: the first write tells
            pass
        session.start()
        session.read()
        yield session
    finally:
        try:
            session.close()
        finally:
            lock.release()
