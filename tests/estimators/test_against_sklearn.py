"""The same model as scikit-learn's MLP for the same data, parameters and seed.

Answers for: _base.py, _classifier.py, _regressor.py, _training.py, _layers.py,
_hyperparameters.py, _messages.py.
"""

import warnings
from inspect import signature

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_classification, make_regression
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor

from skbackprop import BackpropMLPClassifier, BackpropMLPRegressor

ACTIVATIONS = ["identity", "logistic", "tanh", "relu"]
# scikit-learn's regressor has a choice from 1.7 on.
HAS_LOSS = "loss" in signature(MLPRegressor).parameters
LOSSES = ["squared_error", "poisson"] if HAS_LOSS else ["squared_error"]
SOLVERS = ["sgd", "adam", "lbfgs"]


def classes(k, n=203):
    return make_classification(
        n, 12, n_informative=8, n_classes=k, random_state=k, n_clusters_per_class=1
    )


def numbers(n=203):
    X, y = make_regression(n, 7, noise=3.0, random_state=0)
    return X, y / y.std()


def both(ours, theirs, X, y, **parameters):
    models = []
    for cls in (theirs, ours):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            models.append(cls(**parameters).fit(X, y))
    return models


def assert_same(theirs, ours, X, rtol=1e-9):
    """Everything that fit leaves, to rounding."""
    for name in ("coefs_", "intercepts_"):
        for a, b in zip(getattr(theirs, name), getattr(ours, name), strict=True):
            assert_allclose(b, a, rtol=rtol, atol=rtol)
    assert_allclose(ours.loss_, theirs.loss_, rtol=rtol)
    assert_allclose(ours.predict(X), theirs.predict(X), rtol=rtol)
    for name in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_"):
        assert getattr(ours, name) == getattr(theirs, name), name
    for name in ("loss_curve_", "validation_scores_", "best_validation_score_"):
        a, b = getattr(theirs, name, None), getattr(ours, name, None)
        assert (a is None) == (b is None), name
        if a is not None:
            assert_allclose(b, a, rtol=rtol, err_msg=name)
    best = getattr(theirs, "best_loss_", None)
    if best is not None:
        assert_allclose(ours.best_loss_, best, rtol=rtol)
    if hasattr(theirs, "predict_proba"):
        assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=rtol)
        assert_array_equal(ours.classes_, theirs.classes_)


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("batch_size", ["auto", 1, 32, 64, 203])
@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("k", [2, 4])
def test_classifier(k, activation, solver, batch_size, early_stopping):
    X, y = classes(k)
    if batch_size == 203 and early_stopping:
        batch_size = 180  # all rows but the validation rows, and a few less
    theirs, ours = both(
        BackpropMLPClassifier,
        MLPClassifier,
        X,
        y,
        hidden_layer_sizes=(9, 5),
        activation=activation,
        solver=solver,
        batch_size=batch_size,
        early_stopping=early_stopping,
        max_iter=5,
        # Row by row, a larger rate lets rounding grow to more than 1e-9.
        learning_rate_init=0.002,
        random_state=3,
    )
    assert_same(theirs, ours, X)


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("batch_size", ["auto", 1, 50])
@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("loss", LOSSES)
def test_regressor(loss, activation, solver, batch_size, early_stopping):
    X, y = numbers()
    y = np.abs(y) if loss == "poisson" else y
    losses = {"loss": loss} if len(LOSSES) > 1 else {}
    theirs, ours = both(
        BackpropMLPRegressor,
        MLPRegressor,
        X,
        y,
        hidden_layer_sizes=(6,),
        activation=activation,
        solver=solver,
        batch_size=batch_size,
        early_stopping=early_stopping,
        max_iter=5,
        random_state=1,
        **losses,
    )
    assert_same(theirs, ours, X)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_lbfgs(activation):
    X, y = classes(3)
    settings = {"solver": "lbfgs", "max_iter": 5, "random_state": 0, "alpha": 0.1}
    settings |= {"hidden_layer_sizes": (6,), "activation": activation}
    assert_same(*both(BackpropMLPClassifier, MLPClassifier, X, y, **settings), X)
    X, y = numbers()
    assert_same(*both(BackpropMLPRegressor, MLPRegressor, X, y, **settings), X)


