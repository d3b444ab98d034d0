"""Losses: the enumeration, and value and delta_J from one function.

A new loss is one enumerator and one branch in ``loss_and_delta`` (and, where a
canonical output makes it exact for any Z, one in ``canonical_loss_and_delta``
and in ``canonical_output``), all here, and its paragraph in docs/derivations.md.

Both work on LANES elements, so that every loop is one that compilers turn into
vectors, and in double, since a loss is summed over many rows. ``weighted_loss`` and
``label_loss`` go over the rows: they return sum_i w_i l_i and write delta, which is
scale w_i times dl_i/dA or dl_i/dZ. Z, A, Y and delta are row-major (n, q), flat; a w
of NULL means weights of one. A loss may have parameters, of which element k of a row
has number k modulo their count: q is a multiple of it.
"""

from libc.math cimport log, log1p

from .activations cimport Activation
from .elementary cimport exponential, log_of_one_plus
from .real cimport EPSILON, real

cdef enum:
    LANES = 16


cpdef enum Loss:
    SQUARED_ERROR = 0
    BINARY_CROSS_ENTROPY = 1
    CATEGORICAL_CROSS_ENTROPY = 2
    POISSON = 3
    ABSOLUTE_ERROR = 4
    HUBER = 5
    QUANTILE = 6


cdef inline int canonical_output(int loss) noexcept nogil:
    """The output f_J for which delta_J = w (A_J - Y), or else identity.  (L5)"""
    if loss == Loss.BINARY_CROSS_ENTROPY:
        return Activation.SIGMOID
    if loss == Loss.CATEGORICAL_CROSS_ENTROPY:
        return Activation.SOFTMAX
    if loss == Loss.POISSON:
        return Activation.EXP
    return Activation.IDENTITY


cdef struct LossOf:
    # Which, whether from Z (L5), and its parameters, NULL where it has none.
    int kind
    bint from_z
    const double* parameters
    Py_ssize_t n_parameters


cdef inline void loss_and_delta(
    int loss,
    const double* A,
    const double* Y,
    const double* c,
    double* l,
    double* delta,
) noexcept nogil:
    """l = l(A, Y) and delta = dl/dA of LANES elements with the parameters c.

    (L1) (L2) (L4) (L6) (L7) (L8)
    """
    cdef int i
    cdef double a, y, r, eps = EPSILON
    if loss == Loss.SQUARED_ERROR:  # (L1)
        for i in range(LANES):
            delta[i] = A[i] - Y[i]
            l[i] = 0.5 * delta[i] * delta[i]
    elif loss == Loss.BINARY_CROSS_ENTROPY:  # (L2), a clipped
        for i in range(LANES):
            a, y = A[i], Y[i]
            if a <= eps or a >= 1 - eps:
                a = eps if a <= eps else 1 - eps
                delta[i] = 0
            else:
                delta[i] = (a - y) / (a * (1 - a))
            # 0 log 0 = 0 needs no branch, since a is inside (0, 1).
            l[i] = -(y * log(a) + (1 - y) * log1p(-a))
    elif loss == Loss.POISSON:  # (L4), a clipped
        for i in range(LANES):
            a, y = A[i], Y[i]
            if a <= eps:
                a = eps
                delta[i] = 0
            else:
                delta[i] = 1 - y / a
            l[i] = a - y + (y * log(y / a) if y > 0 else 0)
    elif loss == Loss.ABSOLUTE_ERROR:  # (L6); where r is 0 or a NaN, r is the slope
        for i in range(LANES):
            r = A[i] - Y[i]
            delta[i] = 1 if r > 0 else (-1 if r < 0 else r)
            l[i] = delta[i] * r
    elif loss == Loss.HUBER:  # (L7): r clipped to [-c, c] is the slope
        for i in range(LANES):
            r = A[i] - Y[i]
            delta[i] = c[i] if r > c[i] else (-c[i] if r < -c[i] else r)
            # r^2 / 2 inside, c (|r| - c / 2) outside.
            l[i] = delta[i] * (r - 0.5 * delta[i])
    elif loss == Loss.QUANTILE:  # (L8), of the level c
        for i in range(LANES):
            r = A[i] - Y[i]
            delta[i] = 1 - c[i] if r > 0 else (-c[i] if r < 0 else r)
            l[i] = delta[i] * r


cdef inline void canonical_loss_and_delta(
    int loss, const double* Z, const double* Y, double* l, double* delta
) noexcept nogil:
    """l and delta = A - Y of LANES elements, both from Z.  (L5)"""
    cdef int i
    cdef double z, y, low, high, e
    if loss == Loss.BINARY_CROSS_ENTROPY:
        for i in range(LANES):
            z, y = Z[i], Y[i]
            e = exponential(-z if z > 0 else z)
            l[i] = (z if z > 0 else 0) - z * y + log_of_one_plus(e)
            # sigma(z) - y, without cancellation where sigma(z) is near 1.
            low = e / (1 + e)
            high = (1 - y) - low
            low = low - y
            delta[i] = high if z > 0 else low
    elif loss == Loss.POISSON:
        for i in range(LANES):
            z, y = Z[i], Y[i]
            delta[i] = exponential(z) - y
            l[i] = delta[i] - y * z
        for i in range(LANES):
            if Y[i] > 0:
                l[i] += Y[i] * log(Y[i])


