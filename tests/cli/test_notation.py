"""How people write numbers and dates: what a cell says in each way of writing.

Answers for: cli/_notation.py.
"""

import datetime

import pandas as pd
import pytest

from skbackprop.cli._notation import (
    COMMA,
    MISSING,
    ORDERS,
    POINT,
    date_of,
    number_of,
)


def test_words_for_missing_are_those_of_pandas():
    assert MISSING == set(pd._libs.parsers.STR_NA_VALUES) - {""}


NUMBERS = {
    # cell: with a decimal point, with a decimal comma
    "1": (1, 1),
    "-12": (-12, -12),
    "+3": (3, 3),
    "1.5": (1.5, None),
    "1,5": (None, 1.5),
    ".5": (0.5, None),
    "12.": (12, None),
    "1e5": (1e5, 1e5),
    "1.5E-3": (1.5e-3, None),
    "1.234": (1.234, 1234),
    "1,234": (1234, 1.234),
    "0,567": (None, 0.567),
    "1.234,56": (None, 1234.56),
    "1,234.56": (1234.56, None),
    "-2,000,000.5": (-2000000.5, None),
    "1 234,5": (None, 1234.5),
    "1\u00a0234": (1234, 1234),
    "1\u202f234,5": (None, 1234.5),
    "1'234.50": (1234.5, None),
    "1\u2019234": (1234, 1234),
    "$ 1,200": (1200, 1.2),
    "-$5": (-5, -5),
    "$-5": (-5, -5),
    "€5": (5, 5),
    "5,50 €": (None, 5.5),
    "EUR 5": (5, 5),
    "US$ 3.50": (3.5, None),
    "R$ 1.000,00": (None, 1000),
    "12 kr": (12, 12),
    "45%": (45, 45),
    "4.5 %": (4.5, None),
    "(5.00)": (-5, None),
    "($1,200)": (-1200, -1.2),
    "\u22123": (-3, -3),
    "inf": (float("inf"), float("inf")),
}


@pytest.mark.parametrize(("cell", "expected"), NUMBERS.items())
def test_numbers(cell, expected):
    assert (number_of(cell, POINT), number_of(cell, COMMA)) == expected


@pytest.mark.parametrize(
    "cell",
    [
        *("", "-", "a", "5 kg", "1,2,3", "1.2.3", "--5", "(-5)", "12,34,567", "1_000"),
        *("2024-01-31", "12:30", "$", "%", "1 2", "0x10", "5€5", "EURO 5", "1..2"),
    ],
)
def test_what_is_no_number(cell):
    assert number_of(cell, POINT) is None
    assert number_of(cell, COMMA) is None


JAN_2 = datetime.datetime(2024, 1, 2)
FEB_1 = datetime.datetime(2024, 2, 1)
DATES = {
    # cell: year first, day first, month first
    "2024-01-02": (JAN_2, None, None),
    "2024/1/2": (JAN_2, None, None),
    "20240102": (JAN_2, None, None),
    "02.01.2024": (None, JAN_2, FEB_1),
    "1/2/24": (None, FEB_1, JAN_2),
    "13/01/2024": (None, datetime.datetime(2024, 1, 13), None),
    "01-13-2024": (None, None, datetime.datetime(2024, 1, 13)),
    "2 Jan 2024": (JAN_2,) * 3,
    "Jan 2, 2024": (JAN_2,) * 3,
    "2. Januar 2024": (JAN_2,) * 3,
    "2nd February 2024": (datetime.datetime(2024, 2, 2),) * 3,
    "2-Jan-2024": (JAN_2,) * 3,
    "2024-01-02T03:04:05": (datetime.datetime(2024, 1, 2, 3, 4, 5), None, None),
    "2024-01-02 03:04": (datetime.datetime(2024, 1, 2, 3, 4), None, None),
    "2024-01-02T03:04:05.678Z": (
        datetime.datetime(2024, 1, 2, 3, 4, 5, 678_000),
        None,
        None,
    ),
    "2024-01-02T03:04:05+01:00": (datetime.datetime(2024, 1, 2, 3, 4, 5), None, None),
    "01/02/2024 3:30 PM": (
        None,
        datetime.datetime(2024, 2, 1, 15, 30),
        datetime.datetime(2024, 1, 2, 15, 30),
    ),
    "01/02/2024 12:30 am": (
        None,
        datetime.datetime(2024, 2, 1, 0, 30),
        datetime.datetime(2024, 1, 2, 0, 30),
    ),
    "1/1/29": (None, *[datetime.datetime(2029, 1, 1)] * 2),
    "1/1/30": (None, *[datetime.datetime(1930, 1, 1)] * 2),
    "9999-12-31": (datetime.datetime(9999, 12, 31), None, None),
}


@pytest.mark.parametrize(("cell", "expected"), DATES.items())
def test_dates(cell, expected):
    assert tuple(date_of(cell, order) for order in ORDERS) == expected


@pytest.mark.parametrize(
    "cell",
    [
        *("", "2024", "2024-13-01", "2024-02-30", "30.02.2024", "1.5.2", "1.2.3.4"),
        *("12:30", "2 Foo 2024", "20241301", "2024-01-02T25:00", "1/2/3", "a"),
        *("01/02-2024", "01/02/2024 13:00 PM", "123-1-1", "2024-01-02 x"),
    ],
)
def test_what_is_no_date(cell):
    assert [date_of(cell, order) for order in ORDERS] == [None] * 3
