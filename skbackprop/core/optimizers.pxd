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


cdef inline double rate(Optimizer opt, long long t) noexcept nogil:
    """eta_t of step t: Adam corrects it for moments that began at zero.  (O4)"""
    if opt.kind == Solver.SGD:
        return opt.learning_rate
    return opt.learning_rate * sqrt(gone(opt.beta_2, t)) / gone(opt.beta_1, t)


cdef inline double gone(double beta, long long t) noexcept nogil:
    """1 - beta^t; 1 where beta^t < exp(-40) is nothing beside it."""
    if t * (1 - beta) > 40:
        return 1
    return 1 - pow(beta, <double> t)


cdef inline double decay(Optimizer opt) noexcept nogil:
    """eta lambda, what decay takes of a weight.  (O5)"""
    return opt.learning_rate * opt.weight_decay if opt.kind == Solver.ADAMW else 0


cdef inline void step(
    Optimizer opt,
    double eta,
    double c,
    double keep,
    real* theta,
    const real* grad,
    real* first,
    real* second,
    Py_ssize_t n,
) noexcept nogil:
    """theta <- keep theta + update(grad + c theta, what is remembered), n of them."""
    if opt.kind == Solver.SGD:
        sgd(opt, eta, c, theta, grad, first, n)
    else:
        adam(opt, eta, c, keep, theta, grad, first, second, n)


cdef inline void sgd(
    Optimizer opt,
    double rate,
    double c,
    real* theta,
    const real* grad,
    real* v,
    Py_ssize_t n,
) noexcept nogil:
    """v <- mu v - eta g; theta <- theta + v, or + mu v - eta g.  (O1) (O2) (O3)"""
    cdef Py_ssize_t i
    cdef real eta = <real> rate, mu = <real> opt.momentum, l2 = <real> c, g
    if opt.nesterov:
        for i in range(n):
            g = grad[i] + l2 * theta[i]
            v[i] = mu * v[i] - eta * g
            theta[i] += mu * v[i] - eta * g
    else:
        for i in range(n):
            g = grad[i] + l2 * theta[i]
            v[i] = mu * v[i] - eta * g
            theta[i] += v[i]


cdef inline void adam(
    Optimizer opt,
    double rate,
    double c,
    double keep,
    real* theta,
    const real* grad,
    real* m,
    real* v,
    Py_ssize_t n,
) noexcept nogil:
    """theta <- keep theta - eta_t m / (sqrt(v) + eps).  (O4) (O5)"""
    cdef Py_ssize_t i
    cdef real beta_1 = <real> opt.beta_1, beta_2 = <real> opt.beta_2
    cdef real rest_1 = <real> (1 - opt.beta_1), rest_2 = <real> (1 - opt.beta_2)
    cdef real epsilon = <real> opt.epsilon, eta = <real> rate, l2 = <real> c, g
    cdef real left = <real> keep
    for i in range(n):
        g = grad[i] + l2 * theta[i]
        m[i] = beta_1 * m[i] + rest_1 * g
        v[i] = beta_2 * v[i] + rest_2 * g * g
        theta[i] = left * theta[i] - eta * m[i] / (square_root(v[i]) + epsilon)
