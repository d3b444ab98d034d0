"""Where the matrices of a call lie in its flat workspace, and the layers in theta.

``places`` has a row for every layer j, and one more for the batch's Y and w; a column
of it says where Z_j, A_j, delta_j and the packed W_j and W_j^T begin. A_j takes the
place of Z_j unless f_j' is written in Z, or units are dropped of it, and A_0 is left
out where X is sparse. Row 0 also has what embeddings need.
"""

from libc.stdint cimport uintptr_t

from .activations cimport needs_z
from .embeddings cimport curve_elements
from .matrix cimport elements
from .products cimport narrow, packed_elements
from .real cimport real
from .topology cimport Topology

cdef enum:
    # Columns of ``places``, whose row j is layer j.
    Z_, A_, DELTA_, PACKED_, TRANSPOSED_, N_PLACES
    # In its row J + 1 the batch's Y and w, and delta_J row-major.
    Y_ = 0
    W_ = 1
    ROWS_ = 2
    # In row 0, of embeddings: their curves, sums at the edges of these, and rows.
    CURVES_ = 0
    EDGES_ = 3
    EMBEDDED_ = 4
    # Rows for which packing W would cost more than it saves.
    FEW = 8


cdef inline Py_ssize_t up(Py_ssize_t n) noexcept nogil:
    """n, or the next multiple of 16: every matrix begins where a vector may."""
    return (n + 15) // 16 * 16


cdef inline Py_ssize_t arrange(
    Topology t,
    real* tag,
    Py_ssize_t n,
    bint sparse,
    bint backward,
    bint input_gradient,
    bint dropping,
    Py_ssize_t at,
    Py_ssize_t[:, ::1] places,
) noexcept nogil:
    """Fill ``places``, an empty place being one that begins where the next does.

    Returns where everything ends. ``at`` is where the first may begin.
    """
    cdef Py_ssize_t j, p, q, J = t.n_layers
    cdef bint output, dense, embedded = t.embeddings is not None, apart
    if embedded:
        input_gradient = True
        places[0, CURVES_] = at
        at += up(curve_elements(t.embeddings))
        places[0, EMBEDDED_] = at
        at += up(n * t.size[0])
        if backward:
            places[0, DELTA_] = at
            at += elements(n, t.size[0])
            places[0, EDGES_] = at
            at += up(curve_elements(t.embeddings))
    places[0, A_] = at
    if not sparse or input_gradient:
        at += elements(n, t.size[0])
    for j in range(1, J + 1):
        p, q, output = t.size[j - 1], t.size[j], j == J
        places[j, PACKED_] = at
        dense = (backward or n > FEW) and not (sparse and j == 1)
        if dense and not (output and narrow(tag, q)):
            at += packed_elements(p, q)
        places[j, TRANSPOSED_] = at
        if (
            (backward and (j > 1 or input_gradient))
            or (dense and output and narrow(tag, q))
        ):
            at += packed_elements(q, p)
        places[j, Z_] = at
        at += up(n * q) if output else elements(n, q)
        apart = needs_z(t.activation[j - 1]) or (dropping and not output)
        places[j, A_] = at if apart else places[j, Z_]
        if apart:
            at += up(n * q) if output else elements(n, q)
        places[j, DELTA_] = at
        # Of the output layer also the spare place of a Z_J that is not narrow.
        if backward or output:
            at += elements(n, q)
    if backward:
        places[J + 1, Y_] = at
        at += up(n * t.size[J])
        places[J + 1, W_] = at
        at += up(n)
        places[J + 1, ROWS_] = at
        at += up(n * t.size[J])
    return at


cdef inline Py_ssize_t first_place(real[::1] work) noexcept nogil:
    """The first real whose address is a multiple of 64, a vector of any level."""
    cdef uintptr_t address = <uintptr_t> &work[0]
    return <Py_ssize_t> ((64 - address % 64) % 64 // sizeof(real))


cdef inline real* Z_of(
    const Py_ssize_t[:, ::1] places, Py_ssize_t j, real[::1] work
) noexcept nogil:
    return &work[places[j, Z_]]


cdef inline real* A_of(
    const Py_ssize_t[:, ::1] places, Py_ssize_t j, real[::1] work
) noexcept nogil:
    return &work[places[j, A_]]


cdef inline real* delta_of(
    const Py_ssize_t[:, ::1] places, Py_ssize_t j, real[::1] work
) noexcept nogil:
    return &work[places[j, DELTA_]]


cdef inline real* packed_of(
    const Py_ssize_t[:, ::1] places, Py_ssize_t j, real[::1] work
) noexcept nogil:
    """W_j as the products read it; NULL where they read it from theta."""
    if places[j, PACKED_] == places[j, TRANSPOSED_]:
        return NULL
    return &work[places[j, PACKED_]]


cdef inline real* transposed_of(
    const Py_ssize_t[:, ::1] places, Py_ssize_t j, real[::1] work
) noexcept nogil:
    """W_j^T as the products read it; NULL where they read theta, or need it not."""
    if places[j, TRANSPOSED_] == places[j, Z_]:
        return NULL
    return &work[places[j, TRANSPOSED_]]


cdef inline const real* W_of(
    Topology t, const real[::1] theta, Py_ssize_t j
) noexcept nogil:
    return &theta[t.weights_at[j - 1]]


cdef inline const real* b_of(
    Topology t, const real[::1] theta, Py_ssize_t j
) noexcept nogil:
    return &theta[t.biases_at[j - 1]] if t.biased[j - 1] else NULL


cdef inline real* dW_of(Topology t, real[::1] grad, Py_ssize_t j) noexcept nogil:
    return &grad[t.weights_at[j - 1]]


cdef inline real* db_of(Topology t, real[::1] grad, Py_ssize_t j) noexcept nogil:
    return &grad[t.biases_at[j - 1]]
