"""What the two estimators share: from a frame to an ensemble of networks, and back.

``fit`` is told in three places: ``_fit`` here makes a table of the frame and a topology
of its columns, ``_ensemble.train_ensemble`` trains the members, and
``_member.train_member`` each of them, by the loop that all estimators share.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import validate_data

from .. import _constraints as allow
from .._callbacks import CallbackSupport, with_callbacks
from .._checkpoint import check_checkpoint, session_of
from .._evaluation import scale_weights
from .._features import as_numpy
from .._fingerprint import fingerprint
from .._inputs import Targets, checked_weights, table_of
from .._layers import (
    Array,
    make_topology,
    without_smoothing,
)
from .._observers import Observer
from .._scoring import CannotScore
from .._settings import WeightTotal, check_total
from .._snapshot import working_copy
from .._state import State
from .._targets import TargetKind
from .._threads import blas_threads, workers_for
from .._validation import Given, Scoring, checked_y, read_validation
from ..core.embeddings import Embeddings
from ..core.topology import Topology
from ._bins import quantile_edges
from ._columns import read_columns
from ._encoder import TabularEncoder
from ._ensemble import (
    Deadline,
    Ensemble,
    FittedAlone,
    Read,
    Trained,
    Validated,
    begun_of,
    train_ensemble,
    validated_by,
)
from ._folds import Part, dealt, scorable
from ._member import Member
from ._messages import MemberPrinter, ending_messages
from ._model import FittedEnsemble
from ._recipe import PARAMETERS, Recipe, make_recipe
from ._rules import ENCODER, RULES


class BaseTabularMLP(CallbackSupport, FittedEnsemble):
    """Shared by classifier and regressor; not for use itself."""

    _rules = RULES

    # What the classifier and the regressor say -------------------------------

    def _learn(self, y: Any, weights: Array | None, exponent: int = 0) -> Any:
        """The classes of a plain y, or how its numbers are spread."""
        raise NotImplementedError

    def _keep(self, learnt: Any) -> TargetKind:
        """Store what ``_learn`` has found, of all rows."""
        raise NotImplementedError

    def _strata(self, targets: Targets, rows: Array) -> Array | None:
        """What every fold is to have its share of."""
        raise NotImplementedError

    def _loss_parameters(self, recipe: Recipe) -> tuple[float, ...]:
        """The numbers that the loss has besides outputs and targets."""
        raise NotImplementedError

    def _after_training(self, validated: Callable[[], Validated] | None) -> None:
        """Told what every member says of the rows held out, where there were any."""

    def _observers(self) -> list[Observer]:
        """Who watches a fit."""
        return [MemberPrinter()] if self.verbose else []

    def _more_validation(self, count: int) -> str:
        """What has rows of a class of ``count`` rows validate."""
        return f"take n_folds={count} or fewer"

    # Fitting -----------------------------------------------------------------

    @with_callbacks
    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        validation: tuple[Any, Any, Any],
        checkpoint: Any = None,
        begun: Mapping[int, Member | State] | None = None,
    ) -> list[tuple[str, type[Warning]]]:
        """One fit; ``begun`` are members, finished or half trained, by their number."""
        allow.check_parameters(type(self).__name__, self.get_params(), self._rules)
        check_checkpoint(checkpoint)
        deadline = Deadline(self.time_limit)
        reporter = self._reporter(X, y, sample_weight, validation[0])
        read = self._read(X, y, sample_weight, validation)
        scoring, recipe = read.scoring, read.recipe
        identity = checkpoint and fingerprint(self, scoring.given, scoring.source)
        with session_of(checkpoint, identity) as session:
            random_state = check_random_state(self.random_state)
            if session is not None:
                random_state = session.begin(random_state, recipe.max_iter)
                session.check({})
            ensemble = self._ensemble(read, random_state)
            observers = self._observers()
            if session is not None:
                observers.insert(0, session)  # before anybody who may fail
                begun = begun_of(ensemble, session)
            if reporter is not None:
                parts, limit = ensemble.parts, recipe.max_iter
                reporter.reads(scoring.given, scoring, parts, limit, scoring.fitted)
                observers.append(reporter)
            n_threads = workers_for(self.n_jobs)
            with blas_threads(1, 0.0):
                trained = train_ensemble(
                    ensemble, n_threads, deadline, observers, begun
                )
        messages = self._keep_trained(read, ensemble, trained)
        if reporter is not None:
            reporter.ends()
        return messages

    def _read(
        self, X: Any, y: Any, sample_weight: Any, validation: tuple[Any, Any, Any]
    ) -> Read:
        """The rows of a fit, checked and encoded, and the shape of its networks."""
        X, y = as_numpy(X, "X"), as_numpy(y, "y")
        sample_weight = as_numpy(sample_weight, "sample_weight")
        columns = read_columns(X, self)
        validate_data(self, columns.source, y, skip_check_array=True, reset=True)
        for name in ("_bag", "_clamp", "temperature_"):
            self.__dict__.pop(name, None)
        encoder = self._new_encoder()
        encoder._learn(columns)
        matrix = encoder._encode(columns)
        y, *weights = self._checked(y, sample_weight, matrix)
        kind = self._keep(self._learn(y, *weights))
        y, targets, weights, exponent = self._encoded(kind, y, *weights)

        # A row without weight trains nothing and validates nothing.
        rows = np.arange(len(matrix)) if weights is None else np.flatnonzero(weights)
        check_total(WeightTotal(float(len(rows)), float(len(matrix))))
        recipe = self._recipe(len(rows))
        edges = [
            quantile_edges(matrix[rows, f], recipe.n_bins)
            for f in range(encoder.n_numeric_)
        ]
        self.encoder_, self._edges = encoder, edges
        table = table_of(self._positions(matrix), targets, weights)
        topology = self._make_topology(encoder, edges, targets, recipe)
        given = Given(X, y, table, exponent)
        scoring = self._scoring(topology, kind, given, validation)
        return Read(topology, recipe, targets, rows, scoring)

    def _new_encoder(self) -> TabularEncoder:
        """The encoder before it has learnt anything."""
        given = {name: getattr(self, name) for name in ENCODER}
        return TabularEncoder(missing="nan", **given)

    def _checked(
        self, y: Any, sample_weight: Any, matrix: Array
    ) -> tuple[Any, Array | None, int]:
        """y and weights as plain arrays of the rows of a matrix."""
        y = checked_y(self._target_class.plain(y), matrix)
        return y, *checked_weights("sample_weight", sample_weight, matrix)

    def _encoded(
        self, kind: TargetKind, y: Any, weights: Array | None, exponent: int
    ) -> tuple[Any, Targets, Array | None, int]:
        """y as its scale is computed with, targets, and weights of rows and classes."""
        y = kind.cast(y)
        targets = kind.encode(y, np.dtype(np.float32))
        weights = kind.weights(y, weights, getattr(self, "class_weight", None))
        return y, targets, *_as_read(weights, exponent, "sample_weight")

    def _ensemble(self, read: Read, random_state: np.random.RandomState) -> Ensemble:
        """What every member is given; draws the folds and the members' seeds."""
        recipe, scoring = read.recipe, read.scoring
        parts = self._parts(recipe, read.rows, read.targets, scoring, random_state)
        if self.n_folds is None:
            recipe = replace(recipe, n_folds=len(parts) // recipe.n_repeats)
        seeds = random_state.randint(2**31, size=len(parts))
        return Ensemble(read.topology, recipe, parts, seeds, scoring)

    def _keep_trained(
        self, read: Read, ensemble: Ensemble, trained: Trained
    ) -> list[tuple[str, type[Warning]]]:
        """Store what is to be kept, and say how training ended."""
        recipe, scoring = ensemble.recipe, read.scoring
        self._store(read.topology, recipe, trained)
        held_out = scoring.source is not scoring.given or (
            recipe.n_folds > 1 and len(read.rows) > 1
        )
        self._finish(ensemble, trained, read.targets if held_out else None)
        return ending_messages(trained, recipe)

    def _recipe(self, n_rows: int) -> Recipe:
        given = {name: _plain(getattr(self, name)) for name in PARAMETERS}
        sizes = given["hidden_layer_sizes"]
        if sizes is not None:
            sizes = tuple(sizes) if np.iterable(sizes) else (sizes,)
            given["hidden_layer_sizes"] = tuple(int(size) for size in sizes)
        return make_recipe(self.preset, given, n_rows)

    def _make_topology(
        self,
        encoder: TabularEncoder,
        edges: list[Array],
        targets: Targets,
        recipe: Recipe,
    ) -> Topology:
        """The shape of the networks."""
        n_plain, cardinalities = encoder.n_plain_, encoder.cardinalities_
        nothing = not (edges or n_plain or cardinalities)
        embeddings = Embeddings(
            edges,
            1 if nothing else n_plain,
            cardinalities,
            recipe.embedding_size,
            max(1, recipe.embedding_size // 2),
        )
        hidden = recipe.hidden_layer_sizes
        return make_topology(
            [embeddings.n_outputs, *hidden, targets.n_outputs],
            [recipe.activation] * len(hidden),
            targets.output_activation,
            targets.loss,
            loss_parameters=self._loss_parameters(recipe),
            embeddings=embeddings,
        )

    def _scoring(
        self,
        topology: Topology,
        kind: TargetKind,
        given: Given,
        validation: tuple[Any, Any, Any],
    ) -> Scoring:
        """The score of a member on rows held out, or on data given for that."""
        validating = None
        if any(each is not None for each in validation):
            validating = read_validation(
                self,
                kind,
                validation,
                self._validation_inputs,
                lambda y, name: kind.encode(y, np.dtype(np.float32), name),
                _as_read,
            )
        fitted = FittedAlone(working_copy(self), topology)
        return Scoring(self, kind, topology, given, validating, fitted)

    def _validation_inputs(self, X: Any) -> tuple[Any, Array]:
        """X_val as scorers get it and as the engine reads it."""
        try:
            return X, self._matrix(X, "X_val")
        except (TypeError, ValueError) as error:
            message = str(error)
            if "X_val" in message:
                raise
            named = message.startswith("X ")  # as scikit-learn says
            message = f"X_val{message[1:]}" if named else f"In X_val: {message}"
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(message) from None

    def _parts(
        self,
        recipe: Recipe,
        rows: Array,
        targets: Targets,
        scoring: Scoring,
        random_state: np.random.RandomState,
    ) -> list[Part]:
        """For every member, the rows that train it and those that validate it.

        Where the scorer needs every class, and nobody asked for so many folds, there
        are no more of them than rows of the rarest class.
        """
        if scoring.source is not scoring.given:
            of_val = np.arange(scoring.source.table.n_rows)
            parts = [Part.of_rows(rows, of_val)] * recipe.n_members
            return scorable(parts, rows, scoring)
        n_folds = min(recipe.n_folds, len(rows))
        if n_folds == 1:  # nothing can be held out
            parts = [Part.of_rows(rows, rows)] * recipe.n_repeats
            return scorable(parts, rows, scoring)
        strata = self._strata(targets, rows)
        try:
            parts = dealt(rows, n_folds, recipe.n_repeats, strata, random_state)
            return scorable(parts, rows, scoring)
        except CannotScore:
            fewest = 0
            if strata is not None:
                fewest = int(np.unique(strata, return_counts=True)[1].min())
            if self.n_folds is not None or not 1 < fewest < n_folds:
                raise
        parts = dealt(rows, fewest, recipe.n_repeats, strata, random_state)
        return scorable(parts, rows, scoring)

    def _store(self, topology: Topology, recipe: Recipe, trained: Trained) -> None:
        members = [member for member in trained.members if member is not None]
        self._bag = (without_smoothing(topology), [each.theta for each in members])
        self.n_networks_ = len(members)
        self.recipe_ = asdict(recipe)
        self.n_iter_ = max(len(each.scores) for each in members)
        self.best_epochs_ = np.array([each.best_epoch for each in members])
        self.validation_scores_ = [each.scores for each in members]
        self.loss_curves_ = [each.losses for each in members]
        self.validation_score_ = float(np.mean([each.score for each in members]))

    def _finish(
        self, ensemble: Ensemble, trained: Trained, targets: Targets | None
    ) -> None:
        """What follows the training; no ``targets`` stand for no rows held out."""
        if targets is None:
            self._after_training(None)
            return

        def validated() -> Validated:
            return validated_by(self._bag[0], ensemble, trained, targets)

        try:
            self._after_training(validated)
        except KeyboardInterrupt:
            if trained.interrupted:  # not the first, but the second
                raise
            trained.interrupted = True
            self._after_training(validated)


def _plain(value: Any) -> Any:
    """A number as one of Python's: products of NumPy's small integers overflow."""
    if isinstance(value, Real):
        return int(value) if isinstance(value, Integral) else float(value)
    return value


def _as_read(
    weights: Array | None, exponent: int, name: str
) -> tuple[Array | None, int]:
    """Weights as the engine reads them, over a power of two, and its exponent."""
    if weights is None:
        return None, 0
    if not np.isfinite(weights).all():
        raise ValueError(f"Weights must be finite: {name} times class_weight is not.")
    weights, exponent = scale_weights(weights, exponent)
    with np.errstate(under="ignore"):
        return weights.astype(np.float32), exponent
