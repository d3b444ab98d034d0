"""TabularMLP*: the same bits, weights of rows and classes, and validation data.

Answers for: tabular/_base.py, tabular/_ensemble.py.
"""

import copy
import pickle
from itertools import chain

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from helpers import (
    assert_pickles_the_same,
    each_alone,
    pickled,
    small_table,
    thetas,
)
from helpers import fast_classifier as classifier
from helpers import fast_regressor as regressor
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.ensemble import StackingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    log_loss,
    recall_score,
)
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skbackprop import TabularMLPClassifier, _threads
from skbackprop.tabular import _ensemble

X, NUMBER, Y, LABELS = small_table()
N = len(X)


# The same bits ---------------------------------------------------------------


@pytest.mark.parametrize("scoring", ["loss", "neg_log_loss"])
def test_same_bits_for_any_number_of_threads(scoring, monkeypatch):
    one = classifier(scoring=scoring, dropout=0.3).fit(X, Y)
    monkeypatch.setattr(_threads, "cpus", lambda: 3)
    for n_jobs in 2, 3, None, -1:
        model = clone(one).set_params(n_jobs=n_jobs).fit(X, Y)
        assert_array_equal(thetas(model), thetas(one))
        assert model.validation_scores_ == one.validation_scores_
        assert_array_equal(model.predict_proba(X), one.predict_proba(X))


def test_same_bits_for_the_same_seed_alone():
    one = regressor().fit(X, NUMBER)
    np.random.seed(3)
    before = np.random.get_state()
    assert_array_equal(thetas(regressor().fit(X, NUMBER)), thetas(one))
    for a, b in zip(before, np.random.get_state(), strict=True):
        assert_array_equal(a, b)
    again = one.fit(X, NUMBER)  # a second fit is a first one
    assert_array_equal(thetas(again), thetas(regressor().fit(X, NUMBER)))
    other = regressor(random_state=1).fit(X, NUMBER)
    assert not np.array_equal(other.predict(X), one.predict(X))
    stream = np.random.RandomState(0)
    first = regressor(random_state=stream).fit(X, NUMBER)
    assert_array_equal(thetas(first), thetas(one))
    second = regressor(random_state=stream).fit(X, NUMBER)
    assert not np.array_equal(thetas(second), thetas(one))


def test_networks_of_a_bag_differ():
    model = regressor(n_folds=1, n_repeats=3).fit(X, NUMBER)
    one, two, three = thetas(model)
    assert not np.array_equal(one, two) and not np.array_equal(two, three)


def test_a_second_fit_forgets_the_first_s_temperature():
    settings = {"calibrate": True, "scoring": "neg_log_loss", "max_iter": 30}
    model = classifier(**settings).fit(X, Y)
    scores, temperature = model.validation_scores_, model.temperature_
    assert temperature != 1
    model.fit(X, Y)
    assert model.validation_scores_ == scores and model.temperature_ == temperature


@pytest.mark.parametrize("model", [classifier(calibrate=True), regressor()])
def test_copies_of_a_fitted_estimator(model, tmp_path):
    model = clone(model).fit(X, Y)
    joblib.dump(model, tmp_path / "model")
    for twin in (
        pickle.loads(pickle.dumps(model)),
        copy.deepcopy(model),
        joblib.load(tmp_path / "model"),
    ):
        assert_array_equal(twin.predict(X), model.predict(X))
        assert twin.get_params() == model.get_params()
        if hasattr(model, "predict_proba"):
            assert_array_equal(twin.predict_proba(X), model.predict_proba(X))
        assert_array_equal(thetas(twin.fit(X, Y)), thetas(model))


def test_in_scikit_learn_s_tools():
    pipeline = make_pipeline(FunctionTransformer(lambda data: data[["b", "a"]]))
    pipeline.steps.append(("mlp", classifier()))
    assert_array_equal(
        pipeline.fit(X, Y).predict(X),
        classifier().fit(X[["b", "a"]], Y).predict(X[["b", "a"]]),
    )
    scores = cross_val_score(classifier(max_iter=20), X, Y, cv=2)
    assert scores.shape == (2,) and scores.mean() > 0.6
    grid = {"preset": ["fast", "balanced"], "dropout": [0.0, 0.5]}
    search = GridSearchCV(classifier(), grid, cv=2).fit(X, Y)
    best = search.best_estimator_
    assert best.recipe_["dropout"] == search.best_params_["dropout"]
    stack = StackingClassifier([("mlp", classifier())], LogisticRegression(), cv=2)
    assert stack.fit(X, Y).score(X, Y) > 0.6


