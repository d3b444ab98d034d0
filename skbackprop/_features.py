"""X as numbers: what can be none is refused, by the name of its column.

scikit-learn validates. What it takes in silence, or refuses in words that do not help,
is told here: dates, text, missing values, tensors, a scale that slows training.
"""

from __future__ import annotations

import datetime
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sklearn.base import is_regressor
from sklearn.utils.validation import validate_data

from ._constraints import shown
from ._dates import refuse_dates
from ._layers import Array
from ._warn import warn_user

if TYPE_CHECKING:
    from .core.engine import Table


class _Column(NamedTuple):
    """A column that is not plainly one of numbers."""

    label: str
    dtype: Any
    values: Callable[[], Iterable[Any]]


def as_numpy(value: Any, name: str) -> Any:
    """A tensor or another library's array as one of NumPy's; all else as it is.

    With ``array_api_dispatch`` scikit-learn's validation would hand it on as it is.
    """
    if isinstance(value, np.ndarray):
        return value
    first = value[0] if isinstance(value, list | tuple) and value else value
    kind = f"{type(first).__module__.partition('.')[0]}.{type(first).__name__}"
    if getattr(first, "requires_grad", False):
        raise ValueError(
            f"{name} is, or has, a {kind} that requires gradients, which are not "
            "passed on here. Give the result of its .detach()."
        )
    if not hasattr(value, "__dlpack__"):
        return value
    try:
        if hasattr(value, "__array__"):
            return np.asarray(value)
        return np.from_dlpack(value)
    except (TypeError, ValueError, RuntimeError, BufferError) as error:
        raise TypeError(f"{name} is a {kind} that NumPy cannot read: {error}") from None


def checked_features(
    estimator: Any, X: Any, *y: Any, name: str = "X", dtype: Any, **checks: Any
) -> Any:
    """X, or X and y, by scikit-learn's ``validate_data``; X as numbers or CSR.

    Errors call X by ``name``; the other keywords are scikit-learn's.
    """
    columns = list(_odd_columns(X, name))
    for column in columns:
        for kind in _kinds(column):
            refuse_dates(kind, getattr(kind, "__name__", kind), column.label)
    if columns and dtype == "numeric":
        dtype = np.float64  # text of digits is read as it is in fit
    own = nullcontext() if name == "X" else warnings.catch_warnings(record=True)
    try:
        with own as caught:
            if caught is not None:
                warnings.simplefilter("always")
            checked = validate_data(
                estimator, X, *y, accept_sparse="csr", dtype=dtype, **checks
            )
    except (TypeError, ValueError, OverflowError) as error:
        raise _reworded(error, columns, name, estimator) from None
    for each in caught or ():
        warn_user(_renamed(str(each.message), name), each.category)
    return checked


def _odd_columns(X: Any, name: str) -> Iterator[_Column]:
    """The columns of a frame or array that are not plainly numbers."""
    if hasattr(X, "collect") and not hasattr(X, "__array__"):
        raise TypeError(f"{name} is a {type(X).__name__}. Call its collect() first.")
    of = "" if name == "X" else f" of {name}"
    pyarrow = sys.modules.get("pyarrow")
    if pyarrow is not None and isinstance(X, pyarrow.Table | pyarrow.RecordBatch):
        for field, column in zip(X.schema, X.columns, strict=True):
            label = f"Column {field.name!r}{of}"
            kind = getattr(field.type, "value_type", field.type)  # of a dictionary
            if pyarrow.types.is_temporal(kind):
                refuse_dates(datetime.date, kind, label)
            if not pyarrow.types.is_primitive(kind):
                yield _Column(label, np.dtype(object), column.to_pylist)
    elif hasattr(X, "columns") and hasattr(X, "dtypes"):  # of pandas or polars
        column = X.to_series if hasattr(X, "to_series") else X.iloc.__getitem__
        for j, (key, dtype) in enumerate(zip(X.columns, X.dtypes, strict=True)):
            if not _is_plain(dtype):
                place = j if hasattr(X, "to_series") else (slice(None), j)
                yield _Column(f"Column {key!r}{of}", dtype, partial(column, place))
    elif not _is_plain(getattr(X, "dtype", None)):
        try:
            array = np.asarray(X)
        except Exception:  # scikit-learn will say
            return
        if array.ndim == 2 and not _is_plain(array.dtype):
            for j in range(array.shape[1]):
                yield _Column(f"Column {j}{of}", array.dtype, array[:, j].tolist)


def _is_plain(dtype: Any) -> bool:
    """Whether values of the type are numbers or booleans, of whatever library."""
    if hasattr(dtype, "is_numeric"):  # of polars, whose decimals NumPy has not
        return dtype.is_integer() or dtype.is_float() or str(dtype) == "Boolean"
    return getattr(dtype, "kind", "O") in ("f", "i", "u", "b", "c")


