"""TabularMLP*: raw frames in, and what is learnt and predicted of them.

Answers for: tabular/_base.py, tabular/_classifier.py, tabular/_regressor.py,
tabular/_scaling.py.
"""

import tracemalloc

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import sklearn
from helpers import FAST
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, logit, softmax
from sklearn.exceptions import NotFittedError

from skbackprop import TabularMLPClassifier, TabularMLPRegressor
from skbackprop._evaluation import make_table, predict

#: Batches are the recipe's.
SETTINGS = FAST | {"n_folds": 2, "max_iter": 8, "batch_size": None}
#: Enough steps to learn from few rows.
MORE = {"max_iter": 30, "batch_size": 16, "hidden_layer_sizes": (32,)}
#: What biases need to find a constant far from 0.
LONG = {"max_iter": 150, "batch_size": 16}
N = 1000
RNG = np.random.default_rng(0)


def classifier(**parameters):
    return TabularMLPClassifier(**SETTINGS | parameters)


def regressor(**parameters):
    return TabularMLPRegressor(**SETTINGS | parameters)


def gaps(values, every):
    return [None if i % every == 1 else v for i, v in enumerate(values)]


SIGN = RNG.standard_normal(N)
CITY = RNG.integers(12, size=N)
DATA = {
    "tiny": (1e-30 * RNG.standard_normal(N)).tolist(),
    "huge": gaps((1e30 * SIGN + 3e30).tolist(), 9),
    "skewed": np.exp(5 * RNG.standard_normal(N)).tolist(),
    "whole": RNG.integers(0, 5, N).tolist(),
    "member": RNG.choice([True, False], N).tolist(),
    "city": [f"c{i}" for i in CITY],
    "color": gaps(RNG.choice(["red", "green", "blue"], N).tolist(), 7),
    "constant": [4] * N,
    "empty": [None] * N,
    "only": ["one"] * N,
}
#: A nonlinear function of a number and two columns of categories.
NUMBER = np.where(DATA["member"], SIGN, -SIGN) + (CITY % 3 == 0)
BINARY = (NUMBER > 0.3).astype(int)
PANDAS = pd.DataFrame(DATA)
POLARS = pl.DataFrame(DATA)
CATEGORY = PANDAS.assign(
    city=PANDAS["city"].astype("category"), color=PANDAS["color"].astype("string")
)


# Frames ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "frame", [PANDAS, CATEGORY, POLARS], ids=["pandas", "category", "polars"]
)
def test_a_raw_frame(frame):
    model = classifier(**MORE).fit(frame, BINARY)
    assert model.score(frame, BINARY) > 0.85
    assert model.encoder_.dropped_features_.tolist() == [7, 8, 9]
    assert list(model.feature_names_in_) == list(DATA)
    same = classifier(**MORE).fit(PANDAS, BINARY)
    assert_array_equal(model.predict_proba(frame), same.predict_proba(PANDAS))
    assert_array_equal(model.predict_proba(frame), model.predict_proba(PANDAS))


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_what_fit_has_not_seen(frame):
    """New categories, gaps where there were none, and numbers beyond the range."""
    model = regressor().fit(frame(DATA), NUMBER)
    row = {name: [values[0]] for name, values in DATA.items()}
    known = model.predict(frame(row))
    for change in (
        {"city": ["Atlantis"]},
        {"city": [None]},
        {"tiny": [None]},
        {"skewed": [1e300]},
        {"member": [None]},
    ):
        other = model.predict(frame(row | change))
        assert np.isfinite(other).all()
        if change != {"skewed": [1e300]}:
            assert other != known
    # What says nothing in fit says nothing after.
    for change in ({"constant": [5]}, {"only": ["two"]}, {"empty": [3.0]}):
        assert_array_equal(model.predict(frame(row | change)), known)
    far, farther = (model.predict(frame(row | {"huge": [v]})) for v in (1e35, 1e36))
    assert_array_equal(far, farther)


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_dates_are_refused_with_advice(frame):
    X = frame({"a": [1.0, 2.0], "day": pd.date_range("2020", periods=2).to_numpy()})
    with pytest.raises(TypeError, match=r"'day' contains dates.*Replace it by numbers"):
        classifier().fit(X, [0, 1])


@pytest.mark.parametrize("weighted", [False, True])
def test_columns_that_say_nothing(weighted):
    frame = PANDAS[["constant", "empty", "only"]]
    w = np.where(BINARY, 3.0, 1.0) if weighted else np.ones(N)
    model = classifier(**LONG).fit(frame, BINARY, w)
    p = model.predict_proba(frame)
    assert (p == p[0]).all()
    assert_allclose(p[0, 1], np.average(BINARY, weights=w), atol=0.05)
    numbers = regressor(**LONG).fit(frame, NUMBER, w).predict(frame)
    assert (numbers == numbers[0]).all()
    mean = np.average(NUMBER, weights=w)
    assert_allclose(numbers[0], mean, atol=0.15 * NUMBER.std())


