"""The passes over the layers of a network: section 4 of the derivations, in its order.

A thread of a team has rows of the batch on the way forward and back, and then parts
of every layer's parameters: no sum is split between two of them.
"""

from libc.limits cimport INT_MAX

from .activations cimport activate, needs_z, times_derivative
from .dropout cimport drop
from .embeddings cimport code_gradient, draw_curves, embed, number_gradient
from .gather cimport Rows, gather_inputs, gather_labels, gather_rows, gather_weights
from .kinds cimport DENSE, backward_of_kind, forward_of_kind, gradient_of_kind
from .layers cimport Batch, Layer, Network
from .losses cimport Loss, label_loss, smoothing, weighted_loss
from .matrix cimport ROW_CHUNK, Matrix, n_panels, width
from .products cimport (
    affine,
    affine_back,
    bias_gradient,
    from_rows,
    pack_bias,
    pack_weights,
    sparse_affine,
    sparse_weight_gradient,
    to_rows,
    weight_gradient,
)
from .real cimport real
from .simd cimport PANELS
from .team cimport Thread, part_start, part_stop, stopped

cdef enum:
    BLOCK = 64
    # As many where the parameters are so many that to read them again costs more.
    BIG_BLOCK = 256
    BIG = 1 << 21


# One layer ----------------------------------------------------------------------


cdef inline void pack_layer(Layer* layer, Thread me) noexcept nogil:
    """This thread's part of the parameters, as the products read them."""
    cdef Py_ssize_t p = layer.p
    if layer.kind == DENSE:
        pack_weights(layer, part_start(me, p, ROW_CHUNK), part_stop(me, p, ROW_CHUNK))
        pack_layer_bias(layer, me)
        pack_bias(
            NULL, part_start(me, p, ROW_CHUNK), part_stop(me, p, ROW_CHUNK),
            layer.transposed,
        )


cdef inline void pack_layer_bias(Layer* layer, Thread me) noexcept nogil:
    """b_j, this thread's units, as the product reads it."""
    cdef Py_ssize_t q = layer.q
    pack_bias(
        layer.b, part_start(me, q, ROW_CHUNK), part_stop(me, q, ROW_CHUNK),
        layer.packed,
    )


cdef inline void layer_forward(
    Matrix A, Layer* layer, Py_ssize_t first, Py_ssize_t last, Thread me
) noexcept nogil:
    """Z_j of A_{j-1}, rows first to last.  (F1)"""
    if layer.kind == DENSE:
        affine(A, layer, first, last, me)
    else:
        forward_of_kind(A, layer, first, last)


cdef inline void layer_backward(
    Matrix A, const Layer* layer, Py_ssize_t first, Py_ssize_t last, Matrix dA,
    Thread me,
) noexcept nogil:
    """dL/dA_{j-1} of delta_j, rows first to last; it may take A's place.  (B2) (B5)"""
    if layer.kind == DENSE:
        affine_back(layer, first, last, dA, me)
    else:
        backward_of_kind(A, layer, first, last, dA)


cdef inline void layer_gradient(
    Matrix A,
    Py_ssize_t n,
    const Layer* layer,
    Thread me,
    bint add,
    real* grad,
) noexcept nogil:
    """Gradient of the layer's parameters, or added, this thread's part.  (B3) (B4)

    ``grad`` is where the layer's first group lies.
    """
    cdef Py_ssize_t p = layer.p, q = layer.q
    cdef Py_ssize_t first = part_start(me, p, ROW_CHUNK)
    if layer.kind == DENSE:
        weight_gradient(
            A, n, layer, first, part_stop(me, p, ROW_CHUNK), add, grad + first * q, me
        )
    else:
        gradient_of_kind(
            A, n, layer, part_start(me, q, ROW_CHUNK), part_stop(me, q, ROW_CHUNK), add,
            grad,
        )
    layer_bias_gradient(n, layer, me, add, grad)


