"""What a section of the report is, and what it is asked."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Result = dict[str, Any]  # as JSON keeps it
Figures = dict[str, dict[str, float]]  # of a target: its columns, "" if it has one


class Unavailable(Exception):
    """Raised where a section cannot be measured on this machine."""


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    rounds: int
    seconds: float
    quick: bool
    shapes: tuple[str, ...]
    contenders: tuple[str, ...] | None
    data: Path

    def size(self, full: int, quick: int) -> int:
        """Return the size of a measurement, small in a run that only tries."""
        return quick if self.quick else full


@dataclass(frozen=True)
class Section:
    """One part of the report.

    `measure` runs in a process of its own, in which the libraries have `threads`
    threads on `cpus` CPUs (as many if None). Its result is kept as JSON; `tell` makes
    markdown of it, and `figures` what the targets are compared with. `protocol` says
    what it did with the numbers of the options.
    """

    name: str
    title: str
    text: str
    measure: Callable[[Options], Result]
    tell: Callable[[Result], str]
    figures: Callable[[Result], Figures]
    threads: int = 1
    cpus: int | None = None
    protocol: str = "{rounds} rounds of calls that take {seconds} s or more"
