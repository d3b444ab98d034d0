"""The specification: every equation of docs/derivations.md as NumPy, same tags.

Rows are samples. Nothing here is fast and nothing works in place; the compiled
kernels are held equal to these functions, and these to central differences.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtr, xlog1py, xlogy

Array = NDArray[np.floating]
Function = Callable[[Array], Array]


# 1. Forward


def forward_product(A: Array, W: Array, b: Array | None) -> Array:
    """Z_j = A_{j-1} W_j + b_j.  (F1)"""
    return A @ W if b is None else A @ W + b


def activate(name: str, Z: Array) -> Array:
    """A_j = f_j(Z_j).  (F2)"""
    return softmax(Z) if name == "softmax" else ACTIVATIONS[name](Z)


def forward(
    X: Array,
    coefs: Sequence[Array],
    intercepts: Sequence[Array | None],
    activations: Sequence[str],
) -> tuple[list[Array], list[Array]]:
    """Z_1..Z_J and A_1..A_J by (F1) and (F2), from A_0 = X."""
    Zs: list[Array] = []
    As = [X]
    for W, b, name in zip(coefs, intercepts, activations, strict=True):
        Zs.append(forward_product(As[-1], W, b))
        As.append(activate(name, Zs[-1]))
    return Zs, As[1:]


# 2. Activations


def identity(Z: Array) -> Array:
    """f(z) = z.  (A1)"""
    return Z.copy()


def identity_derivative(Z: Array) -> Array:
    """f'(z) = 1.  (A1)"""
    return np.ones_like(Z)


def relu(Z: Array) -> Array:
    """f(z) = max(z, 0).  (A2)"""
    return np.maximum(Z, 0)


def relu_derivative(Z: Array) -> Array:
    """f'(z) = 1 for z > 0, else 0; so f'(0) = 0.  (A2)"""
    return (Z > 0).astype(Z.dtype)


def sigmoid(Z: Array) -> Array:
    """f(z) = 1 / (1 + exp(-z)).  (A3)"""
    return expit(Z)


def sigmoid_derivative(Z: Array) -> Array:
    """f'(z) = f(z) (1 - f(z)) = f(z) f(-z).  (A3)"""
    return expit(Z) * expit(-Z)


def tanh(Z: Array) -> Array:
    """f(z) = tanh(z).  (A4)"""
    return np.tanh(Z)


def tanh_derivative(Z: Array) -> Array:
    """f'(z) = 1 - f(z)^2.  (A4)"""
    return 1 - np.tanh(Z) ** 2


SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


def selu(Z: Array) -> Array:
    """f(z) = lambda z for z > 0, else lambda alpha (exp(z) - 1).  (A7)"""
    left = SELU_SCALE * SELU_ALPHA * np.expm1(np.minimum(Z, 0))
    return np.where(Z > 0, SELU_SCALE * Z, left)


def selu_derivative(Z: Array) -> Array:
    """f'(z) = lambda for z > 0, else lambda alpha exp(z).  (A7)"""
    left = SELU_SCALE * SELU_ALPHA * np.exp(np.minimum(Z, 0))
    return np.where(Z > 0, np.full_like(Z, SELU_SCALE), left)


def silu(Z: Array) -> Array:
    """f(z) = z sigma(z).  (A8)"""
    return Z * expit(Z)


def silu_derivative(Z: Array) -> Array:
    """f'(z) = sigma(z) (1 + z sigma(-z)).  (A8)"""
    return expit(Z) * (1 + Z * expit(-Z))


def gelu(Z: Array) -> Array:
    """f(z) = z Phi(z), with the distribution Phi of a standard normal.  (A9)"""
    return Z * ndtr(Z)


def gelu_derivative(Z: Array) -> Array:
    """f'(z) = Phi(z) + z phi(z), with its density phi.  (A9)"""
    return ndtr(Z) + Z * np.exp(-(Z**2) / 2) / np.sqrt(2 * np.pi).astype(Z.dtype)


def mish(Z: Array) -> Array:
    """f(z) = z tanh(log(1 + exp(z))).  (A10)"""
    return Z * np.tanh(np.logaddexp(0, Z))


def mish_derivative(Z: Array) -> Array:
    """f'(z) = t + z sigma(z) (1 - t^2) with t = f(z) / z.  (A10)"""
    t = np.tanh(np.logaddexp(0, Z))
    return t + Z * expit(Z) * (1 - t**2)


