"""gemm of SciPy's BLAS, for row-major operands."""

from scipy.linalg.cython_blas cimport dgemm, sgemm

from .real cimport real

include "blas_int.pxi"


cdef inline void gemm(
    char a,
    char b,
    Py_ssize_t m,
    Py_ssize_t n,
    Py_ssize_t k,
    const real* A,
    Py_ssize_t lda,
    const real* B,
    Py_ssize_t ldb,
    real beta,
    real* C,
) noexcept nogil:
    """C = op(A) op(B) + beta C, C of shape (m, n), all row-major."""
    # BLAS reads row-major as the transpose: C^T = op(B)^T op(A)^T.
    cdef blas_int rows = <blas_int> m, columns = <blas_int> n, depth = <blas_int> k
    cdef blas_int stride_a = <blas_int> lda, stride_b = <blas_int> ldb
    cdef real one = 1
    if m == 0 or n == 0:
        return
    if real is float:
        sgemm(
            &b, &a, &columns, &rows, &depth, &one, <real*> B, &stride_b,
            <real*> A, &stride_a, &beta, C, &columns,
        )
    else:
        dgemm(
            &b, &a, &columns, &rows, &depth, &one, <real*> B, &stride_b,
            <real*> A, &stride_a, &beta, C, &columns,
        )
