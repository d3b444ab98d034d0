"""Activations: the enumeration, the functions and their derivatives.

A new activation is one enumerator, one branch in ``activate`` and one in
``times_derivative``, all here, and its paragraph in docs/derivations.md.
"""

from .elementary cimport (
    exponential,
    exponential_less_one,
    hyperbolic_tangent,
    logistic,
    normal_tail,
    with_sign,
)
from .real cimport real


cpdef enum Activation:
    IDENTITY = 0
    RELU = 1
    SIGMOID = 2
    TANH = 3
    SELU = 4
    SILU = 5
    GELU = 6
    MISH = 7
    LEAKY_RELU = 8
    # From 64 on: for the output layer only.
    EXP = 64
    SOFTMAX = 65


cdef inline bint needs_z(int kind) noexcept nogil:
    """Whether f' is written in Z, so that Z must outlive A."""
    return (
        kind == Activation.SILU
        or kind == Activation.GELU
        or kind == Activation.MISH
    )


cdef inline real selu_scale() noexcept nogil:
    """lambda of (A7)."""
    return <real> 1.0507009873554805


cdef inline real selu_floor() noexcept nogil:
    """lambda alpha of (A7): minus what selu tends to at the left."""
    return <real> 1.7580993408473768


cdef inline real mish_ratio(real z, real e, real* denominator) noexcept nogil:
    """tanh(log(1 + exp(z))) of (A10), from e = exp(-|z|), which cannot overflow.

    With n = exp(2z) + 2 exp(z) it is n / (n + 2); right of 0 both are multiplied by
    exp(-2z).
    """
    cdef real top = 1 + 2 * e if z > 0 else e * (2 + e)
    denominator[0] = top + (2 * e * e if z > 0 else 2)
    return top / denominator[0]


cdef inline void activate(
    int kind, const real* Z, real* A, Py_ssize_t n
) noexcept nogil:
    """A_j = f_j(Z_j) of n elements; A may be Z.  (F2)"""
    cdef Py_ssize_t i
    cdef real z, e, other = 0
    if kind == Activation.IDENTITY:  # (A1)
        if A != Z:
            for i in range(n):
                A[i] = Z[i]
    elif kind == Activation.RELU:  # (A2); a NaN stays a NaN
        for i in range(n):
            A[i] = 0 if 0 > Z[i] else Z[i]
    elif kind == Activation.SIGMOID:  # (A3)
        for i in range(n):
            A[i] = logistic(Z[i])
    elif kind == Activation.TANH:  # (A4)
        for i in range(n):
            A[i] = hyperbolic_tangent(Z[i])
    elif kind == Activation.SELU:  # (A7)
        for i in range(n):
            z = Z[i]
            e = selu_floor() * exponential_less_one(0 if z > 0 else z)
            A[i] = selu_scale() * z if z > 0 else e
    elif kind == Activation.SILU:  # (A8)
        for i in range(n):
            A[i] = Z[i] * logistic(Z[i])
    elif kind == Activation.GELU:  # (A9)
        for i in range(n):
            z = with_sign(Z[i], -1)
            e = z * normal_tail(-z, &other)
            A[i] = (0 if 0 > Z[i] else Z[i]) + e
    elif kind == Activation.MISH:  # (A10)
        for i in range(n):
            z = Z[i]
            e = exponential(with_sign(z, -1))
            A[i] = z * mish_ratio(z, e, &other)
    elif kind == Activation.LEAKY_RELU:  # (A11)
        for i in range(n):
            A[i] = Z[i] if Z[i] > 0 else <real> 0.01 * Z[i]
    elif kind == Activation.EXP:  # (A5)
        for i in range(n):
            A[i] = exponential(Z[i])


cdef inline void times_derivative(
    int kind, const real* Z, const real* A, real* delta, Py_ssize_t n
) noexcept nogil:
    """delta <- delta * f'(Z), of n elements.  (B1) (B2)"""
    cdef Py_ssize_t i
    cdef real z, e, slope, ratio, other = 0
    if kind == Activation.RELU:  # relu'(0) = 0
        for i in range(n):
            delta[i] = 0 if A[i] == 0 else delta[i]
    elif kind == Activation.SIGMOID:
        for i in range(n):
            delta[i] = delta[i] * A[i] * (1 - A[i])
    elif kind == Activation.TANH:
        for i in range(n):
            delta[i] = delta[i] * (1 - A[i] * A[i])
    elif kind == Activation.SELU:  # selu'(0) is the left slope
        for i in range(n):
            slope = selu_scale() if A[i] > 0 else A[i] + selu_floor()
            delta[i] = delta[i] * slope
    elif kind == Activation.SILU:
        for i in range(n):
            # The slope at -|z|; those at z and -z add up to 1.
            z = with_sign(Z[i], -1)
            e = exponential(z)
            other = 1 / (1 + e)
            slope = e * other * (1 + z * other)
            delta[i] = delta[i] * (1 - slope if Z[i] > 0 else slope)
    elif kind == Activation.GELU:
        for i in range(n):
            # The same symmetry. The number is 1 / sqrt(2 pi).
            z = with_sign(Z[i], -1)
            slope = normal_tail(-z, &other)
            slope = slope + z * other * <real> 0.3989422804014327
            delta[i] = delta[i] * (1 - slope if Z[i] > 0 else slope)
    elif kind == Activation.MISH:
        for i in range(n):
            z = Z[i]
            e = exponential(with_sign(z, -1))
            ratio = mish_ratio(z, e, &other)
            # d ratio / dz = 4 exp(z) (exp(z) + 1) / (n + 2)^2, with its n.
            slope = 4 * (e * e if z > 0 else e) * (1 + e) / (other * other)
            delta[i] = delta[i] * (ratio + z * slope)
    elif kind == Activation.LEAKY_RELU:  # at 0 the smaller slope
        for i in range(n):
            delta[i] = delta[i] if A[i] > 0 else <real> 0.01 * delta[i]
    elif kind == Activation.EXP:  # 0 of a row without weight stays 0 at infinity
        for i in range(n):
            delta[i] = 0 if delta[i] == 0 else delta[i] * A[i]


cdef inline void softmax(
    const real* Z, real* A, Py_ssize_t n, Py_ssize_t q
) noexcept nogil:
    """A_ik = exp(Z_ik - max_k Z_ik) / sum_k exp(Z_ik - max_k Z_ik).  (A6)"""
    cdef Py_ssize_t i, j, k, r
    # Sixteen rows at a time, so that each loop over them becomes vectors.
    cdef Py_ssize_t[16] at
    cdef real[16] z
    cdef real[16] top
    cdef real[16] total
    cdef real e, highest
    for i in range(0, n, 16):
        for r in range(16):
            # Lanes without a row repeat the last one.
            at[r] = min(i + r, n - 1) * q
            top[r] = Z[at[r]]
            total[r] = 0
        for k in range(1, q):
            for r in range(16):
                z[r] = Z[at[r] + k]
            for r in range(16):
                e, highest = z[r], top[r]
                top[r] = e if e > highest else highest
        for k in range(q):
            for r in range(16):
                z[r] = Z[at[r] + k]
            for r in range(16):
                z[r] = exponential(z[r] - top[r])
                total[r] += z[r]
            for r in range(min(16, n - i)):
                A[at[r] + k] = z[r]
        for r in range(16):
            total[r] = 1 / total[r]
        for r in range(min(16, n - i)):
            for j in range(at[r], at[r] + q):
                A[j] *= total[r]
