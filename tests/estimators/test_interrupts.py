"""Ctrl-C in the middle of an epoch, of a batch and of what follows the training.

Nothing here is timed: the interrupt comes while a call of the engine is under way in
another thread, which then waits until it has been called off.

Answers for: _threads.py, _training.py, _evaluation.py, tabular/_ensemble.py,
tabular/_base.py.
"""

import signal
import threading
import time

import numpy as np
import pytest
import scipy.sparse as sp
from helpers import OF_OWN_KERNELS, fast_classifier, small_table, thetas
from numpy.testing import assert_array_equal

from skbackprop import (
    BackpropMLPClassifier,
    _evaluation,
    _threads,
    _training,
)
from skbackprop._threads import Cancellation, Cancelled, run_in_team, run_in_threads
from skbackprop.core.team import ThreadTeam
from skbackprop.tabular import _ensemble, _member

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    OF_OWN_KERNELS,
]

RNG = np.random.default_rng(0)
X = RNG.standard_normal((3000, 7))
Y = RNG.integers(0, 3, 3000)
FRAME, _, LABEL, _ = small_table()
#: Batches that are not computed in blocks, and one that is.
LONG_BATCHES = {
    "dropout": {"dropout": 0.3},
    "clipping": {"max_grad_norm": 0.1},
    "schedule": {"learning_rate": "cosine"},
    "adamw": {"solver": "adamw", "weight_decay_schedule": "cosine"},
    "sgd": {"solver": "sgd", "dropout": 0.1},
    "float32": {"dtype": "float32", "dropout": 0.3},
    "blocks": {},
}


def interrupt():
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)


def wait_until(true):
    """Wait for what another thread does; it is never waited for so long."""
    until = time.monotonic() + 20
    while not true():
        assert time.monotonic() < until, "nobody has answered"
        time.sleep(0.001)


def look_around():
    """What everybody does before a call of the engine."""
    run_in_team(int, n_threads=1)


class Interrupting:
    """``run_in_team`` that interrupts the main thread during its call ``number``.

    The thread with the number 0 of the team sends it, and makes its call only when the
    team has been called off.
    """

    def __init__(self, number):
        self.number, self.calls, self.teams = number, 0, []

    def __call__(self, call, *arguments, n_threads, long=False):
        self.calls += 1
        if self.calls != self.number:
            return run_in_team(call, *arguments, n_threads=n_threads, long=long)

        def interrupted(*arguments):
            *_, thread, team = arguments
            if thread == 0:
                assert threading.current_thread() is not threading.main_thread()
                self.teams.append(team)
                interrupt()
                wait_until(lambda: team.called_off)
            return call(*arguments)

        return run_in_team(interrupted, *arguments, n_threads=n_threads, long=long)


@pytest.fixture
def all_long(monkeypatch):
    """Every call of the engine counts as one that takes long."""
    monkeypatch.setattr(_training, "LONG_FLOP", 0.0)
    monkeypatch.setattr(_evaluation, "LONG_FLOP", 0.0)
    monkeypatch.setattr(_threads, "cpus", lambda: 3)


def network(**parameters):
    settings = {"batch_size": len(X), "max_iter": 5, "random_state": 0}
    return BackpropMLPClassifier((9, 5), **{**settings, **parameters})


@pytest.mark.parametrize("n_jobs", [1, 3])
@pytest.mark.parametrize("name", LONG_BATCHES)
def test_a_batch_is_left_and_the_last_complete_epoch_kept(
    name, n_jobs, all_long, monkeypatch
):
    settings = {**LONG_BATCHES[name], "n_jobs": n_jobs, "warm_start": True}
    blocks, module = 1, _training
    if name == "blocks":  # a batch is several calls of the engine
        monkeypatch.setattr(_training, "block_rows", lambda *_: 256)
        monkeypatch.setattr(_evaluation, "block_rows", lambda *_: 256)
        blocks, module = 12, _evaluation
    runs = Interrupting(2 * blocks + min(blocks, 3))
    monkeypatch.setattr(module, "run_in_team", runs)
    model = network(**settings)
    with pytest.warns(UserWarning, match=r"^Training interrupted by user\.$"):
        model.fit(X, Y)
    assert len(runs.teams) == 1 and runs.calls == runs.number
    assert model.n_iter_ == len(model.loss_curve_) == 2
    monkeypatch.setattr(module, "run_in_team", run_in_team)
    plateau = _training.plateau
    monkeypatch.setattr(_training, "plateau", stops_after(2))
    upto = network(**settings).fit(X, Y)
    monkeypatch.setattr(_training, "plateau", plateau)
    for fit in range(2):  # and what a warm start goes on from
        for a, b in zip(model.coefs_, upto.coefs_, strict=True):
            assert_array_equal(a, b)
        assert model.loss_curve_ == upto.loss_curve_ and model.t_ == upto.t_
        if fit == 0:
            model.set_params(max_iter=2).fit(X, Y)
            upto.set_params(max_iter=2).fit(X, Y)


