"""The three products of back-propagation, and the sums beside them.

Shapes: A (n, p), W (p, q), b (q), Z and delta (n, q); W and b are row-major views of
theta, the rest is in the layout of matrix.pxd, as are the copies of W and W^T that
``pack_weights`` makes once per step. b is NULL without a bias. ``first`` and
``last`` bound the rows, or the units, that the calling thread has to do. Matrices are
pointers: a slice of a memoryview would be counted, and small steps are short.
"""

from libc.string cimport memcpy

from .blas cimport gemm
from .gather cimport row_at
from .matrix cimport elements, stride
from .panels cimport (
    column_at,
    few_product,
    narrow_gradient,
    narrow_product,
    pack,
    pack_row,
    pack_transposed,
    panel_gradient,
    panel_product,
    panel_sum,
    panels_to_rows,
    rows_to_panels,
    sparse_gradient,
    sparse_product,
)
from .real cimport real
from .simd cimport BYTES, PANELS, WIDTH, doubles, floats


cdef inline bint narrow(const real* tag, Py_ssize_t q) noexcept nogil:
    """Whether q outputs fill at most half a vector."""
    return PANELS and 2 * q * <Py_ssize_t> sizeof(real) <= BYTES


cdef inline Py_ssize_t packed_elements(Py_ssize_t p, Py_ssize_t q) noexcept nogil:
    """The reals of a packed (p, q) matrix and its row 0; none where BLAS works."""
    return elements(p + 1, q) if PANELS else 0


cdef inline void pack_weights(
    const real* W,
    Py_ssize_t p,
    Py_ssize_t q,
    Py_ssize_t first,
    Py_ssize_t last,
    real* packed,
    real* transposed,
) noexcept nogil:
    """Rows first to last of W into packed = [b; W] and transposed = [0; W^T].

    Where one is NULL it is left out.
    """
    if first == last:
        return
    if real is float:
        if packed != NULL:
            pack(<const floats*> W, p, q, first, last, <floats*> packed)
        if transposed != NULL:
            pack_transposed(<const floats*> W, p, q, first, last, <floats*> transposed)
    else:
        if packed != NULL:
            pack(<const doubles*> W, p, q, first, last, <doubles*> packed)
        if transposed != NULL:
            pack_transposed(
                <const doubles*> W, p, q, first, last, <doubles*> transposed
            )


cdef inline void pack_bias(
    const real* b,
    Py_ssize_t p,
    Py_ssize_t q,
    Py_ssize_t first,
    Py_ssize_t last,
    real* packed,
) noexcept nogil:
    """Row 0 of packed, units first to last: b, or zeros where it is NULL."""
    if packed == NULL or first == last:
        return
    if real is float:
        pack_row(<const floats*> b, p, q, first, last, <floats*> packed)
    else:
        pack_row(<const doubles*> b, p, q, first, last, <doubles*> packed)


cdef inline void set_rows(
    const real* b, Py_ssize_t n, Py_ssize_t q, real* Z
) noexcept nogil:
    """Z = 1 b, with a column of ones; 0 without a bias.  Row-major."""
    cdef Py_ssize_t i, k
    for i in range(n):
        for k in range(q):
            Z[i * q + k] = 0 if b == NULL else b[k]


cdef inline void affine(
    const real* A,
    Py_ssize_t n,
    Py_ssize_t p,
    Py_ssize_t first,
    Py_ssize_t last,
    const real* W,
    const real* b,
    const real* packed,
    Py_ssize_t q,
    real* Z,
) noexcept nogil:
    """Z_j = A_{j-1} W_j + b_j; from W itself where nothing has been packed.  (F1)"""
    if not PANELS:
        affine_rows(A + first * p, last - first, p, W, b, q, Z + first * q)
    elif packed != NULL:
        if real is float:
            panel_product(
                <const floats*> A, n, p, first, last,
                <const floats*> packed, q, <floats*> Z,
            )
        else:
            panel_product(
                <const doubles*> A, n, p, first, last,
                <const doubles*> packed, q, <doubles*> Z,
            )
    elif real is float:
        few_product(
            <const floats*> A, WIDTH, stride(n, p), n, p, <const floats*> W,
            <const floats*> b, q, <floats*> Z, WIDTH, stride(n, q),
        )
    else:
        few_product(
            <const doubles*> A, WIDTH, stride(n, p), n, p, <const doubles*> W,
            <const doubles*> b, q, <doubles*> Z, WIDTH, stride(n, q),
        )


cdef inline void affine_rows(
    const real* A,
    Py_ssize_t n,
    Py_ssize_t p,
    const real* W,
    const real* b,
    Py_ssize_t q,
    real* Z,
) noexcept nogil:
    """Z_j = A_{j-1} W_j + b_j, all of it row-major.  (F1)"""
    if not PANELS:
        set_rows(b, n, q, Z)
        gemm(c"N", c"N", n, q, p, A, p, W, q, <real> 1, Z)
    elif real is float:
        few_product(
            <const floats*> A, p, WIDTH, n, p, <const floats*> W,
            <const floats*> b, q, <floats*> Z, q, WIDTH,
        )
    else:
        few_product(
            <const doubles*> A, p, WIDTH, n, p, <const doubles*> W,
            <const doubles*> b, q, <doubles*> Z, q, WIDTH,
        )


