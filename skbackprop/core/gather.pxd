"""The rows of the training table, and how they come into the batch."""

from libc.string cimport memcpy

from .matrix cimport Matrix
from .panels cimport SparseRow, rows_to_panels
from .real cimport real
from .simd cimport PANELS


cdef struct Rows:
    # Of n rows and p columns: X row-major, or CSR where that is NULL; Y or labels; w is
    # NULL for weights of one; order has the row that stands i-th, NULL: row i.
    const real* X
    const real* data
    const int* indices
    const long long* indptr
    const real* Y
    const int* labels
    const real* w
    const Py_ssize_t* order
    Py_ssize_t n, p
    bint sparse


cdef inline Py_ssize_t row_at(const Rows* rows, Py_ssize_t i) noexcept nogil:
    """The table's row that stands i-th in the order."""
    return i if rows.order == NULL else rows.order[i]


cdef inline SparseRow sparse_row(const Rows* rows, Py_ssize_t i) noexcept nogil:
    """The stored entries of the row that stands i-th."""
    cdef Py_ssize_t r = row_at(rows, i)
    return SparseRow(
        rows.data + rows.indptr[r], rows.indices + rows.indptr[r],
        rows.indptr[r + 1] - rows.indptr[r],
    )


cdef inline void gather_inputs(
    const Rows* rows, Py_ssize_t start, Py_ssize_t n, Py_ssize_t first, Py_ssize_t last,
    Matrix A,
) noexcept nogil:
    """A_0 = X[order[start : start + n]], rows first to last, in the layout."""
    cdef Py_ssize_t offset = start if rows.order == NULL else 0
    if not PANELS:
        gather_rows(rows, rows.X, rows.p, start, first, last, A.data)
    else:
        rows_to_panels(
            rows.X + offset * rows.p,
            <const Py_ssize_t*> NULL if rows.order == NULL else rows.order + start,
            rows.n - offset, n, first, last, A,
        )


cdef inline void gather_rows(
    const Rows* rows, const real* X, Py_ssize_t p, Py_ssize_t start, Py_ssize_t first,
    Py_ssize_t last, real* A,
) noexcept nogil:
    """A = X[order[start : ]], rows first to last, of p columns, row-major."""
    cdef Py_ssize_t i
    if rows.order == NULL:
        memcpy(
            A + first * p, X + (start + first) * p, (last - first) * p * sizeof(real)
        )
    elif p == 1:
        for i in range(first, last):
            A[i] = X[rows.order[start + i]]
    else:
        for i in range(first, last):
            memcpy(A + i * p, X + rows.order[start + i] * p, p * sizeof(real))


cdef inline void gather_labels(
    const Rows* rows, Py_ssize_t start, Py_ssize_t first, Py_ssize_t last, int* batch
) noexcept nogil:
    """batch = labels[order[start : ]], first to last."""
    cdef Py_ssize_t i
    for i in range(first, last):
        batch[i] = rows.labels[row_at(rows, start + i)]


cdef inline void gather_weights(
    const Rows* rows, Py_ssize_t start, Py_ssize_t first, Py_ssize_t last, real* batch
) noexcept nogil:
    """batch = w[order[start : ]], first to last."""
    cdef Py_ssize_t i
    for i in range(first, last):
        batch[i] = rows.w[row_at(rows, start + i)]
