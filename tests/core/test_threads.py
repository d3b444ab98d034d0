"""Threads share a step and change no bit of its result.

Answers for: _threads.py, core/team.pxd, core/team.pyx, core/passes.pxd,
_adaptive_threads.py.
"""

import signal
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import nullcontext

import numpy as np
import pytest
import scipy.sparse as sp
from helpers import OF_OWN_KERNELS, make_trainer
from joblib import Parallel, delayed
from numpy.testing import assert_allclose, assert_array_equal

from skbackprop import (
    BackpropMLPClassifier,
    BackpropMLPRegressor,
    TabularMLPRegressor,
    _evaluation,
    _threads,
    _training,
)
from skbackprop._adaptive_threads import AdaptiveThreads
from skbackprop._evaluation import make_table
from skbackprop._threads import is_worker, run_in_team, threads_for, workers_for
from skbackprop.core import OWN_KERNELS, engine_of
from skbackprop.core.optimizers import Optimizer, Solver
from skbackprop.core.team import ThreadTeam
from skbackprop.core.topology import Topology

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X = RNG.standard_normal((300, 37))
LABELS = RNG.integers(0, 11, 300)
#: Settings whose layers end inside a vector, a panel or a group of rows.
PROBLEMS = {
    "softmax": (BackpropMLPClassifier((50, 19)), X, LABELS),
    "two classes": (BackpropMLPClassifier((33,)), X, LABELS > 5),
    "labels": (BackpropMLPClassifier((20,)), X, RNG.integers(0, 2, (300, 3))),
    "wide": (BackpropMLPRegressor((130, 97)), X, X[:, 0] * X[:, 1]),
    "outputs": (BackpropMLPRegressor((40,)), X, X[:, :5] ** 2),
    "tanh": (BackpropMLPRegressor((40, 40), activation="tanh"), X, X[:, 0]),
    "no hidden layer": (BackpropMLPClassifier(()), X, LABELS),
    "sparse": (BackpropMLPClassifier((50,)), sp.csr_array(X * (X > 1)), LABELS),
    "sparse alone": (BackpropMLPClassifier(()), sp.csr_array(X * (X > 1)), LABELS),
    "sgd": (BackpropMLPClassifier((50,), solver="sgd"), X, LABELS),
    "adamw": (BackpropMLPClassifier((50,), solver="adamw"), X, LABELS),
    "lbfgs": (BackpropMLPClassifier((50,), solver="lbfgs"), X, LABELS),
    "early stopping": (BackpropMLPClassifier((50,), early_stopping=True), X, LABELS),
}


@pytest.fixture
def always_shared(monkeypatch):
    """Every run by all threads that were asked for, whatever pays, and up to 8."""
    monkeypatch.setattr(AdaptiveThreads, "size", lambda crew: crew.n_threads)
    monkeypatch.setattr(_threads, "cpus", lambda: 8)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", PROBLEMS)
def test_same_bits_for_any_number_of_threads(name, dtype, always_shared):
    model, data, y = PROBLEMS[name]
    model.set_params(alpha=0.1, max_iter=3, batch_size=70, random_state=0, dtype=dtype)
    one = model.set_params(n_jobs=1).fit(data, y)
    expected = [*one.coefs_, *one.intercepts_]
    loss, outputs = one.loss_, one.predict(data)
    for n_jobs in 2, 3, 8:
        more = model.set_params(n_jobs=n_jobs).fit(data, y)
        found = [more.loss_, *more.coefs_, *more.intercepts_]
        for a, b in zip(found, [loss, *expected], strict=True):
            if OWN_KERNELS:
                assert_array_equal(a, b, err_msg=f"{n_jobs} threads")
            else:
                assert_allclose(a, b, rtol=1e-3, atol=1e-3)
        if OWN_KERNELS:
            assert_array_equal(more.predict(data), outputs)


def test_a_fit_asks_for_the_threads(monkeypatch, always_shared):
    numbers = []

    def counting(call, *arguments, n_threads, long):
        numbers.append(n_threads)
        return run_in_team(call, *arguments, n_threads=n_threads, long=long)

    monkeypatch.setattr("skbackprop._training.run_in_team", counting)
    BackpropMLPClassifier((5,), max_iter=2, n_jobs=3, random_state=0).fit(X, LABELS)
    assert set(numbers) == {3 if OWN_KERNELS else 1}


