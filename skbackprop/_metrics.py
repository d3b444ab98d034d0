"""``score`` of classifiers and regressors."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._snapshot import reads_at_once
from ._targets import Classes, Numbers


class ClassifierScore:
    """``score`` of a classifier whose y may be of any container."""

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Accuracy of :meth:`predict`; of whole rows for several labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        score : float
        """
        return super().score(X, Classes.plain(y), sample_weight=sample_weight)


class RegressorScore:
    """``score`` of a regressor that may have learnt quantiles."""

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
        y = Numbers.plain(y)
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
