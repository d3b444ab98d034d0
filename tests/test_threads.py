"""Threads share a step and change no bit of its result."""

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
from joblib import Parallel, delayed
from numpy.testing import assert_allclose, assert_array_equal

from skbackprop import (
    BackpropMLPClassifier,
    BackpropMLPRegressor,
    TabularMLPRegressor,
    _table,
    _threads,
)
from skbackprop._threads import Crew, is_worker, share, threads_for, workers_for
from skbackprop.core import engine

#: The portable level leaves threads to BLAS, which promises no bits.
OWN = engine.threads_of_its_own()
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
    monkeypatch.setattr(Crew, "size", lambda crew: crew.n_threads)
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
            if OWN:
                assert_array_equal(a, b, err_msg=f"{n_jobs} threads")
            else:
                assert_allclose(a, b, rtol=1e-3, atol=1e-3)
        if OWN:
            assert_array_equal(more.predict(data), outputs)


def test_a_fit_asks_for_the_threads(monkeypatch, always_shared):
    numbers = []

    def counting(call, *arguments, places, n_threads):
        numbers.append(n_threads)
        return share(call, *arguments, places=places, n_threads=n_threads)

    monkeypatch.setattr("skbackprop._training.share", counting)
    BackpropMLPClassifier((5,), max_iter=2, n_jobs=3, random_state=0).fit(X, LABELS)
    assert set(numbers) == {3 if OWN else 1}


def test_share_makes_the_call_in_every_thread():
    """Each with its number and its own places; the caller's result is returned."""
    seen, arrived = [], threading.Barrier(3, timeout=30)

    def call(first, places, thread=0, barrier=None, n_threads=1):
        seen.append((first, thread, n_threads, threading.get_ident()))
        places[:] = thread
        arrived.wait()
        return thread

    places = np.full(2, -1)
    assert share(call, "x", places=places, n_threads=3) == 0
    assert {(first, thread, n) for first, thread, n, _ in seen} == {
        ("x", thread, 3) for thread in range(3)
    }
    assert len({ident for *_, ident in seen}) == 3
    assert_array_equal(places, -1)


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
    """Arguments of a run, its places, and the theta that it changes."""
    *arguments, places = _run_arguments()
    return arguments, places, arguments[3]


def test_one_thread_where_the_system_gives_no_more(monkeypatch):
    expected = a_run()
    share(engine.train_run, *expected[0], places=expected[1], n_threads=1)
    monkeypatch.setattr(Scarce, "error", RuntimeError("no more"), raising=False)
    monkeypatch.setattr(Scarce, "started", [], raising=False)
    monkeypatch.setattr(_threads.threading, "Thread", Scarce)
    found = a_run()
    # The portable level has no team, and nobody asks it for one.
    with nullcontext() if OWN else pytest.raises(ValueError, match="threads to BLAS"):
        share(engine.train_run, *found[0], places=found[1], n_threads=8)
    if not OWN:
        return
    assert Scarce.started and found[2].any()
    assert_array_equal(found[2], expected[2])


def test_an_interrupt_before_the_call_calls_it_off(monkeypatch):
    """Nobody is left waiting at a barrier, and nothing is changed."""
    monkeypatch.setattr(Scarce, "error", KeyboardInterrupt(), raising=False)
    monkeypatch.setattr(Scarce, "started", [], raising=False)
    monkeypatch.setattr(_threads.threading, "Thread", Scarce)
    arguments, places, theta = a_run()
    with pytest.raises(KeyboardInterrupt):  # before any level is asked
        share(engine.train_run, *arguments, places=places, n_threads=4)
    (thread,) = Scarce.started
    thread.join(30)
    assert not thread.is_alive()
    assert not theta.any()