def test_a_team_makes_the_call_in_every_thread():
    """Each with its number and the one team; the caller's result is returned."""
    seen, arrived = [], threading.Barrier(3, timeout=30)

    def call(first, thread=0, team=None):
        seen.append((first, thread, team.n_threads, team, threading.get_ident()))
        arrived.wait()
        return thread

    assert run_in_team(call, "x", n_threads=3) == 0
    assert {(first, thread, n) for first, thread, n, *_ in seen} == {
        ("x", thread, 3) for thread in range(3)
    }
    assert len({ident for *_, ident in seen}) == 3
    assert len({id(team) for *_, team, _ in seen}) == 1
    assert not seen[0][3].called_off


def test_one_thread_is_no_team():
    assert run_in_team(lambda *arguments: arguments, "x", 1, n_threads=1) == ("x", 1)


class Scarce(threading.Thread):
    """The system has one thread, and then an error."""

    error: BaseException
    started: list[threading.Thread]

    def start(self):
        if self.started:
            raise self.error
        self.started.append(self)
        super().start()


def a_run():
    """A call of the engine, its arguments, and the theta that it changes."""
    topology = Topology((2, 1), [0], [True], 0)
    theta = np.zeros(topology.n_parameters)
    table = make_table(np.zeros((3, 2)), Y=np.ones((3, 1)), dtype=np.float64)
    trainer = make_trainer(topology, theta, table, Optimizer(Solver.SGD, 0.1))
    return trainer, (np.arange(3), 0, 3, 0.0), theta


@pytest.fixture
def scarce(monkeypatch):
    """One thread starts, and then there is an error: which, is for the test to say."""
    monkeypatch.setattr(Scarce, "started", [], raising=False)
    monkeypatch.setattr(_threads.threading, "Thread", Scarce)
    return lambda error: monkeypatch.setattr(Scarce, "error", error, raising=False)


@OF_OWN_KERNELS
def test_one_thread_where_the_system_gives_no_more(scarce):
    trainer, arguments, expected = a_run()
    value = trainer.run(*arguments)
    scarce(RuntimeError("no more"))
    trainer, arguments, found = a_run()
    assert run_in_team(trainer.run, *arguments, n_threads=8) == value > 0
    assert Scarce.started and found.any()
    assert_array_equal(found, expected)


def test_an_interrupt_before_the_call_calls_it_off(scarce):
    """Nobody is left waiting at a barrier, and nothing is changed."""
    scarce(KeyboardInterrupt())
    trainer, arguments, theta = a_run()
    with pytest.raises(KeyboardInterrupt):  # before any level is asked
        run_in_team(trainer.run, *arguments, n_threads=4)
    (thread,) = Scarce.started
    thread.join(30)
    assert not thread.is_alive()
    assert not theta.any() and trainer.optimizer.t == 0


@OF_OWN_KERNELS
@pytest.mark.parametrize("failing", [0, 1, 2])
def test_an_error_of_one_thread_calls_off_the_others(failing):
    """They wait in the engine for one that does not come."""
    trainer, arguments, theta = a_run()
    teams = []

    def call(*arguments):
        *_, thread, team = arguments
        teams.append(team)
        if thread == failing:
            time.sleep(0.05)  # the others wait by now
            raise ZeroDivisionError(f"in thread {thread}")
        return trainer.run(*arguments)

    with pytest.raises(ZeroDivisionError, match=f"in thread {failing}"):
        run_in_team(call, *arguments, n_threads=3)
    assert len(teams) == 3 and teams[0].called_off
    assert not theta.any() and trainer.optimizer.t == 0 and not trainer.moments.any()


