"""What the parameters of the encoder and of the estimators may be."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral, Real

import numpy as np

from .. import _constraints as allow
from .._constraints import INFINITY, NONE, Constraint, interval, one_of
from ._recipe import PRESETS

#: Float32 tells every integer below from the next one, so that no codes collide.
_MOST_CATEGORIES = 2**24 - 2

_COLUMNS = Constraint(
    "an array-like of bool, int or str",
    lambda value: (
        isinstance(value, Iterable)
        and not isinstance(value, str | bytes)
        and np.ndim(value) == 1
    ),
)
ENCODER_RULES: dict[str, tuple[Constraint, ...]] = {
    "categorical_features": (one_of("from_dtype"), NONE, _COLUMNS),
    "max_one_hot": (interval(Integral, 0, None, "left"), INFINITY, NONE),
    "min_frequency": (interval(Integral, 1, None, "left"),),
    "max_categories": (interval(Integral, 1, _MOST_CATEGORIES, "both"),),
    "missing": (one_of("indicator", "nan"),),
    "clip": (interval(Real, 0, None, "neither"), NONE),
    "dates": (one_of("error", "numbers"),),
}

#: Of the encoder's, those that the estimators have too.
ENCODER = ("categorical_features", "max_one_hot", "min_frequency", "dates")
#: The parameters that both estimators have.
RULES: dict[str, tuple[allow.Constraint, ...]] = {
    "preset": (allow.one_of(*PRESETS),),
    **{name: ENCODER_RULES[name] for name in ENCODER},
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
