"""The doors of one instruction set: predictions, gradients, runs of mini-batches.

Sizes are checked here; nothing below a ``def`` allocates, raises or holds the GIL. The
equations are in passes.pxd, and where their matrices lie in places.pxd.
"""

from libc.limits cimport INT_MAX
from libc.math cimport isfinite, sqrt

from .activations cimport Activation, activate, softmax, times_derivative
from .dropout cimport Mask, mask_of
from .gather cimport row_at
from .losses cimport Loss
from .matrix cimport GROUP
from .optimizers cimport Optimizer, decay, rate, slots
from .passes cimport (
    Pace,
    block_rows,
    forward,
    gradients,
    learn,
    n_groups,
    n_units,
    pack_all,
    step_of,
    sum_all,
    there_and_back,
)
from .places cimport (
    N_PLACES,
    A_of,
    W_of,
    Z_of,
    arrange,
    delta_of,
    first_place,
    transposed_of,
)
from .products cimport affine_rows, back, half_square, to_rows
from .real cimport (
    exponential,
    exponential_less_one,
    hyperbolic_tangent,
    log_of_one_plus,
    logistic,
    normal_tail,
    real,
)
from .regimen cimport DECAY_, DROPOUT_, RATE_, Regimen
from .simd cimport PANELS
from .subnormals cimport flush, restore
from .team cimport BARRIER, LEFT, Team, assemble, begin, end, meet
from .topology cimport Topology


MISALIGNED = "arrays must be aligned: copy them"

ctypedef fused element:
    # What arrays hold: loads of any of them are of aligned addresses only.
    float
    double
    int
    Py_ssize_t
    long long


