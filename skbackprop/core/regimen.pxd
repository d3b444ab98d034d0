"""What a training does besides gradient and step, as numbers."""

from .real cimport uint64_t

cdef enum:
    # Columns of a plan: what learning rate, dropout and weight decay are multiplied by.
    RATE_, DROPOUT_, DECAY_, N_PLANNED


cdef class Regimen:
    cdef readonly double dropout, max_norm
    cdef readonly uint64_t seed
    # One for every group of parameters: W_1, b_1, W_2, b_2, ..., and the embeddings'.
    cdef double[::1] rate_factor, decay_factor
    # A row for every step of the epoch, or none.
    cdef double[:, ::1] planned
