"""Activations: the enumeration, the functions and their derivatives.

A new activation is one enumerator, one branch in ``activate`` and one in
``times_derivative``, all here, and its paragraph in docs/derivations.md.
"""

from .real cimport exponential, hyperbolic_tangent, logistic, real


cpdef enum Activation:
    IDENTITY = 0
    RELU = 1
    SIGMOID = 2
    TANH = 3
    # From 64 on: for the output layer only.
    EXP = 64
    SOFTMAX = 65


cdef inline bint needs_z(int kind) noexcept nogil:
    """Whether f' is written in Z, so that Z must outlive A.  None yet."""
    return False


cdef inline void activate(
    int kind, const real* Z, real* A, Py_ssize_t n
) noexcept nogil:
    """A_j = f_j(Z_j) of n elements; A may be Z.  (F2)"""
    cdef Py_ssize_t i
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
    elif kind == Activation.EXP:  # (A5)
        for i in range(n):
            A[i] = exponential(Z[i])


cdef inline void times_derivative(
    int kind, const real* Z, const real* A, real* delta, Py_ssize_t n
) noexcept nogil:
    """delta <- delta * f'(Z), of n elements.  (B1) (B2)"""
    cdef Py_ssize_t i
    if kind == Activation.RELU:  # relu'(0) = 0
        for i in range(n):
            delta[i] = 0 if A[i] == 0 else delta[i]
    elif kind == Activation.SIGMOID:
        for i in range(n):
            delta[i] = delta[i] * A[i] * (1 - A[i])
    elif kind == Activation.TANH:
        for i in range(n):
            delta[i] = delta[i] * (1 - A[i] * A[i])
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