def test_an_interrupt_while_threads_work_waits_for_them():
    """The arrays are the caller's again when it gets the exception."""
    done = []

    def call(places, thread=0, barrier=None, n_threads=1):
        if thread == 0:
            signal.raise_signal(signal.SIGINT)
        time.sleep(0.1)
        done.append(thread)

    with pytest.raises(KeyboardInterrupt):
        share(call, places=np.zeros(1), n_threads=3)
    assert sorted(done) == [1, 2]


def test_an_interrupt_while_waiting_waits_on():
    done = []

    def call(places, thread=0, barrier=None, n_threads=1):
        if thread == 1:
            time.sleep(0.1)  # the caller waits by now
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            time.sleep(0.1)
            done.append(thread)

    with pytest.raises(KeyboardInterrupt):
        share(call, places=np.zeros(1), n_threads=2)
    assert done == [1]


def test_one_part_that_fails_stops_the_others():
    seen, stopped = [], []

    def work(part):
        for item in part:
            if stopped:
                return
            if item == "bad":
                raise ValueError("bad")
            seen.append(item)
            time.sleep(0.01)

    with pytest.raises(ValueError, match="bad"):
        _threads.each(work, [list(range(3000)), ["bad"]], stopped)
    assert len(seen) < 3000


@pytest.mark.parametrize("thread", [-1, 2])
def test_a_thread_must_be_one_of_the_team(thread):
    with pytest.raises(ValueError, match=f"thread {thread} is not one of 2"):
        engine.train_run(*_run_arguments(), thread, np.zeros(1, np.intc), 2)


def test_a_team_needs_a_barrier():
    message = "barrier must have" if OWN else "this level leaves threads to BLAS"
    with pytest.raises(ValueError, match=message):
        engine.train_run(*_run_arguments(), 0, np.zeros(1, np.intc), 2)


def _run_arguments():
    from skbackprop._table import make_scratch, make_table
    from skbackprop.core.optimizers import Optimizer, Solver
    from skbackprop.core.regimen import Regimen
    from skbackprop.core.topology import Topology

    topology = Topology((2, 1), [0], [True], 0)
    theta = np.zeros(topology.n_parameters)
    table = make_table(np.zeros((3, 2)), Y=np.ones((3, 1)), dtype=np.float64)
    scratch = make_scratch(topology, 3, np.float64, sparse=False)
    return (
        topology, Optimizer(Solver.SGD, 0.1), Regimen(topology.n_groups),
        theta, theta.copy(), theta[None].copy(),
        *table, np.arange(3), 0, 3, 3, 1.0, 0.0, 0.0,
        scratch.work, scratch.label_work, scratch.sums, scratch.places,
    )  # fmt: skip


def test_threads_for(monkeypatch):
    if not OWN:
        assert threads_for(4, 1e12, 1.0) == 1
        return
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
    counts, start = [], _threads._Team.start

    def counting(team, *arguments):
        start(team, *arguments)
        counts.append(team.started)

    monkeypatch.setattr(_threads._Team, "start", counting)
    return counts


@pytest.mark.parametrize("n_jobs", [1000, 2**31, -1, -(2**31)])
def test_no_more_threads_than_cpus_rows_and_members(
    n_jobs, monkeypatch, always_shared, threads_started
):
    monkeypatch.setattr(_table, "PREDICTION_FLOP", 1.0)
    model = BackpropMLPClassifier((5,), max_iter=2, n_jobs=n_jobs, random_state=0)
    model.fit(X, LABELS)
    several = OWN and n_jobs != -(2**31)
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
    monkeypatch.setattr(engine, "threads_of_its_own", lambda: False, raising=False)

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
    assert choices(Crew(3), {3: 0.1}, 300) == [3] * 300


def test_a_crew_without_cores_takes_the_faster_way_and_tries_the_other():
    crew = Crew(2)
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
    crew = Crew(2)
    for _ in range(1000):
        assert crew.size() == 2
        crew.took(Crew.SAMPLE / 2000, 0.0, 1)


def test_a_crew_of_one_stays_one():
    assert choices(Crew(1), {1: 1.0}, 50, share=0.1) == [1] * 50


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
