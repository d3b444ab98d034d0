"""What a training is given, what it changes, and an epoch to go back to.

Both can be pickled: a ``Problem`` is frozen numbers, a ``State`` is the whole of a
training between two epochs. The rows, the score and who watches are handed to
``_training.train`` beside them.
"""

from __future__ import annotations

import math
import pickle
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np

from ._layers import Array
from ._schedules import Plan, Schedule
from .core.optimizers import Optimizer, Solver
from .core.topology import Topology


class Ending(StrEnum):
    """What ended a training."""

    CONVERGED = "converged"
    EXHAUSTED = "exhausted"
    INTERRUPTED = "interrupted"
    DIVERGED = "diverged"
    STOPPED = "stopped"


@dataclass(frozen=True)
class WeightTotal:
    """The sum of the weights of training rows, and how many rows they are."""

    total: float
    count: float
    #: The weights are over two to this power.
    exponent: int = 0

    def plus(self, other: WeightTotal) -> WeightTotal:
        """Both, over this one's power of two."""
        total = math.ldexp(other.total, other.exponent - self.exponent)
        return WeightTotal(self.total + total, self.count + other.count, self.exponent)


@dataclass(frozen=True)
class Problem:
    """What a training is given and does not change."""

    topology: Topology
    #: Over two to the weights' power, as they are.
    alpha: float
    #: Of the rows that the mean is taken over.
    weights: WeightTotal
    #: Epochs after which it ends; the plan knows how long its schedules are.
    max_iter: int
    tol: float
    n_iter_no_change: float
    batch_size: int
    shuffle: bool
    schedule: Schedule
    plan: Plan
    #: Probability that a hidden unit is dropped, and the seed of the masks.  (D1)
    dropout: tuple[float, int]
    #: Whether moments outlive the fit, and so must belong to the epoch kept.
    keeps_state: bool
    #: Threads that share a step.
    n_threads: int = 1

    @property
    def mean_weight(self) -> float:
        return self.weights.total / self.weights.count


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
    #: Epochs of this fit.
    n_iter: int = 0
    reductions: int = 0

    def as_plain(self) -> dict[str, Any]:
        plain = dict(self.__dict__)
        for name in ("loss_curve", "validation_scores"):
            plain[name] = [float(value) for value in plain[name]]
        for name in ("loss", "best_loss", "best_validation_score"):
            plain[name] = float(plain[name])
        return plain

    def shallow_copy(self) -> History:
        """The lists are shared."""
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


class Snapshot(NamedTuple):
    """A complete epoch, to go back to."""

    theta: Array
    steps: int
    #: Moments and random stream, where they outlive the fit.
    moments: Array | None
    stream: Any
    history: History
    epochs: int
    scores: int


