"""One network on a cluster: from collections to rounds, and to fitted attributes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import check_random_state

from .._call import Outcome
from .._evaluation import scale_weights
from .._hyperparameters import settings_of, topology_of
from .._layers import Array, initialize
from .._messages import divergence_advice, ending_messages
from .._observers import watching
from .._settings import check_total, make_problem, make_state
from .._snapshot import Diverged, working_copy
from .._state import Continuation, Ending, WeightTotal
from .._targets import Classes
from ..core.topology import Topology
from ._cluster import Cluster, DaskFitError
from ._collections import Source
from ._loop import Joint, train_rounds
from ._options import Options
from ._partitions import Partition
from ._readings import Prepared, Unread, read_alike
from ._rounds import Method, Outer, stream, zero_moments
from ._scores import Measure
from ._survey import (
    Facts,
    Survey,
    balanced,
    facts_of,
    in_order,
    named,
    read,
    rows_that_weigh,
    survey,
)


@dataclass(frozen=True)
class Reading:
    """How every partition is read, once all of them are known."""

    estimator: Any
    names: Array | None
    #: None for numbers.
    classes: Array | None
    #: The share of the rows that is held out, and what draws it.
    held_out: float
    seed: int
    #: Weights come over two to this power; None: over what suits the partition.
    exponent: int | None = None


class Weighed(NamedTuple):
    """What the rows of a partition weigh that train, and that are held out."""

    training: float
    n_training: int
    held_out: float
    #: None of a partition without weights.
    exponent: int | None


def prepared(reading: Reading, number: int, X: Any, y: Any, w: Any) -> Partition | None:
    """A partition as the engine reads it; None where it has no rows."""
    return named(f"{number}", _prepared, reading, number, "", reading.held_out, X, y, w)


def prepared_to_validate(
    reading: Reading, number: int, X: Any, y: Any, w: Any
) -> Partition | None:
    """A partition of X_val and y_val: all of its rows are held out."""
    return named(f"{number} of X_val", _prepared, reading, number, "_val", 1.0, X, y, w)


def _prepared(
    reading: Reading, number: int, suffix: str, share: float, X: Any, y: Any, w: Any
) -> Partition | None:
    X, y, w = rows_that_weigh(X, y, w, suffix)
    if len(y) == 0:
        return None
    probe = working_copy(reading.estimator)
    data = read(probe, in_order(X, reading.names), y, w, reading.classes)
    given, targets = data.given, data.targets
    weights, exponent = given.table.sample_weight, given.exponent
    if reading.exponent is not None and len(weights):
        weights, exponent = scale_weights(weights, exponent, reading.exponent)
    n = given.table.n_rows
    folds = None
    if share > 0:
        folds = np.full((n, 1), -1, dtype=np.int32)
        # A row that is alone trains.
        n_held = n if share == 1 else min(n - 1, ceil(share * n))
        rows = stream(reading.seed, number).permutation(n)
        folds[rows[:n_held]] = 0
    return Partition(
        given.X,
        targets.Y,
        targets.labels,
        weights if len(weights) else None,
        folds,
        exponent=exponent,
    )


def weighed(partition: Partition, number: int) -> Weighed:
    """What its rows weigh."""
    rows, held = partition.rows(0)
    table = partition.table
    return Weighed(
        table.weight_sum(rows) if len(rows) else 0.0,
        len(rows),
        table.weight_sum(held) if len(held) else 0.0,
        None if partition.sample_weight is None else partition.exponent,
    )


class Fit:
    """One fit of a network on a cluster.

    Parameters
    ----------
    estimator : DaskBackpropMLPClassifier or DaskBackpropMLPRegressor
        A working copy, which becomes the fitted one.
    options : Options
    cluster : Cluster
    """

    def __init__(self, estimator: Any, options: Options, cluster: Cluster) -> None:
        self.estimator, self.options, self.cluster = estimator, options, cluster
        self.validated = bool(estimator.early_stopping)

    def run(
        self, sources: list[Source], validating: list[Source]
    ) -> list[tuple[str, type[Warning]]]:
        """Train, and store what is to be kept; the warnings."""
        estimator, facts = self.estimator, self._facts(sources)
        rng = check_random_state(estimator.random_state)
        topology, names = topology_of(estimator, facts.n_columns, facts.targets)
        theta = initialize(topology, names, rng, facts.dtype)
        seed = int(rng.randint(2**31))
        every = [Unread(prepared, *each) for each in enumerate(sources)]
        every += [Unread(prepared_to_validate, *each) for each in enumerate(validating)]
        kept = self.options.keeps(facts.n_bytes, self.cluster)
        partitions, found = read_alike(
            self.cluster, self._reading(facts, seed), every, kept, weighed
        )
        weights, n_training = self._total(found)
        settings = settings_of(estimator, facts.n_rows, False)
        settings = self.options.divided(settings, n_training, int(estimator.max_iter))
        problem = make_problem(settings, topology, weights, seed=seed)
        seen = round(weights.count * self.options.local_epochs)
        state = make_state(settings, theta, rng, np.zeros(seen, np.intp))
        method = Method(
            topology,
            settings,
            Measure(facts.kind, estimator.scoring, _center(facts)),
            self.options.local_epochs,
            seed,
        )
        moments = zero_moments(method, theta)
        outer = Outer(
            float(estimator.outer_learning_rate), float(estimator.outer_momentum)
        )
        joint = Joint(0, problem, state, outer, moments)
        self._train(method, joint, partitions, facts)
        return self._end(joint, facts)

    def _facts(self, sources: list[Source]) -> Facts:
        """What all partitions together are; the estimator learns of them."""
        local = self.estimator._alone()
        # The first that has rows says the names: columns may come in another order.
        surveys: list[Survey | None] = []
        while not any(surveys) and len(surveys) < len(sources):
            number = len(surveys)
            surveys += self._survey(local, None, sources[number : number + 1], number)
        names = next((each.names for each in surveys if each is not None), None)
        first = len(surveys)
        surveys += self._survey(local, names, sources[first:], first)
        facts = facts_of(surveys)
        self.estimator._learn_facts(facts)
        return facts

    def _survey(
        self, local: Any, names: Array | None, sources: list[Source], first: int
    ) -> list[Survey | None]:
        asked = self.cluster.constant((local, names))
        futures = [
            self.cluster.of_sources(surveyed, asked, number, *source)
            for number, source in enumerate(sources, first)
        ]
        return self.cluster.results(futures)

    def _reading(self, facts: Facts, seed: int) -> Reading:
        estimator = self.estimator._alone()
        estimator.dtype = facts.dtype.name
        classes = facts.kind.labels if isinstance(facts.kind, Classes) else None
        if getattr(estimator, "class_weight", None) == "balanced":
            estimator.class_weight = balanced(facts)
        held_out = 0.0
        if self.validated and not self.options.validates:
            held_out = float(estimator.validation_fraction)
        return Reading(estimator, facts.names, classes, held_out, seed)

    def _total(self, found: list[Weighed]) -> tuple[WeightTotal, int]:
        """What all rows weigh that train, and the number of partitions with such."""
        weights = WeightTotal(
            sum(each.training for each in found),
            float(sum(each.n_training for each in found)),
            max(
                (each.exponent for each in found if each.exponent is not None),
                default=0,
            ),
        )
        check_total(weights)
        if self.validated and not sum(each.held_out for each in found) > 0:
            raise ValueError(
                "early_stopping=True finds no row to validate on: give X_val and y_val "
                "rows of some weight, or X partitions of two rows and more."
            )
        return weights, sum(each.n_training > 0 for each in found)

    def _train(
        self, method: Method, joint: Joint, partitions: list[Prepared], facts: Facts
    ) -> None:
        state, fitted = joint.state, self._fitted(method.topology, facts)
        try:
            with watching(self.estimator._observers(), fitted) as watch:
                joint.watch = watch
                train_rounds(self.cluster, method, [joint], partitions, self.validated)
                if watch is not None:
                    watch.finish(joint.ending, state)
        except DaskFitError as error:
            if state.history.n_iter:
                error.model = fitted(state.theta)
            raise

    def _fitted(self, topology: Topology, facts: Facts) -> Callable[[Array], Any]:
        """From parameters to a plain estimator."""
        estimator = self.estimator

        def fitted(theta: Array) -> Any:
            probe = estimator._probe(facts.targets, topology)
            probe._set_parameters(topology, theta.copy())
            return probe.to_local()

        return fitted

    def _end(self, joint: Joint, facts: Facts) -> list[tuple[str, type[Warning]]]:
        """Store what is to be kept, and say how training ended."""
        state, problem, estimator = joint.state, joint.problem, self.estimator
        history, ending = state.history, joint.ending
        assert ending is not None  # training has ended
        best = history.best_validation_score
        if state.best is not None and np.isfinite(best):
            state.restore_parameters(state.best)
        diverged, finite = ending == Ending.DIVERGED, history.n_iter > 0
        if finite or not diverged:
            outcome = Outcome(problem, state, ending, "", self.validated)
            estimator._store(facts.targets, outcome)
            estimator._incremental = False
            estimator._continuation = Continuation()
        if diverged and not (self.validated and finite):
            advice = divergence_advice(estimator, problem, facts.n_rows, False)
            raise Diverged(finite, advice)
        unscored = self.validated and not np.isfinite(best)
        return ending_messages(ending, "", problem, history.n_iter, unscored)


def surveyed(asked: Any, number: int, X: Any, y: Any, w: Any) -> Survey | None:
    """A partition in short, by an estimator and names that are asked for."""
    return named(f"{number}", survey, *asked, X, y, w)


def _center(facts: Facts) -> Array:
    """The means of numbers, which their squares are taken from."""
    if isinstance(facts.kind, Classes):
        return np.zeros(facts.targets.n_outputs)
    return facts.counts / facts.n_rows
