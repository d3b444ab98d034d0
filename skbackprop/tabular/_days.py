"""Dates as numbers: the parts of a date that a network can learn from."""

from __future__ import annotations

import datetime
import reprlib
from typing import Any

import numpy as np

from .._layers import Array

#: What becomes of a date, in this order: days since the beginning of 1970, the year,
#: the month from 1, the day of the week from Monday, 0, and the hour of the day.
PARTS = ("elapsed", "year", "month", "weekday", "hour")

_DAY = np.timedelta64(1, "D")
_HOUR = np.timedelta64(1, "h")
NAT = np.datetime64("NaT", "us")


def date_parts(dates: Array) -> Array:
    """The parts of dates in float64, shape (len(PARTS), n), NaN where missing.

    Parameters
    ----------
    dates : ndarray of datetime64[us], shape (n,)
        On the clock of the place: a time zone says nothing of the hour of the day.
    """
    days = dates.astype("datetime64[D]")
    months = dates.astype("datetime64[M]")
    years = dates.astype("datetime64[Y]")
    missing = np.isnat(dates)
    parts = np.stack(
        [
            (dates - np.datetime64(0, "us")) / _DAY,
            years.astype(np.int64) + 1970.0,
            (months - years.astype("datetime64[M]")).astype(np.int64) + 1.0,
            (days.astype(np.int64) + 3) % 7,  # 1970 began on a Thursday
            (dates - days) / _HOUR,
        ]
    )
    parts[:, missing] = np.nan
    return parts


def parts_of(numeric: Array, dates: Array) -> list[int | None]:
    """Which part of a date each number is; None of the column of numbers.

    Both are indices of columns, where one of ``dates`` comes once for each part.
    """
    seen: dict[int, int] = dict.fromkeys(dates.tolist(), 0)
    parts: list[int | None] = []
    for j in numeric.tolist():
        parts.append(seen.get(j))
        if j in seen:
            seen[j] += 1
    return parts


def is_date(value_type: type) -> bool:
    """Whether values of a type say a day: neither a time of the day nor a duration."""
    return issubclass(value_type, datetime.date | np.datetime64)


def as_datetimes(data: Array, absent: Array) -> Array:
    """Objects that are dates, in datetime64[us]; where ``absent``, NaT."""
    dates = np.full(len(data), NAT)
    dates[~absent] = [_clock(value) for value in data[~absent].tolist()]
    return dates


def _clock(value: Any) -> np.datetime64:
    """A date as the clock of its place shows it."""
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        value = value.replace(tzinfo=None)
    return np.datetime64(value, "us")


def datetimes_of_text(values: list[Any], label: str) -> Array:
    """Text of dates in datetime64[us]; raises where it is none of ISO 8601."""
    dates = np.full(len(values), NAT)
    for place, value in enumerate(values):
        try:
            if not isinstance(value, str):
                raise ValueError("no text")
            dates[place] = _clock(datetime.datetime.fromisoformat(value.strip()))
        except ValueError:
            raise ValueError(
                f"{label} held dates in fit and holds {reprlib.repr(value)} now. It "
                "must hold dates, or text of them as ISO 8601 writes it, such as "
                "'2024-01-31'."
            ) from None
    return dates
