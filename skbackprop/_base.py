"""What the two estimators share: validation, one fit, fitted attributes, pickling.

``fit`` is told in three places: ``_fit`` here turns data and parameters into a
problem and a state, ``_training.train`` loops over the epochs, and
``core.engine.train_run`` does the mini-batches.
"""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator, is_regressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from . import _parameters as allow
from ._early_stopping import Split, split_rows, validator
from ._features import as_numpy, checked_features, scale_advice
from ._inputs import Targets, as_column, checked_weights, table_of
from ._layers import (
    OUTPUT_ACTIVATIONS,
    Array,
    flatten,
    initialize,
    make_topology,
    parameter_views,
)
from ._schedules import FACTORS, SCHEDULES, Plan, Schedule
from ._snapshot import become, working_copy
from ._table import (
    FEW_ROWS,
    Few,
    NotFinite,
    Table,
    as_is,
    block_rows,
    make_few,
    predict_few,
    predict_rows,
    scale_weights,
)
from ._threads import STEP_FLOP, blas_threads, threads_for
from ._training import (
    DIVERGED,
    EXHAUSTED,
    INTERRUPTED,
    History,
    Problem,
    State,
    train,
    train_lbfgs,
)
from ._version import __version__
from .core.activations import Activation
from .core.optimizers import Optimizer, Solver, n_slots
from .core.regimen import Regimen
from .core.topology import Topology

_FLOATS = (np.float64, np.float32)
_CURVES = (
    "loss_curve_",
    "best_loss_",
    "validation_scores_",
    "best_validation_score_",
)


class Fitted(NamedTuple):
    """Theta, the arrays that are its views, and what else predict asks for."""

    theta: Array
    layers: tuple[Array, ...]
    topology: Topology
    output: str
    few: Few


class _Diverged(Exception):
    """Training diverged; the argument says whether an epoch was worth keeping."""


