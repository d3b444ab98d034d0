"""Parameters of every type: taken as the number that they are, or refused by name.

Answers for: _constraints.py.
"""

from decimal import Decimal
from fractions import Fraction
from inspect import signature

import numpy as np
import pytest
from helpers import QUICK
from numpy.testing import assert_array_equal
from sklearn.base import clone

from skbackprop import (
    BackpropMLPClassifier,
    BackpropMLPRegressor,
    TabularMLPClassifier,
    TabularMLPRegressor,
)
from skbackprop._constraints import InvalidParameterError, shown

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = np.random.RandomState(0).randn(40, 3)
Y = np.arange(40) % 2
TABULAR = QUICK | {"preset": "fast", "n_folds": 2, "max_iter": 1}

#: Every parameter that is a number, with what makes it count.
REALS = {
    "alpha": {},
    "learning_rate_init": {},
    "power_t": {"solver": "sgd", "learning_rate": "invscaling"},
    "tol": {},
    "momentum": {"solver": "sgd"},
    "validation_fraction": {"early_stopping": True},
    "beta_1": {},
    "beta_2": {},
    "epsilon": {},
    "weight_decay": {"solver": "adamw"},
    "dropout": {},
    "max_grad_norm": {},
    "label_smoothing": {},
    "huber_delta": {"loss": "huber"},
    "quantile": {"loss": "quantile"},
    "time_limit": {},
}
INTEGERS = {
    "hidden_layer_sizes": {},
    "batch_size": {},
    "max_iter": {},
    "n_iter_no_change": {},
    "max_fun": {"solver": "lbfgs"},
    "n_folds": {},
    "n_repeats": {},
    "n_bins": {},
    "embedding_size": {},
    "max_one_hot": {},
    "min_frequency": {},
}


def cases(names):
    """(estimator, name of a parameter) for those that the four estimators have."""
    found = []
    for cls, settings in (
        (BackpropMLPClassifier, QUICK),
        (BackpropMLPRegressor, QUICK),
        (TabularMLPClassifier, TABULAR),
        (TabularMLPRegressor, TABULAR),
    ):
        known = signature(cls).parameters
        for name, more in names.items():
            if name in known:
                more = {key: v for key, v in more.items() if key in known}
                found.append(
                    pytest.param(
                        cls(**settings | more), name, id=f"{cls.__name__}-{name}"
                    )
                )
    return found


def test_the_tables_have_every_number():
    for cls in (
        BackpropMLPClassifier,
        BackpropMLPRegressor,
        TabularMLPClassifier,
        TabularMLPRegressor,
    ):
        for name, parameter in signature(cls).parameters.items():
            numeric = isinstance(parameter.default, int | float | tuple)
            if numeric and not isinstance(parameter.default, bool):
                assert name in REALS or name in INTEGERS, name


NO_NUMBERS = {
    "int beyond float64": 10**400,
    "int beyond what Python prints": -(10**5000),
    "Fraction beyond float64": Fraction(10**400),
    "wider float beyond float64": np.longdouble("1e4000"),
    "Decimal": Decimal("0.5"),
    "nan": float("nan"),
    "inf": np.inf,
    "-inf": -np.inf,
    "text": "0.5",
    "NumPy's text": np.str_("3"),
    "bytes": b"3",
    "bool": True,
    "NumPy's bool": np.bool_(True),
    "complex": 1 + 0j,
    "array of none": np.array([]),
    "scalar array": np.array(0.5),
    "nested": [[0.5]],
    "ragged": [[1], [2, 3]],
    "huge": np.zeros(10**6),
    "estimator": BackpropMLPClassifier(),
    "object": object(),
}


@pytest.mark.parametrize("kind", NO_NUMBERS)
@pytest.mark.parametrize(("model", "name"), cases(REALS | INTEGERS))
def test_what_is_no_number_is_refused_by_name(model, name, kind):
    value = NO_NUMBERS[kind]
    if name == "hidden_layer_sizes" and kind == "array of none":
        return  # no hidden layer
    if name in ("n_iter_no_change", "max_one_hot") and kind == "inf":
        return  # without end
    model.set_params(**{name: value})
    with pytest.raises(InvalidParameterError) as error:
        model.fit(X, Y)
    said = str(error.value)
    assert said.startswith(f"The {name!r} parameter of {type(model).__name__} must be ")
    assert " Got " in said and len(said) < 650
    assert not hasattr(model, "n_features_in_")


