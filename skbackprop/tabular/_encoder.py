"""From a data frame to the float32 matrix that a multilayer perceptron reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.base import TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from .._constraints import check_parameters
from .._description import encoder_links
from .._layers import Array
from .._pickling import Pickled
from .._snapshot import fit_at_once, reads_at_once
from ._categories import (
    cells_among_numbers,
    chosen_categorical,
    codes_as_fitted,
    encoding_of,
    frequent,
    plain_width,
    warn_of_changed,
    warn_of_doubtful,
)
from ._columns import CATEGORY, DATE, Columns, read_columns
from ._contents import contents_of
from ._days import PARTS, date_parts, parts_of
from ._matrices import zeros
from ._names import input_names, made_unique
from ._numbers import center_and_scale, scaled, write_columns
from ._rules import ENCODER_RULES
from ._summaries import Summary


class TabularEncoder(TransformerMixin, Pickled):
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
    dates : {'error', 'numbers'}, default='error'
        What becomes of a column of dates. 'numbers': five numbers, the days since
        1970, the year, the month, the day of the week (Monday is 0) and the hour, as
        the clock of the date's own time zone shows them. 'error': it is refused.

    Attributes
    ----------
    n_features_in_ : int
        Number of columns seen in ``fit``.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, where all of them are strings.
    numeric_features_ : ndarray of shape (n_numbers,)
        Indices of the columns read as numbers; a column of dates comes five times.
    date_features_ : ndarray
        Indices of the columns of dates.
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

    Times, lists and other nested values raise a TypeError, and so do dates, but with
    ``dates='numbers'``; complex numbers and infinity a ValueError; both name the
    column. Where ``fit`` saw dates, ``transform`` reads text of ISO 8601 too.

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

    _rules = ENCODER_RULES

    def __init__(
        self,
        *,
        categorical_features: Any = "from_dtype",
        max_one_hot: float | None = 8,
        min_frequency: int = 1,
        max_categories: int = 1000,
        missing: str = "indicator",
        clip: float | None = 3.0,
        dates: str = "error",
    ) -> None:
        self.categorical_features = categorical_features
        self.max_one_hot = max_one_hot
        self.min_frequency = min_frequency
        self.max_categories = max_categories
        self.missing = missing
        self.clip = clip
        self.dates = dates

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
        check_parameters(owner, self.get_params(deep=False), self._rules)
        columns = read_columns(X, self)
        return fit_at_once(self, lambda copy: copy._learn(columns) or [])

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
        out = zeros((columns.n_rows, width))
        write_columns(out, self._numeric_columns(columns))
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
            ``age`` for the numbers and for the codes of column age, ``day_year`` for
            the year of a column of dates, ``age_missing`` for an indicator,
            ``color_red`` for a category, ``color_missing`` for its missing values,
            ``sex_male`` for a binary column that is +1 for male. A name that is taken
            already gets underscores at its end.

        Raises
        ------
        ValueError
            If there are not ``n_features_in_`` names, or not those of ``fit``.
        """
        check_is_fitted(self)
        source = input_names(
            input_features,
            getattr(self, "feature_names_in_", None),
            self.n_features_in_,
        )
        names = [
            source[j] if part is None else f"{source[j]}_{PARTS[part]}"
            for j, part, _, scale in self._numbers()
            if scale > 0
        ]
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
        return np.array(made_unique(names), dtype=object)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def _chosen(self, columns: Columns | Summary) -> Array | None:
        """Meet the columns; a mask of those of categories, None where types say it."""
        validate_data(self, columns.source, reset=True, skip_check_array=True)
        names = columns.names if hasattr(self, "feature_names_in_") else None
        return chosen_categorical(self.categorical_features, names, self.n_features_in_)

    def _learn(self, columns: Columns | Summary) -> None:
        """Fit; what fails on the way leaves some attributes set."""
        chosen = self._chosen(columns)
        doubtful: list[str] = []
        center, scale, gaps, numeric, dates = [], [], [], [], []
        categorical, categories, missing, encodings = [], [], [], []
        for j in range(self.n_features_in_):
            wanted = None if chosen is None else bool(chosen[j])
            column = contents_of(columns[j], wanted, self.dates)
            has_missing = column.n_missing > 0
            if column.kind == CATEGORY:
                totals = column.totals
                known = frequent(totals, self.min_frequency, self.max_categories)
                if chosen is None and not column.declared:
                    doubtful += cells_among_numbers(totals, column.label)
                categorical.append(j)
                categories.append(known)
                missing.append(has_missing)
                has_unknown = len(known) < len(totals)
                how = encoding_of(known, has_missing, has_unknown, self.max_one_hot)
                encodings.append(how)
                continue
            if column.kind == DATE:
                dates.append(j)
            for part, present in enumerate(column.parts):
                # All parts of a date are missing together: the first one says it.
                has_gaps = has_missing and len(present) > 0 and part == 0
                middle, spread = center_and_scale(present)
                if spread == 0 and has_gaps and self.missing == "nan":
                    spread = 1.0  # 0 and NaN tell rows apart
                numeric.append(j)
                center.append(middle)
                scale.append(spread)
                gaps.append(has_gaps and self.missing == "indicator")
        warn_of_doubtful(doubtful)
        self.numeric_features_ = np.array(numeric, dtype=np.intp)
        self.date_features_ = np.array(dates, dtype=np.intp)
        self.center_ = np.array(center, dtype=np.float64)
        self.scale_ = np.array(scale, dtype=np.float64)
        self.categorical_features_ = np.array(categorical, dtype=np.intp)
        self.categories_ = categories
        self.missing_categories_ = np.array(missing, dtype=bool)
        self.encodings_ = encodings
        has_indicator = np.array(gaps, dtype=bool)
        self.indicator_features_ = self.numeric_features_[has_indicator]
        self.__dict__.update(self._derived())

    def _derived(self) -> dict[str, Any]:
        """The attributes that follow from the others."""
        told = [*self.numeric_features_[self.scale_ > 0], *self.indicator_features_]
        silent = np.setdiff1d(self.numeric_features_, told)
        constant = [j for j, *_, how in self._category_columns() if how == "dropped"]
        n_plain, cardinalities = len(self.indicator_features_), []
        for _, known, has_missing, encoding in self._category_columns():
            n_plain += plain_width(known, has_missing, encoding)
            if encoding == "codes":
                cardinalities.append(1 + len(known) + has_missing)
        return {
            "dropped_features_": np.sort([*silent, *constant]).astype(np.intp),
            "n_numeric_": int(np.count_nonzero(self.scale_)),
            "n_plain_": n_plain,
            "cardinalities_": cardinalities,
        }

    def _check_restored(self) -> None:
        encoder_links(self.__dict__, self._derived(), len(PARTS))

    def _from_plain(self, state: dict[str, Any]) -> None:
        if "numeric_features_" in state:  # in 0.1.0 there were no dates
            state.setdefault("date_features_", np.zeros(0, np.intp))
        super()._from_plain(state)

    def _category_columns(self) -> Iterator[tuple[int, list[Any], bool, str]]:
        """Index, categories, whether missing is one more of them, and encoding."""
        return zip(
            self.categorical_features_.tolist(),
            self.categories_,
            self.missing_categories_.tolist(),
            self.encodings_,
            strict=True,
        )

    def _numbers(self) -> Iterator[tuple[int, int | None, float, float]]:
        """Column, part of a date or None, centre and scale of every number."""
        numeric = self.numeric_features_
        parts = parts_of(numeric, self.date_features_)
        return zip(numeric.tolist(), parts, self.center_, self.scale_, strict=True)

    def _numeric_columns(self, columns: Columns) -> Iterator[tuple[int, Array]]:
        """Place in the output and content of every scaled number and indicator."""
        place = 0
        told = enumerate(self.indicator_features_.tolist(), self.n_numeric_)
        indicators = {j: place for place, j in told}
        parts = None
        for j, part, center, scale in self._numbers():
            if part == 0:
                parts = date_parts(columns[j].dates())
            if scale == 0 and (part or j not in indicators):
                continue
            x = columns[j].numbers(read_text=True) if part is None else parts[part]
            absent = np.isnan(x)
            if j in indicators and not part:
                yield indicators[j], absent
            if scale > 0:
                z = scaled(x, center, scale, self.clip)
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
            codes, how = codes_as_fitted(columns[j], known, has_missing)
            if how is not None:
                changed.append(f"{columns.label(j)} {how}")
            if encoding == "codes":
                out[:, last] = codes
                last += 1
            elif encoding == "binary":
                out[:, place] = np.array([0, -1, 1])[codes]
                place += 1
            else:
                rows = np.flatnonzero(codes)
                out[rows, place - 1 + codes[rows]] = 1
                place += plain_width(known, has_missing, encoding)
        warn_of_changed(changed)
