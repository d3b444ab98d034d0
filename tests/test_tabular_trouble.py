"""TabularMLP*: scorers, calibration, time, interrupts, errors, and parameters."""

import copy
import pickle
import re
import threading
import warnings
from itertools import chain

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import log_softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import (
    accuracy_score,
    log_loss,
    mean_absolute_error,
    roc_auc_score,
)

from skbackprop import (
    TabularEncoder,
    TabularMLPClassifier,
    TabularMLPRegressor,
    _threads,
)
from skbackprop._inputs import Targets
from skbackprop.tabular import _bag, _base
from skbackprop.tabular._bag import Clock
from skbackprop.tabular._classifier import _best_temperature

FAST = {
    "preset": "fast",
    "n_folds": 3,
    "max_iter": 5,
    "batch_size": 16,
    "hidden_layer_sizes": (16,),
    "random_state": 0,
    "n_jobs": 1,
}
N = 120
RNG = np.random.default_rng(1)
X = pd.DataFrame(
    {"a": RNG.standard_normal(N), "b": RNG.choice(list("xyz"), N)},
    index=[f"row {i}" for i in range(N)],
)
NUMBER = X["a"].to_numpy() + (X["b"] == "x").to_numpy() + RNG.standard_normal(N)
Y = (NUMBER > 0.5).astype(int)
LABELS = np.column_stack([Y, NUMBER > 0, X["b"] == "x"]).astype(int)


def classifier(**parameters):
    return TabularMLPClassifier(**FAST | parameters)


def regressor(**parameters):
    return TabularMLPRegressor(**FAST | parameters)


def thetas(model):
    return np.array(model._bag[1])


def frozen(model):
    return pickle.dumps(vars(model)), model.predict(X)


def assert_unchanged(model, before):
    state, predictions = before
    assert pickle.dumps(vars(model)) == state
    assert_array_equal(model.predict(X), predictions)


def validated(model):
    """Each network alone on the validation data."""
    scores = []
    for theta in model._bag[1]:
        alone = copy.copy(model)
        alone._bag = (model._bag[0], [theta])
        scores.append(alone)
    return scores


# Scoring ---------------------------------------------------------------------

METRICS = {
    "accuracy": lambda y, m: accuracy_score(y, m.predict(X[80:])),
    "roc_auc": lambda y, m: roc_auc_score(y, m.predict_proba(X[80:])[:, 1]),
    "neg_mean_absolute_error": lambda y, m: -mean_absolute_error(y, m.predict(X[80:])),
}


@pytest.mark.parametrize("scoring", METRICS)
def test_a_scorer_by_its_name(scoring):
    numbers = scoring == "neg_mean_absolute_error"
    y = NUMBER if numbers else Y
    model = regressor(scoring=scoring) if numbers else classifier(scoring=scoring)
    model.fit(X[:80], y[:80], X_val=X[80:], y_val=y[80:])
    for alone, scores, best in zip(
        validated(model), model.validation_scores_, model.best_epochs_, strict=True
    ):
        assert len(scores) == 5
        assert np.argmax(scores) + 1 == best
        assert_allclose(METRICS[scoring](y[80:], alone), scores[best - 1], rtol=1e-9)
    assert classifier(scoring="accuracy").fit(X, Y).validation_score_ > 0.5


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("kind", ["pandas", "polars", "array", "lists", "arrow"])
def test_a_callable_gets_the_rows_as_they_were_given(kind, n_jobs):
    rows = []
    data = {
        "pandas": X,
        "polars": pl.DataFrame({"a": X["a"].to_numpy(), "b": X["b"].to_list()}),
        "array": X.to_numpy(dtype=object),
        "lists": X.to_numpy(dtype=object).tolist(),
        "arrow": pa.table({"a": X["a"].to_numpy(), "b": X["b"].to_list()}),
    }[kind]

    def scorer(model, some, y):
        assert type(some) is type(data)
        a = [row[0] for row in some] if kind == "lists" else some
        a = some[:, 0] if kind == "array" else a if kind == "lists" else some["a"]
        a = a.to_pylist() if kind == "arrow" else a
        numbers = np.asarray(list(a), dtype=float)
        places = [int(np.flatnonzero(X["a"] == number)[0]) for number in numbers]
        assert_array_equal(y, NUMBER[places])
        if kind == "pandas":
            assert some.index[0] == f"row {places[0]}"
        rows.append(places)
        return -np.abs(model.predict(some) - y).mean()

    model = regressor(scoring=scorer, max_iter=1, n_jobs=n_jobs).fit(data, NUMBER)
    assert sorted(chain.from_iterable(rows)) == list(range(N))
    assert all(score[0] < 0 for score in model.validation_scores_)


