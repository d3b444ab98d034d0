"""What is inside a network: its last hidden layer, and how outputs follow inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin

from ._evaluation import value_and_gradient
from ._layers import Array
from ._snapshot import reads_at_once
from .core.activations import Activation
from .core.losses import Loss
from .core.topology import Topology

if TYPE_CHECKING:
    from .core.engine import Table

#: A target far below any output: there the pinball loss of level 1/2 is half of the
#: output but for a constant, and twice its gradient is that of the output.
FAR_BELOW = -1e30


def hidden_part(topology: Topology, theta: Array) -> tuple[Topology, Array]:
    """The network without its last layer: its outputs are A_{J-1}.

    Raises ValueError where that is the only layer.
    """
    if topology.n_layers == 1:
        raise ValueError(
            "A network without hidden layers has no hidden features: give "
            "hidden_layer_sizes a size at least."
        )
    part = Topology(
        topology.sizes[:-1],
        topology.activations[:-1],
        topology.biases[:-1],
        Loss.SQUARED_ERROR,
        embeddings=topology.embeddings,
        kinds=topology.kinds[:-1],
    )
    return part, theta[: part.n_parameters]


def input_gradients(
    topology: Topology, theta: Array, table: Table, raw: bool = False
) -> Array:
    """dA_J/dX of every row, or dZ_J/dX where raw; a pass back for each output.  (B5)

    Parameters
    ----------
    topology : Topology
        Without softmax, unless raw.
    theta : ndarray of shape (n_parameters,)
    table : Table
        Rows whose targets are one column of ``FAR_BELOW``.
    raw : bool, default=False

    Returns
    -------
    gradients : ndarray of shape (n, n_outputs, n_columns)
    """
    n, q = table.n_rows, topology.n_outputs
    found = np.empty((n, q, topology.n_columns), theta.dtype)
    for k in range(q):
        one, of_one = _one_output(topology, theta, k, raw)
        dX = np.empty((n, topology.n_columns), theta.dtype)
        grad = np.empty_like(of_one)
        value_and_gradient(one, of_one, table, denominator=0.5, grad=grad, dX=dX)
        found[:, k] = dX
    return found


def _one_output(
    topology: Topology, theta: Array, k: int, raw: bool
) -> tuple[Topology, Array]:
    """The network of one of the outputs, under the loss of which ``FAR_BELOW`` is."""
    *hidden, output = topology.activations
    one = Topology(
        [*topology.sizes[:-1], 1],
        [*hidden, Activation.IDENTITY if raw else output],
        topology.biases,
        Loss.QUANTILE,
        (0.5,),
        kinds=topology.kinds,
    )
    of_one = np.empty(one.n_parameters, theta.dtype)
    for wide, narrow in zip(topology.views(theta), one.views(of_one), strict=True):
        for whole, part in zip(wide[:-1], narrow[:-1], strict=True):
            if part is not None:
                part[...] = whole
        if narrow[-1] is not None:
            narrow[-1][...] = wide[-1][..., k : k + 1]
    return one, of_one


class HiddenFeatures(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """``transform`` of an estimator whose networks have hidden layers."""

    @property
    def _n_features_out(self) -> int:
        """The number of hidden features."""
        raise NotImplementedError

    def _hidden(self, X: Any) -> Array:
        """The hidden features of every row."""
        raise NotImplementedError

    @reads_at_once
    def transform(self, X: Any) -> Array:
        """The last hidden layer's activations, as features for another model.

        Parameters
        ----------
        X : array-like or frame of shape (n_samples, n_features)
            As ``predict`` takes it.

        Returns
        -------
        A : ndarray of shape (n_samples, n_hidden)
            A_{J-1} of the network; of an ensemble those of all networks side by side.
            A frame instead where ``set_output`` says so.

        Raises
        ------
        ValueError
            Where X is not allowed, or there is no hidden layer.
        """
        return self._hidden(X)