def _kinds(column: _Column) -> set[Any]:
    """The type of a column, or where it has objects, that of each but the missing."""
    if column.dtype != object and str(column.dtype) != "Object":
        return {column.dtype}
    return {kind for kind in map(type, column.values()) if not _is_missing(kind)}


def _is_missing(kind: type) -> bool:
    """Whether values of the type are pandas.NA or pandas.NaT, or None."""
    return kind.__name__ in ("NoneType", "NAType", "NaTType")


def _reworded(
    error: Exception, columns: list[_Column], name: str, estimator: Any
) -> Exception:
    """The error that is raised in place of one of scikit-learn's or NumPy's."""
    message, owner = str(error), type(estimator).__name__
    other = f"TabularMLP{'Regressor' if is_regressor(estimator) else 'Classifier'}"
    if not message.lower().startswith(("the feature names", "feature names")):
        for column in columns:
            for row, value in enumerate(column.values()):
                try:
                    float(np.nan if value is None else value)
                except (TypeError, ValueError, OverflowError) as fault:
                    if _is_missing(type(value)):
                        message = "Input X contains NaN."
                        break
                    return _of_cell(fault, column.label, row, value, owner, other)
    if message.startswith("Input X contains NaN."):
        message = (
            f"Input X contains NaN.\n{owner} does not accept missing values encoded as "
            f"NaN natively: {other} does. Or fill them, for example with SimpleImputer "
            "in a pipeline, or drop the rows that have them."
        )
        return ValueError(_renamed(message, name))
    if name == "X":
        return error
    kind = ValueError if isinstance(error, ValueError) else TypeError
    return kind(_renamed(message, name))


def _of_cell(
    fault: Exception, label: str, row: int, value: Any, owner: str, other: str
) -> Exception:
    if isinstance(value, str | bytes):
        return ValueError(
            f"{label} contains text, first in row {row}: could not convert string to "
            f"float: {shown(value)}. {owner} takes numbers only: encode the column, "
            f"for example with TabularEncoder or OneHotEncoder, or use {other}, which "
            "takes it as it is."
        )
    kind = TypeError if isinstance(fault, TypeError) else ValueError
    return kind(f"{label} contains {shown(value)}, first in row {row}: {fault}.")


def _renamed(message: str, name: str) -> str:
    """A message on X, on an X of another name."""
    for start in ("Input X ", "X has ", "X does "):
        if message.startswith(start):
            return message.replace("X", name, 1)
    return message if name == "X" else f"In {name}: {message}"


#: Root mean squares that are called far from unit scale lie beyond these.
_SMALL, _LARGE = 0.1, 10.0
#: About as many entries of X are looked at.
_ENTRIES = 10**5


def scale_advice(estimator: Any, table: Table, Y: Array | None) -> str:
    """What to scale, where features or the targets Y are far from unit scale."""
    advice = ""
    size, far = _sizes_of_sparse(table) if table.sparse else _sizes(table.X)
    if far.any():
        worst = int(np.argmax(np.abs(np.log(np.where(far, size, 1.0)))))
        names = getattr(estimator, "feature_names_in_", range(len(size)))
        scaler = "MaxAbsScaler" if table.sparse else "StandardScaler"
        advice += (
            f"\n{far.sum()} of {len(size)} features are far from unit scale, most of "
            f"all column {names[worst]!r} with a root mean square of "
            f"{size[worst]:.3g}: scale them, for example with {scaler} in a pipeline."
        )
    if Y is not None:
        size, far = _sizes(Y)
        if far.any():
            advice += (
                "\nThe targets are far from unit scale, with a root mean square of "
                f"{size[far][0]:.3g}: scale them, for example with "
                "TransformedTargetRegressor(transformer=StandardScaler())."
            )
    return advice


def _sizes(X: Array) -> tuple[Array, Array]:
    """Root mean squares of the columns, from some of the rows, and which are far."""
    rows = X[:: max(1, X.size // _ENTRIES)].astype(np.float64)
    with np.errstate(over="ignore"):
        size = np.sqrt((rows**2).mean(axis=0))
    # A column of 1 in few rows is small too, but needs no scaler.
    small = (size > 0) & (size < _SMALL) & (np.abs(rows).max(axis=0) < 1)
    return size, small | (size > _LARGE)


def _sizes_of_sparse(table: Table) -> tuple[Array, Array]:
    """The same from the first rows. Most entries are 0, so that small ones say nothing.

    Indices are not trusted, and the user's matrix is not read: a scorer may have
    written there.
    """
    n_rows = max(1, int(np.searchsorted(table.indptr, _ENTRIES, "right")) - 1)
    stop, p = table.indptr[n_rows], table.X.shape[1]
    columns = table.indices[:stop].copy()
    known = (columns >= 0) & (columns < p)
    with np.errstate(over="ignore"):
        squares = table.data[:stop][known].astype(np.float64) ** 2
        total = np.bincount(columns[known], squares, minlength=p)
    size = np.sqrt(total / n_rows)
    return size, size > _LARGE