@dataclass
class State:
    """A training between two epochs: all that it changes."""

    theta: Array
    moments: Array  # the optimiser's vectors, one per row
    optimizer: Optimizer
    random_state: np.random.RandomState
    order: Array  # the training rows, in the order of the last epoch
    history: History
    #: The epoch of the best validation score.
    best: Snapshot | None = None

    def copy(self) -> State:
        """A state of its own arrays, to keep or to go on from."""
        return pickle.loads(pickle.dumps(self, protocol=5))

    def as_plain(self) -> dict[str, Any]:
        """A copy as arrays and plain values, for a checkpoint."""
        plain: dict[str, Any] = {
            "theta": self.theta.copy(),
            "moments": self.moments.copy(),
            "steps": self.optimizer.t,
            "learning_rate": self.optimizer.learning_rate,
            "random_state": stream_at(self.random_state.get_state(legacy=False)),
            "order": self.order.copy(),
            "history": self.history.as_plain(),
            "best": None,
        }
        if self.best is not None:
            # Of its history no more is asked for than how long it was.
            best = self.best._asdict()
            del best["history"]
            if self.best.stream is not None:
                best["stream"] = stream_at(self.best.stream)
            plain["best"] = best
        return plain

    def adopt(self, plain: dict[str, Any]) -> None:
        """Be the state that ``as_plain`` has copied; this one is new, of one shape."""
        for mine, name in (
            (self.theta, "theta"),
            (self.moments, "moments"),
            (self.order, "order"),
        ):
            theirs = plain[name]
            if mine.shape != theirs.shape or mine.dtype != theirs.dtype:
                raise ValueError(f"its {name} are of another shape or type")
            if mine.dtype.kind == "f" and not np.isfinite(theirs).all():
                raise ValueError(f"its {name} are not finite")
        if not _same_rows(plain["order"], self.order):
            raise ValueError("its rows are others")
        self.theta[...], self.moments[...] = plain["theta"], plain["moments"]
        self.order[...] = plain["order"]
        self.optimizer.t = plain["steps"]
        self.optimizer.learning_rate = plain["learning_rate"]
        self.random_state.set_state(plain["random_state"].get_state(legacy=False))
        self.history = History(**plain["history"])
        best = plain["best"]
        if best is not None:
            arrays = [(best["theta"], self.theta), (best["moments"], self.moments)]
            if any(
                theirs is not None
                and (theirs.shape != mine.shape or theirs.dtype != mine.dtype)
                for theirs, mine in arrays
            ):
                raise ValueError("its best epoch is of another shape or type")
            stream = best["stream"]
            stream = None if stream is None else stream.get_state(legacy=False)
            history = self.history.shallow_copy()
            self.best = Snapshot(**(best | {"stream": stream}), history=history)

    def continues(self, other: State, *, moments: bool) -> None:
        """Let another training go on from this one, as far as it fits.

        With its moments where asked for, and with its order where that has the same
        rows.
        """
        if moments and self.moments.shape == other.moments.shape:
            other.moments[...] = self.moments
            other.optimizer.t = self.optimizer.t
        if _same_rows(self.order, other.order):
            other.order = self.order.copy()

    def snapshot(self, keeps_state: bool, buffer: Array | None = None) -> Snapshot:
        """This epoch; ``buffer`` is an array for its parameters."""
        theta = np.empty_like(self.theta) if buffer is None else buffer
        np.copyto(theta, self.theta)
        history = self.history.shallow_copy()
        return Snapshot(
            theta,
            self.optimizer.t,
            self.moments.copy() if keeps_state else None,
            self.random_state.get_state(legacy=False) if keeps_state else None,
            history,
            len(history.loss_curve),
            len(history.validation_scores),
        )

    def restore_parameters(self, snapshot: Snapshot) -> None:
        """Parameters of an epoch, and moments where they are known."""
        np.copyto(self.theta, snapshot.theta)
        self.optimizer.t = snapshot.steps
        if snapshot.moments is not None:
            np.copyto(self.moments, snapshot.moments)

    def restore(self, snapshot: Snapshot) -> None:
        """Be this epoch again."""
        self.restore_parameters(snapshot)
        if snapshot.stream is not None:
            self._restore_order(snapshot.stream)
        self.history = snapshot.history
        # The lists are shared with what came later.
        del self.history.loss_curve[snapshot.epochs :]
        del self.history.validation_scores[snapshot.scores :]

    def _restore_order(self, stream: Any) -> None:
        """Undo the shuffle of an epoch that was not completed, and its draws."""
        now = self.random_state.get_state(legacy=False)
        self.random_state.set_state(stream)
        if pickle.dumps(now) == pickle.dumps(stream):
            return
        permutation = np.arange(len(self.order))
        self.random_state.shuffle(permutation)
        shuffled = self.order.copy()
        self.order[permutation] = shuffled
        self.random_state.set_state(stream)


@dataclass
class Continuation:
    """What a later call of ``fit`` or ``partial_fit`` goes on from."""

    #: The random stream as it was before rows were held out, and whether that was to
    #: have every class on both sides.
    split: tuple[np.random.RandomState, bool] | None = None
    solver: str = ""
    #: None where it is not that of the parameters that were kept.
    state: State | None = None
    dropout_seed: int = 0
    #: Of all calls of ``partial_fit``.
    weights: WeightTotal = WeightTotal(0.0, 0.0)

    def as_dict(self) -> dict[str, Any]:
        """Plain values under the names that 0.1.0 gave them, for a pickle."""
        plain: dict[str, Any] = {"split_stream": self.split}
        if self.state is None:
            return plain
        return plain | {
            "solver": self.solver,
            "memory": self.state.moments,
            "steps": self.state.optimizer.t,
            "random_state": self.state.random_state,
            "reductions": self.state.history.reductions,
            "dropout_seed": self.dropout_seed,
            "order": self.state.order if len(self.state.order) else None,
            "weight_sum": self.weights.total,
            "weight_rows": self.weights.count,
            "weight_exponent": self.weights.exponent,
        }

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Continuation:
        """What ``as_dict`` has made of one, here or in 0.1.0."""
        split = plain.get("split_stream")
        if isinstance(split, np.random.RandomState):  # as 0.1.0 stored it
            split = (split, False)
        if "memory" not in plain:
            return cls(split)
        kind = getattr(Solver, str(plain["solver"]).upper(), Solver.SGD)
        optimizer = Optimizer(kind, 0.001)
        optimizer.t = plain["steps"]
        order = plain.get("order")
        state = State(
            np.empty(0),
            plain["memory"],
            optimizer,
            plain["random_state"],
            np.empty(0, dtype=np.intp) if order is None else order,
            History(reductions=plain.get("reductions", 0)),
        )
        total, count, exponent = (
            plain.get(f"weight_{name}", 0) for name in ("sum", "rows", "exponent")
        )
        return cls(
            split,
            plain["solver"],
            state,
            plain.get("dropout_seed", 0),
            WeightTotal(float(total), float(count), int(exponent)),
        )


def stream_at(state: Any) -> np.random.RandomState:
    """A stream of its own, at a state of another."""
    stream = np.random.RandomState(0)
    stream.set_state(state)
    return stream


def _same_rows(order: Array, rows: Array) -> bool:
    """Whether one holds the other's numbers in another order."""
    if len(order) != len(rows) or order.min() < 0 or order.max() > rows.max():
        return False
    seen = np.zeros(rows.max() + 1, dtype=bool)
    seen[order] = True
    return bool(seen[rows].all())
