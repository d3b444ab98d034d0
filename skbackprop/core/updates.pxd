"""Gradient and step of every layer's parameters: sections 4 and 5 of the derivations.

A block's gradient takes the place of the first's, since it is used at once: that place
stays in cache. A gradient whose norm is limited (C1) is complete before the first step.
"""

from libc.math cimport sqrt

from .embeddings cimport CURVE, MISSING, TABLE, draw_curves
from .gather cimport Rows
from .kinds cimport DENSE
from .layers cimport Batch, Layer, Network
from .matrix cimport ROW_CHUNK
from .optimizers cimport GroupScale, Optimizer, Slice, step
from .passes cimport (
    embedding_gradients,
    grad_of,
    layer_bias_gradient,
    layer_gradient,
    pack_layer_bias,
    sparse_gradients,
)
from .products cimport half_square, pack_weights, weight_gradient
from .real cimport real
from .team cimport Thread, barrier, part_start, part_stop, stopped

cdef enum:
    # Rows of W whose gradient is computed at a time, and then used while in cache.
    TALL = 128
    # The fewest weights whose squares are summed together: that sum has one owner.
    WEIGHT_BLOCK = 512


cdef struct Group:
    # Parameters of theta from start to stop, and their factors of eta and of decay.
    Py_ssize_t start, stop
    double rate, decay
    # Whether the L2 penalty counts them: weights.  (R1)
    bint penalised


cdef struct Parameters:
    real* theta
    real* grad
    real* first
    real* second
    Py_ssize_t n
    Group* groups