def test_a_callable_gets_the_weights_if_it_takes_them():
    w = RNG.integers(1, 9, N).astype(float)
    seen = []

    def scorer(model, some, y, sample_weight=None):
        seen.extend(zip(some["a"], sample_weight, strict=True))
        return 1.0

    classifier(scoring=scorer, max_iter=1).fit(X, Y, w)
    assert sorted(seen) == sorted(zip(X["a"], w, strict=True))
    model = classifier(scoring=lambda m, some, y: 0.5).fit(X, Y, w)
    assert model.validation_score_ == 0.5


@pytest.mark.parametrize("value", [None, "high", [0.5]])
def test_a_scorer_that_returns_no_number(value):
    model = classifier().fit(X, Y)
    model.set_params(scoring=lambda *_: value)
    before = model.predict_proba(X)
    with pytest.raises(ValueError, match=r"scoring must return a number. Got"):
        model.fit(X, Y)
    assert_array_equal(model.predict_proba(X), before)


def test_what_is_told_of_the_training():
    model = classifier(n_repeats=2, max_iter=9).fit(X, Y)
    assert model.n_networks_ == len(model._bag[1]) == 6
    assert model.recipe_["n_folds"] == 3 and model.recipe_["n_repeats"] == 2
    assert model.recipe_["max_iter"] == 9
    assert model.recipe_["hidden_layer_sizes"] == (16,)
    assert [len(scores) for scores in model.validation_scores_] == [9] * 6
    assert model.n_iter_ == 9
    best = [np.argmax(scores) for scores in model.validation_scores_]
    assert model.best_epochs_.tolist() == [b + 1 for b in best]
    expected = np.mean([max(scores) for scores in model.validation_scores_])
    assert_allclose(model.validation_score_, expected)


def test_the_best_epoch_is_kept():
    """The parameters are those of the epoch whose score was the best, and the first."""
    values = [0.1, 0.5, 0.7, np.nan, 0.7]
    model = classifier(n_folds=1, scoring=scores_of(values)).fit(X, Y)
    assert model.best_epochs_.tolist() == [3] and model.validation_score_ == 0.7
    kept = []

    def noting(estimator, *_):
        kept.append(estimator._bag[1][0].copy())
        return values[len(kept) - 1]

    classifier(n_folds=1, scoring=noting).fit(X, Y)
    assert_array_equal(model._bag[1][0], kept[2])


def test_no_network_is_worse_than_the_best_constant():
    """By the loss: where no epoch of a network is as good, the constant is kept."""
    noise = RNG.integers(0, 2, N)
    wild = {"learning_rate_init": 100.0, "n_folds": 4, "label_smoothing": 0.0}
    model = classifier(**wild).fit(X, noise)
    assert model.best_epochs_.tolist() == [0] * 4
    for scores in model.validation_scores_:
        assert len(scores) == 5 and max(scores) < model.validation_score_
    share = (noise.mean() * 90 + 0.5) / 91  # of 90 rows, with half a row more
    assert_allclose(model.predict_proba(X)[:, 1], share, atol=0.02)
    assert np.ptp(model.predict_proba(X)[:, 1]) == 0
    # A scorer is believed, and not called more often than there are epochs.
    model.set_params(scoring=scores_of([0.1, 0.2, 0.3, 0.2, 0.1] * 4)).fit(X, noise)
    assert model.best_epochs_.tolist() == [3] * 4


def rising():
    """The last epoch is the best."""
    return scores_of(range(10_000))


def scores_of(values):
    values = iter(values)
    return lambda *_: next(values)


def test_scores_that_are_not_numbers():
    model = classifier(scoring=lambda *_: np.nan)
    with pytest.warns(
        ConvergenceWarning, match="score of 3 of 3 networks was a finite"
    ):
        model.fit(X, Y)
    assert model.best_epochs_.tolist() == [5, 5, 5]
    one = classifier(n_folds=2, scoring=scores_of([1.0] * 5 + [np.nan] * 5))
    with pytest.warns(
        ConvergenceWarning, match="score of 1 of 2 networks was a finite"
    ):
        one.fit(X, Y)
    assert one.best_epochs_.tolist() == [1, 5]


