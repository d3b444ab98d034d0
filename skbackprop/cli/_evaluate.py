"""``skbackprop evaluate``: what a model is worth on rows whose target is known."""

from __future__ import annotations

import argparse
import sys
import warnings
from typing import Any

import numpy as np

from ._failure import Failure
from ._model import Model, Rows, opened_model
from ._notation import POINT, number_of
from ._output import written_json
from ._profile import Profile
from ._reading import NUMBER, Reading, as_text
from ._report import class_table, print_scores
from ._scores import of_classes, of_numbers, of_quantiles
from ._tables import Table, find, opened_table
from ._words import Oddities, counted, places_of


def evaluate(options: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    model = opened_model(options.model, options)
    name = options.target or model.target
    if name is None:
        raise Failure(f"{options.model!r} does not say its target; --target does")
    wanted = [*(model.readings or ()), name]
    with opened_table(options.data, options, wanted) as table:
        target = find(table, name, "--target")
        rows = Rows.of(model, table, [target], [target])
        outputs, cells = _predicted(rows)
        if not len(cells):
            raise Failure(f"{table.name!r} has a header but no rows")
        compare = _classes if model.is_classifier else _numbers
        scores = compare(model, table, target, outputs, cells)
        notes = [*table.notes, *rows.notes()]
    if options.json != "-":
        print(f"data      {table.name}\nrows      {len(cells)}")
        for note in notes:
            print(f"note      {note}")
        print_scores(scores)
        if "classes" in scores:
            print(*class_table(scores), sep="\n")
    if options.json is not None:
        written_json(
            {"rows": len(cells), "notes": notes, "scores": scores}, options.json
        )
        if options.json == "-":
            print(*notes, sep="\n", end="", file=sys.stderr)
    return 0


def _predicted(rows: Rows) -> tuple[Any, list[Any]]:
    """Probabilities, or numbers (n_rows, n_outputs), and the target's cells."""
    estimator = rows.model.estimator
    function = (
        estimator.predict_proba if rows.model.is_classifier else estimator.predict
    )
    outputs, cells = [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is odd is told by the rows' notes
        for X, (target,) in rows.blocks():
            try:
                outputs.append(np.asarray(function(X)).reshape(len(target), -1))
            except (TypeError, ValueError) as error:
                raise Failure(f"cannot predict: {error}") from None
            cells += as_text(target) if isinstance(target, np.ndarray) else target
    return (np.concatenate(outputs) if outputs else None), cells


def _classes(
    model: Model, table: Table, target: str, probabilities: Any, cells: list[str]
) -> dict[str, Any]:
    classes = model.estimator.classes_
    if probabilities.shape[1] != len(classes) or model.estimator._y_type not in (
        "binary",
        "multiclass",
    ):
        raise Failure("evaluate compares one target; this model has several")
    code_of: dict[Any, int] = {str(each): code for code, each in enumerate(classes)}
    for code, each in enumerate(classes.tolist()):
        if isinstance(each, int | float) and not isinstance(each, bool):
            code_of[float(each)] = code
    reading = model.target_reading()
    mark = reading.mark if reading is not None and reading.kind == NUMBER else POINT
    codes = np.full(len(cells), -1)
    for row, cell in enumerate(cells):
        code = code_of.get(cell)
        if code is None and cell:
            code = code_of.get(number_of(cell, mark), -1)
        codes[row] = -1 if code is None else code
    missing = np.array([not cell for cell in cells])
    unknown = [(int(r), cells[r]) for r in np.flatnonzero((codes < 0) & ~missing)]
    _tell(table, target, missing, unknown, "is no class of the model: counted as wrong")
    kept = ~missing
    if not (codes[kept] >= 0).any():
        raise Failure(f"no cell of {target!r} is a class of the model")
    prior = _prior(model, classes)
    return of_classes(classes, codes[kept], probabilities[kept], prior)


def _prior(model: Model, classes: Any) -> Any:
    """Shares of the classes in training, where the model's file says them."""
    given = model.table.get("class_shares")
    if isinstance(given, list) and len(given) == len(classes):
        shares = np.array([x if isinstance(x, float) else np.nan for x in given])
        if (shares >= 0).all() and abs(shares.sum() - 1) < 1e-6:
            return shares
    return np.full(len(classes), 1 / len(classes))


def _numbers(
    model: Model, table: Table, target: str, predicted: Any, cells: list[str]
) -> dict[str, Any]:
    profile = Profile(target)
    profile.update(cells)
    reading = model.target_reading()
    if reading is None or reading.kind != NUMBER:
        reading = Reading(NUMBER, profile.better_mark() or POINT)
    values = reading.read(cells)
    y = values.array
    missing = np.isnan(y)
    _tell(table, target, missing, values.odd, "is no number and left out")
    if missing.all():
        raise Failure(f"no cell of {target!r} is a number")
    y, predicted = y[~missing], predicted[~missing]
    levels = model.estimator.quantiles_
    n_levels = 1 if levels is None else len(levels)
    if predicted.shape[1] != n_levels:
        raise Failure("evaluate compares one target; this model has several")
    if levels is None:
        mean = getattr(model.estimator, "target_mean_", None)
        return of_numbers(
            y, predicted[:, 0], float(y.mean() if mean is None else mean[0])
        )
    return of_quantiles(y, predicted, levels.tolist(), np.quantile(y, levels))


def _tell(
    table: Table, target: str, missing: Any, odd: list[tuple[int, str]], what: str
) -> None:
    if missing.any():
        n = counted(int(missing.sum()), "row")
        table.notes.append(f"{n} without a value in {target!r}")
    if odd:
        cells = Oddities()
        for row, cell in odd:
            cells.add(row, cell)
        places = places_of([cells], table)
        table.notes.append(
            f"{counted(cells.n, 'cell')} of {target!r}: {cells.shown(places)} {what}"
        )