def leaky_relu(Z: Array) -> Array:
    """f(z) = max(z, 0.01 z).  (A11)"""
    return np.maximum(Z, 0.01 * Z)


def leaky_relu_derivative(Z: Array) -> Array:
    """f'(z) = 1 for z > 0, else 0.01.  (A11)"""
    return np.where(Z > 0, 1, 0.01).astype(Z.dtype)


def exp(Z: Array) -> Array:
    """f(z) = exp(z), of the output only.  (A5)"""
    return np.exp(Z)


def exp_derivative(Z: Array) -> Array:
    """f'(z) = exp(z).  (A5)"""
    return np.exp(Z)


def softmax(Z: Array) -> Array:
    """f_k(z) = exp(z_k) / sum_l exp(z_l), of the output only.  (A6)"""
    E = np.exp(Z - Z.max(axis=1, keepdims=True))
    return E / E.sum(axis=1, keepdims=True)


def softmax_jacobian(Z: Array) -> Array:
    """df_k/dz_l = f_k (1[k = l] - f_l), shape (n, K, K).  (A6)"""
    A = softmax(Z)
    return A[:, :, None] * (np.eye(Z.shape[1], dtype=Z.dtype) - A[:, None, :])


ACTIVATIONS: dict[str, Function] = {
    "identity": identity,
    "relu": relu,
    "sigmoid": sigmoid,
    "tanh": tanh,
    "selu": selu,
    "silu": silu,
    "gelu": gelu,
    "mish": mish,
    "leaky_relu": leaky_relu,
    "exp": exp,
}
DERIVATIVES: dict[str, Function] = {
    "identity": identity_derivative,
    "relu": relu_derivative,
    "sigmoid": sigmoid_derivative,
    "tanh": tanh_derivative,
    "selu": selu_derivative,
    "silu": silu_derivative,
    "gelu": gelu_derivative,
    "mish": mish_derivative,
    "leaky_relu": leaky_relu_derivative,
    "exp": exp_derivative,
}


# 3. Losses of one output, as functions of a = f(z): value and dl/da


def squared_error(A: Array, Y: Array) -> tuple[Array, Array]:
    """l = (a - y)^2 / 2, dl/da = a - y.  (L1)"""
    return (A - Y) ** 2 / 2, A - Y


def binary_cross_entropy(A: Array, Y: Array) -> tuple[Array, Array]:
    """l = -y log a - (1 - y) log(1 - a), a clipped to [eps, 1 - eps].  (L2)"""
    eps = np.finfo(A.dtype).eps
    C = np.clip(A, eps, 1 - eps)
    inside = (eps < A) & (A < 1 - eps)
    return (
        -xlogy(Y, C) - xlog1py(1 - Y, -C),
        np.where(inside, -Y / C + (1 - Y) / (1 - C), 0),
    )


def poisson(A: Array, Y: Array) -> tuple[Array, Array]:
    """l = y log(y/a) - y + a, dl/da = 1 - y/a, a clipped to [eps, inf).  (L4)"""
    eps = np.finfo(A.dtype).eps
    C = np.maximum(A, eps)
    return xlogy(Y, Y / C) - Y + C, np.where(eps < A, 1 - Y / C, 0)


def absolute_error(A: Array, Y: Array) -> tuple[Array, Array]:
    """l = |a - y|, dl/da = sign(a - y), 0 at 0.  (L6)"""
    return np.abs(A - Y), np.sign(A - Y)


def huber(A: Array, Y: Array, delta: float = 1.0) -> tuple[Array, Array]:
    """l = r^2 / 2 for r = a - y within delta, else delta (|r| - delta / 2).  (L7)"""
    R = A - Y
    outside = delta * (np.abs(R) - delta / 2)
    return np.where(np.abs(R) <= delta, R**2 / 2, outside), np.clip(R, -delta, delta)


