"""The columns of a data frame or array, whatever library it comes from.

pandas and polars are both optional: a frame of theirs can only be here when they
are already imported, so that ``sys.modules`` answers and nothing is loaded.
"""

from __future__ import annotations

import datetime
import reprlib
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from numbers import Complex, Real
from typing import Any

import numpy as np
from sklearn.utils import check_array

from .._dates import refuse_dates
from .._layers import Array
from ._days import NAT, as_datetimes, datetimes_of_text, is_date

#: Kinds of column.
NUMBER, CATEGORY, DATE = "number", "category", "date"

#: What Python, NumPy and pandas write for a missing value.
MISSING_TEXTS = frozenset({"nan", "None", "<NA>"})


@dataclass(frozen=True)
class Column:
    """One column: numbers, Python objects, codes of values, or dates."""

    #: "column 'age'", for error messages.
    label: str
    kind: str
    #: Numbers, booleans, objects or datetime64[us], shape (n,); or codes into
    #: ``values``, -1 missing.
    data: Array
    #: Which rows are missing, beside the NaN of ``data``.
    missing: Array | None = None
    values: list[Any] | None = None
    #: Whether somebody has given it a type of categories.
    declared: bool = False
    #: Of dates: what a message calls their type.
    given: Any = None

    def numbers(self, read_text: bool = False) -> Array:
        """The column in float64, shape (n,), NaN where missing; infinity raises.

        Text raises, but for that of numbers where it is to be read.
        """
        self.refuse_dates()
        if self.values is not None:
            lookup = np.append(_floats(self.values, self.label, read_text), np.nan)
            numbers = lookup[self.data]
        elif self.data.dtype == object:
            absent = _absent(self.data)
            numbers = np.full(len(self.data), np.nan)
            numbers[~absent] = _floats(self.data[~absent], self.label, read_text)
        else:
            with np.errstate(over="ignore"):  # of a wider float: infinity, below
                numbers = self.data.astype(np.float64)
            if self.missing is not None:
                numbers[self.missing] = np.nan
        infinite = np.isinf(numbers)
        if infinite.any():
            raise ValueError(
                f"{self.label} contains infinity, or a number too large for float64, "
                f"first in row {int(infinite.argmax())}. Numbers must be finite, or "
                "missing."
            )
        return numbers

    def factorized(self) -> tuple[Array, list[Any]]:
        """Codes, shape (n,), -1 where missing, and the value that each stands for.

        Values that are equal, such as 1 and 1.0, may still have several codes.
        """
        self.refuse_dates()
        if self.values is not None:
            return self.data, self.values
        codes, values = _factorize(self.data)
        if self.missing is not None:
            codes = np.where(self.missing, -1, codes)
        return codes, values

    def dates(self) -> Array:
        """The column in datetime64[us], shape (n,), NaT where missing.

        Text is read where it is ISO 8601; numbers, and other text, raise.
        """
        if self.kind == DATE:
            return self.data
        if self.kind == NUMBER and np.isnan(self.numbers()).all():
            return np.full(len(self.data), "NaT", "datetime64[us]")
        codes, values = self.factorized()
        return np.append(datetimes_of_text(values, self.label), NAT)[codes]

    def refuse_dates(self) -> None:
        """Raise where the column holds dates."""
        if self.kind == DATE:
            advice = "Pass dates='numbers' to have its parts as numbers. "
            refuse_dates(datetime.date, self.given, self.label, advice)


@dataclass(frozen=True)
class Columns:
    """The columns of a frame or array; each is read when it is asked for."""

    #: What scikit-learn checks names and the number of columns on.
    source: Any
    n_rows: int
    #: One of any type per column, or None.
    names: list[Any] | None
    read: Callable[[int, str], Column]
    #: How the user calls it: X or X_val.
    called: str = "X"

    def label(self, index: int) -> str:
        name = index if self.names is None else self.names[index]
        return f"Column {name!r}" + f" of {self.called}" * (self.called != "X")

    def __getitem__(self, index: int) -> Column:
        return self.read(index, self.label(index))


