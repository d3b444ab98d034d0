"""From a data frame to the float32 matrix that a multilayer perceptron reads."""

from __future__ import annotations

import math
import reprlib
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from decimal import Decimal
from heapq import nsmallest
from itertools import chain, repeat
from numbers import Integral, Real
from types import FrameType
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from .._layers import Array
from .._parameters import (
    INFINITY,
    NONE,
    Constraint,
    check_parameters,
    interval,
    one_of,
)
from .._snapshot import become, reads_at_once, working_copy
from ._columns import (
    CATEGORY,
    MISSING_TEXTS,
    Column,
    Columns,
    number_of,
    read_columns,
)

#: Float32 tells every integer below from the next one, so that no codes collide.
_MOST_CATEGORIES = 2**24 - 2
_LARGEST = float(np.finfo(np.float64).max)
_LARGEST_OUTPUT = float(np.finfo(np.float32).max)
#: Columns that are written together: half a cache line of float32 per row.
_GROUP = 8
_BLOCK = 8192
#: A column with at most one cell in so many that is no number may be meant as numbers.
_ONE_IN = 10
#: The types of values that are read as one another, as a user calls them.
_STRINGS, _BOOLEANS, _NUMBERS = "strings", "booleans", "numbers"
_KINDS = {str: _STRINGS, bool: _BOOLEANS, Real: _NUMBERS, Decimal: _NUMBERS}

_COLUMNS = Constraint(
    "an array-like of bool, int or str",
    lambda value: (
        isinstance(value, Iterable)
        and not isinstance(value, str | bytes)
        and np.ndim(value) == 1
    ),
)
RULES: dict[str, tuple[Constraint, ...]] = {
    "categorical_features": (one_of("from_dtype"), NONE, _COLUMNS),
    "max_one_hot": (interval(Integral, 0, None, "left"), INFINITY, NONE),
    "min_frequency": (interval(Integral, 1, None, "left"),),
    "max_categories": (interval(Integral, 1, _MOST_CATEGORIES, "both"),),
    "missing": (one_of("indicator", "nan"),),
    "clip": (interval(Real, 0, None, "neither"), NONE),
}


