"""Forward, backward and a run of mini-batches: the only code that knows layers.

Layers are numbered as in docs/derivations.md: layer j = 1..J has W_j, b_j, Z_j, A_j
and delta_j; A_0 is the batch of X. They live in one flat workspace, in the layout of
matrix.pxd; ``arrange`` says where. A_j takes the place of Z_j unless f_j' is written
in Z, and A_0 is left out where X is sparse.

The table of all rows is seven arrays, of which the unused ones are empty:
X (dense) or data, indices, indptr (CSR); Y or labels; sample_weight.
Nothing below a ``def`` allocates, raises or holds the GIL.
"""

from libc.limits cimport INT_MAX
from libc.math cimport isfinite
from libc.stdint cimport uintptr_t

from .activations cimport Activation, activate, needs_z, softmax, times_derivative
from .gather cimport (
    gather_inputs,
    gather_labels,
    gather_rows,
    gather_weights,
    row_at,
)
from .losses cimport Loss, label_loss, weighted_loss
from .matrix cimport GROUP, elements, panels, stride, width
from .optimizers cimport Optimizer, kept, rate, slots, step
from .products cimport (
    affine,
    affine_output,
    affine_rows,
    back,
    bias_gradient,
    from_rows,
    half_square,
    narrow,
    pack_bias,
    pack_weights,
    packed_elements,
    sparse_affine,
    sparse_weight_gradient,
    to_rows,
    weight_gradient,
)
from .real cimport (
    exponential,
    hyperbolic_tangent,
    log_of_one_plus,
    logistic,
    real,
)
from .simd cimport PANELS
from .subnormals cimport flush, restore
from .team cimport BARRIER, Team, begin, end, meet
from .topology cimport Topology


# Where things are ------------------------------------------------------------

cdef enum:
    # Columns of ``places``, whose row j is layer j.
    Z_, A_, DELTA_, PACKED_, TRANSPOSED_, N_PLACES
    # In its row J + 1 the batch's Y and w, and delta_J row-major.
    Y_ = 0
    W_ = 1
    ROWS_ = 2
    # Rows for which packing W would cost more than it saves.
    FEW = 8
    # Rows that go through all layers together: what lies between stays in cache.
    BLOCK = 64
    # As many where the parameters are so many that to read them again costs more.
    BIG_BLOCK = 256
    BIG = 1 << 21
    # Rows of W whose gradient is computed at a time, and then used while in cache.
    TALL = 128
    # The fewest weights whose squares are summed together: that sum has one owner.
    UNIT = 512


cdef inline Py_ssize_t up(Py_ssize_t n) noexcept nogil:
    """n, or the next multiple of 16: every matrix begins where a vector may."""
    return (n + 15) // 16 * 16


cdef Py_ssize_t arrange(
    Topology t,
    real* tag,
    Py_ssize_t n,
    bint sparse,
    bint backward,
    bint input_gradient,
    Py_ssize_t at,
    Py_ssize_t[:, ::1] places,
) noexcept nogil:
    """Fill ``places``, an empty place being one that begins where the next does.

    Returns where everything ends. ``at`` is where the first may begin.
    """
    cdef Py_ssize_t j, p, q, J = t.n_layers
    cdef bint output, dense
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
        places[j, A_] = at if needs_z(t.activation[j - 1]) else places[j, Z_]
        if needs_z(t.activation[j - 1]):
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


cdef inline real* Z(
    const Py_ssize_t[:, ::1] places, Py_ssize_t j, real[::1] work
) noexcept nogil:
    return &work[places[j, Z_]]


cdef inline real* A(
    const Py_ssize_t[:, ::1] places, Py_ssize_t j, real[::1] work
) noexcept nogil:
    return &work[places[j, A_]]


cdef inline real* delta(
    const Py_ssize_t[:, ::1] places, Py_ssize_t j, real[::1] work
) noexcept nogil:
    return &work[places[j, DELTA_]]


cdef inline real* packed(
    const Py_ssize_t[:, ::1] places, Py_ssize_t j, real[::1] work
) noexcept nogil:
    """W_j as the products read it; NULL where they read it from theta."""
    if places[j, PACKED_] == places[j, TRANSPOSED_]:
        return NULL
    return &work[places[j, PACKED_]]


