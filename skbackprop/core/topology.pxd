"""The shape of a network: no real array, so one class serves every real type."""

from .embeddings cimport Embeddings


cdef class Topology:
    cdef readonly Py_ssize_t n_layers, n_parameters, widest
    cdef readonly int loss
    # Whether loss and delta_J come straight from Z_J: the canonical pairs, (L5).
    cdef readonly bint from_z
    # Columns of X: size[0], or those of the embeddings that become A_0.
    cdef readonly Py_ssize_t n_columns
    cdef readonly Embeddings embeddings
    # Layer j = 0..n_layers-1 maps size[j] to size[j + 1] columns.
    cdef Py_ssize_t[::1] size, weights_at, biases_at
    cdef int[::1] activation, biased
    # Of the loss: Huber's delta, quantile levels, or the share of label smoothing.
    cdef double[::1] parameters
