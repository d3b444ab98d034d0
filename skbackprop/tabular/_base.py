"""What the two estimators share: from a frame to a bag of networks, and back.

``fit`` is told in three places: ``_fit`` here makes a table of the frame and a topology
of its columns, ``_bag.train_bag`` trains the members, and ``_member.train_member`` each
of them, by the loop that all estimators share.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from dataclasses import asdict, replace
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_array, check_consistent_length, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from .. import _parameters as allow
from .._features import as_numpy
from .._inputs import Targets, as_column, as_given, checked_weights, table_of
from .._layers import Array, make_topology, without_smoothing
from .._scoring import CannotScore, check_score, score_on, scorer_of
from .._snapshot import become, working_copy
from .._table import (
    Table,
    make_table,
    predict,
    scale_weights,
    value_and_gradient,
)
from .._threads import blas_threads, workers_for
from ..core.embeddings import Embeddings
from ..core.topology import Topology
from ._bag import Clock, Trained, fold_numbers, train_bag
from ._bins import quantile_edges, to_positions
from ._columns import read_columns
from ._encoder import RULES as ENCODER_RULES
from ._encoder import TabularEncoder
from ._member import Member, diverged, has_diverged, train_member
from ._recipe import PRESETS, Recipe, make_recipe

_ENCODER = ("categorical_features", "max_one_hot", "min_frequency")
_RECIPE = (
    "hidden_layer_sizes",
    "activation",
    "n_folds",
    "n_repeats",
    "max_iter",
    "batch_size",
    "learning_rate_init",
    "weight_decay",
    "dropout",
    "n_bins",
    "embedding_size",
    "label_smoothing",
)

#: The parameters that both estimators have.
RULES: dict[str, tuple[allow.Constraint, ...]] = {
    "preset": (allow.one_of(*PRESETS),),
    **{name: ENCODER_RULES[name] for name in _ENCODER},
    "hidden_layer_sizes": (
        allow.NONE,
        allow.sequence_of(allow.SIZE),
        allow.SIZE,
    ),
    "activation": (allow.NONE, allow.one_of(*allow.HIDDEN_ACTIVATIONS)),
    "n_folds": (allow.NONE, allow.SIZE),
    "n_repeats": (allow.NONE, allow.SIZE),
    "max_iter": (allow.NONE, allow.interval(Integral, 1, None, "left")),
    "batch_size": (allow.NONE, allow.SIZE),
    "learning_rate_init": (allow.NONE, allow.interval(Real, 0, None, "neither")),
    "weight_decay": (allow.NONE, allow.interval(Real, 0, None, "left")),
    "dropout": (allow.NONE, allow.interval(Real, 0, 1, "left")),
    "n_bins": (allow.NONE, allow.SIZE),
    "embedding_size": (allow.NONE, allow.SIZE),
    "scoring": (allow.SCORER, allow.CALLABLE),
    "time_limit": (allow.NONE, allow.interval(Real, 0, None, "neither")),
    "n_jobs": (allow.NONE, allow.N_JOBS),
    "random_state": (allow.RANDOM_STATE,),
    "verbose": (allow.VERBOSE,),
}


class Validation(NamedTuple):
    """X_val, y_val and their weights, as given and as the engine reads them."""

    X: Any
    y: Any
    table: Table
    #: Of the power of two that the weights are over.
    exponent: int


class Validated(NamedTuple):
    """What members say of rows that they have not been trained on, and the truth."""

    logits: Array
    targets: Targets
    weights: Array | None


class BaseTabularMLP(BaseEstimator):
    """Shared by classifier and regressor; not for use itself."""

    _rules = RULES

    # What the classifier and the regressor say -------------------------------

    def _learn_targets(self, y: Any, weights: Array | None) -> None:
        """Take in what y says of the classes, or of the scale of its numbers."""
        raise NotImplementedError

    def _plain_y(self, y: Any, name: str = "y") -> Any:
        """y or y_val as a plain array; nothing in it is missing."""
        raise NotImplementedError

    def _encoded(self, y: Any, name: str = "y") -> Targets:
        """y as the networks see it, with what has been learnt of it."""
        raise NotImplementedError

    def _check_known(self, y: Any, name: str = "y") -> None:
        """Refuse a y_val that is not like y."""
        raise NotImplementedError

    def _lacking(
        self, table: Table, rows: Array, validating: Table, held: Array
    ) -> tuple[str, int]:
        """The rarest class of some rows that others lack, in words, and its rows."""
        raise NotImplementedError

    def _strata(self, targets: Targets, rows: Array) -> Array | None:
        """What every fold is to have its share of."""
        raise NotImplementedError

    def _weights(self, y: Any, sample_weight: Array | None) -> Array | None:
        """Weights of the training rows; the classifier multiplies in its own."""
        return sample_weight

    def _loss_parameters(self, recipe: Recipe) -> tuple[float, ...]:
        """The numbers that the loss has besides outputs and targets."""
        raise NotImplementedError

    def _after_training(self, validated: Callable[[], Validated] | None) -> None:
        """Told what every member says of the rows held out, where there were any."""

    # Fitting -----------------------------------------------------------------

    def _guarded_fit(self, *args: Any) -> Any:
        """Fit; whatever fails leaves the estimator as it was."""
        fitted = working_copy(self)
        messages = fitted._fit(*args)
        become(self, fitted)
        for message, category in messages:
            warnings.warn(message, category, stacklevel=3)
        return self

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        X_val: Any,
        y_val: Any,
        weight_val: Any,
    ) -> list[tuple[str, type[Warning]]]:
        """One fit, from parameters and a frame to fitted attributes and warnings."""
        allow.check_parameters(type(self).__name__, self.get_params(), self._rules)
        clock = Clock(self.time_limit)
        X, y = as_numpy(X, "X"), as_numpy(y, "y")
        sample_weight = as_numpy(sample_weight, "sample_weight")
        X_val, y_val = as_numpy(X_val, "X_val"), as_numpy(y_val, "y_val")
        weight_val = as_numpy(weight_val, "sample_weight_val")
        columns = read_columns(X, self)
        validate_data(self, columns.source, y, skip_check_array=True, reset=True)
        for name in ("_bag", "_clamp", "temperature_"):
            self.__dict__.pop(name, None)
        encoder = TabularEncoder(
            missing="nan", **{name: getattr(self, name) for name in _ENCODER}
        )
        encoder._learn(columns)
        matrix = encoder._encode(columns)
        y = self._checked_y(y, matrix)
        given, exponent = checked_weights("sample_weight", sample_weight, matrix)
        self._learn_targets(y, given)
        targets, weights = self._encoded(y), self._weights(y, given)
        weights, exponent = _as_read(weights, exponent, "sample_weight")

        # A row without weight trains nothing and validates nothing.
        rows = np.arange(len(matrix)) if weights is None else np.flatnonzero(weights)
        if not len(rows):
            raise ValueError(
                "The weights of the training rows sum to zero: sample_weight and "
                "class_weight must leave one above zero."
            )
        recipe = self._recipe(len(rows))
        edges = [
            quantile_edges(matrix[rows, f], recipe.n_bins)
            for f in range(encoder.n_numeric_)
        ]
        self.encoder_, self._edges = encoder, edges
        table = table_of(self._positions(matrix), targets, weights)
        topology = self._plan(encoder, edges, targets, recipe)
        validation = self._checked_validation(X_val, y_val, weight_val)
        random_state = check_random_state(self.random_state)
        score, check = self._scorer(topology, X, y, table, exponent, validation)
        held_out = self._held_out(
            recipe, rows, targets, validation, random_state, check
        )
        if self.n_folds is None:
            recipe = replace(recipe, n_folds=len(held_out) // recipe.n_repeats)
        seeds = random_state.randint(2**31, size=len(held_out))

        def train_one(number: int, stop: Callable[[], bool]) -> Member:
            train_rows, held = held_out[number]()
            member = train_member(
                topology,
                recipe,
                table,
                train_rows,
                score(held),
                seeds[number],
                stop,
                self.scoring == "loss",
            )
            if self.scoring == "loss" and not np.isfinite(member.scores).any():
                raise diverged(recipe)
            return member

        with blas_threads(1, 0.0):
            trained = train_bag(
                train_one, len(held_out), workers_for(self.n_jobs), clock, self._report
            )
        self._store(topology, recipe, trained)
        if validation is not None:
            table = validation.table
        elif recipe.n_folds == 1 or len(rows) == 1:
            held_out = []
        self._after_training(
            (lambda: self._validated(held_out, trained, table, targets))
            if held_out
            else None
        )
        return self._messages(trained)

    def _checked_y(self, y: Any, matrix: Array, name: str = "y") -> Any:
        """y, or y_val, as an array of as many rows as the matrix."""
        y = check_array(
            self._plain_y(y, name),
            accept_sparse="csr",
            ensure_2d=False,
            allow_nd=False,
            dtype=None,
            input_name=name,
            ensure_min_samples=0,
        )
        check_consistent_length(matrix, y)
        return as_column(y)

    def _recipe(self, n_rows: int) -> Recipe:
        given = {name: _plain(getattr(self, name)) for name in _RECIPE}
        sizes = given["hidden_layer_sizes"]
        if sizes is not None:
            sizes = tuple(sizes) if np.iterable(sizes) else (sizes,)
            given["hidden_layer_sizes"] = tuple(int(size) for size in sizes)
        return make_recipe(self.preset, given, n_rows)

    def _positions(self, matrix: Array) -> Array:
        """The encoder's matrix as the networks read it, in its own place."""
        to_positions(matrix, self._edges)
        # Where all columns say nothing, networks learn a constant.
        return matrix if matrix.shape[1] else np.zeros((len(matrix), 1), np.float32)

    def _plan(
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

    def _checked_validation(
        self, X_val: Any, y_val: Any, weight_val: Any
    ) -> Validation | None:
        """X_val, y_val and sample_weight_val, checked like the training data."""
        if X_val is None and y_val is None and weight_val is None:
            return None
        if X_val is None or y_val is None:
            raise ValueError("X_val and y_val must be given together.")
        try:
            matrix = self._matrix(X_val, "X_val")
        except (TypeError, ValueError) as error:
            message = str(error)
            if "X_val" in message:
                raise
            named = message.startswith("X ")  # as scikit-learn says
            message = f"X_val{message[1:]}" if named else f"In X_val: {message}"
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(message) from None
        y_val = self._checked_y(y_val, matrix, "y_val")
        weights, exponent = checked_weights("sample_weight_val", weight_val, matrix)
        self._check_known(y_val, "y_val")
        targets, weights = self._encoded(y_val, "y_val"), self._weights(y_val, weights)
        weights, exponent = _as_read(weights, exponent, "sample_weight_val")
        table = table_of(matrix, targets, weights)
        if not table.weight_sum(np.arange(len(matrix))) > 0:
            raise ValueError("The weights of the validation rows sum to zero.")
        return Validation(X_val, y_val, table, exponent)

    def _held_out(
        self,
        recipe: Recipe,
        rows: Array,
        targets: Targets,
        validation: Validation | None,
        random_state: np.random.RandomState,
        check: Callable[[Array, Array], None],
    ) -> list[Callable[[], tuple[Array, Array]]]:
        """For every member, what gives the rows that train it and that validate it.

        Where the scorer needs every class, and nobody asked for so many folds, there
        are no more of them than rows of the rarest class.
        """
        if validation is not None:
            of_val = np.arange(validation.table.n_rows)
            check(rows, of_val)
            return [lambda: (rows, of_val)] * (recipe.n_folds * recipe.n_repeats)
        n_folds = min(recipe.n_folds, len(rows))
        if n_folds == 1:  # nothing can be held out
            check(rows, rows)
            return [lambda: (rows, rows)] * recipe.n_repeats
        strata = self._strata(targets, rows)

        def dealt(n_folds: int) -> list[Callable[[], tuple[Array, Array]]]:
            parts = []
            for _ in range(recipe.n_repeats):
                folds = fold_numbers(len(rows), n_folds, strata, random_state)
                parts += [_Part(rows, folds, fold) for fold in range(n_folds)]
            for part in parts:
                check(rows, part()[1])
            return parts

        try:
            return dealt(n_folds)
        except CannotScore:
            fewest = 0
            if strata is not None:
                fewest = int(np.unique(strata, return_counts=True)[1].min())
            if self.n_folds is not None or not 1 < fewest < n_folds:
                raise
        return dealt(fewest)

    def _scorer(
        self,
        topology: Topology,
        X: Any,
        y: Any,
        table: Table,
        exponent: int,
        validation: Validation | None,
    ) -> tuple[
        Callable[[Array], Callable[[Array], float]], Callable[[Array, Array], None]
    ]:
        """What makes, of the rows held out, the function from theta to a score.

        And what raises, given all rows and those held out, where they have no score.
        """
        plain = without_smoothing(topology)
        given = table
        if validation is not None:
            X, y, table, exponent = validation

        def loss_of(held: Array) -> Callable[[Array], float]:
            total = table.weight_sum(held)
            return lambda theta: (
                -value_and_gradient(plain, theta, table, denominator=total, rows=held)
            )

        if self.scoring == "loss":
            return loss_of, lambda rows, held: None
        scorer = scorer_of(self)

        def score_of(held: Array) -> Callable[[Array], float]:
            weights = None
            if len(table.sample_weight):  # a row of weight 0 validates nothing
                held = held[table.sample_weight[held] > 0]
                weights = as_given(table.sample_weight[held], exponent)
            on_rows = score_on(scorer, rows_of(X, held), y[held], weights)
            probe = copy.copy(self)

            def score(theta: Array) -> float:
                probe._bag = (topology, [theta])
                return on_rows(probe)

            return score

        tried: list[Array] = []

        def check(rows: Array, held: Array) -> None:
            lacking, count = self._lacking(given, rows, table, held)
            if not lacking and tried:
                return
            remedy = "pass X_val and y_val that have it, or take scoring='loss'"
            if table is not given:
                remedy = "give X_val and y_val such rows"
            elif count > 1:
                remedy = f"take n_folds={count} or fewer, {remedy}"
            theta = np.zeros(topology.n_parameters, np.float32)
            check_score(self, lambda: score_of(held)(theta), lacking, remedy)
            if not lacking:
                tried.append(held)

        return score_of, check

    def _report(self, number: int, member: Member) -> None:
        if self.verbose:
            print(
                f"Network {number + 1}: best epoch {member.best_epoch} of "
                f"{len(member.scores)}, validation score {member.score:.6g}"
            )

    def _store(self, topology: Topology, recipe: Recipe, trained: Trained) -> None:
        members = [member for member in trained.members if member is not None]
        self._bag = (without_smoothing(topology), [each.theta for each in members])
        self.n_networks_ = len(members)
        self.recipe_ = asdict(recipe)
        self.n_iter_ = max(len(each.scores) for each in members)
        self.best_epochs_ = np.array([each.best_epoch for each in members])
        self.validation_scores_ = [each.scores for each in members]
        self.validation_score_ = float(np.mean([each.score for each in members]))

    def _validated(
        self,
        held_out: list[Callable[[], tuple[Array, Array]]],
        trained: Trained,
        table: Table,
        targets: Targets,
    ) -> Validated:
        """What each member says of the rows that it has not been trained on."""
        topology, _ = self._bag
        logits, rows = [], []
        for number, member in enumerate(trained.members):
            if member is not None:
                held = held_out[number]()[1]
                rows.append(held)
                logits.append(
                    predict(topology, member.theta, table, rows=held, link=False)
                )
        every = np.concatenate(rows)
        seen = replace(
            targets,
            Y=table.Y[every] if targets.labels is None else None,
            labels=None if targets.labels is None else table.labels[every],
            stratify=None,
        )
        w = table.sample_weight[every] if len(table.sample_weight) else None
        return Validated(np.concatenate(logits), seen, w)

    def _messages(self, trained: Trained) -> list[tuple[str, type[Warning]]]:
        planned, n = len(trained.members), self.n_networks_
        if trained.interrupted:
            return [
                (
                    f"Training interrupted by user: {n} of {planned} networks were "
                    "begun, and the best epoch of each is kept.",
                    UserWarning,
                )
            ]
        members = [member for member in trained.members if member is not None]
        messages: list[tuple[str, type[Warning]]] = []
        lost = sum(not np.isfinite(member.scores).any() for member in members)
        if lost:
            messages.append(
                (
                    f"No validation score of {lost} of {n} networks was a finite "
                    "number: the last epoch of each is kept.",
                    ConvergenceWarning,
                )
            )
        late = sum(has_diverged(member) for member in members)
        if late:
            messages.append(
                (
                    f"Training of {late} of {n} networks diverged, and the best "
                    "epoch of each is kept: lower learning_rate_init, which was "
                    f"{self.recipe_['learning_rate_init']!r}.",
                    ConvergenceWarning,
                )
            )
        return messages

    # Prediction --------------------------------------------------------------

    def _matrix(self, X: Any, called: str = "X") -> Array:
        """X as the networks read it, its shape and names checked."""
        columns = read_columns(X, self, called)
        validate_data(self, columns.source, reset=False, skip_check_array=True)
        return self._positions(self.encoder_._encode(columns))

    def _averaged(
        self, X: Any, finish: Callable[[Array], Array], add: Callable[..., Array]
    ) -> tuple[Array, int]:
        """The sum, by ``add``, of what finish makes of every network's Z_J."""
        check_is_fitted(self, "_bag")
        topology, thetas = self._bag
        table = make_table(self._matrix(as_numpy(X, "X")), dtype=np.float32)
        total: Array | None = None
        for theta in thetas:
            outputs = predict(
                topology, theta, table, link=False, finish=finish, n_jobs=self.n_jobs
            )
            total = outputs if total is None else add(total, outputs, out=total)
        assert total is not None  # a bag has a network at least
        return total, len(thetas)

    def __sklearn_is_fitted__(self) -> bool:
        return "_bag" in self.__dict__

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags


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


class _Part:
    """One fold held out: two arrays of rows, made when they are asked for."""

    def __init__(self, rows: Array, folds: Array, fold: int) -> None:
        self.rows, self.folds, self.fold = rows, folds, fold

    def __call__(self) -> tuple[Array, Array]:
        mine = self.folds == self.fold
        return self.rows[~mine], self.rows[mine]


def rows_of(X: Any, rows: Array) -> Any:
    """Some rows of a frame, a table of Arrow's, an array or lists."""
    if hasattr(X, "iloc"):
        return X.iloc[rows]
    if hasattr(X, "take") and hasattr(X, "schema") and not hasattr(X, "to_series"):
        return X.take(rows)
    return X[rows] if hasattr(X, "shape") else [X[i] for i in rows]
