"""Rows of the training table into the layout of the batch."""

from libc.string cimport memcpy

from .real cimport real


cdef inline Py_ssize_t row_at(
    const Py_ssize_t[::1] rows, Py_ssize_t start, Py_ssize_t i
) noexcept nogil:
    """The table's row that stands i-th in the batch; empty rows mean their order."""
    return rows[start + i] if rows.shape[0] > 0 else start + i


cdef inline void gather_rows(
    const real[:, ::1] X,
    const Py_ssize_t[::1] rows,
    Py_ssize_t start,
    Py_ssize_t n,
    real[::1] A,
) noexcept nogil:
    """A_0 = X[rows[start : start + n]]."""
    cdef Py_ssize_t i, p = X.shape[1]
    if rows.shape[0] == 0:
        memcpy(&A[0], &X[start, 0], n * p * sizeof(real))
        return
    for i in range(n):
        memcpy(&A[i * p], &X[rows[start + i], 0], p * sizeof(real))


cdef inline void gather_labels(
    const int[::1] labels,
    const Py_ssize_t[::1] rows,
    Py_ssize_t start,
    Py_ssize_t n,
    int[::1] batch,
) noexcept nogil:
    """batch = labels[rows[start : start + n]]."""
    cdef Py_ssize_t i
    for i in range(n):
        batch[i] = labels[row_at(rows, start, i)]


cdef inline void gather_weights(
    const real[::1] weights,
    const Py_ssize_t[::1] rows,
    Py_ssize_t start,
    Py_ssize_t n,
    real[::1] batch,
) noexcept nogil:
    """batch = weights[rows[start : start + n]]."""
    cdef Py_ssize_t i
    for i in range(n):
        batch[i] = weights[row_at(rows, start, i)]