cdef inline real* transposed(
    const Py_ssize_t[:, ::1] places, Py_ssize_t j, real[::1] work
) noexcept nogil:
    """W_j^T as the products read it; NULL where they read theta, or need it not."""
    if places[j, TRANSPOSED_] == places[j, Z_]:
        return NULL
    return &work[places[j, TRANSPOSED_]]


cdef inline const real* W(
    Topology t, const real[::1] theta, Py_ssize_t j
) noexcept nogil:
    return &theta[t.weights_at[j - 1]]


cdef inline const real* b(
    Topology t, const real[::1] theta, Py_ssize_t j
) noexcept nogil:
    return &theta[t.biases_at[j - 1]] if t.biased[j - 1] else NULL


cdef inline real* dW(Topology t, real[::1] grad, Py_ssize_t j) noexcept nogil:
    return &grad[t.weights_at[j - 1]]


cdef inline real* db(Topology t, real[::1] grad, Py_ssize_t j) noexcept nogil:
    return &grad[t.biases_at[j - 1]]


# The equations ---------------------------------------------------------------


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
        W(t, theta, j), t.size[j - 1], t.size[j], first, last, packed(places, j, work),
        transposed(places, j, work),
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
        b(t, theta, j), t.size[j - 1], q, begin(team, q, GROUP), end(team, q, GROUP),
        packed(places, j, work),
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
    for j in range(1, t.n_layers + 1):
        p = t.size[j - 1]
        pack_layer(
            t, j, theta, begin(team, p, GROUP), end(team, p, GROUP), work, places
        )
        pack_biases(t, j, theta, team, work, places)
        # W_j^T stands behind a row of zeros, for a bias that it has not.
        pack_bias(
            <const real*> NULL, t.size[j], p, begin(team, p, GROUP),
            end(team, p, GROUP), transposed(places, j, work),
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
    real[::1] work,
    const Py_ssize_t[:, ::1] places,
) noexcept nogil:
    """Z_j = A_{j-1} W_j + b_j (F1), A_j = f_j(Z_j) (F2), j = 1..J, as far as Z_J."""
    cdef Py_ssize_t j, p, q, J = t.n_layers
    cdef bint sparse = indptr.shape[0] > 0
    cdef real* Z_1
    if not sparse:
        gather_inputs(X, rows, start, n, first, last, A(places, 0, work))
    for j in range(1, J + 1):
        p, q = t.size[j - 1], t.size[j]
        if j == 1 and sparse:
            # The place of delta_J is that of a Z_J in panels, which becomes rows.
            Z_1 = Z(places, 1, work)
            if J == 1:
                Z_1 = delta(places, 1, work)
            sparse_affine(
                data, indices, indptr, rows, start, n, p, first, last,
                W(t, theta, 1), b(t, theta, 1), q, Z_1,
            )
            if J == 1:
                to_rows(Z_1, n, q, first, last, Z(places, 1, work))
        elif j == J:
            affine_output(
                A(places, J - 1, work), n, p, first, last,
                W(t, theta, J), b(t, theta, J), packed(places, J, work),
                transposed(places, J, work), q, delta(places, J, work),
                Z(places, J, work),
            )
        else:
            affine(
                A(places, j - 1, work), n, p, first, last,
                W(t, theta, j), b(t, theta, j), packed(places, j, work),
                q, Z(places, j, work),
            )
        if j < J:
            activate_rows(
                t.activation[j - 1], n, q, first, last,
                Z(places, j, work), A(places, j, work),
            )


