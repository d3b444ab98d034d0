"""What kinds of values a fitted attribute may hold, and the checks that say so.

A check takes a value, and the sizes that the values of one model share by their names:
it learns a size where it meets it first, and compares it later.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Sizes = dict[str, int]
#: Raises Wrong with what the value must be.
Check = Callable[[Any, Sizes], None]


class Wrong(ValueError):
    """A value is not what its check asks for; the text tells what it must be."""


def need(truth: object, what: str) -> None:
    if not truth:
        raise Wrong(what)


def count(least: int = 0, size: str = "", most: int = 2**53) -> Check:
    def check(value: Any, sizes: Sizes) -> None:
        need(
            type(value) is int and least <= value <= most,
            f"an int from {least} to {most}",
        )
        if size:
            _meet(size, value, sizes)

    return check


def real(
    *,
    none: bool = False,
    above: float = -np.inf,
    least: float = -np.inf,
    finite: bool = False,
) -> Check:
    def check(value: Any, sizes: Sizes) -> None:
        if none and value is None:
            return
        need(type(value) is float, "a float" + " or None" * none)
        need(value > above or above == -np.inf, f"above {above}")
        need(value >= least or least == -np.inf, f"{least} or more")
        need(not finite or np.isfinite(value), "a finite number")

    return check


def number(value: Any, sizes: Sizes) -> None:
    need(type(value) in (int, float), "a number")


def flag(value: Any, sizes: Sizes) -> None:
    need(type(value) is bool, "a bool")


def word(*choices: str) -> Check:
    def check(value: Any, sizes: Sizes) -> None:
        # What estimators set themselves is str, what users assign may be np.str_.
        need(isinstance(value, str) and value in choices, f"one of {sorted(choices)}")

    return check


def each(of: Check, size: str = "") -> Check:
    """A list of things of one kind."""

    def check(value: Any, sizes: Sizes) -> None:
        need(type(value) is list, "a list")
        for item in value:
            of(item, sizes)
        if size:
            _meet(size, len(value), sizes)

    return check


def maybe(of: Check) -> Check:
    def check(value: Any, sizes: Sizes) -> None:
        if value is not None:
            of(value, sizes)

    return check


def array(types: str, *shape: str, least: float | None = None) -> Check:
    """Finite numbers of some of NumPy's types, of a shape in named sizes."""
    allowed = [np.dtype(name) for name in types.split()]

    def check(value: Any, sizes: Sizes) -> None:
        need(isinstance(value, np.ndarray) and value.dtype in allowed, f"of {types}")
        need(value.ndim == len(shape), f"an array of {len(shape)} dimensions")
        need(value.dtype.kind != "f" or np.isfinite(value).all(), "finite numbers")
        need(least is None or (value >= least).all(), f"numbers from {least}")
        for size, n in zip(shape, value.shape, strict=True):
            _meet(size, n, sizes)

    return check


def labels(value: Any, sizes: Sizes) -> None:
    """Classes: numbers, booleans or strings, each once and in order."""
    kinds = isinstance(value, np.ndarray) and value.ndim == 1
    need(kinds and value.dtype.kind in "biufUO", "an array of labels")
    if value.dtype.kind == "O":
        need(set(map(type, value)) <= {str, np.str_}, "an array of strings")
    need(value.dtype.kind != "f" or np.isfinite(value).all(), "finite labels")
    need(len(value) > 0, "one label or more")
    need((value[1:] > value[:-1]).all(), "labels in increasing order, each once")
    _meet("n_classes", len(value), sizes)


def column_names(value: Any, sizes: Sizes) -> None:
    ours = isinstance(value, np.ndarray) and value.dtype == object and value.ndim == 1
    need(ours and set(map(type, value)) <= {str, np.str_}, "an array of strings")
    _meet("n_features", len(value), sizes)


def categories(value: Any, sizes: Sizes) -> None:
    """Of one column; ``save_model`` says which types a file has a place for."""
    need(type(value) is list, "a list")
    need(len(value) < 2**24 - 1, "fewer than 2**24 - 1 categories")
    try:
        need(hashes_differ(value), "categories of several hashes")
        need(len(set(value)) == len(value), "categories, each once")
    except TypeError:
        raise Wrong("values that can be compared") from None


def hashes_differ(values: list[Any]) -> bool:
    """Whether a set of them is soon made: numbers can be chosen that share a hash."""
    return len(values) <= 100 or 2 * len({hash(v) for v in values}) >= len(values)


def mapping(**checks: Check) -> Check:
    """A dict of these names and no others."""

    def check(value: Any, sizes: Sizes) -> None:
        need(type(value) is dict and set(value) == set(checks), f"of {[*checks]}")
        for name, of in checks.items():
            try:
                of(value[name], sizes)
            except Wrong as wrong:
                raise Wrong(f"a dict whose {name!r} is {wrong}") from None

    return check


def anything(value: Any, sizes: Sizes) -> None:
    """What has a check of its own, where it is made."""


def random_stream(value: Any, sizes: Sizes) -> None:
    need(isinstance(value, np.random.RandomState), "a RandomState")


def _meet(size: str, n: int, sizes: Sizes) -> None:
    """Learn a size, or compare it; one without a name is any."""
    known = sizes.setdefault(size, n) if size else n
    need(known == n, f"of {known} where it has {n}")
