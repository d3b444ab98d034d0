"""How far a training is: a bar on a terminal, a few lines elsewhere."""

from __future__ import annotations

import math
import sys
import threading
import time
from typing import Any

from .._observers import Epoch, Observer
from .._state import Ending

_LINES = 10  # that are printed where there is no terminal, about


class Progress(Observer):
    """Counts the epochs of all networks, and shows what share of them is done.

    Networks that end early count as complete, so that the time that is left is rather
    too long than too short.
    """

    def __init__(self, max_iter: int, time_limit: float | None) -> None:
        self.max_iter, self.time_limit = max_iter, time_limit
        self.epochs: dict[int, int] = {}
        self.scores: dict[int, float] = {}
        self.n_members = self.n_done = 0
        self.began = time.monotonic()
        self._guard = threading.Lock()  # networks are trained by several threads
        self._shown = 0
        self._bar: Any = None

    def fit_begins(self, n_members: int) -> None:
        self.n_members = n_members
        self.began = time.monotonic()
        if sys.stdout is not None and sys.stdout.isatty():
            self._bar = _rich_bar()

    def epoch_ends(self, epoch: Epoch) -> None:
        with self._guard:
            self.epochs[epoch.member] = epoch.number
            if epoch.score is not None:
                best = self.scores.get(epoch.member, -math.inf)
                self.scores[epoch.member] = max(best, epoch.score)
            self._show()

    def member_ends(self, member: int, ending: Ending, result: Any) -> None:
        with self._guard:
            self.epochs[member] = self.max_iter
            self.n_done += 1
            self._show()

    def fit_ends(self) -> None:
        if self._bar is not None:
            self._bar.stop()

    def share(self) -> float:
        """What part of the training is done, from 0 to 1."""
        share = sum(self.epochs.values()) / (self.n_members * self.max_iter)
        if self.time_limit is not None:
            share = max(share, (time.monotonic() - self.began) / self.time_limit)
        return min(share, 1.0)

    def _show(self) -> None:
        share = self.share()
        done = f"{self.n_done} of {self.n_members} networks"
        if self.scores:
            mean = sum(self.scores.values()) / len(self.scores)
            done += f", validation loss {-mean:.4g}"
        if self._bar is not None:
            self._bar.update(0, completed=share, description=done)
            return
        step = int(share * _LINES)
        if step == _LINES and self.n_done < self.n_members:
            return  # the last epoch of the last network is not its end
        if step > self._shown:
            self._shown = step
            seconds = time.monotonic() - self.began
            left = seconds * (1 - share) / share if share else math.inf
            print(f"{share:4.0%}      {done}, at most {_clock(left)} left", flush=True)


def _clock(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _rich_bar() -> Any:
    """A bar of rich, where it is installed."""
    try:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            Progress,
            TaskProgressColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )
    except ImportError:
        return None
    bar = Progress(
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("left at most"),
        TimeRemainingColumn(),
        TextColumn("[default]{task.description}"),
        console=Console(file=sys.stdout),
        transient=True,
    )
    bar.add_task("", total=1.0)
    bar.start()
    return bar
