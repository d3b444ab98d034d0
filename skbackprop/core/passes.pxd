"""The passes over the layers of a network: the equations, in their order.

Layers are numbered as in docs/derivations.md: layer j = 1..J has W_j, b_j, Z_j, A_j
and delta_j; A_0 is the batch of X. The table of all rows is seven arrays, of which the
unused ones are empty: X (dense) or data, indices, indptr (CSR); Y or labels;
sample_weight. A thread of a team has rows of the batch on the way forward and back, and
then units of every layer: no sum is split between two of them.
"""

from libc.limits cimport INT_MAX

from .activations cimport activate, needs_z, times_derivative
from .dropout cimport Mask, drop
from .embeddings cimport (
    CURVE,
    MISSING,
    TABLE,
    code_gradient,
    curve_at,
    draw_curves,
    embed,
    number_gradient,
)
from .gather cimport (
    gather_embedded,
    gather_inputs,
    gather_labels,
    gather_rows,
    gather_weights,
)
from .losses cimport Loss, label_loss, smoothing, weighted_loss
from .matrix cimport GROUP, panels, stride, width
from .optimizers cimport Optimizer, step
from .places cimport (
    CURVES_,
    EDGES_,
    EMBEDDED_,
    ROWS_,
    W_,
    Y_,
    A_of,
    W_of,
    Z_of,
    b_of,
    dW_of,
    db_of,
    delta_of,
    packed_of,
    transposed_of,
)
from .products cimport (
    affine,
    affine_output,
    back,
    bias_gradient,
    from_rows,
    half_square,
    pack_bias,
    pack_weights,
    sparse_affine,
    sparse_weight_gradient,
    to_rows,
    weight_gradient,
)
from .real cimport real
from .regimen cimport Regimen
from .simd cimport PANELS
from .team cimport Team, begin, end, meet
from .topology cimport Topology

cdef enum:
    # Rows that go through all layers together: what lies between stays in cache.
    BLOCK = 64
    # As many where the parameters are so many that to read them again costs more.
    BIG_BLOCK = 256
    BIG = 1 << 21
    # Rows of W whose gradient is computed at a time, and then used while in cache.
    TALL = 128
    # The fewest weights whose squares are summed together: that sum has one owner.
    UNIT = 512


cdef struct Pace:
    # eta_t of this step (O4); eta lambda, without Adam's correction (O5); the factor of
    # a gradient that is too long (C1).
    double rate, decay, cut


cdef inline double kept(
    Optimizer opt, Regimen regimen, Pace pace, Py_ssize_t group
) noexcept nogil:
    """1 - eta lambda, what decay leaves of a group of parameters.  (O5)"""
    return 1 - pace.decay * regimen.rate_factor[group] * regimen.decay_factor[group]


cdef inline void pack_layer(
    Topology t,
    Py_ssize_t j,
    const real[::1] theta,
    Py_ssize_t first,
    Py_ssize_t last,
    real[::1] work,
    const Py_ssize_t[:, ::1] places,
) noexcept nogil:
    """Rows first to last of W_j, and columns of W_j^T, as the products read them."""
    pack_weights(
        W_of(t, theta, j), t.size[j - 1], t.size[j], first, last,
        packed_of(places, j, work), transposed_of(places, j, work),
    )


cdef inline void pack_biases(
    Topology t,
    Py_ssize_t j,
    const real[::1] theta,
    Team team,
    real[::1] work,
    const Py_ssize_t[:, ::1] places,
) noexcept nogil:
    """b_j, this thread's units, as the product reads it."""
    cdef Py_ssize_t q = t.size[j]
    pack_bias(
        b_of(t, theta, j), t.size[j - 1], q, begin(team, q, GROUP), end(team, q, GROUP),
        packed_of(places, j, work),
    )


cdef inline void pack_all(
    Topology t,
    const real[::1] theta,
    Team team,
    real[::1] work,
    const Py_ssize_t[:, ::1] places,
) noexcept nogil:
    """This thread's part of every layer's parameters, as the products read them."""
    cdef Py_ssize_t j, p
    if t.embeddings is not None:
        p = t.embeddings.n_numbers
        draw_curves(
            t.embeddings, &theta[0], begin(team, p, 1), end(team, p, 1),
            &work[places[0, CURVES_]],
        )
    for j in range(1, t.n_layers + 1):
        p = t.size[j - 1]
        pack_layer(
            t, j, theta, begin(team, p, GROUP), end(team, p, GROUP), work, places
        )
        pack_biases(t, j, theta, team, work, places)
        # W_j^T stands behind a row of zeros, for a bias that it has not.
        pack_bias(
            <const real*> NULL, t.size[j], p, begin(team, p, GROUP),
            end(team, p, GROUP), transposed_of(places, j, work),
        )


