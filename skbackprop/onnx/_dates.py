"""The parts of dates as nodes, of microseconds since the beginning of 1970."""

from __future__ import annotations

import numpy as np

from ..tabular._days import PARTS
from ._graph import Graph

#: What stands for a missing date: what NumPy has in the place of a NaT.
MISSING_DATE = int(np.iinfo(np.int64).min)

_HOUR, _DAY = 3_600_000_000, 86_400_000_000
#: Days of 400 years, of 100 and of 4, of which the last may have a leap day more.
_CYCLE, _CENTURY, _FOUR = 146_097, 36_524, 1_461
#: From the first of March of the year 0 to the beginning of 1970.
_TO_1970 = 719_468


def date_parts(graph: Graph, moments: str) -> list[str]:
    """Each of ``PARTS`` of dates in int64, as float64, NaN where missing."""
    rest = graph("Mod", moments, np.int64(_DAY))  # of the day; never negative
    days = graph("Div", graph("Sub", moments, rest), np.int64(_DAY))
    year, month = _year_and_month(graph, days)
    weekday = graph("Mod", graph("Add", days, np.int64(3)), np.int64(7))

    def over(microseconds: str, unit: int) -> str:
        return graph("Div", graph.cast(microseconds, np.float64), np.float64(unit))

    parts = {
        "elapsed": over(moments, _DAY),
        "year": graph.cast(year, np.float64),
        "month": graph.cast(month, np.float64),
        "weekday": graph.cast(weekday, np.float64),
        "hour": over(rest, _HOUR),
    }
    absent = graph("Equal", moments, np.int64(MISSING_DATE))
    return [graph("Where", absent, np.float64(np.nan), parts[name]) for name in PARTS]


def _year_and_month(graph: Graph, days: str) -> tuple[str, str]:
    """The year, and the month from 1, of days since 1970.

    Years are counted from March on: a leap day is the last of its year, and the months
    before any day of a year are always as long.
    """
    days = graph("Add", days, np.int64(_TO_1970))
    day = graph("Mod", days, np.int64(_CYCLE))
    cycle = graph("Div", graph("Sub", days, day), np.int64(_CYCLE))
    # Without the leap days before it, a day of the cycle is one of years of 365.
    leap = graph("Div", day, np.int64(_FOUR - 1))
    leap = graph("Sub", leap, graph("Div", day, np.int64(_CENTURY)))
    leap = graph("Add", leap, graph("Div", day, np.int64(_CYCLE - 1)))
    year = graph("Div", graph("Sub", day, leap), np.int64(365))
    begun = graph("Mul", year, np.int64(365))
    begun = graph("Add", begun, graph("Div", year, np.int64(4)))
    begun = graph("Sub", begun, graph("Div", year, np.int64(100)))
    day = graph("Sub", day, begun)
    # Five months from March, or from August, have 153 days.
    month = graph("Add", graph("Mul", day, np.int64(5)), np.int64(2))
    month = graph("Div", month, np.int64(153))  # 0 is March
    late = graph("Greater", month, np.int64(9))  # January and February
    shift = graph("Where", late, np.int64(-9), np.int64(3))
    whole = graph("Add", graph("Mul", cycle, np.int64(400)), year)
    year = graph("Add", whole, graph.cast(late, np.int64))
    return year, graph("Add", month, shift)