def test_arrays_lists_and_y_of_many_kinds():
    array = np.column_stack([SIGN, DATA["whole"], CITY])
    expected = classifier().fit(array, BINARY).predict(array)
    for X, y in (
        (array.tolist(), BINARY.tolist()),
        (array, pd.Series(BINARY, index=np.arange(N)[::-1])),
        (array, pl.Series(BINARY)),
        (array, pd.Series(BINARY).astype("category")),
        (array, BINARY == 1),
    ):
        assert_array_equal(classifier().fit(X, y).predict(X), expected)
    words = np.array(["no", "yes"])
    for y in (words[BINARY], pd.Series(words[BINARY]).astype("string")):
        found = classifier().fit(array, y).predict(array)
        assert_array_equal(found, words[expected])


def test_other_columns_are_refused():
    model = classifier().fit(PANDAS, BINARY)
    with pytest.raises(ValueError, match=r"Feature names unseen(.|\n)*other"):
        model.predict(PANDAS.rename(columns={"tiny": "other"}))
    with pytest.raises(ValueError, match=r"seen at fit time, yet now missing(.|\n)*ti"):
        model.predict(PANDAS.drop(columns="tiny"))
    with pytest.raises(ValueError, match="must be in the same order"):
        model.predict(PANDAS[PANDAS.columns[::-1]])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        found = model.predict(PANDAS.to_numpy(dtype=object))
    assert_array_equal(found, model.predict(PANDAS))
    array = classifier().fit(SIGN[:, None], BINARY)
    with pytest.raises(ValueError, match=r"X has 2 features, but .* expecting 1"):
        array.predict(np.zeros((3, 2)))
    assert not hasattr(array, "feature_names_in_")
    assert not hasattr(model.fit(SIGN[:, None], BINARY), "feature_names_in_")


def test_categories_that_are_numbers():
    """categorical_features, max_one_hot and min_frequency reach the encoder."""
    X = np.column_stack([CITY, SIGN])
    model = classifier(categorical_features=[0], max_one_hot=4).fit(X, BINARY)
    assert model.encoder_.cardinalities_ == [13]
    assert classifier(max_one_hot=12).fit(PANDAS, BINARY).encoder_.cardinalities_ == []
    rare = classifier(min_frequency=N).fit(PANDAS[["city", "whole"]], BINARY)
    assert 0 in rare.encoder_.dropped_features_


def test_where_scikit_learn_gives_frames():
    """Transformers are told to give frames; the encoder inside must not."""
    expected = classifier().fit(PANDAS, BINARY).predict_proba(PANDAS)
    for output in "pandas", "polars":
        with sklearn.config_context(transform_output=output):
            model = classifier().fit(PANDAS, BINARY, X_val=PANDAS, y_val=BINARY)
            model = classifier().fit(PANDAS, BINARY)
            assert_array_equal(model.predict_proba(PANDAS), expected)


# Learning --------------------------------------------------------------------


def test_classes():
    y = np.digitize(NUMBER, [-0.5, 0.8])
    labels = np.array(["low", "mid", "high"])[y]
    model = classifier(**MORE).fit(PANDAS[:750], labels[:750])
    assert list(model.classes_) == ["high", "low", "mid"]
    baseline = np.unique(labels[750:], return_counts=True)[1].max() / 250
    assert model.score(PANDAS[750:], labels[750:]) > baseline + 0.2


def test_labels():
    Y = np.column_stack([BINARY, SIGN > 0, CITY % 3 == 0]).astype(int)
    for y in Y, sp.csr_matrix(Y):
        model = classifier(**MORE).fit(PANDAS[:750], y[:750])
        found = model.predict(PANDAS[750:])
        assert sp.issparse(found) == sp.issparse(y)
        found = found.toarray() if sp.issparse(found) else found
        assert found.shape == (250, 3)
        assert ((found == Y[750:]).mean(axis=0) > 0.8).all()
    p = model.predict_proba(PANDAS)
    assert p.shape == (N, 3)
    assert_allclose(p, np.exp(model.predict_log_proba(PANDAS)))
    assert_allclose(model.decision_function(PANDAS), logit(p), atol=1e-9)


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber"])
def test_numbers_of_any_scale_and_offset(loss):
    y = 1e9 + 1e6 * NUMBER
    model = regressor(loss=loss, **MORE).fit(PANDAS[:750], y[:750])
    assert model.score(PANDAS[750:], y[750:]) > 0.6
    assert_allclose(model.target_mean_, y[:750].mean())
    assert_allclose(model.target_scale_, y[:750].std())
    for scale in 1e-290, 1e290:  # squares would be 0 or infinite
        with np.errstate(under="ignore"):
            other = regressor(loss=loss).fit(PANDAS, scale * NUMBER)
            found = other.predict(PANDAS) / scale
        assert_allclose(found, regressor(loss=loss).fit(PANDAS, NUMBER).predict(PANDAS))


