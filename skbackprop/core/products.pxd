"""The three products of back-propagation, and the sums beside them.

Shapes: A (n, p), W (p, q), b (q), Z and delta (n, q), all in the layout of the
batch but W and b, which are row-major views of theta; an empty b means no bias.
"""

from .blas cimport gemm
from .gather cimport row_at
from .real cimport real


cdef inline void set_rows(const real[::1] b, Py_ssize_t q, real[::1] Z) noexcept nogil:
    """Z = 1 b, with a column of ones; 0 without a bias."""
    cdef Py_ssize_t i, k
    if b.shape[0] == 0:
        for i in range(Z.shape[0]):
            Z[i] = 0
        return
    for i in range(Z.shape[0] // q):
        for k in range(q):
            Z[i * q + k] = b[k]


cdef inline void affine(
    const real[::1] A,
    const real[::1] W,
    const real[::1] b,
    Py_ssize_t p,
    Py_ssize_t q,
    real[::1] Z,
) noexcept nogil:
    """Z_j = A_{j-1} W_j + b_j.  (F1)"""
    set_rows(b, q, Z)
    gemm(c"N", c"N", Z.shape[0] // q, q, p, &A[0], p, &W[0], q, <real> 1, &Z[0])


cdef inline void back(
    const real[::1] delta,
    const real[::1] W,
    Py_ssize_t p,
    Py_ssize_t q,
    real[::1] previous,
) noexcept nogil:
    """delta_{j+1} W_{j+1}^T, the first factor of (B2); dL/dX of layer 1.  (B5)"""
    cdef Py_ssize_t n = delta.shape[0] // q
    gemm(c"N", c"T", n, p, q, &delta[0], q, &W[0], q, <real> 0, &previous[0])


cdef inline void add_weight_gradient(
    const real[::1] A,
    const real[::1] delta,
    Py_ssize_t p,
    Py_ssize_t q,
    real[::1] dW,
) noexcept nogil:
    """dL/dW_j = A_{j-1}^T delta_j, added to dW.  (B3)"""
    cdef Py_ssize_t n = delta.shape[0] // q
    gemm(c"T", c"N", p, q, n, &A[0], p, &delta[0], q, <real> 1, &dW[0])


cdef inline void add_bias_gradient(
    const real[::1] delta, Py_ssize_t q, real[::1] db
) noexcept nogil:
    """dL/db_j = sum over rows of delta_j, added to db.  (B4)"""
    cdef Py_ssize_t i, k
    for i in range(delta.shape[0] // q):
        for k in range(q):
            db[k] += delta[i * q + k]


cdef inline void sparse_affine(
    const real[::1] data,
    const int[::1] indices,
    const long long[::1] indptr,
    const Py_ssize_t[::1] rows,
    Py_ssize_t start,
    const real[::1] W,
    const real[::1] b,
    Py_ssize_t q,
    real[::1] Z,
) noexcept nogil:
    """Z_1 = X W_1 + b_1 over the stored entries of CSR rows.  (F1)"""
    cdef Py_ssize_t i, j, k, r, w_at
    cdef real x
    set_rows(b, q, Z)
    for i in range(Z.shape[0] // q):
        r = row_at(rows, start, i)
        for j in range(indptr[r], indptr[r + 1]):
            x = data[j]
            w_at = indices[j] * q
            for k in range(q):
                Z[i * q + k] += x * W[w_at + k]


cdef inline void add_sparse_weight_gradient(
    const real[::1] data,
    const int[::1] indices,
    const long long[::1] indptr,
    const Py_ssize_t[::1] rows,
    Py_ssize_t start,
    const real[::1] delta,
    Py_ssize_t q,
    real[::1] dW,
) noexcept nogil:
    """dL/dW_1 = X^T delta_1 over the stored entries of CSR rows, added.  (B3)"""
    cdef Py_ssize_t i, j, k, r, w_at
    cdef real x
    for i in range(delta.shape[0] // q):
        r = row_at(rows, start, i)
        for j in range(indptr[r], indptr[r + 1]):
            x = data[j]
            w_at = indices[j] * q
            for k in range(q):
                dW[w_at + k] += x * delta[i * q + k]


cdef inline double penalty(
    const real[::1] W, double alpha, double scale, real[::1] dW
) noexcept nogil:
    """alpha/2 ||W||^2 scale; dW = alpha W scale, or 0.  (R1)"""
    cdef Py_ssize_t i, lane, whole
    cdef real c = <real> (alpha * scale)
    # Lanes, because a sum in one order cannot be vectorised.
    cdef double[8] lanes
    cdef double total = 0
    if alpha == 0:
        for i in range(dW.shape[0]):
            dW[i] = 0
        return 0
    whole = W.shape[0] - W.shape[0] % 8
    for lane in range(8):
        lanes[lane] = 0
    for i in range(0, whole, 8):
        for lane in range(8):
            lanes[lane] += <double> W[i + lane] * W[i + lane]
            dW[i + lane] = c * W[i + lane]
    for i in range(whole, W.shape[0]):
        lanes[0] += <double> W[i] * W[i]
        dW[i] = c * W[i]
    for lane in range(8):
        total += lanes[lane]
    return 0.5 * alpha * scale * total
