"""Losses: the enumeration, and value and delta_J from one function.

A new loss is one enumerator and one branch in ``loss_and_delta`` (and, where a
canonical output makes it exact for any Z, one in ``canonical_loss_and_delta``
and in ``canonical_output``), all here, and its paragraph in docs/derivations.md.

Every function returns sum_i w_i l_i and writes delta, which is scale w_i times
dl_i/dA or dl_i/dZ. Z, A, Y and delta are row-major (n, q), flat; an empty w means
weights of one.
"""

from libc.math cimport exp, fabs, log, log1p

from .activations cimport Activation
from .real cimport exponential, logistic, machine_epsilon, real


cpdef enum Loss:
    SQUARED_ERROR = 0
    BINARY_CROSS_ENTROPY = 1
    CATEGORICAL_CROSS_ENTROPY = 2
    POISSON = 3


cdef inline int canonical_output(int loss) noexcept nogil:
    """The output f_J for which delta_J = w (A_J - Y).  (L5)"""
    if loss == Loss.BINARY_CROSS_ENTROPY:
        return Activation.SIGMOID
    if loss == Loss.CATEGORICAL_CROSS_ENTROPY:
        return Activation.SOFTMAX
    if loss == Loss.POISSON:
        return Activation.EXP
    return Activation.IDENTITY


cdef inline double loss_and_delta(
    int loss,
    const real[::1] A,
    const real[::1] Y,
    const real[::1] w,
    Py_ssize_t q,
    double scale,
    real[::1] delta,
) noexcept nogil:
    """sum_i w_i l_i; delta = scale w_i dl_i/dA, element by element.  (L1) (L2) (L4)"""
    cdef Py_ssize_t i, j
    cdef double a, y, w_i = 1, factor, row, value = 0
    cdef real tag = 0
    cdef double eps = machine_epsilon(&tag)
    for i in range(A.shape[0] // q):
        if w.shape[0] > 0:
            w_i = w[i]
        if w_i == 0:  # adds nothing, not even an infinity
            for j in range(i * q, (i + 1) * q):
                delta[j] = 0
            continue
        factor = scale * w_i
        row = 0
        for j in range(i * q, (i + 1) * q):
            a = A[j]
            y = Y[j]
            if loss == Loss.SQUARED_ERROR:  # (L1)
                row += 0.5 * (a - y) * (a - y)
                delta[j] = <real> (factor * (a - y))
            elif loss == Loss.BINARY_CROSS_ENTROPY:  # (L2), a clipped
                if a <= eps or a >= 1 - eps:
                    a = eps if a <= eps else 1 - eps
                    delta[j] = 0
                else:
                    delta[j] = <real> (factor * (a - y) / (a * (1 - a)))
                # 0 log 0 = 0 needs no branch, since a is inside (0, 1).
                row -= y * log(a) + (1 - y) * log1p(-a)
            elif loss == Loss.POISSON:  # (L4), a clipped
                if a <= eps:
                    a = eps
                    delta[j] = 0
                else:
                    delta[j] = <real> (factor * (1 - y / a))
                row += a - y + (y * log(y / a) if y > 0 else 0)
        value += w_i * row
    return value


cdef inline double canonical_loss_and_delta(
    int loss,
    const real[::1] Z,
    const real[::1] Y,
    const int[::1] labels,
    const real[::1] w,
    Py_ssize_t q,
    double scale,
    real[::1] delta,
) noexcept nogil:
    """sum_i w_i l_i; delta = scale w_i (A - Y), both from Z.  (L5)"""
    cdef Py_ssize_t i, j, k
    cdef double z, y, top, others, total, w_i = 1, factor, row, value = 0
    for i in range(Z.shape[0] // q):
        if w.shape[0] > 0:
            w_i = w[i]
        if w_i == 0:  # adds nothing, not even an infinity
            for j in range(i * q, (i + 1) * q):
                delta[j] = 0
            continue
        factor = scale * w_i
        row = 0
        if loss == Loss.BINARY_CROSS_ENTROPY:
            for j in range(i * q, (i + 1) * q):
                z = Z[j]
                y = Y[j]
                row += (z if z > 0 else 0) - z * y + log1p(exp(-fabs(z)))
                # sigma(z) - y, without cancellation where sigma(z) is near 1.
                if z > 0:
                    delta[j] = <real> (factor * ((1 - y) - logistic(-z)))
                else:
                    delta[j] = <real> (factor * (logistic(z) - y))
        elif loss == Loss.CATEGORICAL_CROSS_ENTROPY:
            k = i * q + labels[i]
            top = Z[i * q]
            for j in range(i * q + 1, (i + 1) * q):
                top = Z[j] if Z[j] > top else top
            others = 0
            for j in range(i * q, (i + 1) * q):
                delta[j] = exponential(<real> (Z[j] - top))
                if j != k:
                    others += delta[j]
            total = others + delta[k]
            # log-sum-exp less z_k; log1p keeps the small loss of a sure, right row.
            if Z[k] == top:
                row = log1p(others)
            else:
                row = log(total) + (top - Z[k])
            for j in range(i * q, (i + 1) * q):
                delta[j] = <real> (factor * (delta[j] / total))
            # p_k - 1 is minus the sum of the other probabilities.
            delta[k] = <real> (-factor * (others / total))
        elif loss == Loss.POISSON:
            for j in range(i * q, (i + 1) * q):
                z = Z[j]
                y = Y[j]
                row += exp(z) - y - y * z + (y * log(y) if y > 0 else 0)
                delta[j] = <real> (factor * (exp(z) - y))
        value += w_i * row
    return value
