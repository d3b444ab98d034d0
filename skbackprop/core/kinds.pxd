"""The kinds of layers: what Z_j is of A_{j-1}, and its derivatives.

A new kind is one enumerator and one branch in each function here, and its paragraph in
docs/derivations.md (docs/extending_layers.md adds one); activation, dropout, loss,
penalty and optimiser are those of every layer. The parameters of layer j lie in theta
as ``parameter_groups`` says, one group behind the other, from ``layer.W`` on. Dense
layers have products of their own (products.pxd) and a step that is computed with the
gradient, block by block (updates.pxd).
"""

from .layers cimport Layer
from .matrix cimport Matrix
from .real cimport real

cdef enum:
    # The kinds.
    DENSE, N_KINDS


cdef inline list parameter_groups(int kind, object p, object q, bint biased):
    """Name, shape, and whether it decays, of each group of a layer's parameters.

    A kind may refuse sizes with a ValueError; Python's integers do not wrap.
    """
    groups = []
    if kind == DENSE:
        groups.append(("W", (p, q), True))
    if biased:
        groups.append(("b", (q,), False))
    return groups


cdef inline void forward_of_kind(
    Matrix A, Layer* layer, Py_ssize_t first, Py_ssize_t last
) noexcept nogil:
    """Z_j of A_{j-1}, rows first to last, of a layer that is not dense.  (F1)"""
    pass


cdef inline void backward_of_kind(
    Matrix A, const Layer* layer, Py_ssize_t first, Py_ssize_t last, Matrix dA
) noexcept nogil:
    """dL/dA_{j-1} of delta_j, rows first to last; it may take A's place.  (B2) (B5)"""
    pass


cdef inline void gradient_of_kind(
    Matrix A,
    Py_ssize_t n,
    const Layer* layer,
    Py_ssize_t first,
    Py_ssize_t last,
    bint add,
    real* grad,
) noexcept nogil:
    """Gradient of the parameters of units first to last, but b_j, or added.  (B3)

    ``grad`` is where the layer's first group lies.
    """
    pass
