"""The layout of the batch, the activations and the deltas.

Row-major: one panel as wide as the matrix. Kernels of narrower panels change this
file, gather and products, and leave the engine as it is. The output layer's Z, A
and delta are row-major in every layout, so that losses never meet a panel.
"""


cdef inline Py_ssize_t elements(Py_ssize_t rows, Py_ssize_t columns) noexcept nogil:
    """The reals that a matrix of the layout occupies."""
    return rows * columns
