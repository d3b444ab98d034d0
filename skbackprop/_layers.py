"""Layers: names become numbers here, and flat theta becomes weights and biases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .core.activations import Activation
from .core.embeddings import Embeddings
from .core.losses import Loss
from .core.topology import Topology

Array = npt.NDArray[Any]

#: Constructor names of the hidden activations; scikit-learn's "logistic" is sigmoid.
HIDDEN_ACTIVATIONS: dict[str, Activation] = {
    kind.name.lower(): kind for kind in Activation if kind < 64
} | {"logistic": Activation.SIGMOID}
#: Names of the output activations.
OUTPUT_ACTIVATIONS: dict[str, Activation] = {
    kind.name.lower(): kind for kind in Activation
} | {"logistic": Activation.SIGMOID}
#: Names of the losses.
LOSSES: dict[str, Loss] = {kind.name.lower(): kind for kind in Loss}


def make_topology(
    sizes: Sequence[int],
    activations: Sequence[str],
    output_activation: str,
    loss: str,
    bias: Sequence[bool] | None = None,
    loss_parameters: Sequence[float] = (),
    embeddings: Embeddings | None = None,
) -> Topology:
    """Names to numbers; ``activations`` has one name per hidden layer."""
    kinds = [HIDDEN_ACTIVATIONS[name] for name in activations]
    kinds.append(OUTPUT_ACTIVATIONS[output_activation])
    biases = [True] * len(kinds) if bias is None else bias
    return Topology(sizes, kinds, biases, LOSSES[loss], loss_parameters, embeddings)


def as_plain(topology: Topology) -> dict[str, Any]:
    """A topology of dense layers with biases as names and numbers."""
    embeddings = topology.embeddings
    return {
        "sizes": [*topology.sizes],
        "activations": [Activation(kind).name.lower() for kind in topology.activations],
        "loss": Loss(topology.loss).name.lower(),
        "loss_parameters": [*topology.loss_parameters],
        "embeddings": {
            "edges": embeddings.edges,
            "n_plain": embeddings.n_plain,
            "cardinalities": [*embeddings.cardinalities],
            "dimension": embeddings.dimension,
            "code_dimension": embeddings.code_dimension,
        },
    }


def from_plain(plain: dict[str, Any]) -> Topology:
    """The topology that ``as_plain`` has made names and numbers of."""
    *hidden, output = plain["activations"]
    return make_topology(
        plain["sizes"],
        hidden,
        output,
        plain["loss"],
        loss_parameters=plain["loss_parameters"],
        embeddings=Embeddings(**plain["embeddings"]),
    )


def without_smoothing(topology: Topology) -> Topology:
    """The same network with a loss of labels as they are.  (L9)"""
    smoothed = (Loss.BINARY_CROSS_ENTROPY, Loss.CATEGORICAL_CROSS_ENTROPY)
    if topology.loss not in smoothed or not topology.loss_parameters:
        return topology
    return Topology(
        topology.sizes,
        topology.activations,
        topology.biases,
        topology.loss,
        embeddings=topology.embeddings,
        kinds=topology.kinds,
    )


def initialize(
    topology: Topology,
    activations: Sequence[str],
    random_state: np.random.RandomState,
    dtype: npt.DTypeLike,
) -> Array:
    """Glorot-uniform weights and biases in scikit-learn's order of draws.

    The bound is sqrt(factor / (fan_in + fan_out)) with factor 2 for a sigmoid layer
    and 6 otherwise (Glorot and Bengio, 2010, eq. 16); the output layer takes the
    factor of the last hidden one. ``activations`` has one name per layer.
    """
    theta = np.empty(topology.n_parameters, dtype=dtype)
    for W, b, name in zip(*topology.views(theta), activations, strict=True):
        factor = 2.0 if HIDDEN_ACTIVATIONS[name] == Activation.SIGMOID else 6.0
        bound = np.sqrt(factor / (W.shape[0] + W.shape[1]))
        W[...] = random_state.uniform(-bound, bound, W.shape)
        if b is not None:
            b[...] = random_state.uniform(-bound, bound, b.shape)
    return theta


def parameter_views(
    topology: Topology, theta: Array
) -> tuple[list[Array], list[Array]]:
    """Weights and biases as views of theta; a layer without bias has zeros."""
    coefs, biases = topology.views(theta)
    intercepts: list[Array] = []
    for W, b in zip(coefs, biases, strict=True):
        if b is None:
            b = np.zeros(W.shape[1], dtype=theta.dtype)
            b.flags.writeable = False
        intercepts.append(b)
    return coefs, intercepts


def flatten(
    topology: Topology,
    coefs: Sequence[Any],
    intercepts: Sequence[Any],
    dtype: npt.DTypeLike,
) -> Array:
    """Copy layers into one theta, after their shapes have been checked."""
    theta = np.empty(topology.n_parameters, dtype=dtype)
    weights, biases = topology.views(theta)
    for name, given in ("coefs_", coefs), ("intercepts_", intercepts):
        if not np.iterable(given) or len(given) != topology.n_layers:
            got = len(given) if np.iterable(given) else repr(given)
            raise ValueError(
                f"{name} must have one array for each of the {topology.n_layers} "
                f"layers. Got {got}."
            )
    for j, (W, b) in enumerate(zip(weights, biases, strict=True)):
        _assign(f"coefs_[{j}]", W, coefs[j])
        if b is not None:
            _assign(f"intercepts_[{j}]", b, intercepts[j])
        elif intercepts[j] is not None and np.any(np.asarray(intercepts[j]) != 0):
            raise ValueError(
                f"intercepts_[{j}] belongs to a layer without bias and must be zero "
                f"or None. Got {intercepts[j]!r}."
            )
    return theta


def _assign(name: str, target: Array, given: Any) -> None:
    array = np.asarray(given)
    # A bias is often written as the (1, fan_out) of the derivations.
    if target.ndim == 1 and array.shape == (1, len(target)):
        array = array[0]
    if array.shape != target.shape or array.dtype.kind not in "fiub":
        raise ValueError(
            f"{name} must be a numeric array of shape {target.shape}. "
            f"Got shape {array.shape} and dtype {array.dtype}."
        )
    with np.errstate(over="ignore"):
        target[...] = array
    if not np.isfinite(target).all():
        raise ValueError(f"{name} must be finite in {target.dtype}.")
