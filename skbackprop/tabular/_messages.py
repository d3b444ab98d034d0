"""What the fit of an ensemble prints, and says of itself when it has ended."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from .._observers import Observer
from .._state import Ending
from ._ensemble import Trained
from ._recipe import Recipe


class MemberPrinter(Observer):
    """A line for every member, for ``verbose``."""

    def member_ends(self, member: int, ending: Ending, result: Any) -> None:
        print(
            f"Network {member + 1}: best epoch {result.best_epoch} of "
            f"{len(result.scores)}, validation score {result.score:.6g}"
        )


def ending_messages(
    trained: Trained, recipe: Recipe
) -> list[tuple[str, type[Warning]]]:
    """The warnings that tell how a training ended."""
    planned = len(trained.members)
    n = sum(member is not None for member in trained.members)
    if trained.interrupted:
        return [
            (
                f"Training interrupted by user: {n} of {planned} networks were "
                "begun, and the best epoch of each is kept.",
                UserWarning,
            )
        ]
    members = [member for member in trained.members if member is not None]
    messages: list[tuple[str, type[Warning]]] = []
    lost = sum(not np.isfinite(member.scores).any() for member in members)
    if lost:
        messages.append(
            (
                f"No validation score of {lost} of {n} networks was a finite "
                "number: the last epoch of each is kept.",
                ConvergenceWarning,
            )
        )
    late = sum(member.ending == Ending.DIVERGED for member in members)
    if late:
        messages.append(
            (
                f"Training of {late} of {n} networks diverged, and the best "
                "epoch of each is kept: lower learning_rate_init, which was "
                f"{recipe.learning_rate_init!r}.",
                ConvergenceWarning,
            )
        )
    return messages
