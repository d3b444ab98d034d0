"""The parameters of ``BackpropMLP*`` as a topology and as settings of a training."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _constraints as allow
from ._inputs import Targets
from ._layers import make_topology
from ._schedules import FACTORS
from ._settings import Settings
from .core.optimizers import Solver
from .core.topology import Topology


def is_stochastic(estimator: Any) -> bool:
    """Whether the solver works on mini-batches, and so can take one more epoch."""
    if estimator.solver not in allow.STOCHASTIC_SOLVERS:
        raise AttributeError(
            "partial_fit is only available for stochastic optimizers. "
            f"{estimator.solver} is not stochastic."
        )
    return True


def check_solver(estimator: Any, incremental: bool, checkpoint: Any = None) -> None:
    """Refuse what the solver has no steps for, or the call no end."""
    if estimator.early_stopping and incremental:
        raise ValueError("partial_fit does not support early_stopping=True")
    if estimator.solver == "lbfgs":
        if checkpoint is not None:
            raise ValueError(
                "checkpoint is for solvers with mini-batches: SciPy's L-BFGS-B cannot "
                "go on from a state. Got solver='lbfgs'."
            )
        for name, least in (("dropout", 0), ("max_grad_norm", None)):
            if getattr(estimator, name) != least:
                raise ValueError(
                    f"{name} is for solvers with mini-batches. "
                    f"Got {name}={getattr(estimator, name)!r} and solver='lbfgs'."
                )
    names = ("learning_rate", "dropout_schedule", "weight_decay_schedule")
    for name in names if incremental else ():
        value = getattr(estimator, name)
        if value in FACTORS and value != "constant":
            raise ValueError(
                "partial_fit knows no end that a schedule could be a function of: "
                f"{name} must be 'constant'. Got {value!r}."
            )


def topology_of(
    estimator: Any, n_features: int, targets: Targets
) -> tuple[Topology, list[str]]:
    """The network's shape, and the name of the activation of every layer."""
    sizes = estimator.hidden_layer_sizes
    hidden = [int(size) for size in sizes] if np.iterable(sizes) else [int(sizes)]
    if any(size <= 0 for size in hidden):
        given = allow.shown(hidden)
        raise ValueError(f"hidden_layer_sizes must be > 0, got {given}.")
    if any(size >= 2**31 for size in hidden):
        given = allow.shown(hidden)
        raise ValueError(f"hidden_layer_sizes must be < 2**31, got {given}.")
    if isinstance(estimator.activation, str):
        # The output layer's initial bound follows the hidden activation.
        names = [estimator.activation] * (len(hidden) + 1)
    else:
        names = list(estimator.activation)
        if len(names) != len(hidden):
            raise allow.InvalidParameterError(
                f"The 'activation' parameter of {type(estimator).__name__} must be one "
                f"str or one for each of the {len(hidden)} hidden layers. "
                f"Got {estimator.activation!r} instead."
            )
        names.append(names[-1] if names else "identity")
    layers = [n_features, *hidden, targets.n_outputs]
    topology = make_topology(
        layers,
        names[:-1],
        targets.output_activation,
        targets.loss,
        loss_parameters=estimator._loss_parameters(),
    )
    return topology, names


def settings_of(estimator: Any, n_rows: int, incremental: bool) -> Settings:
    """The hyper-parameters, for so many training rows."""
    stochastic = estimator.solver in allow.STOCHASTIC_SOLVERS
    batch_size = estimator.batch_size
    if batch_size == "auto":
        batch_size = 200
    return Settings(
        solver=Solver[estimator.solver.upper()] if stochastic else Solver.SGD,
        learning_rate_init=float(estimator.learning_rate_init),
        batch_size=int(min(batch_size, n_rows)),
        max_iter=1 if incremental else int(estimator.max_iter),
        tol=float(estimator.tol),
        n_iter_no_change=float(estimator.n_iter_no_change),
        shuffle=bool(estimator.shuffle),
        momentum=estimator.momentum,
        nesterov=estimator.nesterovs_momentum,
        beta_1=estimator.beta_1,
        beta_2=estimator.beta_2,
        epsilon=estimator.epsilon,
        weight_decay=estimator.weight_decay,
        max_norm=float(estimator.max_grad_norm or 0),
        alpha=float(estimator.alpha),
        dropout=float(estimator.dropout),
        learning_rate=estimator.learning_rate,
        power_t=float(estimator.power_t),
        dropout_schedule=estimator.dropout_schedule,
        weight_decay_schedule=estimator.weight_decay_schedule,
    )


def clipped_batch_size(estimator: Any, n_rows: int) -> list[tuple[str, type[Warning]]]:
    """A warning where a batch is to have more rows than there are."""
    if estimator.solver == "lbfgs" or estimator.batch_size == "auto":
        return []
    if estimator.batch_size <= n_rows:
        return []
    text = (
        "Got `batch_size` less than 1 or larger than sample size. It is going "
        "to be clipped"
    )
    return [(text, UserWarning)]