@pytest.mark.parametrize(
    "array", [np.array([0.5]), np.array([3]), [0.5], [3], (None,)], ids=repr
)
@pytest.mark.parametrize(("model", "name"), cases(REALS | INTEGERS))
def test_one_number_in_an_array_is_no_number(model, name, array):
    if name == "quantile" and array[0] == 0.5:
        return  # one level
    if name == "hidden_layer_sizes" and array[0] == 3:
        return  # one layer
    with pytest.raises(InvalidParameterError, match=f"^The {name!r} parameter"):
        model.set_params(**{name: array}).fit(X, Y)


@pytest.mark.parametrize("kind", [Fraction, np.float16, np.float32, np.longdouble])
@pytest.mark.parametrize(("model", "name"), cases(REALS))
def test_numbers_of_other_types_are_the_number(model, name, kind):
    if name == "time_limit":
        model.set_params(max_iter=1)
        value = 1000.0
    else:
        value = 0.25
    same = clone(model).set_params(**{name: kind(value)}).fit(X, Y)
    model.set_params(**{name: value}).fit(X, Y)
    assert_array_equal(same.predict(X), model.predict(X))
    assert type(same.get_params()[name]) is kind


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int32, np.uint64])
@pytest.mark.parametrize(("model", "name"), cases(INTEGERS))
def test_integers_of_numpy_are_the_number(model, name, kind):
    """Products of small ones would wrap around."""
    same = clone(model).set_params(**{name: kind(3)}).fit(X, Y)
    model.set_params(**{name: 3}).fit(X, Y)
    assert_array_equal(same.predict(X), model.predict(X))


@pytest.mark.parametrize("number", [2**31, 2**63, 2**64, 10**308])
@pytest.mark.parametrize(
    ("model", "name"),
    cases({name: INTEGERS[name] for name in ("n_iter_no_change", "max_fun")}),
)
def test_counts_without_end(model, name, number):
    most = clone(model).set_params(**{name: 10**9}).fit(X, Y)
    model.set_params(**{name: number}).fit(X, Y)
    assert_array_equal(model.predict(X), most.predict(X))


@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
@pytest.mark.parametrize("learning_rate", ["adaptive", "cosine"])
def test_more_epochs_than_there_can_be(solver, learning_rate):
    model = BackpropMLPClassifier(
        (3,),
        solver=solver,
        learning_rate=learning_rate,
        batch_size=10,
        tol=1e9,
        n_iter_no_change=1,
        random_state=0,
    )
    much = clone(model).set_params(max_iter=10**308).fit(X, Y)
    less = model.set_params(max_iter=10**18).fit(X, Y)
    assert_array_equal(much.predict_proba(X), less.predict_proba(X))
    assert much.n_iter_ == less.n_iter_


@pytest.mark.filterwarnings("ignore:Got `batch_size`")
def test_more_rows_than_there_can_be():
    much = BackpropMLPClassifier(batch_size=10**308, **QUICK).fit(X, Y)
    all_rows = BackpropMLPClassifier(batch_size=40, **QUICK).fit(X, Y)
    assert_array_equal(much.predict_proba(X), all_rows.predict_proba(X))


@pytest.mark.parametrize("number", [2**31, 2**64, 10**308])
@pytest.mark.parametrize(
    "name",
    [
        "hidden_layer_sizes",
        "batch_size",
        "n_folds",
        "n_repeats",
        "n_bins",
        "embedding_size",
    ],
)
def test_sizes_of_arrays_end_where_c_does(name, number):
    words = rf"^The '{name}' parameter of TabularMLPClassifier .*\[1, 2147483647\]"
    with pytest.raises(InvalidParameterError, match=words):
        TabularMLPClassifier(**TABULAR | {name: number}).fit(X, Y)


def test_a_rate_that_has_decayed_to_nothing_is_zero():
    """power_t has no upper end, but a power of Python's has."""
    model = BackpropMLPRegressor(
        solver="sgd",
        learning_rate="invscaling",
        power_t=1e308,
        momentum=0,
        **QUICK,
    )
    once = clone(model).set_params(max_iter=1).fit(X, Y)
    assert_array_equal(model.fit(X, Y).coefs_[0], once.coefs_[0])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epsilon", Fraction(1, 10**400)),
        ("epsilon", np.longdouble("1e-4000")),
        ("learning_rate_init", Fraction(1, 10**400)),
        ("dropout", 1 - Fraction(1, 10**30)),
        ("beta_2", 1 - Fraction(1, 10**30)),
    ],
)
def test_bounds_are_those_of_float64(name, value):
    """What lies within them, but is 0.0 or 1.0 for the engine, does not."""
    with pytest.raises(InvalidParameterError, match=f"^The '{name}' parameter"):
        BackpropMLPRegressor(**QUICK | {name: value}).fit(X, Y)


