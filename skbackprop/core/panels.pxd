"""The three products of back-propagation over panels, by register tiles.

Blocks keep what a tile reads again in cache: DEPTH of the summed index, so that a
panel's block of the right factor stays in the first level, and TALL rows, so that
the left factor's stays in the second. Each element of a result is summed in one
order, whatever the rows or columns that a call is asked for.
"""

from libc.string cimport memcpy

from .matrix cimport stride
from .simd cimport (
    ROWS,
    WIDTH,
    at,
    element,
    first_lanes,
    lane_sums,
    lanes,
    prefetch,
    put,
    splat,
    vec,
)
from .tiles cimport tile

cdef enum:
    TALL = 256
    DEPTH = 256  # of a gradient's sum over rows; of a product, PANELS_DEEP panels
    PANELS_DEEP = 4


cdef inline int tile_rows(Py_ssize_t left, int vectors) noexcept nogil:
    """As many rows as are left, or the most that the registers hold: 8, 4, 2 or 1."""
    # A tile of the gradient must not leave a panel, in which 8 rows may not fit.
    cdef int most = 8 if vectors == 1 and WIDTH % 8 == 0 else ROWS
    cdef int rows = 8
    while rows > left or rows > most:
        rows = rows // 2
    return rows


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
    cdef Py_ssize_t b_panel = stride(p + 1, q)
    cdef Py_ssize_t row, row_end, k, k_end, c, i, z_row
    cdef int rows, vectors
    cdef const vec* start
    cdef vec* target
    row = first
    while row < last:
        row_end = min(row + TALL, last)
        k = 0
        while k < p:
            k_end = min(k + PANELS_DEEP * WIDTH, p)
            c = 0
            while c < q:
                vectors = tile_vectors(A, c, q)
                i = row
                while i < row_end:
                    rows = tile_rows(row_end - i, vectors)
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
        row = row_end


cdef inline void panel_gradient(
    const vec* A,
    Py_ssize_t n,
    Py_ssize_t p,
    Py_ssize_t first,
    Py_ssize_t last,
    const vec* delta,
    Py_ssize_t q,
    vec* dW,
) noexcept nogil:
    """dW += A^T delta, rows first to last of the row-major (p, q) dW.  (B3)"""
    cdef Py_ssize_t a_panel = stride(n, p), d_panel = stride(n, q), L = lanes(A)
    cdef Py_ssize_t row, row_end, k, k_end, c, i
    cdef int rows, vectors
    cdef vec[24] scratch
    cdef vec* target
    k = 0
    while k < n:
        k_end = min(k + DEPTH, n)
        row = first
        while row < last:
            row_end = min(row + TALL, last)
            c = 0
            while c < q:
                vectors = tile_vectors(A, c, q)
                i = row
                while i < row_end:
                    rows = tile_rows(row_end - i, vectors)
                    target = at(dW, i * q + c)
                    if c + vectors * L <= q:
                        tile(
                            rows, vectors,
                            at(A, place(k, i, a_panel)), 1, WIDTH, k_end - k, 0,
                            at(delta, place(k, c, d_panel)), WIDTH, k_end - k,
                            target, q, target, q,
                        )
                    else:
                        # Rows of dW end inside a vector.
                        copy_rows(target, q, &scratch[0], vectors * L, rows, q - c)
                        tile(
                            rows, vectors,
                            at(A, place(k, i, a_panel)), 1, WIDTH, k_end - k, 0,
                            at(delta, place(k, c, d_panel)), WIDTH, k_end - k,
                            &scratch[0], vectors * L, &scratch[0], vectors * L,
                        )
                        copy_rows(&scratch[0], vectors * L, target, q, rows, q - c)
                    i += rows
                c += vectors * L
            row = row_end
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
    for k in range(3 * L):
        put(&zeros[0], k, 0)
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
    cdef Py_ssize_t a_panel = stride(n, p), w_panel = stride(q + 1, p), L = lanes(A)
    cdef Py_ssize_t i, c, k, r, u
    cdef const vec* a
    cdef vec w, zero = splat(packed, 0)  # row 0 of W^T packed is zeros
    cdef double[4] sums
    cdef vec s0, s1, s2, s3
    cdef double bias
    for i in range(first, last, 4):
        # Rows are padded, so that four can be read wherever one is.
        for c in range(q):
            s0, s1, s2, s3 = zero, zero, zero, zero
            for u in range(vectors_of(A, p)):
                k = u * L
                w = at(packed, place(c + 1, k, w_panel))[0]
                a = at(A, place(i, k, a_panel))
                s0 += w * a[0]
                s1 += w * at(a, WIDTH)[0]
                s2 += w * at(a, 2 * WIDTH)[0]
                s3 += w * at(a, 3 * WIDTH)[0]
            lane_sums(s0, s1, s2, s3, &sums[0])
            bias = 0 if b == NULL else element(b, c)
            for r in range(min(4, last - i)):
                put(Z, (i + r) * q + c, bias + sums[r])


