"""Optimisers: the enumeration, their numbers, and one step on flat vectors.

A new optimiser is one enumerator, one line in ``slots`` and one branch in
``step``, all here, and its paragraph in docs/derivations.md.
"""

from libc.math cimport pow, sqrt

from .real cimport real, square_root


cpdef enum Solver:
    SGD = 0
    ADAM = 1
    ADAMW = 2


cdef class Optimizer:
    cdef readonly int kind
    cdef public double learning_rate, momentum, beta_1, beta_2, epsilon, weight_decay
    cdef public bint nesterov
    cdef public long long t


cdef inline int slots(int kind) noexcept nogil:
    """How many vectors of theta's length the optimiser remembers."""
    return 1 if kind == Solver.SGD else 2


cdef inline void decay(Optimizer opt, real* W, Py_ssize_t n) noexcept nogil:
    """W <- (1 - eta lambda) W.  (O5)"""
    cdef Py_ssize_t i
    cdef real keep = <real> (1 - opt.learning_rate * opt.weight_decay)
    for i in range(n):
        W[i] = W[i] * keep


cdef inline bint decays(Optimizer opt) noexcept nogil:
    return opt.kind == Solver.ADAMW and opt.weight_decay != 0


cdef inline void step(
    Optimizer opt,
    long long t,
    real* theta,
    const real* grad,
    real* first,
    real* second,
    Py_ssize_t n,
) noexcept nogil:
    """Step t of n parameters: theta <- theta + update(grad, what is remembered)."""
    if opt.kind == Solver.SGD:
        sgd(opt, theta, grad, first, n)
    else:
        adam(opt, t, theta, grad, first, second, n)


cdef inline void sgd(
    Optimizer opt, real* theta, const real* grad, real* v, Py_ssize_t n
) noexcept nogil:
    """v <- mu v - eta g; theta <- theta + v, or + mu v - eta g.  (O1) (O2) (O3)"""
    cdef Py_ssize_t i
    cdef real eta = <real> opt.learning_rate, mu = <real> opt.momentum
    if opt.nesterov:
        for i in range(n):
            v[i] = mu * v[i] - eta * grad[i]
            theta[i] += mu * v[i] - eta * grad[i]
    else:
        for i in range(n):
            v[i] = mu * v[i] - eta * grad[i]
            theta[i] += v[i]


cdef inline void adam(
    Optimizer opt,
    long long t,
    real* theta,
    const real* grad,
    real* m,
    real* v,
    Py_ssize_t n,
) noexcept nogil:
    """theta <- theta - eta_t m / (sqrt(v) + eps).  (O4)"""
    cdef Py_ssize_t i
    cdef real beta_1 = <real> opt.beta_1, beta_2 = <real> opt.beta_2
    cdef real rest_1 = <real> (1 - opt.beta_1), rest_2 = <real> (1 - opt.beta_2)
    cdef real epsilon = <real> opt.epsilon
    cdef real eta = <real> (
        opt.learning_rate
        * sqrt(1 - pow(opt.beta_2, <double> t))
        / (1 - pow(opt.beta_1, <double> t))
    )
    for i in range(n):
        m[i] = beta_1 * m[i] + rest_1 * grad[i]
        v[i] = beta_2 * v[i] + rest_2 * grad[i] * grad[i]
        theta[i] -= eta * m[i] / (square_root(v[i]) + epsilon)
