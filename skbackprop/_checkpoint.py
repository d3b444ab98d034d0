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
from typing import TYPE_CHECKING, Any

import numpy as np

from ._checkpoint_file import STATE, checkpoint_pieces, read_checkpoint
from ._files import Lock, Locked, write_atomically
from ._observers import Epoch, Observer
from ._safetensors import ModelFormatError
from ._state import Ending, State
from ._version import __version__
from ._warn import warn_user

if TYPE_CHECKING:
    from .core.engine import Table

#: Between two writes, where nothing else is asked for.
_SECONDS = 30.0
#: Parameters that do not change what a fit gives, as far as it goes.
_FREE = ("n_jobs", "verbose", "time_limit", "max_iter")


class Checkpoint:
    """Where a fit keeps its state, so that a crash loses little of it.

    To be handed to ``fit``. The state of the training (parameters, moments, random
    stream, order of the rows, best epoch, history, finished networks) is written to a
    file as it goes. Where the file is there already, the same call goes on from it, and
    ends with the bits it would have had without the interruption; a training that had
    ended is not repeated.

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
    schedules of the new length from there on; ``time_limit``, with which fewer epochs
    are trained; the instruction set, in which sums round otherwise.

    Two fits cannot write one file: the second is a RuntimeError. With
    ``random_state=None`` what was drawn is in the file. If the file cannot be written,
    training goes on with a warning, and the last one stays. It is no pickle: reading it
    runs nothing.

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


# What a fit is ---------------------------------------------------------------


def fingerprint(estimator: Any, given: Any, validating: Any = None) -> dict[str, str]:
    """What makes a fit the one it is, by names that a user knows.

    Numbers of the rows stand as digests, parameters as text. Rows that validate are
    left out where they are among those given.
    """
    parameters = {
        name: _text(value)
        for name, value in estimator.get_params(deep=False).items()
        if name not in _FREE
    }
    data = digests(given)
    # What the numbers of the table were before they were scaled and coded.
    learnt = ("classes_", "target_mean_", "target_scale_")
    found = [getattr(estimator, name) for name in learnt if hasattr(estimator, name)]
    data["y"] += digest(*(np.array(each, dtype=str) for each in found))
    encoder = getattr(estimator, "encoder_", None)
    if encoder is not None:
        text = repr(encoder.categories_)
        data["X"] += digest(encoder.center_, encoder.scale_, np.array(text))
    if validating is not None and validating is not given:
        data |= digests(validating, "_val")
    return {
        **parameters,
        **data,
        "the estimator": type(estimator).__name__,
        "the version of skbackprop": __version__,
    }


def _text(value: Any) -> str:
    """A parameter as text that is the same in another process."""
    if isinstance(value, np.random.RandomState):
        return "a RandomState"
    if isinstance(value, np.generic):
        value = value.item()
    elif hasattr(value, "__array__"):
        value = np.asarray(value).tolist()  # whose text leaves nothing out
    text = repr(value)
    if callable(value) and " at 0x" in text:
        named = value if hasattr(value, "__qualname__") else type(value)
        return f"{named.__module__}.{named.__qualname__}"
    return text


def digests(given: Any, suffix: str = "") -> dict[str, str]:
    """SHA-256 of the numbers of a table, by what a user calls them."""
    table: Table = given.table
    X: tuple[Any, ...] = (table.X,)
    if table.sparse:
        X = (table.data, table.indices, table.indptr, table.n_columns)
    y = (table.labels, table.Y)
    weights = (table.sample_weight, np.array(given.exponent))
    parts = {"X": X, "y": y, "sample_weight": weights}
    return {f"{name}{suffix}": digest(*each) for name, each in parts.items()}


def digest(*arrays: Any) -> str:
    """SHA-256 of arrays, their types and shapes."""
    sha = hashlib.sha256()
    for each in arrays:
        array = np.ascontiguousarray(each)
        sha.update(f"{array.dtype.str}{array.shape}".encode())
        sha.update(array.reshape(-1).view(np.uint8).data)
    return sha.hexdigest()


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
        self._writer: threading.Thread | None = None
        self._failure: OSError | None = None
        self._told = False

    # Before training

    def read(self) -> None:
        """Take what the file has, where it is of this fit."""
        try:
            with open(self.path, "rb") as file:
                data = file.read()
        except FileNotFoundError:
            return
        try:
            kept = read_checkpoint(data)
        except ModelFormatError as error:
            raise ValueError(
                f"{self.path!r} is no checkpoint, and would be overwritten: {error}. "
                "Give Checkpoint another path."
            ) from None
        if not self.checkpoint.resume:
            return
        self._before = kept["identity"]
        early = {n: v for n, v in self._before.items() if not n.endswith("_val")}
        self._compare(early)
        self.saved = self._members = kept["members"]
        self.max_iter, self._stream = kept["max_iter"], kept["stream"]

    def _compare(self, before: Mapping[str, str]) -> None:
        others = [
            name
            for name in sorted({*before, *self.identity})
            if before.get(name) != self.identity.get(name)
        ]
        if not others:
            return
        said = []
        for name in others[:4]:
            was, now = before.get(name), self.identity.get(name)
            hidden = any(each is None or len(each) > 60 for each in (was, now))
            said.append(
                f"{name} differs" if hidden else f"{name} was {was} and is {now}"
            )
        raise ValueError(
            f"The checkpoint {self.path!r} is of another fit: {', '.join(said)}. Give "
            "Checkpoint another path, or resume=False to begin anew."
        )

    def check(self, more: Mapping[str, str]) -> None:
        """Refuse a file whose fit had other data to validate on; ``more`` are these."""
        self.identity |= more
        if self._before is not None:
            self._compare(self._before)

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
        self.max_iter = max_iter
        if self._stream is None:
            self._stream = _copy(random_state)
            return random_state
        if random_state is np.random.mtrand._rand:  # everybody's: left as it is
            return _copy(self._stream)
        random_state.set_state(self._stream.get_state(legacy=False))
        return random_state

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
            self._wait()

    def _is_due(self) -> bool:
        every, seconds = self.checkpoint.every, self.checkpoint.seconds
        if every is None and seconds is None:
            seconds = _SECONDS
        if every is not None and self._epochs >= every:
            return True
        return seconds is not None and time.monotonic() - self._written >= seconds

    def _write(self) -> None:
        """Write what there is, beside the training, after what is being written."""
        self._wait()
        kept = {
            "identity": self.identity,
            "max_iter": self.max_iter,
            "stream": self._stream,
            "members": {str(n): each for n, each in self._members.items()},
        }
        self._writer = threading.Thread(target=self._write_down, args=(kept,))
        self._writer.start()
        self._written, self._epochs, self._dirty = time.monotonic(), 0, False

    def _write_down(self, kept: dict[str, Any]) -> None:
        try:
            write_atomically(self.path, checkpoint_pieces(kept))
        except OSError as error:
            self._failure = self._failure or error

    def _wait(self) -> None:
        """Wait for a file that is being written, and tell where that has failed."""
        if self._writer is not None:
            self._writer.join()
            self._writer = None
        if self._failure is not None and not self._told:
            self._told = True
            warn_user(
                f"The checkpoint {self.path!r} could not be written: {self._failure}. "
                "Training goes on, and the file that was there stays."
            )


@contextmanager
def session_of(
    checkpoint: Any, identity: Mapping[str, str] | None
) -> Iterator[Session | None]:
    """The session of a fit; its file is locked until it ends."""
    if checkpoint is None or identity is None:
        yield None
        return
    path = os.fspath(checkpoint.path)
    if os.path.isdir(path):
        text = json.dumps(sorted(identity.items())).encode()
        name = f"{hashlib.sha256(text).hexdigest()[:24]}.checkpoint"
        path = os.path.join(path, name)
    elif not os.path.isdir(os.path.dirname(os.path.abspath(path))):
        raise FileNotFoundError(f"The folder of the checkpoint {path!r} is not there.")
    session = Session(checkpoint, path, dict(identity))
    lock = Lock(path + ".lock")
    try:
        lock.acquire()
    except Locked:
        raise RuntimeError(
            f"Another fit is writing the checkpoint {path!r}. Give each a path of its "
            "own, or a folder that exists, in which each has a file."
        ) from None
    except OSError:  # a folder that may not be written: the first write tells
        pass
    try:
        session.read()
        yield session
    finally:
        lock.release()


def _copy(stream: np.random.RandomState) -> np.random.RandomState:
    twin = np.random.RandomState(0)
    twin.set_state(stream.get_state(legacy=False))
    return twin
