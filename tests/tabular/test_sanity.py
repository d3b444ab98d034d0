"""TabularMLP* on small tables: never worse than a constant, and lines are learnt.

Answers for: tabular/_recipe.py, tabular/_member.py.
"""

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss, root_mean_squared_error

from skbackprop import TabularMLPClassifier, TabularMLPRegressor

ROWS = (20, 60, 200, 1000)
N_TEST = 2000
#: Columns by name, and what y is of them without noise.
TABLES = {
    "line": (["a"], lambda X: X["a"]),
    "plane": (["a", "b", "c"], lambda X: X["a"] - X["b"] / 2),
    "step": (["a"], lambda X: 2.0 * (X["a"] > 0.3)),
    "boolean": (["flag"], lambda X: 2.0 * X["flag"]),
    "one category": (["text"], lambda X: 2.0 * (X["text"] == "u")),
    "constants beside": (["a", "one", "word"], lambda X: X["a"]),
    "noise": (["a", "b", "text"], lambda X: 0 * X["a"]),
    "only constants": (["one", "word"], lambda X: 0 * X["one"]),
}


def draw(table, n, seed=0):
    """Rows to train on, the test rows after them."""
    rng = np.random.default_rng([seed, n])
    n += N_TEST
    X = pd.DataFrame(
        {
            "a": rng.normal(size=n),
            "b": rng.normal(size=n),
            "c": rng.normal(size=n),
            "flag": rng.integers(0, 2, n).astype(bool),
            "text": rng.choice(list("uvw"), n),
            "one": np.ones(n),
            "word": np.full(n, "same"),
        }
    )
    names, of = TABLES[table]
    return X[names], of(X).to_numpy(), rng


def halves(*arrays):
    return [part for array in arrays for part in (array[:-N_TEST], array[-N_TEST:])]


def slack(n):
    """What chance may take: the error of a mean of n rows is 1 / sqrt(n) deviations."""
    return 1 + 1 / np.sqrt(n)


@pytest.mark.parametrize("n", ROWS)
@pytest.mark.parametrize("table", TABLES)
def test_the_regressor_is_no_worse_than_the_mean(table, n):
    X, plain, rng = draw(table, n)
    y = 7 + plain + 0.5 * rng.normal(size=len(plain))
    X, X_test, y, y_test = halves(X, y)
    model = TabularMLPRegressor(random_state=0).fit(X, y)
    error = root_mean_squared_error(y_test, model.predict(X_test))
    mean = DummyRegressor().fit(X, y).predict(X_test)
    assert error <= slack(n) * root_mean_squared_error(y_test, mean)
    if np.ptp(plain):  # what there is to learn is learnt
        assert error <= 0.5 + 0.5 * np.std(plain)


@pytest.mark.parametrize("n", ROWS)
@pytest.mark.parametrize("table", TABLES)
def test_the_classifier_is_no_worse_than_the_prior(table, n):
    X, X_test, y, y_test = two_classes(table, n)
    model = TabularMLPClassifier(random_state=0).fit(X, y)
    loss = log_loss(y_test, model.predict_proba(X_test))
    prior = DummyClassifier().fit(X, y).predict_proba(X_test)
    assert loss <= slack(n) * log_loss(y_test, prior)


def two_classes(table, n, seed=0):
    X, plain, rng = draw(table, n, seed)
    plain = 3 * (plain - plain.mean())
    return halves(X, plain + rng.logistic(size=len(plain)) > 0)


@pytest.mark.parametrize("n", ROWS)
@pytest.mark.parametrize("table", ["line", "plane"])
def test_lines_are_learnt_like_a_linear_model_does(table, n):
    """In the mean of some draws: one of 20 rows may say anything."""
    ours, linear = [], []
    for seed in range(max(1, 160 // n)):
        X, plain, rng = draw(table, n, seed)
        parts = halves(X, 7 + plain + 0.5 * rng.normal(size=len(plain)))
        for errors, model in (
            (ours, TabularMLPRegressor(random_state=0)),
            (linear, Ridge(1e-3)),
        ):
            found = model.fit(*parts[::2]).predict(parts[1])
            errors.append(root_mean_squared_error(parts[3], found))
    assert np.mean(ours) <= 1.25 * np.mean(linear)


@pytest.mark.parametrize("n", ROWS)
@pytest.mark.parametrize("table", ["line", "plane"])
def test_classes_of_a_line_are_learnt_like_a_linear_model_does(table, n):
    ours, linear = [], []
    for seed in range(max(1, 160 // n)):
        parts = two_classes(table, n, seed)
        for losses, model in (
            (ours, TabularMLPClassifier(random_state=0)),
            (linear, LogisticRegression()),
        ):
            p = model.fit(*parts[::2]).predict_proba(parts[1])
            losses.append(log_loss(parts[3], p))
    assert np.mean(ours) <= 1.25 * np.mean(linear)


@pytest.mark.parametrize("n", ROWS)
def test_a_constant_target_is_predicted(n):
    X, _, _ = draw("plane", n)
    X, X_test = halves(X)
    model = TabularMLPRegressor(preset="fast", random_state=0).fit(X, np.full(n, 3.5))
    np.testing.assert_array_equal(model.predict(X_test), 3.5)


@pytest.mark.parametrize("preset", ["fast", "balanced"])
@pytest.mark.parametrize(
    "loss", ["squared_error", "absolute_error", "huber", "quantile"]
)
def test_a_line_of_one_column(loss, preset):
    """Of 60 rows, for every loss; two targets of it too."""
    rng = np.random.default_rng(0)
    X, X_test = rng.normal(size=(60, 1)), rng.uniform(-1.5, 1.5, size=(500, 1))
    for scale in (3.0, np.array([3.0, -1000.0])):
        y, truth = X * scale + 1, X_test * scale + 1
        for seed in range(2):
            model = TabularMLPRegressor(loss=loss, preset=preset, random_state=seed)
            found = model.fit(X, np.squeeze(y)).predict(X_test).reshape(truth.shape)
            error = np.sqrt(((found - truth) ** 2).mean(axis=0))
            assert (error < 0.1 * np.std(truth, axis=0)).all()


def test_a_boolean_and_a_text_of_two_levels():
    flag = np.random.default_rng(0).integers(0, 2, 60).astype(bool)
    for column in flag, np.where(flag, "yes", "no"):
        X = pd.DataFrame({"k": column})
        for seed in range(4):
            model = TabularMLPRegressor(random_state=seed).fit(X, 10.0 * flag)
            np.testing.assert_allclose(model.predict(X), 10.0 * flag, atol=0.3)


def test_no_member_is_worse_than_the_mean():
    """y = x of 90 rows: members with a validation loss of 28 were averaged in."""
    x = np.arange(90.0)
    model = TabularMLPRegressor(random_state=0).fit(x[:, None], x)
    for scores, best in zip(model.validation_scores_, model.best_epochs_, strict=True):
        assert best == 0 or max(scores) > -0.5
    np.testing.assert_allclose(model.predict(x[:, None]), x, atol=3)
