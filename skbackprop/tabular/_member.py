"""One network of a bag: its first parameters, and its training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .._layers import Array
from .._schedules import Plan, Schedule
from .._table import Table, activate, affine
from .._training import (
    DIVERGED,
    INTERRUPTED,
    History,
    Problem,
    State,
    train,
)
from ..core.losses import Loss
from ..core.optimizers import Optimizer, Solver, n_slots
from ..core.regimen import Regimen
from ..core.topology import Topology
from ._bins import from_positions
from ._recipe import Recipe

#: Rows that the first parameters are fitted to.
_SAMPLE = 1024
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
    ended: str


def initialize(
    topology: Topology,
    X: Array,
    output_bias: Array,
    output_scale: float,
    random_state: np.random.RandomState,
) -> Array:
    """First parameters that fit rows of the table.

    All pre-activations of a layer together have a root mean square of 1, those of the
    outputs of ``output_scale`` beside the bias. (Mishkin and Matas (2016) divide by a
    standard deviation; that of one unit is nearly zero where its inputs have few
    directions, as those of a single column.) Curves begin as straight lines, and biases
    at zero, but those of the outputs at what is best without any column.
    """
    embeddings = topology.embeddings
    theta = np.zeros(topology.n_parameters, dtype=np.float32)
    _, b, u, m, tables = embeddings.views(theta)
    b[...] = random_state.uniform(-1, 1, b.shape)
    for each in (u, m, *tables):
        each[...] = random_state.normal(size=each.shape)
    A = _embedded(topology, theta, X)
    weights, biases = topology.views(theta)
    for W, kind in zip(weights, topology.activations, strict=True):
        W[...] = random_state.normal(size=W.shape)
        Z = affine(A, W)
        size = np.float32(np.sqrt(np.mean(np.square(Z, dtype=np.float64))))
        size = size or np.float32(np.sqrt(len(W)))  # no row has anything here
        W /= size
        if W is not weights[-1]:
            A = activate(kind, Z / size)
    weights[-1][...] *= np.float32(output_scale)
    biases[-1][...] = output_bias
    return theta


def constant_parameters(topology: Topology, output_bias: Array) -> Array:
    """Parameters of a network whose outputs are the same for all rows."""
    theta = np.zeros(topology.n_parameters, dtype=np.float32)
    topology.views(theta)[1][-1][...] = output_bias
    return theta


def best_constant(topology: Topology, table: Table, rows: Array) -> Array:
    """Z_J of the smallest loss if it were the same for all rows, or nearly so.

    Log-odds and logarithms of shares, with half a row more for each class; quantiles,
    of which the weights have no say: it is a start.
    Of standardised targets the mean is 0, and so is about any other middle.
    """
    w = table.sample_weight[rows] if len(table.sample_weight) else np.ones(len(rows))
    w = w.astype(np.float64) * (len(rows) / w.sum(dtype=np.float64))
    if topology.loss == Loss.CATEGORICAL_CROSS_ENTROPY:
        counts = np.bincount(table.labels[rows], w, minlength=topology.sizes[-1])
        return np.log((counts + 0.5) / (counts + 0.5).sum())
    if topology.loss == Loss.BINARY_CROSS_ENTROPY:
        ones = w @ table.Y[rows]
        return np.log((ones + 0.5) / (len(rows) - ones + 0.5))
    if topology.loss == Loss.QUANTILE:
        levels = topology.loss_parameters or (0.5,)
        columns = table.Y[rows].T
        return np.array(
            [np.quantile(y, levels[k % len(levels)]) for k, y in enumerate(columns)]
        )
    return np.zeros(topology.sizes[-1])


def _embedded(topology: Topology, theta: Array, X: Array) -> Array:
    """A_0 of rows of the table while curves are still lines.  (E1) (E2)"""
    embeddings = topology.embeddings
    _, b, u, m, tables = embeddings.views(theta)
    n, n_plain = embeddings.n_numbers, embeddings.n_plain
    x = from_positions(X[:, :n], embeddings.edges)[:, :, None]
    numbers = np.where(np.isnan(x), m, b + np.nan_to_num(x) * u)
    parts = [numbers.reshape(len(X), -1), X[:, n : n + n_plain]]
    parts += [
        table[X[:, n + n_plain + c].astype(np.intp)] for c, table in enumerate(tables)
    ]
    return np.hstack(parts).astype(np.float32)


def group_factors(topology: Topology) -> tuple[Array, Array]:
    """Learning rates and decays of the groups of parameters, relative to the recipe's.

    Adam's steps are as long as the learning rate, whatever the gradient: a matrix of
    many rows must take shorter ones for its sums to move as much (the neural tangent
    parametrisation, in which decay does not shrink with them).
    """
    J = topology.n_layers
    rates, decays = np.ones(topology.n_groups), np.ones(topology.n_groups)
    root = np.sqrt(topology.sizes[:-1])  # of the fan-in
    rates[0 : 2 * J : 2], decays[0 : 2 * J : 2] = 1 / root, root
    rates[1 : 2 * J : 2], decays[1 : 2 * J : 2] = _BIAS_RATE, 0
    # V, b, u, m of the numbers, then the tables of the codes.
    rates[2 * J :] = _EMBEDDING_RATE
    rates[2 * J + 1] *= _BIAS_RATE
    decays[2 * J :] = [1, 0, 1, 0, 1]
    return rates, decays


def train_member(
    topology: Topology,
    recipe: Recipe,
    table: Table,
    rows: Array,
    validate: Callable[[Array], float],
    seed: int,
    stop: Callable[[], bool],
    may_be_constant: bool,
) -> Member:
    """Train a network on some rows; what is kept is the epoch of the best score.

    It is the best constant instead, where that is asked for and no epoch is as good.
    ``stop()`` is asked after every epoch. Raises KeyboardInterrupt where there was one
    before the first epoch was complete.
    """
    random_state = np.random.RandomState(seed)
    sample = rows[random_state.permutation(len(rows))[:_SAMPLE]]
    output_bias = best_constant(topology, table, rows)
    theta = initialize(
        topology, table.X[sample], output_bias, recipe.output_scale, random_state
    )
    rates, decays = group_factors(topology)
    optimizer = Optimizer(
        Solver.ADAMW,
        recipe.learning_rate_init,
        beta_2=_BETA_2,
        weight_decay=recipe.weight_decay,
    )
    total = table.weight_sum(rows)
    problem = Problem(
        topology=topology,
        table=table,
        alpha=0.0,
        mean_weight=total / len(rows),
        weights=(total, float(len(rows))),
        max_iter=recipe.max_iter,
        tol=0.0,
        n_iter_no_change=recipe.n_iter_no_change,
        batch_size=min(recipe.batch_size, len(rows)),
        shuffle=True,
        schedule=Schedule("constant", recipe.learning_rate_init, 0.5),
        regimen=Regimen(
            topology.n_groups,
            dropout=recipe.dropout,
            seed=seed,
            rates=rates,
            decays=decays,
        ),
        plan=Plan("cosine", "flat_cosine", "flat_cosine", recipe.max_iter),
        validate=validate,
        keeps_state=False,
    )
    state = State(
        theta,
        np.zeros((n_slots(Solver.ADAMW), len(theta)), dtype=np.float32),
        optimizer,
        random_state,
        rows.copy(),
        History(),
    )
    ended = train(problem, state, lambda history, message: stop())
    scores = list(state.history.validation_scores)
    found = np.isfinite(scores).any()
    if ended == DIVERGED and not found:
        raise diverged(recipe)
    epoch = 1 + int(np.nanargmax(scores)) if found else len(scores)
    if may_be_constant:
        constant = constant_parameters(topology, output_bias)
        score = validate(constant)
        if scores[epoch - 1] < score:
            return Member(constant, 0, score, scores, ended)
    return Member(state.theta, epoch, scores[epoch - 1], scores, ended)


def diverged(recipe: Recipe) -> ValueError:
    return ValueError(
        "Training diverged before an epoch had a finite validation score: lower "
        f"learning_rate_init, which was {recipe.learning_rate_init!r}."
    )


def has_diverged(member: Member) -> bool:
    return member.ended == DIVERGED


def was_interrupted(member: Any) -> bool:
    return member.ended == INTERRUPTED