class BaseBackpropMLP(BaseEstimator):
    """Shared by classifier and regressor; not for use itself."""

    _rules = allow.COMMON_RULES

    # What the classifier and the regressor say -------------------------------

    def _learn_targets(
        self, y: Any, *, first: bool, incremental: bool, classes: Any
    ) -> None:
        """Take in what y says of the classes, or check that they are known."""
        raise NotImplementedError

    def _plain_y(self, y: Any, name: str = "y") -> Any:
        """y, y_val or classes as a plain array; nothing in it is missing."""
        raise NotImplementedError

    def _check_known(self, y: Any, name: str = "y") -> None:
        """Refuse a y that is not like the one that was learnt."""
        raise NotImplementedError

    def _targets(self, y: Any, dtype: Any, name: str = "y") -> Targets:
        """y to numbers, with the classes as they are known."""
        raise NotImplementedError

    def _default_score(self, outputs: Array, truth: Array, weights: Any) -> float:
        """Accuracy or R^2 of outputs of the network against encoded targets."""
        raise NotImplementedError

    def _weights(self, y: Any, sample_weight: Array | None) -> Array | None:
        """Weights of the training rows; the classifier multiplies in its own."""
        return sample_weight

    def _loss_parameters(self) -> tuple[float, ...]:
        """The numbers that the loss has besides outputs and targets."""
        return ()

    def _after_epoch(self, epoch: int, loss: float, score: float | None) -> None:
        """Called after every epoch; prints scikit-learn's lines if verbose."""
        if self.verbose:
            print(f"Iteration {epoch}, loss = {loss:.8f}")
            if score is not None:
                print(f"Validation score: {score:f}")

    # Fitting -----------------------------------------------------------------

    def _guarded_fit(self, *args: Any, **kwargs: Any) -> Any:
        """Fit; whatever fails leaves the estimator as it was.

        But a divergence after a finite epoch leaves that epoch.
        """
        fitted = working_copy(self)
        try:
            messages = fitted._fit(*args, **kwargs)
        except _Diverged as diverged:
            finite, advice = diverged.args
            if finite:
                become(self, fitted)
            raise ValueError(
                f"Solver produced non-finite parameter weights. {advice}"
            ) from None
        become(self, fitted)
        for message, category in messages:
            warnings.warn(message, category, stacklevel=3)
        return self

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        incremental: bool = False,
        classes: Any = None,
        validation: tuple[Any, Any, Any] = (None, None, None),
    ) -> list[tuple[str, type[Warning]]]:
        """One fit, from parameters and data to fitted attributes and warnings."""
        allow.check_parameters(type(self).__name__, self.get_params(), self._rules)
        X, y = as_numpy(X, "X"), as_numpy(y, "y")
        sample_weight = as_numpy(sample_weight, "sample_weight")
        classes = as_numpy(classes, "classes")
        if self.early_stopping and incremental:
            raise ValueError("partial_fit does not support early_stopping=True")
        self._check_steps(incremental)
        first = not hasattr(self, "coefs_") or not (self.warm_start or incremental)

        dtype: Any = _FLOATS if self.dtype is None else np.dtype(self.dtype)
        if not first:
            had = self._model_dtype()
            if self.dtype is not None and dtype != had:
                raise ValueError(
                    f"The fitted parameters are {had}, but dtype={self.dtype!r} asks "
                    "for another type. Fit with warm_start=False."
                )
            dtype = had
        y = self._plain_y(y)
        X, y = self._validated(X, y, dtype=dtype, reset=first)
        y = as_column(y)
        self._learn_targets(y, first=first, incremental=incremental, classes=classes)
        targets = self._targets(y, X.dtype)
        saved = {} if first else getattr(self, "_training_state", {})
        # Weights of all calls are over the same power of two, that of the heaviest.
        continued = incremental and saved.get("weight_rows", 0.0) > 0
        least = saved.get("weight_exponent", 0) if continued else None
        given, exponent = checked_weights("sample_weight", sample_weight, X)
        weights = self._weights(y, given)
        if weights is None and least is not None and least > 0:
            weights = np.ones(X.shape[0])
        if weights is not None:
            weights, exponent = scale_weights(weights, exponent, least)
        table = table_of(X, targets, weights)
        topology, names = self._plan(X.shape[1], targets)

        if not first:
            self._check_same_layers(topology)
        # A copy, so that a call which fails leaves the stream where it was.
        rng = copy.deepcopy(saved.get("random_state"))
        rng = rng or check_random_state(self.random_state)
        if first:
            theta = initialize(topology, names, rng, X.dtype)
        else:
            theta = self._parameters(topology).copy()
        split = split_rows(self, table.n_rows, targets, rng, saved, validation)
        history = History() if first else self._past()
        state = self._state(theta, rng, split.train, history, saved)
        problem = self._problem(topology, table, exponent, state, saved, incremental)
        if self.early_stopping and self.solver != "lbfgs":
            score = validator(self, X, y, targets, split, problem, theta)
            problem = replace(problem, validate=score)
            if not first:
                # What is to be improved on, by the scoring and data of this call.
                best = score(theta)
                history.best_validation_score = best if np.isfinite(best) else -np.inf

        ended, reason = self._train(problem, state)
        history = state.history
        finite = history.n_iter > 0
        if ended != DIVERGED or finite:
            self._store(targets, problem, state, split, saved, ended, incremental)
        rescued = ended == DIVERGED and problem.validate is not None and finite
        unscored = problem.validate is not None and not np.isfinite(
            history.best_validation_score
        )
        if ended == DIVERGED and not rescued:
            raise _Diverged(finite, self._advice(problem))
        messages = _messages(
            ended, reason, history.n_iter, problem, incremental, unscored
        )
        if ended == EXHAUSTED and messages:
            numbers = targets.Y if targets.output_activation == "identity" else None
            advice = scale_advice(self, table, numbers)
            messages = [(text + advice, category) for text, category in messages]
        return messages

    def _validated(self, X: Any, y: Any, *, dtype: Any, reset: bool) -> tuple[Any, Any]:
        """X and y checked, X as C-ordered array or CSR of the type."""
        # An overflow in a cast becomes an infinity, which is refused with words.
        with np.errstate(over="ignore"):
            return checked_features(
                self,
                X,
                y,
                dtype=dtype,
                order="C",
                multi_output=True,
                y_numeric=is_regressor(self),
                reset=reset,
            )

    def _plan(self, n_features: int, targets: Targets) -> tuple[Topology, list[str]]:
        """The network's shape, and the name of the activation of every layer."""
        sizes = self.hidden_layer_sizes
        hidden = [int(size) for size in sizes] if np.iterable(sizes) else [int(sizes)]
        if any(size <= 0 for size in hidden):
            given = allow.shown(hidden)
            raise ValueError(f"hidden_layer_sizes must be > 0, got {given}.")
        if any(size >= 2**31 for size in hidden):
            given = allow.shown(hidden)
            raise ValueError(f"hidden_layer_sizes must be < 2**31, got {given}.")
        if isinstance(self.activation, str):
            # The output layer's initial bound follows the hidden activation.
            names = [self.activation] * (len(hidden) + 1)
        else:
            names = list(self.activation)
            if len(names) != len(hidden):
                raise allow.InvalidParameterError(
                    f"The 'activation' parameter of {type(self).__name__} must be one "
                    f"str or one for each of the {len(hidden)} hidden layers. "
                    f"Got {self.activation!r} instead."
                )
            names.append(names[-1] if names else "identity")
        layers = [n_features, *hidden, targets.n_outputs]
        topology = make_topology(
            layers,
            names[:-1],
            targets.output_activation,
            targets.loss,
            loss_parameters=self._loss_parameters(),
        )
        return topology, names

    def _advice(self, problem: Problem) -> str:
        """What to change where training diverged."""
        rate, table = self.learning_rate_init, problem.table
        lower = f" or lower learning_rate_init, which was {allow.shown(rate)}"
        lower = "" if self.solver == "lbfgs" else lower
        rows = table.n_rows if self.solver == "lbfgs" else problem.batch_size
        total = rows * problem.mean_weight
        if problem.alpha * rate > total:  # a step by the penalty alone overshoots
            over = f"{rows} rows"
            if len(table.sample_weight):
                lower += ", or use larger sample_weight or class_weight"
                given = np.ldexp(total, problem.weight_exponent)
                over = f"weights that sum to {given:.3g}"
            return (
                f"The penalty outweighs the data: alpha={self.alpha!r} is divided by "
                f"{over} in a batch. Lower alpha{lower}."
            )
        return (
            "The input data may contain large values and need to be preprocessed. "
            f"Scale the features (for example with StandardScaler){lower}."
        )

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

    def _state(
        self,
        theta: Array,
        rng: np.random.RandomState,
        rows: Array,
        history: History,
        saved: dict[str, Any],
    ) -> State:
        """What training changes, with what was saved where it still fits."""
        stochastic = self.solver in allow.STOCHASTIC_SOLVERS
        kind = Solver[self.solver.upper()] if stochastic else Solver.SGD
        optimizer = Optimizer(
            kind,
            self.learning_rate_init,
            momentum=self.momentum,
            nesterov=self.nesterovs_momentum,
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
            weight_decay=self.weight_decay,
        )
        memory = np.zeros((n_slots(kind) if stochastic else 0, len(theta)), theta.dtype)
        fits = np.shape(saved.get("memory")) == memory.shape
        if saved.get("solver") == self.solver and fits:
            memory[...] = saved["memory"]
            optimizer.t = saved["steps"]
        order = saved.get("order")
        if order is not None and _same_rows(order, rows):
            rows = order.copy()
        return State(theta, memory, optimizer, rng, rows, history)

    def _problem(
        self,
        topology: Topology,
        table: Table,
        exponent: int,
        state: State,
        saved: dict[str, Any],
        incremental: bool,
    ) -> Problem:
        """What training is given; the rates, sums and sizes worked out."""
        n = len(state.order)
        batch_size = min(200, n) if self.batch_size == "auto" else self.batch_size
        if batch_size > n and self.solver != "lbfgs":
            warnings.warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going "
                "to be clipped",
                stacklevel=5,
            )
        total, count = table.weight_sum(state.order), float(n)
        if incremental:
            # A running mean over all calls, so that chunks weigh what they weigh.
            before = saved.get("weight_exponent", 0)
            total += math.ldexp(saved.get("weight_sum", 0.0), before - exponent)
            count += saved.get("weight_rows", 0.0)
        if total == np.inf:
            raise ValueError(
                "The weights of the training rows sum to infinity: sample_weight or "
                "class_weight has a number that is too large."
            )
        if not total > 0:
            raise ValueError(
                "The weights of the training rows sum to zero: sample_weight and "
                "class_weight must leave one above zero."
            )
        alpha = float(self.alpha)
        if exponent:  # beside tiny weights it may be infinite: then training diverges
            with np.errstate(over="ignore", under="ignore"):
                alpha = float(np.ldexp(alpha, -exponent))
        scikit_learns = self.learning_rate in SCHEDULES
        schedule = Schedule(
            self.learning_rate
            if self.solver == "sgd" and scikit_learns
            else "constant",
            float(self.learning_rate_init),
            float(self.power_t),
        )
        if incremental:
            # A warm fit starts from learning_rate_init: a rate that had decayed
            # away would make it do nothing.
            state.history.reductions = saved.get("reductions", 0)
            state.optimizer.learning_rate = schedule.rate(
                state.history.t, state.history.reductions
            )
        return Problem(
            topology=topology,
            table=table,
            alpha=alpha,
            mean_weight=total / count,
            weights=(total, count),
            max_iter=1 if incremental else int(self.max_iter),
            tol=float(self.tol),
            n_iter_no_change=float(self.n_iter_no_change),
            batch_size=int(min(batch_size, n)),
            shuffle=bool(self.shuffle),
            schedule=schedule,
            regimen=self._regimen(topology, state.random_state, saved),
            plan=self._schedule_plan(),
            validate=None,
            keeps_state=bool(self.warm_start or incremental),
            weight_exponent=exponent,
        )

    def _regimen(
        self, topology: Topology, rng: np.random.RandomState, saved: dict[str, Any]
    ) -> Regimen:
        """Dropout and clipping; a seed is drawn once, and only if there are masks."""
        seed = saved.get("dropout_seed", 0)
        if self.dropout > 0 and not seed:
            seed = int(rng.randint(1, 2**31))
        return Regimen(
            topology.n_groups,
            dropout=float(self.dropout),
            seed=seed,
            max_norm=float(self.max_grad_norm or 0),
        )

    def _schedule_plan(self) -> Plan:
        """The factors of learning rate, dropout and decay over max_iter epochs."""
        rate = self.learning_rate if self.learning_rate in FACTORS else "constant"
        return Plan(
            rate, self.dropout_schedule, self.weight_decay_schedule, int(self.max_iter)
        )

    def _check_steps(self, incremental: bool) -> None:
        """Refuse what the solver has no steps for, or the call no end."""
        if self.solver == "lbfgs":
            for name, least in (("dropout", 0), ("max_grad_norm", None)):
                if getattr(self, name) != least:
                    raise ValueError(
                        f"{name} is for solvers with mini-batches. "
                        f"Got {name}={getattr(self, name)!r} and solver='lbfgs'."
                    )
        names = ("learning_rate", "dropout_schedule", "weight_decay_schedule")
        for name in names if incremental else ():
            value = getattr(self, name)
            if value in FACTORS and value != "constant":
                raise ValueError(
                    "partial_fit knows no end that a schedule could be a function of: "
                    f"{name} must be 'constant'. Got {value!r}."
                )

    def _train(self, problem: Problem, state: State) -> tuple[str, str]:
        """Run the solver; what ended it, and what SciPy had to say."""

        def after_epoch(history: History, message: str | None) -> bool:
            scores = history.validation_scores
            score = scores[-1] if problem.validate is not None else None
            self._after_epoch(history.n_iter, history.loss, score)
            if message and self.verbose:
                print(message)
            return False

        rows = len(state.order) if self.solver == "lbfgs" else problem.batch_size
        flop = 6.0 * rows * len(state.theta)
        # Long batches are computed in blocks, by a team for each.
        block = block_rows(problem.topology, state.theta.dtype, problem.table.sparse)
        shared = flop * min(1.0, block / rows)
        n_threads = min(rows, threads_for(self.n_jobs, shared, STEP_FLOP))
        problem = replace(problem, n_threads=n_threads)
        with blas_threads(self.n_jobs, flop):
            if self.solver == "lbfgs":
                return train_lbfgs(problem, state, int(self.max_fun), after_epoch)
            return train(problem, state, after_epoch), ""

    def _store(
        self,
        targets: Targets,
        problem: Problem,
        state: State,
        split: Split,
        saved: dict[str, Any],
        ended: str,
        incremental: bool,
    ) -> None:
        """The fitted attributes, all at once."""
        history = state.history
        self._describe(problem.topology, targets)
        self._set_parameters(problem.topology, state.theta)
        self.n_iter_ = history.n_iter
        self.t_ = history.t
        self.loss_ = history.loss
        self._incremental = incremental
        self._training_state = {}
        if self.solver == "lbfgs":
            for name in _CURVES:
                self.__dict__.pop(name, None)
            return
        self.loss_curve_ = history.loss_curve
        validated = problem.validate is not None
        self.best_loss_ = None if validated else history.best_loss
        self.validation_scores_ = history.validation_scores if validated else None
        self.best_validation_score_ = (
            history.best_validation_score if validated else None
        )
        self._no_improvement_count = history.no_improvement
        self._training_state = {
            "split_stream": split.drawn or saved.get("split_stream")
        }
        other_epoch = problem.validate is not None or ended in (DIVERGED, INTERRUPTED)
        if other_epoch and not problem.keeps_state:
            return  # the moments are not those of the epoch that was kept
        total, count = problem.weights if incremental else (0.0, 0.0)
        stream = copy.deepcopy(state.random_state)
        if self.random_state is None:
            # A copy of NumPy's global stream would repeat what others draw from it.
            stream = np.random.RandomState(state.random_state.randint(2**31))
        self._training_state |= {
            "solver": self.solver,
            "memory": state.memory,
            "steps": state.optimizer.t,
            "random_state": stream,
            "reductions": history.reductions,
            "dropout_seed": problem.regimen.seed,
            "order": state.order if problem.keeps_state else None,
            "weight_sum": total,
            "weight_rows": count,
            "weight_exponent": problem.weight_exponent,
        }

    def _probe(self, targets: Targets, topology: Topology) -> Any:
        """An estimator for a scorer to call: ours, as if fitted, on bare arrays."""
        probe = type(self).__new__(type(self))
        probe.__dict__.update(self.__dict__)
        probe.__dict__.pop("feature_names_in_", None)
        probe._describe(topology, targets)
        return probe

    # Parameters and prediction -----------------------------------------------

    def _describe(self, topology: Topology, targets: Targets) -> None:
        """What of the network the parameters themselves do not tell."""
        kinds = topology.activations[:-1]
        self._hidden_activations = [Activation(kind).name.lower() for kind in kinds]
        self.out_activation_ = targets.output_activation
        self.n_outputs_ = targets.n_outputs
        self.n_layers_ = topology.n_layers + 1

    def _set_parameters(self, topology: Topology, theta: Array) -> None:
        self.coefs_, self.intercepts_ = parameter_views(topology, theta)
        # Theta belongs to coefs_ and intercepts_ while they are still its views.
        layers = (*self.coefs_, *self.intercepts_)
        few = make_few(topology, theta.dtype)
        self._theta = Fitted(theta, layers, topology, self.out_activation_, few)

    def _topology(self) -> Topology:
        """The fitted network's shape, from the arrays that are the truth."""
        self._check_lists()
        coefs = [np.asarray(W) for W in self.coefs_]
        if any(W.ndim != 2 for W in coefs) or coefs[-1].shape[1] != self.n_outputs_:
            raise ValueError(
                "coefs_ must be a list of two-dimensional arrays, the last with "
                f"{self.n_outputs_} columns. Got shapes {[W.shape for W in coefs]}."
            )
        hidden = len(coefs) - 1
        names = self._hidden_activations
        if len(names) != hidden:
            raise ValueError(
                f"coefs_ must have one array for each of the {len(names) + 1} layers. "
                f"Got {len(coefs)}."
            )
        sizes = (len(coefs[0]), *(W.shape[1] for W in coefs))
        output, allowed = self.out_activation_, [*OUTPUT_ACTIVATIONS]
        if is_regressor(self):
            allowed.remove("softmax")
        if not isinstance(output, str) or output not in allowed:
            raise ValueError(
                f"out_activation_ must be one of {sorted(allowed)}. Got {output!r}."
            )
        return make_topology(sizes, names, output, self._loss_name())

    def _loss_name(self) -> str:
        raise NotImplementedError

    def _parameters(self, topology: Topology) -> Array:
        """Theta; gathered anew where coefs_ or intercepts_ have been assigned."""
        known = self._known()
        if known is not None:
            return known.theta
        return flatten(topology, self.coefs_, self.intercepts_, self._model_dtype())

    def _known(self) -> Fitted | None:
        """Theta and what is known of it, while nobody has put an array elsewhere."""
        known: Fitted | None = self.__dict__.get("_theta")
        if known is None:
            return None
        if type(self.coefs_) is not list or type(self.intercepts_) is not list:
            return None
        layers = (*self.coefs_, *self.intercepts_)
        if len(layers) != len(known.layers):
            return None
        for layer, view in zip(layers, known.layers, strict=True):
            if layer is not view:
                return None
        return known

    def _check_fitted(self) -> None:
        """scikit-learn's check, where it is not plain at a glance."""
        if "_theta" not in self.__dict__:
            check_is_fitted(self)

    def _check_lists(self) -> None:
        for name in ("coefs_", "intercepts_"):
            value = getattr(self, name)
            if not isinstance(value, list | tuple) or not value:
                raise ValueError(f"{name} must be a list of arrays. Got {value!r}.")

    def _model_dtype(self) -> np.dtype[Any]:
        """The type of the arithmetic: that of coefs_, in the machine's byte order."""
        self._check_lists()
        single = np.asarray(self.coefs_[0]).dtype == np.float32
        return np.dtype(np.float32 if single else np.float64)

    def _outputs(
        self,
        X: Any,
        *,
        link: bool = True,
        finish: Callable[[Array], Array] = as_is,
    ) -> Array:
        """What finish makes of A_J of every row of X, or of Z_J without the link."""
        self._check_fitted()
        known = self._known()
        if known is not None and self._needs_no_validation(X, known):
            topology, theta = known.topology, known.theta
            if len(X) > FEW_ROWS:
                with suppress(NotFinite):  # validation tells which, and how
                    return predict_rows(
                        topology,
                        theta,
                        X,
                        link=link,
                        finish=finish,
                        n_jobs=self.n_jobs,
                        check=True,
                    )
            elif known.few.is_finite(X):
                return finish(predict_few(topology, theta, known.few, X, link))
        X = as_numpy(X, "X")
        X = checked_features(self, X, dtype="numeric", order=None, reset=False)
        topology = self._topology()
        if topology.sizes[0] != X.shape[1]:
            raise ValueError(
                f"coefs_[0] must have {X.shape[1]} rows, one per feature. "
                f"Got {topology.sizes[0]}."
            )
        theta = self._parameters(topology)
        return predict_rows(
            topology, theta, X, link=link, finish=finish, n_jobs=self.n_jobs
        )

    def _needs_no_validation(self, X: Any, known: Fitted) -> bool:
        """Whether X is an array that validation would hand on as it is, if finite."""
        return (
            type(X) is np.ndarray
            and X.dtype == known.theta.dtype
            and X.ndim == 2
            and X.shape[1] == known.few.shape[0] == self.n_features_in_
            and self.out_activation_ is known.output
            and len(X) > 0
            and (flags := X.flags).c_contiguous
            and flags.aligned
            and "feature_names_in_" not in self.__dict__
        )

    # Pickling ----------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        state.pop("_theta", None)
        if not (self.warm_start or state.get("_incremental")):
            # The split stays known, so that a warm fit trains on no row held out.
            split = state.get("_training_state", {}).get("split_stream")
            state["_training_state"] = {"split_stream": split} if split else {}
        state["_skbackprop_version"] = __version__
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        version = state.pop("_skbackprop_version", None)
        if version != __version__:
            warnings.warn(
                f"A {type(self).__name__} that skbackprop {version} pickled is read by "
                f"skbackprop {__version__}: results may differ.",
                stacklevel=2,
            )
        super().__setstate__(state)
        if hasattr(self, "coefs_"):
            # Parameters that somebody has broken are for predict to complain of.
            with suppress(ValueError):
                topology = self._topology()
                self._set_parameters(topology, self._parameters(topology))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def is_stochastic(estimator: BaseBackpropMLP) -> bool:
    """Whether the solver works on mini-batches, and so can take one more epoch."""
    if estimator.solver not in allow.STOCHASTIC_SOLVERS:
        raise AttributeError(
            "partial_fit is only available for stochastic optimizers. "
            f"{estimator.solver} is not stochastic."
        )
    return True