def read_columns(X: Any, estimator: Any, called: str = "X") -> Columns:
    """The columns of X: a pandas or polars frame, or anything array-like of 2-D.

    Errors name the estimator that the user has, and X as the user calls it.
    """
    pandas, polars = sys.modules.get("pandas"), sys.modules.get("polars")
    if polars is not None and isinstance(X, polars.LazyFrame):
        raise TypeError(
            f"{type(estimator).__name__} does not accept a polars LazyFrame. Call its "
            "collect() first."
        )
    if hasattr(X, "to_pandas") and not (polars and isinstance(X, polars.DataFrame)):
        X = X.to_pandas()  # a pyarrow table, for one
        pandas = sys.modules["pandas"]
    if pandas is not None and isinstance(X, pandas.DataFrame):
        names = X.columns.tolist()

        def read(index: int, label: str) -> Column:
            return _of_pandas(pandas, X.iloc[:, index], label)

    elif polars is not None and isinstance(X, polars.DataFrame):
        names = X.columns

        def read(index: int, label: str) -> Column:
            return _of_polars(polars, X.to_series(index), label)

    else:
        X, names = _as_array(X, estimator), None

        def read(index: int, label: str) -> Column:
            return _of_numpy(X[:, index], label)

    for name, count in Counter(names or ()).items():
        if count > 1:
            raise ValueError(
                f"X has {count} columns named {name!r}. The names of columns must "
                "differ."
            )
    if 0 in X.shape:
        # Raises, with scikit-learn's words for no rows or no columns.
        check_array(np.zeros(X.shape), estimator=estimator)
    return Columns(X, X.shape[0], names, read, called)


def _as_array(X: Any, estimator: Any) -> Array:
    if hasattr(X, "toarray") and hasattr(X, "nnz"):
        check_array(X, estimator=estimator)  # raises, for a sparse matrix
    if _begins_with_text(X):
        array = np.array(X, dtype=object)
        if array.ndim != 2:
            np.asarray(X)  # raises, with NumPy's words for rows of several lengths
    else:
        array = np.asarray(X)
        if array.dtype.kind in "US" and not isinstance(X, np.ndarray):
            # NumPy has turned the numbers of a mixed list into strings.
            array = np.array(X, dtype=object)
    if array.ndim != 2:
        # Raises, with scikit-learn's words.
        check_array(array, dtype=None, ensure_all_finite=False, estimator=estimator)
    return array


def _begins_with_text(X: Any) -> bool:
    """Whether X is lists whose first row has a string.

    NumPy would turn every number of them into a string, which takes long.
    """
    return (
        isinstance(X, list | tuple)
        and len(X) > 0
        and isinstance(X[0], list | tuple)
        and any(isinstance(value, str) for value in X[0])
    )


def _of_numpy(data: Array, label: str) -> Column:
    kind = data.dtype.kind
    if kind in "iuf":
        return Column(label, NUMBER, data)
    if kind == "b":
        return Column(label, CATEGORY, data)
    if kind in "US":
        return Column(label, CATEGORY, data.astype(object))
    if kind == "M":
        dates = data.astype("datetime64[us]")
        return Column(label, DATE, dates, given=data.dtype)
    if kind == "O":
        kind = _kind_of_objects(data, label)
        if kind != DATE:
            return Column(label, kind, data)
        absent = _absent(data)
        given = type(data[int(absent.argmin())]).__name__
        return Column(label, DATE, as_datetimes(data, absent), given=given)
    _refuse(data.dtype.type, data.dtype, label)
    raise _unreadable(data.dtype, label)