cdef inline void activate_rows(
    int kind,
    Py_ssize_t n,
    Py_ssize_t q,
    Py_ssize_t first,
    Py_ssize_t last,
    const real* Z,
    real* A,
) noexcept nogil:
    """A_j = f_j(Z_j), rows first to last, panel by panel.  (F2)"""
    cdef Py_ssize_t k, at
    for k in range(panels(q)):
        at = k * stride(n, q) + first * width(q)
        activate(kind, Z + at, A + at, (last - first) * width(q))


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
    """sums[g] = sum_i w_i l_i of the g-th GROUP of rows, and delta_J.  (L0) (L5) (B1)"""
    cdef Py_ssize_t J = t.n_layers, q = t.size[J], i, m
    cdef int output = t.activation[J - 1]
    cdef real* Z_J = Z(places, J, work)
    cdef real* A_J = A(places, J, work)
    cdef real* Y_batch = &work[places[J + 1, Y_]]
    cdef real* w_batch = &work[places[J + 1, W_]]
    cdef real* delta_J = &work[places[J + 1, ROWS_]]
    cdef real* values = Z_J
    cdef real* w = NULL
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
        else:
            sums[i // GROUP] = weighted_loss(
                t.loss, t.from_z, values + i * q, Y_batch + i * q, w, m, q, scale,
                delta_J + i * q,
            )
        i += m
    if not t.from_z:
        times_derivative(
            output, Z_J + first * q, A_J + first * q, delta_J + first * q,
            (last - first) * q,
        )
    from_rows(delta_J, n, q, first, last, delta(places, J, work))


cdef inline void backward(
    Topology t,
    const real[::1] theta,
    Py_ssize_t n,
    Py_ssize_t first,
    Py_ssize_t last,
    real[::1] work,
    const Py_ssize_t[:, ::1] places,
) noexcept nogil:
    """delta_j = (delta_{j+1} W_{j+1}^T) * f_j'(Z_j), j = J - 1..1.  (B2)"""
    cdef Py_ssize_t j, k, at, p, q
    cdef real* Z_j
    cdef real* A_j
    cdef real* delta_j
    for j in range(t.n_layers - 1, 0, -1):
        p, q = t.size[j], t.size[j + 1]
        Z_j, A_j = Z(places, j, work), A(places, j, work)
        delta_j = delta(places, j, work)
        back(
            delta(places, j + 1, work), n, q, first, last,
            W(t, theta, j + 1), transposed(places, j + 1, work), p, delta_j,
        )
        for k in range(panels(p)):
            at = k * stride(n, p) + first * width(p)
            times_derivative(
                t.activation[j - 1], Z_j + at, A_j + at, delta_j + at,
                (last - first) * width(p),
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
    bint back,
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
            t, theta, X, data, indices, indptr, rows, start, n, first, last, work,
            places,
        )
        output_loss(
            t, Y, labels, sample_weight, rows, start, n, first, last, scale, work,
            label_work, sums, places,
        )
        if back:
            backward(t, theta, n, first, last, work, places)
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
        data, indices, indptr, rows, start, n, t.size[0], delta(places, 1, work),
        t.size[1], begin(team, t.size[1], GROUP), end(team, t.size[1], GROUP), add,
        dW(t, grad, 1),
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
        delta(places, j, work), n, q, begin(team, q, GROUP), end(team, q, GROUP), add,
        db(t, grad, j),
    )


