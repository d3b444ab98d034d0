"""Write tiles.pxd: the register tiles of the matrix kernels, one function per shape.

``tile`` adds products of a few rows and a few vectors of columns; ``narrow_tile``
those of a few rows and outputs that fill no vector, along the summed index.

The sums of a tile are variables with names, because compilers keep those in
registers; an array of them is kept in memory, at a quarter of the speed.
"""

import sys
from pathlib import Path

SHAPES = [(rows, vectors) for vectors in (3, 2, 1) for rows in range(8, 0, -1)]
#: Rows and outputs of a narrow tile: a sum for every lane of a vector.
NARROW = [(n // q, q) for n in (16, 8, 4, 2) for q in (1, 2, 4) if 2 * q <= n]

HEAD = '''"""Written by make_tiles.py: C = start + A B, a few rows by a few vectors."""

from .simd cimport add_lanes, at, first_lanes, lanes, splat, vec, zero


'''

TILE = """cdef inline void tile_{R}x{V}(
    const vec* A, Py_ssize_t a_row, Py_ssize_t a_k,
    Py_ssize_t inner, Py_ssize_t a_panel,
    const vec* B, Py_ssize_t b_k, Py_ssize_t K,
    const vec* start, Py_ssize_t start_row, vec* C, Py_ssize_t c_row,
) noexcept nogil:
    cdef Py_ssize_t k = 0, stop
    cdef vec a, {b}
{load}
    while k < K:
        stop = k + inner if k + inner < K else K
        for k in range(k, stop):
{body}
            A = at(A, a_k)
            B = at(B, b_k)
        k = stop
        A = at(A, a_panel - inner * a_k)
{store}
"""

PICK = '''cdef inline void tile(
    int rows, int vectors,
    const vec* A, Py_ssize_t a_row, Py_ssize_t a_k,
    Py_ssize_t inner, Py_ssize_t a_panel,
    const vec* B, Py_ssize_t b_k, Py_ssize_t K,
    const vec* start, Py_ssize_t start_row, vec* C, Py_ssize_t c_row,
) noexcept nogil:
    """C = start + A B of a tile; strides count reals.  (F1) (B2) (B3)

    Element (r, k) of A is at r a_row + k a_k of a panel that is ``inner`` wide in k,
    the next one a_panel further; row k of B is at k b_k; row r of ``start`` and of C
    at r start_row and r c_row.
    """
{branches}
'''

NARROW_TILE = """cdef inline vec narrow_{R}x{Q}(
    const vec* A, Py_ssize_t a_row, const vec* B,
    {b_parameters},
    Py_ssize_t inner, Py_ssize_t skip_a, Py_ssize_t skip_b, Py_ssize_t K,
) noexcept nogil:
    cdef Py_ssize_t k = 0, stop, whole = K - K % lanes(A)
    cdef vec {b}
    cdef vec[{N}] sums
    cdef vec {zeros}
    while k < whole:
        stop = k + inner if k + inner < whole else whole
        while k < stop:
{body}
            A = at(A, lanes(A))
            B = at(B, lanes(A))
            k += lanes(A)
        if k % inner == 0:
            A = at(A, skip_a)
            B = at(B, skip_b)
    if k < K:  # what lies beside A may be infinite, which times 0 is not 0
{tail}
{store}
    return add_lanes(&sums[0])
"""

PICK_NARROW = '''cdef inline vec narrow_tile(
    int q, const vec* A, Py_ssize_t a_row, const vec* B, const Py_ssize_t* b_row,
    Py_ssize_t inner, Py_ssize_t skip_a, Py_ssize_t skip_b, Py_ssize_t K,
) noexcept nogil:
    """Dot products of rows of A and q of B, 1, 2 or 4: lane r q + c is of row r and c.

    Row r of A is r a_row away, row c of B b_row[c]; both are read ``inner`` reals at
    a time, then skip_a and skip_b.
    """
{branches}
'''

ARGUMENTS = "A, a_row, a_k, inner, a_panel, B, b_k, K, start, start_row, C, c_row"


def tile(rows: int, vectors: int) -> str:
    """Return the function of one shape."""
    load, body, store = [], [], []
    for v in range(vectors):
        body.append(f"            b{v} = B[{v}]")
    for r in range(rows):
        body.append(f"            a = splat(A, {r} * a_row)")
        for v in range(vectors):
            c = f"c{r}{v}"
            load.append(f"    cdef vec {c} = at(start, {r} * start_row)[{v}]")
            body.append(f"            {c} += a * b{v}")
            store.append(f"    (<vec*> at(C, {r} * c_row))[{v}] = {c}")
    return TILE.format(
        R=rows,
        V=vectors,
        b=", ".join(f"b{v}" for v in range(vectors)),
        load="\n".join(load),
        body="\n".join(body),
        store="\n".join(store),
    )


def narrow_tile(rows: int, q: int) -> str:
    """Return the function of dot products of one shape."""
    body = [f"            b{c} = at(B, b_row{c})[0]" for c in range(q)]
    tail = [line[4:] for line in body]
    names, store = [], []
    for r in range(rows):
        for c in range(q):
            names.append(f"s{r}x{c}")
            body.append(f"            s{r}x{c} += at(A, {r} * a_row)[0] * b{c}")
            left = f"first_lanes(at(A, {r} * a_row), K - k, lanes(A))"
            tail.append(f"        s{r}x{c} += {left} * b{c}")
            store.append(f"    sums[{r * q + c}] = s{r}x{c}")
    return NARROW_TILE.format(
        R=rows,
        Q=q,
        N=rows * q,
        b_parameters=", ".join(f"Py_ssize_t b_row{c}" for c in range(q)),
        b=", ".join(f"b{c}" for c in range(q)),
        zeros=", ".join(f"{name} = zero(A)" for name in names),
        body="\n".join(body),
        tail="\n".join(tail),
        store="\n".join(store),
    )


def pick_narrow() -> str:
    """Return the function that calls the one of a shape."""
    lines = []
    for rows, q in NARROW:
        word = "elif" if lines else "if"
        b_rows = ", ".join(f"b_row[{c}]" for c in range(q))
        lines.append(f"    {word} lanes(A) == {rows * q} and q == {q}:")
        lines.append(
            f"        return narrow_{rows}x{q}("
            f"A, a_row, B, {b_rows}, inner, skip_a, skip_b, K)"
        )
    lines.append("    return zero(A)")
    return PICK_NARROW.format(branches="\n".join(lines))


def pick() -> str:
    """Return the function that calls the one of a shape."""
    lines = []
    for rows, vectors in SHAPES:
        word = "elif" if lines else "if"
        lines.append(f"    {word} 8 * vectors + rows == {8 * vectors + rows}:")
        lines.append(f"        tile_{rows}x{vectors}({ARGUMENTS})")
    return PICK.format(branches="\n".join(lines))


if __name__ == "__main__":
    parts = [tile(rows, vectors) for rows, vectors in SHAPES]
    parts += [pick(), *(narrow_tile(rows, q) for rows, q in NARROW), pick_narrow()]
    Path(sys.argv[1]).write_text(HEAD + "\n\n".join(parts))