@OF_OWN_KERNELS
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("door", ["run", "loss_and_grad"])
def test_a_team_that_is_called_off_returns(door, late):
    """Whoever waits at the first meeting, and whoever comes later: nothing is done."""
    trainer, (order, start, stop, loss), theta = a_run()
    engine, grad, values = engine_of(np.float64), np.zeros(3), []

    def call(thread, team):
        if door == "run":
            values.append(trainer.run(order, start, stop, loss, thread, team))
        else:
            rows = trainer.workspace, trainer.table, order, start, stop
            values.append(
                engine.loss_and_grad(*rows, 1.0, grad, thread=thread, team=team)
            )

    team = ThreadTeam(3)
    assert team.n_threads == 3 and not team.called_off
    if late:
        team.call_off()
    threads = [threading.Thread(target=call, args=(k, team)) for k in (0, 2)]
    for thread in threads:
        thread.start()
    if not late:
        threads[0].join(0.2)
        assert all(thread.is_alive() for thread in threads)
        team.call_off()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    assert team.called_off and values == [0.0, 0.0]
    assert not theta.any() and not grad.any() and trainer.optimizer.t == 0


def test_an_interrupt_while_threads_work_waits_for_them():
    """The arrays are the caller's again when it gets the exception."""
    done = []

    def call(thread=0, team=None):
        if thread == 0:
            signal.raise_signal(signal.SIGINT)
        time.sleep(0.1)
        done.append(thread)

    with pytest.raises(KeyboardInterrupt):
        run_in_team(call, n_threads=3)
    assert sorted(done) == [1, 2]


def test_an_interrupt_while_waiting_waits_on():
    done = []

    def call(thread=0, team=None):
        if thread == 1:
            time.sleep(0.1)  # the caller waits by now
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            time.sleep(0.1)
            done.append(thread)

    with pytest.raises(KeyboardInterrupt):
        run_in_team(call, n_threads=2)
    assert done == [1]


def test_one_part_that_fails_stops_the_others():
    seen = []

    def work(part):
        for item in part:
            run_in_team(int, n_threads=1)
            if item == "bad":
                raise ValueError("bad")
            seen.append(item)
            time.sleep(0.01)

    with pytest.raises(ValueError, match="bad"):
        _threads.run_in_threads(work, [list(range(3000)), ["bad"]])
    assert len(seen) < 3000


def test_a_level_without_kernels_of_its_own_has_one_thread(monkeypatch):
    monkeypatch.setattr(_threads, "OWN_KERNELS", False)
    monkeypatch.setattr(_threads, "cpus", lambda: 6)
    for n_jobs in None, 4, -1:
        assert threads_for(n_jobs, 1e12, 1.0) == 1


def test_threads_for(monkeypatch):
    monkeypatch.setattr(_threads, "OWN_KERNELS", True)
    monkeypatch.setattr(_threads, "cpus", lambda: 6)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert threads_for(3, 0.0, 1.0) == 3
    # No more than there are, whatever is asked for.
    for many in 7, 1000, 2**31, 2**63, 10**400, np.int64(2**62), np.int8(127):
        assert threads_for(many, 0.0, 1.0) == workers_for(many) == 6
    for few in -7, -(2**31), -(10**400), np.int8(-128), np.int64(-(2**63)):
        assert threads_for(few, 0.0, 1.0) == workers_for(few) == 1
    assert threads_for(-1, 0.0, 1.0) == 6
    assert threads_for(-2, 0.0, 1.0) == 5
    assert threads_for(-9, 0.0, 1.0) == 1
    # None asks what the work pays for, up to what there is.
    assert threads_for(None, 1.9, 1.0) == 1
    assert threads_for(None, 3.5, 1.0) == 3
    assert threads_for(None, 1e9, 1.0) == 6


@pytest.fixture
def threads_started(monkeypatch):
    """How many threads each team has started."""
    counts, start = [], _threads._Threads.start

    def counting(team, *arguments):
        start(team, *arguments)
        counts.append(team.started)

    monkeypatch.setattr(_threads._Threads, "start", counting)
    return counts


