"""Training: the only Python loop, over epochs and the runs an epoch is made of.

What a user may observe, schedule or seed happens here, between two runs;
what costs per batch happens inside ``Trainer.run`` of the engine.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ._adaptive_threads import AdaptiveThreads
from ._evaluation import block_rows, predict, value_and_gradient
from ._layers import Array
from ._observers import Watch
from ._state import Ending, History, Problem, Snapshot, State
from ._threads import LONG_FLOP, run_in_team
from .core import engine_of
from .core.activations import Activation
from .core.optimizers import Optimizer
from .core.shuffle import shuffle
from .core.topology import Topology

if TYPE_CHECKING:
    from .core.engine import Table

# The length of a run: Ctrl-C waits for the end of one that is not long.
_RUN_SECONDS = 0.05


def train(
    problem: Problem,
    state: State,
    table: Table,
    validate: Callable[[Array], float] | None = None,
    watch: Watch | None = None,
) -> Ending:
    """Train to convergence or max_iter epochs; the state becomes the epoch kept.

    A state that has been trained for some epochs goes on. ``validate`` gives the score
    of parameters on rows held out. Where training DIVERGED the state is the last finite
    epoch, or, with ``validate``, the best; ``history.n_iter`` is 0 where no epoch was
    complete.
    """
    history = state.history
    runs = Runs(problem, state, table)
    # A warm start may be the best there is; else nothing goes back to before an epoch.
    if validate is not None and history.best_validation_score > -np.inf:
        state.best = state.best or state.snapshot(problem.keeps_state)
    last: Snapshot | None = None
    older: Snapshot | None = None
    spare: Array | None = None
    if history.n_iter > 0:  # goes on with a training
        last = state.snapshot(problem.keeps_state)
    # Of a training that has ended nothing is repeated.
    over = history.n_iter > 0 and history.no_improvement > problem.n_iter_no_change
    ending = Ending.CONVERGED if over else Ending.EXHAUSTED
    try:
        while history.n_iter < problem.max_iter and not over:
            if watch is not None:
                watch.begins(history.n_iter + 1)
            if problem.shuffle:
                shuffle(state.random_state, state.order)
            runs.plan(history.n_iter)
            loss = runs.epoch()
            # A moment that overflowed would hold its parameter for ever.
            if not (math.isfinite(loss) and runs.is_finite()):
                ending = Ending.DIVERGED
                break
            score = None if validate is None else validate(state.theta)
            history.n_iter += 1
            history.t += len(state.order)
            is_best = history.improved(loss, score, problem.tol)
            message, converged = plateau(problem, history, score is not None)
            state.optimizer.learning_rate = problem.schedule.rate(
                history.t, history.reductions
            )
            # The new snapshot takes the buffer of the one before the last.
            kept = last is None or last is state.best or runs.may_overflow
            older, last, spare = (
                last,
                state.snapshot(problem.keeps_state, spare),
                None if kept else last.theta,
            )
            if is_best and validate is not None:
                state.best = last
            if watch is not None and watch.ends(state, score, message):
                ending = Ending.STOPPED
                break
            if converged:
                ending = Ending.CONVERGED
                break
    except KeyboardInterrupt:
        if last is None:
            raise
        ending = Ending.INTERRUPTED
    # An epoch that was not completed has left its traces.
    if ending in (Ending.INTERRUPTED, Ending.DIVERGED) and last is not None:
        state.restore(last)
    if state.best is not None and np.isfinite(state.history.best_validation_score):
        # Parameters of the best epoch, history of all of them.
        state.restore_parameters(state.best)
        older = None
    # Who has interrupted waits for an answer, not for a look at all rows.
    looks = runs.may_overflow and ending != Ending.INTERRUPTED
    if looks and not runs.exp_is_finite():
        # An epoch after which exp(Z) overflows is met in the loss of the next one.
        ending = Ending.DIVERGED
        if older is not None:
            state.restore(older)
        if older is None or not runs.exp_is_finite():
            state.history.n_iter = 0
    return ending


class Runs:
    """The mini-batches of an epoch, in runs short enough for Ctrl-C."""

    def __init__(self, problem: Problem, state: State, table: Table) -> None:
        self.problem, self.state, self.table = problem, state, table
        topology, dtype = problem.topology, state.theta.dtype
        sparse = table.sparse
        self.block = block_rows(topology, dtype, sparse)
        # By size, not by time: blocks round in another order than the whole.
        plain = is_plain(problem, state.optimizer)
        self.long = problem.batch_size > 4 * self.block and plain
        rows = self.block if self.long else problem.batch_size
        self.engine = engine_of(dtype)
        workspace = self.engine.Workspace(
            topology,
            state.theta,
            min(rows, len(state.order)),
            sparse=sparse,
            dropout=problem.dropout[0] > 0,
        )
        self.trainer = self.engine.Trainer(
            workspace,
            table,
            state.optimizer,
            state.moments,
            problem.batch_size,
            problem.mean_weight,
            problem.alpha,
            problem.dropout,
        )
        self.batches_per_run = 1
        # Whether a batch may take longer than a run should; what a row has taken.
        self.slow = 6.0 * rows * len(state.theta) >= LONG_FLOP
        self.row_seconds = 0.0
        self.threads = AdaptiveThreads(problem.n_threads)
        self.harmless = harmless_square(topology, table, dtype)
        #: Whether A_J may be infinite where Z_J is not.
        self.may_overflow = topology.activations[-1] == Activation.EXP

    def plan(self, epoch: int) -> None:
        """Factors of the steps of the epoch, counted from 0."""
        if self.problem.plan.constant:  # a short epoch would feel it
            return
        n_steps = -(-len(self.state.order) // self.problem.batch_size)
        self.trainer.factors = self.problem.plan.of_epoch(epoch, n_steps)

    def is_finite(self) -> bool:
        """Whether parameters, moments and what they say of the rows are numbers."""
        theta = self.state.theta
        if not self.engine.is_finite(self.state.moments):
            return False
        return self.engine.square_sum(theta[None]) <= self.harmless or (
            self.engine.is_finite(theta[None])
            and outputs_are_finite(self.problem.topology, theta, self.table)
        )

    def exp_is_finite(self) -> bool:
        return outputs_are_finite(self.problem.topology, self.state.theta, self.table)

    def epoch(self) -> float:
        """One pass over the rows; the mean of the batches' objectives."""
        if self.long:
            return self._long_epoch()
        problem, state, threads = self.problem, self.state, self.threads
        several = threads.n_threads > 1
        n, total, start = len(state.order), 0.0, 0
        while start < n and math.isfinite(total):
            trial, batches = threads.on_trial(), self.batches_per_run
            if trial:
                batches = max(1, batches // 4)
            stop = min(n, start + batches * problem.batch_size)
            n_threads = threads.size()
            # A machine that is busy may make much more of it.
            long = self.slow or self.row_seconds * (stop - start) >= _RUN_SECONDS / 2
            began = time.perf_counter()
            cpu_began = time.process_time() if several else 0.0
            total = run_in_team(
                self.trainer.run,
                state.order,
                start,
                stop,
                total,
                n_threads=n_threads,
                long=long,
            )
            seconds = time.perf_counter() - began
            self.row_seconds = seconds / (stop - start)
            if several:
                threads.took(seconds, time.process_time() - cpu_began, stop - start)
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
                self.table,
                denominator=denominator,
                alpha=problem.alpha,
                rows=state.order[start:stop],
                grad=self.trainer.grad,
                n_threads=problem.n_threads,
            )
            total += value * (stop - start)
            if not np.isfinite(total):
                break
            self.trainer.apply(self.trainer.grad)
        return total / n


