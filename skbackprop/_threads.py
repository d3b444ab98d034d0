"""How many threads, and the threads that share a call of the engine.

Threads live no longer than the call: a forked process finds none of them missing,
and nothing is left that could wait for work.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import cache
from typing import Any, TypeVar

from .core import OWN_KERNELS
from .core.team import ThreadTeam

T = TypeVar("T")

#: Work of a step, in FLOP, from which another thread pays for its waiting.
STEP_FLOP = 2e7
#: Work of a prediction that pays for starting threads: a millisecond or two.
PREDICTION_FLOP = 4e8
#: Work of a step below which one thread of BLAS is best.
BLAS_STEP_FLOP = 2e8


def cpus() -> int:
    """CPUs of this process: affinity and cgroup."""
    from joblib import cpu_count

    return _cpu_count(cpu_count, os.environ.get("LOKY_MAX_CPU_COUNT"))


def available() -> int:
    """CPUs that this process may use unless it is told: OMP_NUM_THREADS at most."""
    limit = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    return min(cpus(), int(limit)) if limit.isdigit() and int(limit) > 0 else cpus()


@cache
def _cpu_count(count: Callable[[], int], _limit: str | None) -> int:
    return max(1, count())


def is_worker() -> bool:
    """Whether others work beside this thread, so that one is its share."""
    from joblib.parallel import get_active_backend

    return (
        threading.current_thread() is not threading.main_thread()
        or multiprocessing.parent_process() is not None
        or bool(getattr(get_active_backend()[0], "nesting_level", 0))
    )


def threads_for(n_jobs: int | None, flop: float, enough: float) -> int:
    """How many threads a call of so much work takes; None decides by the work.

    A number is taken as it is, up to the CPUs of the process, and a negative one counts
    from those, as joblib's.
    """
    if not OWN_KERNELS:
        return 1
    if n_jobs is None:
        if flop < 2 * enough or is_worker():
            return 1
        return max(1, min(available(), int(flop / enough)))
    return workers_for(n_jobs)


def workers_for(n_jobs: int | None) -> int:
    """Threads for work of which each has its own; None takes all there are."""
    if n_jobs is None:
        return 1 if is_worker() else available()
    n_jobs = int(n_jobs)  # NumPy's integers may wrap
    return min(n_jobs, cpus()) if n_jobs > 0 else max(1, available() + 1 + n_jobs)


class _Threads:
    """Threads that begin together, and that can be waited for through an interrupt.

    ``Thread.join`` cannot: in Python 3.11 one that was interrupted takes the thread for
    ended.
    """

    def __init__(self) -> None:
        self.started = 0
        self.over: list[None] = []
        self.errors: list[BaseException] = []
        self._ready = threading.Event()
        self._all_over = threading.Event()

    def start(self, work: Callable[..., None], *arguments: Any) -> None:
        """Start a thread, which waits; RuntimeError where the system has no more."""
        thread = threading.Thread(target=self._run, args=(work, arguments), daemon=True)
        thread.start()
        self.started += 1

    def _run(self, work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        self._ready.wait()
        try:
            work(*arguments)
        except BaseException as error:
            self.errors.append(error)
        finally:
            self.over.append(None)
            if len(self.over) >= self.started:
                self._all_over.set()

    def begin(self) -> None:
        """Let all begin."""
        self._ready.set()

    def finish(self, cancelled: threading.Event | None = None) -> None:
        """Let all begin, wait for all, and only then raise what has interrupted it.

        An interrupt sets ``cancelled``, for the others to look at.
        """
        interrupt: BaseException | None = None
        while True:
            try:
                self.begin()
                while len(self.over) < self.started:
                    self._all_over.wait()
                break
            except BaseException as error:
                interrupt = error
                if cancelled is not None:
                    cancelled.set()
        if interrupt is not None:
            raise interrupt


def run_in_team(call: Callable[..., T], *arguments: Any, n_threads: int) -> T:
    """``call(*arguments, thread, team)`` of the engine, by several threads at once.

    Whatever keeps this one from making its call calls the others' off: they would wait
    for it for ever.
    """
    if n_threads == 1:
        return call(*arguments)
    team, threads = ThreadTeam(n_threads), _Threads()

    def make(thread: int) -> T:
        try:
            return call(*arguments, thread, team)
        except BaseException:
            team.call_off()
            raise

    try:
        for thread in range(1, n_threads):
            try:
                threads.start(make, thread)
            except RuntimeError:  # the system gives no more threads: one will do
                team.call_off()
                break
        threads.begin()
        result = make(0) if not team.called_off else None
    except BaseException:
        team.call_off()
        raise
    finally:
        threads.finish()
    if threads.errors:
        raise threads.errors[0]
    return call(*arguments) if result is None else result


def run_in_threads(
    work: Callable[[list[Any]], None],
    parts: list[list[Any]],
    cancelled: threading.Event,
) -> None:
    """``work(part)`` for every part, each in a thread of its own; errors are raised.

    After an error or an interrupt ``cancelled`` is set, for the others to look at.
    """
    team = _Threads()

    def guarded(part: list[Any]) -> None:
        try:
            work(part)
        except BaseException:
            cancelled.set()
            raise

    try:
        left = list(parts)
        with suppress(RuntimeError):
            while len(left) > 1:
                team.start(guarded, left[-1])
                left.pop()
        team.begin()
        for part in left:
            guarded(part)
    finally:
        team.finish(cancelled)
    if team.errors:
        raise team.errors[0]


@cache
def _controller() -> Any:
    """Found once: to look for the libraries takes a millisecond, a limit little."""
    # scikit-learn depends on it, so that it is there.
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def blas_threads(n_jobs: int | None, flop: float) -> AbstractContextManager[Any]:
    """At the portable level, limit the threads of BLAS, and give back what was set.

    The limit holds for the whole process, so that two threads could restore each
    other's; and OpenBLAS heeds the main thread only. So the main thread alone sets it.
    """
    main = threading.current_thread() is threading.main_thread()
    if OWN_KERNELS or not main:
        return nullcontext()
    if n_jobs is None and flop >= BLAS_STEP_FLOP and not is_worker():
        return nullcontext()
    limit = 1 if n_jobs is None else workers_for(n_jobs)
    return _controller().limit(limits=limit, user_api="blas")