cdef inline void affine_output(
    const real* A,
    Py_ssize_t n,
    Py_ssize_t p,
    Py_ssize_t first,
    Py_ssize_t last,
    const real* W,
    const real* b,
    const real* packed,
    const real* transposed,
    Py_ssize_t q,
    real* spare,
    real* Z,
) noexcept nogil:
    """Z_J = A_{J-1} W_J + b_J with a row-major Z_J; ``spare`` is in panels.  (F1)"""
    cdef real* tag = NULL
    if not PANELS:
        affine_rows(A + first * p, last - first, p, W, b, q, Z + first * q)
    elif packed == NULL and transposed == NULL:
        if real is float:
            few_product(
                <const floats*> A, WIDTH, stride(n, p), n, p,
                <const floats*> W, <const floats*> b, q,
                <floats*> Z, q, WIDTH,
            )
        else:
            few_product(
                <const doubles*> A, WIDTH, stride(n, p), n, p,
                <const doubles*> W, <const doubles*> b, q,
                <doubles*> Z, q, WIDTH,
            )
    elif narrow(tag, q):
        if real is float:
            narrow_product(
                <const floats*> A, n, p, first, last,
                <const floats*> transposed, <const floats*> b, q,
                <floats*> Z,
            )
        else:
            narrow_product(
                <const doubles*> A, n, p, first, last,
                <const doubles*> transposed, <const doubles*> b, q,
                <doubles*> Z,
            )
    else:
        affine(A, n, p, first, last, W, b, packed, q, spare)
        to_rows(spare, n, q, first, last, Z)


cdef inline void to_rows(
    const real* A,
    Py_ssize_t n,
    Py_ssize_t q,
    Py_ssize_t first,
    Py_ssize_t last,
    real* rows,
) noexcept nogil:
    """The layout's rows first to last, row-major."""
    if not PANELS:
        memcpy(rows + first * q, A + first * q, (last - first) * q * sizeof(real))
    elif real is float:
        panels_to_rows(
            <const floats*> A, n, q, first, last, <floats*> rows
        )
    else:
        panels_to_rows(
            <const doubles*> A, n, q, first, last, <doubles*> rows
        )


cdef inline void from_rows(
    const real* rows,
    Py_ssize_t n,
    Py_ssize_t q,
    Py_ssize_t first,
    Py_ssize_t last,
    real* A,
) noexcept nogil:
    """Row-major rows first to last of a delta into the layout."""
    cdef Py_ssize_t i, k
    if not PANELS:
        memcpy(A + first * q, rows + first * q, (last - first) * q * sizeof(real))
    elif narrow(rows, q):
        # Nobody reads what lies beside the columns of a delta.
        for i in range(first, last):
            for k in range(q):
                A[i * WIDTH + k] = rows[i * q + k]
    elif real is float:
        rows_to_panels(
            <const floats*> rows, NULL, n, n, q, first, last, <floats*> A
        )
    else:
        rows_to_panels(
            <const doubles*> rows, NULL, n, n, q, first, last, <doubles*> A
        )


cdef inline void back(
    const real* delta,
    Py_ssize_t n,
    Py_ssize_t q,
    Py_ssize_t first,
    Py_ssize_t last,
    const real* W,
    const real* transposed,
    Py_ssize_t p,
    real* previous,
) noexcept nogil:
    """delta_{j+1} W_{j+1}^T, the first factor of (B2); dL/dX of layer 1.  (B5)"""
    if not PANELS:
        gemm(
            c"N", c"T", last - first, p, q, delta + first * q, q, W, q,
            <real> 0, previous + first * p,
        )
    elif real is float:
        panel_product(
            <const floats*> delta, n, q, first, last,
            <const floats*> transposed, p, <floats*> previous,
        )
    else:
        panel_product(
            <const doubles*> delta, n, q, first, last,
            <const doubles*> transposed, p, <doubles*> previous,
        )


cdef inline void weight_gradient(
    const real* A,
    Py_ssize_t n,
    Py_ssize_t p,
    Py_ssize_t first,
    Py_ssize_t last,
    const real* delta,
    Py_ssize_t q,
    bint add,
    real* dW,
) noexcept nogil:
    """Rows first to last of dL/dW_j = A_{j-1}^T delta_j, or added.  (B3)

    dW is where the first of these rows lies.
    """
    cdef real* tag = NULL
    if first == last:
        return
    if not PANELS:
        gemm(
            c"T", c"N", last - first, q, n, A + first, p, delta, q,
            <real> (1 if add else 0), dW,
        )
    elif real is float:
        if narrow(tag, q):
            narrow_gradient(
                <const floats*> A, n, p, first, last,
                <const floats*> delta, q, add, <floats*> dW,
            )
        else:
            panel_gradient(
                <const floats*> A, n, p, first, last,
                <const floats*> delta, q, add, <floats*> dW,
            )
    elif narrow(tag, q):
        narrow_gradient(
            <const doubles*> A, n, p, first, last,
            <const doubles*> delta, q, add, <doubles*> dW,
        )
    else:
        panel_gradient(
            <const doubles*> A, n, p, first, last,
            <const doubles*> delta, q, add, <doubles*> dW,
        )


