"""Network: what it takes, what it refuses, and that its parameters are the caller's.

Answers for: _network.py, _layers.py, _arguments.py, _fitted.py.
"""

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from helpers import CLASSES, SQUARED, outputs_by_reference
from numpy.typing import NDArray

from skbackprop import Network

Array = NDArray[np.floating]

DTYPES = pytest.mark.parametrize("dtype", [np.float64, np.float32])


# The constructor


@pytest.mark.parametrize(
    ("parameter", "wrong"),
    [
        ("layer_sizes", []),
        ("layer_sizes", [3]),
        ("layer_sizes", 3),
        ("layer_sizes", [3, 0, 2]),
        ("layer_sizes", [3, 4, -2]),
        ("layer_sizes", [3, 4.0, 2]),
        ("layer_sizes", [3, True, 2]),
        ("layer_sizes", "342"),
        ("layer_sizes", None),
        ("activations", "softmax"),
        ("activations", "exp"),
        ("activations", "RELU"),
        ("activations", ["gauss"]),
        ("activations", [None]),
        ("activations", [["relu"]]),
        ("activations", ()),
        ("activations", ["relu", "relu"]),
        ("activations", None),
        ("activations", 1),
        ("loss", "log_loss"),
        ("loss", None),
        ("loss", 0),
        ("loss", ["squared_error"]),
        ("output_activation", "gauss"),
        ("output_activation", None),
        ("output_activation", ["identity"]),
        ("bias", "yes"),
        ("bias", None),
        ("bias", 1),
        ("bias", [True]),
        ("bias", [True, True, True]),
        ("bias", [None, True]),
        ("bias", ["yes", "no"]),
        ("dtype", np.float16),
        ("dtype", np.int64),
        ("dtype", np.complex128),
        ("dtype", ">f8"),
        ("dtype", "single precision"),
        ("dtype", object()),
        ("random_state", -1),
        ("random_state", 2**32),
        ("random_state", 1.5),
        ("random_state", "seed"),
        ("random_state", np.random.default_rng(0)),
    ],
)
def test_constructor_refuses(parameter: str, wrong: Any) -> None:
    """The error names the parameter and what was given."""
    arguments = {"layer_sizes": [3, 4, 2], "activations": "relu", **SQUARED}
    Network(**arguments)
    with pytest.raises(ValueError, match=rf"^{parameter}\b.*Got "):
        Network(**{**arguments, parameter: wrong})


@pytest.mark.parametrize(
    ("output", "loss"),
    [
        ("softmax", "squared_error"),
        ("softmax", "binary_cross_entropy"),
        ("softmax", "poisson"),
        ("identity", "categorical_cross_entropy"),
        ("sigmoid", "categorical_cross_entropy"),
        ("exp", "categorical_cross_entropy"),
    ],
)
def test_softmax_goes_with_its_loss_alone(output: str, loss: str) -> None:
    with pytest.raises(ValueError, match=f"softmax.*'{output}' with '{loss}'"):
        Network([2, 3], (), output_activation=output, loss=loss)


def test_names_are_listed_where_one_is_wrong() -> None:
    with pytest.raises(
        ValueError, match=r"\['gelu', 'identity', .*, 'relu', .*, 'tanh'\]"
    ):
        Network([2, 3, 1], "rleu", **SQUARED)


def test_repr_names_the_architecture(net: Network) -> None:
    assert repr(net) == (
        "Network([3, 4, 2], ['tanh'], loss='squared_error', "
        "output_activation='identity')"
    )


@pytest.mark.parametrize("sizes", [(3, 4, 2), np.array([3, 4, 2]), iter([3, 4, 2])])
def test_sizes_in_any_sequence(sizes: Any) -> None:
    net = Network(sizes, "relu", **SQUARED)
    assert [W.shape for W in net.coefs_] == [(3, 4), (4, 2)]
    assert [b.shape for b in net.intercepts_] == [(4,), (2,)]


@pytest.mark.parametrize("name", ["sigmoid", "logistic", "relu", "tanh", "identity"])
def test_initial_parameters(name: str) -> None:
    """Glorot-uniform with scikit-learn's draws: W, b, layer after layer."""
    net = Network([30, 40, 20], name, **SQUARED, random_state=5)
    stream = np.random.RandomState(5)
    factor = 2.0 if name in ("sigmoid", "logistic") else 6.0
    for W, b in zip(net.coefs_, net.intercepts_, strict=True):
        bound = np.sqrt(factor / sum(W.shape))
        assert np.array_equal(W, stream.uniform(-bound, bound, W.shape))
        assert np.array_equal(b, stream.uniform(-bound, bound, b.shape))


