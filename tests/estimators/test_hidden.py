"""What is inside a network: hidden features, and how outputs follow inputs.

Answers for: _hidden.py.
"""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline

from skbackprop import BackpropMLPClassifier, BackpropMLPRegressor, Network

N, P = 60, 4


def rows(seed=0, n=N):
    return np.random.default_rng(seed).normal(size=(n, P))


def signal(X):
    return X[:, 0] + X[:, 1] * X[:, 2]


def differences(function, X, step=1e-5):
    """Central differences along each input, the inputs last."""
    found = []
    for shift in step * np.eye(X.shape[1]):
        found.append((function(X + shift) - function(X - shift)) / (2 * step))
    return np.stack(found, axis=-1)


MODELS = {
    "binary": lambda X: (BackpropMLPClassifier, signal(X) > 0, {}),
    "three": lambda X: (BackpropMLPClassifier, np.digitize(signal(X), [-1, 1]), {}),
    "labels": lambda X: (BackpropMLPClassifier, (X[:, :2] > 0) * 1, {}),
    "numbers": lambda X: (BackpropMLPRegressor, signal(X), {}),
    "several": lambda X: (BackpropMLPRegressor, X[:, :2] * X[:, 2:], {}),
    "counts": lambda X: (BackpropMLPRegressor, signal(X) ** 2, {"loss": "poisson"}),
    "no layer": lambda X: (BackpropMLPRegressor, signal(X), {"hidden_layer_sizes": ()}),
}


def fitted(which, **more):
    X = rows()
    cls, y, options = MODELS[which](X)
    options = {"hidden_layer_sizes": (7, 5), "activation": "tanh"} | options | more
    model = cls(random_state=0, max_iter=5, tol=0, **options)
    with pytest.warns(UserWarning, match="Maximum iterations"):
        return model.fit(X, y)


@pytest.mark.parametrize("which", MODELS)
def test_gradients_are_those_of_what_is_predicted(which):
    model, X = fitted(which), rows(1)
    says = getattr(model, "decision_function", model.predict)
    gradient = model.input_gradient(X)
    assert gradient.shape == (*says(X).shape, P)
    assert_allclose(gradient, differences(says, X), rtol=1e-6, atol=1e-9)
    one = model.input_gradient(sp.csr_matrix(X))
    assert_allclose(one, gradient, rtol=1e-12, atol=1e-14)
    with pytest.raises(ValueError, match="3 features"):
        model.input_gradient(X[:, :3])


@pytest.mark.parametrize("n_targets", [1, 2])
def test_gradients_of_quantiles_have_the_shape_of_quantiles(n_targets):
    X = rows()
    Y = X[:, :n_targets] + np.random.default_rng(3).normal(size=(N, n_targets))
    model = BackpropMLPRegressor((6,), loss="quantile", quantile=[0.2, 0.5, 0.8])
    model.set_params(
        activation="tanh", max_iter=2000, learning_rate_init=0.01, random_state=0
    )
    model.fit(X, Y[:, 0] if n_targets == 1 else Y)
    gradient = model.input_gradient(X)
    assert gradient.shape == (*model.predict(X).shape, P)
    raw = model._outputs(X).reshape(gradient.shape[:-1])
    apart = (np.diff(raw, axis=-1) > 1e-3).all(axis=-1)  # they are in order already
    assert apart.any()
    expected = differences(model.predict, X)
    assert_allclose(gradient[apart], expected[apart], rtol=1e-5, atol=1e-8)


def test_gradients_in_single_precision_and_of_assigned_parameters():
    model = fitted("numbers", activation="relu")
    X = rows(1)
    double = model.input_gradient(X)
    model.coefs_ = [2 * W for W in model.coefs_]
    assert not np.allclose(model.input_gradient(X), double)
    assert_allclose(
        model.input_gradient(X), differences(model.predict, X), rtol=1e-5, atol=1e-8
    )
    single = BackpropMLPRegressor((5,), max_iter=5, tol=0, random_state=0)
    with pytest.warns(UserWarning, match="Maximum iterations"):
        single.fit(X.astype(np.float32), signal(X))
    gradient = single.input_gradient(X.astype(np.float32))
    assert gradient.dtype == np.float32
    single.coefs_ = [W.astype(np.float64) for W in single.coefs_]
    single.intercepts_ = [b.astype(np.float64) for b in single.intercepts_]
    assert_allclose(gradient, single.input_gradient(X), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("loss", "output"),
    [
        ("squared_error", "identity"),
        ("squared_error", "tanh"),
        ("binary_cross_entropy", "sigmoid"),
        ("categorical_cross_entropy", "softmax"),
        ("poisson", "exp"),
    ],
)
def test_gradients_of_networks_are_those_of_forward(loss, output):
    network = Network(
        [P, 6, 3], "silu", loss=loss, output_activation=output, random_state=0
    )
    X = rows()
    gradient = network.input_gradient(X)
    expected = differences(network.forward, X)
    assert_allclose(gradient, expected, rtol=1e-6, atol=1e-9)
    if output == "softmax":  # probabilities sum to 1, whatever the inputs
        assert_allclose(gradient.sum(axis=1), 0, atol=1e-12)


@pytest.mark.parametrize("which", [name for name in MODELS if name != "no layer"])
def test_hidden_features_are_the_last_hidden_layer(which):
    model, X = fitted(which), rows(1)
    A = X
    for W, b in zip(model.coefs_[:-1], model.intercepts_[:-1], strict=True):
        A = np.tanh(A @ W + b)
    assert_allclose(model.transform(X), A, rtol=1e-12, atol=1e-14)
    name = type(model).__name__.lower()
    assert model.get_feature_names_out().tolist() == [f"{name}{k}" for k in range(5)]


def test_hidden_features_in_a_pipeline_and_in_frames():
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame(rows(), columns=list("abcd"))
    y = signal(X.to_numpy()) > 0
    hidden = BackpropMLPClassifier(
        (9,), max_iter=2000, learning_rate_init=0.02, random_state=0
    )
    whole = make_pipeline(hidden, LogisticRegression()).fit(X, y)
    assert whole.score(X, y) > LogisticRegression().fit(X, y).score(X, y)
    hidden.set_output(transform="pandas").fit(X, y)
    frame = hidden.transform(X)
    assert [*frame] == [f"backpropmlpclassifier{k}" for k in range(9)]
    assert frame.index.equals(X.index)
    regressor = BackpropMLPRegressor(
        (9,), max_iter=2000, learning_rate_init=0.02, random_state=0
    )
    numbers = make_pipeline(regressor, Ridge()).fit(X, signal(X.to_numpy()))
    assert numbers.score(X, signal(X.to_numpy())) > 0.9
    again = BackpropMLPRegressor(
        (9,), max_iter=2000, learning_rate_init=0.02, random_state=0
    )
    features = again.fit_transform(X, signal(X.to_numpy()))
    assert_array_equal(features, numbers[0].transform(X))


def test_without_a_hidden_layer_there_are_no_features():
    model = fitted("no layer")
    with pytest.raises(ValueError, match="without hidden layers has no"):
        model.transform(rows())
