"""A cluster at work for one fit: workers compared, tasks, and the wait for them.

Tasks are pure, so that Dask's own recomputation is what a lost worker costs; nothing
here makes up for it but patience with an end.
"""

from __future__ import annotations

import time
import uuid
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import scipy

from .._threads import blas_threads
from .._version import __version__
from ..core import level

try:
    import distributed
    from dask import delayed
    from distributed.scheduler import KilledWorker
except ImportError as error:
    raise ImportError(
        "skbackprop.dask needs dask and distributed, of which one is missing: "
        'pip install "skbackprop[dask]"'
    ) from error

#: The oldest version that the tests have been run with.
OLDEST = "2025.1.0"
#: How often a wait looks whether there is anybody left to work.
_LOOK_SECONDS = 1.0


class DaskFitError(RuntimeError):
    """A fit that cannot go on, because the cluster or the data are gone.

    Attributes
    ----------
    model : estimator or None
        The plain estimator of the last complete round; None where there was none.
    """

    def __init__(self, message: str, model: Any = None) -> None:
        super().__init__(message)
        self.model = model


class Stamp(NamedTuple):
    """What the bits of a result depend on, of the machine that computes it."""

    skbackprop: str
    numpy: str
    scipy: str
    instruction_set: str

    @classmethod
    def here(cls) -> Stamp:
        return cls(__version__, np.__version__, scipy.__version__, level)

    def differences(self, other: Stamp) -> list[str]:
        return [
            f"{name.replace('_', ' ')} {mine} and {theirs}"
            for name, mine, theirs in zip(self._fields, self, other, strict=True)
            if mine != theirs
        ]


@dataclass(frozen=True)
class Sealed:
    """A value in which Dask looks for no tasks of its own."""

    value: Any


def at_work(job: Sealed, *args: Any) -> Any:
    """A task: a function of ours, by a worker like all others, on one thread."""
    stamp, function = job.value
    differences = stamp.differences(Stamp.here())
    if differences:
        raise DaskFitError(
            f"A worker came that is not like the others, with "
            f"{_comparison(differences)}"
        )
    with blas_threads(1, 0.0), warnings.catch_warnings():
        # Of all partitions together the user is told once.
        warnings.simplefilter("ignore")
        return function(*args)


def opened(sealed: Sealed) -> Any:
    """The value, as the result of a task: so it can be made again."""
    return sealed.value


def listed(values: list[Any]) -> list[Any]:
    """Small results together: one message instead of many."""
    return values


def _comparison(differences: Sequence[str]) -> str:
    return (
        f"{', '.join(differences)}. The bits of a model would depend on who worked: "
        "install the same versions everywhere, and start all workers with the "
        "environment variable SKBACKPROP_SIMD set to the lowest instruction set."
    )


def client_of(given: Any) -> Any:
    """The client that was given, or the current one."""
    found = [int(part) for part in distributed.__version__.split("+")[0].split(".")[:3]]
    if found < [int(part) for part in OLDEST.split(".")]:
        raise ImportError(
            f"skbackprop.dask needs distributed {OLDEST} or newer. Got "
            f"{distributed.__version__}."
        )
    if given is None:
        try:
            given = distributed.default_client()
        except ValueError:
            raise ValueError(
                "There is no Dask client. Make one first, for example with "
                "`from distributed import Client; client = Client()`, or pass client=."
            ) from None
    if not isinstance(given, distributed.Client):
        raise TypeError(
            "client must be a distributed.Client, or None for the current one. "
            f"Got {given!r:.80}."
        )
    if given.asynchronous:
        raise ValueError(
            "client must not be asynchronous: fit and predict wait for their results. "
            "Make one with Client(...), not with Client(..., asynchronous=True)."
        )
    if given.status != "running":
        raise ValueError(f"client is not connected to a scheduler: {given!r:.80}.")
    return given