@DTYPES
def test_random_state_is_reproducible(dtype: type) -> None:
    def draw(seed: Any) -> Array:
        sizes = [3, 4, 2]
        return Network(sizes, "relu", **SQUARED, random_state=seed, dtype=dtype).coefs_

    first = draw(7)
    for again in draw(7), draw(np.int64(7)), draw(np.random.RandomState(7)):
        assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], draw(8)[0])
    assert not np.array_equal(draw(None)[0], draw(None)[0])
    # One stream goes on; it is not started anew.
    stream = np.random.RandomState(7)
    assert not np.array_equal(draw(stream)[0], draw(stream)[0])


# Parameters


def test_assignment_of_whole_lists(net: Network, X: Array) -> None:
    W1, W2 = np.arange(12.0).reshape(3, 4) / 10, np.ones((4, 2))
    net.coefs_ = [W1.tolist(), W2.astype(int)]
    net.intercepts_ = [np.arange(4.0), [0.5, -0.5]]
    want = np.tanh(X @ W1 + np.arange(4.0)) @ W2 + [0.5, -0.5]
    assert np.allclose(net.forward(X), want, rtol=1e-13)
    assert np.array_equal(net.coefs_[0], W1)
    # A copy: the given array is not the network's.
    W1[:] = 99
    assert np.allclose(net.forward(X), want, rtol=1e-13)


@pytest.mark.parametrize("shape", [(4,), (1, 4)])
def test_a_bias_may_be_a_row(net: Network, X: Array, shape: tuple[int, ...]) -> None:
    b = np.arange(4.0)
    net.intercepts_ = [b.reshape(shape), np.zeros((1, 2))]
    assert [b.shape for b in net.intercepts_] == [(4,), (2,)]
    assert np.allclose(net.forward(X), outputs_by_reference(net, X), rtol=1e-13)
    net.intercepts_[0] = -b.reshape(shape)
    want = np.tanh(X @ net.coefs_[0] - b) @ net.coefs_[1]
    assert np.allclose(net.forward(X), want, rtol=1e-13)
    assert np.array_equal(net.intercepts_[0], -b)


def test_assignment_of_one_element(net: Network, X: Array, Y: Array) -> None:
    before = net.forward(X)
    other, kept = [W.copy() for W in net.coefs_]
    other *= -2
    net.coefs_[0] = other
    want = np.tanh(X @ other + net.intercepts_[0]) @ kept + net.intercepts_[1]
    assert np.allclose(net.forward(X), want, rtol=1e-13)
    assert not np.allclose(net.forward(X), before)
    # Every door takes it: here it is new for the gradient.
    net.coefs_[1] = np.zeros((4, 2))
    value, gradient = net.loss_and_gradient(X, Y)
    residual = net.intercepts_[1] - Y
    assert value == pytest.approx((residual**2).sum() / 12, rel=1e-13)
    assert np.all(gradient.coefs[0] == 0)
    net.intercepts_[1] = [7, 8]
    assert np.allclose(net.loss(X, Y), (([7, 8] - Y) ** 2).sum() / 12, rtol=1e-13)
    net.intercepts_[1] = [1, 2]
    assert np.allclose(net.forward(X, return_layers=True).A[-1], [[1, 2]] * 6)


def test_change_in_place_takes_effect(net: Network, X: Array, Y: Array) -> None:
    net.coefs_[0][...] = 0
    net.coefs_[1][1, 0] = 5
    net.intercepts_[0] += 1
    net.intercepts_[1][:] = [3, 4]
    want = np.tanh(net.intercepts_[0]) @ net.coefs_[1] + [3, 4]
    assert np.allclose(net.forward(X), [want] * 6, rtol=1e-13)
    assert net.loss(X, Y) == pytest.approx(((want - Y) ** 2).sum() / 12, rel=1e-13)
    # Also in an array that was assigned before.
    net.coefs_[1] = np.ones((4, 2))
    net.forward(X)
    net.coefs_[1][...] = 0
    assert np.array_equal(net.forward(X), [[3, 4]] * 6)


