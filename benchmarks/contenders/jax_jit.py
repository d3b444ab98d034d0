"""JAX: a whole epoch in one compiled function."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from . import Setup, Training, initial_parameters

Arrays = list[jax.Array]
State = tuple[Arrays, Arrays, Arrays, jax.Array, jax.Array]


def prepare(X: np.ndarray, y: np.ndarray, setup: Setup) -> Training:
    """Return a training that scans over the mini-batches inside XLA."""
    jax.config.update("jax_enable_x64", X.dtype == np.float64)
    start = initial_parameters(X, y, setup)
    X_all = jnp.array(X)
    binary = start[-1].shape[0] == 1
    y_all = jnp.array(y.astype(X.dtype) if binary else y.astype(np.int32))
    whole = len(X) // setup.batch_size * setup.batch_size

    def loss_of(theta: Arrays, A: jax.Array, y_batch: jax.Array) -> jax.Array:
        for W, b in zip(theta[:-2:2], theta[1:-2:2], strict=True):
            A = jax.nn.relu(A @ W + b)
        Z = A @ theta[-2] + theta[-1]
        if binary:
            z = Z[:, 0]
            return jnp.mean(jnp.maximum(z, 0) - z * y_batch + _log1p_exp(z))
        log_p = jax.nn.log_softmax(Z)
        return -jnp.mean(jnp.take_along_axis(log_p, y_batch[:, None], axis=1))

    update = _adam if setup.solver == "adam" else _sgd

    def step(
        X_all: jax.Array, y_all: jax.Array, state: State, rows: jax.Array
    ) -> tuple[State, None]:
        theta, m, v, count, total = state
        A, y_batch = X_all[rows], y_all[rows]
        loss, gradient = jax.value_and_grad(loss_of)(theta, A, y_batch)
        count = count + 1
        theta, m, v = update(theta, m, v, gradient, count, setup.learning_rate)
        return (theta, m, v, count, total + loss * len(rows)), None

    @partial(jax.jit, donate_argnums=2)
    def epoch(
        X_all: jax.Array, y_all: jax.Array, state: State, order: jax.Array
    ) -> State:
        state = (*state[:4], jnp.zeros_like(state[4]))
        take = partial(step, X_all, y_all)
        state, _ = jax.lax.scan(
            take, state, order[:whole].reshape(-1, setup.batch_size)
        )
        if whole < len(order):
            state, _ = take(state, order[whole:])
        return state

    def train(epochs: int) -> float:
        rng = np.random.default_rng(setup.random_state)
        order = np.arange(len(X), dtype=np.int32)
        zero = jnp.zeros((), X.dtype)
        state: State = (
            [jnp.array(p) for p in start],
            [jnp.zeros_like(p) for p in start],
            [jnp.zeros_like(p) for p in start],
            zero,
            jnp.zeros_like(zero),
        )
        for _ in range(epochs):
            # NumPy shuffles far faster than XLA, which sorts random keys.
            state = epoch(X_all, y_all, state, jnp.array(rng.permutation(order)))
        return float(state[4]) / len(X)

    return train


def _log1p_exp(z: jax.Array) -> jax.Array:
    return jnp.log1p(jnp.exp(-jnp.abs(z)))


def _adam(
    theta: Arrays,
    m: Arrays,
    v: Arrays,
    gradient: Arrays,
    count: jax.Array,
    rate: float,
) -> tuple[Arrays, Arrays, Arrays]:
    scale = rate * jnp.sqrt(1 - 0.999**count) / (1 - 0.9**count)
    m = [0.9 * m_p + 0.1 * g for m_p, g in zip(m, gradient, strict=True)]
    v = [0.999 * v_p + 0.001 * g * g for v_p, g in zip(v, gradient, strict=True)]
    theta = [
        p - scale * m_p / (jnp.sqrt(v_p) + 1e-8)
        for p, m_p, v_p in zip(theta, m, v, strict=True)
    ]
    return theta, m, v


def _sgd(
    theta: Arrays,
    m: Arrays,
    v: Arrays,
    gradient: Arrays,
    count: jax.Array,
    rate: float,
) -> tuple[Arrays, Arrays, Arrays]:
    m = [0.9 * m_p - rate * g for m_p, g in zip(m, gradient, strict=True)]
    theta = [
        p + 0.9 * m_p - rate * g for p, m_p, g in zip(theta, m, gradient, strict=True)
    ]
    return theta, m, v
