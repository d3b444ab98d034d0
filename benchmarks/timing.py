"""Times of several contenders, taken in turns."""

import time
from collections.abc import Callable, Mapping
from functools import partial
from statistics import median
from typing import Self

Call = Callable[[], object]
Seconds = dict[str, list[float]]
UNITS = {"s": 1.0, "ms": 1e3, "µs": 1e6}


class Clocked(float):
    """A number with the seconds that it took: where our clock would count more."""

    seconds: float

    def __new__(cls, value: float, seconds: float) -> Self:
        """Return `value`, which took `seconds`."""
        number = super().__new__(cls, value)
        number.seconds = seconds
        return number


def seconds_of(call: Call) -> float:
    """Return how long one call takes, or says that it took."""
    began = time.perf_counter()
    result = call()
    took = time.perf_counter() - began
    return result.seconds if isinstance(result, Clocked) else took


def epochs_for(
    train: Callable[[int], object], seconds: float, least: int = 1, most: int = 10_000
) -> int:
    """Return the epochs that take about `seconds`; warms up on the way."""
    train(1)
    epochs = least
    while True:
        took = seconds_of(partial(train, epochs))
        if took >= seconds or epochs >= most:
            return epochs
        # Not further than tenfold at once: short times are mostly overhead.
        wanted = 1.1 * epochs * seconds / max(took, 1e-9)
        epochs = int(min(max(wanted, epochs + 1), 10 * epochs, most))


def in_turns(
    calls: Mapping[str, Call], rounds: int, between: Call | None = None
) -> Seconds:
    """Return each call's seconds, one per round: A B C, A B C, ...

    A machine that slows down for a while then slows all of them.
    """
    seconds: Seconds = {name: [] for name in calls}
    for _ in range(rounds):
        if between is not None:
            between()
        for name, call in calls.items():
            seconds[name].append(seconds_of(call))
    return seconds


def seconds_per_epoch(
    trainings: Mapping[str, Callable[[int], object]],
    seconds: float,
    rounds: int,
    between: Call | None = None,
    least: int = 1,
) -> Seconds:
    """Return each training's seconds per epoch, one per round of `seconds` or more."""
    epochs = {
        name: epochs_for(train, seconds, least) for name, train in trainings.items()
    }
    calls = {name: partial(train, epochs[name]) for name, train in trainings.items()}
    return {
        name: [took / epochs[name] for took in each]
        for name, each in in_turns(calls, rounds, between).items()
    }


def ratio(of: list[float], over: list[float]) -> float:
    """Return the median over the rounds of how many times `over` is faster."""
    return median(a / b for a, b in zip(of, over, strict=True))


def digits(value: float) -> str:
    """Return the number as text, with three digits that count."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:#.3g}".rstrip(".")


def times_table(
    seconds: Seconds,
    unit: str = "ms",
    reference: str | None = None,
    key: str = "contender",
) -> str:
    """Return the median, the fastest and slowest round, and the speed by turns.

    The last column is how many times the speed of `reference` the others have.
    """
    factor = UNITS[unit]
    header = [key, unit, "fastest to slowest"]
    base = seconds.get(reference) if reference else None
    if base:
        header.append(f"x {reference}")
    rows: list[list[str]] = []
    for name, each in seconds.items():
        low, middle, high = (digits(factor * f(each)) for f in (min, median, max))
        row = [name, middle, f"{low} to {high}"]
        if base:
            row.append("" if name == "nothing" else digits(ratio(base, each)))
        rows.append(row)
    return table(header, rows)


def table(header: list[str], rows: list[list[str]]) -> str:
    """Return a markdown table, words to the left, columns of numbers to the right."""
    columns = zip(*rows, strict=True) if rows else [()] * len(header)
    numbers = [all(map(_is_number, column)) for column in columns]
    rule = ["---:" if is_number else "---" for is_number in numbers]
    lines = [header, rule, *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def with_notes(text: str, notes: list[str]) -> str:
    """Return the text and, apart from it, a list; either may be empty."""
    return "\n\n".join(part for part in (text, "\n".join(notes)) if part)


def _is_number(cell: str) -> bool:
    return not cell or cell.lstrip("*<≤+-/ ")[:1].isdigit() or cell == "-"