def quantile(A: Array, Y: Array, *levels: float) -> tuple[Array, Array]:
    """l = max(tau (y - a), (tau - 1) (y - a)), columns taking tau in turn.  (L8)"""
    levels = levels or (0.5,)
    tau = np.tile(levels, A.shape[1] // len(levels)).astype(A.dtype)
    slope = np.where(A > Y, 1 - tau, np.where(A < Y, -tau, 0))
    return np.maximum(tau * (Y - A), (tau - 1) * (Y - A)), slope


def smoothed(name: str, Y: Array, epsilon: float) -> Array:
    """(1 - epsilon) y + epsilon / K; of a sigmoid K is 2.  (L9)"""
    K = 2 if name == "binary_cross_entropy" else Y.shape[1]
    return (1 - epsilon) * Y + epsilon / K


LOSSES: dict[str, Callable[..., tuple[Array, Array]]] = {
    "squared_error": squared_error,
    "binary_cross_entropy": binary_cross_entropy,
    "poisson": poisson,
    "absolute_error": absolute_error,
    "huber": huber,
    "quantile": quantile,
}


# The canonical pairs, as functions of z: value from the pre-activation, delta


def log_softmax(Z: Array) -> Array:
    """log f_k(z) = z_k - max(z) - log1p(sum of the other exp(z_l - max(z))).  (A6)"""
    S = Z - Z.max(axis=1, keepdims=True)
    others = np.sort(np.exp(S), axis=1)[:, :-1]
    return S - np.log1p(others.sum(axis=1, keepdims=True))


def canonical_rows(name: str, Z: Array, Y: Array) -> Array:
    """l_i from Z_J: (L1) identity, (L2) sigmoid, (L3) softmax, (L4) exp."""
    match name:
        case "squared_error":
            terms = (Z - Y) ** 2 / 2
        case "binary_cross_entropy":
            terms = np.maximum(Z, 0) - Y * Z + np.log1p(np.exp(-np.abs(Z)))
        case "categorical_cross_entropy":
            terms = -Y * log_softmax(Z)
        case _:
            terms = np.exp(Z) - Y * Z + xlogy(Y, Y) - Y
    return terms.sum(axis=1)


def canonical_delta(name: str, Z: Array, Y: Array) -> Array:
    """dl_i/dz = a - y, without cancellation where y = 1.  (L5)"""
    match name:
        case "squared_error":
            return Z - Y
        case "binary_cross_entropy":
            return np.where(Z > 0, (1 - Y) - expit(-Z), expit(Z) - Y)
        case "categorical_cross_entropy":
            A = softmax(Z)
            others = np.where(Y == 1, 0, A).sum(axis=1, keepdims=True)
            return np.where(Y == 1, -others, A - Y)
        case _:
            return np.exp(Z) - Y


CANONICAL: dict[str, str] = {
    "squared_error": "identity",
    "binary_cross_entropy": "sigmoid",
    "categorical_cross_entropy": "softmax",
    "poisson": "exp",
}
#: The output that goes with a loss, also where it does not make a pair of (L5).
LINKS: dict[str, str] = CANONICAL | {
    "absolute_error": "identity",
    "huber": "identity",
    "quantile": "identity",
}
SMOOTHED = ("binary_cross_entropy", "categorical_cross_entropy")


def loss_rows(
    name: str, output: str, Z: Array, Y: Array, parameters: Sequence[float] = ()
) -> Array:
    """l_i, shape (n,), the sum over outputs: (L1) to (L4), (L6) to (L9)."""
    if name in SMOOTHED and parameters:
        Y, parameters = smoothed(name, Y, *parameters), ()
    if CANONICAL.get(name) == output:
        return canonical_rows(name, Z, Y)
    return LOSSES[name](ACTIVATIONS[output](Z), Y, *parameters)[0].sum(axis=1)


def delta_rows(
    name: str, output: str, Z: Array, Y: Array, parameters: Sequence[float] = ()
) -> Array:
    """dl_i/dZ_J = dl_i/dA_J * f_J'(Z_J).  (B1), or (L5) for a canonical pair"""
    if name in SMOOTHED and parameters:
        Y, parameters = smoothed(name, Y, *parameters), ()
    if CANONICAL.get(name) == output:
        return canonical_delta(name, Z, Y)
    by_a = LOSSES[name](ACTIVATIONS[output](Z), Y, *parameters)[1]
    return by_a * DERIVATIVES[output](Z)


def objective(
    rows: Array, w: Array, coefs: Sequence[Array], alpha: float, D: float
) -> float:
    """L = [sum_i w_i l_i + alpha/2 sum_j ||W_j||^2] / D.  (L0)"""
    return float((w @ rows + alpha / 2 * sum(np.sum(W**2) for W in coefs)) / D)


# 4. Back-propagation


def backward_product(delta: Array, W: Array) -> Array:
    """dL/dA_{j-1} = delta_j W_j^T; for j = 1 it is dL/dX.  (B5)"""
    return delta @ W.T


def hidden_delta(delta: Array, W: Array, name: str, Z: Array) -> Array:
    """delta_j = (delta_{j+1} W_{j+1}^T) * f_j'(Z_j).  (B2)"""
    return backward_product(delta, W) * DERIVATIVES[name](Z)


def weight_gradient(A: Array, delta: Array) -> Array:
    """dL/dW_j = A_{j-1}^T delta_j.  (B3)"""
    return A.T @ delta


def bias_gradient(delta: Array) -> Array:
    """dL/db_j = sum over rows of delta_j.  (B4)"""
    return delta.sum(axis=0)


def penalty_gradient(W: Array, alpha: float, D: float) -> Array:
    """+ alpha W_j / D, for weights and never for biases.  (R1)"""
    return alpha * W / D


def loss_and_gradient(
    coefs: Sequence[Array],
    intercepts: Sequence[Array | None],
    X: Array,
    Y: Array,
    activations: Sequence[str],
    loss: str,
    sample_weight: Array | None = None,
    alpha: float = 0.0,
    denominator: float | None = None,
    parameters: Sequence[float] = (),
) -> tuple[float, list[Array], list[Array | None], Array]:
    """L by (L0); dL/dW_j, dL/db_j and dL/dX by (B1) to (B5) and (R1)."""
    w = np.ones(len(X)) if sample_weight is None else sample_weight
    D = float(w.sum()) if denominator is None else denominator
    Zs, As = forward(X, coefs, intercepts, activations)
    inputs = [X, *As[:-1]]
    pair = loss, activations[-1], Zs[-1], Y, parameters
    value = objective(loss_rows(*pair), w, coefs, alpha, D)
    delta = w[:, None] * delta_rows(*pair) / D
    dcoefs: list[Array] = []
    dintercepts: list[Array | None] = []
    for j in reversed(range(len(coefs))):
        penalty = penalty_gradient(coefs[j], alpha, D)
        dcoefs.insert(0, weight_gradient(inputs[j], delta) + penalty)
        dintercepts.insert(0, None if intercepts[j] is None else bias_gradient(delta))
        if j > 0:
            delta = hidden_delta(delta, coefs[j], activations[j - 1], Zs[j - 1])
    return value, dcoefs, dintercepts, backward_product(delta, coefs[0])


# 5. Optimisers


def sgd_step(
    theta: Array,
    grad: Array,
    velocity: Array,
    learning_rate: float,
    momentum: float,
    nesterov: bool,
) -> tuple[Array, Array]:
    """(theta, v): theta -= eta g for mu = 0 (O1); otherwise (O2) or (O3).

    v <- mu v - eta g, theta += v  (O2);  theta += mu v - eta g  (O3)
    """
    v = momentum * velocity - learning_rate * grad
    return theta + (momentum * v - learning_rate * grad if nesterov else v), v


def adam_step(
    theta: Array,
    grad: Array,
    m: Array,
    v: Array,
    t: int,
    learning_rate: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> tuple[Array, Array, Array]:
    """(theta, m, v): theta -= eta_t m / (sqrt(v) + eps), t = 1, 2, ...  (O4)

    eta_t = eta sqrt(1 - beta_2^t) / (1 - beta_1^t)
    """
    m = beta_1 * m + (1 - beta_1) * grad
    v = beta_2 * v + (1 - beta_2) * grad**2
    eta_t = learning_rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
    return theta - eta_t * m / (np.sqrt(v) + epsilon), m, v


def adamw_step(
    theta: Array,
    grad: Array,
    m: Array,
    v: Array,
    t: int,
    learning_rate: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    weight_decay: float,
    is_weight: NDArray[np.bool_] | bool,
) -> tuple[Array, Array, Array]:
    """W <- W (1 - eta weight_decay) on weights, then the step of (O4).  (O5)"""
    decayed = np.where(is_weight, theta * (1 - learning_rate * weight_decay), theta)
    return adam_step(decayed, grad, m, v, t, learning_rate, beta_1, beta_2, epsilon)


# The judge


def central_difference(f: Callable[[Array], float], x: Array, h: float = 1e-6) -> Array:
    """df/dx_k = [f(x + h e_k) - f(x - h e_k)] / 2h for every entry of x."""
    x = np.asarray(x, dtype=float)
    gradient = np.empty_like(x)
    for k in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[k] = h
        gradient[k] = (f(x + step) - f(x - step)) / (2 * h)
    return gradient


def embed(
    X: Array,
    edges: Sequence[Sequence[float]],
    V: Sequence[Array],
    b: Array,
    u: Array,
    m: Array,
    n_plain: int,
    tables: Sequence[Array],
) -> Array:
    """A_0 of positions, plain columns and codes.  (E1) (E2)"""
    parts, n = [], len(edges)
    for f, t in enumerate(edges):
        p, B = X[:, f, None], len(t) - 1
        present = np.clip(np.nan_to_num(p), 0, B)
        x = np.interp(present, np.arange(B + 1), t)
        steps = np.clip(present - np.arange(B), 0, 1)
        parts.append(np.where(np.isnan(p), m[f], b[f] + x * u[f] + steps @ V[f]))
    parts.append(X[:, n : n + n_plain])
    for c, table in enumerate(tables):
        k = X[:, n + n_plain + c]
        known = (k >= 0) & (k < len(table))
        parts.append(table[np.where(known, k, 0).astype(int)])
    return np.hstack(parts)


def drop(A: Array, kept: Array, p: float) -> Array:
    """What dropout leaves of A_j, and of delta_j on the way back.  (D1) (D2)"""
    return A * kept / (1 - p)


def mixed_key(x: int) -> int:
    """The finalizer of SplitMix64."""
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) % 2**64
    return x ^ (x >> 31)


def mixed(x: int) -> int:
    x = ((x ^ (x >> 16)) * 0x7FEB352D) % 2**32
    x = ((x ^ (x >> 15)) * 0x846CA68B) % 2**32
    return x ^ (x >> 16)


def kept_units(p: float, seed: int, step: int, layer: int, shape: Any) -> Array:
    """m_j: which units of which rows are kept in a step."""
    n, q = shape
    of_step = mixed_key(mixed_key(seed) ^ step)
    kept = np.empty(shape)
    for row in range(n):
        key = mixed_key(of_step ^ (row << 20) ^ layer)
        for unit in range(q):
            bits = mixed(mixed(unit ^ (key % 2**32)) ^ (key >> 32))
            kept[row, unit] = (bits >> 1) >= int(p * 2**31)
    return kept


def progress(n_steps: int) -> Array:
    """u of every step.  (S0)"""
    return (np.arange(n_steps) + 0.5) / n_steps


def clip_to(g: Array, max_norm: float) -> Array:
    """A gradient that is no longer than max_norm.  (C1)"""
    return g * min(1.0, max_norm / np.linalg.norm(g))


def mean_change(theta: Array, ends: list[Array], weights: list[float]) -> Array:
    """d = sum_k W_k (theta_k - theta) / sum_k W_k.  (Y1)"""
    changes = [end - theta for end in ends]
    return sum(w * c for w, c in zip(weights, changes, strict=True)) / sum(weights)


def outer_step(
    theta: Array, v: Array, d: Array, eta: float, mu: float
) -> tuple[Array, Array]:
    """v <- mu v + d, theta <- theta + eta (d + mu v).  (Y2)"""
    v = mu * v + d
    return theta + eta * (d + mu * v), v


def cycle(visits, order, first, state):
    """(Y3) A walk through all partitions, from the place ``first`` of an order."""
    for k in [*order[first:], *order[:first]]:
        state = visits[k](state)
    return state


def spread_over_edges(g: Array, p: Array, edges: Any) -> tuple[Array, ...]:
    """dL/dV, dL/db, dL/du and dL/dm from dL/da of every row.  (E3)"""
    B, here = len(edges) - 1, ~np.isnan(p)
    p, of_present = np.clip(p[here], 0, B), g[here]
    encoded = np.clip(p[:, None] - np.arange(B), 0, 1)
    x = np.interp(p, np.arange(B + 1), edges)
    dV, db, du = encoded.T @ of_present, of_present.sum(axis=0), x @ of_present
    return dV, db, du, g[~here].sum(axis=0)


def gather_codes(g: Array, codes: Array, n_rows: int) -> Array:
    """dL/dT from dL/da of every row.  (E4)"""
    return np.stack([g[codes == k].sum(axis=0) for k in range(n_rows)])
