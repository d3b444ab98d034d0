"""The three products of back-propagation and the sums beside them, of a dense layer.

A is (n, p), Z and delta are (n, q), in the layout of matrix.pxd; W (p, q) and b (q)
are row-major views of theta, as dW and db are of a gradient. ``first`` and ``last``
bound the rows, or the units, that the calling thread has to do. The portable level
leaves products to BLAS.
"""

from libc.string cimport memcpy

from .blas cimport Operand, Sizes, gemm
from .gather cimport Rows, row_at, sparse_row
from .layers cimport Batch, Layer
from .matrix cimport Matrix, elements, row_major
from .panels cimport (
    SparseRow,
    column_at,
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
    unpacked_product,
)
from .real cimport real
from .simd cimport BYTES, PANEL, PANELS
from .team cimport Thread, stopped


cdef inline bint is_narrow(Py_ssize_t q) noexcept nogil:
    """Whether q outputs fill at most half a vector."""
    return PANELS and 2 * q * <Py_ssize_t> sizeof(real) <= BYTES


cdef inline Py_ssize_t packed_elements(Py_ssize_t p, Py_ssize_t q) noexcept nogil:
    """The reals of a packed (p, q) matrix and its row 0; none where BLAS works."""
    return elements(p + 1, q) if PANELS else 0


cdef inline void pack_weights(
    Layer* layer, Py_ssize_t first, Py_ssize_t last
) noexcept nogil:
    """Rows first to last of W into packed = [b; W] and transposed = [0; W^T]."""
    if first == last:
        return
    if layer.packed.data != NULL:
        pack(layer.W, layer.p, first, last, layer.packed)
    if layer.transposed.data != NULL:
        pack_transposed(layer.W, layer.q, first, last, layer.transposed)


cdef inline void pack_bias(
    const real* b, Py_ssize_t first, Py_ssize_t last, Matrix packed
) noexcept nogil:
    """Row 0 of packed, units first to last: b, or zeros where it is NULL."""
    if packed.data != NULL and first < last:
        pack_row(b, first, last, packed)


cdef inline void set_rows(
    const real* b, Py_ssize_t n, Py_ssize_t q, real* Z
) noexcept nogil:
    """Z = 1 b, with a column of ones; 0 without a bias.  Row-major."""
    cdef Py_ssize_t i, k
    for i in range(n):
        for k in range(q):
            Z[i * q + k] = 0 if b == NULL else b[k]


cdef inline void affine(
    Matrix A, Layer* layer, Py_ssize_t first, Py_ssize_t last, Thread me
) noexcept nogil:
    """Z_j = A_{j-1} W_j + b_j; a Z_J is row-major.  (F1)"""
    if not PANELS:
        affine_rows(
            A.data + first * layer.p, last - first, layer.p, layer.W, layer.b, layer.q,
            layer.Z.data + first * layer.q,
        )
    elif layer.packed.data == NULL and layer.transposed.data == NULL:
        # Packing W for so few rows would cost more than it saves.
        unpacked_product(A, first, last, layer.W, layer.b, layer.Z)
    elif layer.packed.data == NULL:
        narrow_product(A, first, last, layer.transposed, layer.b, layer.Z)
    elif layer.is_output:
        # In panels where delta_J will be.
        panel_product(A, first, last, layer.packed, layer.delta, me)
        to_rows(layer.delta, first, last, layer.Z.data)
    else:
        panel_product(A, first, last, layer.packed, layer.Z, me)


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
    cdef Matrix inputs = row_major(A, p), outputs = row_major(Z, q)
    if not PANELS:
        set_rows(b, n, q, Z)
        gemm(c"N", c"N", Sizes(n, q, p), Operand(A, p), Operand(W, q), Z, 1)
    else:
        unpacked_product(inputs, 0, n, W, b, outputs)


cdef inline void to_rows(
    Matrix A, Py_ssize_t first, Py_ssize_t last, real* rows
) noexcept nogil:
    """The layout's rows first to last, row-major."""
    cdef Py_ssize_t q = A.columns
    if not PANELS:
        memcpy(rows + first * q, A.data + first * q, (last - first) * q * sizeof(real))
    else:
        panels_to_rows(A, first, last, rows)


cdef inline void from_rows(
    const real* rows, Py_ssize_t n, Py_ssize_t first, Py_ssize_t last, Matrix A
) noexcept nogil:
    """Row-major rows first to last, of n, into the layout."""
    cdef Py_ssize_t i, k, q = A.columns
    if not PANELS:
        memcpy(A.data + first * q, rows + first * q, (last - first) * q * sizeof(real))
    elif is_narrow(q):
        # Nobody reads what lies beside the columns of a delta.
        for i in range(first, last):
            for k in range(q):
                A.data[i * PANEL + k] = rows[i * q + k]
    else:
        rows_to_panels(rows, NULL, n, n, first, last, A)


