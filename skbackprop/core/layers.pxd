"""The network of a call: its layers, the batch that goes through them, and its buffers.

Layers are numbered as in docs/derivations.md: layer j = 1..J has W_j, b_j, Z_j, A_j
and delta_j; A_0 is the batch of X. A workspace of the engine owns what these structs
point to, and strides are those of its capacity, so that a batch of fewer rows finds
everything at the same place.
"""

from .dropout cimport DropoutMask
from .embeddings cimport EmbeddingLayer
from .losses cimport LossOf
from .matrix cimport Matrix
from .optimizers cimport StepScale
from .real cimport real


cdef struct Layer:
    # From p = fan_in columns to q = fan_out; ``kind`` is one of kinds.pxd.
    int kind, activation
    bint is_output
    Py_ssize_t p, q
    # Views of theta: where its first parameter group lies, and the bias, or NULL.
    const real* W
    const real* b
    # Its first parameter group, and how many; the first of its sums of squares.
    Py_ssize_t group, n_groups, first_penalty
    # [b; W] and [0; W^T] as the products read them; data is NULL where they read W.
    # Row 0 of the packed W_j^T is zero: the backward product has no bias.
    Matrix packed, transposed
    # A is Z itself unless f' is written in Z, or units are dropped of A.
    Matrix Z, A, delta


cdef struct Network:
    const real* theta
    Py_ssize_t J
    # 0..J; of layer 0 only A, and delta where the gradient goes on to the inputs.
    Layer* layers
    LossOf loss
    # X becomes A_0 by these, where there are any.
    bint has_embeddings
    EmbeddingLayer embeddings
    # Rows that go through all layers together: what lies between stays in cache.
    Py_ssize_t block
    # Of the batch, row-major: Y, w, labels, and the loss's delta_J.
    real* Y
    real* w
    int* labels
    real* delta_rows
    # sum_i w_i l_i of every chunk of rows; ||W||^2 / 2 of every block of weights.
    double* losses
    double* penalties
    Py_ssize_t n_penalties


cdef struct Batch:
    # Rows start to start + n of the order; what the loss is multiplied by.
    Py_ssize_t start, n
    double scale
    DropoutMask mask
    StepScale step