@pytest.mark.parametrize("n_jobs", [1000, 2**31, -1, -(2**31)])
def test_no_more_threads_than_cpus_rows_and_members(
    n_jobs, monkeypatch, always_shared, threads_started
):
    monkeypatch.setattr(_evaluation, "PREDICTION_FLOP", 1.0)
    monkeypatch.setattr(_training, "_RUN_SECONDS", 1e9)  # and the main one works too
    model = BackpropMLPClassifier((5,), max_iter=2, n_jobs=n_jobs, random_state=0)
    model.fit(X, LABELS)
    several = OWN_KERNELS and n_jobs != -(2**31)
    assert max(threads_started, default=0) == (7 if several else 0)
    threads_started.clear()
    model.fit(X[:3], LABELS[:3])
    assert max(threads_started, default=0) == (2 if several else 0)
    threads_started.clear()
    model.predict(np.tile(X, (40, 1)))  # each of its blocks is one thread's
    assert max(threads_started, default=0) <= 7
    threads_started.clear()
    TabularMLPRegressor(
        n_folds=3, max_iter=1, hidden_layer_sizes=(4,), n_jobs=n_jobs, random_state=0
    ).fit(X, X[:, 0])
    assert max(threads_started, default=0) == (0 if n_jobs == -(2**31) else 2)


def test_blas_has_no_more_threads_than_cpus(monkeypatch):
    asked = []
    monkeypatch.setattr(_threads, "cpus", lambda: 2)
    monkeypatch.setattr(_threads, "OWN_KERNELS", False)

    class Controller:
        def limit(self, *, limits, user_api):
            asked.append(limits)
            return nullcontext()

    monkeypatch.setattr(_threads, "_controller", Controller)
    for n_jobs in 1, 2, 1000, 2**40:
        _threads.blas_threads(n_jobs, 1e12)
    assert asked == [1, 2, 2, 2]


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_one_thread_inside_a_worker(backend):
    assert not is_worker()
    inside = Parallel(n_jobs=2, backend=backend)(
        delayed(threads_for)(None, 1e9, 1.0) for _ in range(4)
    )
    assert inside == [1] * 4


def test_available_heeds_the_environment(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert _threads.available() == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "1,2")
    assert _threads.available() == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "none")
    assert _threads.available() >= 1


def choices(crew, seconds, samples, share=1.0):
    """Sizes that a crew takes for runs of a sample each, by the seconds of a size.

    It gets ``share`` of the processor time that its threads could have.
    """
    taken = []
    for _ in range(samples):
        n = crew.size()
        taken.append(n)
        crew.took(seconds[n], share * n * seconds[n], 100)
    return taken


def test_a_crew_that_gets_its_cores_stays():
    assert choices(AdaptiveThreads(3), {3: 0.1}, 300) == [3] * 300


def test_a_crew_without_cores_takes_the_faster_way_and_tries_the_other():
    crew = AdaptiveThreads(2)
    busy = choices(crew, {1: 0.1, 2: 0.3}, 300, share=0.5)
    assert busy[:2] == [2, 2] and busy[2:10] == [1] * 8
    assert 2 <= busy[10:].count(2) <= 8  # ever more seldom
    # The machine may be idle again.
    idle = choices(crew, {1: 0.1, 2: 0.06}, 300)
    assert idle[150:] == [2] * 150
    # Slow without a core is faster yet than one thread: the trial tells.
    shared = choices(crew, {1: 0.1, 2: 0.08}, 300, share=0.7)
    assert shared.count(1) <= 8


def test_a_crew_does_not_judge_by_short_runs():
    crew = AdaptiveThreads(2)
    for _ in range(1000):
        assert crew.size() == 2
        crew.took(AdaptiveThreads.SAMPLE / 2000, 0.0, 1)


def test_a_crew_of_one_stays_one():
    assert choices(AdaptiveThreads(1), {1: 1.0}, 50, share=0.1) == [1] * 50


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot fork")
def test_a_forked_child_trains_with_threads():
    """After the parent has; libraries that keep a pool of threads hang here."""
    program = """
        import os, sys, warnings
        import numpy as np
        from skbackprop import BackpropMLPClassifier
        warnings.simplefilter("ignore")
        X = np.random.default_rng(0).standard_normal((500, 20))
        y = X[:, 0] > 0
        def fit():
            model = BackpropMLPClassifier((64,), n_jobs=2, max_iter=20, random_state=0)
            return model.fit(X, y).coefs_[0].tobytes()
        parent = fit()
        child = os.fork()
        if child == 0:
            os._exit(0 if fit() == parent else 3)
        _, status = os.waitpid(child, 0)
        sys.exit(os.waitstatus_to_exitcode(status))
    """
    command = [sys.executable, "-P", "-c", textwrap.dedent(program)]
    assert subprocess.run(command, timeout=120, check=False).returncode == 0
