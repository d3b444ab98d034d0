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

from .real cimport real
from .simd cimport LANES, PANEL, add_lanes, at, first_lanes, splat, vec


cdef struct Strided:
    # Element (r, k) is r row + k column behind data, in a panel of ``inner`` k; the
    # next of these begins ``panel`` further.
    const real* data
    Py_ssize_t row, column, inner, panel


'''

TILE = """cdef inline void tile_{R}x{V}(
    Strided a, const real* B, Py_ssize_t b_row, Py_ssize_t K,
    const real* start, Py_ssize_t start_row, real* C, Py_ssize_t c_row,
) noexcept nogil:
    cdef Py_ssize_t k = 0, stop
    cdef const real* A = a.data
    cdef vec x, {b}
{load}
    while k < K:
        stop = k + a.inner if k + a.inner < K else K
        for k in range(k, stop):
{body}
            A = A + a.column
            B = B + b_row
        k = stop
        A = A + (a.panel - a.inner * a.column)
{store}
"""

PICK = '''cdef inline void tile(
    int rows, int vectors,
    Strided a, const real* B, Py_ssize_t b_row, Py_ssize_t K,
    const real* start, Py_ssize_t start_row, real* C, Py_ssize_t c_row,
) noexcept nogil:
    """C = start + A B of a tile; rows of B, of start and of C are so far apart.

    (F1) (B2) (B3)
    """
{branches}
'''

NARROW_TILE = """cdef inline vec narrow_{R}x{Q}(
    const real* A, const real* B, const Py_ssize_t* b_row,
    Py_ssize_t a_panel, Py_ssize_t b_panel, Py_ssize_t K,
) noexcept nogil:
    cdef Py_ssize_t k = 0, stop, whole = K - K % LANES
    cdef vec {b}
    cdef vec[{N}] sums
    cdef vec {zeros}
    while k < whole:
        stop = k + PANEL if k + PANEL < whole else whole
        while k < stop:
{body}
            A = A + LANES
            B = B + LANES
            k += LANES
        if k % PANEL == 0:
            A = A + (a_panel - PANEL)
            B = B + (b_panel - PANEL)
    if k < K:  # what lies beside A may be infinite, which times 0 is not 0
{tail}
{store}
    return add_lanes(&sums[0])
"""

PICK_NARROW = '''cdef inline vec narrow_tile(
    int q, const real* A, const real* B, const Py_ssize_t* b_row,
    Py_ssize_t a_panel, Py_ssize_t b_panel, Py_ssize_t K,
) noexcept nogil:
    """Dot products of rows of A and q of B, 1, 2 or 4: lane r q + c is of row r and c.

    Both are in panels, these a_panel and b_panel apart; row c of B is b_row[c] away.
    """
{branches}
'''

ARGUMENTS = "a, B, b_row, K, start, start_row, C, c_row"


def tile(rows: int, vectors: int) -> str:
    """Return the function of one shape."""
    load, body, store = [], [], []
    for v in range(vectors):
        body.append(f"            b{v} = at(B)[{v}]")
    for r in range(rows):
        body.append(f"            x = splat(A[{r} * a.row])")
        for v in range(vectors):
            c = f"c{r}{v}"
            load.append(f"    cdef vec {c} = at(start + {r} * start_row)[{v}]")
            body.append(f"            {c} += x * b{v}")
            store.append(f"    at(C + {r} * c_row)[{v}] = {c}")
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
    body = [f"            b{c} = at(B + b_row[{c}])[0]" for c in range(q)]
    tail = [line[4:] for line in body]
    names, store = [], []
    for r in range(rows):
        for c in range(q):
            names.append(f"s{r}x{c}")
            body.append(f"            s{r}x{c} += at(A + {r} * PANEL)[0] * b{c}")
            left = f"first_lanes(A + {r} * PANEL, K - k, LANES)"
            tail.append(f"        s{r}x{c} += {left} * b{c}")
            store.append(f"    sums[{r * q + c}] = s{r}x{c}")
    return NARROW_TILE.format(
        R=rows,
        Q=q,
        N=rows * q,
        b=", ".join(f"b{c}" for c in range(q)),
        zeros=", ".join(f"{name} = splat(0)" for name in names),
        body="\n".join(body),
        tail="\n".join(tail),
        store="\n".join(store),
    )


def pick_narrow() -> str:
    """Return the function that calls the one of a shape."""
    lines = []
    for rows, q in NARROW:
        word = "elif" if lines else "if"
        lines.append(f"    {word} LANES == {rows * q} and q == {q}:")
        lines.append(
            f"        return narrow_{rows}x{q}(A, B, b_row, a_panel, b_panel, K)"
        )
    lines.append("    return splat(0)")
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
