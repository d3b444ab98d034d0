"""One network of an ensemble, and its training."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .._layers import Array
from .._observers import Watch
from .._settings import Settings, make_problem, make_state, weight_total
from .._state import Ending, State
from .._training import train
from ..core.optimizers import Solver
from ..core.topology import Topology
from ._initialization import (
    TargetTotals,
    best_constant,
    constant_parameters,
    initialize,
)
from ._recipe import Recipe

if TYPE_CHECKING:
    from ..core.engine import Table

#: Rows that the first parameters are fitted to.
SAMPLE = 1024
#: Of the recipe's learning rate, what biases and embeddings get.
_BIAS_RATE, _EMBEDDING_RATE = 0.1, 0.3
_BETA_2 = 0.95


class Member(NamedTuple):
    """A trained network, and how it was found."""

    theta: Array
    #: The epoch that was kept, counted from 1, its validation score, and all scores. 0
    #: is the best constant, before the first epoch.
    best_epoch: int
    score: float
    scores: list[float]
    #: What was minimised, of every epoch.
    losses: list[float]
    ending: Ending

    def as_plain(self) -> dict[str, Any]:
        """As arrays and plain values, for a checkpoint."""
        return self._asdict() | {
            "score": float(self.score),
            "scores": [float(score) for score in self.scores],
            "losses": [float(loss) for loss in self.losses],
            "ending": str(self.ending),
        }

    @classmethod
    def from_plain(cls, plain: dict[str, Any], topology: Topology) -> Member:
        """The member that ``as_plain`` has written down."""
        theta, scores, epoch = plain["theta"], plain["scores"], plain["best_epoch"]
        if theta.dtype != np.float32 or theta.shape != (topology.n_parameters,):
            raise ValueError("a network is of another shape")
        numbers = [*scores, *plain["losses"], plain["score"]]
        if not np.isfinite(theta).all() or not all(type(x) is float for x in numbers):
            raise ValueError("a network is not finite, or has no scores")
        if len(plain["losses"]) != len(scores):
            raise ValueError("a network has not a loss for every score")
        if type(epoch) is not int or not 0 <= epoch <= len(scores):
            raise ValueError("a network has no best epoch")
        return cls(**(plain | {"ending": Ending(plain["ending"])}))


def group_factors(topology: Topology) -> tuple[Array, Array]:
    """Learning rates and decays of the groups of parameters, relative to the recipe's.

    Adam's steps are as long as the learning rate, whatever the gradient: a matrix of
    many rows must take shorter ones for its sums to move as much (the neural tangent
    parametrisation, in which decay does not shrink with them).
    """
    rates, decays = [], []
    for group in topology.groups:
        rate, decay = 1.0, float(group.decays)
        if group.penalised:  # the weights of a layer
            root = np.sqrt(group.shape[0])  # of the fan-in
            rate, decay = 1 / root, root
        elif group.start >= topology.embeddings.n_parameters:
            rate = _BIAS_RATE
        else:
            rate = _EMBEDDING_RATE
            if group.name == "b":
                rate *= _BIAS_RATE
        rates.append(rate)
        decays.append(decay)
    return np.array(rates), np.array(decays)


def settings_of(topology: Topology, recipe: Recipe, n_rows: int) -> Settings:
    """The recipe's hyper-parameters for a member of so many rows."""
    rates, decays = group_factors(topology)
    return Settings(
        solver=Solver.ADAMW,
        learning_rate_init=recipe.learning_rate_init,
        batch_size=min(recipe.batch_size, n_rows),
        max_iter=recipe.max_iter,
        tol=0.0,
        n_iter_no_change=recipe.n_iter_no_change,
        nesterov=False,
        momentum=0.0,
        beta_2=_BETA_2,
        weight_decay=recipe.weight_decay,
        rates=rates,
        decays=decays,
        dropout=recipe.dropout,
        learning_rate="cosine",
        dropout_schedule="flat_cosine",
        weight_decay_schedule="flat_cosine",
    )


def new_state(
    topology: Topology, recipe: Recipe, table: Table, rows: Array, seed: int
) -> State:
    """A member before its first epoch."""
    random_state = np.random.RandomState(seed)
    sample = rows[random_state.permutation(len(rows))[:SAMPLE]]
    theta = initialize(
        topology,
        table.X[sample],
        best_constant(topology, TargetTotals.of(topology, table, rows)),
        recipe.output_scale,
        random_state,
    )
    settings = settings_of(topology, recipe, len(rows))
    return make_state(settings, theta, random_state, rows.copy())


def train_member(
    topology: Topology,
    recipe: Recipe,
    table: Table,
    rows: Array,
    validate: Callable[[Array], float],
    seed: int,
    may_be_constant: bool,
    watch: Watch | None = None,
    state: State | None = None,
) -> Member:
    """Train a network on some rows; what is kept is the epoch of the best score.

    It is the best constant instead, where that is asked for and no epoch is as good. A
    ``state`` of some epochs goes on. Raises KeyboardInterrupt where there was one
    before the first epoch was complete.
    """
    settings = settings_of(topology, recipe, len(rows))
    weights = weight_total(table, rows, 0)
    problem = make_problem(settings, topology, weights, seed=seed)
    state = state or new_state(topology, recipe, table, rows, seed)
    constant, constant_score = None, -np.inf
    if may_be_constant:
        # Now, since after an interrupt nothing that takes long is computed.
        middle = best_constant(topology, TargetTotals.of(topology, table, rows))
        constant = constant_parameters(topology, middle)
        constant_score = validate(constant)
    ending = train(problem, state, table, validate, watch)
    return ended(state, ending, recipe, constant, constant_score)


def ended(
    state: State,
    ending: Ending,
    recipe: Recipe,
    constant: Array | None,
    constant_score: float,
) -> Member:
    """What is kept of a training: its best epoch, or the constant.

    The state has the parameters of the best epoch.
    """
    scores, losses = list(state.history.validation_scores), state.history.loss_curve
    found = np.isfinite(scores).any()
    if ending == Ending.DIVERGED and not found:
        raise diverged(recipe)
    epoch = 1 + int(np.nanargmax(scores)) if found else len(scores)
    if constant is not None and scores[epoch - 1] < constant_score:
        return Member(constant, 0, constant_score, scores, losses, ending)
    return Member(state.theta, epoch, scores[epoch - 1], scores, losses, ending)


def diverged(recipe: Recipe) -> ValueError:
    return ValueError(
        "Training diverged before an epoch had a finite validation score: lower "
        f"learning_rate_init, which was {recipe.learning_rate_init!r}."
    )