cdef inline double weighted_loss(
    const LossOf* loss,
    const real* values,
    const real* Y,
    const real* w,
    Py_ssize_t n,
    Py_ssize_t q,
    double scale,
    real* delta,
) noexcept nogil:
    """sum_i w_i l_i; delta = scale w_i dl_i/dA, or dl_i/dZ from values of Z.  (L0)"""
    cdef Py_ssize_t e = 0, k, row = 0, column = 0, count = n * q
    cdef double[LANES] z
    cdef double[LANES] y
    cdef double[LANES] c
    cdef double[LANES] l
    cdef double[LANES] d
    cdef double w_i, value = 0
    while e < count:
        for k in range(LANES):
            z[k] = values[min(e + k, count - 1)]
            y[k] = Y[min(e + k, count - 1)]
        if loss.n_parameters > 0:
            for k in range(LANES):
                c[k] = loss.parameters[(e + k) % loss.n_parameters]
            if loss.kind == Loss.BINARY_CROSS_ENTROPY:  # two classes per output  (L9)
                for k in range(LANES):
                    y[k] = (1 - c[k]) * y[k] + 0.5 * c[k]
        if loss.from_z:
            canonical_loss_and_delta(loss.kind, &z[0], &y[0], &l[0], &d[0])
        else:
            loss_and_delta(loss.kind, &z[0], &y[0], &c[0], &l[0], &d[0])
        for k in range(min(LANES, count - e)):
            w_i = w[row] if w != NULL else 1
            # A row without weight adds nothing, not even an infinity.
            value += w_i * l[k] if w_i != 0 else 0
            delta[e + k] = <real> (scale * w_i * d[k]) if w_i != 0 else 0
            column += 1
            if column == q:
                row, column = row + 1, 0
        e += LANES
    return value


cdef inline double smoothing(
    double epsilon,
    const real* Z,
    const int* labels,
    const real* w,
    Py_ssize_t n,
    Py_ssize_t q,
    double scale,
    real* delta,
) noexcept nogil:
    """What the labels' share epsilon for all classes adds to (L3) and delta.  (L9)"""
    cdef Py_ssize_t i, j, t
    cdef double w_i, gap, value = 0
    for i in range(n):
        w_i = w[i] if w != NULL else 1
        if w_i == 0:  # adds nothing, not even an infinity
            continue
        t = i * q + labels[i]
        gap = 0
        for j in range(i * q, i * q + q):
            gap += <double> Z[t] - Z[j]
            delta[j] -= <real> (scale * w_i * epsilon / q)
        delta[t] += <real> (scale * w_i * epsilon)
        value += w_i * epsilon * gap / q
    return value


cdef inline double label_loss(
    const real* Z,
    const int* labels,
    const real* w,
    Py_ssize_t n,
    Py_ssize_t q,
    double scale,
    real* delta,
) noexcept nogil:
    """Cross-entropy and A - Y of n <= LANES rows with labels, from Z.  (L3) (L5)"""
    cdef Py_ssize_t j, k, r
    cdef Py_ssize_t[LANES] label
    cdef Py_ssize_t[LANES] at
    cdef real[LANES] z
    cdef real[LANES] top
    cdef real[LANES] own
    cdef real[LANES] others
    cdef real[LANES] total
    cdef real[LANES] factor
    cdef real e, mine, highest
    cdef double w_i, value = 0
    for r in range(LANES):
        # Lanes without a row repeat the last one.
        k = min(r, n - 1)
        at[r] = k * q
        label[r] = labels[k]
        factor[r] = <real> (scale * (w[k] if w != NULL else 1))
        top[r] = Z[k * q]
        others[r] = 0
        own[r] = 0
    for j in range(1, q):
        for r in range(LANES):
            z[r] = Z[at[r] + j]
        for r in range(LANES):
            e, highest = z[r], top[r]
            top[r] = e if e > highest else highest
    for j in range(q):
        for r in range(LANES):
            z[r] = Z[at[r] + j]
        for r in range(LANES):
            e = exponential(z[r] - top[r])
            mine = e if label[r] == j else 0
            own[r] += mine
            others[r] += e - mine
            z[r] = e
        for r in range(n):
            delta[at[r] + j] = z[r]
    for r in range(LANES):
        total[r] = factor[r] / (others[r] + own[r])
        # log-sum-exp less z_k: 1 + (others + own - 1) keeps the small loss of a sure,
        # right row, whose own is 1.
        z[r] = log_of_one_plus(others[r] + (own[r] - 1))
    for j in range(q):
        for r in range(n):
            delta[at[r] + j] *= total[r]
    for r in range(n):
        w_i = w[r] if w != NULL else 1
        if w_i == 0:  # adds nothing, not even an infinity
            for j in range(q):
                delta[at[r] + j] = 0
            continue
        # p_k - 1 is minus the sum of the other probabilities.
        delta[at[r] + label[r]] = -others[r] * total[r]
        value += w_i * (z[r] + (top[r] - Z[at[r] + label[r]]))
    return value
