"""TabularMLP*: parameters, and errors and warnings that name what is meant.

Answers for: tabular/_base.py, tabular/_recipe.py, _constraints.py, tabular/_rules.py.
"""

import re
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from helpers import (
    FAST,
    assert_pickles_the_same,
    pickled,
    rising,
    small_table,
    thetas,
)
from helpers import fast_classifier as classifier
from helpers import fast_regressor as regressor
from numpy.testing import assert_array_equal

from skbackprop import (
    TabularEncoder,
    TabularMLPClassifier,
    TabularMLPRegressor,
)

X, NUMBER, Y, LABELS = small_table()
N = len(X)


BAD = {
    "preset": ["slow", None, 3],
    "categorical_features": ["all", 3, [[0]]],
    "max_one_hot": [-1, 2.5, "8"],
    "min_frequency": [0, 1.0, None],
    "dates": ["yes", None, True],
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
    before = pickled(model, X)
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
    assert_pickles_the_same(model, before, X)


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
