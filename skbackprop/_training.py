"""Training: the only Python loop, over epochs and the runs an epoch is made of.

What a user may observe, schedule, seed or interrupt happens here, between two runs;
what costs per batch happens inside ``engine.train_run``.
"""

from __future__ import annotations

import math
import pickle
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import scipy.optimize

from ._layers import Array
from ._schedules import Plan, Schedule
from ._table import (
    Table,
    block_rows,
    kind_of,
    make_scratch,
    predict,
    value_and_gradient,
)
from ._threads import Crew, share
from .core import engine
from .core.optimizers import Optimizer
from .core.regimen import Regimen
from .core.shuffle import shuffle
from .core.topology import Topology

# Ctrl-C waits for the end of a run.
_RUN_SECONDS = 0.05


@dataclass(frozen=True)
class Problem:
    """What a fit is given and does not change, but for the plan of its regimen."""

    topology: Topology
    table: Table
    alpha: float
    mean_weight: float
    #: The sum of the weights and the number of rows that the mean is taken over.
    weights: tuple[float, float]
    max_iter: int
    tol: float
    n_iter_no_change: float
    batch_size: int
    shuffle: bool
    schedule: Schedule
    regimen: Regimen
    plan: Plan
    #: The validation score of parameters theta; None without early stopping.
    validate: Callable[[Array], float] | None
    #: Whether moments outlive the fit, and so must belong to the epoch kept.
    keeps_state: bool
    #: Threads that share a step.
    n_threads: int = 1
    #: Weights, and alpha with them, are over two to this power.
    weight_exponent: int = 0

    @property
    def is_plain(self) -> bool:
        """Whether a step is gradient and step alone, which long batches need."""
        return (
            self.plan.constant
            and self.regimen.dropout == 0
            and self.regimen.max_norm == 0
            and self.topology.embeddings is None
        )


@dataclass
class History:
    """What has been seen so far, over all calls since the parameters were drawn."""

    loss: float = np.inf
    loss_curve: list[float] = field(default_factory=list)
    best_loss: float = np.inf
    validation_scores: list[float] = field(default_factory=list)
    best_validation_score: float = -np.inf
    no_improvement: int = 0
    t: int = 0
    n_iter: int = 0
    reductions: int = 0

    def copy(self) -> History:
        """The same numbers, and the same lists."""
        twin = History.__new__(History)
        twin.__dict__.update(self.__dict__)
        return twin

    def improved(self, loss: float, score: float | None, tol: float) -> bool:
        """Append an epoch; whether its score, else its loss, is the best so far."""
        self.loss = loss
        self.loss_curve.append(loss)
        # A plateau is judged against the best *before* this epoch, as scikit-learn's.
        if score is None:
            stalled = loss > self.best_loss - tol
            best = loss < self.best_loss
            self.best_loss = min(self.best_loss, loss)
        else:
            self.validation_scores.append(score)
            # A score that is not a number is no improvement.
            stalled = not score >= self.best_validation_score + tol
            best = score > self.best_validation_score
            if best:
                self.best_validation_score = score
        self.no_improvement = self.no_improvement + 1 if stalled else 0
        return best


@dataclass
class State:
    """What training changes: arrays and numbers only."""

    theta: Array
    memory: Array  # the optimiser's vectors, one per row
    optimizer: Optimizer
    random_state: np.random.RandomState
    order: Array  # the training rows, in the order of the last epoch
    history: History


class Snapshot(NamedTuple):
    """A complete epoch, to go back to."""

    theta: Array
    steps: int
    #: Moments and random stream, where they outlive the fit.
    memory: Array | None
    stream: Any
    history: History
    epochs: int
    scores: int


#: What ended a training.
CONVERGED, EXHAUSTED, INTERRUPTED, DIVERGED, STOPPED = (
    "converged",
    "exhausted",
    "interrupted",
    "diverged",
    "stopped",
)


