"""What a model is worth: scores beside a constant's, calibration, importances."""

from __future__ import annotations

from typing import Any

import numpy as np

_BINS = 10
_BLOCK = 50_000  # rows that are predicted at a time
MOST_IMPORTANT = 10
_SHUFFLES = 5
_PREDICTIONS = 150_000  # rows predicted for the importances, about
MOST_SHUFFLED = 150  # columns: of more, to shuffle each takes longer than to train
_FEWEST_ROWS, _MOST_ROWS = 100, 2000  # of the table, for each shuffle


def in_blocks(function: Any, frame: Any) -> Any:
    """Predictions of a frame of any length."""
    starts = range(0, len(frame), _BLOCK)
    return np.concatenate([function(frame.iloc[s : s + _BLOCK]) for s in starts])


def of_classes(classes: Any, y: Any, probabilities: Any, prior: Any) -> dict[str, Any]:
    """Scores of a classification.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
    y : ndarray of shape (n_rows,)
        Codes of the true classes, -1 where it is none of them.
    probabilities : ndarray of shape (n_rows, n_classes)
    prior : ndarray of shape (n_classes,)
        Shares of the classes in training, by which the constant predicts.
    """
    from sklearn.metrics import roc_auc_score

    known = y >= 0
    rows = np.flatnonzero(known)
    predicted = probabilities.argmax(axis=1)
    least = np.finfo(np.float64).tiny
    of_true = np.maximum(probabilities[rows, y[rows]].astype(np.float64), least)
    of_prior = np.maximum(prior[y[rows]], least)
    scores: dict[str, Any] = {
        "accuracy": float(np.mean(predicted == y)),
        "baseline_accuracy": float(np.mean(prior.argmax() == y)),
        "log_loss": float(-np.log(of_true).mean()) if len(rows) else None,
        "baseline_log_loss": float(-np.log(of_prior).mean()) if len(rows) else None,
        "calibration_error": calibration_error(
            probabilities.max(axis=1), predicted == y
        ),
    }
    if len(classes) == 2 and len(np.unique(y[rows])) == 2:
        scores["roc_auc"] = float(roc_auc_score(y[rows], probabilities[rows, 1]))
    by_class = []
    for code, label in enumerate(classes.tolist()):
        true, said = y == code, predicted == code
        hits = int(np.sum(true & said))
        by_class.append(
            {
                "class": label,
                "rows": int(true.sum()),
                "precision": hits / int(said.sum()) if said.any() else None,
                "recall": hits / int(true.sum()) if true.any() else None,
                "predicted": int(said.sum()),
            }
        )
    return scores | {"classes": by_class}


def calibration_error(confidence: Any, correct: Any) -> float:
    """The expected calibration error of Guo et al. (2017), over bins of equal counts.

    The mean distance between the probability of the class that is predicted and how
    often it is right.
    """
    order = np.argsort(confidence, kind="stable")
    parts = np.array_split(order, min(_BINS, len(order)))
    distances = [
        len(part)
        * abs(float(np.mean(confidence[part])) - float(np.mean(correct[part])))
        for part in parts
    ]
    return sum(distances) / len(order)


def of_numbers(y: Any, predicted: Any, train_mean: float) -> dict[str, Any]:
    """Scores of a regression beside those of the mean of the training rows."""
    error, baseline = y - predicted, y - train_mean
    spread = float(np.mean((y - y.mean()) ** 2))
    scores: dict[str, Any] = {}
    for name, each in (("", error), ("baseline_", baseline)):
        squared = float(np.mean(each**2))
        scores[f"{name}r2"] = 1 - squared / spread if spread else None
        scores[f"{name}rmse"] = squared**0.5
        scores[f"{name}mae"] = float(np.mean(np.abs(each)))
    scores["mean_error"] = float(np.mean(error))
    return scores


def of_quantiles(y: Any, predicted: Any, levels: Any, constants: Any) -> dict[str, Any]:
    """The loss of each quantile beside the constant's, and what lies below it.

    ``predicted`` has shape (n_rows, n_levels), ``constants`` (n_levels,) are the
    quantiles of the training rows.
    """
    from sklearn.metrics import mean_pinball_loss

    by_level = [
        {
            "quantile": float(q),
            "below": float(np.mean(y <= predicted[:, i])),
            "loss": mean_pinball_loss(y, predicted[:, i], alpha=q),
            "baseline_loss": mean_pinball_loss(
                y, np.full(len(y), constants[i]), alpha=q
            ),
        }
        for i, q in enumerate(levels)
    ]
    return {"quantiles": by_level}


def loss_of(model: Any, frame: Any, y: Any) -> float:
    """Log-loss of codes of classes, mean quantile loss or root mean squared error."""
    if hasattr(model, "classes_"):
        probabilities = model.predict_proba(frame)
        of_true = probabilities[np.arange(len(y)), y].astype(np.float64)
        return float(-np.log(np.maximum(of_true, np.finfo(np.float64).tiny)).mean())
    predicted = model.predict(frame)
    if model.quantiles_ is not None:
        levels = model.quantiles_.tolist()
        scores = of_quantiles(y, predicted.reshape(len(y), -1), levels, levels)
        return float(np.mean([each["loss"] for each in scores["quantiles"]]))
    return float(np.sqrt(np.mean((y - predicted) ** 2)))


def importances(
    model: Any, frame: Any, y: Any, rows: Any, seed: int
) -> list[dict[str, Any]]:
    """The columns whose shuffling costs most: permutation importance (Breiman, 2001).

    The mean cost, in the loss of ``loss_of``, its standard deviation over shuffles, and
    the costs. ``rows`` are those that may be looked at: the more columns, the fewer,
    and none of more than ``MOST_SHUFFLED``.
    """
    from sklearn.inspection import permutation_importance

    names = list(frame.columns)
    if len(names) > MOST_SHUFFLED:
        return []
    most = min(_MOST_ROWS, max(_FEWEST_ROWS, _PREDICTIONS // (_SHUFFLES * len(names))))
    if len(rows) > most:
        rng = np.random.default_rng(seed)
        rows = np.sort(rng.choice(rows, most, replace=False))
    found = permutation_importance(
        model,
        frame.iloc[rows],
        y[rows],
        scoring=lambda model, frame, y: -loss_of(model, frame, y),
        n_repeats=_SHUFFLES,
        random_state=seed,
    )
    order = np.argsort(-found.importances_mean, kind="stable")[:MOST_IMPORTANT]
    return [
        {
            "column": names[place],
            "cost": float(found.importances_mean[place]),
            "spread": float(found.importances_std[place]),
            "costs": found.importances[place].tolist(),
        }
        for place in order.tolist()
    ]
