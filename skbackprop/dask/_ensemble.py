"""An ensemble of a table that no worker holds: networks walk through partitions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from sklearn.utils.validation import validate_data

from .._layers import Array
from .._observers import Epoch, Observer, watching_all
from .._settings import check_total, make_problem, make_state
from .._snapshot import working_copy
from .._state import Ending, WeightTotal
from .._targets import TargetKind
from ..core.topology import Topology
from ..tabular._bins import quantile_edges
from ..tabular._ensemble import FittedAlone, Trained
from ..tabular._initialization import best_constant, constant_parameters, initialize
from ..tabular._member import SAMPLE, Member, diverged, ended, settings_of
from ..tabular._messages import MemberPrinter, ending_messages
from ..tabular._recipe import Recipe
from ..tabular._scaling import Spread
from ..tabular._summaries import encoded_sketches
from ._cluster import Cluster, DaskFitError
from ._collections import Source
from ._cycles import cycle
from ._frames import (
    Beginning,
    Dealing,
    FrameReading,
    Look,
    begins,
    encoded,
    encoded_to_validate,
    look,
    looks_together,
    together,
)
from ._loop import Joint, by_tree, scores_of, train_rounds
from ._options import Options
from ._readings import Prepared, Unread, read_alike
from ._rounds import Common, Method, zero_moments
from ._scores import Measure
from ._survey import Facts, balanced, facts_of

Messages = list[tuple[str, type[Warning]]]


class CyclePrinter(MemberPrinter):
    """A line for every cycle, and one for every network, for ``verbose``."""

    def __init__(self) -> None:
        self.number = 0
        self.found: list[tuple[float, float]] = []

    def epoch_ends(self, epoch: Epoch) -> None:
        if epoch.number != self.number:  # the first network of another cycle
            self._print()
            self.number = epoch.number
        self.found.append((epoch.loss, np.nan if epoch.score is None else epoch.score))

    def member_ends(self, member: int, ending: Ending, result: Any) -> None:
        self._print()
        super().member_ends(member, ending, result)

    def _print(self) -> None:
        if self.found:
            loss, score = np.mean(self.found, axis=0)
            print(
                f"Cycle {self.number}: loss {loss:.6g}, validation score {score:.6g}, "
                f"means of {len(self.found)} networks"
            )
        self.found = []


class EnsembleFit:
    """One fit of an ensemble on a cluster, in cycles.

    Parameters
    ----------
    estimator : TabularMLPClassifier or TabularMLPRegressor
        The local twin, unfitted, which becomes the fitted one.
    options : Options
    cluster : Cluster
    observers : list of Observer
    """

    def __init__(
        self,
        estimator: Any,
        options: Options,
        cluster: Cluster,
        observers: list[Observer],
    ) -> None:
        self.estimator, self.options, self.cluster = estimator, options, cluster
        self.observers = observers

    def run(
        self,
        sources: list[Source],
        validating: list[Source],
        random_state: np.random.RandomState,
    ) -> Messages:
        """Train, and store what is to be kept; the warnings."""
        estimator, options = self.estimator, self.options
        facts, kind, names = self._learn(sources)
        recipe, dealing = self._deal(facts.n_rows, random_state)
        seeds = random_state.randint(2**31, size=dealing.n_members)
        topology = estimator._make_topology(
            estimator.encoder_, estimator._edges, facts.targets, recipe
        )
        reading = FrameReading(_reader(estimator, facts), kind, names, dealing)
        every = [Unread(encoded, *each) for each in enumerate(sources)]
        every += [Unread(encoded_to_validate, *each) for each in enumerate(validating)]
        partitions, beginning = self._read(reading, topology, every, facts.n_rows)
        settings = settings_of(topology, recipe, beginning.n_rows)
        method = Method(
            topology,
            options.in_rounds(settings, recipe.max_iter),
            Measure(kind, "loss", np.zeros(topology.sizes[-1])),
            options.local_epochs,
            dealing.seed,
        )
        walkers = Walkers(method, recipe, beginning, seeds)
        return store(estimator, walkers, self._train(walkers, partitions))

    def _learn(self, sources: list[Source]) -> tuple[Facts, TargetKind, Any]:
        """What all partitions together are, and what their columns are called.

        The estimator learns its encoder, its bins and its targets.
        """
        estimator, asked = self.estimator, self.cluster.constant(self.estimator)
        # No name for the futures: workers forget what has been merged.
        found = by_tree(
            self.cluster,
            looks_together,
            [
                self.cluster.of_sources(look, asked, number, *source)
                for number, source in enumerate(sources)
            ],
        )
        whole: Look = self.cluster.result(found)
        facts, summary = facts_of(whole.surveys), whole.summary
        assert summary is not None  # there are rows
        validate_data(estimator, summary.source, reset=True, skip_check_array=True)
        estimator.encoder_ = encoder = estimator._new_encoder()
        encoder._learn(summary)
        n_bins = estimator._recipe(facts.n_rows).n_bins
        sketches = encoded_sketches(summary, encoder)
        estimator._edges = [quantile_edges(each, n_bins) for each in sketches]
        spreads = whole.spreads
        kind = estimator._keep(Spread.merged(spreads) if spreads else facts.kind)
        return facts, kind, summary.names

    def _deal(
        self, n_rows: int, random_state: np.random.RandomState
    ) -> tuple[Recipe, Dealing]:
        """The recipe, and how the rows of each partition are dealt into folds."""
        recipe, validates = self.estimator._recipe(n_rows), self.options.validates
        n_folds = recipe.n_folds if validates else min(recipe.n_folds, n_rows)
        if self.estimator.n_folds is None:
            recipe = replace(recipe, n_folds=n_folds)
        seed = int(random_state.randint(2**31))
        return recipe, Dealing(n_folds, recipe.n_repeats, seed, validates)

    def _read(
        self,
        reading: FrameReading,
        topology: Topology,
        every: list[Unread],
        n_rows: int,
    ) -> tuple[list[Prepared], Beginning]:
        """Partitions that have rows, and what training begins with."""
        encoder, dealing = reading.estimator.encoder_, reading.dealing
        width = encoder.n_numeric_ + encoder.n_plain_ + len(encoder.cardinalities_)
        kept = self.options.keeps(4 * n_rows * max(1, width), self.cluster)
        partitions, found = read_alike(
            self.cluster,
            reading,
            every,
            kept,
            begins,
            topology,
            dealing,
            SAMPLE / n_rows,
        )
        beginning = together(found)
        for number, totals in enumerate(beginning.totals):
            check_total(WeightTotal(totals.weight, float(totals.n_rows)))
            if not beginning.held_out[number] > 0:
                raise ValueError(
                    f"No row validates network {number + 1} of {dealing.n_members}: "
                    f"take fewer folds than n_folds={dealing.n_folds}, larger "
                    "partitions, or give X_val and y_val rows of some weight."
                )
        return partitions, beginning

    def _train(self, walkers: Walkers, partitions: list[Prepared]) -> list[Member]:
        """Members that have been trained; observers are told of them."""
        method, joints = walkers.method, walkers.joints
        fitted = FittedAlone(working_copy(self.estimator), method.topology)
        with watching_all(self.observers, fitted, len(joints)) as watches:
            commons = [
                Common(joint.number, theta, None, 0, 0.0)
                for joint, theta in zip(joints, walkers.constants, strict=True)
            ]
            scores = scores_of(self.cluster, method, commons, partitions)
            for joint, watch in zip(joints, watches, strict=True):
                joint.watch = watch
            try:
                one_cycle = partial(cycle, seed=method.seed)
                train_rounds(self.cluster, method, joints, partitions, True, one_cycle)
            except DaskFitError as error:
                if all(each.state.history.n_iter for each in joints):
                    error.model = working_copy(self.estimator)
                    store(error.model, walkers, walkers.members(scores))
                raise
            members = walkers.members(scores)
            for member, watch in zip(members, watches, strict=True):
                if watch is not None:
                    watch.finish(member.ending, member)
        return members


class Walkers:
    """The members of an ensemble on their ways through the partitions.

    Parameters
    ----------
    method : Method
    recipe : Recipe
    beginning : Beginning
    seeds : ndarray of shape (n_members,)
    """

    def __init__(
        self,
        method: Method,
        recipe: Recipe,
        beginning: Beginning,
        seeds: Array,
    ) -> None:
        self.method, self.recipe = method, recipe
        middles = [best_constant(method.topology, each) for each in beginning.totals]
        #: Parameters that are the best without any column, one of each member.
        self.constants = [constant_parameters(method.topology, z) for z in middles]
        self.joints = [
            self._begun(number, beginning, middle, int(seed))
            for number, (middle, seed) in enumerate(zip(middles, seeds, strict=True))
        ]

    def _begun(
        self, number: int, beginning: Beginning, middle: Array, seed: int
    ) -> Joint:
        """A member before its first cycle."""
        method, totals = self.method, beginning.totals[number]
        random_state = np.random.RandomState(seed)
        some = random_state.permutation(len(beginning.sample))[:SAMPLE]
        theta = initialize(
            method.topology,
            beginning.sample[some],
            middle,
            self.recipe.output_scale,
            random_state,
        )
        exponent = beginning.exponent or 0
        weights = WeightTotal(totals.weight, float(totals.n_rows), exponent)
        problem = make_problem(method.settings, method.topology, weights, seed=seed)
        order = np.zeros(round(totals.n_rows * method.local_epochs), np.intp)
        state = make_state(method.settings, theta, random_state, order)
        return Joint(number, problem, state, None, zero_moments(method, theta))

    def members(self, scores: Sequence[float]) -> list[Member]:
        """What is kept; ``scores`` are those of the constants."""
        return [
            self._member(*each)
            for each in zip(self.joints, self.constants, scores, strict=True)
        ]

    def _member(self, joint: Joint, constant: Array, score: float) -> Member:
        state, ending = joint.state, joint.ending or Ending.EXHAUSTED
        if state.best is not None and np.isfinite(state.history.best_validation_score):
            state.restore_parameters(state.best)
        if not np.isfinite(state.history.validation_scores).any():
            raise diverged(self.recipe)
        return ended(state, ending, self.recipe, constant, score)


def _reader(estimator: Any, facts: Facts) -> Any:
    """The estimator that reads partitions: its weights of classes are known."""
    reader = working_copy(estimator)
    if getattr(reader, "class_weight", None) == "balanced":
        reader.class_weight = balanced(facts)
    return reader


def store(estimator: Any, walkers: Walkers, members: Sequence[Member]) -> Messages:
    """Store what is to be kept, and say how training ended."""
    trained = Trained([*members])
    trained.interrupted = any(each.ending == Ending.INTERRUPTED for each in members)
    estimator._store(walkers.method.topology, walkers.recipe, trained)
    estimator._after_training(None)
    return ending_messages(trained, walkers.recipe)