def test_targets_of_very_different_scales():
    Y = np.column_stack([1e-8 * NUMBER, 1e8 * SIGN + 1e9, np.full(N, 3.0)])
    model = regressor(**MORE).fit(PANDAS[:750], Y[:750])
    found = model.predict(PANDAS[750:])
    assert found.shape == (250, 3)
    for k in range(2):
        assert np.corrcoef(found[:, k], Y[750:, k])[0, 1] > 0.8
        assert abs(found[:, k] - Y[750:, k]).mean() < 0.6 * Y[:, k].std()
    assert (found[:, 2] == 3).all()


def test_quantiles_cover_and_never_cross():
    levels = [0.1, 0.5, 0.9]
    x = RNG.uniform(-1, 1, 600)
    y = x + (1.5 + x) * RNG.standard_normal(600)
    X = x[:, None]
    model = regressor(loss="quantile", quantile=levels, **MORE).fit(X, y)
    found = model.predict(X)
    assert found.shape == (600, 3)
    assert (np.diff(found, axis=1) >= 0).all()
    assert_allclose((y[:, None] <= found).mean(axis=0), levels, atol=0.08)
    width = found[:, 2] - found[:, 0]
    assert width[x > 0.5].mean() > 1.3 * width[x < -0.5].mean()
    assert_array_equal(model.quantiles_, levels)
    both = regressor(loss="quantile", quantile=levels).fit(X, np.c_[y, -1e6 * y])
    found = both.predict(X)
    assert found.shape == (600, 2, 3)
    assert (np.diff(found, axis=2) >= 0).all()
    assert np.abs(found[:, 1]).max() > 1e5 > np.abs(found[:, 0]).max()
    one = regressor(loss="quantile", quantile=0.9, **MORE).fit(X, y)
    assert one.predict(X).shape == (600,)
    assert 0.8 < (y <= one.predict(X)).mean() < 0.97
    assert one.set_params(loss="squared_error").fit(X, y).quantiles_ is None


def test_robust_losses_resist_outliers():
    y = NUMBER.copy()
    y[::10] += 100.0
    errors = {
        loss: np.abs(
            regressor(loss=loss, huber_delta=0.05, **MORE)
            .fit(PANDAS, y)
            .predict(PANDAS)
            - NUMBER
        ).mean()
        for loss in ("squared_error", "absolute_error", "huber")
    }
    assert errors["absolute_error"] < 0.5 * errors["squared_error"]
    assert errors["huber"] < 0.5 * errors["squared_error"]


# Predictions -----------------------------------------------------------------


def by_hand(model, X):
    """Z_J of every network, by the engine."""
    topology, thetas = model._bag
    table = make_table(model._matrix(X), dtype=np.float32)
    return [predict(topology, theta, table, raw=True) for theta in thetas]


def test_probabilities_are_averaged_over_networks():
    model = classifier(n_folds=3).fit(PANDAS, BINARY)
    logits = by_hand(model, PANDAS)
    assert len(logits) == 3
    expected = np.mean([expit(z[:, 0].astype(float)) for z in logits], axis=0)
    assert_allclose(model.predict_proba(PANDAS)[:, 1], expected, rtol=1e-9)
    model.temperature_ = 2.5
    expected = np.mean([expit(z[:, 0].astype(float) / 2.5) for z in logits], axis=0)
    assert_allclose(model.predict_proba(PANDAS)[:, 1], expected, rtol=1e-9)
    model = classifier(n_repeats=2).fit(PANDAS, CITY % 4)
    logits = by_hand(model, PANDAS)
    assert len(logits) == 4
    expected = np.mean([softmax(z.astype(float), axis=1) for z in logits], axis=0)
    assert_allclose(model.predict_proba(PANDAS), expected, rtol=1e-9)


def test_numbers_are_averaged_over_networks_and_clamped():
    model = regressor(n_folds=3).fit(PANDAS, NUMBER)
    mean = np.mean([z[:, 0].astype(float) for z in by_hand(model, PANDAS)], axis=0)
    expected = mean * model.target_scale_ + model.target_mean_
    inside = (expected > NUMBER.min()) & (expected < NUMBER.max())
    assert_allclose(model.predict(PANDAS)[inside], expected[inside], rtol=1e-9)
    topology, thetas = model._bag
    for sign, bound in (1, NUMBER.max()), (-1, NUMBER.min()):
        for theta in thetas:
            topology.views(theta)[1][-1][:] = sign * 1e6
        assert_array_equal(model.predict(PANDAS), np.full(N, bound))


