"""A model's file, and a table read as its training table was."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ._csv import Block
from ._failure import Failure
from ._notation import MISSING, POINT
from ._reading import CATEGORY, DATE, NUMBER, Reading
from ._tables import Table, alike, known
from ._words import Oddities, counted, joined_some, listed, places_of

_MOST_NOTES = 6


@dataclass
class Model:
    """A trained model, and how it reads the columns of a table."""

    path: str
    version: str
    estimator: Any
    #: By name, in the order of training; None where nobody has said names.
    readings: dict[str, Reading] | None
    target: str | None
    identifier: str | None
    #: What its file says of its table: nothing of it is known to be true.
    table: dict[str, Any]
    #: What comes before the decimals, where the user says it.
    decimal: str | None = None

    def target_reading(self) -> Reading | None:
        """How numbers of the target were read in training, where that is known."""
        if self.decimal is not None:
            return Reading(NUMBER, self.decimal)
        plain = self.table.get("target_reading")
        return None if plain is None else Reading.from_plain(plain)

    @property
    def is_classifier(self) -> bool:
        return hasattr(self.estimator, "classes_")

    @property
    def is_tabular(self) -> bool:
        return hasattr(self.estimator, "encoder_")


def opened_model(path: str, options: argparse.Namespace | None = None) -> Model:
    """The model of a file, which is checked and not believed. Raises Failure.

    Options that say how numbers and dates are written stand above what the file says.
    """
    from .._model_file import read_model
    from .._safetensors import ModelFormatError

    try:
        file = read_model(path)
    except ModelFormatError as error:
        raise Failure(str(error)) from None
    except OSError as error:
        what = error.strerror or str(error)
        raise Failure(f"cannot read {path!r}: {what}") from None
    estimator, table = file.estimator, file.table
    if not hasattr(estimator, "predict"):
        raise Failure(
            f"{path!r} holds a {type(estimator).__name__}, which predicts not"
        )
    target, identifier = table.get("target"), table.get("identifier")
    for name in (target, identifier):
        if name is not None and not isinstance(name, str):
            raise Failure(f"{path!r} names a column that is no text")
    readings = _readings(estimator, table.get("columns"))
    if readings is not None and options is not None:
        marks = {NUMBER: options.decimal, DATE: options.date_order}
        readings = {
            name: Reading(each.kind, marks.get(each.kind) or each.mark)
            for name, each in readings.items()
        }
    return Model(
        path,
        file.version,
        estimator,
        readings,
        target,
        identifier,
        table,
        None if options is None else options.decimal,
    )


def _readings(estimator: Any, plain: Any) -> dict[str, Reading] | None:
    names = getattr(estimator, "feature_names_in_", None)
    if plain is not None:
        if not isinstance(plain, dict) or names is None or list(plain) != list(names):
            raise Failure("the model's file says of its table what is not so")
        said = {name: Reading.from_plain(each) for name, each in plain.items()}
        kinds = [each.kind for each in _kinds(estimator)]
        if [each.kind for each in said.values()] != kinds:
            raise Failure("the model's file says of its table what is not so")
        return said
    if names is None:
        return None
    kinds = _kinds(estimator)
    return {str(name): kind for name, kind in zip(names, kinds, strict=True)}


def _kinds(estimator: Any) -> list[Reading]:
    """How a model that another program has trained reads its columns."""
    kinds = [Reading(NUMBER, POINT)] * estimator.n_features_in_
    encoder = getattr(estimator, "encoder_", None)
    if encoder is not None:
        for place in encoder.categorical_features_.tolist():
            kinds[place] = Reading(CATEGORY)
        for place in encoder.date_features_.tolist():
            kinds[place] = Reading(DATE, "ymd")
    return kinds


def _check_categories(model: Model) -> None:
    """Refuse a model that tells apart what the cells of a file do not."""
    encoder = getattr(model.estimator, "encoder_", None)
    places = [] if encoder is None else encoder.categorical_features_.tolist()
    names = getattr(model.estimator, "feature_names_in_", None)
    known = encoder.categories_ if places else []
    for place, categories in zip(places, known, strict=True):
        for each in categories:
            if isinstance(each, str) and (each in MISSING or each != each.strip()):
                column = place + 1 if names is None else repr(names[place])
                raise Failure(
                    f"the model's column {column} has the category {each!r}, which is "
                    "read as missing, or without its blanks, in a file: predict in "
                    "Python"
                )


@dataclass
class Rows:
    """Rows of a table as the model takes them, and what was odd about their cells."""

    model: Model
    table: Table
    #: Columns of the table, by place, and other ones that are asked for.
    names: list[str]
    readings: list[Reading]
    others: list[str]
    n_rows: int = 0
    odd: dict[str, Oddities] = field(default_factory=dict)
    unseen: dict[str, Counter[str]] = field(default_factory=dict)

    @classmethod
    def of(
        cls, model: Model, table: Table, others: list[str], unread: Collection[str]
    ) -> Rows:
        """The columns that the model needs; raises Failure where one is missing.

        A model that knows no names has all columns but those that are ``unread``.
        """
        _check_categories(model)
        if model.readings is not None:
            names, readings = list(model.readings), list(model.readings.values())
            _check_names(model, table, names)
        else:
            names = [name for name in table.names if name not in unread]
            readings = _kinds(model.estimator)
            if len(names) != len(readings):
                raise Failure(
                    f"{model.path!r} needs {counted(len(readings), 'column')}, and "
                    f"{table.name!r} has {len(names)}"
                )
        return cls(model, table, names, readings, others)

    def blocks(self) -> Iterator[tuple[Any, list[Any]]]:
        """A frame or array for the model, and the cells of the other columns."""
        places = [self.table.names.index(name) for name in (*self.names, *self.others)]
        known = self._categories()
        for block in self.table.blocks(places):
            yield self._frame(block, known), block.columns[len(self.names) :]
            self.n_rows += block.n_rows

    def _categories(self) -> dict[str, set[str]]:
        encoder = getattr(self.model.estimator, "encoder_", None)
        if encoder is None:
            return {}
        known = {}
        for place, values in zip(
            encoder.categorical_features_.tolist(), encoder.categories_, strict=True
        ):
            if all(isinstance(value, str) for value in values):
                known[self.names[place]] = set(values)
        return known

    def _frame(self, block: Block, known: dict[str, set[str]]) -> Any:
        import pandas as pd

        columns = {}
        for name, reading, cells in zip(
            self.names, self.readings, block.columns, strict=False
        ):
            values = reading.read(cells)
            for row, cell in values.odd:
                odd = self.odd.setdefault(name, Oddities())
                odd.add(block.first_row + row, cell)
            if reading.kind == CATEGORY:
                if name in known:
                    counts = Counter(v for v in values.array if v is not None)
                    new = {v: n for v, n in counts.items() if v not in known[name]}
                    self.unseen.setdefault(name, Counter()).update(new)
            columns[name] = values.array
        frame = pd.DataFrame(columns, copy=False)
        return frame if self.model.readings is not None else frame.to_numpy()

    def notes(self) -> list[str]:
        """What was odd about the cells, after the last block."""
        kinds = dict(zip(self.names, self.readings, strict=True))
        told = dict(list(self.odd.items())[:_MOST_NOTES])
        places = places_of(told.values(), self.table)
        notes = [
            f"{name!r} holds {counted(cells.n, 'cell')} that can be read as no "
            f"{kinds[name].kind}, missing therefore: {cells.shown(places)}"
            for name, cells in told.items()
        ]
        if len(self.odd) > _MOST_NOTES:
            notes.append(f"the same in {listed(list(self.odd)[_MOST_NOTES:])}")
        said = []
        for name, counts in self.unseen.items():
            found = [f"{v[:40]!r} ({counted(n, 'row')})" for v, n in counts.items()]
            if found:
                said.append(f"{joined_some(found, ', ', 3)} of {name!r}")
        if said:
            notes.append(
                f"not seen in training: {joined_some(said, '; ', _MOST_NOTES)}"
            )
        return notes


def _check_names(model: Model, table: Table, names: list[str]) -> None:
    missing = [name for name in names if name not in table.names]
    if not missing:
        return
    close = alike(missing[0], table.names)
    hint = f"; did {close[0]!r} mean {missing[0]!r}?" if close else ""
    raise Failure(
        f"{table.name!r} lacks {counted(len(missing), 'column')} of the model: "
        f"{listed(missing)}{hint or '; ' + known(table)}"
    )


def predictions(model: Model, X: Any) -> dict[str, Any]:
    """What a model says of rows, by the name of each column of the output."""
    estimator = model.estimator
    predicted = np.asarray(estimator.predict(X))
    columns: dict[str, Any] = {}
    if model.is_classifier:
        if predicted.ndim == 1:
            columns["prediction"] = predicted
        else:  # several labels
            for j, label in enumerate(estimator.classes_.tolist()):
                columns[f"prediction_{label}"] = predicted[:, j]
        probabilities = estimator.predict_proba(X)
        for j, label in enumerate(estimator.classes_.tolist()):
            columns[f"probability_{label}"] = probabilities[:, j]
        return columns
    levels = estimator.quantiles_
    if levels is None:
        targets = predicted.reshape(len(predicted), -1).T
        many = len(targets) > 1
        return {
            f"prediction_{j}" if many else "prediction": column
            for j, column in enumerate(targets)
        }
    quantiles = predicted.reshape(len(predicted), -1, len(levels))
    many = quantiles.shape[1] > 1
    for target in range(quantiles.shape[1]):
        for j, level in enumerate(levels.tolist()):
            name = f"quantile_{level:g}" + f"_{target}" * many
            columns[name] = quantiles[:, target, j]
    return columns
