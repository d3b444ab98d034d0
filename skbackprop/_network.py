"""Network: the engine without an estimator, for learners and for tests of formulas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, overload

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from ._arguments import (
    check_name,
    check_pair,
    check_range,
    checked_dtype,
    checked_labels,
    checked_parameters,
    checked_random_state,
    checked_sizes,
    numeric,
    per_layer,
)
from ._evaluation import (
    make_table,
    predict,
    readable,
    scale_weights,
    value_and_gradient,
)
from ._fitted import FittedParameters
from ._hidden import FAR_BELOW, input_gradients
from ._layers import (
    HIDDEN_ACTIVATIONS,
    LOSSES,
    OUTPUT_ACTIVATIONS,
    Array,
    initialize,
    make_topology,
    parameter_views,
)
from .core import engine_of

if TYPE_CHECKING:
    from .core.engine import Table

#: The loss whose output activation is softmax.
SOFTMAX_LOSS = "categorical_cross_entropy"


class Layers(NamedTuple):
    """Z_j and A_j of every layer j = 1..J, each of shape (n, fan_out)."""

    Z: list[Array]
    A: list[Array]


class Gradient(NamedTuple):
    """dL/dW_j and dL/db_j, one array per layer, and dL/dX where it was asked for."""

    coefs: list[Array]
    intercepts: list[Array]
    input: Array | None


class Network:
    """A multilayer perceptron without an estimator: the formulas, runnable.

    Rows are samples. ``Z_j = A_{j-1} W_j + b_j`` (F1), ``A_j = f_j(Z_j)`` (F2) with
    ``A_0 = X``; gradients are those of docs/derivations.md, (B1) to (B5).

    Parameters
    ----------
    layer_sizes : sequence of int
        Columns of X, of each hidden layer, and of the output; at least two sizes.
    activations : str or sequence of str
        One of 'identity', 'relu', 'sigmoid' (or 'logistic'), 'tanh', 'selu', 'silu',
        'gelu', 'mish', 'leaky_relu' for each hidden layer, or one name for all of
        them.
    loss : {'squared_error', 'binary_cross_entropy', 'categorical_cross_entropy', \
            'poisson', 'absolute_error', 'huber', 'quantile'}
        'squared_error' is half the squared error, summed over the outputs (L1).
    output_activation : {'identity', 'relu', 'sigmoid', 'tanh', 'selu', 'silu', \
            'gelu', 'mish', 'leaky_relu', 'exp', 'softmax'}
        'softmax' goes with 'categorical_cross_entropy', and with it alone.
    bias : bool or sequence of bool, default=True
        Whether layers have biases: one flag, or one for every layer.
    dtype : {numpy.float64, numpy.float32}, default=numpy.float64
        The type of the parameters and of all arithmetic.
    random_state : int, RandomState instance or None, default=None
        Draws the initial parameters (Glorot-uniform, biases too).
    loss_parameters : sequence of float, default=()
        For 'huber' its delta, 1 unless given (L7). For 'quantile' the levels, 0.5
        unless given (L8): columns of the output and of Y take them in turn, so that Y
        repeats every target. For a cross-entropy the share of label smoothing (L9).

    Attributes
    ----------
    coefs_ : list of ndarray of shape (fan_in, fan_out)
        ``W_j``; may be assigned.
    intercepts_ : list of ndarray of shape (fan_out,)
        ``b_j``; may be assigned. Zeros for a layer without bias.

    Examples
    --------
    >>> import numpy as np
    >>> from skbackprop import Network
    >>> line = Network([1, 1], (), loss="squared_error", output_activation="identity")
    >>> line.coefs_, line.intercepts_ = [[[2.0]]], [[1.0]]
    >>> line.forward([[1.0], [3.0]])
    array([[3.],
           [7.]])
    """

    def __init__(
        self,
        layer_sizes: Sequence[int],
        activations: str | Sequence[str],
        *,
        loss: str,
        output_activation: str,
        bias: bool | Sequence[bool] = True,
        dtype: npt.DTypeLike = np.float64,
        random_state: int | np.random.RandomState | None = None,
        loss_parameters: Sequence[float] = (),
    ) -> None:
        sizes = checked_sizes(layer_sizes)
        names = per_layer("activations", activations, str, len(sizes) - 2)
        for name in names:
            check_name("activations", name, HIDDEN_ACTIVATIONS)
        check_name("loss", loss, LOSSES)
        check_name("output_activation", output_activation, OUTPUT_ACTIVATIONS)
        check_pair(loss, output_activation)
        flags = per_layer("bias", bias, (bool, np.bool_), len(sizes) - 1)
        self.dtype = checked_dtype(dtype)
        self.loss_name, self.output_activation = loss, output_activation
        self.activations = tuple(names)
        self._topology = make_topology(
            sizes,
            names,
            output_activation,
            loss,
            flags,
            checked_parameters(loss_parameters),
        )
        # The output layer takes the factor of the last hidden one.
        self._hold(
            initialize(
                self._topology,
                [*names, names[-1] if names else "identity"],
                checked_random_state(random_state),
                self.dtype,
            )
        )

    def __repr__(self) -> str:
        return (
            f"Network({list(self._topology.sizes)}, {list(self.activations)}, "
            f"loss={self.loss_name!r}, output_activation={self.output_activation!r})"
        )

    @property
    def coefs_(self) -> list[Array]:
        return self._coefs

    @coefs_.setter
    def coefs_(self, coefs: Sequence[Any]) -> None:
        self._write(coefs, self._intercepts)

    @property
    def intercepts_(self) -> list[Array]:
        return self._intercepts

    @intercepts_.setter
    def intercepts_(self, intercepts: Sequence[Any]) -> None:
        self._write(self._coefs, intercepts)

    def _write(self, coefs: Sequence[Any], intercepts: Sequence[Any]) -> None:
        self._fitted = FittedParameters.gathered(
            self._topology, coefs, intercepts, self.dtype
        )
        self._coefs, self._intercepts = self._fitted.coefs, self._fitted.intercepts

    def __getstate__(self) -> dict[str, Any]:
        state = {**self.__dict__, "_theta": self._parameters()}
        for name in ("_coefs", "_intercepts", "_fitted"):
            del state[name]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        # A copy of its own, and views of that: copy.copy shares the array.
        theta = state.pop("_theta").copy()
        self.__dict__.update(state)
        self._hold(theta)

    def _hold(self, theta: Array) -> None:
        """Take parameters, and show views of them."""
        self._fitted = FittedParameters(self._topology, theta)
        self._coefs, self._intercepts = self._fitted.coefs, self._fitted.intercepts

    def _parameters(self) -> Array:
        """Theta, taken anew from the lists where somebody put an array into one."""
        if not self._fitted.are(self._coefs, self._intercepts):
            self._write(self._coefs, self._intercepts)
        return self._fitted.theta

    @overload
    def forward(self, X: Any, *, return_layers: Literal[False] = False) -> Array: ...
    @overload
    def forward(self, X: Any, *, return_layers: Literal[True]) -> Layers: ...
    def forward(self, X: Any, *, return_layers: bool = False) -> Array | Layers:
        """Outputs of the network, or Z and A of every layer.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, layer_sizes[0])
        return_layers : bool, default=False

        Returns
        -------
        A_J : ndarray of shape (n, layer_sizes[-1])
            Or, with ``return_layers=True``, a named tuple of two lists ``Z`` and
            ``A`` with one array of shape (n, fan_out) per layer.  (F1) (F2)

        Raises
        ------
        ValueError
            Where X has another number of columns, or is not numeric.
        """
        theta, X = self._parameters(), self._checked_X(X)
        if not return_layers:
            table = make_table(X, dtype=self.dtype)
            return predict(self._topology, theta, table)
        A = numeric("X", X.toarray() if sp.issparse(X) else X, self.dtype)
        coefs, intercepts = self._topology.views(theta)
        none, engine = np.empty(0, dtype=self.dtype), engine_of(self.dtype)
        layers = Layers([], [])
        for W, b, kind in zip(
            coefs, intercepts, self._topology.activations, strict=True
        ):
            p, q = W.shape
            Z = np.empty((len(A), q), dtype=self.dtype)
            engine.affine_layer(
                np.ascontiguousarray(A).reshape(-1),
                W.reshape(-1),
                none if b is None else b,
                p,
                q,
                Z.reshape(-1),
            )
            A = np.empty_like(Z)
            engine.activation(kind, Z.reshape(-1), A.reshape(-1), q)
            layers.Z.append(Z)
            layers.A.append(A)
        return layers

    def loss(self, X: Any, Y: Any, sample_weight: Any = None) -> float:
        """The loss, as a weighted mean over the rows.  (L0)

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, layer_sizes[0])
        Y : array-like of shape (n, layer_sizes[-1]) or (n,)
            Targets. For 'categorical_cross_entropy' integer labels (n,) or one-hot
            rows; for one output (n,) will do.
        sample_weight : array-like of shape (n,), default=None

        Returns
        -------
        value : float
        """
        table, denominator = self._table(X, Y, sample_weight)
        return value_and_gradient(
            self._topology, self._parameters(), table, denominator=denominator
        )

    def loss_and_gradient(
        self, X: Any, Y: Any, sample_weight: Any = None, *, input_gradient: bool = False
    ) -> tuple[float, Gradient]:
        """The loss and its gradient, from one pass forward and one back.

        Parameters
        ----------
        X, Y, sample_weight
            As for :meth:`loss`.
        input_gradient : bool, default=False
            Whether dL/dX is wanted too.  (B5)

        Returns
        -------
        value : float
        gradient : named tuple
            ``coefs`` and ``intercepts``, lists of arrays shaped like ``coefs_`` and
            ``intercepts_`` (B3) (B4), zeros for a layer without bias; ``input`` of
            the shape of X, or None.
        """
        table, denominator = self._table(X, Y, sample_weight)
        theta = self._parameters()
        grad = np.empty_like(theta)
        shape = (table.n_rows, self._topology.sizes[0])
        dX = np.empty(shape, dtype=self.dtype) if input_gradient else None
        value = value_and_gradient(
            self._topology, theta, table, denominator=denominator, grad=grad, dX=dX
        )
        return value, Gradient(*parameter_views(self._topology, grad), dX)

    def input_gradient(self, X: Any) -> Array:
        """How each output of ``forward`` changes with each input.  (B5)

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, layer_sizes[0])

        Returns
        -------
        gradient : ndarray of shape (n, layer_sizes[-1], layer_sizes[0])
            dA_J/dX, row by row. At the kink of a ReLU it is one of both sides.

        Raises
        ------
        ValueError
            Where X has another number of columns, or is not numeric.
        """
        theta, X = self._parameters(), self._checked_X(X)
        topology, softmax = self._topology, self.loss_name == SOFTMAX_LOSS
        far = np.full((X.shape[0], 1), FAR_BELOW, self.dtype)
        table = make_table(X, Y=far, dtype=self.dtype)
        gradients = input_gradients(topology, theta, table, raw=softmax)
        if not softmax:
            return gradients
        # dA_k = A_k (dZ_k - sum_l A_l dZ_l)
        A = predict(topology, theta, table)[:, :, None]
        return A * (gradients - (A * gradients).sum(axis=1, keepdims=True))

    def _checked_X(self, X: Any) -> Any:
        if not sp.issparse(X):
            X = numeric("X", X, self.dtype)
        elif X.dtype.kind not in "fiub":
            raise ValueError(f"X must be numeric. Got dtype {X.dtype}.")
        if X.ndim != 2 or X.shape[1] != self._topology.sizes[0]:
            raise ValueError(
                f"X must have shape (n, {self._topology.sizes[0]}). Got {X.shape}."
            )
        return X

    def _table(self, X: Any, Y: Any, sample_weight: Any) -> tuple[Table, float]:
        X = self._checked_X(X)
        n, q = X.shape[0], self._topology.sizes[-1]
        if n == 0:
            raise ValueError("X has no rows, and the mean of no losses is undefined.")
        labels = None
        if self.loss_name == SOFTMAX_LOSS:
            labels, Y = checked_labels(Y, n, q), None
        else:
            Y = numeric("Y", Y, self.dtype)
            if Y.shape == (n,) and q == 1:
                Y = Y[:, None]
            if Y.shape != (n, q):
                raise ValueError(f"Y must have shape {(n, q)}. Got {Y.shape}.")
            check_range(self.loss_name, Y)
        denominator = float(n)
        if sample_weight is not None:
            sample_weight = numeric("sample_weight", sample_weight, np.float64)
            if sample_weight.shape != (n,):
                raise ValueError(
                    f"sample_weight must have shape {(n,)}. Got {sample_weight.shape}."
                )
            if not np.all(np.isfinite(sample_weight) & (sample_weight >= 0)) or not (
                np.any(sample_weight)
            ):
                raise ValueError(
                    "sample_weight must hold finite numbers, none negative and one "
                    "above zero."
                )
            sample_weight, _ = scale_weights(sample_weight)
            sample_weight = readable("sample_weight", sample_weight, self.dtype)
            denominator = float(sample_weight.sum(dtype=np.float64))
        table = make_table(
            X, Y=Y, labels=labels, sample_weight=sample_weight, dtype=self.dtype
        )
        return table, denominator
