"""Forward, backward and a run of mini-batches: the only code that knows layers.

Layers are numbered as in docs/derivations.md: layer j = 1..J has W_j, b_j, Z_j, A_j
and delta_j; A_0 is the batch of X. A workspace of one flat array holds, for n rows,
``[Z_1 (A_1), ..., Z_J (A_J), delta, delta, Y, w, A_0]``: A_j takes the place of Z_j
unless f_j' is written in Z, the deltas of two neighbouring layers alternate, and
A_0 is left out where X is sparse.

The table of all rows is seven arrays, of which the unused ones are empty:
X (dense) or data, indices, indptr (CSR); Y or labels; sample_weight.
Nothing below a ``def`` allocates, raises or holds the GIL.
"""

from libc.limits cimport INT_MAX
from libc.math cimport isfinite

from .activations cimport Activation, activate, needs_z, softmax, times_derivative
from .gather cimport gather_labels, gather_rows, gather_weights, row_at
from .losses cimport Loss, canonical_loss_and_delta, loss_and_delta
from .matrix cimport elements
from .optimizers cimport Optimizer, decay, decays, slots, step
from .products cimport (
    add_bias_gradient,
    add_sparse_weight_gradient,
    add_weight_gradient,
    affine,
    back,
    penalty,
    sparse_affine,
)
from .real cimport real
from .subnormals cimport flush, restore
from .topology cimport Topology


# Where things are ------------------------------------------------------------


cdef inline Py_ssize_t z_at(Topology t, Py_ssize_t n, Py_ssize_t j) noexcept nogil:
    """Where Z_j begins in the workspace; j = J + 1 gives the end of them all."""
    cdef Py_ssize_t i, at = 0
    for i in range(1, j):
        at += elements(n, t.size[i])
        if needs_z(t.activation[i - 1]):
            at += elements(n, t.size[i])
    return at


cdef inline Py_ssize_t targets_at(Topology t, Py_ssize_t n) noexcept nogil:
    """Where the batch's Y, and behind it w, begin in the workspace."""
    return z_at(t, n, t.n_layers + 1) + 2 * elements(n, t.widest)


cdef inline real[::1] Z(
    Topology t, Py_ssize_t n, Py_ssize_t j, real[::1] work
) noexcept nogil:
    cdef Py_ssize_t at = z_at(t, n, j)
    return work[at : at + elements(n, t.size[j])]


cdef inline real[::1] A(
    Topology t, Py_ssize_t n, Py_ssize_t j, real[::1] work
) noexcept nogil:
    cdef Py_ssize_t at
    if j == 0:
        at = targets_at(t, n) + n * (t.size[t.n_layers] + 1)
    else:
        at = z_at(t, n, j)
        if needs_z(t.activation[j - 1]):
            at += elements(n, t.size[j])
    return work[at : at + elements(n, t.size[j])]


cdef inline real[::1] delta(
    Topology t, Py_ssize_t n, Py_ssize_t j, real[::1] work
) noexcept nogil:
    cdef Py_ssize_t at = z_at(t, n, t.n_layers + 1) + (j % 2) * elements(n, t.widest)
    return work[at : at + elements(n, t.size[j])]


cdef inline real[::1] Y_batch(Topology t, Py_ssize_t n, real[::1] work) noexcept nogil:
    cdef Py_ssize_t at = targets_at(t, n)
    return work[at : at + n * t.size[t.n_layers]]


cdef inline real[::1] w_batch(Topology t, Py_ssize_t n, real[::1] work) noexcept nogil:
    cdef Py_ssize_t at = targets_at(t, n) + n * t.size[t.n_layers]
    return work[at : at + n]


cdef inline const real[::1] W(
    Topology t, const real[::1] theta, Py_ssize_t j
) noexcept nogil:
    return theta[t.weights_at[j - 1] : t.biases_at[j - 1]]