cdef inline Py_ssize_t block_of(Py_ssize_t q) noexcept nogil:
    """Rows of a (p, q) weight matrix that one thread owns, sums and all."""
    return ((WEIGHT_BLOCK + q - 1) // q + ROW_CHUNK - 1) // ROW_CHUNK * ROW_CHUNK


cdef inline Py_ssize_t n_blocks(Py_ssize_t p, Py_ssize_t q) noexcept nogil:
    return (p + block_of(q) - 1) // block_of(q)


cdef inline Py_ssize_t group_blocks(Py_ssize_t n) noexcept nogil:
    """The parts of a group of a layer that is not dense."""
    return (n + WEIGHT_BLOCK - 1) // WEIGHT_BLOCK


cdef inline void update_layers(
    Network* net,
    const Rows* rows,
    const Batch* batch,
    Parameters* w,
    Optimizer opt,
    Thread me,
) noexcept nogil:
    """Gradient (B3) (B4) and step (O1) to (O5) of this thread's part of each layer.

    penalties[u] = ||W||^2 / 2 of the u-th block of weights, before its step.  (R1)
    """
    cdef Py_ssize_t j
    cdef Layer* layer
    for j in range(1, net.J + 1):
        if stopped(me):
            return
        layer = &net.layers[j]
        if layer.kind == DENSE:
            update_weights(net, rows, batch, j, w, opt, me)
            update_bias(layer, batch, grad_of(net, j, w.grad), w, opt, me)
        else:
            update_layer(net, batch, j, w, opt, me)
    if net.has_embeddings:
        update_embeddings(net, rows, batch, w, opt, me)


cdef inline void update_weights(
    Network* net,
    const Rows* rows,
    const Batch* batch,
    Py_ssize_t j,
    Parameters* w,
    Optimizer opt,
    Thread me,
) noexcept nogil:
    """Gradient and step of W_j, some rows at a time, and W_j packed again."""
    cdef Layer* layer = &net.layers[j]
    cdef Py_ssize_t p = layer.p, q = layer.q, block = block_of(q)
    cdef Py_ssize_t begun = part_start(me, p, block), stop = part_stop(me, p, block)
    cdef Py_ssize_t first = begun, last, m
    cdef bint sparse = j == 1 and rows.sparse
    cdef bint apart = sparse or opt.max_norm > 0
    cdef real* dW = grad_of(net, j, w.grad)
    cdef double* penalties = net.penalties + layer.first_penalty
    cdef real* here
    if sparse and opt.max_norm == 0:
        # Threads take columns of the gradient, and rows of the step.
        sparse_gradients(net, rows, batch, me, False, w.grad)
        barrier(me)
    while first < stop and not stopped(me):
        last = min(first + max(block, TALL // block * block), stop)
        here = dW + (first if apart else begun) * q
        if not apart:
            weight_gradient(
                net.layers[j - 1].A, batch.n, layer, first, last, False, here, me
            )
        while first < last:
            m = min(block, last - first)
            penalties[first // block] = update_part(
                w, opt, batch, layer.group, here, (layer.W - w.theta) + first * q, m * q
            )
            here = here + m * q
            pack_weights(layer, first, first + m)
            first += m


cdef inline void update_bias(
    Layer* layer,
    const Batch* batch,
    real* grad,
    Parameters* w,
    Optimizer opt,
    Thread me,
) noexcept nogil:
    """Gradient and step of b_j, this thread's units, and b_j packed again."""
    cdef Py_ssize_t q = layer.q, first = part_start(me, q, ROW_CHUNK)
    cdef Py_ssize_t count = part_stop(me, q, ROW_CHUNK) - first
    if layer.b == NULL:
        return
    if opt.max_norm == 0:
        layer_bias_gradient(batch.n, layer, me, False, grad)
    update_part(
        w, opt, batch, layer.group + 1, grad + (layer.b - layer.W) + first,
        (layer.b - w.theta) + first, count,
    )
    pack_layer_bias(layer, me)


cdef inline void update_layer(
    Network* net,
    const Batch* batch,
    Py_ssize_t j,
    Parameters* w,
    Optimizer opt,
    Thread me,
) noexcept nogil:
    """Gradient and step of a layer that is not dense."""
    cdef Layer* layer = &net.layers[j]
    cdef Py_ssize_t g, u, at, count
    cdef double* penalties = net.penalties + layer.first_penalty
    if opt.max_norm == 0:
        # Threads take units of the gradient, and blocks of the step.
        layer_gradient(
            net.layers[j - 1].A, batch.n, layer, me, False, grad_of(net, j, w.grad)
        )
        barrier(me)
    for g in range(layer.group, layer.group + layer.n_groups):
        count = group_blocks(w.groups[g].stop - w.groups[g].start)
        for u in range(part_start(me, count, 1), part_stop(me, count, 1)):
            at = w.groups[g].start + u * WEIGHT_BLOCK
            penalties[u] = update_part(
                w, opt, batch, g, w.grad + at, at,
                min(<Py_ssize_t> WEIGHT_BLOCK, w.groups[g].stop - at),
            )
        penalties = penalties + count


cdef inline void update_embeddings(
    Network* net,
    const Rows* rows,
    const Batch* batch,
    Parameters* w,
    Optimizer opt,
    Thread me,
) noexcept nogil:
    """Gradient (E3) (E4) and step of this thread's numbers and codes."""
    cdef Py_ssize_t group, at, stop, D = net.embeddings.dimension
    cdef Py_ssize_t first = part_start(me, net.embeddings.n_numbers, 1)
    cdef Py_ssize_t last = part_stop(me, net.embeddings.n_numbers, 1)
    if opt.max_norm == 0:
        embedding_gradients(net, rows, batch, me, False, w.grad)
    # Numbers of a group that stand together are stepped together.
    for group in range(CURVE, MISSING + 1):
        at, stop = first, last
        if group == CURVE:
            at, stop = net.embeddings.bin_at[first], net.embeddings.bin_at[last]
        at = w.groups[group].start + at * D
        stop = w.groups[group].start + stop * D
        update_part(w, opt, batch, group, w.grad + at, at, stop - at)
    draw_curves(&net.embeddings, first, last)
    first = part_start(me, net.embeddings.n_codes, 1)
    last = part_stop(me, net.embeddings.n_codes, 1)
    D = net.embeddings.code_dimension
    at = w.groups[TABLE].start + net.embeddings.row_at[first] * D
    stop = w.groups[TABLE].start + net.embeddings.row_at[last] * D
    update_part(w, opt, batch, TABLE, w.grad + at, at, stop - at)


cdef inline double update_part(
    Parameters* w,
    Optimizer opt,
    const Batch* batch,
    Py_ssize_t group,
    real* grad,
    Py_ssize_t first,
    Py_ssize_t n,
) noexcept nogil:
    """The step of n parameters of a group by their grad; ||w||^2 / 2 before it.  (R1)

    The sum is 0 where nothing is penalised.
    """
    cdef GroupScale scale
    cdef double value = 0
    cdef Py_ssize_t i
    if n <= 0:
        return 0
    if batch.step.clip < 1:  # (C1)
        for i in range(n):
            grad[i] *= <real> batch.step.clip
    scale.learning_rate = batch.step.learning_rate * w.groups[group].rate
    scale.kept = (
        1 - batch.step.decay * w.groups[group].rate * w.groups[group].decay
    )
    scale.l2 = batch.step.l2 if w.groups[group].penalised else 0
    if scale.l2 != 0:
        value = half_square(w.theta + first, n)
    step(
        opt, &scale,
        Slice(w.theta + first, grad, w.first + first, w.second + first, n),
    )
    return value


cdef inline double clip_factor(double max_norm, const Parameters* w) noexcept nogil:
    """min(1, max_norm / ||grad||).  (C1)"""
    cdef double norm = sqrt(2 * half_square(w.grad, w.n))
    return max_norm / norm if norm > max_norm else 1