def scratch_sizes(
    Topology t,
    Py_ssize_t n,
    real[::1] like,
    Py_ssize_t[:, ::1] places,
    bint sparse=False,
    bint backward=True,
    bint input_gradient=False,
    bint dropping=False,
):
    """Lengths of work, label_work and sums of calls for n rows; fills ``places``.

    ``like`` is any array of the type of theta. A workspace for n rows serves fewer.
    """
    _check_places(t, places)
    # Up to 15 reals are skipped for the sake of alignment.
    cdef Py_ssize_t size = arrange(
        t, <real*> NULL, n, sparse, backward, input_gradient, dropping, 16, places
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
    cdef Mask none = mask_of(0, 0, 0)
    cdef real* Z_J
    _check_table(t, theta, X, data, indices, indptr, rows, start, stop, n)
    _check_places(t, places)
    if out.shape[0] != n * q:
        raise ValueError(f"out must have {n * q} elements")
    if n == 0:
        return
    _arrange(t, n, indptr.shape[0] > 0, False, False, False, work, places)
    with nogil:
        pack_all(t, theta, alone, work, places)
        while first < n:
            last = min(first + block_rows(t), n)
            forward(
                t, theta, X, data, indices, indptr, rows, start, n, first, last, none,
                work, places,
            )
            first = last
        Z_J = Z_of(places, J, work)
        if link and t.activation[J - 1] == Activation.SOFTMAX:
            softmax(Z_J, &out[0], n, q)
        else:
            activate(
                t.activation[J - 1] if link else Activation.IDENTITY,
                Z_J, &out[0], n * q,
            )


def square_sum(const real[:, ::1] X):
    """The sum of the squares of all elements, in double."""
    cdef Py_ssize_t n = X.shape[0] * X.shape[1]
    cdef double half = 0
    if not aligned_matrix(X):
        raise ValueError(MISALIGNED)
    if n > 0:
        with nogil:
            half = half_square(&X[0, 0], n)
    return 2 * half


def is_finite(const real[:, ::1] X):
    """Whether no element is infinite or not a number."""
    if not aligned_matrix(X):
        raise ValueError(MISALIGNED)
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
    cdef double value = 0
    cdef unsigned int before
    cdef Mask none = mask_of(0, 0, 0)
    cdef Team team = _team(thread, n_threads, barrier)
    _check_table(t, theta, X, data, indices, indptr, rows, start, stop, n)
    _check_targets(t, X, indptr, Y, labels, sample_weight, rows, start, stop)
    _check_places(t, places)
    if dX.shape[0] > 0 and t.embeddings is not None:
        raise ValueError("dX must be empty: embeddings have no gradient by X")
    if grad.shape[0] not in (0, t.n_parameters):
        raise ValueError(f"grad must have length {t.n_parameters}")
    if dX.shape[0] not in (0, n * t.size[0]):
        raise ValueError(f"dX must have {n * t.size[0]} elements")
    if n == 0:
        return 0.0
    _check_scratch(t, n, label_work, sums)
    _arrange(
        t, n, indptr.shape[0] > 0, True, dX.shape[0] > 0, False, work, places
    )
    with nogil:
        before = flush()
        if assemble(team):
            pack_all(t, theta, team, work, places)
            meet(team)
            there_and_back(
                t, theta, X, data, indices, indptr, Y, labels, sample_weight, rows,
                start, n, 1 / denominator, grad.shape[0] > 0, none, team, work,
                label_work, sums, places,
            )
            meet(team)
            value = sum_all(sums[: n_groups(n)]) / denominator
            if grad.shape[0] > 0:
                gradients(
                    t, X, data, indices, indptr, rows, start, n, team, True, grad, work,
                    places,
                )
            if grad.shape[0] > 0 and dX.shape[0] > 0:  # (B5), in the place of A_0
                meet(team)
                first, last = begin(team, n, GROUP), end(team, n, GROUP)
                if first < last:
                    back(
                        delta_of(places, 1, work), n, t.size[1], first, last,
                        W_of(t, theta, 1), transposed_of(places, 1, work), t.size[0],
                        A_of(places, 0, work),
                    )
                    to_rows(
                        A_of(places, 0, work), n, t.size[0], first, last, &dX[0]
                    )
            meet(team)
        restore(before)
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
    if not (aligned(theta) and aligned(grad)):
        raise ValueError(MISALIGNED)
    if theta.shape[0] != t.n_parameters or grad.shape[0] != t.n_parameters:
        raise ValueError(f"theta and grad must have length {t.n_parameters}")
    with nogil:
        for i in range(t.n_parameters):
            grad[i] = 0
        for j in range(1, t.n_layers + 1 if c != 0 else 1):
            n = t.size[j - 1] * t.size[j]
            value += half_square(W_of(t, theta, j), n)
            for i in range(t.weights_at[j - 1], t.weights_at[j - 1] + n):
                grad[i] = <real> c * theta[i]
    return c * value


def train_run(
    Topology t,
    Optimizer opt,
    Regimen regimen,
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
    The regimen's plan is that of an epoch which begins at row 0.
    """
    cdef Py_ssize_t at = start, n, arranged = 0, U = n_units(t)
    cdef double scale, value
    cdef long long steps = opt.t
    cdef unsigned int before
    cdef bint assembled
    cdef Mask mask
    cdef Pace pace
    cdef Team team = _team(thread, n_threads, barrier)
    if batch_size < 1:
        raise ValueError("batch_size must be at least 1")
    n = min(batch_size, stop - start)
    _check_table(t, theta, X, data, indices, indptr, rows, start, stop, n)
    _check_targets(t, X, indptr, Y, labels, sample_weight, rows, start, stop)
    _check_places(t, places)
    _check_scratch(t, n, label_work, sums)
    if grad.shape[0] != t.n_parameters:
        raise ValueError(f"grad must have length {t.n_parameters}")
    if memory.shape[0] != slots(opt.kind) or memory.shape[1] != t.n_parameters:
        raise ValueError(f"memory must have shape {(slots(opt.kind), t.n_parameters)}")
    if regimen is None or regimen.rate_factor.shape[0] != t.n_groups:
        raise ValueError(f"regimen must be for {t.n_groups} groups of parameters")
    if 0 < regimen.planned.shape[0] < (stop + batch_size - 1) // batch_size:
        raise ValueError(
            f"plan must have {(stop + batch_size - 1) // batch_size} rows"
        )
    _arrange(
        t, n, indptr.shape[0] > 0, True, False, regimen.dropout > 0, work, places
    )
    with nogil:
        before = flush()
        assembled = assemble(team)
        while assembled and at < stop and isfinite(loss):
            n = min(n, stop - at)
            if n != arranged:  # at first, and for the last, shorter batch
                arrange(
                    t, &work[0], n, indptr.shape[0] > 0, True, False,
                    regimen.dropout > 0, first_place(work), places,
                )
                pack_all(t, theta, team, work, places)
                meet(team)
                arranged = n
            scale = 1 / (n * mean_weight)
            steps += 1
            mask = mask_of(
                regimen.dropout * planned(regimen, at // batch_size, DROPOUT_),
                regimen.seed, steps,
            )
            pace = pace_of(
                opt, steps, planned(regimen, at // batch_size, RATE_),
                planned(regimen, at // batch_size, DECAY_),
            )
            there_and_back(
                t, theta, X, data, indices, indptr, Y, labels, sample_weight, rows, at,
                n, scale, True, mask, team, work, label_work, sums[U:], places,
            )
            meet(team)
            # Each sum is read before the meeting after which it is written again.
            value = sum_all(sums[U : U + n_groups(n)])
            if regimen.max_norm > 0:
                gradients(
                    t, X, data, indices, indptr, rows, at, n, team, False, grad, work,
                    places,
                )
                meet(team)
                # Each thread computes all of it: less than to wait for the others.
                pace.cut = cut_to(regimen.max_norm, grad)
                meet(team)
            learn(
                t, opt, regimen, pace, alpha * scale, theta, memory, X, data, indices,
                indptr, rows, at, n, team, grad, work, sums[:U], places,
            )
            meet(team)
            loss += scale * (value + alpha * sum_all(sums[:U])) * n
            at += n
        restore(before)
        if thread == 0:
            opt.t = steps
    return loss


cdef inline double planned(
    Regimen regimen, Py_ssize_t step, Py_ssize_t column
) noexcept nogil:
    """What the plan multiplies by in a step of the epoch.  (S0)"""
    return regimen.planned[step, column] if regimen.planned.shape[0] > 0 else 1


cdef inline Pace pace_of(
    Optimizer opt, long long steps, double rate_factor, double decay_factor
) noexcept nogil:
    cdef Pace pace
    pace.rate = rate(opt, steps) * rate_factor
    pace.decay = decay(opt) * rate_factor * decay_factor
    pace.cut = 1
    return pace


cdef inline double cut_to(double max_norm, const real[::1] grad) noexcept nogil:
    """min(1, max_norm / ||grad||).  (C1)"""
    cdef double norm = sqrt(2 * half_square(&grad[0], grad.shape[0]))
    return max_norm / norm if norm > max_norm else 1


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


def barrier_shape():
    """The ints that a barrier needs, zeros at first, and which of them calls it off.

    Where that one is not 0, threads that wait for the first meeting return; nothing
    has been changed yet.
    """
    return <int> BARRIER, <int> LEFT


def threads_of_its_own():
    """Whether calls may be shared by threads; else BLAS has its own."""
    return bool(PANELS)


cdef inline bint aligned(const element[::1] array) noexcept nogil:
    return array.shape[0] == 0 or <size_t> &array[0] % sizeof(element) == 0


cdef inline bint aligned_matrix(const element[:, ::1] matrix) noexcept nogil:
    return (
        matrix.shape[0] * matrix.shape[1] == 0
        or <size_t> &matrix[0, 0] % sizeof(element) == 0
    )


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
    bint dropping,
    real[::1] work,
    Py_ssize_t[:, ::1] places,
) except -1:
    """Fill places, and refuse a workspace that is too small."""
    cdef Py_ssize_t at = first_place(work) if work.shape[0] > 0 else 0
    cdef Py_ssize_t least = arrange(
        t, <real*> NULL, n, sparse, backward, input_gradient, dropping, at, places
    )
    if work.shape[0] < least:
        raise ValueError(f"work must have at least {least} elements")
    return 0


cdef int _check_table(
    Topology t,
    const real[::1] theta,
    const real[:, ::1] X,
    const real[::1] data,
    const int[::1] indices,
    const long long[::1] indptr,
    const Py_ssize_t[::1] rows,
    Py_ssize_t start,
    Py_ssize_t stop,
    Py_ssize_t n,
) except -1:
    cdef Py_ssize_t j
    cdef Py_ssize_t given = X.shape[0] if indptr.shape[0] == 0 else indptr.shape[0] - 1
    cdef Py_ssize_t total = rows.shape[0] if rows.shape[0] > 0 else given
    if not (
        aligned(theta) and aligned_matrix(X) and aligned(data)
        and aligned(indices) and aligned(indptr) and aligned(rows)
    ):
        raise ValueError(MISALIGNED)
    if theta.shape[0] != t.n_parameters:
        raise ValueError(f"theta must have length {t.n_parameters}")
    if indptr.shape[0] == 0 and X.shape[1] != t.n_columns:
        raise ValueError(f"X must have {t.n_columns} columns")
    if indptr.shape[0] > 0 and t.embeddings is not None:
        raise ValueError("X must be dense where there are embeddings")
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
    if not (aligned_matrix(Y) and aligned(labels) and aligned(sample_weight)):
        raise ValueError(MISALIGNED)
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
    if not (aligned(A) and aligned(W) and aligned(b) and aligned(Z)):
        raise ValueError(MISALIGNED)
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
    if not (aligned(Z) and aligned(A)):
        raise ValueError(MISALIGNED)
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
    if not (aligned(Z) and aligned(A) and aligned(delta)):
        raise ValueError(MISALIGNED)
    if Z.shape[0] != delta.shape[0] or A.shape[0] != delta.shape[0]:
        raise ValueError("Z, A and delta must have one length")
    if Z.shape[0] > 0:
        times_derivative(kind, &Z[0], &A[0], &delta[0], Z.shape[0])


def elementary(str name, const real[::1] x, real[::1] out):
    """out = exp(x), exp(x) - 1, tanh(x), log(1 + x), ... by its name."""
    cdef Py_ssize_t i, n = x.shape[0]
    cdef real e = 0
    if not (aligned(x) and aligned(out)):
        raise ValueError(MISALIGNED)
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
    elif name == "expm1":
        for i in range(n):
            out[i] = exponential_less_one(x[i])
    elif name == "normal_tail":
        for i in range(n):
            out[i] = normal_tail(x[i], &e)
    else:
        raise ValueError(f"there is no function {name!r}")


def optimizer_step(
    Topology t,
    Optimizer opt,
    real[::1] theta,
    real[::1] grad,
    real[:, ::1] memory,
):
    """One step of the optimiser.  (O1) to (O5)"""
    if not (aligned(theta) and aligned(grad) and aligned_matrix(memory)):
        raise ValueError(MISALIGNED)
    if theta.shape[0] != t.n_parameters or grad.shape[0] != t.n_parameters:
        raise ValueError(f"theta and grad must have length {t.n_parameters}")
    if memory.shape[0] != slots(opt.kind) or memory.shape[1] != t.n_parameters:
        raise ValueError(f"memory must have shape {(slots(opt.kind), t.n_parameters)}")
    if t.embeddings is not None:
        raise ValueError("embeddings are for train_run")
    cdef double eta
    cdef Py_ssize_t j
    cdef unsigned int before = flush()
    opt.t += 1
    eta = rate(opt, opt.t)
    for j in range(t.n_layers):
        step_of(
            opt, eta, 1, 0, 1 - decay(opt), theta, &grad[t.weights_at[j]], memory,
            t.weights_at[j], t.biases_at[j],
        )
        if t.biased[j]:
            step_of(
                opt, eta, 1, 0, 1, theta, &grad[t.biases_at[j]], memory,
                t.biases_at[j], t.biases_at[j] + t.size[j + 1],
            )

    restore(before)
