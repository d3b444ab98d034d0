"""What is printed of a table and of a model's scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ._notation import COMMA
from ._reading import CATEGORY, DATE, NUMBER, Reading
from ._scores import MOST_SHUFFLED
from ._words import counted, joined_some, printable

_MOST_COLUMNS = 12
_ORDERS = {"ymd": "year-month-day", "dmy": "day/month/year", "mdy": "month/day/year"}


def described_columns(
    readings: Mapping[str, Reading], n_categories: Mapping[str, int]
) -> Iterator[str]:
    """A line for each kind of column: which they are, and how they are read."""
    label = "columns"
    for kind in (NUMBER, CATEGORY, DATE):
        said = []
        for name, reading in readings.items():
            if reading.kind == kind:
                said.append(repr(name) + _how(name, reading, n_categories))
        if said:
            noun = "category" if kind == CATEGORY else kind
            many = "categories" if kind == CATEGORY and len(said) > 1 else None
            count = f"{len(said)} {many}" if many else counted(len(said), noun)
            yield f"{label:<10}{count}: {joined_some(said, ', ', _MOST_COLUMNS)}"
            label = ""


def _how(name: str, reading: Reading, n_categories: Mapping[str, int]) -> str:
    if reading.kind == CATEGORY and name in n_categories:
        return f" ({n_categories[name]} different)"
    if reading.kind == NUMBER and reading.mark == COMMA:
        return " (decimal comma)"
    if reading.kind == DATE:
        return f" ({_ORDERS[reading.mark]})"
    return ""


def print_scores(scores: Mapping[str, Any]) -> None:
    """Scores beside those of a constant."""
    if "quantiles" in scores:
        print("test      quantile   below   loss (always the same number)")
        for each in scores["quantiles"]:
            print(
                f"          {each['quantile']:8.4g}  {each['below']:6.1%}   "
                f"{each['loss']:.4g} ({each['baseline_loss']:.4g})"
            )
        return
    if "accuracy" in scores:
        rows = [
            ("accuracy", "always the most frequent class"),
            ("log_loss", "always the shares of the classes"),
        ]
    else:
        rows = [(name, "always the mean") for name in ("r2", "rmse", "mae")]
    for name, constant in rows:
        value, base = scores[name], scores[f"baseline_{name}"]
        label = {"r2": "R2", "rmse": "RMSE", "mae": "MAE"}.get(name, name)
        print(
            f"test      {label.replace('_', '-')} {_number(value)} "
            f"({constant}: {_number(base)})"
        )
    if "roc_auc" in scores:
        print(f"test      ROC AUC {scores['roc_auc']:.4g}")
    if "calibration_error" in scores:
        error = scores["calibration_error"]
        print(f"test      calibration: probabilities are off by {error:.1%} on average")
    if "mean_error" in scores:
        print(f"test      mean error (target - prediction) {scores['mean_error']:.4g}")


def print_importances(importances: Sequence[Mapping[str, Any]]) -> None:
    """What matters most, the largest cost first."""
    if not importances:
        print(f"matters   is not measured of more than {MOST_SHUFFLED} columns")
        return
    print("matters   most, by how much the loss rises when a column is shuffled:")
    width = max(len(repr(each["column"])) for each in importances)
    for each in importances:
        name = f"{each['column']!r:<{min(width, 40)}}"
        print(f"          {name}  {each['cost']:.4g} +- {each['spread']:.2g}")


def class_table(scores: Mapping[str, Any]) -> Iterator[str]:
    """Lines of a table by class."""
    width = max(len(str(each["class"])) for each in scores["classes"])
    width = min(max(width, 5), 40)
    yield f"{'class':<{width}}  {'rows':>8}  {'precision':>9}  {'recall':>9}"
    for each in scores["classes"]:
        name = printable(str(each["class"])[:width])
        numbers = [_share(each[key]) for key in ("precision", "recall")]
        yield f"{name:<{width}}  {each['rows']:>8}  {numbers[0]:>9}  {numbers[1]:>9}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"