def stops_after(epochs):
    return lambda problem, history, scored: (None, history.n_iter == epochs)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("n_jobs", [1, 3])
def test_in_the_first_epoch_it_is_raised_again(n_jobs, sparse, all_long, monkeypatch):
    runs = Interrupting(2)
    monkeypatch.setattr(_training, "run_in_team", runs)
    model = network(n_jobs=n_jobs, batch_size=1000, dropout=0.2)
    with pytest.raises(KeyboardInterrupt) as raised:
        model.fit(sp.csr_array(X) if sparse else X, Y)
    assert raised.type is KeyboardInterrupt
    assert runs.teams and runs.calls == 2
    assert vars(model) == model.get_params()


def test_lbfgs_keeps_the_last_iterate(all_long, monkeypatch):
    calls = Interrupting(0)
    monkeypatch.setattr(_evaluation, "run_in_team", calls)
    network(solver="lbfgs").fit(X, Y)
    # The second, in the first line search, another, and that of the outputs at the end.
    for number in 2, calls.calls - 1, calls.calls:
        runs = Interrupting(number)
        monkeypatch.setattr(_evaluation, "run_in_team", runs)
        model = network(solver="lbfgs")
        if number == 2:
            with pytest.raises(KeyboardInterrupt):
                model.fit(X, Y)
            continue
        with pytest.warns(UserWarning, match="interrupted by user"):
            model.fit(X, Y)
        assert runs.teams and runs.calls == number
        monkeypatch.setattr(_evaluation, "run_in_team", run_in_team)
        upto = network(solver="lbfgs", max_iter=model.n_iter_).fit(X, Y)
        assert_array_equal(model.coefs_[0], upto.coefs_[0])


def test_while_rows_are_validated(all_long, monkeypatch):
    """The epoch whose score is not known is not complete."""
    runs = Interrupting(4)
    monkeypatch.setattr(_evaluation, "run_in_team", runs)
    model = network(early_stopping=True, batch_size=1000)
    with pytest.warns(UserWarning, match="interrupted by user"):
        model.fit(X, Y)
    assert runs.teams and runs.calls == 4
    assert model.n_iter_ == len(model.validation_scores_) == 3


@pytest.mark.parametrize("n_jobs", [1, 3])
def test_a_prediction_is_left(n_jobs, all_long, monkeypatch):
    monkeypatch.setattr(_evaluation, "PREDICTION_FLOP", 1.0)
    monkeypatch.setattr(_evaluation, "block_rows", lambda *_: 256)
    model = network().fit(X, Y)
    runs = Interrupting(3)
    monkeypatch.setattr(_evaluation, "run_in_team", runs)
    with pytest.raises(KeyboardInterrupt):
        model.predict(X)
    assert runs.teams and runs.calls < 12


# Members of an ensemble -------------------------------------------------------------


@pytest.mark.parametrize("inside", [False, True])
def test_a_member_of_another_thread_leaves_its_epoch(inside, all_long, monkeypatch):
    """Between two runs, or inside one; its epochs before that are kept."""
    runs, in_epoch_3, left = [], threading.Event(), []
    main = threading.main_thread()

    def run(call, *arguments, n_threads, long):
        here = _threads._here.cancellation
        if threading.current_thread() is main:
            in_epoch_3.wait(60)
            raise KeyboardInterrupt
        runs.append(None)
        if len(runs) < 3:
            return run_in_team(call, *arguments, n_threads=n_threads, long=long)

        def called_off(*arguments):
            in_epoch_3.set()
            wait_until(lambda: arguments[-1].called_off)
            left.append(None)
            return call(*arguments)

        if inside:
            return run_in_team(called_off, *arguments, n_threads=n_threads, long=long)
        in_epoch_3.set()
        wait_until(here.is_set)
        left.append(None)
        return run_in_team(call, *arguments, n_threads=n_threads, long=long)

    monkeypatch.setattr(_training, "run_in_team", run)
    model = fast_classifier(n_jobs=2, n_folds=2, max_iter=10, batch_size=1000)
    with pytest.warns(UserWarning, match="interrupted by user: 1 of 2 networks"):
        model.fit(FRAME, LABEL)
    assert len(left) == 1 and len(runs) == 3
    assert [len(scores) for scores in model.validation_scores_] == [2]
    monkeypatch.setattr(_training, "run_in_team", run_in_team)
    monkeypatch.setattr(_training, "plateau", stops_after(2))
    whole = fast_classifier(n_jobs=1, n_folds=2, max_iter=10, batch_size=1000)
    whole.fit(FRAME, LABEL)
    assert any((thetas(model)[0] == theta).all() for theta in thetas(whole))


