"""Optimisers: the enumeration, their numbers, and one step on flat vectors.

A new optimiser is one enumerator, one line in ``slots`` and one branch in
``step``, all here, and its paragraph in docs/derivations.md.
"""

from libc.math cimport pow, sqrt

from .elementary cimport square_root
from .real cimport real


cpdef enum Solver:
    SGD = 0
    ADAM = 1
    ADAMW = 2


cdef class Optimizer:
    cdef readonly int kind
    cdef public double learning_rate, momentum, beta_1, beta_2, epsilon, weight_decay
    cdef public bint nesterov
    cdef public long long t
    # The gradient's norm is cut to it; 0: no limit.  (C1)
    cdef public double max_norm
    # Factors of learning rate and decay by parameter group, or None: the groups' own.
    cdef public object rates, decays


cdef struct StepScale:
    # Of a step: eta_t (O4); eta lambda (O5), without Adam's correction; what multiplies
    # theta in the penalty's gradient (R1), and a gradient that is too long (C1).
    double learning_rate, decay, l2, clip


cdef struct GroupScale:
    # Of a step of a parameter group: eta_t; 1 - eta lambda; and the penalty's factor.
    double learning_rate, kept, l2


cdef struct Slice:
    # Parameters that stand together: their gradient, and what is remembered of it.
    real* theta
    real* grad
    real* first
    real* second
    Py_ssize_t n


cdef inline int slots(int kind) noexcept nogil:
    """How many vectors of theta's length the optimiser remembers."""
    return 1 if kind == Solver.SGD else 2


cdef inline double rate(Optimizer opt, long long t) noexcept nogil:
    """eta_t of step t: Adam corrects it for moments that began at zero.  (O4)"""
    if opt.kind == Solver.SGD:
        return opt.learning_rate
    return (
        opt.learning_rate * sqrt(bias_correction(opt.beta_2, t))
        / bias_correction(opt.beta_1, t)
    )


cdef inline double bias_correction(double beta, long long t) noexcept nogil:
    """1 - beta^t; exactly 1 where beta^t < exp(-40) is below a double's rounding."""
    if t * (1 - beta) > 40:
        return 1
    return 1 - pow(beta, <double> t)


cdef inline double decay(Optimizer opt) noexcept nogil:
    """eta lambda, what decay takes of a weight.  (O5)"""
    return opt.learning_rate * opt.weight_decay if opt.kind == Solver.ADAMW else 0


cdef inline void step(Optimizer opt, const GroupScale* scale, Slice w) noexcept nogil:
    """theta <- kept theta + update(grad + l2 theta, what is remembered)."""
    if opt.kind == Solver.SGD:
        sgd(opt, scale, w)
    else:
        adam(opt, scale, w)


cdef inline void sgd(Optimizer opt, const GroupScale* scale, Slice w) noexcept nogil:
    """v <- mu v - eta g; theta <- theta + v, or + mu v - eta g.  (O1) (O2) (O3)"""
    cdef Py_ssize_t i
    cdef real eta = <real> scale.learning_rate, mu = <real> opt.momentum
    cdef real l2 = <real> scale.l2, g
    cdef real* theta = w.theta
    cdef real* v = w.first
    if opt.nesterov:
        for i in range(w.n):
            g = w.grad[i] + l2 * theta[i]
            v[i] = mu * v[i] - eta * g
            theta[i] += mu * v[i] - eta * g
    else:
        for i in range(w.n):
            g = w.grad[i] + l2 * theta[i]
            v[i] = mu * v[i] - eta * g
            theta[i] += v[i]


cdef inline void adam(Optimizer opt, const GroupScale* scale, Slice w) noexcept nogil:
    """theta <- kept theta - eta_t m / (sqrt(v) + eps).  (O4) (O5)"""
    cdef Py_ssize_t i
    cdef real beta_1 = <real> opt.beta_1, beta_2 = <real> opt.beta_2
    cdef real rest_1 = <real> (1 - opt.beta_1), rest_2 = <real> (1 - opt.beta_2)
    cdef real epsilon = <real> opt.epsilon, eta = <real> scale.learning_rate
    cdef real l2 = <real> scale.l2, kept = <real> scale.kept, g
    cdef real* theta = w.theta
    cdef real* m = w.first
    cdef real* v = w.second
    for i in range(w.n):
        g = w.grad[i] + l2 * theta[i]
        m[i] = beta_1 * m[i] + rest_1 * g
        v[i] = beta_2 * v[i] + rest_2 * g * g
        theta[i] = kept * theta[i] - eta * m[i] / (square_root(v[i]) + epsilon)