def _messages(
    ended: str,
    reason: str,
    n_iter: int,
    problem: Problem,
    incremental: bool,
    unscored: bool,
) -> list[tuple[str, type[Warning]]]:
    """The warnings that tell how a training ended, in scikit-learn's words."""
    if unscored:
        message = "No validation score was a finite number: the last epoch is kept."
        return [(message, ConvergenceWarning)]
    if ended == INTERRUPTED:
        return [("Training interrupted by user.", UserWarning)]
    if ended == DIVERGED:
        return [
            (
                f"Training diverged in epoch {n_iter + 1}; the epoch with the best "
                "validation score is kept. Lower learning_rate_init or scale the "
                "features.",
                ConvergenceWarning,
            )
        ]
    if ended != EXHAUSTED or incremental:
        return []
    if reason:
        limit = n_iter == problem.max_iter
        more = (
            "\nIncrease the number of iterations to improve the convergence "
            f"(max_iter={problem.max_iter})."
        )
        return [
            (
                f"lbfgs failed to converge after {n_iter} iteration(s) {reason}"
                f"{more if limit else ''}\nYou might also want to scale the data as "
                "shown in:\n    https://scikit-learn.org/stable/modules/"
                "preprocessing.html",
                ConvergenceWarning,
            )
        ]
    return [
        (
            f"Stochastic Optimizer: Maximum iterations ({problem.max_iter}) reached "
            "and the optimization hasn't converged yet.",
            ConvergenceWarning,
        )
    ]


def _same_rows(order: Array, rows: Array) -> bool:
    """Whether one holds the other's numbers in another order."""
    if len(order) != len(rows) or order.max() > rows.max():
        return False
    seen = np.zeros(rows.max() + 1, dtype=bool)
    seen[rows] = True
    return bool(seen[order].all())


def _or(value: Any, default: float) -> float:
    return default if value is None else value
