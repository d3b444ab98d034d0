"""TabularMLP*: limits of time, interrupts, and training that diverges.

Answers for: tabular/_ensemble.py, tabular/_member.py, tabular/_messages.py.
"""

import threading

import numpy as np
import pytest
from helpers import fast_classifier as classifier
from helpers import fast_regressor as regressor
from helpers import (
    rising,
    small_table,
    thetas,
)
from numpy.testing import assert_array_equal
from sklearn.exceptions import ConvergenceWarning

from skbackprop import (
    _threads,
)
from skbackprop.tabular import _ensemble
from skbackprop.tabular._ensemble import Deadline

X, NUMBER, Y, LABELS = small_table()
N = len(X)


def test_no_time_at_all():
    model = classifier(time_limit=1e-9).fit(X, Y)
    assert model.n_networks_ == 1 and model.n_iter_ == 1
    assert model.predict_proba(X).shape == (N, 2)
    assert model.recipe_["max_iter"] == 5
    several = classifier(time_limit=1e-9, n_jobs=3).fit(X, Y)
    assert 1 <= several.n_networks_ <= 3 and several.n_iter_ == 1


def test_time_enough():
    model = classifier(time_limit=1e6).fit(X, Y)
    assert_array_equal(thetas(model), thetas(classifier().fit(X, Y)))


def test_the_clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(_ensemble.time, "perf_counter", lambda: now[0])
    clock = Deadline(10.0, began=100.0)
    now[0] = 104.0
    assert clock.passed() == 4 and not clock.is_over()
    assert clock.has_room(6.0) and not clock.has_room(6.5)
    now[0] = 110.0
    assert clock.is_over()
    free = Deadline(None, began=0.0)
    assert free.has_room(1e9) and not free.is_over()
    free.cancelled.set()
    assert free.is_over() and not free.has_room(0.0)


def test_no_network_is_begun_that_would_take_too_long(monkeypatch):
    """Each takes 3 of 10 seconds: the fourth would end after 12."""
    now = [0.0]
    monkeypatch.setattr(Deadline, "passed", lambda clock: now[0])
    train_member = _ensemble.train_member

    def slow(*arguments):
        now[0] += 3.0
        return train_member(*arguments)

    monkeypatch.setattr(_ensemble, "train_member", slow)
    model = classifier(n_folds=8, time_limit=10.0).fit(X, Y)
    assert model.n_networks_ == 3
    assert model.n_iter_ == 5


def interrupting(after, where=None):
    """A scorer that raises KeyboardInterrupt in its call number ``after``."""
    calls = []

    def scorer(*_):
        here = threading.current_thread() is threading.main_thread()
        if where is None or here == (where == "main"):
            calls.append(None)
            if len(calls) == after:
                raise KeyboardInterrupt
        return 0.1 * len(calls)

    return scorer


def test_an_interrupt_before_anything_is_complete_is_raised_again():
    model = classifier().fit(X, Y)
    model.set_params(scoring=interrupting(1))
    before = {name: vars(model)[name] for name in vars(model)}
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, 1 - Y)
    assert vars(model) == before or all(
        vars(model)[name] is before[name] for name in before
    )
    fresh = classifier(scoring=interrupting(1))
    with pytest.raises(KeyboardInterrupt):
        fresh.fit(X, Y)
    assert vars(fresh) == fresh.get_params()


def test_an_interrupt_in_every_thread_is_raised_again(monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(_ensemble, "train_member", interrupted)
    for n_jobs in 1, 2:
        model = classifier(n_jobs=n_jobs)
        with pytest.raises(KeyboardInterrupt):
            model.fit(X, Y)
        assert vars(model) == model.get_params()


def test_an_interrupt_keeps_what_is_complete():
    with pytest.warns(
        UserWarning, match="interrupted by user: 2 of 3 networks"
    ) as told:
        model = classifier(scoring=interrupting(8)).fit(X, Y)
    assert told[0].filename == __file__
    # Five epochs of the first network, two of the second: the third was lost.
    assert [len(scores) for scores in model.validation_scores_] == [5, 2]
    assert model.n_networks_ == 2 and model.best_epochs_.tolist() == [5, 2]
    assert model.n_iter_ == 5
    with pytest.warns(UserWarning, match="interrupted by user: 1 of 3 networks"):
        model.set_params(scoring=interrupting(6)).fit(X, Y)
    assert_array_equal(
        thetas(model)[0], thetas(classifier(scoring=rising()).fit(X, Y))[0]
    )
    assert model.predict(X).shape == (N,)


@pytest.mark.parametrize("where", ["main", "worker"])
def test_an_interrupt_among_threads_keeps_what_is_complete(where, monkeypatch):
    """The thread that is interrupted ends the others, and none hangs."""
    monkeypatch.setattr(_threads, "cpus", lambda: 2)
    n_threads = threading.active_count()
    scorer = interrupting(3, where)
    model = classifier(scoring=scorer, n_jobs=2, max_iter=300, n_folds=8)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model.fit(X, Y)
    assert 1 <= model.n_networks_ < 8
    assert model.predict(X).shape == (N,)
    assert threading.active_count() <= n_threads + 2  # they may be ending yet


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_an_error_in_a_thread_reaches_the_caller(n_jobs):
    calls = []

    def broken(*_):
        calls.append(None)
        if len(calls) > 4:
            raise OSError("the scorer is broken")
        return 1.0

    model = classifier().fit(X, Y)
    before = dict(vars(model), scoring=broken, n_jobs=n_jobs)
    model.set_params(scoring=broken, n_jobs=n_jobs)
    with pytest.raises(OSError, match="the scorer is broken"):
        model.fit(X[:60], Y[:60])
    assert len(calls) <= 4 + n_jobs
    assert all(vars(model)[name] is value for name, value in before.items())


def test_training_that_diverges():
    model = regressor().fit(X, NUMBER)
    before = model.predict(X)
    model.set_params(learning_rate_init=1e30)
    for n_jobs in 1, 2:
        with pytest.raises(ValueError, match=r"diverged.*learning_rate_init.*1e\+30"):
            model.set_params(n_jobs=n_jobs).fit(X, NUMBER)
    # One step an epoch: the first epoch is finite, but not its validation loss.
    model.set_params(n_jobs=1, batch_size=N)
    for parameters in (
        {"max_iter": 1, "scoring": "loss"},
        {"max_iter": 5, "scoring": lambda *_: np.nan},
    ):
        with pytest.raises(ValueError, match="Training diverged"):
            model.set_params(**parameters).fit(X, NUMBER)
    assert_array_equal(model.predict(X), before)
    model = regressor(learning_rate_init=1e6, batch_size=N)
    with pytest.warns(
        ConvergenceWarning, match=r"3 of 3 networks diverged.*1000000\.0"
    ):
        model.fit(X, NUMBER)
    assert np.isfinite(model.predict(X)).all()


def test_a_line_for_every_network(capsys):
    classifier().fit(X, Y)
    assert capsys.readouterr().out == ""
    classifier(verbose=True).fit(X, Y)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and lines[0].startswith("Network 1: best epoch ")