def test_nothing_long_follows_an_interrupt(monkeypatch):
    """The best constant has its score before the training."""
    told, train = [], _member.train

    def interrupted(problem, state, table, validate, watch):
        def stop(theta):
            told.append("score")
            if told.count("score") == 3:
                raise KeyboardInterrupt
            return validate(theta)

        told.append("training")
        ending = train(problem, state, table, stop, watch)
        told.append("ended")
        return ending

    monkeypatch.setattr(_member, "train", interrupted)
    best_constant = _member.best_constant
    monkeypatch.setattr(
        _member,
        "best_constant",
        lambda *given: told.append("constant") or best_constant(*given),
    )
    with pytest.warns(UserWarning, match="interrupted by user: 1 of 3"):
        fast_classifier().fit(FRAME, LABEL)
    assert told[-5:] == ["training", "score", "score", "score", "ended"]
    assert told.count("constant") == 2


@pytest.mark.parametrize("after", ["training", "its end"])
def test_a_temperature_by_few_rows_after_an_interrupt(after, monkeypatch):
    monkeypatch.setattr(_ensemble, "_FEW_FLOP", 1.0)
    asked, predict = [], _ensemble.predict

    def asking(*arguments, rows, **more):
        asked.append(len(rows))
        if after == "its end" and len(asked) == 2:
            raise KeyboardInterrupt
        return predict(*arguments, rows=rows, **more)

    monkeypatch.setattr(_ensemble, "predict", asking)
    if after == "training":
        calls, train = [], _member.train

        def interrupted(*arguments):
            calls.append(None)
            if len(calls) == 3:
                raise KeyboardInterrupt
            return train(*arguments)

        monkeypatch.setattr(_member, "train", interrupted)
    n = 2 if after == "training" else 3
    with pytest.warns(UserWarning, match=f"interrupted by user: {n} of 3 networks"):
        model = fast_classifier(calibrate=True).fit(FRAME, LABEL)
    assert model.n_networks_ == n and 0.05 <= model.temperature_ <= 20
    assert all(0 < rows <= 10 for rows in asked[-n:])
    assert len(asked) == (2 if after == "training" else 5)


# How those who work for a call are told ---------------------------------------------


def test_who_works_for_a_call_inside_a_call_is_told_too():
    outer = Cancellation()
    inner = Cancellation(outer)
    team, late = ThreadTeam(1), ThreadTeam(1)
    with inner.stops(team):
        assert not (inner.is_set() or team.called_off)
        outer.set()
        assert inner.is_set() and team.called_off
    with inner.stops(late):
        assert late.called_off
    free = ThreadTeam(1)
    alone = Cancellation()
    with alone.stops(free):
        pass
    alone.set()
    assert not free.called_off


def test_a_call_that_was_called_off_has_no_result():
    """Where the engine has returned in the middle, whatever it says is of no use."""

    cancellation = Cancellation()

    def call(*_):
        cancellation.set()
        return "half done"

    def work(part):
        part.append(run_in_team(call, n_threads=1, long=True))

    parts = [["main"], ["other"]]
    with pytest.raises(Cancelled):
        run_in_threads(work, parts, cancellation)
    assert parts == [["main"], ["other"]]


def test_a_prediction_inside_a_member_is_told():
    """Its own threads have a cancellation inside that of the member."""
    begun = threading.Event()

    def inner(_):
        begun.set()
        wait_until(_threads._here.cancellation.is_set)
        look_around()

    def outer(part):
        if part == ["fails"]:
            begun.wait(60)
            raise ZeroDivisionError
        run_in_threads(inner, [[1], [2]])

    with pytest.raises(ZeroDivisionError):
        run_in_threads(outer, [["fails"], ["inner"]])
    with pytest.raises(Cancelled):
        cancellation = Cancellation()
        cancellation.set()
        run_in_threads(lambda _: look_around(), [[1], [2]], cancellation)
    assert _threads._here.cancellation is None


@pytest.mark.parametrize("failing", ["main", "other"])
def test_the_error_is_raised_and_not_what_it_cancelled(failing):
    waiting = threading.Event()

    def work(part):
        here = threading.current_thread() is threading.main_thread()
        if here == (failing == "main"):
            waiting.wait(60)
            raise ZeroDivisionError
        waiting.set()
        wait_until(_threads._here.cancellation.is_set)
        look_around()

    with pytest.raises(ZeroDivisionError):
        run_in_threads(work, [[1], [2]])