cdef inline void gradients(
    Topology t,
    const real[::1] data,
    const int[::1] indices,
    const long long[::1] indptr,
    const Py_ssize_t[::1] rows,
    Py_ssize_t start,
    Py_ssize_t n,
    Team team,
    real[::1] grad,
    real[::1] work,
    const Py_ssize_t[:, ::1] places,
) noexcept nogil:
    """Adds dL/dW_j (B3) and dL/db_j (B4) to grad, this thread's part of each."""
    cdef Py_ssize_t j, p
    for j in range(t.n_layers, 0, -1):
        p = t.size[j - 1]
        if j == 1 and indptr.shape[0] > 0:
            input_layer_gradient(
                t, data, indices, indptr, rows, start, n, team, True, grad, work,
                places,
            )
        else:
            weight_gradient(
                A(places, j - 1, work), n, p, begin(team, p, GROUP), end(team, p, GROUP),
                delta(places, j, work), t.size[j], True, dW(t, grad, j),
            )
        if t.biased[j - 1]:
            bias_gradients(t, j, n, team, True, grad, work, places)


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
    long long steps,
    double c,
    real[::1] theta,
    real[:, ::1] memory,
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
    once: that place stays in cache.
    """
    cdef Py_ssize_t j, p, q, unit, begun, first, last, at, here, stop, u = 0
    cdef double eta = rate(opt, steps), keep = kept(opt)
    cdef bint sparse
    for j in range(1, t.n_layers + 1):
        p, q, unit = t.size[j - 1], t.size[j], unit_rows(t.size[j])
        sparse = j == 1 and indptr.shape[0] > 0
        if sparse:  # threads take columns of the gradient, and rows of the step
            input_layer_gradient(
                t, data, indices, indptr, rows, start, n, team, False, grad, work,
                places,
            )
            meet(team)
        begun, stop = begin(team, p, unit), end(team, p, unit)
        first = begun
        while first < stop:
            last = min(first + max(unit, TALL // unit * unit), stop)
            here = 0
            if not sparse:
                here = (begun - first) * q
                weight_gradient(
                    A(places, j - 1, work), n, p, first, last, delta(places, j, work), q,
                    False, dW(t, grad, j) + here,
                )
            while first < last:
                at = t.weights_at[j - 1] + first * q
                sums[u + first // unit] = step_of(
                    opt, eta, c, keep, theta, &grad[at + here], memory, at,
                    at + min(unit, last - first) * q,
                )
                pack_layer(t, j, theta, first, min(first + unit, last), work, places)
                first += unit
        u += (p + unit - 1) // unit
        if t.biased[j - 1]:
            bias_gradients(t, j, n, team, False, grad, work, places)
            at = t.biases_at[j - 1] + begin(team, q, GROUP)
            step_of(
                opt, eta, 0, 1, theta, &grad[at] if at < t.n_parameters else NULL, memory,
                at, t.biases_at[j - 1] + end(team, q, GROUP),
            )
            pack_biases(t, j, theta, team, work, places)


cdef inline double step_of(
    Optimizer opt,
    double eta,
    double c,
    double keep,
    real[::1] theta,
    const real* grad,
    real[:, ::1] memory,
    Py_ssize_t first,
    Py_ssize_t last,
) noexcept nogil:
    """The step of parameters first to last by their grad; the sum of (R1) before it."""
    cdef double value = 0
    if first == last:
        return 0
    if c != 0:
        value = half_square(&theta[first], last - first)
    step(
        opt, eta, c, keep, &theta[first], grad, &memory[0, first],
        &memory[memory.shape[0] - 1, first], last - first,
    )
    return value


cdef inline Py_ssize_t n_groups(Py_ssize_t n) noexcept nogil:
    return (n + GROUP - 1) // GROUP


cdef inline double total(const double[::1] sums) noexcept nogil:
    """The sum in one order, whoever computed the parts."""
    cdef Py_ssize_t k
    cdef double value = 0
    for k in range(sums.shape[0]):
        value += sums[k]
    return value


# The doors -------------------------------------------------------------------


def scratch_sizes(
    Topology t,
    Py_ssize_t n,
    real[::1] like,
    Py_ssize_t[:, ::1] places,
    bint sparse=False,
    bint backward=True,
    bint input_gradient=False,
):
    """Lengths of work, label_work and sums of calls for n rows; fills ``places``.

    ``like`` is any array of the type of theta. A workspace for n rows serves fewer.
    """
    _check_places(t, places)
    # Up to 15 reals are skipped for the sake of alignment.
    cdef Py_ssize_t size = arrange(
        t, <real*> NULL, n, sparse, backward, input_gradient, 16, places
    )
    return size, n, n_units(t) + n_groups(n)


def places_shape(Topology t):
    """The shape of ``places``, an array of ssize_t."""
    return t.n_layers + 2, <int> N_PLACES


def predict(
    Topology t,
    const real[::1] theta,
    const real[:, ::1] X,
    const real[::1] data,
    const int[::1] indices,
    const long long[::1] indptr,
    const Py_ssize_t[::1] rows,
    Py_ssize_t start,
    Py_ssize_t stop,
    real[::1] out,
    real[::1] work,
    Py_ssize_t[:, ::1] places,
    bint link,
):
    """out = A_J of the rows from start to stop, row-major, or Z_J without the link."""
    cdef Py_ssize_t n = stop - start, J = t.n_layers, q = t.size[J]
    cdef Py_ssize_t first = 0, last
    cdef Team alone = Team(0, 1, NULL)
    cdef real* Z_J
    _check_table(t, theta, X, indptr, rows, start, stop, n)
    _check_places(t, places)
    if out.shape[0] != n * q:
        raise ValueError(f"out must have {n * q} elements")
    if n == 0:
        return
    _arrange(t, n, indptr.shape[0] > 0, False, False, work, places)
    with nogil:
        pack_all(t, theta, alone, work, places)
        while first < n:
            last = min(first + block_rows(t), n)
            forward(
                t, theta, X, data, indices, indptr, rows, start, n, first, last, work,
                places,
            )
            first = last
        Z_J = Z(places, J, work)
        if link and t.activation[J - 1] == Activation.SOFTMAX:
            softmax(Z_J, &out[0], n, q)
        else:
            activate(
                t.activation[J - 1] if link else Activation.IDENTITY,
                Z_J, &out[0], n * q,
            )


def is_finite(const real[:, ::1] X):
    """Whether no element is infinite or not a number."""
    cdef Py_ssize_t i, lane, n = X.shape[0] * X.shape[1]
    cdef const real* x = &X[0, 0] if n > 0 else NULL
    # x 0 is 0 or not a number. Lanes, because one sum cannot be vectorised.
    cdef real[16] lanes
    cdef real total = 0
    with nogil:
        for lane in range(16):
            lanes[lane] = 0
        for i in range(0, n - 15, 16):
            for lane in range(16):
                lanes[lane] += x[i + lane] * 0
        for i in range(n // 16 * 16, n):
            total += x[i] * 0
        for lane in range(16):
            total += lanes[lane]
    return total == 0


def loss_and_grad(
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
    Py_ssize_t stop,
    double denominator,
    real[::1] grad,
    real[::1] dX,
    real[::1] work,
    int[::1] label_work,
    double[::1] sums,
    Py_ssize_t[:, ::1] places,
    int thread=0,
    int[::1] barrier=None,
    int n_threads=1,
):
    """sum_i w_i l_i / denominator over rows start to stop; its gradient added to grad.

    An empty grad asks for the value alone; an empty dX for no dL/dX. Each of
    n_threads threads makes the same call with its number and its own ``places``.
    """
    cdef Py_ssize_t n = stop - start
    cdef Py_ssize_t first, last
    cdef double value
    cdef Team team = _team(thread, n_threads, barrier)
    _check_table(t, theta, X, indptr, rows, start, stop, n)
    _check_targets(t, X, indptr, Y, labels, sample_weight, rows, start, stop)
    _check_places(t, places)
    if grad.shape[0] not in (0, t.n_parameters):
        raise ValueError(f"grad must have length {t.n_parameters}")
    if dX.shape[0] not in (0, n * t.size[0]):
        raise ValueError(f"dX must have {n * t.size[0]} elements")
    if n == 0:
        return 0.0
    _check_scratch(t, n, label_work, sums)
    _arrange(t, n, indptr.shape[0] > 0, True, dX.shape[0] > 0, work, places)
    with nogil:
        pack_all(t, theta, team, work, places)
        meet(team)
        there_and_back(
            t, theta, X, data, indices, indptr, Y, labels, sample_weight, rows, start, n,
            1 / denominator, grad.shape[0] > 0, team, work, label_work, sums, places,
        )
        meet(team)
        value = total(sums[: n_groups(n)]) / denominator
        if grad.shape[0] > 0:
            gradients(
                t, data, indices, indptr, rows, start, n, team, grad, work, places
            )
        if grad.shape[0] > 0 and dX.shape[0] > 0:  # (B5), in the place of A_0
            meet(team)
            first, last = begin(team, n, GROUP), end(team, n, GROUP)
            if first < last:
                back(
                    delta(places, 1, work), n, t.size[1], first, last,
                    W(t, theta, 1), transposed(places, 1, work), t.size[0],
                    A(places, 0, work),
                )
                to_rows(
                    A(places, 0, work), n, t.size[0], first, last, &dX[0]
                )
        meet(team)
    return value


def l2_and_grad(
    Topology t,
    const real[::1] theta,
    double alpha,
    double denominator,
    real[::1] grad,
):
    """alpha/2 sum_j ||W_j||^2 / denominator; grad is set to its gradient.  (R1)"""
    cdef Py_ssize_t j, i, n
    cdef double value = 0, c = alpha / denominator
    if theta.shape[0] != t.n_parameters or grad.shape[0] != t.n_parameters:
        raise ValueError(f"theta and grad must have length {t.n_parameters}")
    with nogil:
        for i in range(t.n_parameters):
            grad[i] = 0
        for j in range(1, t.n_layers + 1 if c != 0 else 1):
            n = t.size[j - 1] * t.size[j]
            value += half_square(W(t, theta, j), n)
            for i in range(t.weights_at[j - 1], t.weights_at[j - 1] + n):
                grad[i] = <real> c * theta[i]
    return c * value


def train_run(
    Topology t,
    Optimizer opt,
    real[::1] theta,
    real[::1] grad,
    real[:, ::1] memory,
    const real[:, ::1] X,
    const real[::1] data,
    const int[::1] indices,
    const long long[::1] indptr,
    const real[:, ::1] Y,
    const int[::1] labels,
    const real[::1] sample_weight,
    const Py_ssize_t[::1] rows,
    Py_ssize_t start,
    Py_ssize_t stop,
    Py_ssize_t batch_size,
    double mean_weight,
    double alpha,
    double loss,
    real[::1] work,
    int[::1] label_work,
    double[::1] sums,
    Py_ssize_t[:, ::1] places,
    int thread=0,
    int[::1] barrier=None,
    int n_threads=1,
):
    """Mini-batches of the rows from start to stop; loss plus each one's value times n.

    A batch of n rows has the objective [sum_i w_i l_i + alpha/2 sum_j ||W_j||^2]
    / (n mean_weight). The first value that is not finite ends the run. Each of
    n_threads threads makes the same call with its number and its own ``places``.
    """
    cdef Py_ssize_t at = start, n, arranged = 0, U = n_units(t)
    cdef double scale, value
    cdef long long steps = opt.t
    cdef unsigned int before
    cdef Team team = _team(thread, n_threads, barrier)
    if batch_size < 1:
        raise ValueError("batch_size must be at least 1")
    n = min(batch_size, stop - start)
    _check_table(t, theta, X, indptr, rows, start, stop, n)
    _check_targets(t, X, indptr, Y, labels, sample_weight, rows, start, stop)
    _check_places(t, places)
    _check_scratch(t, n, label_work, sums)
    if grad.shape[0] != t.n_parameters:
        raise ValueError(f"grad must have length {t.n_parameters}")
    if memory.shape[0] != slots(opt.kind) or memory.shape[1] != t.n_parameters:
        raise ValueError(f"memory must have shape {(slots(opt.kind), t.n_parameters)}")
    _arrange(t, n, indptr.shape[0] > 0, True, False, work, places)
    with nogil:
        before = flush()
        while at < stop and isfinite(loss):
            n = min(n, stop - at)
            if n != arranged:  # at first, and for the last, shorter batch
                arrange(
                    t, &work[0], n, indptr.shape[0] > 0, True, False,
                    first_place(work), places,
                )
                pack_all(t, theta, team, work, places)
                meet(team)
                arranged = n
            scale = 1 / (n * mean_weight)
            there_and_back(
                t, theta, X, data, indices, indptr, Y, labels, sample_weight, rows, at,
                n, scale, True, team, work, label_work, sums[U:], places,
            )
            meet(team)
            # Each sum is read before the meeting after which it is written again.
            value = total(sums[U : U + n_groups(n)])
            steps += 1
            learn(
                t, opt, steps, alpha * scale, theta, memory, data, indices, indptr, rows,
                at, n, team, grad, work, sums[:U], places,
            )
            meet(team)
            loss += scale * (value + alpha * total(sums[:U])) * n
            at += n
        restore(before)
        if thread == 0:
            opt.t = steps
    return loss


cdef Team _team(int thread, int n_threads, int[::1] barrier) except *:
    cdef Team team = Team(thread, n_threads, NULL)
    if not 0 <= thread < n_threads:
        raise ValueError(f"thread {thread} is not one of {n_threads}")
    if n_threads > 1:
        if not PANELS:
            raise ValueError("this level leaves threads to BLAS")
        if barrier is None or barrier.shape[0] < BARRIER:
            raise ValueError(f"barrier must have {<int> BARRIER} elements")
        team.barrier = &barrier[0]
    return team


def barrier_length():
    """The ints that a barrier needs, zeros at first."""
    return <int> BARRIER


def threads_of_its_own():
    """Whether calls may be shared by threads; else BLAS has its own."""
    return bool(PANELS)


cdef int _check_places(Topology t, Py_ssize_t[:, ::1] places) except -1:
    if places.shape[0] != t.n_layers + 2 or places.shape[1] != N_PLACES:
        raise ValueError(f"places must have shape {(t.n_layers + 2, <int> N_PLACES)}")
    return 0


cdef int _check_scratch(
    Topology t, Py_ssize_t n, int[::1] label_work, double[::1] sums
) except -1:
    if sums.shape[0] < n_units(t) + n_groups(n):
        raise ValueError(f"sums must have at least {n_units(t) + n_groups(n)} elements")
    if t.loss == Loss.CATEGORICAL_CROSS_ENTROPY and n > 0 and label_work.shape[0] < n:
        raise ValueError(f"label_work must have at least {n} elements")
    return 0


cdef int _arrange(
    Topology t,
    Py_ssize_t n,
    bint sparse,
    bint backward,
    bint input_gradient,
    real[::1] work,
    Py_ssize_t[:, ::1] places,
) except -1:
    """Fill places, and refuse a workspace that is too small."""
    cdef Py_ssize_t at = first_place(work) if work.shape[0] > 0 else 0
    cdef Py_ssize_t least = arrange(
        t, <real*> NULL, n, sparse, backward, input_gradient, at, places
    )
    if work.shape[0] < least:
        raise ValueError(f"work must have at least {least} elements")
    return 0


cdef int _check_table(
    Topology t,
    const real[::1] theta,
    const real[:, ::1] X,
    const long long[::1] indptr,
    const Py_ssize_t[::1] rows,
    Py_ssize_t start,
    Py_ssize_t stop,
    Py_ssize_t n,
) except -1:
    cdef Py_ssize_t j
    cdef Py_ssize_t given = X.shape[0] if indptr.shape[0] == 0 else indptr.shape[0] - 1
    cdef Py_ssize_t total = rows.shape[0] if rows.shape[0] > 0 else given
    if theta.shape[0] != t.n_parameters:
        raise ValueError(f"theta must have length {t.n_parameters}")
    if indptr.shape[0] == 0 and X.shape[1] != t.size[0]:
        raise ValueError(f"X must have {t.size[0]} columns")
    if not 0 <= start <= stop <= total:
        raise ValueError(f"rows from {start} to {stop} are not within {total} rows")
    for j in range(start, stop if rows.shape[0] > 0 else start):
        if not 0 <= rows[j] < given:
            raise ValueError(f"row {rows[j]} is not one of {given} rows")
    if n > INT_MAX:
        raise ValueError(f"a block of {n} rows is over BLAS's limit of {INT_MAX}")
    for j in range(t.n_layers + 1):
        if t.size[j] > INT_MAX:
            raise ValueError(
                f"layer {j} has {t.size[j]} units, over BLAS's limit of {INT_MAX}"
            )
    return 0


cdef int _check_targets(
    Topology t,
    const real[:, ::1] X,
    const long long[::1] indptr,
    const real[:, ::1] Y,
    const int[::1] labels,
    const real[::1] sample_weight,
    const Py_ssize_t[::1] rows,
    Py_ssize_t start,
    Py_ssize_t stop,
) except -1:
    cdef Py_ssize_t total = X.shape[0] if indptr.shape[0] == 0 else indptr.shape[0] - 1
    cdef Py_ssize_t given, j
    cdef int label
    if t.loss == Loss.CATEGORICAL_CROSS_ENTROPY:
        given = labels.shape[0]
    else:
        given = Y.shape[0]
        if Y.shape[1] != t.size[t.n_layers]:
            raise ValueError(f"Y must have {t.size[t.n_layers]} columns")
    if given != total:
        raise ValueError(f"targets for {given} rows were given with {total} rows of X")
    if sample_weight.shape[0] not in (0, total):
        raise ValueError(f"sample_weight must have length {total}")
    if t.loss == Loss.CATEGORICAL_CROSS_ENTROPY:
        for j in range(start, stop):
            label = labels[row_at(rows, 0, j)]
            if not 0 <= label < t.size[t.n_layers]:
                raise ValueError(f"label {label} is not one of {t.size[t.n_layers]}")
    return 0


# Doors through which Network and the tests reach the mathematics of this level ---


def affine_layer(
    const real[::1] A,
    const real[::1] W,
    const real[::1] b,
    Py_ssize_t p,
    Py_ssize_t q,
    real[::1] Z,
):
    """Z_j = A_{j-1} W_j + b_j.  (F1)"""
    if p < 1 or q < 1 or W.shape[0] != p * q or b.shape[0] not in (0, q):
        raise ValueError("W must be (p, q) and b (q,) or empty")
    if Z.shape[0] % q or A.shape[0] != Z.shape[0] // q * p:
        raise ValueError("A must be (n, p) and Z (n, q)")
    if A.shape[0] > 0:
        affine_rows(
            &A[0], A.shape[0] // p, p, &W[0], &b[0] if b.shape[0] > 0 else NULL, q,
            &Z[0],
        )


def activation(int kind, real[::1] Z, real[::1] A, Py_ssize_t q):
    """A_j = f_j(Z_j) of rows of q units.  (F2)"""
    if Z.shape[0] != A.shape[0] or q < 1 or Z.shape[0] % q:
        raise ValueError("Z and A must have the same whole number of rows")
    if Z.shape[0] == 0:
        return
    if kind == Activation.SOFTMAX:
        softmax(&Z[0], &A[0], Z.shape[0] // q, q)
    else:
        activate(kind, &Z[0], &A[0], Z.shape[0])


def derivative(int kind, const real[::1] Z, const real[::1] A, real[::1] delta):
    """delta <- delta * f'(Z).  (B2)"""
    if Z.shape[0] != delta.shape[0] or A.shape[0] != delta.shape[0]:
        raise ValueError("Z, A and delta must have one length")
    if Z.shape[0] > 0:
        times_derivative(kind, &Z[0], &A[0], &delta[0], Z.shape[0])