# Weights ---------------------------------------------------------------------


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_rows_without_weight_have_no_say(n_jobs):
    w = np.ones(N)
    w[::3] = 0
    y = NUMBER.copy()
    y[::3] = np.linspace(-1e6, 1e6, N // 3)
    one = regressor(n_jobs=n_jobs).fit(X, NUMBER, w)
    other = regressor(n_jobs=n_jobs).fit(X, y, w)
    assert_array_equal(thetas(one), thetas(other))
    assert_array_equal(one.predict(X), other.predict(X))
    assert_array_equal(one._clamp, other._clamp)
    labels = np.where(w > 0, Y, 1 - Y)
    one, other = classifier().fit(X, Y, w), classifier().fit(X, labels, w)
    assert_array_equal(one.predict_proba(X), other.predict_proba(X))
    assert not np.array_equal(thetas(one), thetas(classifier().fit(X, Y)))
    one, other = classifier().fit(X, LABELS, w), classifier().fit(X, LABELS)
    assert not np.array_equal(thetas(one), thetas(other))


def test_heavy_rows_draw_predictions():
    heavy = np.where(Y == 1, 20.0, 1.0)
    p = [
        classifier(max_iter=20).fit(X, Y, w).predict_proba(X)[:, 1].mean()
        for w in (1 / heavy, None, heavy)
    ]
    assert p[0] + 0.1 < p[1] < p[2] - 0.1
    model = regressor(max_iter=20).fit(X, NUMBER, np.where(NUMBER > 1, 50.0, 1.0))
    plain = regressor(max_iter=20).fit(X, NUMBER)
    assert model.predict(X).mean() > plain.predict(X).mean() + 0.3
    w = np.where(NUMBER > 1, 50.0, 1.0)
    mean = np.average(NUMBER, weights=w)
    assert_allclose(model.target_mean_, mean, rtol=1e-6)
    spread = np.sqrt(np.average((NUMBER - mean) ** 2, weights=w))
    assert_allclose(model.target_scale_, spread, rtol=1e-6)


def test_the_range_is_that_of_rows_with_weight():
    w = (NUMBER < 1).astype(float)
    model = regressor(max_iter=20).fit(X, NUMBER, w)
    assert model.predict(X).max() <= NUMBER[NUMBER < 1].max()
    assert regressor(max_iter=20).fit(X, NUMBER).predict(X).max() > 1


def test_weights_of_one_change_nothing():
    one = classifier().fit(X, Y)
    for w in (np.ones(N), 1.0, [1] * N):
        assert_array_equal(thetas(classifier().fit(X, Y, w)), thetas(one))


@pytest.mark.parametrize("estimator", [classifier(), regressor()])
@pytest.mark.parametrize("settings", [{}, {"scoring": "loss"}, {"preset": "balanced"}])
def test_the_scale_of_weights_does_not_matter(estimator, settings):
    """float32 has no number for most of these."""
    w = (
        np.random.default_rng(2)
        .uniform(0.5, 2, N)
        .astype(np.float32)
        .astype(np.float64)
    )
    y = Y if isinstance(estimator, TabularMLPClassifier) else NUMBER
    one = clone(estimator).set_params(**settings).fit(X, y, w)
    for scale in (2.0**k for k in (-1020, -140, -30, 30, 140, 1020)):
        same = clone(one).fit(X, y, scale * w)
        assert_array_equal(thetas(same), thetas(one))
        assert same.validation_scores_ == one.validation_scores_
        assert_array_equal(same.predict(X), one.predict(X))
    for scale in 1e-300, 1e-38, 1e38, 1e300:
        found = clone(one).fit(X, y, scale * w).predict(X)
        assert_allclose(found, one.predict(X), rtol=1e-4, atol=1e-5)


def test_the_scale_of_weights_of_classes_does_not_matter():
    w = np.random.default_rng(2).uniform(0.5, 2, N)
    for k in -140, 140, 500:
        by_class = {
            label: weight * 2.0**k for label, weight in {0: 3.0, 1: 0.5}.items()
        }
        one = classifier(class_weight={0: 3.0, 1: 0.5}).fit(X, Y, w)
        other = classifier(class_weight=by_class).fit(X, Y, w * 2.0**k)
        assert_array_equal(thetas(one), thetas(other))


@pytest.mark.parametrize("scale", [1e-300, 2.0**-140, 2.0**140, 1e300])
def test_the_scale_of_validation_weights_does_not_matter(scale):
    w = np.random.default_rng(2).uniform(0.5, 2, N)
    rows = {"X_val": X, "y_val": Y}
    one = classifier().fit(X, Y, **rows, sample_weight_val=w)
    other = classifier().fit(X, Y, **rows, sample_weight_val=w * scale)
    assert_array_equal(thetas(one), thetas(other))
    assert_allclose(other.validation_score_, one.validation_score_, rtol=1e-6)


@pytest.mark.parametrize(
    "y",
    [
        np.where(Y, 1.5e308, 1.4e308),
        np.r_[1.7e308, -1.7e308, NUMBER[2:] * 1e306],
        NUMBER * 1e307,
        NUMBER * 1e-300,
        np.full(N, 1e308),
    ],
    ids=["large", "far apart", "1e307", "1e-300", "constant"],
)
def test_targets_of_any_size(y):
    """A power of two of NUMBER, or of what is as far apart, is the same problem."""
    size = np.abs(y).max()
    unit = 2.0 ** -np.frexp(size)[1]
    model, one = regressor().fit(X, y), regressor().fit(X, y * unit)
    assert_array_equal(thetas(model), thetas(one))
    found = model.predict(X)
    assert np.isfinite(found).all()
    assert_allclose(found * unit, one.predict(X), rtol=1e-12)
    assert y.min() <= found.min() and found.max() <= y.max()


def test_a_validation_target_that_is_too_far_away():
    with pytest.raises(ValueError, match=r"^y_val has a number that is too far"):
        regressor().fit(X, NUMBER, X_val=X, y_val=NUMBER * 1e200)


@pytest.mark.parametrize("estimator", [classifier(), regressor()])
@pytest.mark.parametrize(
    ("weight", "words"),
    [
        (np.zeros(N), "at least one non-zero"),
        (-np.ones(N), "Negative values in data passed to `sample_weight`"),
        (np.ones(N - 1), r"sample_weight.shape == \(119,\), expected \(120,\)"),
        (np.ones((N, 2)), "1D array or scalar"),
        (np.full(N, np.nan), "Input sample_weight contains NaN"),
        (np.full(N, np.inf), "Input sample_weight contains infinity"),
    ],
)
def test_sample_weights_that_are_refused(estimator, weight, words):
    model = clone(estimator).fit(X, Y)
    before = pickled(model, X)
    with pytest.raises(ValueError, match=words):
        model.fit(X, Y, weight)
    assert_pickles_the_same(model, before, X)


def test_class_weights():
    rare = (NUMBER > 2).astype(int)

    def recall(**parameters):
        model = classifier(max_iter=20, **parameters).fit(X, rare)
        return recall_score(rare, model.predict(X))

    assert recall(class_weight="balanced") > recall() + 0.2
    assert recall(class_weight={1: 30.0}) > recall() + 0.2
    w = np.where(rare, 4.0, 0.5)
    by_class = classifier(class_weight={0: 0.5, 1: 4.0}).fit(X, rare)
    by_row = classifier().fit(X, rare, w)
    assert_array_equal(thetas(by_class), thetas(by_row))
    half = np.where(np.arange(N) % 2, 1.0, 2.0)
    by_both = classifier(class_weight={0: 0.5, 1: 4.0}).fit(X, rare, half)
    assert_array_equal(thetas(by_both), thetas(classifier().fit(X, rare, w * half)))


def test_a_class_of_no_weight():
    y = np.digitize(NUMBER, [0, 1])
    model = classifier(class_weight={2: 0.0}, max_iter=20).fit(X, y)
    assert list(model.classes_) == [0, 1, 2]
    assert model.predict_proba(X)[:, 2].mean() < 0.15
    only = classifier().fit(X, y, np.where(y == 2, 0.0, 1.0))
    assert_array_equal(thetas(model.set_params(max_iter=5).fit(X, y)), thetas(only))


def test_class_weights_of_labels():
    by_list = [{0: 1.0, 1: 9.0}, {0: 1.0, 1: 1.0}, {0: 1.0, 1: 1.0}]
    model = classifier(class_weight=by_list).fit(X, LABELS)
    w = np.where(LABELS[:, 0], 9.0, 1.0)
    assert_array_equal(thetas(model), thetas(classifier().fit(X, LABELS, w)))
    balanced = classifier(class_weight="balanced").fit(X, LABELS)
    assert not np.array_equal(thetas(balanced), thetas(classifier().fit(X, LABELS)))


@pytest.mark.parametrize(
    ("weight", "words"),
    [
        ({0: -1.0, 1: 1.0}, "class_weight must hold no negative"),
        ({0: np.nan, 1: 1.0}, "class_weight must hold no negative"),
        ({0: np.inf, 1: 1.0}, "must be finite"),
        ({0: 0.0, 1: 0.0}, "class_weight must leave one above zero"),
        ({"yes": 2.0}, r"names classes that y has not: \['yes'\]"),
        ([{0: 1.0}], "a list is for several labels"),
    ],
)
def test_class_weights_that_are_refused(weight, words):
    model = classifier(class_weight=weight)
    with pytest.raises(ValueError, match=words):
        model.fit(X, Y)
    assert vars(model) == model.get_params()


# Validation ------------------------------------------------------------------


def given(rows=slice(None), **more):
    return {"X_val": X[rows], "y_val": Y[rows]} | more


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_own_validation_data(frame):
    data = {name: X[name].to_list() for name in X}
    train = frame({name: values[:80] for name, values in data.items()})
    val = frame({name: values[80:] for name, values in data.items()})
    settings = {"max_iter": 12, "learning_rate_init": 0.2}
    model = classifier(**settings).fit(train, Y[:80], X_val=val, y_val=Y[80:])
    assert model.n_networks_ == 3
    for alone, scores, best in zip(
        each_alone(model), model.validation_scores_, model.best_epochs_, strict=True
    ):
        assert np.argmax(scores) + 1 == best
        loss = log_loss(Y[80:], alone.predict_proba(val))
        assert_allclose(-loss, scores[best - 1], rtol=1e-5)
    other = classifier(**settings).fit(train, Y[:80], X_val=train, y_val=Y[:80])
    assert other.validation_scores_ != model.validation_scores_
    assert list(other.best_epochs_) != list(model.best_epochs_)


def test_own_validation_data_trains_on_all_rows(monkeypatch):
    seen = []

    def noting(topology, recipe, table, rows, *rest):
        seen.append(rows.tolist())
        return train_member(topology, recipe, table, rows, *rest)

    train_member = _ensemble.train_member
    monkeypatch.setattr(_ensemble, "train_member", noting)
    classifier().fit(X, Y, **given(slice(0, 20)))
    assert seen == [list(range(N))] * 3
    seen.clear()
    classifier().fit(X, Y)
    held = [sorted(set(range(N)) - set(rows)) for rows in seen]
    assert [len(rows) for rows in held] == [N // 3] * 3
    assert sorted(chain.from_iterable(held)) == list(range(N))
    seen.clear()
    w = np.arange(N) % 2
    classifier(n_folds=1, n_repeats=2).fit(X, Y, w)
    assert seen == [list(range(1, N, 2))] * 2


def test_validation_weights():
    w = np.linspace(0, 5, 40)
    model = classifier().fit(X[:80], Y[:80], **given(slice(80, N)), sample_weight_val=w)
    for alone, scores in zip(each_alone(model), model.validation_scores_, strict=True):
        p = alone.predict_proba(X[80:])
        loss = log_loss(Y[80:], p, sample_weight=w)
        assert_allclose(-loss, max(scores), rtol=1e-5)
        assert abs(loss - log_loss(Y[80:], p)) > 1e-3


def test_fold_weights():
    w = np.where(np.arange(N) % 2, 5.0, 0.1)
    scores = [
        classifier(scoring="accuracy").fit(X, Y, w).validation_scores_
        for w in (None, np.ones(N), w)
    ]
    assert scores[0] == scores[1] != scores[2]


@pytest.mark.parametrize(
    ("validation", "words"),
    [
        ({"X_val": X}, "X_val and y_val must be given together"),
        ({"y_val": Y}, "X_val and y_val must be given together"),
        ({"sample_weight_val": np.ones(N)}, "must be given together"),
        (given(y_val=Y + 1), r"`y_val` has classes not in `self.classes_`: \[2\]"),
        (given(y_val=Y.astype(str)), "`y_val` has .*: text and numbers are mixed"),
        (given(y_val=Y + 0.5), "Unknown label type"),
        (given(y_val=np.where(Y, np.nan, 1.0)), "Input y_val contains NaN"),
        (given(y_val=[None] * N), "Input y_val contains None"),
        (given(y_val=Y[1:]), "inconsistent numbers of samples"),
        (given(X_val=X[["a"]]), "feature names"),
        (given(X_val=X.assign(c=1)), "feature names"),
        (given(sample_weight_val=np.ones(3)), r"sample_weight_val.shape == \(3,\)"),
        (given(sample_weight_val=-np.ones(N)), "passed to `sample_weight_val`"),
    ],
)
def test_validation_data_that_are_refused(validation, words):
    model = classifier().fit(X, Y)
    before = pickled(model, X)
    with pytest.raises(ValueError, match=words):
        model.fit(X, Y, **validation)
    assert_pickles_the_same(model, before, X)


def test_validation_data_of_other_kinds_of_y():
    with pytest.raises(ValueError, match="Input y_val contains NaN"):
        regressor().fit(X, NUMBER, X_val=X, y_val=[np.nan] * N)
    with pytest.raises(ValueError, match=r"y_val must have 1 columns. Got 2"):
        regressor().fit(X, NUMBER, X_val=X, y_val=np.ones((N, 2)))
    with pytest.raises(ValueError, match=r"indicator matrix of 3 columns"):
        classifier().fit(X, LABELS, X_val=X, y_val=LABELS[:, :2])
    with pytest.raises(ValueError, match="validation rows sum to zero"):
        model = classifier(class_weight={0: 0.0})
        model.fit(X, Y, X_val=X[Y == 0], y_val=Y[Y == 0])
    model = regressor().fit(X, LABELS, X_val=X[:9], y_val=LABELS[:9] * 7.0)
    assert model.predict(X).shape == LABELS.shape


@pytest.mark.parametrize(
    ("y", "words"),
    [
        ([1.0] * (N - 1) + [np.inf], "infinity"),
        (np.array([1.0] * (N - 1) + [np.inf], dtype=object), "Input y contains inf"),
        (np.array([1.0] * (N - 1) + [None], dtype=object), "Input y contains None"),
        (["a"] * N, "y must be a dense array of numbers"),
        (np.array([*["a"] * (N - 1), 3], dtype=object), "y must hold numbers"),
    ],
)
def test_numbers_that_are_refused(y, words):
    model = regressor()
    with pytest.raises(ValueError, match=words):
        model.fit(X, y)
    assert vars(model) == model.get_params()


def held_out(monkeypatch, model, *data):
    """The rows that each network has not been trained on."""
    seen = []

    def noting(topology, recipe, table, rows, *rest):
        seen.append(np.setdiff1d(np.arange(N), rows))
        return train_member(topology, recipe, table, rows, *rest)

    train_member = _ensemble.train_member
    with monkeypatch.context() as patch:
        patch.setattr(_ensemble, "train_member", noting)
        model.fit(*data)
    return seen


def test_every_fold_has_its_share(monkeypatch):
    """Of every class, and of low and high numbers; also where rows have no weight."""
    w = (np.arange(N) % 4 > 0).astype(float)
    for weights in None, w:
        kept = np.ones(N) if weights is None else w
        for y in (np.argsort(np.argsort(NUMBER)) > N - 12, np.arange(N) // 7 % 3):
            for rows in held_out(monkeypatch, classifier(), X, y, weights):
                rows = rows[kept[rows] > 0]
                for label in np.unique(y):
                    share = kept[y == label].sum() / 3
                    assert abs((y[rows] == label).sum() - share) < 1
        low = np.argsort(np.argsort(np.where(kept > 0, NUMBER, np.inf))) < 64
        for rows in held_out(monkeypatch, regressor(), X, NUMBER, weights):
            assert abs(low[rows].sum() - 64 / 3) < 1


def test_folds_are_scored_by_the_rows_held_out():
    loss = classifier().fit(X, Y).validation_scores_
    named = classifier(scoring="neg_log_loss").fit(X, Y).validation_scores_
    assert_allclose(loss, named, rtol=1e-5)