# Calibration -----------------------------------------------------------------


@pytest.mark.parametrize("kind", ["classes", "two", "labels"])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_temperature_is_the_best_of_a_grid(kind, weighted):
    rng = np.random.default_rng(0)
    q = {"classes": 3, "two": 1, "labels": 4}[kind]
    z = 4 * rng.standard_normal((200, q)).astype(np.float32)
    w = rng.uniform(size=200) ** 4 if weighted else None
    if kind == "classes":  # what a softmax of z / 3 draws
        labels = (z / 3 + rng.gumbel(size=z.shape)).argmax(axis=1)
        targets = Targets(None, labels, "", "", q, None)
    else:
        truth = (z / 3 + rng.logistic(size=z.shape) > 0).astype(np.float32)
        targets = Targets(truth, None, "", "", q, None)

    def loss(t):
        if kind == "classes":
            own = log_softmax(z / t, axis=1)[np.arange(200), labels]
        else:
            own = -np.logaddexp(0, np.where(truth > 0, -z, z) / t).mean(axis=1)
        return -np.average(own, weights=w)

    grid = np.exp(np.linspace(-3, 3, 6001))
    expected = grid[np.argmin([loss(t) for t in grid])]
    found = _best_temperature(z, targets, w)
    assert_allclose(found, expected, rtol=0.01)
    assert loss(found) <= loss(expected) + 1e-7
    assert 1.5 < found < 6


def test_calibration_of_a_model_that_is_too_sure():
    noisy = RNG.integers(0, 3, N)
    settings = {
        "max_iter": 60,
        "learning_rate_init": 0.1,
        "weight_decay": 0.0,
        "dropout": 0.0,
        "scoring": scores_of(range(10_000)),  # the last epoch is the best
    }
    val = {"X_val": X[80:], "y_val": noisy[80:]}
    model = classifier(calibrate=True, **settings).fit(X[:80], noisy[:80], **val)
    assert model.temperature_ > 1.5
    plain = copy.copy(model)
    plain.temperature_ = 1.0
    losses = [log_loss(noisy[80:], m.predict_proba(X[80:])) for m in (model, plain)]
    assert losses[0] < losses[1] - 0.1
    off = classifier(**settings | {"scoring": "loss"}).fit(X[:80], noisy[:80], **val)
    assert off.temperature_ == 1


def test_calibration_on_folds():
    """By the rows that each network has not seen, none where nothing is held out."""
    noisy = RNG.integers(0, 2, N)
    settings = {"max_iter": 60, "dropout": 0.0, "calibrate": True}
    settings["scoring"] = scores_of(range(10_000))
    assert classifier(**settings).fit(X, noisy).temperature_ > 1.2
    assert classifier(n_folds=1, **settings).fit(X, noisy).temperature_ == 1


def test_label_smoothing_makes_less_sure():
    settings = {"max_iter": 40, "n_folds": 1, "dropout": 0.0}
    y = (X["a"] > 0).to_numpy()
    sure = classifier(**settings).fit(X, y).predict_proba(X).max(axis=1).mean()
    model = classifier(label_smoothing=0.4, **settings).fit(X, y)
    assert model.predict_proba(X).max(axis=1).mean() < sure - 0.05
    # What validates are the labels as they are.
    loss = log_loss(y, model.predict_proba(X))
    assert_allclose(model.validation_score_, -loss, rtol=1e-5)
    assert model._bag[0].loss_parameters == ()


@pytest.mark.parametrize("scoring", ["accuracy", "loss", lambda *_: 1.0])
@pytest.mark.parametrize("rate", [1e30, 1e36])
def test_networks_that_predict_nan_are_never_kept(scoring, rate):
    """Accuracy has a number for them, and a callable may have one."""
    model = classifier(scoring=scoring, learning_rate_init=rate, batch_size=10**6)
    with pytest.raises(ValueError, match="Training diverged before an epoch"):
        model.fit(X, Y)
    assert vars(model) == model.get_params()


# Time and interrupts ---------------------------------------------------------


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
    monkeypatch.setattr(_bag.time, "perf_counter", lambda: now[0])
    clock = Clock(10.0, began=100.0)
    now[0] = 104.0
    assert clock.passed() == 4 and not clock.is_over()
    assert clock.has_room(6.0) and not clock.has_room(6.5)
    now[0] = 110.0
    assert clock.is_over()
    free = Clock(None, began=0.0)
    assert free.has_room(1e9) and not free.is_over()
    free.stopped.append(True)
    assert free.is_over() and not free.has_room(0.0)


