"""The shape of a network: no real array, so one class serves every real type."""

from .embeddings cimport Embeddings


cdef class Topology:
    cdef readonly Py_ssize_t n_layers, n_parameters
    cdef readonly int loss
    # Whether loss and delta_J come straight from Z_J: the canonical pairs, (L5).
    cdef readonly bint from_z
    # Columns of X: size[0], or those of the embeddings that become A_0.
    cdef readonly Py_ssize_t n_columns, n_outputs
    cdef readonly Embeddings embeddings
    # Layer j = 0..n_layers-1 maps size[j] to size[j + 1] columns.
    cdef Py_ssize_t[::1] size
    cdef int[::1] kind, activation, biased
    # The parameter groups, in the order of theta: where they lie, and the first of
    # every layer, and one more of both; the embeddings' stand before. A bias is its
    # layer's last group.
    cdef readonly list groups
    cdef Py_ssize_t[::1] group_start, first_group
    # Of the loss: Huber's delta, quantile levels, or the share of label smoothing.
    cdef double[::1] parameters
