"""The fused type, and the elementary functions of libm, spelled once."""

from libc.math cimport exp, expf, log1p, log1pf, sqrt, sqrtf, tanh, tanhf

cdef fused real:
    float
    double


cdef inline real exponential(real x) noexcept nogil:
    if real is float:
        return expf(x)
    else:
        return exp(x)


cdef inline real hyperbolic_tangent(real x) noexcept nogil:
    if real is float:
        return tanhf(x)
    else:
        return tanh(x)


cdef inline real square_root(real x) noexcept nogil:
    if real is float:
        return sqrtf(x)
    else:
        return sqrt(x)


cdef inline real logistic(real x) noexcept nogil:
    """1 / (1 + exp(-x)), from exp(-|x|), which cannot overflow.  (A3)"""
    cdef real e = exponential(-x if x > 0 else x)
    # A NaN fails both comparisons and comes out as e / (1 + e), a NaN.
    return (1 if x > 0 else e) / (1 + e)


cdef inline real log_of_one_plus(real x) noexcept nogil:
    if real is float:
        return log1pf(x)
    else:
        return log1p(x)


cdef inline double machine_epsilon(const real* tag) noexcept nogil:
    """The spacing of the numbers above 1, of the type that tag points to."""
    if real is float:
        return 1.1920928955078125e-07
    else:
        return 2.220446049250313e-16