@pytest.mark.parametrize(
    ("attribute", "wrong", "message"),
    [
        ("coefs_", [np.ones((3, 4))], r"coefs_ must have .* 2 layers. Got 1"),
        ("coefs_", [np.ones((3, 4))] * 3, r"coefs_ must have .* Got 3"),
        ("coefs_", [np.ones((4, 3)), np.ones((4, 2))], r"coefs_\[0\].*\(3, 4\)"),
        ("coefs_", [np.ones((3, 4)), np.ones(8)], r"coefs_\[1\].*\(4, 2\)"),
        ("coefs_", [np.ones((3, 4)), 1.0], r"coefs_\[1\].*Got shape \(\)"),
        ("coefs_", [np.full((3, 4), "1"), np.ones((4, 2))], r"coefs_\[0\].*numeric"),
        ("coefs_", [np.ones((3, 4)) * 1j, np.ones((4, 2))], r"coefs_\[0\].*numeric"),
        ("intercepts_", [np.ones(4)], r"intercepts_ must have .* Got 1"),
        ("intercepts_", [np.ones(4), np.ones(1)], r"intercepts_\[1\].*\(2,\)"),
        ("intercepts_", [np.ones((4, 1)), np.ones(2)], r"intercepts_\[0\].*\(4,\)"),
        ("intercepts_", [np.ones((2, 4)), np.ones(2)], r"intercepts_\[0\].*\(4,\)"),
        ("intercepts_", [np.ones(4), None], r"intercepts_\[1\].*object"),
    ],
)
def test_wrong_parameters_are_refused(
    attribute: str, wrong: list[Any], message: str, net: Network, X: Array
) -> None:
    """And leave the network as it was."""
    before = net.forward(X)
    with pytest.raises(ValueError, match=message):
        setattr(net, attribute, wrong)
    assert np.array_equal(net.forward(X), before)


@pytest.mark.parametrize(
    ("attribute", "j", "wrong"),
    [
        ("coefs_", 0, np.ones((4, 3))),
        ("coefs_", 1, np.ones((4, 3))),
        ("intercepts_", 0, np.ones(3)),
        ("intercepts_", 1, np.ones((2, 1))),
    ],
)
@pytest.mark.parametrize("door", ["forward", "layers", "loss", "loss_and_gradient"])
def test_wrong_element_is_refused_where_it_is_used(
    door: str, attribute: str, j: int, wrong: Array, net: Network, X: Array, Y: Array
) -> None:
    getattr(net, attribute)[j] = wrong
    with pytest.raises(ValueError, match=rf"{attribute}\[{j}\] must be"):
        match door:
            case "forward":
                net.forward(X)
            case "layers":
                net.forward(X, return_layers=True)
            case _:
                getattr(net, door)(X, Y)


def test_list_of_another_length_is_refused(net: Network, X: Array) -> None:
    net.coefs_.append(np.ones((2, 2)))
    with pytest.raises(ValueError, match=r"coefs_ must have .* Got 3"):
        net.forward(X)


COPIES = pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))]
)


@COPIES
@DTYPES
def test_copy_is_the_same_network(copied: Any, dtype: type, X: Array) -> None:
    for arguments in SQUARED, CLASSES:
        net = Network([3, 4, 2], "tanh", **arguments, dtype=dtype, bias=[False, True])
        again = copied(net)
        assert repr(again) == repr(net) and again.dtype == net.dtype
        assert np.array_equal(again.forward(X), net.forward(X))
        for a, b in zip(again.coefs_, net.coefs_, strict=True):
            assert np.array_equal(a, b) and not np.shares_memory(a, b)


@COPIES
def test_copy_stays_assignable(copied: Any, net: Network, X: Array) -> None:
    before = net.forward(X)
    again = copied(net)
    again.coefs_ = [W * 2 for W in again.coefs_]
    assert np.allclose(again.forward(X), outputs_by_reference(again, X), rtol=1e-13)
    again = copied(net)
    again.intercepts_[1] = np.array([3.0, 4.0])
    assert np.allclose(again.forward(X), before - net.intercepts_[1] + [3, 4])
    assert np.array_equal(net.forward(X), before)


@COPIES
def test_change_in_place_takes_effect_in_a_copy(
    copied: Any, net: Network, X: Array
) -> None:
    before = net.forward(X)
    again = copied(net)
    again.coefs_[1][...] = 0
    again.intercepts_[1][:] = [3, 4]
    assert np.array_equal(again.forward(X), [[3, 4]] * 6)
    assert np.array_equal(net.forward(X), before)