class TabularEncoder(TransformerMixin, BaseEstimator):
    """Encode a data frame as the numbers that a multilayer perceptron learns from.

    Numbers are centred at their median, divided by the range between their quartiles
    and smoothly clipped; categories become one-hot columns or integer codes; missing
    values get columns or codes of their own. The same data in pandas, polars, NumPy
    or lists gives the same matrix.

    Parameters
    ----------
    categorical_features : 'from_dtype', None or array-like, default='from_dtype'
        Which columns hold categories.

        - 'from_dtype': those of strings, of booleans and of the types that pandas and
          polars have for categories. A column of Python objects is numeric if all of
          it that is not missing is numbers.
        - None: no column. Booleans are read as 0 and 1.
        - a boolean mask, integer indices or column names: those columns. Integers and
          floats may be categories; 1 and 1.0 are the same one.
    max_one_hot : int, np.inf or None, default=8
        The most categories, missing not counted, of a column that becomes one-hot
        columns. One with more becomes a single column of integer codes. None or
        infinity makes all of them one-hot, 0 none.
    min_frequency : int, default=1
        A category in fewer training rows counts as unknown.
    max_categories : int, default=1000
        How many categories a column keeps. The rarest beyond count as unknown; of
        equally frequent ones, those that come last in order.
    missing : {'indicator', 'nan'}, default='indicator'
        What becomes of a missing number. 'indicator': it becomes 0, the median, and
        every numeric column that had missing values in ``fit`` gets a column of 0 and
        1 beside it. 'nan': it stays NaN.
    clip : float or None, default=3.0
        The bound c of the smooth clipping x / sqrt(1 + (x / c)^2) of scaled numbers,
        which changes small ones little and maps any other into [-c, c]. None leaves
        them as they are, down to the largest number that float32 holds.

    Attributes
    ----------
    n_features_in_ : int
        Number of columns seen in ``fit``.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, where all of them are strings.
    numeric_features_ : ndarray of shape (n_numbers,)
        Indices of the columns read as numbers.
    categorical_features_ : ndarray of shape (n_categorical,)
        Indices of the columns read as categories.
    dropped_features_ : ndarray
        Indices of the columns that say nothing, and of which nothing is in the output:
        they hold the same number or category in every row, or nothing at all.
    center_, scale_ : ndarray of shape (n_numbers,)
        Median of each column of ``numeric_features_``, and what the difference from it
        is divided by: the range between the quartiles or, if that is 0, half the
        range between minimum and maximum. A scale of 0 means that the column is
        constant and is not among the numbers of the output.
    indicator_features_ : ndarray
        Indices of the numeric columns that have an indicator of missing values.
    categories_ : list of lists
        The categories of each column of ``categorical_features_``, in order: numbers,
        strings, anything else. Whole numbers are ints there, whatever their type was.
    missing_categories_ : ndarray of bool, shape (n_categorical,)
        Whether each of these columns had missing values in ``fit``.
    encodings_ : list of {'one-hot', 'binary', 'codes', 'dropped'}
        How each of these columns is encoded.
    n_numeric_ : int
        Number of output columns that hold scaled numbers. They come first.
    n_plain_ : int
        Number of indicators, one-hot and binary columns, which come next.
    cardinalities_ : list of int
        One entry per column of codes, which come last. Codes run from 0 to one less.

    See Also
    --------
    sklearn.preprocessing.RobustScaler : Scaling by quartiles without clipping.
    sklearn.preprocessing.OneHotEncoder : One-hot columns alone.

    Notes
    -----
    The output columns are, in this order, each group in the order of the input:

    1. ``n_numeric_`` scaled numbers;
    2. ``n_plain_`` columns of 0 and 1 or of -1, 0 and 1: first the indicators, then
       those of each column of categories that has at most ``max_one_hot`` of them.
       These are one column per category, then one for missing values if ``fit`` saw
       any, and an unknown category is 0 in all of them. Two categories without
       missing values share one column, -1 for the first and +1 for the second, in
       which a category that is unknown or missing is 0;
    3. ``len(cardinalities_)`` columns of codes: 0 for an unknown category, 1, 2, ...
       for ``categories_``, then one for missing values if ``fit`` saw any; otherwise
       missing is unknown.

    A number that is missing in ``transform`` in a column without indicator becomes 0.

    A column that has another type in ``transform`` than in ``fit`` is read as it was
    where that is exact. Categories that were numbers are known by the text that Python
    writes for them, 1 by "1" and "1.0" but not by "01", booleans by "True" and "true";
    and where they were text, a number or boolean is known by its text. Otherwise a
    warning names the column. Numbers are read from any text that ``float`` reads, and
    other text raises a ValueError. "nan", "None" and "<NA>" are missing in both cases.

    ``fit`` warns of a column whose type makes it categories although at least nine
    tenths of it are numbers or their text, as where one cell is "?". A column that is
    named in ``categorical_features`` or has a type of categories is believed.

    Dates, times, lists and other nested values raise a TypeError, complex numbers and
    infinity a ValueError; both name the column.

    Scaling and smooth clipping are those of [1]_.

    References
    ----------
    .. [1] D. Holzmüller, L. Grinsztajn, I. Steinwart, "Better by Default: Strong
       Pre-Tuned MLPs and Boosted Trees on Tabular Data", NeurIPS 2024.

    Examples
    --------
    >>> import numpy as np
    >>> from skbackprop import TabularEncoder
    >>> X = [[20, "red"], [None, "blue"], [40, "red"], [60, "green"]]
    >>> encoder = TabularEncoder(clip=None).fit(X)
    >>> encoder.transform(X)
    array([[-1.,  0.,  0.,  0.,  1.],
           [ 0.,  1.,  1.,  0.,  0.],
           [ 0.,  0.,  0.,  0.,  1.],
           [ 1.,  0.,  0.,  1.,  0.]], dtype=float32)
    >>> list(encoder.get_feature_names_out(["age", "color"]))
    ['age', 'age_missing', 'color_blue', 'color_green', 'color_red']
    """

    def __init__(
        self,
        *,
        categorical_features: Any = "from_dtype",
        max_one_hot: float | None = 8,
        min_frequency: int = 1,
        max_categories: int = 1000,
        missing: str = "indicator",
        clip: float | None = 3.0,
    ) -> None:
        self.categorical_features = categorical_features
        self.max_one_hot = max_one_hot
        self.min_frequency = min_frequency
        self.max_categories = max_categories
        self.missing = missing
        self.clip = clip

    def fit(self, X: Any, y: Any = None) -> TabularEncoder:
        """Learn the medians, the ranges and the categories of X.

        Parameters
        ----------
        X : data frame or array-like of shape (n_samples, n_features)
            A frame of pandas or polars, an array or lists. Sparse matrices are not
            supported.
        y : None
            Ignored.

        Returns
        -------
        self : TabularEncoder
            The encoder itself. If ``fit`` fails, it is as it was before.

        Raises
        ------
        ValueError
            If a parameter is not allowed, or a column contains infinity or complex
            numbers.
        TypeError
            If a column contains dates, times or nested values, or X is sparse.
        """
        owner = type(self).__name__
        check_parameters(owner, self.get_params(deep=False), RULES)
        fitted = working_copy(self)
        fitted._learn(read_columns(X, self))
        become(self, fitted)
        return self

    @reads_at_once
    def transform(self, X: Any) -> Array:
        """Encode X.

        Parameters
        ----------
        X : data frame or array-like of shape (n_samples, n_features)
            The columns that ``fit`` has seen, in any container.

        Returns
        -------
        X_out : ndarray of shape (n_samples, n_columns_out), float32
            In C order; a frame instead where ``set_output`` says so. The class
            describes the columns.

        Raises
        ------
        ValueError
            If columns are not those of ``fit``, or a number is infinite.
        TypeError
            If a column contains dates, times or nested values.
        """
        check_is_fitted(self)
        columns = read_columns(X, self)
        validate_data(self, columns.source, reset=False, skip_check_array=True)
        return self._encode(columns)

    def _encode(self, columns: Columns) -> Array:
        """The matrix of columns that are known to be those of ``fit``."""
        width = self.n_numeric_ + self.n_plain_ + len(self.cardinalities_)
        out = np.zeros((columns.n_rows, width), dtype=np.float32)
        _write(out, self._numeric_columns(columns))
        self._write_categories(out, columns)
        return out

    @reads_at_once
    def get_feature_names_out(self, input_features: Any = None) -> Array:
        """Names of the output columns.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of the input columns; by default ``feature_names_in_`` or, if the
            columns had no names, x0, x1, ...

        Returns
        -------
        names : ndarray of str objects, shape (n_columns_out,)
            ``age`` for the numbers and for the codes of column age, ``age_missing``
            for its indicator, ``color_red`` for a category, ``color_missing`` for its
            missing values, ``sex_male`` for a binary column that is +1 for male. A
            name that is taken already gets underscores at its end.

        Raises
        ------
        ValueError
            If there are not ``n_features_in_`` names, or not those of ``fit``.
        """
        check_is_fitted(self)
        source = self._input_names(input_features)
        names = [source[j] for j in self.numeric_features_[self.scale_ > 0]]
        names += [f"{source[j]}_missing" for j in self.indicator_features_]
        for j, categories, missing, encoding in self._category_columns():
            if encoding == "binary":
                names.append(f"{source[j]}_{categories[1]}")
            elif encoding == "one-hot":
                names += [f"{source[j]}_{category}" for category in categories]
                names += [f"{source[j]}_missing"] * missing
        for j, _, _, encoding in self._category_columns():
            if encoding == "codes":
                names.append(source[j])
        taken: set[str] = set()
        for place, name in enumerate(names):
            while name in taken:
                name += "_"
            names[place] = name
            taken.add(name)
        return np.array(names, dtype=object)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def _learn(self, columns: Columns) -> None:
        """Fit; what fails on the way leaves some attributes set."""
        validate_data(self, columns.source, reset=True, skip_check_array=True)
        chosen = self._chosen_categorical(columns)
        doubtful: list[str] = []
        center, scale, gaps, numeric = [], [], [], []
        categorical, categories, missing, encodings = [], [], [], []
        for j in range(self.n_features_in_):
            column = columns[j]
            if column.kind == CATEGORY if chosen is None else chosen[j]:
                totals, n_missing = _count_categories(column)
                known = self._frequent(totals)
                has_missing, has_unknown = n_missing > 0, len(known) < len(totals)
                if chosen is None and not column.declared:
                    doubtful += _cells_among_numbers(totals, column.label)
                categorical.append(j)
                categories.append(known)
                missing.append(has_missing)
                encodings.append(self._encoding(known, has_missing, has_unknown))
            else:
                x = column.numbers()
                present = x[~np.isnan(x)]
                has_gaps = 0 < len(present) < len(x)
                middle, spread = _center_and_scale(present)
                if spread == 0 and has_gaps and self.missing == "nan":
                    spread = 1.0  # 0 and NaN tell rows apart
                numeric.append(j)
                center.append(middle)
                scale.append(spread)
                gaps.append(has_gaps and self.missing == "indicator")
        if doubtful:
            _warn(
                f"{' '.join(doubtful)} Convert such a column to numbers, or name it in "
                "categorical_features if it holds categories."
            )
        self.numeric_features_ = np.array(numeric, dtype=np.intp)
        self.center_ = np.array(center, dtype=np.float64)
        self.scale_ = np.array(scale, dtype=np.float64)
        self.categorical_features_ = np.array(categorical, dtype=np.intp)
        self.categories_ = categories
        self.missing_categories_ = np.array(missing, dtype=bool)
        self.encodings_ = encodings
        has_indicator = np.array(gaps, dtype=bool)
        self.indicator_features_ = self.numeric_features_[has_indicator]
        silent = self.numeric_features_[(self.scale_ == 0) & ~has_indicator]
        constant = [j for j, *_, how in self._category_columns() if how == "dropped"]
        self.dropped_features_ = np.sort([*silent, *constant]).astype(np.intp)
        self.n_numeric_ = int(np.count_nonzero(self.scale_))
        self.n_plain_ = len(self.indicator_features_)
        self.cardinalities_ = []
        for _, known, has_missing, encoding in self._category_columns():
            self.n_plain_ += _plain_width(known, has_missing, encoding)
            if encoding == "codes":
                self.cardinalities_.append(1 + len(known) + has_missing)

    def _chosen_categorical(self, columns: Columns) -> Array | None:
        """A mask of the columns that hold categories; None: their types say it."""
        given, n = self.categorical_features, self.n_features_in_
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
        names = columns.names
        if not hasattr(self, "feature_names_in_") or names is None:
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

    def _frequent(self, totals: dict[Any, int]) -> list[Any]:
        """The categories that are kept, in order."""
        kept = [value for value, total in totals.items() if total >= self.min_frequency]
        if len(kept) > self.max_categories:
            # Not sorted first: a column of identifiers has as many as rows.
            least = sorted(map(totals.__getitem__, kept))[-self.max_categories]
            most = [value for value in kept if totals[value] > least]
            rest = [value for value in kept if totals[value] == least]
            n_left = self.max_categories - len(most)
            kept = most + nsmallest(n_left, rest, key=_sort_key(rest))
        kept.sort(key=_sort_key(kept))
        return kept

    def _encoding(self, known: list[Any], missing: bool, unknown: bool) -> str:
        if len(known) + missing + unknown <= 1 or not (known or missing):
            return "dropped"
        if self.max_one_hot is not None and len(known) > self.max_one_hot:
            return "codes"
        return "binary" if len(known) == 2 and not missing else "one-hot"

    def _category_columns(self) -> Iterator[tuple[int, list[Any], bool, str]]:
        """Index, categories, whether missing is one more of them, and encoding."""
        return zip(
            self.categorical_features_.tolist(),
            self.categories_,
            self.missing_categories_.tolist(),
            self.encodings_,
            strict=True,
        )

    def _numeric_columns(self, columns: Columns) -> Iterator[tuple[int, Array]]:
        """Place in the output and content of every scaled number and indicator."""
        place = 0
        indicators = dict(
            zip(
                self.indicator_features_.tolist(),
                range(self.n_numeric_, self.n_numeric_ + self.n_plain_),
                strict=False,
            )
        )
        for j, center, scale in zip(
            self.numeric_features_.tolist(), self.center_, self.scale_, strict=True
        ):
            if scale == 0 and j not in indicators:
                continue
            x = columns[j].numbers(read_text=True)
            absent = np.isnan(x)
            if j in indicators:
                yield indicators[j], absent
            if scale > 0:
                z = _scaled(x, center, scale, self.clip)
                if self.missing == "indicator":
                    z[absent] = 0
                yield place, z
                place += 1

    def _write_categories(self, out: Array, columns: Columns) -> None:
        place = self.n_numeric_ + len(self.indicator_features_)
        last = self.n_numeric_ + self.n_plain_
        changed: list[str] = []
        for j, known, has_missing, encoding in self._category_columns():
            if encoding == "dropped":
                continue
            codes, values = columns[j].factorized()
            values, types = _canonical(values)
            code_of = {value: code for code, value in enumerate(known, 1)}
            # At its end, where -1 points to: the code of missing.
            of_missing = (len(known) + 1) * has_missing
            of_values = map(code_of.get, values, repeat(0))
            lookup = np.fromiter(chain(of_values, [of_missing]), np.int32)
            if not lookup[:-1].all():
                how = _read_as_fitted(lookup, code_of, codes, values, types)
                if how is not None:
                    changed.append(f"{columns.label(j)} {how}")
            if encoding == "codes":
                out[:, last] = lookup[codes]
                last += 1
            elif encoding == "binary":
                out[:, place] = np.array([0, -1, 1])[lookup][codes]
                place += 1
            else:
                codes = lookup[codes]
                rows = np.flatnonzero(codes)
                out[rows, place - 1 + codes[rows]] = 1
                place += _plain_width(known, has_missing, encoding)
        if changed:
            _warn(
                f"{'; '.join(changed)}. Values that cannot be read as those of fit "
                "count as unknown. Give the column the type that it had in fit."
            )

    def _input_names(self, given: Any) -> list[str]:
        names = getattr(self, "feature_names_in_", None)
        if given is None:
            if names is None:
                return [f"x{j}" for j in range(self.n_features_in_)]
            return names.tolist()
        given = np.asarray(given, dtype=object)
        if names is not None and not np.array_equal(names, given):
            raise ValueError("input_features is not equal to feature_names_in_")
        if len(given) != self.n_features_in_:
            raise ValueError(
                "input_features should have length equal to number of features "
                f"({self.n_features_in_}), got {len(given)}"
            )
        return given.tolist()