cdef inline void forward(
    Topology t,
    const real[::1] theta,
    const real[:, ::1] X,
    const real[::1] data,
    const int[::1] indices,
    const long long[::1] indptr,
    const Py_ssize_t[::1] rows,
    Py_ssize_t start,
    Py_ssize_t n,
    Py_ssize_t first,
    Py_ssize_t last,
    Mask mask,
    real[::1] work,
    const Py_ssize_t[:, ::1] places,
) noexcept nogil:
    """Z_j = A_{j-1} W_j + b_j (F1), A_j = f_j(Z_j) (F2), j = 1..J, as far as Z_J."""
    cdef Py_ssize_t j, p, q, J = t.n_layers
    cdef bint sparse = indptr.shape[0] > 0
    cdef real* Z_1
    if t.embeddings is not None:
        embed(
            t.embeddings, &theta[0], &work[places[0, CURVES_]], X, rows, start, first,
            last, &work[places[0, EMBEDDED_]],
        )
        gather_embedded(
            &work[places[0, EMBEDDED_]], n, t.size[0], first, last,
            A_of(places, 0, work),
        )
    elif not sparse:
        gather_inputs(X, rows, start, n, first, last, A_of(places, 0, work))
    for j in range(1, J + 1):
        p, q = t.size[j - 1], t.size[j]
        if j == 1 and sparse:
            # The place of delta_J is that of a Z_J in panels, which becomes rows.
            Z_1 = Z_of(places, 1, work)
            if J == 1:
                Z_1 = delta_of(places, 1, work)
            sparse_affine(
                data, indices, indptr, rows, start, n, p, first, last,
                W_of(t, theta, 1), b_of(t, theta, 1), q, Z_1,
            )
            if J == 1:
                to_rows(Z_1, n, q, first, last, Z_of(places, 1, work))
        elif j == J:
            affine_output(
                A_of(places, J - 1, work), n, p, first, last,
                W_of(t, theta, J), b_of(t, theta, J), packed_of(places, J, work),
                transposed_of(places, J, work), q, delta_of(places, J, work),
                Z_of(places, J, work),
            )
        else:
            affine(
                A_of(places, j - 1, work), n, p, first, last,
                W_of(t, theta, j), b_of(t, theta, j), packed_of(places, j, work),
                q, Z_of(places, j, work),
            )
        if j < J:
            activate_rows(
                t.activation[j - 1], j, n, q, first, last, mask,
                Z_of(places, j, work), A_of(places, j, work),
            )


cdef inline void activate_rows(
    int kind,
    Py_ssize_t j,
    Py_ssize_t n,
    Py_ssize_t q,
    Py_ssize_t first,
    Py_ssize_t last,
    Mask mask,
    real* Z,
    real* A,
) noexcept nogil:
    """A_j = f_j(Z_j), rows first to last, panel by panel.  (F2)

    With dropout A_j is what is kept of it (D1), and where f' is written in A, the
    place of Z_j has the whole f_j(Z_j).
    """
    cdef Py_ssize_t k, at
    cdef real* whole = A if mask.threshold == 0 or needs_z(kind) else Z
    for k in range(panels(q)):
        at = k * stride(n, q) + first * width(q)
        activate(kind, Z + at, whole + at, (last - first) * width(q))
    if mask.threshold > 0:
        drop_rows(mask, j, n, q, first, last, whole, A)


cdef inline void drop_rows(
    Mask mask,
    Py_ssize_t j,
    Py_ssize_t n,
    Py_ssize_t q,
    Py_ssize_t first,
    Py_ssize_t last,
    const real* A,
    real* out,
) noexcept nogil:
    """out = A m / (1 - p), rows first to last.  (D1) (D2)"""
    cdef Py_ssize_t i, k, at
    for k in range(panels(q)):
        for i in range(first, last):
            at = k * stride(n, q) + i * width(q)
            drop(
                mask, j, i, k * width(q), A + at, out + at,
                min(width(q), q - k * width(q)),
            )