def elementary(str name, const real[::1] x, real[::1] out):
    """out = exp(x), tanh(x), 1 / (1 + exp(-x)) or log(1 + x), by its name."""
    cdef Py_ssize_t i, n = x.shape[0]
    if out.shape[0] != n:
        raise ValueError("x and out must have one length")
    if name == "exp":
        for i in range(n):
            out[i] = exponential(x[i])
    elif name == "tanh":
        for i in range(n):
            out[i] = hyperbolic_tangent(x[i])
    elif name == "logistic":
        for i in range(n):
            out[i] = logistic(x[i])
    elif name == "log1p":
        for i in range(n):
            out[i] = log_of_one_plus(x[i])
    else:
        raise ValueError(f"there is no function {name!r}")


def optimizer_step(
    Topology t,
    Optimizer opt,
    real[::1] theta,
    const real[::1] grad,
    real[:, ::1] memory,
):
    """One step of the optimiser.  (O1) to (O5)"""
    if theta.shape[0] != t.n_parameters or grad.shape[0] != t.n_parameters:
        raise ValueError(f"theta and grad must have length {t.n_parameters}")
    if memory.shape[0] != slots(opt.kind) or memory.shape[1] != t.n_parameters:
        raise ValueError(f"memory must have shape {(slots(opt.kind), t.n_parameters)}")
    cdef double eta
    cdef Py_ssize_t j
    opt.t += 1
    eta = rate(opt, opt.t)
    for j in range(t.n_layers):
        step_of(
            opt, eta, 0, kept(opt), theta, &grad[t.weights_at[j]], memory,
            t.weights_at[j], t.biases_at[j],
        )
        if t.biased[j]:
            step_of(
                opt, eta, 0, 1, theta, &grad[t.biases_at[j]], memory, t.biases_at[j],
                t.biases_at[j] + t.size[j + 1],
            )
