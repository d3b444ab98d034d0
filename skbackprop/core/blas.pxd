"""gemm of SciPy's BLAS, for row-major operands."""

from scipy.linalg.cython_blas cimport dgemm, sgemm

from .real cimport REAL_BYTES, real

include "blas_int.pxi"


cdef struct Operand:
    # A row-major matrix, and the reals from a row to the next.
    const real* data
    Py_ssize_t row


cdef struct Sizes:
    # Of C (m, n), and of the sum.
    Py_ssize_t m, n, k


cdef inline void gemm(
    char a, char b, Sizes sizes, Operand A, Operand B, real* C, real beta
) noexcept nogil:
    """C = op(A) op(B) + beta C, all row-major and C of rows without a gap."""
    # BLAS reads row-major as the transpose: C^T = op(B)^T op(A)^T.
    cdef blas_int rows = <blas_int> sizes.m, columns = <blas_int> sizes.n
    cdef blas_int depth = <blas_int> sizes.k
    cdef blas_int row_a = <blas_int> A.row, row_b = <blas_int> B.row
    cdef real one = 1
    if rows == 0 or columns == 0:
        return
    if REAL_BYTES == 4:
        sgemm(
            &b, &a, &columns, &rows, &depth, <float*> &one, <float*> B.data, &row_b,
            <float*> A.data, &row_a, <float*> &beta, <float*> C, &columns,
        )
    else:
        dgemm(
            &b, &a, &columns, &rows, &depth, <double*> &one, <double*> B.data, &row_b,
            <double*> A.data, &row_a, <double*> &beta, <double*> C, &columns,
        )
