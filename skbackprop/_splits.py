"""Which rows train, and which are held out to validate."""

from __future__ import annotations

import copy
from math import ceil
from typing import Any, NamedTuple

import numpy as np

from ._inputs import Targets
from ._layers import Array


class Split(NamedTuple):
    """Which rows train, and what validates."""

    train: Array
    held_out: Array | None
    #: The random stream as it was before the split was drawn, and whether that was to
    #: have every class on both sides.
    drawn: tuple[np.random.RandomState, bool] | None
    #: X_val, y_val and sample_weight_val, where they were given.
    given: tuple[Any, Any, Any] | None


def split_rows(
    estimator: Any,
    n: int,
    targets: Targets,
    rng: np.random.RandomState,
    known: tuple[np.random.RandomState, bool] | None,
    validation: tuple[Any, Any, Any],
) -> Split:
    """Rows to train on, and rows or data to validate on; by index, never a copy.

    ``known`` is what an earlier fit has drawn, as ``Split.drawn``.
    """
    X_val, y_val, weight_val = validation
    rows = np.arange(n, dtype=np.intp)
    if X_val is not None or y_val is not None or weight_val is not None:
        if not estimator.early_stopping or estimator.solver == "lbfgs":
            raise ValueError(
                "X_val, y_val and sample_weight_val are for early_stopping=True with a "
                f"stochastic solver. Got early_stopping={estimator.early_stopping} "
                f"and solver={estimator.solver!r}."
            )
        if X_val is None or y_val is None:
            raise ValueError("X_val and y_val must be given together.")
        return Split(rows, None, None, validation)
    if not estimator.early_stopping or estimator.solver == "lbfgs":
        return Split(rows, None, None, None)
    # A warm fit draws the same split again, so that no training row leaks.
    stream, every_class = known or (rng, estimator.scoring is not None)
    source = stream if known is None else copy.deepcopy(stream)
    drawn = (copy.deepcopy(source), every_class)
    labels = targets.stratify
    if every_class and targets.labels is not None:
        labels = targets.labels
    _check_split(estimator, n, labels)
    del rows
    rows, held_out = draw_split(
        n, estimator.validation_fraction, labels, source, every_class
    )
    return Split(rows, held_out, drawn, None)


def _check_split(estimator: Any, n: int, labels: Array | None) -> None:
    """Refuse a split that leaves a side, or one of two classes, with too few rows."""
    fraction = estimator.validation_fraction
    n_test = ceil(fraction * n)
    classes = getattr(estimator, "classes_", ())
    if labels is not None and len(classes) == 2:
        counts = np.bincount(labels, minlength=2)
        if counts.min() == 1:
            rare = classes.tolist()[int(counts.argmin())]
            raise ValueError(
                "early_stopping=True wants rows of both classes to train on and to "
                f"validate on, but y has only one row of class {rare!r}. Pass X_val "
                "and y_val, or take early_stopping=False."
            )
        if min(n_test, n - n_test) < 2:
            raise ValueError(
                f"validation_fraction={fraction!r} of n_samples={n} is {n_test} to "
                f"validate on and {n - n_test} to train on: both must have room for "
                "both classes."
            )
    if n_test < 2:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' or the "
            f"size of your dataset: {fraction!r} of n_samples={n} is {n_test}."
        )
    if n_test == n:
        raise ValueError(
            f"validation_fraction={fraction!r} of n_samples={n} leaves none to train "
            "on."
        )


def draw_split(
    n: int,
    fraction: float,
    labels: Array | None,
    rng: np.random.RandomState,
    every_class: bool = False,
) -> tuple[Array, Array]:
    """Training and held-out rows, as scikit-learn's ``train_test_split`` draws them.

    That goes through lists of 40 bytes per row where it stratifies. Shuffling in
    place makes the same draws on 4. With ``every_class`` both sides have a row of every
    class where there is one to spare, and no class is too rare.
    """
    counts = np.array([n]) if labels is None else np.bincount(labels, minlength=1)
    counts = counts[counts > 0]
    n_test = ceil(fraction * n)
    strict = labels is not None and not (every_class and len(counts) > 2)
    least = len(counts) if strict else 1
    if min(n_test, n - n_test) < least or (strict and counts.min() < 2):
        # Raises, with the words that scikit-learn has for this case.
        from sklearn.model_selection import train_test_split

        train_test_split(np.arange(n), test_size=fraction, stratify=labels)
    kind = np.int32 if n < 2**31 else np.int64
    if labels is None:
        order = np.arange(n, dtype=kind)
        rng.shuffle(order)
        return order[n_test:].astype(np.intp), order[:n_test].astype(np.intp)
    train_counts = _shares(counts, n - n_test, rng)
    test_counts = _shares(counts - train_counts, n_test, rng)
    if every_class:
        test_counts = _with_every_class(test_counts, counts)
        train_counts = counts - test_counts
    train, test = [], []
    for label, k, m in zip(np.unique(labels), train_counts, test_counts, strict=True):
        group = np.flatnonzero(labels == label).astype(kind)
        rng.shuffle(group)
        train.append(group[:k])
        test.append(group[k : k + m])
    rows, held_out = np.concatenate(train), np.concatenate(test)
    rng.shuffle(rows)
    rng.shuffle(held_out)
    return rows.astype(np.intp), held_out.astype(np.intp)


def _shares(counts: Array, total: int, rng: np.random.RandomState) -> Array:
    """Whole numbers near the proportions of counts; ties are drawn, as there."""
    exact = counts / counts.sum() * total
    shares = np.floor(exact)
    missing, rest = int(total - shares.sum()), exact - shares
    for value in np.unique(rest)[::-1]:
        if missing == 0:
            break
        (tied,) = np.nonzero(rest == value)
        chosen = rng.choice(tied, size=min(len(tied), missing), replace=False)
        shares[chosen] += 1
        missing -= len(chosen)
    return shares.astype(int)


def _with_every_class(shares: Array, counts: Array) -> Array:
    """Shares of as many rows, none of them 0 or all of a class, where that can be."""
    low, high = np.minimum(counts - 1, 1), counts - 1
    total = shares.sum()
    if not low.sum() <= total <= high.sum():
        return shares
    shares = np.clip(shares, low, high)
    while (excess := shares.sum() - total) > 0:
        shares[np.argmax(shares - low)] -= 1
    for _ in range(-excess):
        shares[np.argmax(high - shares)] += 1
    return shares
