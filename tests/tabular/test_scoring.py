"""TabularMLP*: scorers, the epoch that is kept, and calibration.

Answers for: tabular/_base.py, tabular/_classifier.py, _scoring.py.
"""

import copy
from itertools import chain

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from helpers import (
    each_alone,
    scores_of,
    small_table,
)
from helpers import fast_classifier as classifier
from helpers import fast_regressor as regressor
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import log_softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import (
    accuracy_score,
    log_loss,
    mean_absolute_error,
    roc_auc_score,
)

from skbackprop._inputs import Targets
from skbackprop.tabular._classifier import _best_temperature

X, NUMBER, Y, LABELS = small_table()
N = len(X)


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
        each_alone(model), model.validation_scores_, model.best_epochs_, strict=True
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
    w = np.random.default_rng(2).integers(1, 9, N).astype(float)
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
    noise = np.random.default_rng(2).integers(0, 2, N)
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
    noisy = np.random.default_rng(2).integers(0, 3, N)
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
    noisy = np.random.default_rng(2).integers(0, 2, N)
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