cdef inline void layer_bias_gradient(
    Py_ssize_t n, const Layer* layer, Thread me, bint add, real* grad
) noexcept nogil:
    """dL/db_j, this thread's units; ``grad`` is where the layer's first group lies."""
    cdef Py_ssize_t q = layer.q
    if layer.b != NULL:
        bias_gradient(
            layer.delta, n, part_start(me, q, ROW_CHUNK), part_stop(me, q, ROW_CHUNK),
            add, grad + (layer.b - layer.W), me,
        )


# All layers ---------------------------------------------------------------------


cdef inline Py_ssize_t block_rows(Py_ssize_t n_parameters) noexcept nogil:
    """Rows that go through all layers together."""
    if not PANELS:
        return INT_MAX  # BLAS has blocks of its own
    return BIG_BLOCK if n_parameters > BIG else BLOCK


cdef inline void pack_parameters(Network* net, Thread me) noexcept nogil:
    """This thread's part of every layer's parameters, as the products read them."""
    cdef Py_ssize_t j, n = net.embeddings.n_numbers
    if net.has_embeddings:
        draw_curves(&net.embeddings, part_start(me, n, 1), part_stop(me, n, 1))
    for j in range(1, net.J + 1):
        pack_layer(&net.layers[j], me)


cdef inline void forward(
    Network* net, const Rows* rows, const Batch* batch, Py_ssize_t first,
    Py_ssize_t last, Thread me,
) noexcept nogil:
    """Z_j = A_{j-1} W_j + b_j (F1), A_j = f_j(Z_j) (F2), j = 1..J, as far as Z_J."""
    cdef Py_ssize_t j
    load_inputs(net, rows, batch, first, last)
    for j in range(1, net.J + 1):
        if j == 1 and rows.sparse:
            sparse_affine(rows, batch, &net.layers[1], first, last)
        else:
            layer_forward(net.layers[j - 1].A, &net.layers[j], first, last, me)
        if j < net.J:
            activate_layer(&net.layers[j], j, batch, first, last)


cdef inline void load_inputs(
    Network* net, const Rows* rows, const Batch* batch, Py_ssize_t first,
    Py_ssize_t last,
) noexcept nogil:
    """A_0: rows first to last of the batch, through the embeddings if there are any."""
    cdef Py_ssize_t n = batch.n
    if net.has_embeddings:
        embed(&net.embeddings, rows, batch.start, first, last)
        from_rows(net.embeddings.rows, n, first, last, net.layers[0].A)
    elif not rows.sparse:
        gather_inputs(rows, batch.start, n, first, last, net.layers[0].A)


cdef inline void activate_layer(
    Layer* layer, Py_ssize_t j, const Batch* batch, Py_ssize_t first, Py_ssize_t last
) noexcept nogil:
    """A_j = f_j(Z_j), rows first to last, panel by panel.  (F2)

    With dropout A_j is what is kept of it (D1), and where f' is written in A, the
    place of Z_j has the whole f_j(Z_j).
    """
    cdef bint drops = batch.mask.threshold > 0
    cdef real* Z = layer.Z.data
    cdef real* whole = layer.A.data
    cdef Py_ssize_t k, at
    if drops and not needs_z(layer.activation):
        whole = Z
    for k in range(n_panels(layer.q)):
        at = k * layer.Z.panel + first * layer.Z.row
        activate(layer.activation, Z + at, whole + at, (last - first) * layer.Z.row)
    if drops:
        drop_units(layer, j, batch, first, last, whole, layer.A.data)


cdef inline void drop_units(
    const Layer* layer,
    Py_ssize_t j,
    const Batch* batch,
    Py_ssize_t first,
    Py_ssize_t last,
    const real* A,
    real* out,
) noexcept nogil:
    """out = A m / (1 - p), rows first to last.  (D1) (D2)"""
    cdef Py_ssize_t i, k, at, w = width(layer.q)
    for k in range(n_panels(layer.q)):
        for i in range(first, last):
            at = k * layer.Z.panel + i * w
            drop(
                &batch.mask, j, i, k * w, A + at, out + at, min(w, layer.q - k * w)
            )