def test_no_network_is_begun_that_would_take_too_long(monkeypatch):
    """Each takes 3 of 10 seconds: the fourth would end after 12."""
    now = [0.0]
    monkeypatch.setattr(Clock, "passed", lambda clock: now[0])
    train_member = _base.train_member

    def slow(*arguments):
        now[0] += 3.0
        return train_member(*arguments)

    monkeypatch.setattr(_base, "train_member", slow)
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

    monkeypatch.setattr(_base, "train_member", interrupted)
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


# Parameters ------------------------------------------------------------------

BAD = {
    "preset": ["slow", None, 3],
    "categorical_features": ["all", 3, [[0]]],
    "max_one_hot": [-1, 2.5, "8"],
    "min_frequency": [0, 1.0, None],
    "hidden_layer_sizes": [0, (16, 0), (16.0,), "16", 1.5],
    "activation": ["softmax", 1, ("relu",)],
    "n_folds": [0, 2.0, True],
    "n_repeats": [0, -1, "1"],
    "max_iter": [0, 1.5, np.inf],
    "batch_size": [0, "auto", 8.0],
    "learning_rate_init": [0, -0.1, np.nan, "0.1"],
    "weight_decay": [-0.1, np.inf, np.nan],
    "dropout": [1, -0.1, 1.0, "0.1"],
    "n_bins": [0, 2.5],
    "embedding_size": [0, 1.5],
    "scoring": ["nonsense", 3, None],
    "time_limit": [0, -1, np.inf, "1"],
    "n_jobs": [0, 1.5, "2"],
    "random_state": [-1, "0", 2**32, np.random.default_rng(0)],
    "verbose": [-1, "yes"],
}
ONLY = {
    TabularMLPClassifier: {
        "label_smoothing": [1, -0.1, "a"],
        "class_weight": ["unbalanced", 3, [1.0, 2.0]],
        "calibrate": [1, None, "yes"],
    },
    TabularMLPRegressor: {
        "loss": ["mse", None],
        "quantile": [0, 1, [0.5, 0.1], [], [0.1, 1.0]],
        "huber_delta": [0, -1, np.inf],
    },
}


@pytest.mark.parametrize("cls", ONLY)
def test_every_parameter_is_checked(cls):
    model = cls(**FAST).fit(X, Y)
    before = frozen(model)
    bad = BAD | ONLY[cls]
    assert bad.keys() == model.get_params().keys()
    for name, values in bad.items():
        for value in values:
            good = model.get_params()[name]
            model.set_params(**{name: value})
            words = f"The '{name}' parameter of {cls.__name__} must be .* Got "
            with pytest.raises(ValueError, match=words) as caught:
                model.fit(X, Y)
            assert type(caught.value).__name__ == "InvalidParameterError"
            model.set_params(**{name: good})
    assert_unchanged(model, before)


@pytest.mark.parametrize("cls", ONLY)
def test_every_parameter_is_kept(cls):
    """As it was given; and one that is new finds its place in this file."""
    values = {name: object() for name in BAD | ONLY[cls]}
    model = cls(**values)
    assert model.get_params() == values
    assert cls().set_params(**values).get_params() == values


@pytest.mark.parametrize(
    "parameters",
    [
        {"hidden_layer_sizes": ()},
        {"hidden_layer_sizes": 7},
        {"hidden_layer_sizes": np.array([5, 3])},
        {"activation": "silu", "dropout": 0},
        {"n_bins": 1, "embedding_size": 1},
        {"n_folds": 10**6, "max_iter": 1},
        {"weight_decay": 0, "batch_size": 10**6},
        {"random_state": np.int64(3), "verbose": 0},
    ],
)
def test_values_that_are_allowed(parameters):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = classifier(**parameters).fit(X, Y)
    assert model.score(X, Y) > 0.4
    for name in parameters.keys() & model.recipe_.keys():
        expected = parameters[name]
        if name == "hidden_layer_sizes":
            expected = tuple(np.atleast_1d(expected).astype(int).tolist())
        assert model.recipe_[name] == expected


