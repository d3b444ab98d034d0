"""A partition as the engine reads it: rows that train, and rows that are held out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from .._evaluation import make_table
from .._layers import Array

if TYPE_CHECKING:
    from ..core.engine import Table


@dataclass(frozen=True)
class Partition:
    """Rows, targets and weights as arrays, which travel between workers.

    Parameters
    ----------
    X : ndarray of shape (n, p) or CSR matrix
    Y : ndarray of shape (n, q) or None
    labels : ndarray of shape (n,) or None
    sample_weight : ndarray of shape (n,) or None
    folds : ndarray of int, shape (n, n_repeats), or None
        The fold of each row in each dealing; -1 trains always. None: all rows train.
    n_folds : int
        Member m holds out fold ``m % n_folds`` of dealing ``m // n_folds``.
    """

    X: Any
    Y: Array | None
    labels: Array | None
    sample_weight: Array | None
    folds: Array | None = None
    n_folds: int = 1
    #: Of the power of two that the weights are over.
    exponent: int = 0
    #: Whether rows that train validate too, where ``folds`` is None.
    validates_itself: bool = False

    @cached_property
    def table(self) -> Table:
        return make_table(
            self.X,
            Y=self.Y,
            labels=self.labels,
            sample_weight=self.sample_weight,
            dtype=self.X.dtype,
        )

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        state.pop("table", None)
        return state

    def __sizeof__(self) -> int:
        """Bytes, by which a scheduler knows what fits where."""
        arrays = [self.Y, self.labels, self.sample_weight, self.folds]
        if sp.issparse(self.X):
            arrays += [self.X.data, self.X.indices, self.X.indptr]
        else:
            arrays.append(self.X)
        return sum(each.nbytes for each in arrays if each is not None)

    @property
    def n_rows(self) -> int:
        return int(self.X.shape[0])

    def rows(self, member: int) -> tuple[Array, Array]:
        """Rows that train a member, and those that are held out for it."""
        every = np.arange(self.n_rows, dtype=np.intp)
        if self.folds is None:
            return every, every if self.validates_itself else every[:0]
        out = self.folds[:, member // self.n_folds] == member % self.n_folds
        return every[~out], every[out]