cdef inline void output_loss(
    Network* net, const Rows* rows, const Batch* batch, Py_ssize_t first,
    Py_ssize_t last,
) noexcept nogil:
    """losses[c] = sum_i w_i l_i of the c-th chunk of rows; delta_J.  (L0) (L5) (B1)"""
    cdef Layer* output = &net.layers[net.J]
    cdef Py_ssize_t q = output.q, i = first, m
    cdef real* Z_J = output.Z.data
    cdef real* A_J = output.A.data
    cdef real* values = Z_J if net.loss.from_z else A_J
    cdef real* delta = net.delta_rows
    cdef real* w = NULL
    cdef bint labelled = net.loss.kind == Loss.CATEGORICAL_CROSS_ENTROPY
    if rows.w != NULL:
        gather_weights(rows, batch.start, first, last, net.w)
    if labelled:
        gather_labels(rows, batch.start, first, last, net.labels)
    else:
        gather_rows(rows, rows.Y, q, batch.start, first, last, net.Y)
    if not net.loss.from_z:
        activate(
            output.activation, Z_J + first * q, A_J + first * q, (last - first) * q
        )
    while i < last:
        m = min(ROW_CHUNK, last - i)
        if rows.w != NULL:
            w = net.w + i
        if labelled:
            net.losses[i // ROW_CHUNK] = label_loss(
                Z_J + i * q, net.labels + i, w, m, q, batch.scale, delta + i * q
            )
            if net.loss.n_parameters > 0 and net.loss.parameters[0] > 0:
                net.losses[i // ROW_CHUNK] += smoothing(
                    net.loss.parameters[0], Z_J + i * q, net.labels + i, w, m, q,
                    batch.scale, delta + i * q,
                )
        else:
            net.losses[i // ROW_CHUNK] = weighted_loss(
                &net.loss, values + i * q, net.Y + i * q, w, m, q, batch.scale,
                delta + i * q,
            )
        i += m
    if not net.loss.from_z:
        times_derivative(
            output.activation, Z_J + first * q, A_J + first * q, delta + first * q,
            (last - first) * q,
        )
    from_rows(delta, batch.n, first, last, output.delta)


cdef inline void backward(
    Network* net, const Batch* batch, Py_ssize_t first, Py_ssize_t last, Thread me
) noexcept nogil:
    """delta_j = (delta_{j+1} W_{j+1}^T) * f_j'(Z_j), j = J - 1..1.  (B2) (D2)"""
    cdef Py_ssize_t j
    for j in range(net.J - 1, 0, -1):
        layer_backward(
            net.layers[j].A, &net.layers[j + 1], first, last, net.layers[j].delta, me
        )
        derivative_layer(&net.layers[j], j, batch, first, last)
    if net.has_embeddings:
        inputs_gradient(net, first, last, net.embeddings.rows, me)


cdef inline void derivative_layer(
    Layer* layer, Py_ssize_t j, const Batch* batch, Py_ssize_t first, Py_ssize_t last
) noexcept nogil:
    """delta_j <- delta_j m / (1 - p) * f_j'(Z_j), rows first to last.  (B2) (D2)"""
    cdef real* Z = layer.Z.data
    cdef real* A = layer.A.data
    cdef real* delta = layer.delta.data
    cdef Py_ssize_t k, at
    if batch.mask.threshold > 0:
        drop_units(layer, j, batch, first, last, delta, delta)
        A = Z  # where the whole f_j(Z_j) is, if f' is written in it
    for k in range(n_panels(layer.q)):
        at = k * layer.Z.panel + first * layer.Z.row
        times_derivative(
            layer.activation, Z + at, A + at, delta + at, (last - first) * layer.Z.row
        )


