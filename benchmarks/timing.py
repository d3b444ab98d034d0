"""Times of several contenders, taken in turns."""

import time
from collections.abc import Callable, Mapping
from functools import partial
from statistics import median

Call = Callable[[], object]


def seconds_of(call: Call) -> float:
    """Return how long one call takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def epochs_for(
    train: Callable[[int], object], seconds: float, most: int = 10_000
) -> int:
    """Return the epochs that take about `seconds`; warms up on the way."""
    train(1)
    epochs = 1
    while True:
        took = seconds_of(partial(train, epochs))
        if took >= seconds or epochs >= most:
            return epochs
        # Not further than tenfold at once: short times are mostly overhead.
        wanted = 1.1 * epochs * seconds / max(took, 1e-9)
        epochs = int(min(max(wanted, epochs + 1), 10 * epochs, most))


def in_turns(
    calls: Mapping[str, Call], rounds: int, between: Call | None = None
) -> dict[str, list[float]]:
    """Return each call's seconds, one per round: A B C, A B C, ...

    A machine that slows down for a while then slows all of them.
    """
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        if between is not None:
            between()
        for name, call in calls.items():
            seconds[name].append(seconds_of(call))
    return seconds


def ratio(of: list[float], over: list[float]) -> float:
    """Return the median over the rounds of how many times `over` is faster."""
    return median(a / b for a, b in zip(of, over, strict=True))


def microseconds(seconds: float) -> str:
    """Return the time as text, with a digit after the point where that counts."""
    us = 1e6 * seconds
    return f"{us:.1f}" if us < 100 else f"{us:.0f}"


def table(header: list[str], rows: list[list[str]]) -> str:
    """Return a markdown table, first column to the left, numbers to the right."""
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