cdef inline void narrow_gradient(
    const vec* A,
    Py_ssize_t n,
    Py_ssize_t p,
    Py_ssize_t first,
    Py_ssize_t last,
    const vec* delta,
    Py_ssize_t q,
    vec* dW,
) noexcept nogil:
    """dW += A^T delta, computed as delta^T A, rows first to last of dW.  (B3)"""
    cdef Py_ssize_t a_panel = stride(n, p), L = lanes(A), c = first, i, r, k, place_r
    cdef int rows, vectors
    cdef vec[24] scratch
    while c < last:
        vectors = tile_vectors(A, c, last)
        i = 0
        while i < q:
            rows = tile_rows(q - i, vectors)
            for k in range(rows * vectors * L):
                put(&scratch[0], k, 0)
            tile(
                rows, vectors, at(delta, i), 1, WIDTH, n, 0,
                at(A, place(0, c, a_panel)), WIDTH, n,
                &scratch[0], vectors * L, &scratch[0], vectors * L,
            )
            for r in range(rows):
                for k in range(min(vectors * L, last - c)):
                    place_r = (c + k) * q + i + r
                    put(
                        dW, place_r,
                        element(dW, place_r) + element(&scratch[0], r * vectors * L + k),
                    )
            i += rows
        c += vectors * L


cdef inline void panel_sum(
    const vec* delta,
    Py_ssize_t n,
    Py_ssize_t first,
    Py_ssize_t last,
    Py_ssize_t q,
    vec* db,
) noexcept nogil:
    """db += the sum over the rows of delta, columns first to last.  (B4)"""
    cdef Py_ssize_t d_panel = stride(n, q), L = lanes(delta), c, i, k, u
    cdef const vec* d
    cdef vec s0, s1, s2, s3
    for u in range(vectors_of(delta, last - first)):
        c = first + u * L
        d = at(delta, place(0, c, d_panel))
        s0 = first_lanes(d, 0, L)
        s1, s2, s3 = s0, s0, s0
        for i in range(0, n - 3, 4):
            s0 += d[0]
            s1 += at(d, WIDTH)[0]
            s2 += at(d, 2 * WIDTH)[0]
            s3 += at(d, 3 * WIDTH)[0]
            d = at(d, 4 * WIDTH)
        for i in range(n // 4 * 4, n):
            s0 += d[0]
            d = at(d, WIDTH)
        s0 = (s0 + s1) + (s2 + s3)
        for k in range(min(L, last - c)):
            put(db, c + k, element(db, c + k) + element(&s0, k))


# Into panels and back --------------------------------------------------------


cdef inline void pack(
    const vec* W,
    const vec* b,
    Py_ssize_t p,
    Py_ssize_t q,
    Py_ssize_t first,
    Py_ssize_t last,
    vec* packed,
) noexcept nogil:
    """Row 0 is b, or zeros where b is NULL; row i + 1 is W[i]; columns first to last.

    The columns up to the end of the last vector are zeros, which add nothing.
    """
    cdef Py_ssize_t panel = stride(p + 1, q), L = lanes(W), c, i, left, u
    cdef vec* target
    for u in range(vectors_of(W, last - first)):
        c = first + u * L
        target = at(packed, place(0, c, panel))
        left = q - c
        if b == NULL:
            target[0] = first_lanes(W, 0, 0)
        else:
            target[0] = first_lanes(at(b, c), left, left)
        for i in range(p):
            target = at(target, WIDTH)
            if left >= L:
                target[0] = at(W, i * q + c)[0]
            else:
                target[0] = first_lanes(at(W, i * q + c), left, (p - i) * q - c)


cdef inline void pack_transposed(
    const vec* W,
    Py_ssize_t p,
    Py_ssize_t q,
    Py_ssize_t first,
    Py_ssize_t last,
    vec* packed,
) noexcept nogil:
    """Row 0 is zeros; row c + 1 is column c of W; columns first to last of it."""
    cdef Py_ssize_t panel = stride(q + 1, p), L = lanes(W), i, c, r, u
    cdef vec* target
    for u in range(vectors_of(W, last - first)):
        i = first + u * L
        target = at(packed, place(0, i, panel))
        target[0] = first_lanes(W, 0, 0)
        if i + L <= p:
            for c in range(q):
                target = at(target, WIDTH)
                for r in range(L):
                    put(target, r, element(W, (i + r) * q + c))
        else:
            for c in range(q):
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
        if rows != NULL and i + 8 < last:
            # The rows lie anywhere: ask for one while others are copied.
            for c in range(0, p, 16):
                prefetch(at(X, rows[i + 8] * p + c))
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
    cdef Py_ssize_t L = lanes(W), whole = q - q % L, c, j, u, w
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
        x = splat(data, j)
        w = indices[j] * q
        if j + 4 < count:
            prefetch(at(W, indices[j + 4] * q))
        for u in range(whole // L):
            c = u * L
            at(z, c // WIDTH * panel + c % WIDTH)[0] += x * at(W, w + c)[0]
        if whole < q:
            at(z, whole // WIDTH * panel + whole % WIDTH)[0] += x * first_lanes(
                at(W, w + whole), q - whole, (p - indices[j]) * q - whole
            )


cdef inline void sparse_gradient(
    const vec* data,
    const int* indices,
    Py_ssize_t count,
    const vec* delta,
    Py_ssize_t q,
    Py_ssize_t panel,
    Py_ssize_t first,
    Py_ssize_t last,
    vec* dW,
) noexcept nogil:
    """dW_1 += x^T delta of one row, columns first to last.  (B3)"""
    cdef Py_ssize_t L = lanes(delta), whole = last - (last - first) % L
    cdef Py_ssize_t c, j, u, w
    cdef vec x
    for j in range(count):
        x = splat(data, j)
        w = indices[j] * q
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