@pytest.mark.parametrize("nesterovs_momentum", [False, True])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("learning_rate", ["constant", "invscaling", "adaptive"])
def test_schedules_of_sgd(learning_rate, momentum, nesterovs_momentum):
    X, y = classes(2)
    # tol=10 makes every epoch a plateau, so that 'adaptive' divides its rate.
    theirs, ours = both(
        BackpropMLPClassifier,
        MLPClassifier,
        X,
        y,
        solver="sgd",
        learning_rate=learning_rate,
        momentum=momentum,
        nesterovs_momentum=nesterovs_momentum,
        learning_rate_init=0.05,
        tol=10.0,
        n_iter_no_change=2,
        max_iter=12,
        random_state=0,
    )
    assert_same(theirs, ours, X)


def test_no_hidden_layer_no_shuffle_and_penalty():
    X, y = classes(3)
    theirs, ours = both(
        BackpropMLPClassifier,
        MLPClassifier,
        X,
        y,
        hidden_layer_sizes=(),
        shuffle=False,
        alpha=1.5,
        batch_size=17,
        max_iter=5,
        random_state=0,
    )
    assert_same(theirs, ours, X)


@pytest.mark.parametrize("container", [sp.csr_matrix, sp.csr_array, sp.csc_array])
def test_sparse(container):
    X, y = classes(3)
    X[np.abs(X) < 0.8] = 0
    theirs, ours = both(
        BackpropMLPClassifier,
        MLPClassifier,
        container(X),
        y,
        max_iter=5,
        early_stopping=True,
        random_state=0,
    )
    assert_same(theirs, ours, container(X))


def test_multilabel():
    rng = np.random.RandomState(0)
    X = rng.randn(90, 5)
    Y = (X[:, :3] + 0.3 * rng.randn(90, 3) > 0).astype(int)
    theirs, ours = both(
        BackpropMLPClassifier,
        MLPClassifier,
        X,
        Y,
        max_iter=5,
        random_state=0,
        early_stopping=True,
        learning_rate_init=0.05,
    )
    assert_same(theirs, ours, X)


def test_multi_output_loss_is_the_sum_over_outputs():
    """The gradient is scikit-learn's; its loss is n_outputs times too small."""
    rng = np.random.RandomState(0)
    X = rng.randn(90, 5)
    Y = X @ rng.randn(5, 3)
    theirs, ours = both(
        BackpropMLPRegressor, MLPRegressor, X, Y, max_iter=5, random_state=0, alpha=0
    )
    for a, b in zip(theirs.coefs_, ours.coefs_, strict=True):
        assert_allclose(b, a, rtol=1e-9, atol=1e-9)
    assert_allclose(ours.loss_curve_, 3 * np.array(theirs.loss_curve_), rtol=1e-9)


def test_stops_in_the_same_epoch():
    X, y = classes(2)
    for settings in ({"tol": 1e-2}, {"early_stopping": True}):
        theirs, ours = both(
            BackpropMLPClassifier,
            MLPClassifier,
            X,
            y,
            random_state=0,
            learning_rate_init=0.01,
            **settings,
        )
        assert theirs.n_iter_ < 200
        # Rounding has had more time to grow than in the other tests.
        assert_same(theirs, ours, X, rtol=1e-6)


def test_random_state_instance_is_drawn_from_alike():
    X, y = classes(2)
    left = []
    for cls in (MLPClassifier, BackpropMLPClassifier):
        rng = np.random.RandomState(7)
        with pytest.warns(ConvergenceWarning):
            cls(max_iter=3, random_state=rng, early_stopping=True).fit(X, y)
        left.append(rng.randint(1 << 30))
    assert left[0] == left[1]


@pytest.mark.skipif(
    "sample_weight" not in signature(MLPRegressor.fit).parameters,
    reason="scikit-learn's MLP takes weights from 1.7 on",
)
def test_weights_at_full_batch():
    X, y = numbers()
    w = np.random.RandomState(0).uniform(0.1, 2, len(y))
    models = []
    for cls in (MLPRegressor, BackpropMLPRegressor):
        model = cls(batch_size=len(y), max_iter=5, random_state=0)
        with pytest.warns(ConvergenceWarning):
            models.append(model.fit(X, y, sample_weight=w))
    assert_same(*models, X)


@pytest.mark.parametrize("cls", [BackpropMLPClassifier, BackpropMLPRegressor])
def test_parameters_defaults_and_order(cls):
    theirs = MLPClassifier if cls is BackpropMLPClassifier else MLPRegressor
    ours = cls().get_params()
    for name, default in theirs().get_params().items():
        assert ours[name] == default, name
    assert cls((8,), "tanh").activation == "tanh"
    with pytest.raises(TypeError, match="positional"):
        cls((8,), "tanh", "sgd")


def warnings_of(cls, X, y, **parameters):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        cls(**parameters).fit(X, y)
    return [(w.category, str(w.message)) for w in caught]