cdef inline void bias_gradient(
    const real* delta,
    Py_ssize_t n,
    Py_ssize_t q,
    Py_ssize_t first,
    Py_ssize_t last,
    bint add,
    real* db,
) noexcept nogil:
    """db = dL/db_j = sum over rows of delta_j, or added, units first to last.  (B4)"""
    cdef Py_ssize_t i, k
    if first == last:
        return
    if not PANELS:
        if not add:
            for k in range(first, last):
                db[k] = 0
        for i in range(n):
            for k in range(first, last):
                db[k] += delta[i * q + k]
    elif real is float:
        panel_sum(<const floats*> delta, n, first, last, q, add, <floats*> db)
    else:
        panel_sum(<const doubles*> delta, n, first, last, q, add, <doubles*> db)


cdef inline void sparse_affine(
    const real[::1] data,
    const int[::1] indices,
    const long long[::1] indptr,
    const Py_ssize_t[::1] rows,
    Py_ssize_t start,
    Py_ssize_t n,
    Py_ssize_t p,
    Py_ssize_t first,
    Py_ssize_t last,
    const real* W,
    const real* b,
    Py_ssize_t q,
    real* Z,
) noexcept nogil:
    """Z_1 = X W_1 + b_1 over the stored entries of CSR rows.  (F1)"""
    cdef Py_ssize_t i, j, k, r, w_at
    cdef real x
    cdef const real* values
    cdef const int* columns
    if not PANELS:
        set_rows(b, last - first, q, Z + first * q)
        for i in range(first, last):
            r = row_at(rows, start, i)
            for j in range(indptr[r], indptr[r + 1]):
                w_at = column_at(&indices[0], j, p) * q
                if w_at < 0:
                    continue
                x = data[j]
                for k in range(q):
                    Z[i * q + k] += x * W[w_at + k]
        return
    for i in range(first, last):
        r = row_at(rows, start, i)
        k = indptr[r + 1] - indptr[r]
        values = &data[indptr[r]] if k > 0 else NULL
        columns = &indices[indptr[r]] if k > 0 else NULL
        if real is float:
            sparse_product(
                <const floats*> values, columns, k, <const floats*> W,
                <const floats*> b, p, q, stride(n, q),
                <floats*> (Z + i * WIDTH),
            )
        else:
            sparse_product(
                <const doubles*> values, columns, k, <const doubles*> W,
                <const doubles*> b, p, q, stride(n, q),
                <doubles*> (Z + i * WIDTH),
            )


cdef inline void sparse_weight_gradient(
    const real[::1] data,
    const int[::1] indices,
    const long long[::1] indptr,
    const Py_ssize_t[::1] rows,
    Py_ssize_t start,
    Py_ssize_t n,
    Py_ssize_t p,
    const real* delta,
    Py_ssize_t q,
    Py_ssize_t first,
    Py_ssize_t last,
    bint add,
    real* dW,
) noexcept nogil:
    """dW = dL/dW_1 = X^T delta_1 over stored entries, or added, columns first to last.

    (B3)
    """
    cdef Py_ssize_t i, j, k, r, w_at
    cdef real x
    if first == last:
        return
    if not add:
        for i in range(p):
            for k in range(first, last):
                dW[i * q + k] = 0
    for i in range(n):
        r = row_at(rows, start, i)
        k = indptr[r + 1] - indptr[r]
        if k == 0:
            continue
        if not PANELS:
            for j in range(indptr[r], indptr[r + 1]):
                w_at = column_at(&indices[0], j, p) * q
                if w_at < 0:
                    continue
                x = data[j]
                for k in range(first, last):
                    dW[w_at + k] += x * delta[i * q + k]
        elif real is float:
            sparse_gradient(
                <const floats*> &data[indptr[r]], &indices[indptr[r]], k,
                <const floats*> (delta + i * WIDTH), p, q, stride(n, q), first, last,
                <floats*> dW,
            )
        else:
            sparse_gradient(
                <const doubles*> &data[indptr[r]], &indices[indptr[r]], k,
                <const doubles*> (delta + i * WIDTH), p, q, stride(n, q), first, last,
                <doubles*> dW,
            )


cdef inline double half_square(const real* W, Py_ssize_t n) noexcept nogil:
    """||W||^2 / 2.  (R1)"""
    cdef Py_ssize_t i, lane, whole = n - n % 16
    # Lanes, because a sum in one order cannot be vectorised.
    cdef double[16] lanes
    cdef double total = 0
    for lane in range(16):
        lanes[lane] = 0
    for i in range(0, whole, 16):
        for lane in range(16):
            lanes[lane] += <double> W[i + lane] * W[i + lane]
    for i in range(whole, n):
        lanes[0] += <double> W[i] * W[i]
    for lane in range(16):
        total += lanes[lane]
    return 0.5 * total