def is_plain(problem: Problem, optimizer: Optimizer) -> bool:
    """Whether a step is gradient and step alone, which long batches need."""
    return (
        problem.plan.constant
        and problem.dropout[0] == 0
        and optimizer.max_norm == 0
        and problem.topology.embeddings is None
    )


def harmless_square(topology: Topology, table: Table, dtype: np.dtype[Any]) -> float:
    """A sum of the squares of theta with which no Z_j of the table can overflow.

    For a row let u_j^2 = 1 + ||A_j||^2, and let t_j^2 = ||W_j||^2 + ||b_j||^2. Then
    ||Z_j|| <= t_j u_{j-1} (Cauchy and Schwarz), and what a hidden unit makes of z is at
    most 1 or at most 1.76 |z|. So u_j^2 <= (1 + 3.1 t_j^2) u_{j-1}^2, if u_0^2 is not
    below 1 + the widest layer. For one sum of all t_j^2 the product over the layers is
    largest where they are alike.
    """
    J, square = topology.n_layers, 1.0 + max(topology.sizes[1:])
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
        square += engine_of(dtype).square_sum(X)
    if not square < np.inf:
        return -1.0
    bits = 2.0 * (120 if dtype == np.float32 else 1016) - math.log2(square)
    return J / 3.1 * (2.0 ** min(bits / J, 1000.0) - 1)


def outputs_are_finite(topology: Topology, theta: Array, table: Table) -> bool:
    """Whether Z_J of every row of the table is a number, and A_J where that is exp."""
    finite = predict(
        topology,
        theta,
        table,
        raw=topology.activations[-1] != Activation.EXP,
        transform=lambda outputs: np.isfinite(outputs).all(axis=1),
    )
    return bool(finite.all())


def plateau(
    problem: Problem, history: History, scored: bool
) -> tuple[str | None, bool]:
    """scikit-learn's sentence about a plateau, and whether training ends there."""
    if history.no_improvement <= problem.n_iter_no_change:
        return None, False
    what = "Validation score" if scored else "Training loss"
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
