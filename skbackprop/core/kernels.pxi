# Single kernels of this level and type, for Network and the tests.


def affine_layer(
    const real[::1] A,
    const real[::1] W,
    const real[::1] b,
    Py_ssize_t p,
    Py_ssize_t q,
    real[::1] Z,
):
    """Z_j = A_{j-1} W_j + b_j.  (F1)"""
    check_aligned(A)
    check_aligned(W)
    check_aligned(b)
    check_aligned(Z)
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
    check_aligned(Z)
    check_aligned(A)
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
    check_aligned(Z)
    check_aligned(A)
    check_aligned(delta)
    if Z.shape[0] != delta.shape[0] or A.shape[0] != delta.shape[0]:
        raise ValueError("Z, A and delta must have one length")
    if Z.shape[0] > 0:
        times_derivative(kind, &Z[0], &A[0], &delta[0], Z.shape[0])


def elementary(str name, const real[::1] x, real[::1] out):
    """out = exp(x), exp(x) - 1, tanh(x), log(1 + x), ... by its name."""
    cdef Py_ssize_t i, n = x.shape[0]
    cdef real e = 0
    check_aligned(x)
    check_aligned(out)
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


def square_sum(const real[:, ::1] X):
    """The sum of the squares of all elements, in double."""
    cdef Py_ssize_t n = X.shape[0] * X.shape[1]
    cdef const real* x = &X[0, 0] if n > 0 else NULL
    cdef double half = 0
    check_address(x)
    with nogil:
        half = half_square(x, n)
    return 2 * half


def is_finite(const real[:, ::1] X):
    """Whether no element is infinite or not a number."""
    cdef Py_ssize_t n = X.shape[0] * X.shape[1]
    cdef const real* x = &X[0, 0] if n > 0 else NULL
    cdef bint finite
    check_address(x)
    with nogil:
        finite = all_finite(x, n)
    return finite


cdef bint all_finite(const real* x, Py_ssize_t n) noexcept nogil:
    """Whether no element is infinite or not a number: x 0 is 0, or not a number."""
    cdef Py_ssize_t i, lane
    # Lanes, because one sum cannot be vectorised.
    cdef real[16] lanes
    cdef real total = 0
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


cdef int check_address(const real* data) except -1:
    """Vectors are loaded from addresses of reals only."""
    if <size_t> data % sizeof(real) != 0:
        raise ValueError(MISALIGNED)
    return 0


cdef int check_aligned(const real[::1] array) except -1:
    if array.shape[0] > 0:
        check_address(&array[0])
    return 0