cdef inline void affine_back(
    const Layer* layer, Py_ssize_t first, Py_ssize_t last, Matrix dA, Thread me
) noexcept nogil:
    """delta_{j+1} W_{j+1}^T, the first factor of (B2); dL/dX of layer 1.  (B5)"""
    cdef Py_ssize_t p = layer.p, q = layer.q
    if not PANELS:
        gemm(
            c"N", c"T", Sizes(last - first, p, q),
            Operand(layer.delta.data + first * q, q), Operand(layer.W, q),
            dA.data + first * p, 0,
        )
    else:
        panel_product(layer.delta, first, last, layer.transposed, dA, me)


cdef inline void weight_gradient(
    Matrix A,
    Py_ssize_t n,
    const Layer* layer,
    Py_ssize_t first,
    Py_ssize_t last,
    bint add,
    real* dW,
    Thread me,
) noexcept nogil:
    """Rows first to last of dL/dW_j = A_{j-1}^T delta_j, or added.  (B3)

    dW is where the first of these rows lies.
    """
    if first == last:
        return
    if not PANELS:
        gemm(
            c"T", c"N", Sizes(last - first, layer.q, n),
            Operand(A.data + first, layer.p), Operand(layer.delta.data, layer.q), dW,
            1 if add else 0,
        )
    elif is_narrow(layer.q):
        narrow_gradient(A, layer.delta, n, first, last, add, dW, me)
    else:
        panel_gradient(A, layer.delta, n, first, last, add, dW, me)


cdef inline void bias_gradient(
    Matrix delta,
    Py_ssize_t n,
    Py_ssize_t first,
    Py_ssize_t last,
    bint add,
    real* db,
    Thread me,
) noexcept nogil:
    """db = dL/db_j = sum over rows of delta_j, or added, units first to last.  (B4)"""
    cdef Py_ssize_t i, k, q = delta.columns
    if first == last:
        return
    if PANELS:
        panel_sum(delta, n, first, last, add, db, me)
        return
    if not add:
        for k in range(first, last):
            db[k] = 0
    for i in range(n):
        for k in range(first, last):
            db[k] += delta.data[i * q + k]


cdef inline void sparse_affine(
    const Rows* rows, const Batch* batch, Layer* layer, Py_ssize_t first,
    Py_ssize_t last,
) noexcept nogil:
    """Z_1 = X W_1 + b_1 over the stored entries of CSR rows.  (F1)"""
    cdef Matrix Z = layer.delta if layer.is_output else layer.Z
    cdef Py_ssize_t i, j, k, w, q = layer.q
    cdef SparseRow x
    cdef real value
    if not PANELS:
        set_rows(layer.b, last - first, q, layer.Z.data + first * q)
    for i in range(first, last):
        x = sparse_row(rows, batch.start + i)
        if PANELS:
            sparse_product(&x, layer.W, layer.b, layer.p, i, Z)
            continue
        for j in range(x.count):
            w = column_at(&x, j, layer.p) * q
            if w < 0:
                continue
            value = x.data[j]
            for k in range(q):
                layer.Z.data[i * q + k] += value * layer.W[w + k]
    if PANELS and layer.is_output:
        to_rows(Z, first, last, layer.Z.data)


cdef inline void sparse_weight_gradient(
    const Rows* rows,
    const Batch* batch,
    const Layer* layer,
    Py_ssize_t first,
    Py_ssize_t last,
    bint add,
    real* dW,
    Thread me,
) noexcept nogil:
    """dW = dL/dW_1 = X^T delta_1 over stored entries, or added, columns first to last.

    (B3)
    """
    cdef Py_ssize_t i, j, k, w, p = layer.p, q = layer.q
    cdef SparseRow x
    cdef real value
    if first == last:
        return
    if not add:
        for i in range(p):
            for k in range(first, last):
                dW[i * q + k] = 0
    for i in range(batch.n):
        if stopped(me):
            return
        x = sparse_row(rows, batch.start + i)
        if PANELS:
            sparse_gradient(&x, layer.delta, i, p, first, last, dW)
            continue
        for j in range(x.count):
            w = column_at(&x, j, p) * q
            if w < 0:
                continue
            value = x.data[j]
            for k in range(first, last):
                dW[w + k] += value * layer.delta.data[i * q + k]


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
