"""The shape of a network, computed once from sizes and kinds."""

import math
from typing import NamedTuple

import numpy as np

from .activations cimport Activation
from .embeddings cimport Embeddings
from .kinds cimport DENSE, N_KINDS, parameter_groups
from .losses cimport canonical_output

# The enumerations as Python objects; the cimported ones are C's.
from .activations import Activation as _Activation
from .losses import Loss as _Loss


class ParameterGroup(NamedTuple):
    """Parameters of one purpose: a learning rate, decay and name of their own."""

    #: "W_1", "b_1", ..., and "V", "b", "u", "m", "table" of the embeddings.
    name: str
    #: Where they lie in theta.
    start: int
    stop: int
    shape: tuple
    #: Whether weight decay is for them.
    decays: bool
    #: Whether the L2 penalty (R1) counts them.
    penalised: bool


cdef class Topology:
    """Sizes, activations, biases and loss of a network; offsets into theta.

    theta is flat and row-major, ``[W_1, b_1, W_2, b_2, ...]`` with ``W_j`` of shape
    (fan_in, fan_out); a layer without bias has no ``b_j`` in it. Parameters of
    embeddings come before ``W_1``. ``groups`` lists what lies where.

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
    kinds : sequence of int, length J, default=None
        The kind of every layer, as kinds.pxd numbers them; None: all are dense.
    """

    def __init__(
        self, sizes, activations, biases, int loss, loss_parameters=(),
        Embeddings embeddings=None, kinds=None,
    ):
        cdef int output
        if kinds is None:
            kinds = [DENSE] * len(biases)
        _check_size(sizes, kinds, biases, embeddings)
        self.size = np.array(sizes, dtype=np.intp)
        self.activation = np.array(activations, dtype=np.intc)
        self.biased = np.array(biases, dtype=np.intc)
        self.n_layers = self.activation.shape[0]
        if self.n_layers < 1 or self.size.shape[0] != self.n_layers + 1:
            raise ValueError("sizes must be one longer than activations, and that 1")
        if self.biased.shape[0] != self.n_layers:
            raise ValueError("biases must be as long as activations")
        self.kind = np.array(kinds, dtype=np.intc)
        if self.kind.shape[0] != self.n_layers or not all(
            0 <= kind < N_KINDS for kind in self.kinds
        ):
            raise ValueError(f"kinds must be {self.n_layers} kinds of layers")
        self.loss = loss
        output = self.activation[self.n_layers - 1]
        # Identity is canonical too, but there A_J is Z_J already.
        self.from_z = output == canonical_output(loss) and output != Activation.IDENTITY
        _check_kinds(self.activations, loss)
        self.parameters = _checked_parameters(loss, loss_parameters, self.sizes)
        self.n_columns, self.n_outputs = self.size[0], self.size[self.n_layers]
        self.embeddings = embeddings
        if min(self.sizes) < 1:
            raise ValueError("every size must be at least 1")
        if embeddings is not None:
            if embeddings.n_outputs != self.size[0]:
                raise ValueError(f"sizes[0] must be {embeddings.n_outputs}")
            self.n_columns = embeddings.n_columns
        self._lay_out()

    def _lay_out(self):
        """The table of parameter groups, in the order of theta."""
        cdef Py_ssize_t j, at = 0
        groups = [] if self.embeddings is None else [
            ParameterGroup(name, start, stop, shape, decays, False)
            for name, start, stop, shape, decays in self.embeddings.groups
        ]
        firsts = []
        if groups:
            at = groups[len(groups) - 1].stop
        for j in range(self.n_layers):
            firsts.append(len(groups))
            for letter, shape, decays in _layer_groups(
                j + 1, self.kind[j], self.size[j], self.size[j + 1], self.biased[j]
            ):
                stop = at + math.prod(shape)
                groups.append(
                    ParameterGroup(f"{letter}_{j + 1}", at, stop, shape, decays, decays)
                )
                at = stop
        self.groups = groups
        self.first_group = np.array([*firsts, len(groups)], dtype=np.intp)
        self.group_start = np.array(
            [*(group.start for group in groups), at], dtype=np.intp
        )
        self.n_parameters = at
        if at == 0:
            raise ValueError("a network must have parameters")

    def __reduce__(self):
        # Cython's own pickling would lose the integers in some serialisers.
        return Topology, (
            self.sizes, self.activations, self.biases, self.loss, self.loss_parameters,
            self.embeddings, self.kinds,
        )

    @property
    def sizes(self):
        return tuple(np.asarray(self.size).tolist())

    @property
    def activations(self):
        return tuple(np.asarray(self.activation).tolist())

    @property
    def kinds(self):
        return tuple(np.asarray(self.kind).tolist())

    @property
    def biases(self):
        return tuple(bool(flag) for flag in self.biased)

    @property
    def loss_parameters(self):
        return tuple(np.asarray(self.parameters).tolist())

    def layer_groups(self, Py_ssize_t j):
        """The parameter groups of layer j = 1..n_layers."""
        return self.groups[self.first_group[j - 1] : self.first_group[j]]

    def views(self, theta):
        """W_j and b_j of a flat array, as lists of views; b_j may be None."""
        cdef Py_ssize_t j
        weights, intercepts = [], []
        for j in range(1, self.n_layers + 1):
            parts = [
                theta[group.start : group.stop].reshape(group.shape)
                for group in self.layer_groups(j)
            ]
            intercepts.append(parts.pop() if self.biased[j - 1] else None)
            weights.append(parts[0] if parts else None)
        return weights, intercepts


def _layer_groups(j, kind, p, q, biased):
    """The groups of layer j = 1..J, whose kind may refuse its sizes."""
    try:
        return parameter_groups(kind, p, q, biased)
    except ValueError as error:
        raise ValueError(f"layer {j}: {error}") from None


def _check_size(sizes, kinds, biases, embeddings):
    """Refuse more parameters than can be counted; Python's integers do not wrap."""
    sizes = [int(size) for size in sizes]
    total = 0 if embeddings is None else embeddings.n_parameters
    # Lengths that differ are refused later.
    layers = zip(kinds, sizes, sizes[1:], biases, strict=False)
    for j, (kind, p, q, biased) in enumerate(layers, 1):
        for _, shape, _ in _layer_groups(j, kind, p, q, bool(biased)):
            total += math.prod(shape)
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
