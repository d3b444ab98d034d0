"""The shape of a network: what lies where in theta, and what cannot be.

Answers for: core/topology.pxd, core/topology.pyx, core/kinds.pxd.
"""

import copy
import pickle
from typing import Any

import numpy as np
import pytest

from skbackprop.core.activations import Activation
from skbackprop.core.losses import Loss
from skbackprop.core.topology import Topology


def test_topology_lays_out_theta() -> None:
    """[W_1, b_1, W_2, W_3, b_3], row-major, as views."""
    topology = Topology([2, 3, 1, 2], [1, 1, 0], [True, False, True], 0)
    theta = np.arange(6.0 + 3 + 3 + 2 + 2)
    assert topology.n_parameters == len(theta)
    coefs, intercepts = topology.views(theta)
    assert [W.tolist() for W in coefs] == [
        [[0, 1, 2], [3, 4, 5]],
        [[9], [10], [11]],
        [[12, 13]],
    ]
    assert intercepts[1] is None
    assert intercepts[0].tolist() == [6, 7, 8] and intercepts[2].tolist() == [14, 15]
    coefs[2][0, 1] = -1
    assert theta[13] == -1


def test_groups_are_the_table_of_theta() -> None:
    """A name, a place and a shape for each; a layer without bias has no b."""
    topology = Topology([2, 3, 1, 2], [1, 1, 0], [True, False, True], 0)
    assert [tuple(group) for group in topology.groups] == [
        ("W_1", 0, 6, (2, 3), True, True),
        ("b_1", 6, 9, (3,), False, False),
        ("W_2", 9, 12, (3, 1), True, True),
        ("W_3", 12, 14, (1, 2), True, True),
        ("b_3", 14, 16, (2,), False, False),
    ]
    names = [[group.name for group in topology.layer_groups(j)] for j in (1, 2, 3)]
    assert names == [["W_1", "b_1"], ["W_2"], ["W_3", "b_3"]]


@pytest.mark.parametrize("biases", [(True, True), (False, True), (False, False)])
def test_views_are_the_groups(biases: tuple[bool, ...]) -> None:
    topology = Topology([3, 4, 2], [1, 0], biases, 0)
    theta = np.arange(float(topology.n_parameters))
    parts = [
        part for layer in zip(*topology.views(theta), strict=True) for part in layer
    ]
    views = [part for part in parts if part is not None]
    for view, group in zip(views, topology.groups, strict=True):
        assert view.shape == group.shape
        assert np.array_equal(view.ravel(), theta[group.start : group.stop])
    assert topology.groups[-1].stop == topology.n_parameters


ROUND_TRIPS = pytest.mark.parametrize(
    "round_trip",
    [
        copy.copy,
        copy.deepcopy,
        *(
            lambda thing, p=protocol: pickle.loads(pickle.dumps(thing, p))
            for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
        ),
    ],
)
NUMBERS = {
    "learning_rate": 0.1,
    "momentum": 0.2,
    "beta_1": 0.3,
    "beta_2": 0.4,
    "epsilon": 0.5,
    "weight_decay": 0.6,
    "nesterov": True,
    "t": 2**40,
}


@ROUND_TRIPS
def test_topology_round_trip(round_trip: Any) -> None:
    topology = Topology(
        [3, 4, 2, 1],
        [Activation.RELU, Activation.TANH, Activation.SIGMOID],
        [True, False, True],
        Loss.BINARY_CROSS_ENTROPY,
    )
    again = round_trip(topology)
    assert type(again) is Topology and again is not topology
    public = (
        "sizes activations biases kinds loss loss_parameters n_layers n_columns "
        "n_outputs n_parameters from_z groups"
    )
    for name in public.split():
        assert getattr(again, name) == getattr(topology, name)
    theta = np.arange(float(topology.n_parameters))
    for got, want in zip(again.views(theta), topology.views(theta), strict=True):
        for a, b in zip(got, want, strict=True):
            assert (a is b is None) or np.array_equal(a, b)


@pytest.mark.parametrize(
    ("sizes", "activations", "biases", "message"),
    [
        ([3], [], [], "sizes"),
        ([3, 2, 1], [1], [True], "sizes"),
        ([3, 1], [1, 0], [True, True], "sizes"),
        ([3, 1], [0], [True, True], "biases"),
        ([3, 0, 1], [1, 0], [True, True], "size"),
        ([0, 1], [0], [True], "size"),
        ([3, -1], [0], [True], "size"),
    ],
)
def test_wrong_topologies_are_refused(
    sizes: list[int], activations: list[int], biases: list[bool], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Topology(sizes, activations, biases, Loss.SQUARED_ERROR)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([1, 1], [99], [True], 0), "99 is not an Activation"),
        (([1, 1], [0], [True], 42), "42 is not a Loss"),
        (([1, 1], [65], [True], 0), "softmax and categorical"),
        (([1, 1], [0], [True], 2), "softmax and categorical"),
        (([1, 1, 1], [64, 0], [True, True], 0), "output layer only"),
    ],
)
def test_topology_refuses_kinds_without_a_branch(arguments, words):
    with pytest.raises(ValueError, match=words):
        Topology(*arguments)


@pytest.mark.parametrize("kinds", [[0], [0, 0, 0], [0, 1], [-1, 0]])
def test_kinds_of_layers_that_are_none_are_refused(kinds: list[int]) -> None:
    with pytest.raises(ValueError, match="kinds must be 2 kinds of layers"):
        Topology([3, 2, 1], [1, 0], [True, True], 0, kinds=kinds)
    given = Topology([3, 2, 1], [1, 0], [True, True], 0, kinds=[0, 0])
    assert given.kinds == Topology([3, 2, 1], [1, 0], [True, True], 0).kinds