def _plain_width(known: list[Any], has_missing: bool, encoding: str) -> int:
    return {"one-hot": len(known) + has_missing, "binary": 1}.get(encoding, 0)


def _canonical(values: list[Any]) -> tuple[list[Any], set[type]]:
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


def _count_categories(column: Column) -> tuple[dict[Any, int], int]:
    """How often each category occurs, and how many values are missing."""
    codes, values = column.factorized()
    seen = codes[codes >= 0]
    counts = np.bincount(seen, minlength=len(values)).tolist()
    values, _ = _canonical(values)
    totals = dict(zip(values, counts, strict=True))
    if len(totals) < len(values) or 0 in counts:
        totals = {}
        for value, count in zip(values, counts, strict=True):
            if count:
                totals[value] = totals.get(value, 0) + count
    return totals, len(codes) - len(seen)


def _cells_among_numbers(totals: dict[Any, int], label: str) -> list[str]:
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


def _texts(value: Any) -> Iterator[str]:
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


def _read_as_fitted(
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
        written = {text: code for v, code in code_of.items() for text in _texts(v)}
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
            texts = [value] if kind == _STRINGS else _texts(value)
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


def _warn(message: str) -> None:
    """Warn, at the line outside of skbackprop and scikit-learn."""
    ours = ("skbackprop.", "sklearn.")
    frame: FrameType | None = sys._getframe(1)
    level = 2
    while frame and frame.f_globals.get("__name__", "").startswith(ours):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, stacklevel=level)


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


