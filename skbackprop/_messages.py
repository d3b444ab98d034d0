"""What a fit says of itself when it has ended."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from . import _constraints as allow
from ._state import Ending, Problem


def divergence_advice(
    estimator: Any, problem: Problem, n_rows: int, weighted: bool
) -> str:
    """What to change where training diverged, on rows that may have weights."""
    rate = estimator.learning_rate_init
    lower = f" or lower learning_rate_init, which was {allow.shown(rate)}"
    lower = "" if estimator.solver == "lbfgs" else lower
    rows = n_rows if estimator.solver == "lbfgs" else problem.batch_size
    total = rows * problem.mean_weight
    if problem.alpha * rate > total:  # a step by the penalty alone overshoots
        over = f"{rows} rows"
        if weighted:
            lower += ", or use larger sample_weight or class_weight"
            given = np.ldexp(total, problem.weights.exponent)
            over = f"weights that sum to {given:.3g}"
        return (
            f"The penalty outweighs the data: alpha={estimator.alpha!r} is divided by "
            f"{over} in a batch. Lower alpha{lower}."
        )
    return (
        "The input data may contain large values and need to be preprocessed. "
        f"Scale the features (for example with StandardScaler){lower}."
    )


def ending_messages(
    ending: Ending, reason: str, problem: Problem, n_iter: int, unscored: bool
) -> list[tuple[str, type[Warning]]]:
    """The warnings that tell how a training ended, in scikit-learn's words."""
    if unscored:
        message = "No validation score was a finite number: the last epoch is kept."
        return [(message, ConvergenceWarning)]
    if ending == Ending.INTERRUPTED:
        return [("Training interrupted by user.", UserWarning)]
    if ending == Ending.DIVERGED:
        return [
            (
                f"Training diverged in epoch {n_iter + 1}; the epoch with the best "
                "validation score is kept. Lower learning_rate_init or scale the "
                "features.",
                ConvergenceWarning,
            )
        ]
    if ending != Ending.EXHAUSTED:
        return []
    if reason:
        limit = n_iter == problem.max_iter
        more = (
            "\nIncrease the number of iterations to improve the convergence "
            f"(max_iter={problem.max_iter})."
        )
        return [
            (
                f"lbfgs failed to converge after {n_iter} iteration(s) {reason}"
                f"{more if limit else ''}\nYou might also want to scale the data as "
                "shown in:\n    https://scikit-learn.org/stable/modules/"
                "preprocessing.html",
                ConvergenceWarning,
            )
        ]
    return [
        (
            f"Stochastic Optimizer: Maximum iterations ({problem.max_iter}) reached "
            "and the optimization hasn't converged yet.",
            ConvergenceWarning,
        )
    ]
