"""y as the engine reads it: classes and labels, or numbers and their quantiles.

Two mixins, each for the two estimators that learn from such a y.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.class_weight import compute_sample_weight

from ._inputs import Targets
from ._layers import Array
from ._snapshot import reads_at_once


class ClassTargets:
    """Classes of y, as numbers and with weights; for a classifier."""

    label_smoothing: float
    class_weight: Any

    def _read_classes(self, y: Any) -> None:
        binarizer = LabelBinarizer().fit(y)
        self.classes_ = binarizer.classes_
        self._y_type = binarizer.y_type_
        self._sparse_y = binarizer.sparse_input_

    def _targets(self, y: Any, dtype: Any) -> Targets:
        if self._y_type == "multilabel-indicator":
            Y = y.toarray() if sp.issparse(y) else np.asarray(y)
            n_labels = len(self.classes_)
            if Y.ndim != 2 or Y.shape[1] != n_labels:
                raise ValueError(
                    f"y must be an indicator matrix of {n_labels} columns. "
                    f"Got shape {Y.shape}."
                )
            Y = (Y > 0).astype(dtype)
            return Targets(Y, None, "binary_cross_entropy", "logistic", n_labels, None)
        if np.ndim(y) != 1:
            raise ValueError(f"y must have shape (n_samples,). Got {np.shape(y)}.")
        codes = self._codes(y)
        if len(self.classes_) > 2:
            n_classes = len(self.classes_)
            return Targets(
                None,
                codes,
                "categorical_cross_entropy",
                "softmax",
                n_classes,
                None,
            )
        Y = codes.astype(dtype)[:, None]
        return Targets(Y, None, "binary_cross_entropy", "logistic", 1, codes > 0)

    def _loss_parameters(self) -> tuple[float, ...]:
        share = float(self.label_smoothing)
        return (share,) if share > 0 else ()

    def _weights(self, y: Any, sample_weight: Array | None) -> Array | None:
        if self.class_weight is None:
            return sample_weight
        if self._y_type == "multilabel-indicator":
            weights = compute_sample_weight(self.class_weight, y)
        else:
            codes = self._codes(y)
            weights = self._weights_of_classes(codes)[codes]
        if not np.all(weights >= 0):
            raise ValueError(
                f"class_weight must hold no negative number. Got {self.class_weight!r}."
            )
        if sample_weight is None:
            return weights
        with np.errstate(over="ignore", under="ignore"):  # an infinity is refused
            return sample_weight * weights

    def _codes(self, y: Any) -> Array:
        """Places in classes_, of labels that are known to be there."""
        return np.searchsorted(self.classes_, y).astype(np.intc)

    def _weights_of_classes(self, codes: Array) -> Array:
        """class_weight as one number per class."""
        n_classes = len(self.classes_)
        if self.class_weight == "balanced":
            counts = np.bincount(codes, minlength=n_classes)
            return len(codes) / (np.sum(counts > 0) * np.maximum(counts, 1))
        if isinstance(self.class_weight, list):
            raise ValueError(
                "class_weight must be a dict or 'balanced' where y is one column; a "
                f"list is for several labels. Got {self.class_weight!r}."
            )
        known = dict(self.class_weight)
        weights = [known.pop(label, None) for label in self.classes_.tolist()]
        if known and None in weights:
            raise ValueError(
                f"class_weight names classes that y has not: {sorted(known, key=str)}. "
                f"The classes are {self.classes_.tolist()}."
            )
        return np.array([1.0 if w is None else float(w) for w in weights])


class NumberTargets:
    """Numbers of y, repeated for every quantile; for a regressor."""

    loss: str
    quantile: Any
    huber_delta: float

    def _check_numbers(self, y: Any) -> None:
        if sp.issparse(y) or y.dtype.kind not in "fiub":
            raise ValueError(
                "y must be a dense array of numbers. "
                f"Got a {type(y).__name__} of dtype {y.dtype}."
            )

    def _targets(self, y: Any, dtype: Any) -> Targets:
        Y = y[:, None] if y.ndim == 1 else y
        with np.errstate(over="ignore"):
            Y = np.ascontiguousarray(Y, dtype=dtype)
        if not np.isfinite(Y).all():
            raise ValueError(
                f"y has a number that is too large for {dtype}, in which the network "
                "computes."
            )
        output = "exp" if self.loss == "poisson" else "identity"
        if self.loss == "quantile":  # a column for each level of each target
            Y = np.repeat(Y, len(self._levels()), axis=1)
        return Targets(Y, None, self.loss, output, Y.shape[1], None)

    def _levels(self) -> tuple[float, ...]:
        """The parameter ``quantile`` as levels."""
        return tuple(float(level) for level in np.atleast_1d(self.quantile))

    def _loss_parameters(self) -> tuple[float, ...]:
        if self.loss == "huber":
            return (float(self.huber_delta),)
        return self._levels() if self.loss == "quantile" else ()

    @reads_at_once
    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """R^2 of the prediction; D^2 of the pinball loss after ``loss='quantile'``.

        D^2 is the share of the pinball loss of the best constant that the prediction
        does away with, averaged over targets and levels: 1 is perfect, 0 is the
        constant. See :func:`sklearn.metrics.d2_pinball_score`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        score : float
        """
        levels = getattr(self, "quantiles_", None)
        if levels is None:
            return super().score(X, y, sample_weight=sample_weight)
        from sklearn.metrics import d2_pinball_score  # long to load

        outputs = self.predict(X)
        if len(levels) == 1:
            outputs = outputs[..., None]
        scores = [
            d2_pinball_score(y, outputs[..., k], sample_weight=sample_weight, alpha=t)
            for k, t in enumerate(levels)
        ]
        return float(np.mean(scores))


def rearranged(outputs: Array, n_levels: int) -> Array:
    """Quantiles in increasing order: what belongs to a target is sorted.  (L8)"""
    if n_levels == 1:
        return outputs
    blocks = outputs.reshape(len(outputs), -1, n_levels)
    return np.sort(blocks, axis=2).reshape(outputs.shape)


def shaped(outputs: Array, n_levels: int) -> Array:
    """A column as a vector; the quantiles of several targets along an axis more."""
    if outputs.shape[1] == 1:
        return outputs[:, 0]
    if n_levels in (1, outputs.shape[1]):
        return outputs
    return outputs.reshape(len(outputs), -1, n_levels)


def is_text(labels: Any) -> bool:
    """Whether labels are strings; NumPy would compare numbers with them as text."""
    if sp.issparse(labels) or labels.dtype.kind != "O":
        return labels.dtype.kind in "US"
    return all(isinstance(label, str) for label in labels.ravel()[:1])