cdef inline void inputs_gradient(
    Network* net, Py_ssize_t first, Py_ssize_t last, real* dX, Thread me
) noexcept nogil:
    """dL/dA_0 = delta_1 W_1^T, row-major.  (B5)"""
    layer_backward(
        net.layers[0].A, &net.layers[1], first, last, net.layers[0].delta, me
    )
    to_rows(net.layers[0].delta, first, last, dX)


cdef inline void forward_backward(
    Network* net, const Rows* rows, const Batch* batch, bint backwards, Thread me
) noexcept nogil:
    """This thread's rows forward to the loss and back to delta_1, block by block."""
    cdef Py_ssize_t first = part_start(me, batch.n, ROW_CHUNK), last
    cdef Py_ssize_t stop = part_stop(me, batch.n, ROW_CHUNK)
    while first < stop and not stopped(me):
        last = min(first + net.block, stop)
        forward(net, rows, batch, first, last, me)
        output_loss(net, rows, batch, first, last)
        if backwards:
            backward(net, batch, first, last, me)
        first = last


cdef inline void gradients(
    Network* net, const Rows* rows, const Batch* batch, Thread me, bint add, real* grad
) noexcept nogil:
    """dL/dW_j (B3) and dL/db_j (B4), or added to grad, this thread's part of each."""
    cdef Py_ssize_t j
    for j in range(net.J, 0, -1):
        if stopped(me):
            return
        if j == 1 and rows.sparse:
            sparse_gradients(net, rows, batch, me, add, grad)
            layer_bias_gradient(
                batch.n, &net.layers[1], me, add, grad_of(net, 1, grad)
            )
        else:
            layer_gradient(
                net.layers[j - 1].A, batch.n, &net.layers[j], me, add,
                grad_of(net, j, grad),
            )
    if net.has_embeddings:
        embedding_gradients(net, rows, batch, me, add, grad)


cdef inline real* grad_of(Network* net, Py_ssize_t j, real* grad) noexcept nogil:
    """Where layer j's part of a gradient begins: as far as its W in theta."""
    return grad + (net.layers[j].W - net.theta)


cdef inline void sparse_gradients(
    Network* net, const Rows* rows, const Batch* batch, Thread me, bint add, real* grad
) noexcept nogil:
    """dL/dW_1 = X^T delta_1 of a sparse X, this thread's columns.  (B3)"""
    cdef Py_ssize_t q = net.layers[1].q
    sparse_weight_gradient(
        rows, batch, &net.layers[1], part_start(me, q, ROW_CHUNK),
        part_stop(me, q, ROW_CHUNK), add, grad_of(net, 1, grad), me,
    )


cdef inline void embedding_gradients(
    Network* net, const Rows* rows, const Batch* batch, Thread me, bint add, real* grad
) noexcept nogil:
    """The gradient of this thread's numbers (E3) and codes (E4)."""
    cdef Py_ssize_t f, n = net.embeddings.n_numbers
    for f in range(part_start(me, n, 1), part_stop(me, n, 1)):
        if stopped(me):
            return
        number_gradient(&net.embeddings, f, rows, batch.start, batch.n, add, grad)
    n = net.embeddings.n_codes
    for f in range(part_start(me, n, 1), part_stop(me, n, 1)):
        if stopped(me):
            return
        code_gradient(&net.embeddings, f, rows, batch.start, batch.n, add, grad)


cdef inline Py_ssize_t n_chunks(Py_ssize_t n) noexcept nogil:
    return (n + ROW_CHUNK - 1) // ROW_CHUNK


cdef inline double sum_all(const double* sums, Py_ssize_t n) noexcept nogil:
    """The sum in one order, whoever computed the parts."""
    cdef Py_ssize_t k
    cdef double value = 0
    for k in range(n):
        value += sums[k]
    return value
