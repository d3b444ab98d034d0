"""The shape of a network, computed once from sizes and kinds."""

import numpy as np

from .activations cimport Activation
from .embeddings cimport N_GROUPS, Embeddings
from .losses cimport canonical_output

# The enumerations as Python objects; the cimported ones are C's.
from .activations import Activation as _Activation
from .losses import Loss as _Loss


cdef class Topology:
    """Sizes, activations, biases and loss of a network; offsets into theta.

    theta is flat and row-major, ``[W_1, b_1, W_2, b_2, ...]`` with ``W_j`` of shape
    (fan_in, fan_out); a layer without bias has no ``b_j`` in it. Parameters of
    embeddings come before ``W_1``.

    Parameters
    ----------
    sizes : sequence of int, length J + 1
        Columns of X, of every hidden layer, and of the output.
    activations : sequence of int, length J
        ``Activation`` of every layer, the output included.
    biases : sequence of bool, length J
    loss : int
        A ``Loss``.
    loss_parameters : sequence of float, default=()
        Huber's delta (1 unless given); the levels of the quantile loss (0.5 unless
        given), which output columns take in turn; the share of label smoothing of a
        cross-entropy (0 unless given). None for the other losses.
    embeddings : Embeddings, default=None
        What makes A_0 of the columns of X; their parameters stand first in theta, and
        ``sizes[0]`` is their ``n_outputs``. None: A_0 is X.
    """

    def __init__(
        self, sizes, activations, biases, int loss, loss_parameters=(),
        Embeddings embeddings=None,
    ):
        cdef Py_ssize_t j, at = 0
        cdef int output
        _check_size(sizes, biases, embeddings)
        self.size = np.array(sizes, dtype=np.intp)
        self.activation = np.array(activations, dtype=np.intc)
        self.biased = np.array(biases, dtype=np.intc)
        self.n_layers = self.activation.shape[0]
        if self.n_layers < 1 or self.size.shape[0] != self.n_layers + 1:
            raise ValueError("sizes must be one longer than activations, and that 1")
        if self.biased.shape[0] != self.n_layers:
            raise ValueError("biases must be as long as activations")
        self.weights_at = np.zeros(self.n_layers, dtype=np.intp)
        self.biases_at = np.zeros(self.n_layers, dtype=np.intp)
        self.loss = loss
        output = self.activation[self.n_layers - 1]
        # Identity is canonical too, but there A_J is Z_J already.
        self.from_z = output == canonical_output(loss) and output != Activation.IDENTITY
        self.widest = 0
        _check_kinds(self.activations, loss)
        self.parameters = _checked_parameters(loss, loss_parameters, self.sizes)
        self.n_columns, self.embeddings = self.size[0], embeddings
        if embeddings is not None:
            if embeddings.n_outputs != self.size[0]:
                raise ValueError(f"sizes[0] must be {embeddings.n_outputs}")
            self.n_columns, at = embeddings.n_columns, embeddings.n_parameters
        for j in range(self.n_layers):
            if self.size[j] < 1 or self.size[j + 1] < 1:
                raise ValueError("every size must be at least 1")
            self.weights_at[j] = at
            at += self.size[j] * self.size[j + 1]
            self.biases_at[j] = at
            if self.biased[j]:
                at += self.size[j + 1]
            self.widest = max(self.widest, self.size[j + 1])
        self.n_parameters = at

    def __reduce__(self):
        # Cython's own pickling would lose the integers in some serialisers.
        return Topology, (
            self.sizes, self.activations, self.biases, self.loss, self.loss_parameters,
            self.embeddings,
        )

    @property
    def n_groups(self):
        """Groups of parameters: W_1, b_1, W_2, b_2, ..., then the embeddings'."""
        return 2 * self.n_layers + (
            0 if self.embeddings is None else <int> N_GROUPS
        )

    @property
    def sizes(self):
        return tuple(np.asarray(self.size).tolist())

    @property
    def activations(self):
        return tuple(np.asarray(self.activation).tolist())

    @property
    def biases(self):
        return tuple(bool(flag) for flag in self.biased)

    @property
    def loss_parameters(self):
        return tuple(np.asarray(self.parameters).tolist())

    def views(self, theta):
        """W_j and b_j of a flat array, as lists of views; b_j may be None."""
        cdef Py_ssize_t j, at, p, q
        weights, intercepts = [], []
        for j in range(self.n_layers):
            at, p, q = self.weights_at[j], self.size[j], self.size[j + 1]
            weights.append(theta[at : at + p * q].reshape(p, q))
            at = self.biases_at[j]
            intercepts.append(theta[at : at + q] if self.biased[j] else None)
        return weights, intercepts


def _check_size(sizes, biases, embeddings):
    """Refuse more parameters than can be counted; Python's integers do not wrap."""
    sizes = [int(size) for size in sizes]
    total = 0 if embeddings is None else embeddings.n_parameters
    # Lengths that differ are refused later.
    for p, q, biased in zip(sizes, sizes[1:], biases, strict=False):
        total += (p + bool(biased)) * q
    if total > np.iinfo(np.intp).max // 8:
        raise ValueError(
            f"Layers of sizes {sizes} have {total} parameters, more than an array "
            "can hold."
        )


def _check_kinds(kinds, loss):
    """Refuse what has no branch in the mathematics."""
    if loss not in set(_Loss):
        raise ValueError(f"{loss} is not a Loss")
    for kind in kinds:
        if kind not in set(_Activation):
            raise ValueError(f"{kind} is not an Activation")
    # Unpacked, since wraparound=False makes kinds[-1] read foreign memory.
    *hidden, output = kinds
    if any(kind >= 64 for kind in hidden):
        raise ValueError("exp and softmax are for the output layer only")
    softmax = output == _Activation.SOFTMAX
    if softmax != (loss == _Loss.CATEGORICAL_CROSS_ENTROPY):
        raise ValueError("softmax and categorical cross-entropy go together only")


def _checked_parameters(loss, given, sizes):
    """The parameters of a loss as an array, or an error that says what it allows."""
    values = np.array(given, dtype=np.float64)
    if values.ndim != 1:
        raise ValueError(f"loss_parameters must be a sequence. Got {given!r}.")
    *_, q = sizes
    name = _Loss(loss).name.lower()
    if loss == _Loss.HUBER:
        if len(values) == 0:
            values = np.ones(1)
        right = len(values) == 1 and 0 < values[0] < np.inf
        allowed = "one number above 0, its delta"
    elif loss == _Loss.QUANTILE:
        if len(values) == 0:
            values = np.array([0.5])
        right = np.all((values > 0) & (values < 1)) and q % len(values) == 0
        allowed = (
            "levels between 0 and 1, so many that the number of outputs, "
            f"{q}, is a multiple"
        )
    elif loss in (_Loss.BINARY_CROSS_ENTROPY, _Loss.CATEGORICAL_CROSS_ENTROPY):
        right = len(values) < 2 and np.all((values >= 0) & (values < 1))
        allowed = "at most one number in [0, 1), the share of label smoothing"
    else:
        right = len(values) == 0
        allowed = "empty"
    if not right:
        raise ValueError(
            f"loss_parameters of {name} must be {allowed}. Got {given!r}."
        )
    return values
