"""The layout of the batch, the activations and the deltas.

Panels of WIDTH columns; inside a panel the rows lie one behind the other, so that
both factors of each of the three products are read in order:

    columns   0 .. WIDTH-1     WIDTH .. 2 WIDTH-1   ...
              [row 0]          [row 0]
              [row 1]          [row 1]
              ...              ...
              [padding]        [padding]

Rows are padded to a multiple of 16, and a panel's length is kept off multiples of
4096 bytes, where its columns would share a set of the cache. The portable level has
one panel as wide as the matrix, which is row-major order. The output layer's Z, A
and delta are row-major in every layout, so that losses never meet a panel.
"""

from .simd cimport PANELS, WIDTH

cdef enum:
    # What one thread takes of the rows, or one call of a loss, is a multiple of it.
    GROUP = 16


cdef inline Py_ssize_t width(Py_ssize_t columns) noexcept nogil:
    """The columns of a panel, padding included."""
    return WIDTH if PANELS else columns


cdef inline Py_ssize_t panels(Py_ssize_t columns) noexcept nogil:
    return (columns + WIDTH - 1) // WIDTH if PANELS else 1


cdef inline Py_ssize_t stride(Py_ssize_t rows, Py_ssize_t columns) noexcept nogil:
    """From a panel to the next."""
    cdef Py_ssize_t length
    if not PANELS:
        return rows * columns
    length = (rows + GROUP - 1) // GROUP * GROUP * WIDTH
    return length + GROUP if length % 512 == 0 else length


cdef inline Py_ssize_t elements(Py_ssize_t rows, Py_ssize_t columns) noexcept nogil:
    """The reals that a matrix of the layout occupies."""
    return panels(columns) * stride(rows, columns)