class Cluster:
    """A client, and what a fit asks of it.

    Parameters
    ----------
    client : distributed.Client
    timeout : float
        Seconds without any worker after which a fit gives up.
    """

    def __init__(self, client: Any, timeout: float) -> None:
        self.client, self.timeout = client, timeout
        self.name = uuid.uuid4().hex[:12]
        self._count = 0
        self.stamp = self._stamp_of_workers()

    def _workers(self) -> list[dict[str, Any]]:
        """What the scheduler knows now of each worker."""
        try:
            found = self.client.scheduler_info(n_workers=-1)
        except TypeError:  # of a version that shows all
            found = self.client.scheduler_info()
        return list(found["workers"].values())

    def _stamp_of_workers(self) -> Stamp:
        """What all workers are, or ValueError where two differ."""
        deadline = time.monotonic() + self.timeout
        while not (stamps := self.client.run(Stamp.here, on_error="ignore")):
            if time.monotonic() > deadline:
                raise DaskFitError(self._nobody())
            time.sleep(0.1)
        (first, stamp), *others = sorted(stamps.items())
        for address, each in others:
            differences = stamp.differences(each)
            if differences:
                raise ValueError(
                    f"The workers {first} and {address} have {_comparison(differences)}"
                )
        return stamp

    def memory(self) -> tuple[float, float]:
        """Bytes that the smallest worker may hold, and all together."""
        limits = [float(each["memory_limit"] or np.inf) for each in self._workers()]
        return (min(limits), sum(limits)) if limits else (0.0, 0.0)

    # Tasks -------------------------------------------------------------------

    def _key(self, function: Callable[..., Any]) -> str:
        """A name of its own: equal tasks of two fits are not one task."""
        self._count += 1
        name = function.__name__.strip("_")
        return f"skbackprop-{name}-{self.name}-{self._count}"

    def _job(self, function: Callable[..., Any]) -> Sealed:
        return Sealed((self.stamp, function))

    def submit(self, function: Callable[..., Any], *args: Any) -> Any:
        """The future of a pure function of plain values and of other futures."""
        key = self._key(function)
        with _large_graphs():
            return self.client.submit(
                at_work, self._job(function), *args, key=key, pure=False
            )

    def of_sources(self, function: Callable[..., Any], *args: Any) -> Any:
        """The same of parts of the user's collections: delayed values, or futures."""
        task = delayed(at_work, pure=False)(
            self._job(function), *args, dask_key_name=self._key(function)
        )
        with _large_graphs():
            return self.client.compute(task)

    def constant(self, value: Any) -> Any:
        """A value that workers share, which the scheduler can give out again."""
        return self.submit(opened, Sealed(value))

    # Waiting -----------------------------------------------------------------

    def results(self, futures: Sequence[Any]) -> list[Any]:
        """The results of tasks; raises what a task has raised, or DaskFitError."""
        found: list[Any] = self.result(self.submit(listed, list(futures)))
        return found

    def result(self, future: Any) -> Any:
        """The result of a task; raises what the task has raised, or DaskFitError."""
        nobody_since: float | None = None
        while True:
            try:
                with self.client.as_current():  # which need not be the default
                    distributed.wait([future], timeout=_LOOK_SECONDS)
                return future.result(timeout=self.timeout)
            except TimeoutError:
                nobody_since = self._since(nobody_since)
            except KilledWorker as error:
                raise DaskFitError(
                    f"Workers died of one task, again and again: {error}. It may need "
                    "more memory than a worker has: make smaller partitions."
                ) from None
            except distributed.CancelledError:
                raise DaskFitError(
                    "Data of the fit are lost: a partition was on a worker that died, "
                    "and nothing tells how to make it again. Build partitions by tasks "
                    "(read_parquet, from_delayed), not by scatter."
                ) from None

    def _since(self, nobody_since: float | None) -> float | None:
        """Since when there has been nobody; raises once that is too long."""
        try:
            workers = self._workers()
        except (OSError, RuntimeError, TimeoutError) as error:
            raise DaskFitError(f"The scheduler does not answer: {error}.") from None
        # One that is short of memory takes no tasks; Dask says it is paused.
        if any(each.get("status") != "paused" for each in workers):
            return None
        now = time.monotonic()
        if nobody_since is not None and now - nobody_since > self.timeout:
            raise DaskFitError(self._nobody(len(workers)))
        return now if nobody_since is None else nobody_since

    def _nobody(self, n_paused: int = 0) -> str:
        if n_paused:
            return (
                f"All {n_paused} workers have been paused for {self.timeout:g} seconds "
                "(timeout of this estimator), for want of memory: make smaller "
                "partitions, or give workers more memory."
            )
        return (
            f"The cluster has had no worker for {self.timeout:g} seconds (timeout of "
            "this estimator)."
        )


@contextmanager
def _large_graphs() -> Iterator[None]:
    """Without the advice to scatter: what is scattered is lost with its worker."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sending large graph", UserWarning)
        yield
