"""Matrices, and the layout of the batch, the activations and the deltas.

Panels of PANEL columns; inside a panel the rows lie one behind the other, so that
both factors of each of the three products are read in order:

    columns   0 .. PANEL-1     PANEL .. 2 PANEL-1   ...
              [row 0]          [row 0]
              [row 1]          [row 1]
              ...              ...
              [padding]        [padding]

Rows are padded to a multiple of 16, and a panel's length is kept off multiples of
4096 bytes, where its columns would share a set of the cache. The portable level has
one panel as wide as the matrix, which is row-major order. The output layer's Z and A,
and the loss's delta, are row-major in every layout, so that losses never meet a panel.

The words of high-performance linear algebra (BLIS) that the kernels use:

    panel       PANEL columns of a matrix, row behind row
    tile        up to MR rows by 3 vectors of a product, summed in registers
    MR          rows of a tile, at most
    KC          length of the blocks of a sum: what a tile reads again stays in cache
    pack        copy W into panels, once a step, so that tiles read it in order
"""

from .real cimport real
from .simd cimport PANEL, PANELS

cdef enum:
    # What one thread takes of the rows, or one call of a loss, is a multiple of it.
    ROW_CHUNK = 16


cdef struct Matrix:
    real* data
    # Reals from a row to the next, and from a panel to the next.
    Py_ssize_t columns, row, panel


cdef inline Py_ssize_t width(Py_ssize_t columns) noexcept nogil:
    """The columns of a panel, padding included."""
    return PANEL if PANELS else columns


cdef inline Py_ssize_t n_panels(Py_ssize_t columns) noexcept nogil:
    return (columns + PANEL - 1) // PANEL if PANELS else 1


cdef inline Py_ssize_t panel_stride(Py_ssize_t rows, Py_ssize_t columns) noexcept nogil:
    """From a panel to the next."""
    cdef Py_ssize_t length
    if not PANELS:
        return rows * columns
    length = align_up(rows) * PANEL
    return length + ROW_CHUNK if length % 512 == 0 else length


cdef inline Py_ssize_t elements(Py_ssize_t rows, Py_ssize_t columns) noexcept nogil:
    """The reals that a matrix in panels occupies."""
    return n_panels(columns) * panel_stride(rows, columns)


cdef inline Py_ssize_t align_up(Py_ssize_t n) noexcept nogil:
    """n, or the next multiple of 16: every matrix begins where a vector may."""
    return (n + 15) // 16 * 16


cdef inline Matrix in_panels(
    real* data, Py_ssize_t rows, Py_ssize_t columns
) noexcept nogil:
    return Matrix(data, columns, width(columns), panel_stride(rows, columns))


cdef inline Matrix row_major(const real* data, Py_ssize_t columns) noexcept nogil:
    """A row-major matrix: panels of it lie side by side in its rows."""
    return Matrix(<real*> data, columns, columns, PANEL)


cdef inline Py_ssize_t element_at(
    Matrix A, Py_ssize_t row, Py_ssize_t column
) noexcept nogil:
    """Where an element of a matrix is, from its data."""
    cdef Py_ssize_t w = width(A.columns)
    return column // w * A.panel + row * A.row + column % w
