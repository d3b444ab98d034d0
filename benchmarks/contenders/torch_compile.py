"""PyTorch compiled: gather, forward, backward and update of several steps."""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

from . import Setup, Skipped, Training, initial_parameters

# One call of the compiled function costs up to 50 microseconds, as much as a
# small step: a call makes several. More of them compile for minutes.
STEPS_PER_CALL = 8


def prepare(X: np.ndarray, y: np.ndarray, setup: Setup) -> Training:
    """Return a training on one compiled function.

    The fastest form found: everything in one graph, the parameters in one
    buffer, so that the optimiser is one loop, and C++ around the kernels.
    """
    # Shapes measured before count towards the limit of recompilations.
    torch.compiler.reset()
    torch.set_num_threads(setup.threads)
    start = [torch.from_numpy(p) for p in initial_parameters(X, y, setup)]
    lengths = [p.numel() for p in start]
    X_all = torch.from_numpy(X)
    binary = start[-1].shape[0] == 1
    y_all = torch.from_numpy(y.astype(X.dtype)[:, None] if binary else y)
    update = _adam if setup.solver == "adam" else _sgd

    def loss_of(parameters: list[torch.Tensor], rows: torch.Tensor) -> torch.Tensor:
        A = X_all.index_select(0, rows)
        for W, b in zip(parameters[:-2:2], parameters[1:-2:2], strict=True):
            A = torch.relu(torch.addmm(b, A, W))
        Z = torch.addmm(parameters[-1], A, parameters[-2])
        y_batch = y_all.index_select(0, rows)
        if binary:
            return F.binary_cross_entropy_with_logits(Z, y_batch)
        return F.cross_entropy(Z, y_batch)

    loss_and_gradient = torch.func.grad_and_value(loss_of)

    def run(
        theta: torch.Tensor,
        m: torch.Tensor,
        v: torch.Tensor,
        count: torch.Tensor,
        total: torch.Tensor,
        order: torch.Tensor,
    ) -> None:
        for rows in order.split(setup.batch_size):
            pieces = theta.split(lengths)
            views = [t.view(p.shape) for t, p in zip(pieces, start, strict=True)]
            gradients, loss = loss_and_gradient(views, rows)
            gradient = torch.cat([g.reshape(-1) for g in gradients])
            count.add_(1)
            update(theta, m, v, gradient, count, setup.learning_rate)
            total.add_(loss * len(rows))

    compiled: Callable[..., None] = torch.compile(
        run, fullgraph=True, dynamic=False, options={"cpp_wrapper": True}
    )

    def train(epochs: int) -> float:
        torch.manual_seed(setup.random_state)
        theta = torch.cat([p.reshape(-1) for p in start])
        m, v = torch.zeros_like(theta), torch.zeros_like(theta)
        # One element, not none: PyTorch 2.13 loses what compiled code adds to a
        # float64 tensor without dimensions.
        count, total = X_all.new_zeros(1), X_all.new_zeros(1)
        with torch.no_grad():
            for _ in range(epochs):
                total.zero_()
                order = torch.randperm(len(X_all))
                for part in order.split(STEPS_PER_CALL * setup.batch_size):
                    compiled(theta, m, v, count, total, part)
        return float(total) / len(X_all)

    try:
        train(1)
    except Exception as error:  # no C++ compiler, an unsupported Python, ...
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise Skipped(f"does not compile: {reason[0]}") from error
    return train


def _adam(
    theta: torch.Tensor,
    m: torch.Tensor,
    v: torch.Tensor,
    gradient: torch.Tensor,
    count: torch.Tensor,
    rate: float,
) -> None:
    scale = rate * torch.sqrt(1 - 0.999**count) / (1 - 0.9**count)
    m.mul_(0.9).add_(gradient, alpha=0.1)
    v.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
    theta.sub_(scale * m / (v.sqrt() + 1e-8))


def _sgd(
    theta: torch.Tensor,
    m: torch.Tensor,
    v: torch.Tensor,
    gradient: torch.Tensor,
    count: torch.Tensor,
    rate: float,
) -> None:
    m.mul_(0.9).sub_(gradient, alpha=rate)
    theta.add_(0.9 * m - rate * gradient)