def train(
    problem: Problem, state: State, after_epoch: Callable[[History, str | None], bool]
) -> str:
    """Train to convergence or max_iter epochs; the state becomes the epoch kept.

    ``after_epoch(history, message)`` is told of every epoch, with scikit-learn's
    sentence where a plateau was met; a true answer stops the training. Returns what
    ended it. Where it DIVERGED the state is the last finite epoch, or, with early
    stopping, the best; ``history.n_iter`` is 0 where no epoch was complete.
    """
    history, optimizer = state.history, state.optimizer
    history.n_iter = 0
    steps = _Steps(problem, state)
    # A warm start may be the best there is; else nothing goes back to before an epoch.
    warm = problem.validate is not None and history.best_validation_score > -np.inf
    last, best = None, _snapshot(problem, state) if warm else None
    spare: Array | None = None
    ended = EXHAUSTED
    try:
        for _ in range(problem.max_iter):
            if problem.shuffle:
                shuffle(state.random_state, state.order)
            steps.prepare(history.n_iter)
            loss = steps.epoch()
            # A moment that overflowed would hold its parameter for ever.
            if not (math.isfinite(loss) and steps.is_finite()):
                ended = DIVERGED
                break
            score = None if problem.validate is None else problem.validate(state.theta)
            history.n_iter += 1
            history.t += len(state.order)
            is_best = history.improved(loss, score, problem.tol)
            message, converged = _plateau(problem, history)
            optimizer.learning_rate = problem.schedule.rate(
                history.t, history.reductions
            )
            # The new snapshot takes the buffer of the one before the last.
            last, spare = (
                _snapshot(problem, state, spare),
                None if last is None or last is best else last.theta,
            )
            if is_best and problem.validate is not None:
                best = last
            if after_epoch(history, message):
                ended = STOPPED
                break
            if converged:
                ended = CONVERGED
                break
    except KeyboardInterrupt:
        if last is None:
            raise
        ended = INTERRUPTED
    # An epoch that was not completed has left its traces.
    if ended in (INTERRUPTED, DIVERGED) and last is not None:
        _restore(state, last)
    if best is not None and np.isfinite(state.history.best_validation_score):
        # Parameters of the best epoch, history of all of them.
        _restore_parameters(state, best)
    return ended


