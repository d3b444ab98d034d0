"""Folds: which rows train each member of an ensemble, and which validate it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._layers import Array
from .._validation import Scoring


def fold_numbers(
    n_rows: int,
    n_folds: int,
    strata: Array | None,
    random_state: np.random.RandomState,
) -> Array:
    """A fold for every row, of about as many rows each, and of each stratum.

    Rows are dealt out like cards, stratum by stratum.
    """
    order = random_state.permutation(n_rows)
    if strata is not None:
        order = order[np.argsort(strata[order], kind="stable")]
    folds = np.empty(n_rows, dtype=np.int32)
    folds[order] = np.arange(n_rows) % n_folds
    return folds


@dataclass(frozen=True)
class Part:
    """The rows that train a member, and those that validate it."""

    rows: Array
    #: The fold of each of them, and the one that is held out; or rows held out.
    folds: Array | None
    fold: int
    held: Array

    @classmethod
    def of_fold(cls, rows: Array, folds: Array, fold: int) -> Part:
        return cls(rows, folds, fold, rows[:0])

    @classmethod
    def of_rows(cls, rows: Array, held: Array) -> Part:
        return cls(rows, None, 0, held)

    def training(self) -> Array:
        """Made when it is asked for: members' rows are many."""
        if self.folds is None:
            return _aligned(self.rows)
        return self.rows[self.folds != self.fold]

    def validating(self) -> Array:
        if self.folds is None:
            return _aligned(self.held)
        return self.rows[self.folds == self.fold]


def _aligned(rows: Array) -> Array:
    """Row numbers as the engine reads them: pickles may put them anywhere."""
    return np.require(rows, requirements="A")


def dealt(
    rows: Array,
    n_folds: int,
    n_repeats: int,
    strata: Array | None,
    random_state: np.random.RandomState,
) -> list[Part]:
    """Rows dealt into folds, so many times."""
    parts = []
    for _ in range(n_repeats):
        folds = fold_numbers(len(rows), n_folds, strata, random_state)
        parts += [Part.of_fold(rows, folds, fold) for fold in range(n_folds)]
    return parts


def scorable(parts: list[Part], rows: Array, scoring: Scoring) -> list[Part]:
    """The same parts, if each can be scored."""
    theta = np.zeros(scoring.topology.n_parameters, np.float32)
    if scoring.scorer is not None:
        for part in parts:
            scoring.check(rows, part.validating(), theta)
    return parts