def _of_pandas(pandas: Any, series: Any, label: str) -> Column:
    dtype = series.dtype
    if isinstance(dtype, np.dtype):
        return _of_numpy(series.to_numpy(), label)
    if isinstance(dtype, pandas.CategoricalDtype):
        codes, values = series.cat.codes.to_numpy(), series.cat.categories
        refuse_dates(dtype, f"categories of {values.dtype}", label)
        return Column(label, CATEGORY, codes, values=values.tolist(), declared=True)
    # PyArrow gives its type of nothing but nulls no type of Python's.
    if str(dtype) == "null[pyarrow]":
        return Column(label, NUMBER, np.full(len(series), np.nan))
    if getattr(dtype, "kind", "") == "M" and is_date(dtype.type):
        dates = _without_zone(series).astype("datetime64[us]").to_numpy()
        return Column(label, DATE, dates, given=dtype)
    refuse_dates(dtype, dtype, label)  # a dictionary of PyArrow's too
    _refuse(dtype.type, dtype, label)
    plain = {"i": np.int64, "u": np.uint64, "f": np.float64, "b": np.bool_}
    if dtype.kind in plain:
        missing = series.isna().to_numpy()
        data = series.to_numpy(dtype=plain[dtype.kind], na_value=plain[dtype.kind](0))
        kind = CATEGORY if dtype.kind == "b" else NUMBER
        return Column(label, kind, data, missing if missing.any() else None)
    if issubclass(dtype.type, Decimal):
        return _of_numpy(series.to_numpy(dtype=object), label)
    codes, values = pandas.factorize(series)
    declared = dtype.name.startswith("dictionary")
    return Column(label, CATEGORY, codes, values=values.tolist(), declared=declared)


def _without_zone(series: Any) -> Any:
    """Dates as the clocks of their places show them."""
    arrow = getattr(series.dtype, "pyarrow_dtype", None)
    zone = getattr(series.dtype, "tz", None) or getattr(arrow, "tz", None)
    return series if zone is None else series.dt.tz_localize(None)


def _of_polars(polars: Any, series: Any, label: str) -> Column:
    dtype = series.dtype
    if dtype == polars.Null:
        return Column(label, NUMBER, np.full(len(series), np.nan))
    # Neither has a type of NumPy's.
    if dtype == polars.Decimal or str(dtype) in ("Int128", "UInt128"):
        series, dtype = series.cast(polars.Float64), polars.Float64
    if dtype.is_numeric() or dtype == polars.Boolean:
        missing = series.is_null().to_numpy() if series.null_count() else None
        if missing is not None:
            series = series.fill_null(False if dtype == polars.Boolean else 0)
        kind = CATEGORY if dtype == polars.Boolean else NUMBER
        return Column(label, kind, series.to_numpy(), missing)
    if dtype in (polars.Object, polars.Binary):
        data = np.empty(len(series), dtype=object)
        data[:] = series.to_list()
        return _of_numpy(data, label)
    if dtype in (polars.Date, polars.Datetime):
        if getattr(dtype, "time_zone", None) is not None:
            series = series.dt.replace_time_zone(None)
        dates = series.cast(polars.Datetime("us")).to_numpy()
        return Column(label, DATE, dates, given=dtype)
    if dtype.is_temporal():
        _refuse(datetime.date, dtype, label)
    if dtype.is_nested():
        _refuse(list, dtype, label)
    if dtype == polars.String:
        series = series.cast(polars.Categorical)
    if series.dtype not in (polars.Categorical, polars.Enum):
        raise _unreadable(dtype, label)
    codes, values = _factorize_physical(series)
    return Column(
        label, CATEGORY, codes, values=values, declared=dtype != polars.String
    )


def _factorize_physical(series: Any) -> tuple[Array, list[Any]]:
    """Codes of a polars Categorical or Enum.

    Its own may count through the categories of other columns.
    """
    physical = series.to_physical()
    missing = physical.is_null().to_numpy() if physical.null_count() else None
    present = physical.drop_nulls().to_numpy()
    largest = int(present.max(initial=0))
    if largest > 4 * len(present) + 1000:
        _, row, codes = np.unique(present, return_index=True, return_inverse=True)
    else:
        row = np.full(largest + 1, -1)
        row[present] = np.arange(len(present))
        used = row >= 0
        codes, row = (np.cumsum(used) - 1)[present], row[used]
    values = series.drop_nulls().gather(row).to_list()
    if missing is not None:
        scattered = np.full(len(series), -1)
        scattered[~missing] = codes
        codes = scattered
    return codes, values


