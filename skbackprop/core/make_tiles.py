"""Write tiles.pxd: the register tiles of the matrix kernels, one function per shape.

The sums of a tile are variables with names, because compilers keep those in
registers; an array of them is kept in memory, at a quarter of the speed.
"""

import sys
from pathlib import Path

SHAPES = [(rows, vectors) for rows in (8, 4, 2, 1) for vectors in (3, 2, 1)]

HEAD = '''"""Written by make_tiles.py: C = start + A B, a few rows by a few vectors."""

from .simd cimport at, splat, vec


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


def pick() -> str:
    """Return the function that calls the one of a shape."""
    lines = []
    for rows, vectors in SHAPES:
        word = "elif" if lines else "if"
        lines.append(f"    {word} rows == {rows} and vectors == {vectors}:")
        lines.append(f"        tile_{rows}x{vectors}({ARGUMENTS})")
    return PICK.format(branches="\n".join(lines))


if __name__ == "__main__":
    parts = [tile(rows, vectors) for rows, vectors in SHAPES]
    Path(sys.argv[1]).write_text(HEAD + "\n\n".join([*parts, pick()]))
