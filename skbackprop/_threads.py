"""How many threads, the threads that share a call, and how all of them are stopped.

Threads live no longer than the call: a forked process finds none of them missing,
and nothing is left that could wait for work.

Python runs its handler of Ctrl-C in the main thread, and not during a call of the
engine. So what may take long is computed by other threads while the main one waits.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
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
#: Work of a call, in FLOP, that is left to others, so that the main thread can wait for
#: Ctrl-C: 10 to 100 ms, beside which to start a thread is nothing.
LONG_FLOP = 1e9
#: Seconds after which one who waits looks around: Windows wakes nobody for Ctrl-C.
_LOOK_SECONDS = 0.05


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

    def finish(self, interrupted: Callable[[], None]) -> None:
        """Let all begin, wait for all, and only then raise what has interrupted it.

        ``interrupted`` is called at an interrupt, to have the others end soon.
        """
        interrupt: BaseException | None = None
        while True:
            try:
                self.begin()
                while len(self.over) < self.started:
                    self._all_over.wait(_LOOK_SECONDS)
                break
            except BaseException as error:
                interrupt = error
                interrupted()
        if interrupt is not None:
            raise interrupt


class Cancelled(KeyboardInterrupt):
    """Raised in a thread that works for a call when the call has been cancelled."""


class Cancellation:
    """Tells all who work for a call to end: the engine at once, others where they look.

    ``outer`` is that of a call which this one is made for.
    """

    def __init__(self, outer: Cancellation | None = None) -> None:
        self.outer = outer
        self._is_set = False
        self._teams: set[ThreadTeam] = set()

    def set(self) -> None:
        self._is_set = True
        for team in tuple(self._teams):
            team.call_off()

    def is_set(self) -> bool:
        return self._is_set or (self.outer is not None and self.outer.is_set())

    @contextmanager
    def stops(self, team: ThreadTeam) -> Iterator[None]:
        """Let whoever cancels meanwhile call the team off."""
        self._teams.add(team)
        try:
            with nullcontext() if self.outer is None else self.outer.stops(team):
                if self._is_set:  # before the team was there to be called off
                    team.call_off()
                yield
        finally:
            self._teams.discard(team)


class _Here(threading.local):
    """What this thread works for, if it does so beside others."""

    cancellation: Cancellation | None = None


_here = _Here()


def run_in_team(
    call: Callable[..., T], *arguments: Any, n_threads: int, long: bool = False
) -> T:
    """``call(*arguments, thread, team)`` of the engine, by several threads at once.

    Whatever keeps one of them from its call, an interrupt or who cancels calls off the
    team, which ends at once; then this raises. Where the call may be ``long`` the main
    thread leaves it to others, and waits.
    """
    here = _here.cancellation
    if here is not None and here.is_set():
        raise Cancelled
    if n_threads == 1 and not long:
        return call(*arguments)
    # BLAS may have another number of threads where it is called from another one.
    main = threading.current_thread() is threading.main_thread()
    waits = long and main and OWN_KERNELS
    if n_threads == 1 and not waits and here is None:
        return call(*arguments)
    team = ThreadTeam(n_threads)
    with nullcontext() if here is None else here.stops(team):
        results = _run_together(call, arguments, team, waits)
    if here is not None and here.is_set():
        raise Cancelled
    return results[0] if results else call(*arguments)


def _run_together(
    call: Callable[..., T], arguments: tuple[Any, ...], team: ThreadTeam, waits: bool
) -> list[T]:
    """The result of a team's call; none where the system has not threads enough."""
    threads = _Threads()
    results: list[T] = []

    def make(thread: int) -> None:
        try:
            result = call(*arguments, thread, team)
        except BaseException:
            team.call_off()
            raise
        if thread == 0:
            results.append(result)

    scarce = False
    try:
        for thread in range(0 if waits else 1, team.n_threads):
            try:
                threads.start(make, thread)
            except RuntimeError:  # the system gives no more threads: one will do
                scarce = True
                team.call_off()
                break
        threads.begin()
        if not (waits or team.called_off):
            make(0)
    except BaseException:
        team.call_off()
        raise
    finally:
        threads.finish(team.call_off)
    if threads.errors:
        raise threads.errors[0]
    return [] if scarce else results


def run_in_threads(
    work: Callable[[list[Any]], None],
    parts: list[list[Any]],
    cancellation: Cancellation | None = None,
) -> None:
    """``work(part)`` for every part, each in a thread of its own; errors are raised.

    After an error or an interrupt the others are cancelled.
    """
    cancellation = cancellation or Cancellation(_here.cancellation)
    team = _Threads()
    errors: list[BaseException] = []

    def guarded(part: list[Any]) -> None:
        outer, _here.cancellation = _here.cancellation, cancellation
        try:
            work(part)
        except BaseException as error:
            errors.append(error)
            cancellation.set()
            raise
        finally:
            _here.cancellation = outer

    try:
        left = list(parts)
        with suppress(RuntimeError):
            while len(left) > 1:
                team.start(guarded, left[-1])
                left.pop()
        team.begin()
        for part in left:
            guarded(part)
    except Cancelled:  # another one knows why
        pass
    finally:
        team.finish(cancellation.set)
    if errors:  # the first one cancelled the others
        raise errors[0]


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