def _factorize(data: Array) -> tuple[Array, list[Any]]:
    """Codes of an array of numbers, booleans or objects, and their values."""
    pandas = sys.modules.get("pandas")
    data = data.astype(data.dtype.newbyteorder("="), copy=False)
    hashable = data.dtype.kind in "iubO" or data.dtype in (np.float32, np.float64)
    if pandas is not None and hashable:
        codes, values = pandas.factorize(data)
        return codes, values.tolist()
    if data.dtype != object:
        values, codes = np.unique(data, return_inverse=True)
        codes = codes.reshape(-1)
        if data.dtype.kind == "f":
            codes = np.where(np.isnan(data), -1, codes)
        return codes, values.tolist()
    listed = data.tolist()
    code_of = dict.fromkeys(listed, -1)
    values = [value for value in code_of if not (value is None or value != value)]
    code_of.update(zip(values, range(len(values)), strict=True))
    return np.fromiter(map(code_of.__getitem__, listed), np.intp, len(listed)), values


def _absent(data: Array) -> Array:
    """Which objects are missing: None, NaN, pandas.NA, pandas.NaT."""
    pandas = sys.modules.get("pandas")
    if pandas is not None:
        return pandas.isna(data)
    return np.array([v is None or v != v for v in data.tolist()], dtype=bool)


def _floats(values: Any, label: str, read_text: bool) -> Array:
    """Numbers of any type in float64; what float64 cannot hold is infinite."""
    types = set(map(type, values))
    if read_text and any(issubclass(each, str) for each in types):
        values = [_number_or_text(v) if isinstance(v, str) else v for v in values]
        types = set(map(type, values))
    for value_type in types:
        if not issubclass(value_type, (Real, Decimal, np.bool_)):
            example = next(v for v in values if type(v) is value_type)
            raise ValueError(
                f"{label} is to be numeric, but contains {reprlib.repr(example)}, a "
                f"{value_type.__name__}. Convert it to numbers, or name it in "
                "categorical_features."
            )
    try:
        return np.array(values, dtype=object).astype(np.float64)
    except OverflowError:
        return np.array([np.inf if abs(v) > 2**1024 else float(v) for v in values])


def _number_or_text(text: str) -> float | str:
    number = number_of(text)
    if number is None:
        return np.nan if text in MISSING_TEXTS else text
    return number


def number_of(text: str) -> float | None:
    """The number that a text is, infinity too; None where it is none, or NaN."""
    try:
        number = float(text)
    except ValueError:
        return None
    # Python reads 1_000, which nobody but a programmer writes.
    return None if number != number or "_" in text else number


def _kind_of_objects(data: Array, label: str) -> str:
    pandas = sys.modules.get("pandas")
    if pandas is not None:
        # Sooner than a set of types, for what most columns of objects are.
        inferred = pandas.api.types.infer_dtype(data, skipna=True)
        if inferred == "string":
            return CATEGORY
        if inferred in ("integer", "floating", "mixed-integer-float"):
            return NUMBER
    types = set(map(type, data.tolist()))
    types -= {type(None)}
    if pandas is not None:
        types -= {type(pandas.NA), type(pandas.NaT)}
    if types and all(map(is_date, types)):
        return DATE
    for value_type in types:
        _refuse(value_type, value_type.__name__, label)
    if all(_is_number(value_type) for value_type in types):
        return NUMBER
    return CATEGORY


def _is_number(value_type: type) -> bool:
    return issubclass(value_type, (Real, Decimal)) and not issubclass(value_type, bool)


def _refuse(value_type: type, given: Any, label: str) -> None:
    """Raise where no number and no category can be made of values of a type."""
    refuse_dates(value_type, given, label)
    if issubclass(value_type, Complex) and not issubclass(value_type, Real):
        raise ValueError(f"Complex data not supported: {label} contains {given}.")
    if issubclass(value_type, tuple | frozenset) or value_type.__hash__ is None:
        raise TypeError(
            f"{label} contains nested values ({given}). Each value must be a number, "
            "a string, a boolean or missing: give its parts columns of their own."
        )


def _unreadable(dtype: Any, label: str) -> TypeError:
    return TypeError(
        f"{label} has the type {dtype}. It must contain numbers, strings, booleans or "
        "categories."
    )