cdef inline void output_loss(
    Topology t,
    const real[:, ::1] Y,
    const int[::1] labels,
    const real[::1] sample_weight,
    const Py_ssize_t[::1] rows,
    Py_ssize_t start,
    Py_ssize_t n,
    Py_ssize_t first,
    Py_ssize_t last,
    double scale,
    real[::1] work,
    int[::1] label_work,
    double[::1] sums,
    const Py_ssize_t[:, ::1] places,
) noexcept nogil:
    """sums[g] = sum_i w_i l_i of the g-th GROUP of rows; delta_J.  (L0) (L5) (B1)"""
    cdef Py_ssize_t J = t.n_layers, q = t.size[J], i, m
    cdef int output = t.activation[J - 1]
    cdef real* Z_J = Z_of(places, J, work)
    cdef real* A_J = A_of(places, J, work)
    cdef real* Y_batch = &work[places[J + 1, Y_]]
    cdef real* w_batch = &work[places[J + 1, W_]]
    cdef real* delta_J = &work[places[J + 1, ROWS_]]
    cdef real* values = Z_J
    cdef real* w = NULL
    cdef const double* parameters = NULL
    if t.parameters.shape[0] > 0:
        parameters = &t.parameters[0]
    if sample_weight.shape[0] > 0:
        gather_weights(sample_weight, rows, start, first, last, w_batch)
    if t.loss == Loss.CATEGORICAL_CROSS_ENTROPY:
        gather_labels(labels, rows, start, first, last, &label_work[0])
    else:
        gather_rows(Y, rows, start, first, last, Y_batch)
    if not t.from_z:
        activate(output, Z_J + first * q, A_J + first * q, (last - first) * q)
        values = A_J
    i = first
    while i < last:
        m = min(GROUP, last - i)
        if sample_weight.shape[0] > 0:
            w = w_batch + i
        if t.loss == Loss.CATEGORICAL_CROSS_ENTROPY:
            sums[i // GROUP] = label_loss(
                Z_J + i * q, &label_work[i], w, m, q, scale, delta_J + i * q
            )
            if parameters != NULL and parameters[0] > 0:
                sums[i // GROUP] += smoothing(
                    parameters[0], Z_J + i * q, &label_work[i], w, m, q, scale,
                    delta_J + i * q,
                )
        else:
            sums[i // GROUP] = weighted_loss(
                t.loss, parameters, t.parameters.shape[0], t.from_z, values + i * q,
                Y_batch + i * q, w, m, q, scale, delta_J + i * q,
            )
        i += m
    if not t.from_z:
        times_derivative(
            output, Z_J + first * q, A_J + first * q, delta_J + first * q,
            (last - first) * q,
        )
    from_rows(delta_J, n, q, first, last, delta_of(places, J, work))


cdef inline void backward(
    Topology t,
    const real[::1] theta,
    Py_ssize_t n,
    Py_ssize_t first,
    Py_ssize_t last,
    Mask mask,
    real[::1] work,
    const Py_ssize_t[:, ::1] places,
) noexcept nogil:
    """delta_j = (delta_{j+1} W_{j+1}^T) * f_j'(Z_j), j = J - 1..1.  (B2) (D2)

    With embeddings also dL/dA_0 = delta_1 W_1^T, row-major.  (B5)
    """
    cdef Py_ssize_t j, k, at, p, q
    cdef real* Z_j
    cdef real* A_j
    cdef real* delta_j
    for j in range(t.n_layers - 1, 0, -1):
        p, q = t.size[j], t.size[j + 1]
        Z_j, A_j = Z_of(places, j, work), A_of(places, j, work)
        delta_j = delta_of(places, j, work)
        back(
            delta_of(places, j + 1, work), n, q, first, last,
            W_of(t, theta, j + 1), transposed_of(places, j + 1, work), p, delta_j,
        )
        if mask.threshold > 0:
            drop_rows(mask, j, n, p, first, last, delta_j, delta_j)
            A_j = Z_j  # where the whole f_j(Z_j) is, if f' is written in it
        for k in range(panels(p)):
            at = k * stride(n, p) + first * width(p)
            times_derivative(
                t.activation[j - 1], Z_j + at, A_j + at, delta_j + at,
                (last - first) * width(p),
            )
    if t.embeddings is not None:
        back(
            delta_of(places, 1, work), n, t.size[1], first, last, W_of(t, theta, 1),
            transposed_of(places, 1, work), t.size[0], delta_of(places, 0, work),
        )
        to_rows(
            delta_of(places, 0, work), n, t.size[0], first, last,
            &work[places[0, EMBEDDED_]],
        )