def _center_and_scale(present: Array) -> tuple[float, float]:
    """Median and spread of finite numbers; a spread of 0 where they are all equal."""
    if len(present) == 0:
        return 0.0, 0.0
    lowest, highest = present.min(), present.max()
    # A power of two, exact, for numbers whose differences would overflow.
    shrink = 2.0**-4 if max(-lowest, highest) > 2.0**1000 else 1.0
    low, middle, high = np.quantile(present * shrink, [0.25, 0.5, 0.75])
    spread = high - low
    if spread == 0:
        spread = highest * shrink / 2 - lowest * shrink / 2
    if spread == 0 and highest > lowest:  # half of the smallest float there is
        spread = highest - lowest
    return float(middle / shrink), float(min(spread, _LARGEST * shrink) / shrink)


def _scaled(x: Array, center: float, scale: float, clip: float | None) -> Array:
    """(x - center) / scale in float32, smoothly clipped."""
    shrink = 2.0**-4 if scale > 2.0**900 else 1.0
    with np.errstate(over="ignore"):  # infinity is clipped
        if shrink < 1:
            x = x * shrink
        z = x - center * shrink
        z /= scale * shrink
        if clip is not None:
            z /= clip
            np.clip(z, -1e150, 1e150, out=z)  # the square of more would overflow
            z /= np.sqrt(1 + z * z)
            z *= clip
    np.clip(z, -_LARGEST_OUTPUT, _LARGEST_OUTPUT, out=z)
    return z.astype(np.float32)


def _write(out: Array, columns: Iterable[tuple[int, Array]]) -> None:
    """Columns into rows, so many at a time that each row is visited seldom."""
    places: list[int] = []
    held: list[Array] = []

    def flush() -> None:
        for start in range(0, len(out) if held else 0, _BLOCK):
            rows = slice(start, start + _BLOCK)
            out[rows, places] = np.stack([column[rows] for column in held], axis=1)
        places.clear()
        held.clear()

    for place, column in columns:
        places.append(place)
        held.append(column)
        if len(held) == _GROUP:
            flush()
    flush()
