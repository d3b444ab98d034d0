"""Columns of categories: which there are, and how a later table's are read as these."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from decimal import Decimal
from heapq import nsmallest
from itertools import chain, repeat
from numbers import Real
from typing import Any

import numpy as np

from .._layers import Array
from .._warn import warn_user
from ._columns import MISSING_TEXTS, Column, number_of

#: A column with at most one cell in so many that is no number may be meant as numbers.
_ONE_IN = 10
#: The types of values that are read as one another, as a user calls them.
_STRINGS, _BOOLEANS, _NUMBERS = "strings", "booleans", "numbers"
_KINDS = {str: _STRINGS, bool: _BOOLEANS, Real: _NUMBERS, Decimal: _NUMBERS}


def chosen_categorical(given: Any, names: list[str] | None, n: int) -> Array | None:
    """A mask of the columns that hold categories; None: their types say it."""
    if isinstance(given, str):
        return None
    mask = np.zeros(n, dtype=bool)
    if given is None or len(given) == 0:
        return mask
    listed = np.asarray(given)
    if listed.dtype.kind == "b":
        if listed.shape != (n,):
            raise ValueError(
                "categorical_features set as a boolean mask must have shape "
                f"({n},), one entry per column. Got shape {listed.shape}."
            )
        return listed
    if listed.dtype.kind in "iu":
        if listed.min() < 0 or listed.max() >= n:
            raise ValueError(
                "categorical_features set as integer indices must be in "
                f"[0, {n - 1}]. Got {listed.tolist()}."
            )
        mask[listed] = True
        return mask
    if not all(isinstance(name, str) for name in given):
        raise ValueError(
            "categorical_features must be an array-like of bool, int or str, all "
            f"of one type. Got {list(given)!r}."
        )
    if names is None:
        raise ValueError(
            "categorical_features can be column names only where X is a data frame "
            f"whose columns are all named by strings. Got {list(given)!r}."
        )
    for name in given:
        if name not in names:
            raise ValueError(
                f"categorical_features contains {name!r}, which names no column of "
                f"X. The columns are {names}."
            )
        mask[names.index(name)] = True
    return mask


def frequent(
    totals: dict[Any, int], min_frequency: int, max_categories: int
) -> list[Any]:
    """The categories that are kept, in order."""
    kept = [value for value, total in totals.items() if total >= min_frequency]
    if len(kept) > max_categories:
        # Not sorted first: a column of identifiers has as many as rows.
        least = sorted(map(totals.__getitem__, kept))[-max_categories]
        most = [value for value in kept if totals[value] > least]
        rest = [value for value in kept if totals[value] == least]
        n_left = max_categories - len(most)
        kept = most + nsmallest(n_left, rest, key=_sort_key(rest))
    kept.sort(key=_sort_key(kept))
    return kept


def encoding_of(
    known: list[Any], missing: bool, unknown: bool, max_one_hot: float | None
) -> str:
    """What becomes of a column of categories."""
    if len(known) + missing + unknown <= 1 or not (known or missing):
        return "dropped"
    if max_one_hot is not None and len(known) > max_one_hot:
        return "codes"
    return "binary" if len(known) == 2 and not missing else "one-hot"


def plain_width(known: list[Any], has_missing: bool, encoding: str) -> int:
    return {"one-hot": len(known) + has_missing, "binary": 1}.get(encoding, 0)


def canonical_values(values: list[Any]) -> tuple[list[Any], set[type]]:
    """Values under the one type that equal values of other types share; all types."""
    types = set(map(type, values))
    if types <= {str, bool, int}:
        return values, types

    def canonical(value: Any) -> Any:
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, float | Decimal) and abs(value) < 2**53:
            whole = int(value)
            return whole if whole == value else value
        return value

    values = [canonical(value) for value in values]
    return values, set(map(type, values))


def count_categories(column: Column) -> tuple[dict[Any, int], int]:
    """How often each category occurs, and how many values are missing."""
    codes, values = column.factorized()
    seen = codes[codes >= 0]
    counts = np.bincount(seen, minlength=len(values)).tolist()
    values, _ = canonical_values(values)
    totals = dict(zip(values, counts, strict=True))
    if len(totals) < len(values) or 0 in counts:
        totals = {}
        for value, count in zip(values, counts, strict=True):
            if count:
                totals[value] = totals.get(value, 0) + count
    return totals, len(codes) - len(seen)


def cells_among_numbers(totals: dict[Any, int], label: str) -> list[str]:
    """What there is to say of a column that may have been meant as numbers."""
    with suppress(TypeError, ValueError, OverflowError):
        # All at once, which is soon: postal codes, for one.
        if np.isfinite(np.array([*totals], dtype=object).astype(np.float64)).all():
            return []
    n_values = sum(totals.values())
    n_others, example = 0, None
    for value, total in totals.items():
        if not _is_number(value):
            n_others += total
            if n_others * _ONE_IN > n_values:
                return []
            example = value if example is None else example
    return [
        f"{label} is read as categories because of {n_others} of its {n_values} "
        f"values, such as {reprlib.repr(example)}; all others are numbers."
    ]


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        value = number_of(value)
    if isinstance(value, bool) or not isinstance(value, Real | Decimal):
        return False
    return abs(value) < math.inf


def _kind(value_type: type) -> str:
    """What a user calls values of a type."""
    for known, kind in _KINDS.items():
        if issubclass(value_type, known):
            return kind
    return f"values of type {value_type.__name__}"


def texts_of(value: Any) -> Iterator[str]:
    """How a number or boolean is written."""
    if not isinstance(value, Real | Decimal):
        return
    yield str(value)
    if isinstance(value, bool):
        yield str(value).lower()  # by polars and PyArrow
    elif isinstance(value, int) and abs(value) < 2**53:
        yield str(float(value))  # in a column of floats


def _is_exact(text: str) -> bool:
    """Whether it is a number as Python writes it: 01 is not."""
    for number_type in (int, float):
        try:
            if str(number_type(text)) == text:
                return True
        except ValueError:
            pass
    return False


def codes_as_fitted(
    column: Column, known: list[Any], has_missing: bool
) -> tuple[Array, str | None]:
    """The code of each row, 0 where unknown, and what there is to say of them.

    The code of missing comes after those of ``known``, which count from 1.
    """
    codes, values = column.factorized()
    values, types = canonical_values(values)
    code_of = {value: code for code, value in enumerate(known, 1)}
    # At its end, where -1 points to: the code of missing.
    of_missing = (len(known) + 1) * has_missing
    of_values = map(code_of.get, values, repeat(0))
    lookup = np.fromiter(chain(of_values, [of_missing]), np.int32)
    how = None
    if not lookup[:-1].all():
        how = read_as_fitted(lookup, code_of, codes, values, types)
    return lookup[codes], how


def read_as_fitted(
    lookup: Array,
    code_of: dict[Any, int],
    codes: Array,
    values: list[Any],
    types: set[type],
) -> str | None:
    """Fill in the codes of values that are of another type than the categories.

    A number or boolean is known by its text, a text by the number or boolean that is
    written so: "1" and "1.0" for 1, but not "01". Each value is read by itself, so
    that no row's code hangs on the rows beside it. Where the categories are of several
    types, nothing is read.

    Returns what there is to say of a column in which nothing has the type of ``fit``,
    and of which a text cannot be read or nothing is known.
    """
    kinds = set(map(_kind, set(map(type, code_of))))
    kind_of = {each: _kind(each) for each in types}
    if len(kinds) != 1 or kinds == set(kind_of.values()):
        return None
    (fitted,) = kinds
    written: dict[str, int] = {}
    if fitted == _STRINGS:
        written = code_of
    elif fitted in (_BOOLEANS, _NUMBERS):
        written = {text: code for v, code in code_of.items() for text in texts_of(v)}
    has_fitted = has_known = False
    unread, unknown = [], []
    for place in np.flatnonzero(np.bincount(codes[codes >= 0])).tolist():
        value = values[place]
        kind = kind_of[type(value)]
        if kind == fitted:
            has_fitted = True
            continue
        if kind == _STRINGS and value in MISSING_TEXTS:
            lookup[place] = lookup[-1]
            continue
        if not lookup[place]:
            texts = [value] if kind == _STRINGS else texts_of(value)
            lookup[place] = next((written[t] for t in texts if t in written), 0)
        if lookup[place]:
            has_known = True
        elif kind != _STRINGS:
            unknown.append(value)
        elif not (fitted == _NUMBERS and _is_exact(value)):  # else a new category
            unread.append(value)
    if has_fitted or not (unread or (unknown and not has_known)):
        return None
    example = (unread or unknown)[0]
    return (
        f"held {fitted} in fit and holds {kind_of[type(example)]} now, such as "
        f"{reprlib.repr(example)}"
    )


def warn_of_doubtful(texts: list[str]) -> None:
    """Columns that ``fit`` may have taken for what they are not."""
    if texts:
        warn_user(
            f"{' '.join(texts)} Convert such a column to numbers, or name it in "
            "categorical_features if it holds categories."
        )


def warn_of_changed(texts: list[str]) -> None:
    """Columns that have another type now."""
    if texts:
        warn_user(
            f"{'; '.join(texts)}. Values that cannot be read as those of fit count as "
            "unknown. Give the column the type that it had in fit."
        )


def _sort_key(values: list[Any]) -> Callable[[Any], Any] | None:
    """The key that sorts values, None where it is the values themselves."""
    types = set(map(type, values))
    return None if types == {str} or types <= {int, float, bool} else _order


def _order(value: Any) -> tuple[Any, ...]:
    """A key that sorts values of any types, whatever order they come in."""
    if isinstance(value, int | float):
        return 0, value
    if isinstance(value, str):
        return 1, value
    return 2, type(value).__name__, repr(value)
