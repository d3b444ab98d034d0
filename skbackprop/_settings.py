"""From hyper-parameters to what a training is given, for every estimator alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ._layers import Array
from ._schedules import FACTORS, SCHEDULES, Plan, Schedule
from ._state import History, Problem, State, WeightTotal
from .core.optimizers import Optimizer, Solver, n_slots
from .core.topology import Topology

if TYPE_CHECKING:
    from .core.engine import Table


@dataclass(frozen=True)
class Settings:
    """The hyper-parameters of a training by mini-batches."""

    solver: Solver
    learning_rate_init: float
    batch_size: int
    #: Epochs to run, and the length of the schedules.
    max_iter: int
    tol: float
    n_iter_no_change: float
    shuffle: bool = True
    momentum: float = 0.9
    nesterov: bool = True
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    #: Factors of learning rate and decay by parameter group.
    rates: Array | None = None
    decays: Array | None = None
    max_norm: float = 0.0
    alpha: float = 0.0
    dropout: float = 0.0
    #: A schedule of scikit-learn's, over rows seen and plateaus, or one of ``FACTORS``.
    learning_rate: str = "constant"
    power_t: float = 0.5
    dropout_schedule: str = "constant"
    weight_decay_schedule: str = "constant"


def weight_total(table: Table, rows: Array, exponent: int) -> WeightTotal:
    """The sum of the weights of some rows, each of 1 without weights."""
    return WeightTotal(table.weight_sum(rows), float(len(rows)), exponent)


def check_total(weights: WeightTotal) -> None:
    """Refuse weights over which no mean can be taken."""
    if weights.total == np.inf:
        raise ValueError(
            "The weights of the training rows sum to infinity: sample_weight or "
            "class_weight has a number that is too large."
        )
    if not weights.total > 0:
        raise ValueError(
            "The weights of the training rows sum to zero: sample_weight and "
            "class_weight must leave one above zero."
        )


def make_schedule(settings: Settings) -> Schedule:
    """scikit-learn's schedules, which are SGD's."""
    ours = settings.solver != Solver.SGD or settings.learning_rate not in SCHEDULES
    name = "constant" if ours else settings.learning_rate
    return Schedule(name, settings.learning_rate_init, settings.power_t)


def make_plan(settings: Settings) -> Plan:
    """Our schedules, which are any solver's."""
    ours = settings.learning_rate in FACTORS
    return Plan(
        settings.learning_rate if ours else "constant",
        settings.dropout_schedule,
        settings.weight_decay_schedule,
        settings.max_iter,
    )


def make_optimizer(settings: Settings) -> Optimizer:
    """The optimiser before its first step."""
    optimizer = Optimizer(
        settings.solver,
        settings.learning_rate_init,
        momentum=settings.momentum,
        nesterov=settings.nesterov,
        beta_1=settings.beta_1,
        beta_2=settings.beta_2,
        epsilon=settings.epsilon,
        weight_decay=settings.weight_decay,
    )
    optimizer.max_norm = settings.max_norm
    optimizer.rates, optimizer.decays = settings.rates, settings.decays
    return optimizer


def make_problem(
    settings: Settings,
    topology: Topology,
    weights: WeightTotal,
    *,
    seed: int,
    keeps_state: bool = False,
) -> Problem:
    """What training is given; ``seed`` is that of the dropout masks."""
    check_total(weights)
    alpha = settings.alpha
    if weights.exponent:  # beside tiny weights it may be infinite: training diverges
        with np.errstate(over="ignore", under="ignore"):
            alpha = float(np.ldexp(alpha, -weights.exponent))
    return Problem(
        topology=topology,
        alpha=alpha,
        weights=weights,
        max_iter=settings.max_iter,
        tol=settings.tol,
        n_iter_no_change=settings.n_iter_no_change,
        batch_size=settings.batch_size,
        shuffle=settings.shuffle,
        schedule=make_schedule(settings),
        plan=make_plan(settings),
        dropout=(settings.dropout, seed),
        keeps_state=keeps_state,
    )


def make_state(
    settings: Settings,
    theta: Array,
    random_state: np.random.RandomState,
    order: Array,
    history: History | None = None,
) -> State:
    """A training before its first epoch."""
    moments = np.zeros((n_slots(settings.solver), len(theta)), theta.dtype)
    return State(
        theta,
        moments,
        make_optimizer(settings),
        random_state,
        order,
        History() if history is None else history,
    )