cdef inline Py_ssize_t block_rows(Topology t) noexcept nogil:
    """Rows that go through all layers together."""
    if not PANELS:
        return INT_MAX  # BLAS has blocks of its own
    return BIG_BLOCK if t.n_parameters > BIG else BLOCK


cdef inline void there_and_back(
    Topology t,
    const real[::1] theta,
    const real[:, ::1] X,
    const real[::1] data,
    const int[::1] indices,
    const long long[::1] indptr,
    const real[:, ::1] Y,
    const int[::1] labels,
    const real[::1] sample_weight,
    const Py_ssize_t[::1] rows,
    Py_ssize_t start,
    Py_ssize_t n,
    double scale,
    bint backwards,
    Mask mask,
    Team team,
    real[::1] work,
    int[::1] label_work,
    double[::1] sums,
    const Py_ssize_t[:, ::1] places,
) noexcept nogil:
    """This thread's rows forward to the loss and back to delta_1, block by block."""
    cdef Py_ssize_t first = begin(team, n, GROUP), stop = end(team, n, GROUP), last
    while first < stop:
        last = min(first + block_rows(t), stop)
        forward(
            t, theta, X, data, indices, indptr, rows, start, n, first, last, mask,
            work, places,
        )
        output_loss(
            t, Y, labels, sample_weight, rows, start, n, first, last, scale, work,
            label_work, sums, places,
        )
        if backwards:
            backward(t, theta, n, first, last, mask, work, places)
        first = last


cdef inline void input_layer_gradient(
    Topology t,
    const real[::1] data,
    const int[::1] indices,
    const long long[::1] indptr,
    const Py_ssize_t[::1] rows,
    Py_ssize_t start,
    Py_ssize_t n,
    Team team,
    bint add,
    real[::1] grad,
    real[::1] work,
    const Py_ssize_t[:, ::1] places,
) noexcept nogil:
    """dL/dW_1 = X^T delta_1 of a sparse X, this thread's columns.  (B3)"""
    sparse_weight_gradient(
        data, indices, indptr, rows, start, n, t.size[0], delta_of(places, 1, work),
        t.size[1], begin(team, t.size[1], GROUP), end(team, t.size[1], GROUP), add,
        dW_of(t, grad, 1),
    )


cdef inline void bias_gradients(
    Topology t,
    Py_ssize_t j,
    Py_ssize_t n,
    Team team,
    bint add,
    real[::1] grad,
    real[::1] work,
    const Py_ssize_t[:, ::1] places,
) noexcept nogil:
    """dL/db_j = sum over rows of delta_j, this thread's units.  (B4)"""
    cdef Py_ssize_t q = t.size[j]
    bias_gradient(
        delta_of(places, j, work), n, q, begin(team, q, GROUP), end(team, q, GROUP),
        add, db_of(t, grad, j),
    )


