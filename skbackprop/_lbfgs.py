"""L-BFGS, by SciPy, on loss and gradient of all rows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.optimize

from ._evaluation import value_and_gradient
from ._layers import Array
from ._observers import Watch
from ._state import Ending, Problem, State
from ._training import outputs_are_finite

if TYPE_CHECKING:
    from .core.engine import Table


def train_lbfgs(
    problem: Problem,
    state: State,
    table: Table,
    max_fun: int,
    watch: Watch | None = None,
) -> tuple[Ending, str]:
    """L-BFGS-B of SciPy on loss and gradient of all rows.

    Returns what ended it, and SciPy's message where it was not convergence.
    """
    history, theta = state.history, state.theta
    grad = np.empty_like(theta)
    iterate, loss = theta.astype(np.float64), history.loss
    stopped = False
    denominator = problem.mean_weight * table.n_rows

    def objective(x: Array) -> tuple[float, Array]:
        theta[:] = x
        value = value_and_gradient(
            problem.topology,
            theta,
            table,
            denominator=denominator,
            alpha=problem.alpha,
            grad=grad,
            n_threads=problem.n_threads,
        )
        history.loss = value
        # SciPy keeps what it is given, and float32 needs a copy anyway.
        return value, grad.astype(np.float64)

    def callback(intermediate_result: Any) -> None:
        nonlocal loss, stopped
        iterate[:] = intermediate_result.x
        history.n_iter += 1
        history.loss = loss = float(intermediate_result.fun)
        if watch is not None and watch.ends(state, None, None):
            stopped = True
            raise StopIteration

    try:
        result = scipy.optimize.minimize(
            objective,
            iterate.copy(),
            method="L-BFGS-B",
            jac=True,
            callback=callback,
            options={
                "maxfun": max_fun,
                "maxiter": problem.max_iter,
                "gtol": problem.tol,
            },
        )
        theta[:] = result.x
        finite = (
            math.isfinite(result.fun)
            and _is_finite(theta)
            and outputs_are_finite(problem.topology, theta, table)
        )
    except KeyboardInterrupt:
        if history.n_iter == 0:
            raise
        theta[:], history.loss = iterate, loss
        return Ending.INTERRUPTED, ""
    history.n_iter = min(result.nit, problem.max_iter)
    history.loss = float(result.fun)
    if not finite:
        # The line search left the finite numbers; the last iterate had not.
        theta[:], history.loss = iterate, loss
        return Ending.DIVERGED, ""
    if stopped:
        return Ending.STOPPED, ""
    if result.status != 0:
        return Ending.EXHAUSTED, f"(status={result.status}):\n{result.message}\n"
    return Ending.CONVERGED, ""


def _is_finite(theta: Array) -> bool:
    # A sum is a cheap first look; it may overflow where no element does.
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(theta.sum())) or bool(np.isfinite(theta).all())
