"""Checked data: y as a plain array and as numbers, weights, and the table of all."""

from __future__ import annotations

import reprlib
from contextlib import suppress
from dataclasses import dataclass
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
from sklearn.utils import check_array, column_or_1d

from ._evaluation import make_table, scale_weights
from ._layers import Array

if TYPE_CHECKING:
    from .core.engine import Table


@dataclass(frozen=True)
class Targets:
    """y as the engine reads it, and what it says about the network."""

    Y: Array | None
    labels: Array | None
    loss: str
    output_activation: str
    n_outputs: int
    #: Labels of two classes, or one, for a validation split that is scikit-learn's.
    stratify: Array | None


def plain_array(values: Any, name: str) -> Any:
    """y as an array of a plain type of NumPy's, with the very values that were given.

    scikit-learn's validation casts those types of pandas that may hold missing values
    to float64, and NumPy some lists of integers: float64 has no place for all of 64
    bits. Nothing may be missing. What is sparse stays as it is.
    """
    if values is None or sp.issparse(values):
        return values
    if hasattr(values, "iloc") and hasattr(values, "sparse") and np.ndim(values) == 2:
        return values  # a frame of sparse columns, for scikit-learn to read
    if isinstance(values, np.ma.MaskedArray):
        _refuse_missing(values, np.ma.getmaskarray(values), name)
        values = values.data
    if isinstance(values, list | tuple):
        # NumPy would make text, or float64, of what is mixed.
        array = _of_objects(np.array(values, dtype=object), name)
        text = array.dtype.kind == "O" and _types(array) <= {str, np.str_, bytes}
        return np.asarray(array.tolist()) if text else array
    array = np.asarray(values)
    if array.ndim == 0:
        raise TypeError(
            f"{name} must be an array or list. Got {reprlib.repr(values)}, of "
            f"type {type(values).__name__}."
        )
    if array.dtype.kind in "OT":
        return _of_objects(array.astype(object, copy=False), name)
    if array.dtype.kind in "mM":
        _refuse_missing(array, np.isnat(array), name)
    elif array.dtype.kind == "f":
        _check_finite(array, name)
    return array


def _of_objects(objects: Array, name: str) -> Array:
    """Booleans, integers and floats as such; all else, such as text, as objects."""
    types = _types(objects)
    if types <= {str, np.str_}:
        return objects if types else np.asarray(objects.tolist())
    if all(issubclass(each, str) for each in types):
        # NumPy would cut an enumeration of strings to the length of its values.
        text = np.array([str.__str__(each) for each in objects.flat], dtype=object)
        return text.reshape(objects.shape)
    if not all(issubclass(each, Real | np.bool_) for each in types):
        missing = np.array([_is_missing(each) for each in objects.flat], dtype=bool)
        _refuse_missing(objects, missing.reshape(objects.shape), name)
        return objects
    whole = all(issubclass(each, Integral | np.bool_) for each in types)
    some_whole = any(issubclass(each, Integral) for each in types)
    array = np.array(objects.tolist())
    if array.dtype.kind == "f" and not whole:
        _check_finite(array, name)
        if not some_whole or np.abs(array).max() < 2**53:
            return array
    if array.dtype.kind in "biu":
        return array
    # NumPy compares its own integers with floats as floats, Python's to the last bit.
    exact = [int(v) if isinstance(v, Integral) else v for v in objects.flat]
    for dtype in (np.int64, np.uint64) if whole else (np.int64, np.uint64, np.float64):
        with suppress(OverflowError):
            array = np.array(exact, dtype=object).astype(dtype)
            if array.tolist() == exact:
                return array.reshape(objects.shape)
    return objects


def _types(objects: Array) -> set[type]:
    return set(map(type, objects.ravel().tolist()))


def _is_missing(value: Any) -> bool:
    # pandas is optional: its values are known by name.
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, Real) and bool(value != value)


def _check_finite(array: Array, name: str) -> None:
    finite = np.isfinite(array)
    if finite.all():
        return
    _refuse_missing(array, np.isnan(array), name)
    raise ValueError(
        f"Input {name} contains infinity or a value too large for "
        f"dtype({str(array.dtype)!r}). It is in {_rows(~finite, name)}."
    )


def _refuse_missing(array: Array, missing: Array, name: str) -> None:
    if not missing.any():
        return
    value = array[missing][0]
    shown = "NaN" if isinstance(value, Real) else str(value)
    if value is np.ma.masked:
        shown = "a masked value"
    raise ValueError(
        f"Input {name} contains {shown} in {_rows(missing, name)}. Leave out what is "
        "missing."
    )


def place_of(name: str) -> str:
    """What a place in y, y_val or classes is called."""
    return "place" if name == "classes" else "row"


def _rows(wrong: Array, name: str) -> str:
    """Which rows are wrong, in words."""
    rows = np.flatnonzero(wrong.reshape(len(wrong), -1).any(axis=1))
    place = place_of(name)
    more = f" and {len(rows) - 1} more" if len(rows) > 1 else ""
    return f"{place} {rows[0]} (counted from 0){more}"


def as_column(y: Any) -> Any:
    """A single column as a vector, with scikit-learn's warning."""
    if y.ndim == 2 and y.shape[1] == 1:
        return column_or_1d(y, warn=True)
    return y


def table_of(X: Any, targets: Targets, weights: Array | None) -> Table:
    return make_table(
        X,
        Y=targets.Y,
        labels=targets.labels,
        sample_weight=weights,
        dtype=X.dtype,
    )


def checked_weights(name: str, weights: Any, X: Any) -> tuple[Array | None, int]:
    """Weights of the rows of X: finite, not negative, not all zero; scaled.

    They come over a power of two, and its exponent with them.
    """
    if weights is None:
        return None, 0
    n = X.shape[0]
    if np.isscalar(weights):
        weights = np.full(n, weights)
    with np.errstate(over="ignore"):
        weights = check_array(
            weights, ensure_2d=False, dtype=np.float64, order="C", input_name=name
        )
    if weights.ndim != 1:
        raise ValueError(
            f"Sample weights must be 1D array or scalar, got {weights.ndim}D array. "
            f"Expected either a scalar value or a 1D array of length {n}."
        )
    if weights.shape != (n,):
        raise ValueError(f"{name}.shape == {weights.shape}, expected {(n,)}!")
    if np.any(weights < 0):
        raise ValueError(f"Negative values in data passed to `{name}`.")
    if not np.any(weights):
        raise ValueError("Sample weights must contain at least one non-zero number.")
    weights, exponent = scale_weights(weights)
    with np.errstate(under="ignore"):
        return weights.astype(X.dtype, copy=False), exponent


def as_given(weights: Array, exponent: int) -> Array:
    """Scaled weights as a scorer of the user's expects them.

    Of sizes that its sums might not bear it gets the scaled ones.
    """
    return np.ldexp(weights, exponent) if abs(exponent) <= 60 else weights