cdef inline const real[::1] b(
    Topology t, const real[::1] theta, Py_ssize_t j
) noexcept nogil:
    cdef Py_ssize_t at = t.biases_at[j - 1]
    return theta[at : at + (t.size[j] if t.biased[j - 1] else 0)]


cdef inline real[::1] dW(Topology t, real[::1] grad, Py_ssize_t j) noexcept nogil:
    return grad[t.weights_at[j - 1] : t.biases_at[j - 1]]


cdef inline real[::1] db(Topology t, real[::1] grad, Py_ssize_t j) noexcept nogil:
    cdef Py_ssize_t at = t.biases_at[j - 1]
    return grad[at : at + (t.size[j] if t.biased[j - 1] else 0)]


# The equations ---------------------------------------------------------------


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
    real[::1] work,
) noexcept nogil:
    """Z_j = A_{j-1} W_j + b_j (F1), A_j = f_j(Z_j) (F2), j = 1..J, as far as Z_J."""
    cdef Py_ssize_t j
    if indptr.shape[0] == 0:
        gather_rows(X, rows, start, n, A(t, n, 0, work))
    for j in range(1, t.n_layers + 1):
        if j == 1 and indptr.shape[0] > 0:
            sparse_affine(
                data, indices, indptr, rows, start,
                W(t, theta, 1), b(t, theta, 1), t.size[1], Z(t, n, 1, work),
            )
        else:
            affine(
                A(t, n, j - 1, work), W(t, theta, j), b(t, theta, j),
                t.size[j - 1], t.size[j], Z(t, n, j, work),
            )
        if j < t.n_layers:
            activate(t.activation[j - 1], Z(t, n, j, work), A(t, n, j, work))


cdef inline double output_loss(
    Topology t,
    const real[:, ::1] Y,
    const int[::1] labels,
    const real[::1] sample_weight,
    const Py_ssize_t[::1] rows,
    Py_ssize_t start,
    Py_ssize_t n,
    double scale,
    real[::1] work,
    int[::1] label_work,
) noexcept nogil:
    """scale sum_i w_i l_i, and delta_J.  (L0) (L5) (B1)"""
    cdef Py_ssize_t J = t.n_layers, q = t.size[J]
    cdef int output = t.activation[J - 1]
    cdef real[::1] Z_J = Z(t, n, J, work), delta_J = delta(t, n, J, work)
    cdef real[::1] A_J = A(t, n, J, work), w = w_batch(t, n, work)
    cdef double value
    if sample_weight.shape[0] > 0:
        gather_weights(sample_weight, rows, start, n, w)
    else:
        w = w[:0]
    if t.loss == Loss.CATEGORICAL_CROSS_ENTROPY:
        gather_labels(labels, rows, start, n, label_work)
    else:
        gather_rows(Y, rows, start, n, Y_batch(t, n, work))
    if t.from_z:
        value = canonical_loss_and_delta(
            t.loss, Z_J, Y_batch(t, n, work), label_work, w, q, scale, delta_J
        )
    else:
        activate(output, Z_J, A_J)
        value = loss_and_delta(
            t.loss, A_J, Y_batch(t, n, work), w, q, scale, delta_J
        )
        times_derivative(output, Z_J, A_J, delta_J)
    return scale * value


cdef inline void backward(
    Topology t,
    const real[::1] theta,
    const real[::1] data,
    const int[::1] indices,
    const long long[::1] indptr,
    const Py_ssize_t[::1] rows,
    Py_ssize_t start,
    Py_ssize_t n,
    real[::1] grad,
    real[::1] work,
) noexcept nogil:
    """delta_J to delta_1 (B2); adds dL/dW_j (B3) and dL/db_j (B4) to grad."""
    cdef Py_ssize_t j
    for j in range(t.n_layers, 0, -1):
        if j == 1 and indptr.shape[0] > 0:
            add_sparse_weight_gradient(
                data, indices, indptr, rows, start,
                delta(t, n, 1, work), t.size[1], dW(t, grad, 1),
            )
        else:
            add_weight_gradient(
                A(t, n, j - 1, work), delta(t, n, j, work),
                t.size[j - 1], t.size[j], dW(t, grad, j),
            )
        if t.biased[j - 1]:
            add_bias_gradient(delta(t, n, j, work), t.size[j], db(t, grad, j))
        if j > 1:
            back(
                delta(t, n, j, work), W(t, theta, j),
                t.size[j - 1], t.size[j], delta(t, n, j - 1, work),
            )
            times_derivative(
                t.activation[j - 2], Z(t, n, j - 1, work), A(t, n, j - 1, work),
                delta(t, n, j - 1, work),
            )