cdef inline void gradients(
    Topology t,
    const real[:, ::1] X,
    const real[::1] data,
    const int[::1] indices,
    const long long[::1] indptr,
    const Py_ssize_t[::1] rows,
    Py_ssize_t start,
    Py_ssize_t n,
    Team team,
    bint add,
    real[::1] grad,
    real[::1] work,
    const Py_ssize_t[:, ::1] places,
) noexcept nogil:
    """dL/dW_j (B3) and dL/db_j (B4), or added to grad, this thread's part of each."""
    cdef Py_ssize_t j, p
    for j in range(t.n_layers, 0, -1):
        p = t.size[j - 1]
        if j == 1 and indptr.shape[0] > 0:
            input_layer_gradient(
                t, data, indices, indptr, rows, start, n, team, add, grad, work,
                places,
            )
        else:
            weight_gradient(
                A_of(places, j - 1, work), n, p,
                begin(team, p, GROUP), end(team, p, GROUP),
                delta_of(places, j, work), t.size[j], add,
                dW_of(t, grad, j) + begin(team, p, GROUP) * t.size[j],
            )
        if t.biased[j - 1]:
            bias_gradients(t, j, n, team, add, grad, work, places)
    if t.embeddings is not None:
        for j in range(
            begin(team, t.embeddings.n_numbers, 1), end(team, t.embeddings.n_numbers, 1)
        ):
            number_gradient(
                t.embeddings, j, X, rows, start, n, &work[places[0, EMBEDDED_]],
                &work[places[0, EDGES_] + curve_at(t.embeddings, j)], add, &grad[0],
            )
        for j in range(
            begin(team, t.embeddings.n_codes, 1), end(team, t.embeddings.n_codes, 1)
        ):
            code_gradient(
                t.embeddings, j, X, rows, start, n, &work[places[0, EMBEDDED_]], add,
                &grad[0],
            )


