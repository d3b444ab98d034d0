"""Names of columns: those that are read, and those that are written."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._layers import Array


def input_names(given: Any, names: Array | None, n: int) -> list[str]:
    """The names of the columns of X, as given or as known."""
    if given is None:
        if names is None:
            return [f"x{j}" for j in range(n)]
        return names.tolist()
    given = np.asarray(given, dtype=object)
    if names is not None and not np.array_equal(names, given):
        raise ValueError("input_features is not equal to feature_names_in_")
    if len(given) != n:
        raise ValueError(
            "input_features should have length equal to number of features "
            f"({n}), got {len(given)}"
        )
    return given.tolist()


def made_unique(names: list[str]) -> list[str]:
    """The same names; one that is taken already gets underscores at its end."""
    unique: dict[str, None] = {}
    for name in names:
        while name in unique:
            name += "_"
        unique[name] = None
    return list(unique)
