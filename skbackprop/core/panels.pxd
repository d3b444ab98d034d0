"""The three products of back-propagation over panels, by register tiles.

A product is summed in blocks of some KC: what a tile reads again then stays in
cache, and a longer sum would gain nothing. A call is for the rows that its caller keeps
in cache. Each element of a result is summed in one order, whatever the rows or
columns that a call is asked for. W and b are row-major in theta, and so is dW.
"""

from libc.string cimport memcpy

from .matrix cimport Matrix, element_at
from .real cimport real
from .simd cimport (
    LANES,
    MR,
    PANEL,
    add_lanes,
    at,
    first_lanes,
    prefetch,
    splat,
    transpose,
    vec,
)
from .team cimport Thread, stopped
from .tiles cimport Strided, narrow_tile, tile

cdef enum:
    KC = 1024  # of a gradient; of a product, half of it
    AHEAD = 16  # rows of X between a request and its use


cdef inline int tile_rows(Py_ssize_t left, int vectors) noexcept nogil:
    """Rows of the next tile: those left shared by as few tiles as registers allow."""
    cdef Py_ssize_t most = 8 if vectors == 1 else MR
    cdef Py_ssize_t tiles = (left + most - 1) // most
    return <int> ((left + tiles - 1) // tiles)


cdef inline Py_ssize_t depth(Py_ssize_t K, Py_ssize_t most) noexcept nogil:
    """Length of the blocks of a sum over K: few and alike, of whole panels."""
    cdef Py_ssize_t blocks = (K + most - 1) // most
    return ((K + blocks - 1) // blocks + PANEL - 1) // PANEL * PANEL


cdef inline int tile_vectors(Py_ssize_t column, Py_ssize_t end) noexcept nogil:
    """Vectors from a column on to the end, at most three and of one panel."""
    cdef Py_ssize_t left = PANEL - column % PANEL
    if end - column < left:
        left = end - column
    left = (left + LANES - 1) // LANES
    return <int> left if left < 3 else 3


cdef inline Py_ssize_t vectors_of(Py_ssize_t columns) noexcept nogil:
    """Vectors that hold so many columns."""
    return (columns + LANES - 1) // LANES


cdef inline Py_ssize_t place(
    Py_ssize_t row, Py_ssize_t column, Py_ssize_t panel
) noexcept nogil:
    """Where element (row, column) is, with ``panel`` from one panel to the next."""
    return column // PANEL * panel + row * PANEL + column % PANEL


cdef inline void copy_rows(
    const real* source, Py_ssize_t source_row, real* target, Py_ssize_t target_row,
    Py_ssize_t rows, Py_ssize_t count
) noexcept nogil:
    """Copy ``count`` reals of every row."""
    cdef Py_ssize_t i
    for i in range(rows):
        memcpy(target + i * target_row, source + i * source_row, count * sizeof(real))


# The products ----------------------------------------------------------------


cdef inline void panel_product(
    Matrix A, Py_ssize_t first, Py_ssize_t last, Matrix packed, Matrix Z, Thread me
) noexcept nogil:
    """Z = 1 packed[0] + A packed[1:], rows first to last.  (F1) (B2)"""
    cdef Py_ssize_t p = A.columns, q = Z.columns, step = depth(p, KC // 2)
    cdef Py_ssize_t k = 0, k_end, c, i, z_row
    cdef int rows, vectors
    cdef const real* start
    cdef real* target
    while k < p and not stopped(me):
        k_end = min(k + step, p)
        c = 0
        while c < q:
            vectors = tile_vectors(c, q)
            i = first
            while i < last:
                rows = tile_rows(last - i, vectors)
                target = Z.data + place(i, c, Z.panel)
                start, z_row = target, PANEL
                if k == 0:
                    start, z_row = packed.data + place(0, c, packed.panel), 0
                tile(
                    rows, vectors,
                    Strided(A.data + place(i, k, A.panel), PANEL, 1, PANEL, A.panel),
                    packed.data + place(k + 1, c, packed.panel), PANEL, k_end - k,
                    start, z_row, target, PANEL,
                )
                i += rows
            c += vectors * LANES
        k = k_end


cdef inline void panel_gradient(
    Matrix A, Matrix delta, Py_ssize_t n, Py_ssize_t first, Py_ssize_t last, bint add,
    real* dW, Thread me
) noexcept nogil:
    """Rows first to last of A^T delta, row-major, or added; dW is the first.  (B3)"""
    cdef Py_ssize_t q = delta.columns, step = depth(n, KC)
    cdef Py_ssize_t k = 0, k_end, c, i, row
    cdef int rows, vectors
    cdef vec[24] scratch
    cdef vec[3] zeros
    cdef real* edge = <real*> &scratch[0]
    cdef const real* start
    cdef real* target
    zeros[0], zeros[1], zeros[2] = splat(0), splat(0), splat(0)
    while k < n:
        k_end = min(k + step, n)
        c = 0
        while c < q and not stopped(me):
            vectors = tile_vectors(c, q)
            i = first
            while i < last:
                # Rows of dW are columns of A: a tile does not leave their panel.
                rows = tile_rows(min(last - i, PANEL - i % PANEL), vectors)
                target = dW + (i - first) * q + c
                start, row = target, q
                if c + vectors * LANES > q:  # rows of dW end inside a vector
                    if add:
                        copy_rows(target, q, edge, vectors * LANES, rows, q - c)
                    target, row = edge, vectors * LANES
                    start = target
                tile(
                    rows, vectors,
                    Strided(A.data + place(k, i, A.panel), 1, PANEL, k_end - k, 0),
                    delta.data + place(k, c, delta.panel), PANEL, k_end - k,
                    start if add else <const real*> &zeros[0], row if add else 0,
                    target, row,
                )
                if c + vectors * LANES > q:
                    copy_rows(target, row, dW + (i - first) * q + c, q, rows, q - c)
                i += rows
            c += vectors * LANES
        add = True
        k = k_end


cdef inline void unpacked_product(
    Matrix A, Py_ssize_t first, Py_ssize_t last, const real* W, const real* b, Matrix Z
) noexcept nogil:
    """Z = 1 b + A W of a few rows, with W as it lies in theta; b may be NULL.  (F1)"""
    cdef Py_ssize_t p = A.columns, q = Z.columns, c = 0, i, k
    cdef int rows, vectors
    cdef double z
    cdef vec[3] zeros
    zeros[0], zeros[1], zeros[2] = splat(0), splat(0), splat(0)
    while c + LANES <= q:
        vectors = <int> min(tile_vectors(c, q), (q - c) // LANES)
        i = first
        while i < last:
            rows = tile_rows(last - i, vectors)
            tile(
                rows, vectors,
                Strided(A.data + i * A.row, A.row, 1, PANEL, A.panel), W + c, q, p,
                <const real*> &zeros[0] if b == NULL else b + c, 0,
                Z.data + element_at(Z, i, c), Z.row,
            )
            i += rows
        c += vectors * LANES
    for c in range(c, q):
        for i in range(first, last):
            z = 0 if b == NULL else b[c]
            for k in range(p):
                z += <double> A.data[element_at(A, i, k)] * W[k * q + c]
            Z.data[element_at(Z, i, c)] = <real> z


# Narrow outputs: vectors run along the inputs, since the outputs fill none ---


cdef inline void narrow_product(
    Matrix A, Py_ssize_t first, Py_ssize_t last, Matrix transposed, const real* b,
    Matrix Z
) noexcept nogil:
    """Z = 1 b + A W, row-major, from W^T packed by ``pack_transposed``.  (F1)"""
    # Rows are padded, so that those of a tile can be read wherever one is.
    cdef Py_ssize_t p = A.columns, q = Z.columns, i, c = 0, r, k
    cdef Py_ssize_t[4] row
    cdef int Q = 1 if q == 1 else 2 if q == 2 else 4
    cdef int R = <int> LANES // Q
    cdef double bias
    cdef vec sums
    cdef const real* sum_of = <const real*> &sums
    while c < q:
        for k in range(4):
            row[k] = (min(c + k, q - 1) + 1) * PANEL
        i = first
        while i < last:
            sums = narrow_tile(
                Q, A.data + i * PANEL, transposed.data, &row[0], A.panel,
                transposed.panel, p,
            )
            for k in range(min(Q, q - c)):
                bias = 0 if b == NULL else b[c + k]
                for r in range(min(R, last - i)):
                    Z.data[(i + r) * q + c + k] = <real> (sum_of[r * Q + k] + bias)
            i += R
        c += Q


cdef inline void narrow_gradient(
    Matrix A, Matrix delta, Py_ssize_t n, Py_ssize_t first, Py_ssize_t last, bint add,
    real* dW, Thread me
) noexcept nogil:
    """The same as ``panel_gradient``, computed as delta^T A.  (B3)"""
    cdef Py_ssize_t q = delta.columns, c = first, i, r, k, at_r
    cdef int rows, vectors
    cdef double old
    cdef vec[24] scratch
    cdef vec[3] zeros
    cdef real* sums = <real*> &scratch[0]
    zeros[0], zeros[1], zeros[2] = splat(0), splat(0), splat(0)
    while c < last and not stopped(me):
        vectors = tile_vectors(c, last)
        i = 0
        while i < q:
            rows = tile_rows(q - i, vectors)
            tile(
                rows, vectors, Strided(delta.data + i, 1, PANEL, n, 0),
                A.data + place(0, c, A.panel), PANEL, n,
                <const real*> &zeros[0], 0, sums, vectors * LANES,
            )
            for k in range(min(vectors * LANES, last - c)):
                for r in range(rows):
                    at_r = (c + k - first) * q + i + r
                    old = dW[at_r] if add else 0
                    dW[at_r] = <real> (old + sums[r * vectors * LANES + k])
            i += rows
        c += vectors * LANES


cdef inline void panel_sum(
    Matrix delta, Py_ssize_t n, Py_ssize_t first, Py_ssize_t last, bint add, real* db,
    Thread me,
) noexcept nogil:
    """db = the sum over the rows of delta, or added, columns first to last.  (B4)"""
    cdef Py_ssize_t c, k, u, _
    cdef const real* d
    cdef vec s0, s1, s2, s3
    cdef const real* sum_of = <const real*> &s0
    cdef double old
    for u in range(vectors_of(last - first)):
        if stopped(me):
            return
        c = first + u * LANES
        d = delta.data + place(0, c, delta.panel)
        s0, s1, s2, s3 = splat(0), splat(0), splat(0), splat(0)
        for _ in range(n // 4):
            s0 += at(d)[0]
            s1 += at(d + PANEL)[0]
            s2 += at(d + 2 * PANEL)[0]
            s3 += at(d + 3 * PANEL)[0]
            d = d + 4 * PANEL
        for _ in range(n % 4):
            s0 += at(d)[0]
            d = d + PANEL
        s0 = (s0 + s1) + (s2 + s3)
        for k in range(min(LANES, last - c)):
            old = db[c + k] if add else 0
            db[c + k] = <real> (old + sum_of[k])


# Into panels and back --------------------------------------------------------


cdef inline void pack(
    const real* W, Py_ssize_t p, Py_ssize_t first, Py_ssize_t last, Matrix packed
) noexcept nogil:
    """Row i + 1 is W[i], rows first to last; beside the columns are zeros."""
    cdef Py_ssize_t q = packed.columns, c = 0, i, u
    cdef int vectors, whole
    cdef real* target
    cdef const real* w
    while c < q:
        vectors = tile_vectors(c, q)
        whole = <int> min(vectors, (q - c) // LANES)
        w = W + first * q + c
        target = packed.data + place(first + 1, c, packed.panel)
        for i in range(first, last):
            if i + 8 < last:
                prefetch(w + 8 * q)
            for u in range(whole):
                at(target)[u] = at(w)[u]
            if whole < vectors:
                u = whole * LANES
                at(target)[whole] = first_lanes(w + u, q - c - u, (p - i) * q - c - u)
            w, target = w + q, target + PANEL
        c += vectors * LANES


cdef inline void pack_row(
    const real* b, Py_ssize_t first, Py_ssize_t last, Matrix packed
) noexcept nogil:
    """Row 0 of a packed matrix is b, or zeros where b is NULL."""
    cdef Py_ssize_t q = packed.columns, c, u
    for u in range(vectors_of(last - first)):
        c = first + u * LANES
        at(packed.data + place(0, c, packed.panel))[0] = (
            splat(0) if b == NULL else first_lanes(b + c, q - c, q - c)
        )


cdef inline void pack_transposed(
    const real* W, Py_ssize_t q, Py_ssize_t first, Py_ssize_t last, Matrix transposed
) noexcept nogil:
    """Row c + 1 is column c of W; columns first to last, which are rows of W."""
    cdef Py_ssize_t p = transposed.columns, i, c, r, u
    cdef vec[16] square
    cdef real* target
    for u in range(vectors_of(last - first)):
        i = first + u * LANES
        target = transposed.data + place(0, i, transposed.panel)
        c = 0
        while c + LANES <= q:
            for r in range(LANES):
                square[r] = at(W + ((i + r) * q + c))[0] if i + r < p else splat(0)
            transpose(&square[0])
            for r in range(LANES):
                target = target + PANEL
                at(target)[0] = square[r]
            c += LANES
        for c in range(c, q):
            target = target + PANEL
            for r in range(LANES):
                target[r] = W[(i + r) * q + c] if i + r < p else 0


cdef inline void rows_to_panels(
    const real* X, const Py_ssize_t* order, Py_ssize_t n_rows, Py_ssize_t n,
    Py_ssize_t first, Py_ssize_t last, Matrix A
) noexcept nogil:
    """A[i] = X[order[i]], or X[i] where that is NULL, i from first to last of n."""
    cdef Py_ssize_t p = A.columns, whole = p - p % LANES, i, c, r, u
    cdef const real* x
    cdef real* a
    for i in range(first, last):
        r = i if order == NULL else order[i]
        x = X + r * p
        if order != NULL and i + AHEAD < n:
            # The rows lie anywhere: ask for one while others are copied.
            for c in range(0, p, 16):
                prefetch(X + (order[i + AHEAD] * p + c))
        a = A.data + i * PANEL
        for u in range(whole // LANES):
            c = u * LANES
            at(a + (c // PANEL * A.panel + c % PANEL))[0] = at(x + c)[0]
        if whole < p:
            at(a + (whole // PANEL * A.panel + whole % PANEL))[0] = first_lanes(
                x + whole, p - whole, (n_rows - r) * p - whole
            )


cdef inline void panels_to_rows(
    Matrix A, Py_ssize_t first, Py_ssize_t last, real* X
) noexcept nogil:
    """X[i] = A[i] for i from first to last, X row-major."""
    cdef Py_ssize_t p = A.columns, whole = p - p % LANES, i, c, k, u
    cdef const real* a
    cdef real* x
    for i in range(first, last):
        a, x = A.data + i * PANEL, X + i * p
        for u in range(whole // LANES):
            c = u * LANES
            at(x + c)[0] = at(a + (c // PANEL * A.panel + c % PANEL))[0]
        for k in range(whole, p):
            x[k] = a[k // PANEL * A.panel + k % PANEL]


# Sparse rows -----------------------------------------------------------------

cdef extern from *:
    """
    /* One load: what is checked is what is used, whoever writes there meanwhile. */
    #define SKB_READ_ONCE(p) (*(const volatile int*) (p))
    """
    int read_once "SKB_READ_ONCE" (const int* p) noexcept nogil


cdef struct SparseRow:
    # The stored entries of a row of X.
    const real* data
    const int* indices
    Py_ssize_t count


cdef inline Py_ssize_t column_at(
    const SparseRow* x, Py_ssize_t j, Py_ssize_t p
) noexcept nogil:
    """The column of a stored entry of X, or -1 where it is none of p columns.

    The indices are the user's, who may write to them while we work.
    """
    cdef Py_ssize_t column = read_once(x.indices + j)
    return column if 0 <= column < p else -1


cdef inline void sparse_product(
    const SparseRow* x, const real* W, const real* b, Py_ssize_t p, Py_ssize_t row,
    Matrix Z
) noexcept nogil:
    """One row of Z_1 = X W_1 + b_1 over its stored entries.  (F1)"""
    cdef Py_ssize_t q = Z.columns, panel = Z.panel, whole = q - q % LANES
    cdef Py_ssize_t c, j, u, w, column
    cdef real* z = Z.data + row * PANEL
    cdef vec value
    for u in range(vectors_of(q)):
        c = u * LANES
        at(z + (c // PANEL * panel + c % PANEL))[0] = (
            splat(0) if b == NULL else first_lanes(b + c, q - c, q - c)
        )
    for j in range(x.count):
        column = column_at(x, j, p)
        if column < 0:
            continue
        value = splat(x.data[j])
        w = column * q
        if j + 4 < x.count:
            prefetch(W + x.indices[j + 4] * q)
        for u in range(whole // LANES):
            c = u * LANES
            at(z + (c // PANEL * panel + c % PANEL))[0] += value * at(W + (w + c))[0]
        if whole < q:
            at(z + (whole // PANEL * panel + whole % PANEL))[0] += value * first_lanes(
                W + (w + whole), q - whole, (p - column) * q - whole
            )


cdef inline void sparse_gradient(
    const SparseRow* x, Matrix delta, Py_ssize_t row, Py_ssize_t p, Py_ssize_t first,
    Py_ssize_t last, real* dW
) noexcept nogil:
    """dW_1 += x^T delta of one row, columns first to last.  (B3)"""
    cdef Py_ssize_t q = delta.columns, panel = delta.panel
    cdef Py_ssize_t whole = last - (last - first) % LANES, c, j, u, w, column
    cdef const real* d = delta.data + row * PANEL
    cdef vec value
    for j in range(x.count):
        column = column_at(x, j, p)
        if column < 0:
            continue
        value = splat(x.data[j])
        w = column * q
        if j + 4 < x.count:
            prefetch(dW + (x.indices[j + 4] * q + first))
        for u in range((whole - first) // LANES):
            c = first + u * LANES
            at(dW + (w + c))[0] += value * at(d + (c // PANEL * panel + c % PANEL))[0]
        for c in range(whole, last):
            dW[w + c] = <real> (
                <double> dW[w + c]
                + <double> x.data[j] * d[c // PANEL * panel + c % PANEL]
            )