class _Steps:
    """The mini-batches of an epoch, in runs short enough for Ctrl-C."""

    def __init__(self, problem: Problem, state: State) -> None:
        self.problem, self.state = problem, state
        topology, dtype = problem.topology, state.theta.dtype
        sparse = problem.table.sparse
        self.block = block_rows(topology, dtype, sparse)
        # By size, not by time: blocks round in another order than the whole.
        self.long = problem.batch_size > 4 * self.block and problem.is_plain
        rows = self.block if self.long else problem.batch_size
        self.grad = np.empty_like(state.theta)
        self.scratch = make_scratch(
            topology, rows, dtype, sparse=sparse, dropping=problem.regimen.dropout > 0
        )
        self.batches_per_run = 1
        self.crew = Crew(problem.n_threads)
        # The functions of this dtype: to find out which takes as long as a short step.
        name = kind_of(dtype)
        self.train_run = engine.train_run[name]
        self._is_finite = engine.is_finite[name]
        self._square_sum = engine.square_sum[name]
        self.harmless = harmless_square(problem, name)

    def prepare(self, epoch: int) -> None:
        """Plan the steps of the epoch, counted from 0."""
        if self.problem.plan.constant:  # a short epoch would feel it
            return
        n_steps = -(-len(self.state.order) // self.problem.batch_size)
        self.problem.regimen.plan = self.problem.plan.of_epoch(epoch, n_steps)

    def is_finite(self) -> bool:
        """Whether parameters, moments and what they say of the rows are numbers."""
        theta, memory = self.state.theta, self.state.memory
        if not self._is_finite(memory):
            return False
        return self._square_sum(theta[None]) <= self.harmless or (
            self._is_finite(theta[None]) and outputs_are_finite(self.problem, theta)
        )

    def epoch(self) -> float:
        """One pass over the rows; the mean of the batches' objectives."""
        if self.long:
            return self._long_epoch()
        problem, state, crew = self.problem, self.state, self.crew
        several = crew.n_threads > 1
        n, total, start = len(state.order), 0.0, 0
        while start < n and math.isfinite(total):
            trial, batches = crew.on_trial(), self.batches_per_run
            if trial:
                batches = max(1, batches // 4)
            stop = min(n, start + batches * problem.batch_size)
            n_threads = crew.size()
            began = time.perf_counter()
            cpu_began = time.process_time() if several else 0.0
            total = share(
                self.train_run,
                problem.topology,
                state.optimizer,
                problem.regimen,
                state.theta,
                self.grad,
                state.memory,
                *problem.table,
                state.order,
                start,
                stop,
                problem.batch_size,
                problem.mean_weight,
                problem.alpha,
                total,
                self.scratch.work,
                self.scratch.label_work,
                self.scratch.sums,
                places=self.scratch.places,
                n_threads=n_threads,
            )
            seconds = time.perf_counter() - began
            if several:
                crew.took(seconds, time.process_time() - cpu_began, stop - start)
            if seconds < _RUN_SECONDS / 2 and stop < n and not trial:
                self.batches_per_run *= 2
            elif seconds > _RUN_SECONDS * 2:
                self.batches_per_run = max(1, self.batches_per_run // 2)
            start = stop
        return total / n

    def _long_epoch(self) -> float:
        """The same with batches so long that Ctrl-C is looked for inside them."""
        problem, state = self.problem, self.state
        topology, n, total = problem.topology, len(state.order), 0.0
        for start in range(0, n, problem.batch_size):
            stop = min(start + problem.batch_size, n)
            denominator = (stop - start) * problem.mean_weight
            value = value_and_gradient(
                topology,
                state.theta,
                problem.table,
                denominator=denominator,
                alpha=problem.alpha,
                rows=state.order[start:stop],
                grad=self.grad,
                n_threads=problem.n_threads,
            )
            total += value * (stop - start)
            if not np.isfinite(total):
                break
            engine.optimizer_step(
                topology, state.optimizer, state.theta, self.grad, state.memory
            )
        return total / n


def harmless_square(problem: Problem, kind: str) -> float:
    """A sum of the squares of theta with which no Z_j of the table can overflow.

    For a row let u_j^2 = 1 + ||A_j||^2, and let t_j^2 = ||W_j||^2 + ||b_j||^2. Then
    ||Z_j|| <= t_j u_{j-1} (Cauchy and Schwarz), and what a hidden unit makes of z is at
    most 1 or at most 1.76 |z|. So u_j^2 <= (1 + 3.1 t_j^2) u_{j-1}^2, if u_0^2 is not
    below 1 + the widest layer. For one sum of all t_j^2 the product over the layers is
    largest where they are alike.
    """
    topology, table = problem.topology, problem.table
    J, square = topology.n_layers, 1.0 + topology.widest
    embeddings = topology.embeddings
    if embeddings is not None:  # a layer more: sums of parameters, one times an edge
        J, n = J + 1, embeddings.n_numbers
        plain = table.X[:, n : n + embeddings.n_plain]
        largest = max(plain.max(initial=0.0), -plain.min(initial=0.0))
        square += embeddings.n_plain * float(largest) ** 2
        for edges in embeddings.edges:
            square += len(edges) + float(np.square(edges).max())
    else:
        X = table.data[None] if table.sparse else table.X
        square += engine.square_sum[kind](X)
    if not square < np.inf:
        return -1.0
    bits = 2.0 * (120 if kind == "float" else 1016) - math.log2(square)
    return J / 3.1 * (2.0 ** min(bits / J, 1000.0) - 1)


def outputs_are_finite(problem: Problem, theta: Array) -> bool:
    """Whether Z_J of every row of the table is a number."""
    finite = predict(
        problem.topology,
        theta,
        problem.table,
        link=False,
        finish=lambda Z: np.isfinite(Z).all(axis=1),
    )
    return bool(finite.all())


def _plateau(problem: Problem, history: History) -> tuple[str | None, bool]:
    """scikit-learn's sentence about a plateau, and whether training ends there."""
    if history.no_improvement <= problem.n_iter_no_change:
        return None, False
    what = "Training loss" if problem.validate is None else "Validation score"
    message = (
        f"{what} did not improve more than tol={problem.tol:f} for "
        f"{problem.n_iter_no_change:.0f} consecutive epochs."
    )
    if problem.schedule.can_reduce(history.reductions):
        history.reductions += 1
        history.no_improvement = 0
        rate = problem.schedule.rate(history.t, history.reductions)
        return f"{message} Setting learning rate to {rate:f}", False
    if problem.schedule.name == "adaptive":
        return f"{message} Learning rate too small. Stopping.", True
    return f"{message} Stopping.", True


def _is_finite(theta: Array) -> bool:
    # A sum is a cheap first look; it may overflow where no element does.
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(theta.sum())) or bool(np.isfinite(theta).all())


def _snapshot(problem: Problem, state: State, buffer: Array | None = None) -> Snapshot:
    theta = np.empty_like(state.theta) if buffer is None else buffer
    np.copyto(theta, state.theta)
    history, keeps = state.history.copy(), problem.keeps_state
    return Snapshot(
        theta,
        state.optimizer.t,
        state.memory.copy() if keeps else None,
        state.random_state.get_state(legacy=False) if keeps else None,
        history,
        len(history.loss_curve),
        len(history.validation_scores),
    )


def _restore_parameters(state: State, snapshot: Snapshot) -> None:
    np.copyto(state.theta, snapshot.theta)
    state.optimizer.t = snapshot.steps
    if snapshot.memory is not None:
        np.copyto(state.memory, snapshot.memory)


def _restore(state: State, snapshot: Snapshot) -> None:
    _restore_parameters(state, snapshot)
    if snapshot.stream is not None:
        _restore_order(state, snapshot.stream)
    state.history = snapshot.history
    # The lists are shared with what came later.
    del state.history.loss_curve[snapshot.epochs :]
    del state.history.validation_scores[snapshot.scores :]


def _restore_order(state: State, stream: Any) -> None:
    """Undo the shuffle of an epoch that was not completed, and its draws."""
    now = state.random_state.get_state(legacy=False)
    state.random_state.set_state(stream)
    if pickle.dumps(now) == pickle.dumps(stream):
        return
    permutation = np.arange(len(state.order))
    state.random_state.shuffle(permutation)
    shuffled = state.order.copy()
    state.order[permutation] = shuffled
    state.random_state.set_state(stream)


def train_lbfgs(
    problem: Problem,
    state: State,
    max_fun: int,
    after_epoch: Callable[[History, str | None], bool],
) -> tuple[str, str]:
    """L-BFGS-B of SciPy on loss and gradient of all rows.

    Returns what ended it, and SciPy's message where it was not convergence.
    """
    history, theta = state.history, state.theta
    history.n_iter = 0
    grad = np.empty_like(theta)
    iterate, loss = theta.astype(np.float64), history.loss
    stopped: list[bool] = []
    denominator = problem.mean_weight * problem.table.n_rows

    def objective(x: Array) -> tuple[float, Array]:
        theta[:] = x
        value = value_and_gradient(
            problem.topology,
            theta,
            problem.table,
            denominator=denominator,
            alpha=problem.alpha,
            grad=grad,
            n_threads=problem.n_threads,
        )
        history.loss = value
        # SciPy keeps what it is given, and float32 needs a copy anyway.
        return value, grad.astype(np.float64)

    def callback(intermediate_result: Any) -> None:
        nonlocal loss
        iterate[:] = intermediate_result.x
        history.n_iter += 1
        history.loss = loss = float(intermediate_result.fun)
        if after_epoch(history, None):
            stopped.append(True)
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
    except KeyboardInterrupt:
        if history.n_iter == 0:
            raise
        theta[:], history.loss = iterate, loss
        return INTERRUPTED, ""
    history.n_iter = min(result.nit, problem.max_iter)
    history.loss = float(result.fun)
    theta[:] = result.x
    if not (
        np.isfinite(history.loss)
        and _is_finite(theta)
        and outputs_are_finite(problem, theta)
    ):
        # The line search left the finite numbers; the last iterate had not.
        theta[:], history.loss = iterate, loss
        return DIVERGED, ""
    if stopped:
        return STOPPED, ""
    if result.status != 0:
        return EXHAUSTED, f"(status={result.status}):\n{result.message}\n"
    return CONVERGED, ""