@pytest.mark.parametrize(
    "parameters",
    [
        {"batch_size": 17},
        {"learning_rate_init": 0.01},
        {"weight_decay": 0.5},
        {"dropout": 0.5},
        {"activation": "silu"},
        {"max_iter": 6},
    ],
)
def test_the_recipe_reaches_the_training(parameters):
    one = classifier(scoring=rising()).fit(X, Y)
    other = classifier(scoring=rising(), **parameters).fit(X, Y)
    assert not np.array_equal(thetas(other), thetas(one))


def test_the_recipe_reaches_the_networks():
    settings = {"n_bins": 7, "embedding_size": 5, "max_one_hot": 2}
    model = classifier(**settings, hidden_layer_sizes=(9, 4)).fit(X, Y)
    topology, (theta, *_) = model._bag
    _, (b,), _, _, (table,) = topology.embeddings.views(theta)
    assert [len(edges) for edges in topology.embeddings.edges] == [8]
    assert len(b) == 5 and len(table) == 4
    assert topology.sizes[1:] == (9, 4, 1)


def test_networks_begin_differently():
    settings = {"n_folds": 1, "n_repeats": 2, "learning_rate_init": 1e-12}
    one, other = thetas(classifier(**settings).fit(X, Y))
    assert (np.abs(one - other) > 1e-3).mean() > 0.3  # curves are still 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"y_val": np.zeros((len(Y), 2))}, "y_val must have shape"),
        ({"sample_weight_val": np.full(len(Y), 1.9)}, "sample_weight_val times"),
    ],
)
def test_errors_of_validation_data_say_so(given, message):
    arguments = {"X_val": X, "y_val": Y} | given
    model = classifier(class_weight={label: 1.7e308 for label in set(Y)})
    with pytest.raises(ValueError, match=message):
        model.fit(X, Y, **arguments)


DAYS = pd.date_range("2024", periods=N)
DUPLICATES = pd.DataFrame(np.ones((N, 2)), columns=["a", "a"])


@pytest.mark.parametrize(
    ("X_val", "error", "message"),
    [
        (X[["b", "a"]], ValueError, "In X_val: The feature names should match"),
        (X[["a"]], ValueError, "In X_val: The feature names should match"),
        (DUPLICATES, ValueError, "X_val has 2 columns named 'a'"),
        (X.to_numpy()[:, :1], ValueError, "X_val has 1 features, but TabularMLPCla"),
        (X["a"], ValueError, "In X_val: Expected 2D array, got 1D"),
        ([], ValueError, "In X_val: Expected 2D array, got 1D"),
        (X[:0], ValueError, "In X_val: Found array with 0 sample"),
        (3, ValueError, "In X_val: Expected 2D array, got scalar"),
        (X.assign(a=np.inf), ValueError, "Column 'a' of X_val contains infinity"),
        (X.assign(a="low"), ValueError, "Column 'a' of X_val is to be numeric"),
        (X.assign(a=1j), ValueError, "Complex data not supported: Column 'a' of X_val"),
        (X.assign(b=DAYS), TypeError, "Column 'b' of X_val contains dates"),
        (sp.csr_array(np.eye(N, 2)), TypeError, "In X_val: Sparse data was passed"),
        (pl.DataFrame(X).lazy(), TypeError, "In X_val: TabularMLPClassifier does not"),
    ],
)
@pytest.mark.filterwarnings("ignore:X .* feature names:UserWarning")
def test_errors_of_x_val_say_so(X_val, error, message):
    model = classifier()
    with pytest.raises(error, match=f"^{re.escape(message)}"):
        model.fit(X, Y, X_val=X_val, y_val=Y)
    assert not hasattr(model, "n_features_in_")


def test_a_warning_of_x_val_says_so():
    X_val = X.assign(b=np.arange(N))
    with pytest.warns(UserWarning, match="Column 'b' of X_val held strings in") as got:
        classifier().fit(X, Y, X_val=X_val, y_val=Y)
    assert [each.filename for each in got] == [__file__]


