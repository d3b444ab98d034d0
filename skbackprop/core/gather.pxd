"""Rows of the training table into the layout of the batch."""

from libc.string cimport memcpy

from .panels cimport rows_to_panels
from .real cimport real
from .simd cimport PANELS, doubles, floats


cdef inline Py_ssize_t row_at(
    const Py_ssize_t[::1] rows, Py_ssize_t start, Py_ssize_t i
) noexcept nogil:
    """The table's row that stands i-th in the batch; empty rows mean their order."""
    return rows[start + i] if rows.shape[0] > 0 else start + i


cdef inline void gather_inputs(
    const real[:, ::1] X,
    const Py_ssize_t[::1] rows,
    Py_ssize_t start,
    Py_ssize_t n,
    Py_ssize_t first,
    Py_ssize_t last,
    real* A,
) noexcept nogil:
    """A_0 = X[rows[start : start + n]], rows first to last, in the layout."""
    cdef const Py_ssize_t* chosen = &rows[start] if rows.shape[0] > 0 else NULL
    cdef Py_ssize_t p = X.shape[1], offset = 0 if rows.shape[0] > 0 else start
    if first == last:
        return
    if not PANELS:
        gather_rows(X, rows, start, first, last, A)
    elif real is float:
        rows_to_panels(
            <const floats*> &X[offset, 0], chosen, X.shape[0] - offset, n, p,
            first, last, <floats*> A,
        )
    else:
        rows_to_panels(
            <const doubles*> &X[offset, 0], chosen, X.shape[0] - offset, n, p,
            first, last, <doubles*> A,
        )


cdef inline void gather_embedded(
    const real* rows, Py_ssize_t n, Py_ssize_t p, Py_ssize_t first, Py_ssize_t last,
    real* A,
) noexcept nogil:
    """A_0 = rows first to last of a row-major matrix, in the layout."""
    if not PANELS:
        memcpy(A + first * p, rows + first * p, (last - first) * p * sizeof(real))
    elif real is float:
        rows_to_panels(
            <const floats*> rows, NULL, n, n, p, first, last, <floats*> A
        )
    else:
        rows_to_panels(
            <const doubles*> rows, NULL, n, n, p, first, last, <doubles*> A
        )


cdef inline void gather_rows(
    const real[:, ::1] X,
    const Py_ssize_t[::1] rows,
    Py_ssize_t start,
    Py_ssize_t first,
    Py_ssize_t last,
    real* A,
) noexcept nogil:
    """A = X[rows[start : ]], rows first to last, row-major."""
    cdef Py_ssize_t i, p = X.shape[1]
    if first == last:
        return
    if rows.shape[0] == 0:
        memcpy(A + first * p, &X[start + first, 0], (last - first) * p * sizeof(real))
    elif p == 1:
        for i in range(first, last):
            A[i] = X[rows[start + i], 0]
    else:
        for i in range(first, last):
            memcpy(A + i * p, &X[rows[start + i], 0], p * sizeof(real))


cdef inline void gather_labels(
    const int[::1] labels,
    const Py_ssize_t[::1] rows,
    Py_ssize_t start,
    Py_ssize_t first,
    Py_ssize_t last,
    int* batch,
) noexcept nogil:
    """batch = labels[rows[start : ]], first to last."""
    cdef Py_ssize_t i
    for i in range(first, last):
        batch[i] = labels[row_at(rows, start, i)]


cdef inline void gather_weights(
    const real[::1] weights,
    const Py_ssize_t[::1] rows,
    Py_ssize_t start,
    Py_ssize_t first,
    Py_ssize_t last,
    real* batch,
) noexcept nogil:
    """batch = weights[rows[start : ]], first to last."""
    cdef Py_ssize_t i
    for i in range(first, last):
        batch[i] = weights[row_at(rows, start, i)]
