"""The three products of back-propagation over panels, by register tiles.

A product is summed in blocks of some DEEPEST: what a tile reads again then stays in
cache, and a longer sum would gain nothing. A call is for the rows that its caller keeps
in cache. Each element of a result is summed in one order, whatever the rows or
columns that a call is asked for.
"""

from libc.string cimport memcpy

from .matrix cimport stride
from .simd cimport (
    ROWS,
    WIDTH,
    at,
    element,
    first_lanes,
    lanes,
    prefetch,
    put,
    splat,
    transpose,
    vec,
    zero,
)
from .tiles cimport narrow_tile, tile

cdef enum:
    DEEPEST = 1024  # of a gradient; of a product, half of it
    AHEAD = 16  # rows of X between a request and its use

cdef extern from *:
    """
    /* One load: what is checked is what is used, whoever writes there meanwhile. */
    #define SKB_READ_ONCE(p) (*(const volatile int*) (p))
    """
    int read_once "SKB_READ_ONCE" (const int* p) noexcept nogil


cdef inline int tile_rows(Py_ssize_t left, int vectors) noexcept nogil:
    """Rows of the next tile: those left shared by as few tiles as registers allow."""
    cdef Py_ssize_t most = 8 if vectors == 1 else ROWS
    cdef Py_ssize_t tiles = (left + most - 1) // most
    return <int> ((left + tiles - 1) // tiles)


cdef inline Py_ssize_t depth(Py_ssize_t K, Py_ssize_t most) noexcept nogil:
    """Length of the blocks of a sum over K: few and alike, of whole panels."""
    cdef Py_ssize_t blocks = (K + most - 1) // most
    return ((K + blocks - 1) // blocks + WIDTH - 1) // WIDTH * WIDTH


cdef inline int tile_vectors(
    const vec* tag, Py_ssize_t column, Py_ssize_t end
) noexcept nogil:
    """Vectors from a column on to the end, at most three and of one panel."""
    cdef Py_ssize_t L = lanes(tag)
    cdef Py_ssize_t left = WIDTH - column % WIDTH
    if end - column < left:
        left = end - column
    left = (left + L - 1) // L
    return <int> left if left < 3 else 3


cdef inline Py_ssize_t vectors_of(const vec* tag, Py_ssize_t columns) noexcept nogil:
    """Vectors that hold so many columns."""
    return (columns + lanes(tag) - 1) // lanes(tag)


cdef inline Py_ssize_t place(
    Py_ssize_t row, Py_ssize_t column, Py_ssize_t panel
) noexcept nogil:
    """Where element (row, column) is, with ``panel`` from one panel to the next."""
    return column // WIDTH * panel + row * WIDTH + column % WIDTH


cdef inline void copy_rows(
    const vec* source,
    Py_ssize_t source_row,
    vec* target,
    Py_ssize_t target_row,
    Py_ssize_t rows,
    Py_ssize_t count,
) noexcept nogil:
    """Copy ``count`` reals of every row."""
    cdef Py_ssize_t i
    cdef size_t size = count * (sizeof(vec) // lanes(source))
    for i in range(rows):
        memcpy(at(target, i * target_row), at(source, i * source_row), size)


# The products ----------------------------------------------------------------


cdef inline void panel_product(
    const vec* A,
    Py_ssize_t n,
    Py_ssize_t p,
    Py_ssize_t first,
    Py_ssize_t last,
    const vec* packed,
    Py_ssize_t q,
    vec* Z,
) noexcept nogil:
    """Z = 1 packed[0] + A packed[1:], rows first to last.  (F1) (B2)"""
    cdef Py_ssize_t a_panel = stride(n, p), z_panel = stride(n, q)
    cdef Py_ssize_t b_panel = stride(p + 1, q), step = depth(p, DEEPEST // 2)
    cdef Py_ssize_t k = 0, k_end, c, i, z_row
    cdef int rows, vectors
    cdef const vec* start
    cdef vec* target
    while k < p:
        k_end = min(k + step, p)
        c = 0
        while c < q:
            vectors = tile_vectors(A, c, q)
            i = first
            while i < last:
                rows = tile_rows(last - i, vectors)
                target = at(Z, place(i, c, z_panel))
                start, z_row = target, WIDTH
                if k == 0:
                    start, z_row = at(packed, place(0, c, b_panel)), 0
                tile(
                    rows, vectors,
                    at(A, place(i, k, a_panel)), WIDTH, 1, WIDTH, a_panel,
                    at(packed, place(k + 1, c, b_panel)), WIDTH, k_end - k,
                    start, z_row, target, WIDTH,
                )
                i += rows
            c += vectors * lanes(A)
        k = k_end


cdef inline void panel_gradient(
    const vec* A,
    Py_ssize_t n,
    Py_ssize_t p,
    Py_ssize_t first,
    Py_ssize_t last,
    const vec* delta,
    Py_ssize_t q,
    bint add,
    vec* dW,
) noexcept nogil:
    """Rows first to last of A^T delta, row-major, or added; dW is the first.  (B3)"""
    cdef Py_ssize_t a_panel = stride(n, p), d_panel = stride(n, q), L = lanes(A)
    cdef Py_ssize_t k = 0, k_end, c, i, row, step = depth(n, DEEPEST)
    cdef int rows, vectors
    cdef vec[24] scratch
    cdef vec[3] zeros
    cdef const vec* start
    cdef vec* target
    zeros[0], zeros[1], zeros[2] = zero(A), zero(A), zero(A)
    while k < n:
        k_end = min(k + step, n)
        c = 0
        while c < q:
            vectors = tile_vectors(A, c, q)
            i = first
            while i < last:
                # Rows of dW are columns of A: a tile does not leave their panel.
                rows = tile_rows(min(last - i, WIDTH - i % WIDTH), vectors)
                target = at(dW, (i - first) * q + c)
                start, row = target, q
                if c + vectors * L > q:  # rows of dW end inside a vector
                    if add:
                        copy_rows(target, q, &scratch[0], vectors * L, rows, q - c)
                    target, row = &scratch[0], vectors * L
                    start = target
                tile(
                    rows, vectors,
                    at(A, place(k, i, a_panel)), 1, WIDTH, k_end - k, 0,
                    at(delta, place(k, c, d_panel)), WIDTH, k_end - k,
                    start if add else &zeros[0], row if add else 0, target, row,
                )
                if c + vectors * L > q:
                    copy_rows(
                        target, row, at(dW, (i - first) * q + c), q, rows, q - c
                    )
                i += rows
            c += vectors * L
        add = True
        k = k_end


cdef inline void few_product(
    const vec* A,
    Py_ssize_t a_row,
    Py_ssize_t a_panel,
    Py_ssize_t n,
    Py_ssize_t p,
    const vec* W,
    const vec* b,
    Py_ssize_t q,
    vec* Z,
    Py_ssize_t z_row,
    Py_ssize_t z_panel,
) noexcept nogil:
    """Z = 1 b + A W of a few rows, with W as it lies in theta; b may be NULL.  (F1)

    Row-major A or Z is the case of rows p or q apart and panels WIDTH apart.
    """
    cdef Py_ssize_t L = lanes(A), c = 0, i, k, at_c
    cdef int rows, vectors
    cdef double z
    cdef vec[3] zeros
    zeros[0], zeros[1], zeros[2] = zero(A), zero(A), zero(A)
    while c + L <= q:
        vectors = <int> min(tile_vectors(A, c, q), (q - c) // L)
        at_c = c // WIDTH * z_panel + c % WIDTH
        i = 0
        while i < n:
            rows = tile_rows(n - i, vectors)
            tile(
                rows, vectors, at(A, i * a_row), a_row, 1, WIDTH, a_panel,
                at(W, c), q, p, &zeros[0] if b == NULL else at(b, c), 0,
                at(Z, i * z_row + at_c), z_row,
            )
            i += rows
        c += vectors * L
    for c in range(c, q):
        at_c = c // WIDTH * z_panel + c % WIDTH
        for i in range(n):
            z = 0 if b == NULL else element(b, c)
            for k in range(p):
                z += element(A, k // WIDTH * a_panel + i * a_row + k % WIDTH) * element(
                    W, k * q + c
                )
            put(Z, i * z_row + at_c, z)


# Narrow outputs: vectors run along the inputs, since the outputs fill none ---


cdef inline void narrow_product(
    const vec* A,
    Py_ssize_t n,
    Py_ssize_t p,
    Py_ssize_t first,
    Py_ssize_t last,
    const vec* packed,
    const vec* b,
    Py_ssize_t q,
    vec* Z,
) noexcept nogil:
    """Z = 1 b + A W, row-major, from W^T packed by ``pack_transposed``.  (F1)"""
    # Rows are padded, so that those of a tile can be read wherever one is.
    cdef Py_ssize_t a_panel = stride(n, p), w_panel = stride(q + 1, p), i, c, r, k
    cdef Py_ssize_t[4] at_c
    cdef int Q = 1 if q == 1 else 2 if q == 2 else 4
    cdef int R = <int> lanes(A) // Q
    cdef double bias
    cdef vec sums
    c = 0
    while c < q:
        for k in range(4):
            at_c[k] = (min(c + k, q - 1) + 1) * WIDTH
        i = first
        while i < last:
            sums = narrow_tile(
                Q, at(A, i * WIDTH), WIDTH, packed, &at_c[0],
                WIDTH, a_panel - WIDTH, w_panel - WIDTH, p,
            )
            for k in range(min(Q, q - c)):
                bias = 0 if b == NULL else element(b, c + k)
                for r in range(min(R, last - i)):
                    put(Z, (i + r) * q + c + k, element(&sums, r * Q + k) + bias)
            i += R
        c += Q


cdef inline void narrow_gradient(
    const vec* A,
    Py_ssize_t n,
    Py_ssize_t p,
    Py_ssize_t first,
    Py_ssize_t last,
    const vec* delta,
    Py_ssize_t q,
    bint add,
    vec* dW,
) noexcept nogil:
    """The same, computed as delta^T A.  (B3)"""
    cdef Py_ssize_t a_panel = stride(n, p), L = lanes(A), c = first, i, r, k, at_r
    cdef int rows, vectors
    cdef double old
    cdef vec[24] scratch
    cdef vec[3] zeros
    zeros[0], zeros[1], zeros[2] = zero(A), zero(A), zero(A)
    while c < last:
        vectors = tile_vectors(A, c, last)
        i = 0
        while i < q:
            rows = tile_rows(q - i, vectors)
            tile(
                rows, vectors, at(delta, i), 1, WIDTH, n, 0,
                at(A, place(0, c, a_panel)), WIDTH, n,
                &zeros[0], 0, &scratch[0], vectors * L,
            )
            for k in range(min(vectors * L, last - c)):
                for r in range(rows):
                    at_r = (c + k - first) * q + i + r
                    old = element(dW, at_r) if add else 0
                    put(dW, at_r, old + element(&scratch[0], r * vectors * L + k))
            i += rows
        c += vectors * L


cdef inline void panel_sum(
    const vec* delta,
    Py_ssize_t n,
    Py_ssize_t first,
    Py_ssize_t last,
    Py_ssize_t q,
    bint add,
    vec* db,
) noexcept nogil:
    """db = the sum over the rows of delta, or added, columns first to last.  (B4)"""
    cdef Py_ssize_t d_panel = stride(n, q), L = lanes(delta), c, k, u, _
    cdef const vec* d
    cdef vec s0, s1, s2, s3
    for u in range(vectors_of(delta, last - first)):
        c = first + u * L
        d = at(delta, place(0, c, d_panel))
        s0, s1, s2, s3 = zero(d), zero(d), zero(d), zero(d)
        for _ in range(n // 4):
            s0 += d[0]
            s1 += at(d, WIDTH)[0]
            s2 += at(d, 2 * WIDTH)[0]
            s3 += at(d, 3 * WIDTH)[0]
            d = at(d, 4 * WIDTH)
        for _ in range(n % 4):
            s0 += d[0]
            d = at(d, WIDTH)
        s0 = (s0 + s1) + (s2 + s3)
        for k in range(min(L, last - c)):
            put(db, c + k, (element(db, c + k) if add else 0) + element(&s0, k))


# Into panels and back --------------------------------------------------------


cdef inline void pack(
    const vec* W,
    Py_ssize_t p,
    Py_ssize_t q,
    Py_ssize_t first,
    Py_ssize_t last,
    vec* packed,
) noexcept nogil:
    """Row i + 1 is W[i], rows first to last; beside the columns are zeros."""
    cdef Py_ssize_t panel = stride(p + 1, q), L = lanes(W), c = 0, i, u
    cdef int vectors, whole
    cdef vec* target
    cdef const vec* w
    while c < q:
        vectors = tile_vectors(W, c, q)
        whole = <int> min(vectors, (q - c) // L)
        w, target = at(W, first * q + c), at(packed, place(first + 1, c, panel))
        for i in range(first, last):
            if i + 8 < last:
                prefetch(at(w, 8 * q))
            for u in range(whole):
                target[u] = w[u]
            if whole < vectors:
                u = whole * L
                target[whole] = first_lanes(at(w, u), q - c - u, (p - i) * q - c - u)
            w, target = at(w, q), at(target, WIDTH)
        c += vectors * L


cdef inline void pack_row(
    const vec* b, Py_ssize_t p, Py_ssize_t q, Py_ssize_t first, Py_ssize_t last,
    vec* packed,
) noexcept nogil:
    """Row 0 of a packed (p, q) matrix is b, or zeros where b is NULL."""
    cdef Py_ssize_t panel = stride(p + 1, q), L = lanes(packed), c, u
    for u in range(vectors_of(packed, last - first)):
        c = first + u * L
        at(packed, place(0, c, panel))[0] = (
            zero(packed) if b == NULL else first_lanes(at(b, c), q - c, q - c)
        )


cdef inline void pack_transposed(
    const vec* W,
    Py_ssize_t p,
    Py_ssize_t q,
    Py_ssize_t first,
    Py_ssize_t last,
    vec* packed,
) noexcept nogil:
    """Row c + 1 is column c of W; columns first to last, which are rows of W."""
    cdef Py_ssize_t panel = stride(q + 1, p), L = lanes(W), i, c, r, u
    cdef vec[16] square
    cdef vec* target
    for u in range(vectors_of(W, last - first)):
        i = first + u * L
        target = at(packed, place(0, i, panel))
        c = 0
        while c + L <= q:
            for r in range(L):
                square[r] = at(W, (i + r) * q + c)[0] if i + r < p else zero(W)
            transpose(&square[0])
            for r in range(L):
                target = at(target, WIDTH)
                target[0] = square[r]
            c += L
        for c in range(c, q):
            target = at(target, WIDTH)
            for r in range(L):
                put(target, r, element(W, (i + r) * q + c) if i + r < p else 0)


cdef inline void rows_to_panels(
    const vec* X,
    const Py_ssize_t* rows,
    Py_ssize_t n_rows,
    Py_ssize_t n,
    Py_ssize_t p,
    Py_ssize_t first,
    Py_ssize_t last,
    vec* A,
) noexcept nogil:
    """A[i] = X[rows[i]], or X[i] where rows is NULL, for i from first to last."""
    cdef Py_ssize_t panel = stride(n, p), L = lanes(X), i, c, r, u, whole = p - p % L
    cdef const vec* x
    cdef vec* a
    for i in range(first, last):
        r = i if rows == NULL else rows[i]
        x = at(X, r * p)
        if rows != NULL and i + AHEAD < n:
            # The rows lie anywhere: ask for one while others are copied.
            for c in range(0, p, 16):
                prefetch(at(X, rows[i + AHEAD] * p + c))
        a = at(A, i * WIDTH)
        for u in range(whole // L):
            c = u * L
            at(a, c // WIDTH * panel + c % WIDTH)[0] = at(x, c)[0]
        if whole < p:
            at(a, whole // WIDTH * panel + whole % WIDTH)[0] = first_lanes(
                at(x, whole), p - whole, (n_rows - r) * p - whole
            )


cdef inline void panels_to_rows(
    const vec* A,
    Py_ssize_t n,
    Py_ssize_t p,
    Py_ssize_t first,
    Py_ssize_t last,
    vec* X,
) noexcept nogil:
    """X[i] = A[i] for i from first to last, X row-major."""
    cdef Py_ssize_t panel = stride(n, p), L = lanes(A), i, c, k, u, whole = p - p % L
    cdef const vec* a
    cdef vec* x
    for i in range(first, last):
        a, x = at(A, i * WIDTH), at(X, i * p)
        for u in range(whole // L):
            c = u * L
            at(x, c)[0] = at(a, c // WIDTH * panel + c % WIDTH)[0]
        for k in range(whole, p):
            put(x, k, element(a, k // WIDTH * panel + k % WIDTH))


# Sparse rows -----------------------------------------------------------------


cdef inline Py_ssize_t column_at(
    const int* indices, Py_ssize_t j, Py_ssize_t p
) noexcept nogil:
    """The column of a stored entry of X, or -1 where it is none of p columns.

    The indices are the user's, who may write to them while we work.
    """
    cdef Py_ssize_t column = read_once(indices + j)
    return column if 0 <= column < p else -1


cdef inline void sparse_product(
    const vec* data,
    const int* indices,
    Py_ssize_t count,
    const vec* W,
    const vec* b,
    Py_ssize_t p,
    Py_ssize_t q,
    Py_ssize_t panel,
    vec* z,
) noexcept nogil:
    """One row of Z_1 = X W_1 + b_1 over its ``count`` stored entries.  (F1)"""
    cdef Py_ssize_t L = lanes(W), whole = q - q % L, c, j, u, w, column
    cdef vec x
    cdef vec* target
    for u in range(vectors_of(W, q)):
        c = u * L
        target = at(z, c // WIDTH * panel + c % WIDTH)
        if b == NULL:
            target[0] = first_lanes(W, 0, 0)
        else:
            target[0] = first_lanes(at(b, c), q - c, q - c)
    for j in range(count):
        column = column_at(indices, j, p)
        if column < 0:
            continue
        x = splat(data, j)
        w = column * q
        if j + 4 < count:
            prefetch(at(W, indices[j + 4] * q))
        for u in range(whole // L):
            c = u * L
            at(z, c // WIDTH * panel + c % WIDTH)[0] += x * at(W, w + c)[0]
        if whole < q:
            at(z, whole // WIDTH * panel + whole % WIDTH)[0] += x * first_lanes(
                at(W, w + whole), q - whole, (p - column) * q - whole
            )


cdef inline void sparse_gradient(
    const vec* data,
    const int* indices,
    Py_ssize_t count,
    const vec* delta,
    Py_ssize_t p,
    Py_ssize_t q,
    Py_ssize_t panel,
    Py_ssize_t first,
    Py_ssize_t last,
    vec* dW,
) noexcept nogil:
    """dW_1 += x^T delta of one row, columns first to last.  (B3)"""
    cdef Py_ssize_t L = lanes(delta), whole = last - (last - first) % L
    cdef Py_ssize_t c, j, u, w, column
    cdef vec x
    for j in range(count):
        column = column_at(indices, j, p)
        if column < 0:
            continue
        x = splat(data, j)
        w = column * q
        if j + 4 < count:
            prefetch(at(dW, indices[j + 4] * q + first))
        for u in range((whole - first) // L):
            c = first + u * L
            at(dW, w + c)[0] += x * at(delta, c // WIDTH * panel + c % WIDTH)[0]
        for c in range(whole, last):
            put(
                dW, w + c,
                element(dW, w + c)
                + element(data, j)
                * element(delta, c // WIDTH * panel + c % WIDTH),
            )
