"""Scorers of rows that validate: by a name of scikit-learn's, or a callable."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from inspect import signature
from numbers import Real
from typing import Any

import numpy as np
from sklearn.base import is_regressor

from ._layers import Array

#: Metrics of probabilities that a name of scikit-learn's stands for, and how. They must
#: be told the classes, where rows that validate lack one.
_OF_PROBABILITIES: dict[str, tuple[str, dict[str, Any]]] = {
    "neg_log_loss": ("log_loss", {"greater_is_better": False}),
    "neg_brier_score": ("brier_score_loss", {"greater_is_better": False}),
    "d2_log_loss_score": ("d2_log_loss_score", {}),
    "d2_brier_score": ("d2_brier_score", {}),
    "roc_auc_ovr": ("roc_auc_score", {"multi_class": "ovr"}),
    "roc_auc_ovo": ("roc_auc_score", {"multi_class": "ovo"}),
    "roc_auc_ovr_weighted": (
        "roc_auc_score",
        {"multi_class": "ovr", "average": "weighted"},
    ),
    "roc_auc_ovo_weighted": (
        "roc_auc_score",
        {"multi_class": "ovo", "average": "weighted"},
    ),
    "top_k_accuracy": (
        "top_k_accuracy_score",
        {"response_method": ("decision_function", "predict_proba")},
    ),
}


def scorer_of(estimator: Any, scoring: Any) -> Callable[..., Any]:
    """The scorer that a name, a callable or None stands for."""
    from sklearn import metrics  # long to load

    one_label = getattr(estimator, "_y_type", None) in ("binary", "multiclass")
    if one_label and isinstance(scoring, str) and scoring in _OF_PROBABILITIES:
        name, settings = _OF_PROBABILITIES[scoring]
        metric, classes = getattr(metrics, name), estimator.classes_
        if "labels" in signature(metric).parameters:  # not in all before 1.7
            settings = {"response_method": "predict_proba"} | settings
            if "pos_label" in signature(metric).parameters and len(classes) == 2:
                settings["pos_label"] = classes[1]
            return metrics.make_scorer(metric, labels=classes, **settings)
    return metrics.check_scoring(estimator, scoring=scoring)


def score_on(
    scorer: Callable[..., Any], X: Any, y: Any, weights: Array | None
) -> Callable[[Any], float]:
    """The function from an estimator to its score on some rows."""
    kwargs = {"sample_weight": weights}
    if weights is None or not _takes_weights(scorer):
        kwargs = {}

    def score(estimator: Any) -> float:
        value = scorer(estimator, X, y, **kwargs)
        if not isinstance(value, Real):
            raise ValueError(f"scoring must return a number. Got {value!r}.")
        return float(value)

    return score


def _takes_weights(scorer: Callable[..., Any]) -> bool:
    parameters = signature(scorer).parameters
    return "sample_weight" in parameters or any(
        each.kind == each.VAR_KEYWORD for each in parameters.values()
    )


class CannotScore(ValueError):
    """Raised before training where a scorer cannot do without a class."""


def check_score(
    estimator: Any, score: Callable[[], float], lacking: str, remedy: str
) -> None:
    """Raise where the rows that validate cannot be scored, before anything is trained.

    A classifier's metric is tried once. A callable may count its calls, and a
    regressor's metric may mind numbers that training would mend: they are tried only
    where the rows are ``lacking`` a class.
    """
    scoring, cause = estimator.scoring, None
    if not lacking and (callable(scoring) or is_regressor(estimator)):
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a network that has learnt nothing
            value = score()
    except Exception as error:
        cause, reason = error, f"{error}".partition("\n")[0]
    else:
        if np.isfinite(value) or not lacking:
            return
        reason = f"the score is {value}"
    if lacking:
        raise CannotScore(
            f"scoring={scoring!r} cannot score validation rows without {lacking}: "
            f"{remedy}. ({reason})"
        ) from cause
    raise ValueError(
        f"scoring={scoring!r} cannot score a {type(estimator).__name__} here: {reason}"
    ) from cause