cdef inline Py_ssize_t unit_rows(Py_ssize_t q) noexcept nogil:
    """Rows of a (p, q) weight matrix that one thread owns, sums and all."""
    return ((UNIT + q - 1) // q + GROUP - 1) // GROUP * GROUP


cdef inline Py_ssize_t n_units(Topology t) noexcept nogil:
    cdef Py_ssize_t j, total = 0
    for j in range(1, t.n_layers + 1):
        total += (t.size[j - 1] + unit_rows(t.size[j]) - 1) // unit_rows(t.size[j])
    return total


cdef inline void learn(
    Topology t,
    Optimizer opt,
    Regimen regimen,
    Pace pace,
    double c,
    real[::1] theta,
    real[:, ::1] memory,
    const real[:, ::1] X,
    const real[::1] data,
    const int[::1] indices,
    const long long[::1] indptr,
    const Py_ssize_t[::1] rows,
    Py_ssize_t start,
    Py_ssize_t n,
    Team team,
    real[::1] grad,
    real[::1] work,
    double[::1] sums,
    const Py_ssize_t[:, ::1] places,
) noexcept nogil:
    """Gradient (B3) (B4) and step (O1) to (O5) of this thread's part of each layer.

    sums[u] = ||W||^2 / 2 of the u-th unit of weights, before its step.  (R1)
    A block's gradient takes the place of the first's in grad, since it is used at
    once: that place stays in cache. A gradient whose norm is limited (C1) is complete
    before the first step, and is there already.
    """
    cdef Py_ssize_t j, p, q, unit, begun, first, last, at, stop_at, here, stop, u = 0
    cdef double eta, keep
    cdef bint sparse, complete = regimen.max_norm > 0
    for j in range(1, t.n_layers + 1):
        p, q, unit = t.size[j - 1], t.size[j], unit_rows(t.size[j])
        eta = pace.rate * regimen.rate_factor[2 * j - 2]
        keep = kept(opt, regimen, pace, 2 * j - 2)
        sparse = j == 1 and indptr.shape[0] > 0
        if sparse and not complete:
            # Threads take columns of the gradient, and rows of the step.
            input_layer_gradient(
                t, data, indices, indptr, rows, start, n, team, False, grad, work,
                places,
            )
            meet(team)
        begun, stop = begin(team, p, unit), end(team, p, unit)
        first = begun
        while first < stop:
            last = min(first + max(unit, TALL // unit * unit), stop)
            here = t.weights_at[j - 1] + (first if sparse or complete else begun) * q
            if not sparse and not complete:
                weight_gradient(
                    A_of(places, j - 1, work), n, p, first, last,
                    delta_of(places, j, work), q, False, &grad[here],
                )
            while first < last:
                at = t.weights_at[j - 1] + first * q
                stop_at = at + min(unit, last - first) * q
                sums[u + first // unit] = step_of(
                    opt, eta, pace.cut, c, keep, theta, &grad[here], memory, at, stop_at
                )
                here += stop_at - at
                pack_layer(t, j, theta, first, min(first + unit, last), work, places)
                first += unit
        u += (p + unit - 1) // unit
        if t.biased[j - 1]:
            if not complete:
                bias_gradients(t, j, n, team, False, grad, work, places)
            at = t.biases_at[j - 1] + begin(team, q, GROUP)
            stop = t.biases_at[j - 1] + end(team, q, GROUP)
            if at < stop:
                step_of(
                    opt, pace.rate * regimen.rate_factor[2 * j - 1], pace.cut, 0,
                    kept(opt, regimen, pace, 2 * j - 1), theta, &grad[at], memory, at,
                    stop,
                )
            pack_biases(t, j, theta, team, work, places)
    if t.embeddings is not None:
        learn_embeddings(
            t, opt, regimen, pace, theta, memory, X, rows, start, n, team, grad, work,
            places,
        )


cdef inline void learn_embeddings(
    Topology t,
    Optimizer opt,
    Regimen regimen,
    Pace pace,
    real[::1] theta,
    real[:, ::1] memory,
    const real[:, ::1] X,
    const Py_ssize_t[::1] rows,
    Py_ssize_t start,
    Py_ssize_t n,
    Team team,
    real[::1] grad,
    real[::1] work,
    const Py_ssize_t[:, ::1] places,
) noexcept nogil:
    """Gradient (E3) (E4) and step of this thread's numbers and codes."""
    cdef Py_ssize_t f, group, at, stop, D = t.embeddings.dimension
    cdef Py_ssize_t first = begin(team, t.embeddings.n_numbers, 1)
    cdef Py_ssize_t last = end(team, t.embeddings.n_numbers, 1)
    for f in range(first, last):
        if regimen.max_norm == 0:
            number_gradient(
                t.embeddings, f, X, rows, start, n, &work[places[0, EMBEDDED_]],
                &work[places[0, EDGES_] + curve_at(t.embeddings, f)], False, &grad[0],
            )
    # Numbers of a group that stand together are stepped together.
    for group in range(CURVE, MISSING + 1):
        at = t.embeddings.group_at[group]
        if group == CURVE:
            stop = at + t.embeddings.bin_at[last] * D
            at += t.embeddings.bin_at[first] * D
        else:
            stop = at + last * D
            at += first * D
        if at < stop:
            step_of(
                opt, pace.rate * regimen.rate_factor[2 * t.n_layers + group], pace.cut,
                0, kept(opt, regimen, pace, 2 * t.n_layers + group), theta, &grad[at],
                memory, at, stop,
            )
    draw_curves(t.embeddings, &theta[0], first, last, &work[places[0, CURVES_]])
    first = begin(team, t.embeddings.n_codes, 1)
    last = end(team, t.embeddings.n_codes, 1)
    for f in range(first, last):
        if regimen.max_norm == 0:
            code_gradient(
                t.embeddings, f, X, rows, start, n, &work[places[0, EMBEDDED_]], False,
                &grad[0],
            )
    at = t.embeddings.group_at[TABLE]
    stop = at + t.embeddings.row_at_[last] * t.embeddings.code_dimension
    at += t.embeddings.row_at_[first] * t.embeddings.code_dimension
    if at < stop:
        step_of(
            opt, pace.rate * regimen.rate_factor[2 * t.n_layers + TABLE], pace.cut, 0,
            kept(opt, regimen, pace, 2 * t.n_layers + TABLE), theta, &grad[at], memory,
            at, stop,
        )


cdef inline double step_of(
    Optimizer opt,
    double eta,
    double cut,
    double c,
    double keep,
    real[::1] theta,
    real* grad,
    real[:, ::1] memory,
    Py_ssize_t first,
    Py_ssize_t last,
) noexcept nogil:
    """The step of parameters first to last by their grad; the sum of (R1) before it."""
    cdef double value = 0
    cdef Py_ssize_t i
    if cut < 1:  # (C1)
        for i in range(last - first):
            grad[i] *= <real> cut
    if c != 0:
        value = half_square(&theta[first], last - first)
    step(
        opt, eta, c, keep, &theta[first], grad, &memory[0, first],
        &memory[memory.shape[0] - 1, first], last - first,
    )
    return value


cdef inline Py_ssize_t n_groups(Py_ssize_t n) noexcept nogil:
    return (n + GROUP - 1) // GROUP


cdef inline double sum_all(const double[::1] sums) noexcept nogil:
    """The sum in one order, whoever computed the parts."""
    cdef Py_ssize_t k
    cdef double value = 0
    for k in range(sums.shape[0]):
        value += sums[k]
    return value
