"""What the two estimators share: one fit, fitted attributes, prediction, pickling.

``fit`` is told in three places: ``_fit`` here turns data and parameters into a
problem and a state, ``_training.train`` loops over the epochs, and ``Trainer.run`` of
the engine does the mini-batches.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import is_regressor
from sklearn.utils import check_random_state

from . import _constraints as allow
from ._call import Call, Data, Outcome, identity_of
from ._callbacks import Alone, CallbackSupport, with_callbacks
from ._checkpoint import check_checkpoint, session_of
from ._evaluation import block_rows, scale_weights
from ._features import as_numpy, checked_features, scale_advice
from ._fingerprint import digests
from ._hyperparameters import (
    check_solver,
    clipped_batch_size,
    settings_of,
    topology_of,
)
from ._inputs import Targets, as_column, checked_weights, table_of
from ._layers import Array, initialize
from ._lbfgs import train_lbfgs
from ._messages import divergence_advice, ending_messages
from ._model import FittedMLP
from ._observers import EpochPrinter, Observer, watching
from ._settings import (
    make_problem,
    make_schedule,
    make_state,
    weight_total,
)
from ._snapshot import Diverged
from ._splits import Split, split_rows
from ._state import Continuation, Ending, History, Problem, State, WeightTotal
from ._targets import TargetKind
from ._threads import STEP_FLOP, blas_threads, threads_for
from ._training import train
from ._validation import Given, Scoring, read_validation
from .core.topology import Topology

_FLOATS = (np.float64, np.float32)
_CURVES = (
    "loss_curve_",
    "best_loss_",
    "validation_scores_",
    "best_validation_score_",
)

Messages = list[tuple[str, type[Warning]]]


class BaseBackpropMLP(CallbackSupport, FittedMLP):
    """Shared by classifier and regressor; not for use itself."""

    _rules = allow.COMMON_RULES

    # What the classifier and the regressor say -------------------------------

    def _learn(
        self, y: Any, *, first: bool, incremental: bool, classes: Any
    ) -> TargetKind:
        """Learn the classes from y, or check y against those that are known."""
        raise NotImplementedError

    def _loss_parameters(self) -> tuple[float, ...]:
        """The numbers that the loss has besides outputs and targets."""
        raise NotImplementedError

    def _observers(self) -> list[Observer]:
        """Who watches a fit."""
        return [EpochPrinter()] if self.verbose else []

    def _more_validation(self, count: int) -> str:
        """What has rows of a class of ``count`` rows validate."""
        return "raise validation_fraction"

    # Fitting -----------------------------------------------------------------

    @with_callbacks
    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        incremental: bool = False,
        classes: Any = None,
        validation: tuple[Any, Any, Any] = (None, None, None),
        checkpoint: Any = None,
    ) -> Messages:
        """One fit, from parameters and data to fitted attributes and warnings."""
        allow.check_parameters(type(self).__name__, self.get_params(), self._rules)
        check_checkpoint(checkpoint)
        check_solver(self, incremental, checkpoint)
        first = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        past = Continuation() if first else self.__dict__.get("_continuation")
        call = Call(first, incremental, past or Continuation())
        if not incremental:
            reporter = self._reporter(X, y, sample_weight, validation[0])
            call = call._replace(reporter=reporter)
        data = self._read(X, y, sample_weight, classes, call)
        identity = checkpoint and identity_of(self, data, call)
        with session_of(checkpoint, identity) as session:
            return self._fit_rows(data, validation, call._replace(session=session))

    def _fit_rows(
        self, data: Data, validation: tuple[Any, Any, Any], call: Call
    ) -> Messages:
        """Train on rows that have been read, and store what is to be kept."""
        topology, names = topology_of(self, data.table.n_columns, data.targets)
        if not call.first:
            self._check_same_layers(topology)

        # A copy, so that a call which fails leaves the stream where it was.
        went = call.past.state
        rng = None if went is None else copy.deepcopy(went.random_state)
        rng = rng or check_random_state(self.random_state)
        if call.session is not None:
            rng = call.session.begin(rng, int(self.max_iter))
        if call.first:
            theta = initialize(topology, names, rng, data.given.X.dtype)
        else:
            theta = self._current(topology).theta.copy()
        split = split_rows(
            self, data.table.n_rows, data.targets, rng, call.past.split, validation
        )
        state, problem = self._prepare(topology, theta, rng, data, split.train, call)
        scoring, held, validate, more = None, split.train[:0], None, {}
        if self.early_stopping and self.solver != "lbfgs":
            scoring, held, more = self._scoring(data, split, topology, theta)
            validate = scoring.of(held)
            if not call.first:
                # What is to be improved on, by the scoring and data of this call.
                best = validate(theta)
                found = best if np.isfinite(best) else -np.inf
                state.history.best_validation_score = found

        if call.session is not None:
            call.session.check(more)
            call.session.restore(state)
        if call.reporter is not None:
            limit = int(self.max_iter)
            parts = [Alone(split.train, held)]
            call.reporter.reads(data.given, scoring, parts, limit)
        outcome = self._train(problem, state, data, validate, call)
        return [
            *clipped_batch_size(self, len(split.train)),
            *self._end(data, split, call, outcome),
        ]

    def _read(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        classes: Any,
        call: Call,
    ) -> Data:
        """The rows of a call, checked."""
        X, y = as_numpy(X, "X"), as_numpy(y, "y")
        sample_weight = as_numpy(sample_weight, "sample_weight")
        classes = as_numpy(classes, "classes")
        first, past = call.first, call.past
        dtype = self._checked_dtype(first)
        y = self._target_class.plain(y)
        # An overflow in a cast becomes an infinity, which is refused with words.
        with np.errstate(over="ignore"):
            X, y = checked_features(
                self,
                X,
                y,
                dtype=dtype,
                order="C",
                multi_output=True,
                y_numeric=is_regressor(self),
                reset=first,
            )
        y = as_column(y)
        kind = self._learn(
            y, first=first, incremental=call.incremental, classes=classes
        )
        targets = kind.encode(y, X.dtype)
        # Weights of all calls are over the same power of two, that of the heaviest.
        continued = call.incremental and past.weights.count > 0
        least = past.weights.exponent if continued else None
        weights, exponent = checked_weights("sample_weight", sample_weight, X)
        weights = kind.weights(y, weights, getattr(self, "class_weight", None))
        if weights is None and least is not None and least > 0:
            weights = np.ones(X.shape[0])
        if weights is not None:
            weights, exponent = scale_weights(weights, exponent, least)
        table = table_of(X, targets, weights)
        return Data(Given(X, y, table, exponent), kind, targets)

    def _checked_dtype(self, first: bool) -> Any:
        """The type of the arithmetic, or those that X may have."""
        dtype: Any = _FLOATS if self.dtype is None else np.dtype(self.dtype)
        if first:
            return dtype
        had = self._model_dtype()
        if self.dtype is not None and dtype != had:
            raise ValueError(
                f"The fitted parameters are {had}, but dtype={self.dtype!r} asks "
                "for another type. Fit with warm_start=False."
            )
        return had

    def _check_same_layers(self, topology: Topology) -> None:
        had = self._topology().sizes
        if had != topology.sizes:
            raise ValueError(
                f"The fitted layers have sizes {had}, but parameters and data now ask "
                f"for {topology.sizes}. Take a new estimator, or fit with "
                "warm_start=False."
            )

    def _past(self) -> History:
        """The history of a fitted estimator, to go on with."""
        count = getattr(self, "_no_improvement_count", 0)
        return History(
            loss=self.loss_,
            loss_curve=list(getattr(self, "loss_curve_", [])),
            best_loss=_or(getattr(self, "best_loss_", None), np.inf),
            validation_scores=list(getattr(self, "validation_scores_", None) or []),
            best_validation_score=_or(
                getattr(self, "best_validation_score_", None), -np.inf
            ),
            # Past a plateau that ended a fit, a warm one would end in its first epoch.
            no_improvement=0 if count > self.n_iter_no_change else count,
            t=self.t_,
        )

    def _prepare(
        self,
        topology: Topology,
        theta: Array,
        rng: np.random.RandomState,
        data: Data,
        rows: Array,
        call: Call,
    ) -> tuple[State, Problem]:
        """What training changes and what it is given, going on from an earlier call."""
        past, settings = call.past, settings_of(self, len(rows), call.incremental)
        history = History() if call.first else self._past()
        state = make_state(settings, theta, rng, rows, history)
        if past.state is not None:
            past.state.continues(state, moments=past.solver == self.solver)
        weights = weight_total(data.table, state.order, data.given.exponent)
        if call.incremental:
            # A running mean over all calls, so that chunks weigh what they weigh.
            weights = weights.plus(past.weights)
            # A warm fit starts from learning_rate_init: a rate that had decayed
            # away would make it do nothing.
            if past.state is not None:
                history.reductions = past.state.history.reductions
            state.optimizer.learning_rate = make_schedule(settings).rate(
                history.t, history.reductions
            )
        seed = past.dropout_seed  # drawn once, and only if there are masks
        if settings.dropout > 0 and not seed:
            seed = int(rng.randint(1, 2**31))
        keeps = bool(self.warm_start or call.incremental)
        problem = make_problem(
            settings, topology, weights, seed=seed, keeps_state=keeps
        )
        return state, problem

    def _scoring(
        self, data: Data, split: Split, topology: Topology, theta: Array
    ) -> tuple[Scoring, Array, dict[str, str]]:
        """The score of parameters, tried on theta, and the rows that it is of.

        And digests of data that were given for it.
        """
        validation, rows, more = None, split.held_out, {}
        if rows is None:
            dtype = data.given.X.dtype
            validation = read_validation(
                self,
                data.kind,
                split.given,
                lambda X: self._inputs_of(X, dtype),
                lambda y, name: data.kind.encode(y, dtype, name),
                lambda weights, exponent, name: (
                    (None, 0) if weights is None else scale_weights(weights, exponent)
                ),
            )
            rows = np.arange(validation.table.n_rows, dtype=np.intp)
            more = digests(validation, "_val")
        elif not data.table.weight_sum(rows) > 0:
            raise ValueError("The weights of the validation rows sum to zero.")
        probe = self._probe(data.targets, topology)
        probe.__dict__.pop("feature_names_in_", None)  # it is for bare arrays

        def fitted(theta: Array) -> Any:
            probe._set_parameters(topology, theta)
            return probe

        scoring = Scoring(self, data.kind, topology, data.given, validation, fitted)
        scoring.check(np.arange(data.table.n_rows), rows, theta)
        return scoring, rows, more

    def _inputs_of(self, X: Any, dtype: Any) -> tuple[Any, Any]:
        """X_val as scorers get it and as the engine reads it."""
        with np.errstate(over="ignore"):
            X = checked_features(
                self, X, name="X_val", dtype=dtype, order="C", reset=False
            )
        return X, X

    def _train(
        self,
        problem: Problem,
        state: State,
        data: Data,
        validate: Callable[[Array], float] | None,
        call: Call,
    ) -> Outcome:
        """Run the solver."""
        rows = len(state.order) if self.solver == "lbfgs" else problem.batch_size
        flop = 6.0 * rows * len(state.theta)
        # Long batches are computed in blocks, by a team for each.
        block = block_rows(problem.topology, state.theta.dtype, data.table.sparse)
        shared = flop * min(1.0, block / rows)
        n_threads = min(rows, threads_for(self.n_jobs, shared, STEP_FLOP))
        problem = replace(problem, n_threads=n_threads)
        fitted, reason = self._fitted_with(problem.topology, data), ""
        observers = self._observers()
        if call.session is not None:
            observers.insert(0, call.session)  # before anybody who may fail
        if call.reporter is not None:
            observers.append(call.reporter)
        with (
            blas_threads(self.n_jobs, flop),
            watching(observers, fitted) as watch,
        ):
            if self.solver == "lbfgs":
                max_fun = int(self.max_fun)
                ending, reason = train_lbfgs(problem, state, data.table, max_fun, watch)
            else:
                ending = train(problem, state, data.table, validate, watch)
            if watch is not None:
                watch.finish(ending, state)
        return Outcome(problem, state, ending, reason, validate is not None)

    def _fitted_with(self, topology: Topology, data: Data) -> Callable[[Array], Any]:
        """What makes an estimator of parameters while this one is being fitted."""

        def fitted(theta: Array) -> Any:
            probe = self._probe(data.targets, topology)
            probe._set_parameters(topology, theta)
            return probe

        return fitted

    def _end(self, data: Data, split: Split, call: Call, outcome: Outcome) -> Messages:
        """Store what is to be kept, and say how training ended."""
        history, ending = outcome.state.history, outcome.ending
        diverged, finite = ending == Ending.DIVERGED, history.n_iter > 0
        if finite or not diverged:
            self._store(data.targets, outcome)
            self._incremental = call.incremental
            self._continuation = self._continue(split, call, outcome)
        if diverged and not (outcome.validated and finite):
            weighted = len(data.table.sample_weight) > 0
            n_rows = data.table.n_rows
            advice = divergence_advice(self, outcome.problem, n_rows, weighted)
            raise Diverged(finite, advice)
        if call.reporter is not None:
            call.reporter.ends()
        if ending == Ending.EXHAUSTED and call.incremental:
            return []
        best = history.best_validation_score
        unscored = outcome.validated and not np.isfinite(best)
        messages = ending_messages(
            ending, outcome.reason, outcome.problem, history.n_iter, unscored
        )
        if ending == Ending.EXHAUSTED and messages:
            identity = data.targets.output_activation == "identity"
            numbers = data.targets.Y if identity else None
            advice = scale_advice(self, data.table, numbers)
            messages = [(text + advice, category) for text, category in messages]
        return messages

    def _store(self, targets: Targets, outcome: Outcome) -> None:
        """The fitted attributes, all at once."""
        topology, state = outcome.problem.topology, outcome.state
        history = state.history
        self._describe(topology, targets)
        self._set_parameters(topology, state.theta)
        self.n_iter_ = history.n_iter
        self.t_ = history.t
        self.loss_ = history.loss
        if self.solver == "lbfgs":
            for name in _CURVES:
                self.__dict__.pop(name, None)
            return
        validated = outcome.validated
        self.loss_curve_ = history.loss_curve
        self.best_loss_ = None if validated else history.best_loss
        self.validation_scores_ = history.validation_scores if validated else None
        self.best_validation_score_ = (
            history.best_validation_score if validated else None
        )
        self._no_improvement_count = history.no_improvement

    def _continue(self, split: Split, call: Call, outcome: Outcome) -> Continuation:
        """What a later call goes on from."""
        problem, state = outcome.problem, outcome.state
        if self.solver == "lbfgs":
            return Continuation()
        drawn = split.drawn or call.past.split
        interrupted = outcome.ending in (Ending.DIVERGED, Ending.INTERRUPTED)
        if (outcome.validated or interrupted) and not problem.keeps_state:
            return Continuation(drawn)  # moments are not those of the epoch kept
        stream = copy.deepcopy(state.random_state)
        if self.random_state is None:
            # A copy of NumPy's global stream would repeat what others draw from it.
            stream = np.random.RandomState(state.random_state.randint(2**31))
        kept = replace(
            state,
            random_state=stream,
            order=state.order if problem.keeps_state else state.order[:0].copy(),
            best=None,
        )
        weights = WeightTotal(0.0, 0.0, problem.weights.exponent)
        return Continuation(
            drawn,
            self.solver,
            kept,
            problem.dropout[1],
            problem.weights if call.incremental else weights,
        )


def _or(value: Any, default: float) -> float:
    return default if value is None else value
