"""Dates, times and durations: which types they are, and what to make of them instead.

Every estimator refuses them in the same words. pandas, polars and PyArrow are known
here by what their types have, so that none of them is imported.
"""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np

_TIMES = (
    datetime.date,
    datetime.time,
    datetime.timedelta,
    np.datetime64,
    np.timedelta64,
)


def refuse_dates(dtype_or_type: Any, given: Any, label: str, advice: str = "") -> None:
    """Raise where values are dates, times or durations, or categories of these.

    Parameters
    ----------
    dtype_or_type : type, or dtype of NumPy, pandas or polars
        The type of the values. An object dtype says nothing of them: ask for the type
        of each.
    given : object
        What the message calls it, such as the dtype or the name of the type.
    label : str
        What the message begins with, such as "Column 'day'".
    advice : str
        What the user may do besides.

    Raises
    ------
    TypeError
    """
    if _is_of_dates(dtype_or_type):
        raise TypeError(
            f"{label} contains dates or times ({given}). {advice}Replace it by "
            "numbers, such as the year, the month, the day of the week, or the days "
            "since a date."
        )


def _is_of_dates(kind: Any) -> bool:
    if hasattr(kind, "is_temporal"):  # of polars, whose categories are strings
        return bool(kind.is_temporal())
    categories = getattr(kind, "categories", None)
    if categories is not None:  # of pandas
        objects = categories.dtype == object
        kinds = set(map(type, categories)) if objects else {categories.dtype}
        return any(map(_is_of_dates, kinds))
    arrow = getattr(kind, "pyarrow_dtype", None)
    if hasattr(arrow, "index_type"):  # a dictionary
        return _is_of_dates(type(kind)(arrow.value_type))
    value_type = kind if isinstance(kind, type) else kind.type
    return issubclass(value_type, _TIMES) or value_type.__name__ == "Period"