cdef inline double start_gradient(
    Topology t, const real[::1] theta, double alpha, double scale, real[::1] grad
) noexcept nogil:
    """scale alpha/2 sum_j ||W_j||^2; grad = its gradient.  (R1)"""
    cdef Py_ssize_t j, k
    cdef double value = 0
    cdef real[::1] bias
    for j in range(1, t.n_layers + 1):
        value += penalty(W(t, theta, j), alpha, scale, dW(t, grad, j))
        bias = db(t, grad, j)
        for k in range(bias.shape[0]):
            bias[k] = 0
    return value


cdef inline void update(
    Topology t,
    Optimizer opt,
    real[::1] theta,
    const real[::1] grad,
    real[:, ::1] memory,
) noexcept nogil:
    """One step of the optimiser.  (O1) to (O5)"""
    cdef Py_ssize_t j
    if decays(opt):
        for j in range(1, t.n_layers + 1):
            decay(opt, dW(t, theta, j))
    step(opt, theta, grad, memory)


# The doors -------------------------------------------------------------------


def workspace_size(Topology t, Py_ssize_t n, bint sparse=False):
    """The reals that a workspace for n rows holds, of dense or of sparse X."""
    cdef Py_ssize_t total = targets_at(t, n) + n * (t.size[t.n_layers] + 1)
    return total if sparse else total + elements(n, t.size[0])


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
    bint link,
):
    """out = A_J of the rows from start to stop, row-major, or Z_J without the link."""
    cdef Py_ssize_t n = stop - start, J = t.n_layers, q = t.size[J]
    cdef real[::1] Z_J
    _check_table(t, theta, X, indptr, rows, start, stop, stop - start, work)
    if out.shape[0] != n * q:
        raise ValueError(f"out must have {n * q} elements")
    if n == 0:
        return
    with nogil:
        forward(t, theta, X, data, indices, indptr, rows, start, n, work)
        Z_J = Z(t, n, J, work)
        if link and t.activation[J - 1] == Activation.SOFTMAX:
            softmax(Z_J, Z_J, q)
        elif link:
            activate(t.activation[J - 1], Z_J, Z_J)
        out[:] = Z_J


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
):
    """sum_i w_i l_i / denominator over rows start to stop; its gradient added to grad.

    An empty grad asks for the value alone; an empty dX for no dL/dX.
    """
    cdef Py_ssize_t n = stop - start
    cdef double value
    _check_table(t, theta, X, indptr, rows, start, stop, stop - start, work)
    _check_targets(
        t, X, indptr, Y, labels, sample_weight, rows, start, stop, label_work, n
    )
    if grad.shape[0] not in (0, t.n_parameters):
        raise ValueError(f"grad must have length {t.n_parameters}")
    if dX.shape[0] not in (0, n * t.size[0]):
        raise ValueError(f"dX must have {n * t.size[0]} elements")
    if n == 0:
        return 0.0
    with nogil:
        forward(t, theta, X, data, indices, indptr, rows, start, n, work)
        value = output_loss(
            t, Y, labels, sample_weight, rows, start, n, 1 / denominator, work,
            label_work,
        )
        if grad.shape[0] > 0:
            backward(t, theta, data, indices, indptr, rows, start, n, grad, work)
            if dX.shape[0] > 0:  # (B5)
                back(delta(t, n, 1, work), W(t, theta, 1), t.size[0], t.size[1], dX)
    return value