@pytest.mark.parametrize("classes", [2, 3])
def test_probabilities_agree_with_everything_else(classes):
    y = BINARY if classes == 2 else np.digitize(NUMBER, [-0.5, 0.8])
    model = classifier().fit(PANDAS, y)
    p, log_p = model.predict_proba(PANDAS), model.predict_log_proba(PANDAS)
    z = model.decision_function(PANDAS)
    assert_allclose(p.sum(axis=1), 1, rtol=1e-15)
    assert_allclose(p, np.exp(log_p), rtol=1e-12)
    assert_array_equal(p.argmax(axis=1), model.predict(PANDAS))
    if classes == 2:
        assert_array_equal(z > 0, model.predict(PANDAS) == 1)
        assert_allclose(z, logit(p[:, 1]), atol=1e-9)
    else:
        assert_array_equal(z, log_p)


@pytest.mark.parametrize("classes", [2, 3])
def test_extreme_logits_stay_finite(classes):
    y = BINARY if classes == 2 else np.digitize(NUMBER, [-0.5, 0.8])
    model = classifier().fit(PANDAS, y)
    topology, thetas = model._bag
    for theta in thetas:
        topology.views(theta)[0][-1][:] *= 1e6
    log_p, z = model.predict_log_proba(PANDAS), model.decision_function(PANDAS)
    assert log_p.min() < -1000 and np.isfinite(log_p).all()
    assert np.abs(z).max() > 1000 and np.isfinite(z).all()
    p = model.predict_proba(PANDAS)
    assert_allclose(p.sum(axis=1), 1, rtol=1e-15)
    assert p.min() == 0


# Little to learn from --------------------------------------------------------


def test_constant_targets():
    for y in (np.full(N, 0.1), np.full((N, 2), -7e12)):
        model = regressor().fit(PANDAS, y)
        assert_array_equal(model.predict(PANDAS), y)
        assert_array_equal(model.predict(PANDAS[:1]), y[:1])


@pytest.mark.parametrize("calibrate", [False, True])
def test_one_class(calibrate):
    model = classifier(calibrate=calibrate).fit(PANDAS, ["a"] * N)
    assert list(model.predict(PANDAS[:2])) == ["a", "a"]
    assert model.predict_proba(PANDAS[:2]).tolist() == [[1], [1]]
    assert model.predict_log_proba(PANDAS[:2]).tolist() == [[0], [0]]
    assert model.temperature_ == 1


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("n_folds", [1, 8])
def test_few_rows(n, n_folds):
    X, y = PANDAS[:n], NUMBER[:n]
    numbers = regressor(n_folds=n_folds).fit(X, y)
    assert ((numbers.predict(X) >= y.min()) & (numbers.predict(X) <= y.max())).all()
    model = classifier(n_folds=n_folds, calibrate=True).fit(X, np.arange(n))
    assert model.predict_proba(X).shape == (n, n)
    assert model.n_networks_ == numbers.n_networks_ == min(n, n_folds)
    assert model.recipe_["n_folds"] == n_folds


def test_classes_of_one_member():
    y = np.zeros(N, dtype=int)
    y[3], y[5], y[8] = 1, 2, 3
    model = classifier(n_folds=3).fit(PANDAS, y)
    assert model.predict_proba(PANDAS).shape == (N, 4)
    assert model.score(PANDAS, y) > 0.98


def test_no_row_at_all():
    for X in PANDAS[:0], np.empty((0, 2)):
        with pytest.raises(ValueError, match="0 sample"):
            classifier().fit(X, [])
    with pytest.raises(ValueError, match=r"0 feature\(s\)"):
        classifier().fit(PANDAS[[]], BINARY)


@pytest.mark.parametrize("cls", [TabularMLPClassifier, TabularMLPRegressor])
def test_not_fitted(cls):
    with pytest.raises(NotFittedError, match=f"This {cls.__name__}"):
        cls().predict(PANDAS)


def test_nothing_is_copied_of_the_matrix():
    X = RNG.standard_normal((20_000, 100), dtype=np.float32)
    model = regressor(max_iter=1, batch_size=512, n_bins=2, embedding_size=1)
    peaks = []
    for call in (lambda: model.fit(X, X[:, 0]), lambda: model.predict(X)):
        tracemalloc.start()
        call()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert max(peaks) < 1.75 * X.nbytes
