"""What constructor parameters may be, and the errors that say so.

scikit-learn's own constraints are private; these say the same sentence, so that
code which matches on it goes on working.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from numbers import Integral, Real
from typing import Any

import numpy as np

from ._layers import HIDDEN_ACTIVATIONS
from ._schedules import FACTORS, SCHEDULES
from .core.optimizers import Solver


class InvalidParameterError(ValueError, TypeError):
    """A parameter has a value that is not allowed."""


@dataclass(frozen=True)
class Constraint:
    """One kind of value, and its name in an error message."""

    text: str
    accepts: Callable[[Any], bool]


def interval(
    kind: type[Integral] | type[Real], low: float, high: float | None, closed: str
) -> Constraint:
    """An int or a float in an interval; closed is left, right, both or neither."""

    def accepts(value: Any) -> bool:
        if not isinstance(value, kind) or isinstance(value, bool | np.bool_):
            return False
        # As the engine reads it: a Fraction above 0 may be 0.0, an int too large.
        try:
            real = float(value)
        except OverflowError:
            return False
        above = real >= low if closed in ("left", "both") else real > low
        top = np.inf if high is None else high
        below = real <= top if closed in ("right", "both") else real < top
        return above and below

    number = str if kind is Integral else float
    left = "[" if closed in ("left", "both") else "("
    right = "]" if closed in ("right", "both") else ")"
    top = "inf" if high is None else number(high)
    name = "an int" if kind is Integral else "a float"
    return Constraint(f"{name} in the range {left}{number(low)}, {top}{right}", accepts)


def one_of(*names: str) -> Constraint:
    listed = "{" + ", ".join(repr(name) for name in sorted(set(names))) + "}"
    return Constraint(
        f"a str among {listed}", lambda v: isinstance(v, str) and v in names
    )


def sequence_of(constraint: Constraint) -> Constraint:
    return Constraint(
        f"a sequence whose elements are each {constraint.text}",
        lambda value: (
            _is_sequence(value) and all(constraint.accepts(item) for item in value)
        ),
    )


def _is_sequence(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.ndim == 1
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _is_levels(value: Any) -> bool:
    level = interval(Real, 0, 1, "neither")
    if not _is_sequence(value) or not all(level.accepts(item) for item in value):
        return False
    levels = [float(item) for item in value]
    return len(levels) > 0 and all(a < b for a, b in pairwise(levels))


LEVELS = Constraint(
    "a sequence of strictly increasing floats in the range (0.0, 1.0)", _is_levels
)
INTEGER = Constraint(
    "an int", lambda v: isinstance(v, Integral) and not isinstance(v, bool)
)
BOOLEAN = Constraint(
    "an instance of 'bool' or an instance of 'numpy.bool'",
    lambda value: isinstance(value, bool | np.bool_),
)
VERBOSE = Constraint(
    "an int in the range [0, inf), an instance of 'bool' or an instance of "
    "'numpy.bool'",
    lambda v: (isinstance(v, Integral) and v >= 0) or isinstance(v, np.bool_),
)
RANDOM_STATE = Constraint(
    "an int in the range [0, 4294967295], an instance of "
    "'numpy.random.mtrand.RandomState' or None",
    lambda value: (
        value is None
        or isinstance(value, np.random.RandomState)
        or (
            isinstance(value, Integral)
            and not isinstance(value, bool)
            and 0 <= value < 2**32
        )
    ),
)
INFINITY = Constraint("inf", lambda v: isinstance(v, Real) and v == np.inf)
NONE = Constraint("None", lambda value: value is None)
CALLABLE = Constraint("a callable", callable)
MAPPING = Constraint("an instance of 'dict'", lambda value: isinstance(value, Mapping))
MAPPINGS = Constraint(
    "a list of one dict per output",
    lambda v: isinstance(v, list) and all(isinstance(item, Mapping) for item in v),
)


def _is_dtype(value: Any) -> bool:
    try:
        return value is not None and np.dtype(value) in (np.float32, np.float64)
    except (TypeError, ValueError, SyntaxError):
        return False


def _is_scorer(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    # Here, because sklearn.metrics is long to load, and seldom needed.
    from sklearn.metrics import get_scorer_names

    return value == "loss" or value in get_scorer_names()


SCORER = Constraint(
    "'loss', one of the names that sklearn.metrics.get_scorer_names() lists", _is_scorer
)
N_JOBS = Constraint(
    "an int other than 0",
    lambda v: isinstance(v, Integral) and not isinstance(v, bool) and v != 0,
)
DTYPE = Constraint("float32, float64", _is_dtype)


def check_parameters(
    owner: str, values: Mapping[str, Any], rules: Mapping[str, tuple[Constraint, ...]]
) -> None:
    """Raise for the first value that none of its constraints accepts."""
    for name, constraints in rules.items():
        value = values[name]
        if not any(constraint.accepts(value) for constraint in constraints):
            texts = [constraint.text for constraint in constraints]
            allowed = " or ".join(filter(None, [", ".join(texts[:-1]), texts[-1]]))
            advice = _sizes_advice(value) if name == "hidden_layer_sizes" else ""
            raise InvalidParameterError(
                f"The {name!r} parameter of {owner} must be {allowed}. "
                f"Got {shown(value)} instead.{advice}"
            )


def shown(value: Any) -> str:
    """What an error message calls a value: its repr, shortened where it is long."""
    if isinstance(value, int) and value.bit_length() > 200:
        # Python refuses to write more than 4300 digits.
        return f"an int of about {int(value.bit_length() * np.log10(2)) + 1} digits"
    try:
        text = repr(value)
    except Exception:  # of such an int in a list, or of a class with a fault
        return f"a value of type {type(value).__name__}"
    return text if len(text) <= 120 else f"{text[:90]}...{text[-20:]}"


def _sizes_advice(value: Any) -> str:
    """What is wrong with the type of hidden_layer_sizes, and what to write instead."""
    sizes = value if _is_sequence(value) else [value]
    wrong = [size for size in sizes if not INTEGER.accepts(size)]
    if not wrong:
        return ""
    what = "It" if wrong[0] is value else shown(wrong[0])
    write = "one int for each hidden layer, such as (100,) or (100, 50)"
    with suppress(TypeError, ValueError, OverflowError), np.errstate(all="ignore"):
        sizes = np.array(value, dtype=np.float64)
        if sizes.size and np.all((sizes >= 1) & (sizes < 2**31) & (sizes % 1 == 0)):
            whole = tuple(int(size) for size in sizes.flat)
            write = shown(whole if sizes.ndim else whole[0])
    return f" {what} is of type {type(wrong[0]).__name__}: write {write}."


#: A number of things of which there are arrays.
SIZE = interval(Integral, 1, 2**31 - 1, "both")

#: Solvers that work on mini-batches.
STOCHASTIC_SOLVERS = tuple(kind.name.lower() for kind in Solver)

#: The parameters that both estimators have.
COMMON_RULES: dict[str, tuple[Constraint, ...]] = {
    "hidden_layer_sizes": (
        sequence_of(INTEGER),
        interval(Integral, 1, None, "left"),
    ),
    "activation": (
        one_of(*HIDDEN_ACTIVATIONS),
        sequence_of(one_of(*HIDDEN_ACTIVATIONS)),
    ),
    "solver": (one_of("lbfgs", *STOCHASTIC_SOLVERS),),
    "alpha": (interval(Real, 0, None, "left"),),
    "batch_size": (
        one_of("auto"),
        interval(Integral, 1, None, "left"),
    ),
    "learning_rate": (one_of(*SCHEDULES, *FACTORS),),
    "learning_rate_init": (interval(Real, 0, None, "neither"),),
    "power_t": (interval(Real, 0, None, "left"),),
    "max_iter": (interval(Integral, 1, None, "left"),),
    "shuffle": (BOOLEAN,),
    "random_state": (RANDOM_STATE,),
    "tol": (interval(Real, 0, None, "left"),),
    "verbose": (VERBOSE,),
    "warm_start": (BOOLEAN,),
    "momentum": (interval(Real, 0, 1, "both"),),
    "nesterovs_momentum": (BOOLEAN,),
    "early_stopping": (BOOLEAN,),
    "validation_fraction": (interval(Real, 0, 1, "left"),),
    "beta_1": (interval(Real, 0, 1, "left"),),
    "beta_2": (interval(Real, 0, 1, "left"),),
    "epsilon": (interval(Real, 0, None, "neither"),),
    "n_iter_no_change": (
        interval(Integral, 1, None, "left"),
        INFINITY,
    ),
    "max_fun": (interval(Integral, 1, None, "left"),),
    "weight_decay": (interval(Real, 0, None, "left"),),
    "weight_decay_schedule": (one_of(*FACTORS),),
    "dropout": (interval(Real, 0, 1, "left"),),
    "dropout_schedule": (one_of(*FACTORS),),
    "max_grad_norm": (NONE, interval(Real, 0, None, "neither")),
    "scoring": (
        NONE,
        SCORER,
        CALLABLE,
    ),
    "dtype": (NONE, DTYPE),
    "n_jobs": (NONE, N_JOBS),
}
