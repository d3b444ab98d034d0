"""How people write numbers and dates, and what a cell says in each way of writing."""

from __future__ import annotations

import datetime
import re
from functools import lru_cache

#: What stands for a missing cell, beside an empty one: the words of pandas. A target
#: may use any of them for a class.
MISSING = frozenset(
    "#N/A,#N/A N/A,#NA,-1.#IND,-1.#QNAN,-NaN,-nan,1.#IND,1.#QNAN,<NA>,N/A,NA,NULL,NaN,"
    "None,n/a,nan,null".split(",")
)

# Numbers ---------------------------------------------------------------------

#: The mark before the decimals.
POINT, COMMA = ".", ","

_SIGNS = "$€£¥₹₽₩₺₴₫฿"
_CODES = (
    "USD|EUR|GBP|JPY|CHF|CAD|AUD|NZD|CNY|RMB|INR|SEK|NOK|DKK|PLN|CZK|HUF|BRL|MXN|ZAR|"
    "KRW|SGD|HKD|TRY|RUB|kr|Fr\\.|zł"
)
_MONEY = rf"(?:US\$|R\$|[{_SIGNS}]|(?:{_CODES})(?![A-Za-z]))"
_BLANK = "[ \u00a0\u2009\u202f]"
_AROUND = re.compile(
    rf"(?P<open>\()?(?P<sign>[-+\u2212]?){_BLANK}*(?:{_MONEY}{_BLANK}*)?"
    rf"(?P<inner>[-+\u2212]?)(?P<core>[\d.,'\u2019 \u00a0\u2009\u202f]*\d"
    rf"[.,]?(?:[eE][-+]?\d+)?){_BLANK}*(?:{_MONEY}|%|‰)?(?(open)\))",
)
_OTHER_MARKS = rf"(?:['\u2019]\d{{3}})+|(?:{_BLANK}\d{{3}})+"
_GROUPED = {
    POINT: re.compile(rf"[1-9]\d{{0,2}}(?:(?:,\d{{3}})+|{_OTHER_MARKS})(?:\.\d*)?"),
    COMMA: re.compile(rf"[1-9]\d{{0,2}}(?:(?:\.\d{{3}})+|{_OTHER_MARKS})(?:,\d*)?"),
}
_PLAIN = {
    POINT: re.compile(r"(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?"),
    COMMA: re.compile(r"(?:\d+(?:,\d*)?|,\d+)(?:[eE][-+]?\d+)?"),
}
_LONGEST = 60  # characters of a number: blanks could be taken in many ways
_MARKS = re.compile(r"[,.'\u2019 \u00a0\u2009\u202f]")
_INFINITE = re.compile(r"[-+]?inf(inity)?", re.IGNORECASE)


def number_of(cell: str, decimal: str) -> float | None:
    """The number that a cell says, where ``decimal`` comes before the decimals.

    Signs of currencies, per cent signs and marks between thousands are left out, and
    what is in parentheses is negative, as accountants write it. None where it is no
    number; infinity is one.
    """
    if _INFINITE.fullmatch(cell):
        return float(cell)
    parts = _AROUND.fullmatch(cell) if len(cell) <= _LONGEST else None
    if parts is None:
        return None
    core = parts["core"].strip()
    if _PLAIN[decimal].fullmatch(core):
        core = core.replace(decimal, ".")
    elif _GROUPED[decimal].fullmatch(core):
        whole, mark, decimals = core.partition(decimal)
        core = _MARKS.sub("", whole) + (mark and ".") + decimals
    else:
        return None
    signs = parts["sign"] + parts["inner"]
    if len(signs) > 1 or (signs and parts["open"]):
        return None
    number = float(core)
    return -number if parts["open"] or signs in ("-", "\u2212") else number


def has_marks(cell: str) -> bool:
    """Whether there is more to a number than digits and a sign, so that it is read."""
    return re.fullmatch(r"[-+]?\d*", cell) is None


# Dates -----------------------------------------------------------------------

#: The first of the hundred years that two digits may stand for.
SHORT_YEARS = 1930
#: In which order a date is written.
ORDERS = ("ymd", "dmy", "mdy")
_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "jan january januar janvier enero",
            "feb february februar février febrero",
            "mar march märz mär mars marzo",
            "apr april avril abril",
            "may mai mayo",
            "jun june juni juin junio",
            "jul july juli juillet julio",
            "aug august août agosto",
            "sep sept september septembre septiembre",
            "oct october okt oktober octobre octubre",
            "nov november novembre noviembre",
            "dec december dez dezember décembre diciembre",
        ),
        1,
    )
    for name in names.split()
}
_CLOCK = (
    r"(?:(?:[T ]|,? +)(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})"
    r"(?:[.,](?P<fraction>\d+))?)?(?: ?(?P<half>[AaPp])\.?[Mm]\.?)?"
    r"(?: ?(?:Z|UTC|[-+]\d{2}:?\d{2}))?)?"
)
_NUMERIC = re.compile(
    r"(?P<first>\d{1,4})(?P<mark>[-/.])(?P<second_>\d{1,2})(?P=mark)(?P<third>\d{4}|\d{1,2})"
    + _CLOCK
)
_COMPACT = re.compile(r"(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])")
_NAMED = (
    re.compile(
        r"(?P<day>\d{1,2})(?:st|nd|rd|th|\.)?[ -]*(?P<month>[^\W\d_]{3,10})\.?,?[ -]*"
        r"(?P<year>\d{4})" + _CLOCK
    ),
    re.compile(
        r"(?P<month>[^\W\d_]{3,10})\.?[ -]*(?P<day>\d{1,2})(?:st|nd|rd|th)?,?[ -]+"
        r"(?P<year>\d{4})" + _CLOCK
    ),
)


@lru_cache(maxsize=1 << 16)
def date_of(cell: str, order: str) -> datetime.datetime | None:
    """The date that a cell says, on its own clock; None where it is none."""
    found = _NUMERIC.fullmatch(cell)
    if found is not None:
        three = found["first"], found["second_"], found["third"]
        if len(three[0]) > 2 and order != "ymd":
            return None
        if len(three[0]) == 3 or (order == "ymd") != (len(three[0]) == 4):
            return None
        if order != "ymd" and len(three[2]) == 1:
            return None  # 1.5.2 is a version
        year, month, day = (three[order.index(each)] for each in "ymd")
        return _checked(year, month, day, found)
    if order == "ymd" and _COMPACT.fullmatch(cell):
        return _date(int(cell[:4]), int(cell[4:6]), int(cell[6:]))
    for pattern in _NAMED:
        found = pattern.fullmatch(cell)
        if found is not None and found["month"].lower() in _MONTHS:
            month = str(_MONTHS[found["month"].lower()])
            return _checked(found["year"], month, found["day"], found)
    return None


def _checked(
    year: str, month: str, day: str, found: re.Match[str]
) -> datetime.datetime | None:
    whole = int(year)
    if len(year) < 4:
        whole += 2000 if whole < SHORT_YEARS - 1900 else 1900
    hour = int(found["hour"] or 0)
    if found["half"]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + 12 * (found["half"] in "pP")
    fraction = int(f"{found['fraction'] or ''}000000"[:6])  # of a second, in millionths
    clock = hour, int(found["minute"] or 0), int(found["second"] or 0), fraction
    return _date(whole, int(month), int(day), *clock)


def _date(*parts: int) -> datetime.datetime | None:
    try:
        return datetime.datetime(*parts)  # type: ignore[arg-type]
    except ValueError:
        return None