@pytest.mark.parametrize(
    "parameters",
    [
        {"max_iter": 2},
        {"max_iter": 2, "batch_size": 1000},
        {"max_iter": 2, "solver": "lbfgs"},
        {"max_iter": 2, "solver": "lbfgs", "max_fun": 2},
    ],
)
def test_warnings_are_worded_alike(parameters):
    X, y = classes(2)
    expected = warnings_of(MLPClassifier, X, y, random_state=0, **parameters)
    assert expected
    ours = warnings_of(BackpropMLPClassifier, X, y, random_state=0, **parameters)
    if "iteration(s)" not in expected[0][1] and "solver" in parameters:
        # Before 1.9, L-BFGS was reported in other words.
        expected = [(category, ours[0][1]) for category, _ in expected]
    assert ours == expected


@pytest.mark.parametrize(
    "parameters",
    [
        {"hidden_layer_sizes": (4, 0)},
        {"hidden_layer_sizes": -1},
        {"activation": "cosine"},
        {"solver": "hadoken"},
        {"alpha": -1},
        {"batch_size": 0},
        {"learning_rate": "converge"},
        {"learning_rate_init": 0.0},
        {"power_t": -1},
        {"max_iter": -1},
        {"shuffle": "true"},
        {"random_state": -1},
        {"tol": -1},
        {"verbose": -1},
        {"warm_start": 1},
        {"momentum": 2},
        {"nesterovs_momentum": "yes"},
        {"early_stopping": "true"},
        {"validation_fraction": 1.0},
        {"beta_1": 1},
        {"beta_2": -0.5},
        {"epsilon": -0.5},
        {"n_iter_no_change": 0},
        {"max_fun": 0},
    ],
    ids=str,
)
def test_errors_of_parameters_are_worded_alike(parameters):
    X, y = classes(2)
    said = []
    for cls in (MLPClassifier, BackpropMLPClassifier):
        with pytest.raises(ValueError) as error:
            cls(**parameters).fit(X, y)
        said.append(str(error.value).replace(cls.__name__, "It"))
    if parameters in ({"activation": "cosine"}, {"solver": "hadoken"}):
        # We allow more: the same parameter and value are named.
        (name, value), *_ = parameters.items()
        assert f"The {name!r} parameter of It must be a str among" in said[1]
        assert f"Got {value!r} instead." in said[1]
    elif "hidden_layer_sizes" in parameters and -1 in parameters.values():
        assert "The 'hidden_layer_sizes' parameter of It must be" in said[1]
    else:
        assert said[1].split(" Got ")[-1] == said[0].split(" Got ")[-1]
        # What is allowed is listed in another order, and types by NumPy's version.
        assert said[1].split(" must be ")[0] == said[0].split(" must be ")[0]


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_verbose_prints_the_same_lines(capsys, solver, early_stopping):
    X, y = classes(2)
    said = []
    for cls in (MLPClassifier, BackpropMLPClassifier):
        cls(
            solver=solver,
            learning_rate="adaptive",
            early_stopping=early_stopping,
            verbose=True,
            random_state=0,
            tol=1.0,
            n_iter_no_change=1,
            max_iter=100,
        ).fit(X, y)
        said.append(capsys.readouterr().out)
    assert "Iteration 2" in said[0] and "topping." in said[0]
    assert said[0] == said[1]


def test_errors_of_data_are_worded_alike():
    X, y = classes(2)
    cases = [
        (X, y[:-1]),
        (X[0], y),
        (X[:0], y[:0]),
    ]
    for X_bad, y_bad in cases:
        said = []
        for cls in (MLPClassifier, BackpropMLPClassifier):
            with pytest.raises(ValueError) as error:
                cls().fit(X_bad, y_bad)
            said.append(str(error.value).replace(cls.__name__, "It"))
        assert said[0] == said[1]


def test_errors_of_cells_begin_alike_or_say_it_too():
    """What to do is told besides: scikit-learn's advice is of another package."""
    X, y = classes(2)
    for X_bad, ends in (
        (np.where(X > 2, np.nan, X), "natively"),
        (X.astype(str).astype(object) + "a", ""),
    ):
        said = []
        for cls in (MLPClassifier, BackpropMLPClassifier):
            with pytest.raises(ValueError) as error:
                cls().fit(X_bad, y)
            said.append(str(error.value).replace(cls.__name__, "It"))
        words = said[0][: said[0].index(ends) + len(ends)] if ends else said[0]
        assert words in said[1] and len(said[1]) > len(words)