def l2_and_grad(
    Topology t, const real[::1] theta, double alpha, double denominator, real[::1] grad
):
    """alpha/2 sum_j ||W_j||^2 / denominator; grad is set to its gradient.  (R1)"""
    cdef double value
    if theta.shape[0] != t.n_parameters or grad.shape[0] != t.n_parameters:
        raise ValueError(f"theta and grad must have length {t.n_parameters}")
    with nogil:
        value = start_gradient(t, theta, alpha, 1 / denominator, grad)
    return value


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
):
    """Mini-batches of the rows from start to stop; loss plus each one's value times n.

    A batch of n rows has the objective [sum_i w_i l_i + alpha/2 sum_j ||W_j||^2]
    / (n mean_weight). The first value that is not finite ends the run.
    """
    cdef Py_ssize_t at = start, n
    cdef double scale, value
    cdef unsigned int before
    if batch_size < 1:
        raise ValueError("batch_size must be at least 1")
    n = min(batch_size, stop - start)
    _check_table(t, theta, X, indptr, rows, start, stop, n, work)
    _check_targets(
        t, X, indptr, Y, labels, sample_weight, rows, start, stop, label_work, n
    )
    if grad.shape[0] != t.n_parameters:
        raise ValueError(f"grad must have length {t.n_parameters}")
    if memory.shape[0] != slots(opt.kind) or memory.shape[1] != t.n_parameters:
        raise ValueError(f"memory must have shape {(slots(opt.kind), t.n_parameters)}")
    with nogil:
        before = flush()
        while at < stop and isfinite(loss):
            n = min(batch_size, stop - at)
            scale = 1 / (n * mean_weight)
            value = start_gradient(t, theta, alpha, scale, grad)
            forward(t, theta, X, data, indices, indptr, rows, at, n, work)
            value += output_loss(
                t, Y, labels, sample_weight, rows, at, n, scale, work, label_work
            )
            backward(t, theta, data, indices, indptr, rows, at, n, grad, work)
            update(t, opt, theta, grad, memory)
            loss += value * n
            at += n
        restore(before)
    return loss


cdef int _check_table(
    Topology t,
    const real[::1] theta,
    const real[:, ::1] X,
    const long long[::1] indptr,
    const Py_ssize_t[::1] rows,
    Py_ssize_t start,
    Py_ssize_t stop,
    Py_ssize_t n,
    real[::1] work,
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
    least = workspace_size(t, n, indptr.shape[0] > 0)
    if work.shape[0] < least:
        raise ValueError(f"work must have at least {least} elements")
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
    int[::1] label_work,
    Py_ssize_t n,
) except -1:
    cdef Py_ssize_t total = X.shape[0] if indptr.shape[0] == 0 else indptr.shape[0] - 1
    cdef Py_ssize_t given, j
    cdef int label
    if t.loss == Loss.CATEGORICAL_CROSS_ENTROPY:
        given = labels.shape[0]
        if label_work.shape[0] < n:
            raise ValueError(f"label_work must have at least {n} elements")
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
        affine(A, W, b, p, q, Z)


def activation(int kind, real[::1] Z, real[::1] A, Py_ssize_t q):
    """A_j = f_j(Z_j) of rows of q units.  (F2)"""
    if Z.shape[0] != A.shape[0] or q < 1 or Z.shape[0] % q:
        raise ValueError("Z and A must have the same whole number of rows")
    if Z.shape[0] == 0:
        return
    if kind == Activation.SOFTMAX:
        softmax(Z, A, q)
    else:
        activate(kind, Z, A)


def derivative(int kind, const real[::1] Z, const real[::1] A, real[::1] delta):
    """delta <- delta * f'(Z).  (B2)"""
    if Z.shape[0] != delta.shape[0] or A.shape[0] != delta.shape[0]:
        raise ValueError("Z, A and delta must have one length")
    times_derivative(kind, Z, A, delta)


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
    update(t, opt, theta, grad, memory)