NOTHING = [
    ([], "Expected 2D array, got 1D array"),
    ([[]], r"0 feature\(s\)"),
    ([[], []], r"0 feature\(s\)"),
    (np.zeros((0, 2)), r"0 sample\(s\)"),
    (np.zeros((2, 0)), r"0 feature\(s\)"),
    (pd.DataFrame(), r"0 sample\(s\)"),
    (pd.DataFrame({"a": []}), r"0 sample\(s\)"),
    (pd.DataFrame(index=range(2)), r"0 feature\(s\)"),
    (pl.DataFrame(), r"0 sample\(s\)"),
    (pl.DataFrame({"a": []}), r"0 sample\(s\)"),
    ([1, 2], "Expected 2D array, got 1D array"),
    (["a", "b"], "Expected 2D array, got 1D array"),
    (pd.Series([1, 2]), "Expected 2D array, got 1D array"),
    (np.zeros((2, 2, 2)), "Found array with dim 3"),
    ({"a": [1, 2]}, "Expected 2D array, got scalar array"),
    ("text", "Expected 2D array, got scalar array"),
    (None, "Expected 2D array, got scalar array"),
    (3.0, "Expected 2D array, got scalar array"),
    ([["a"], ["b", "c"]], "inhomogeneous shape"),
    ([[1], [2, 3]], "inhomogeneous shape"),
]


@pytest.mark.parametrize(("nothing", "message"), NOTHING)
@pytest.mark.parametrize("make", [classifier, regressor, TabularEncoder])
def test_what_is_no_table_is_refused(make, nothing, message):
    model = make()
    for y in ([], [0, 1]):
        with pytest.raises(ValueError, match=message):
            model.fit(nothing, y)
    assert not hasattr(model, "n_features_in_")
    model.fit(X, Y)
    with pytest.raises(ValueError, match=message):
        model.transform(nothing) if make is TabularEncoder else model.predict(nothing)


@pytest.mark.parametrize("make", [classifier, regressor])
def test_errors_name_the_estimator_that_the_user_has(make):
    model = make()
    name = type(model).__name__

    def said(call, *args):
        with pytest.raises((TypeError, ValueError)) as raised:
            call(*args)
        assert "TabularEncoder" not in str(raised.value)
        return str(raised.value)

    lazy = pl.DataFrame(X).lazy()
    assert said(model.fit, X[:0], Y[:0]).endswith(f"is required by {name}.")
    assert said(model.fit, np.zeros((2, 2, 2)), Y).endswith(f"required by {name}.")
    assert said(model.fit, lazy, Y).startswith(f"{name} does not accept a polars Lazy")
    said(model.fit, X, None)
    said(model.fit, X.assign(a=DAYS), Y)
    said(make(max_one_hot=-1).fit, X, Y)
    said(make(categorical_features=["z"]).fit, X, Y)
    model.fit(X.to_numpy(), Y)
    assert f"but {name} is expecting 2 features" in said(model.predict, [[1, 2, 3]])
    assert said(model.predict, X[:0]).endswith(f"is required by {name}.")
    with pytest.warns(UserWarning, match=f"X has feature names, but {name} was fitted"):
        model.predict(X)


def test_fit_warns_once_of_a_cell_among_numbers():
    spoilt = X.assign(a=[*X["a"].astype(str)[1:], "?"])
    with pytest.warns(UserWarning, match="Column 'a' is .* such as '.'") as got:
        model = classifier().fit(spoilt, Y)
    assert [each.filename for each in got] == [__file__]
    assert model.encoder_.categorical_features_.tolist() == [0, 1]
    classifier(categorical_features=["a", "b"]).fit(spoilt, Y)  # in silence


def test_a_category_of_another_type_predicts_the_same():
    frame = X.assign(k=pd.Categorical(Y), t=Y == 1)
    model = classifier().fit(frame, Y)
    expected = model.predict_proba(frame)
    text = frame.assign(k=Y.astype(str), t=(Y == 1).astype(str))
    assert_array_equal(model.predict_proba(text), expected)
    assert_array_equal(model.predict_proba(pl.DataFrame(text)), expected)
    numbers = frame.assign(a=X["a"].astype(str))
    assert_array_equal(model.predict_proba(numbers), expected)
    with pytest.warns(UserWarning, match="Column 'k' held numbers .*Column 't' held b"):
        model.predict_proba(frame.assign(k="one", t="yes"))


@pytest.mark.parametrize("wrap", [pd.Series, pd.Categorical])
@pytest.mark.parametrize(
    "values", [DAYS, DAYS.date, DAYS.to_period("D"), DAYS - DAYS[0], DAYS.time]
)
@pytest.mark.parametrize("make", [classifier, regressor])
def test_dates_and_categories_of_them_are_refused(make, values, wrap):
    with pytest.raises(TypeError, match=r"^Column 'd' contains dates .*days since"):
        make().fit(X.reset_index(drop=True).assign(d=wrap(values)), Y)