@pytest.mark.parametrize(
    "levels", [[0.1, np.nan], [0, 0.5], [True, 0.5], [[0.1], [0.2, 0.3]], [], "0.5"]
)
@pytest.mark.parametrize("estimator", [BackpropMLPRegressor, TabularMLPRegressor])
def test_quantiles_that_are_refused(estimator, levels):
    with pytest.raises(InvalidParameterError, match=r"^The 'quantile' parameter"):
        estimator(loss="quantile", quantile=levels).fit(X, Y)


FLOAT = r" of type float: write "
SUCH = r"write one int for each hidden layer, such as \(100,\) or \(100, 50\)"


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        (100.0, rf"Got 100.0 instead\. It is{FLOAT}100\.$"),
        (np.float64(100), r"It is of type float64: write 100\.$"),
        ("100", r"Got '100' instead\. It is of type str: write 100\.$"),
        ((100.0,), rf"Got \(100.0,\) instead\. 100.0 is{FLOAT}\(100,\)\.$"),
        ((100, 50.0), rf"50.0 is{FLOAT}\(100, 50\)\.$"),
        (["100", "50"], r"'100' is of type str: write \(100, 50\)\.$"),
        ([[100, 50]], r"\[100, 50\] is of type list: write \(100, 50\)\.$"),
        (((100,), (50,)), r"\(100,\) is of type tuple: write \(100, 50\)\.$"),
        (np.array([100.0, 50]), r"100.0\) is of type float64: write \(100, 50\)\.$"),
        (np.array(100), r"It is of type ndarray: write 100\.$"),
        (100.5, rf"It is{FLOAT}one int for each"),
        ((100, None), rf"None is of type NoneType: {SUCH}"),
        ((100, True), r"True is of type bool: write"),
        ((np.nan,), rf"nan is{FLOAT}one int for each"),
        ([[1], [2, 3]], rf"\[1\] is of type list: {SUCH}"),
        ({100}, rf"It is of type set: {SUCH}"),
        ("100, 50", rf"It is of type str: {SUCH}"),
    ],
)
@pytest.mark.parametrize(
    "estimator", [BackpropMLPClassifier, BackpropMLPRegressor, TabularMLPClassifier]
)
def test_sizes_of_layers_are_told_what_to_write(estimator, sizes, words):
    with pytest.raises(InvalidParameterError, match=words) as error:
        estimator(hidden_layer_sizes=sizes).fit(X, Y)
    assert str(error.value).startswith("The 'hidden_layer_sizes' parameter of ")


def test_no_sizes():
    with pytest.raises(InvalidParameterError, match=rf"It is of type NoneType: {SUCH}"):
        BackpropMLPClassifier(hidden_layer_sizes=None).fit(X, Y)
    for nothing in ((), [], np.array([])):
        model = BackpropMLPClassifier(nothing, max_iter=2).fit(X, Y)
        assert [W.shape for W in model.coefs_] == [(3, 1)]


@pytest.mark.parametrize("sizes", [0, (0,), (5, -1), 2**31])
def test_sizes_of_a_right_type_are_told_their_range_alone(sizes):
    for estimator in (BackpropMLPClassifier, TabularMLPClassifier):
        with pytest.raises(ValueError, match="hidden_layer_sizes") as error:
            estimator(hidden_layer_sizes=sizes).fit(X, Y)
        assert "of type" not in str(error.value)


def test_long_values_are_shortened_in_messages():
    with pytest.raises(ValueError, match=r"must be > 0, got \[0, 0, .*\.\.\.") as error:
        BackpropMLPClassifier(hidden_layer_sizes=[0] * 10**5).fit(X, Y)
    assert len(str(error.value)) < 200
    assert shown(10**400) == "an int of about 401 digits"
    assert shown([10**5000]) == "a value of type list"
    assert shown(10**18) == "1000000000000000000"
    assert shown("a" * 300).startswith("'aaa") and len(shown("a" * 300)) < 130
    assert shown("a  b") == "'a  b'"
