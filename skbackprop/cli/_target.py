"""The column to predict: classes or quantities, and the rows that have one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ._failure import Failure
from ._notation import MISSING, number_of
from ._profile import MOST_DIFFERENT, SHARE, Profile
from ._reading import DATE, NUMBER, Reading, as_text
from ._tables import Table
from ._words import Oddities, counted, listed, places_of

MIN_ROWS = 10
MAX_CLASSES_AUTO = 20  # an integer target with more values is a quantity
CLASSIFICATION, REGRESSION = "classification", "regression"


@dataclass
class Target:
    """What the cells of the target are, by all of them."""

    name: str
    task: str
    #: Why it is that task; empty where it was asked for.
    why: str
    #: Of quantities.
    reading: Reading
    #: Of classification: cells and the numbers of their classes, and the classes.
    codes: dict[str, int] = field(default_factory=dict)
    classes: Any = None


def _is_whole(value: float | None) -> bool:
    return value is not None and abs(value) < 2**53 and value % 1 == 0


def choose(profile: Profile, task: str, mark: str) -> Target:
    """The task and the classes, by the profile of all cells."""
    name, values = profile.name, profile.values
    mark = profile.better_mark() or mark
    reading = Reading(NUMBER, mark)
    n_numbers = profile.n_numbers(mark)
    is_number = n_numbers > 0 and n_numbers >= SHARE * profile.n_cells
    is_coded = bool(profile.code and profile.all_digits)
    numbers = {cell: number_of(cell, mark) for cell in values or ()}
    distinct = {x for x in numbers.values() if x is not None}
    if task != "auto":
        chosen, why = task, ""
    elif not is_number or is_coded:
        chosen, why = CLASSIFICATION, "is not a number"
        if profile.typed == DATE or profile.better_order() is not None:
            raise Failure(f"{name!r} holds dates; choose another --target")
    elif (
        values is not None
        and len(distinct) <= MAX_CLASSES_AUTO
        and len(distinct) <= profile.n_cells / 2  # else no class would have two rows
    ):
        whole = all(map(_is_whole, distinct))
        chosen = CLASSIFICATION if whole else REGRESSION
        why = f"is {len(distinct)} whole numbers" if whole else "is a number"
    else:
        chosen, why = REGRESSION, "is a number"
    if chosen == REGRESSION:
        if not is_number:
            cell = next((c for c in values or () if numbers[c] is None), "")
            cell = cell or profile.example()
            raise Failure(
                f"regression needs a numeric target; {name!r} holds {cell[:40]!r}"
            )
        return Target(name, chosen, why, reading)
    if values is None:
        raise _too_many(profile, f"over {MOST_DIFFERENT}")
    present = {cell: n for cell, n in values.items() if cell}
    whole = not is_coded and all(_is_whole(numbers[cell]) for cell in present)
    if whole:
        label_of: dict[str, Any] = {cell: int(numbers[cell]) for cell in present}
    else:
        label_of = {cell: cell for cell in present}
    classes = sorted(set(label_of.values()))
    if len(classes) < 2 and present:
        raise Failure(f"{name!r} holds one class only: {str(classes[0])[:40]!r}")
    if len(classes) > sum(present.values()) / 2:
        raise _too_many(profile, str(len(classes)))
    place = {label: code for code, label in enumerate(classes)}
    codes = {cell: place[label] for cell, label in label_of.items()}
    kind: Any = np.int64 if whole else object
    return Target(name, chosen, why, reading, codes, np.array(classes, dtype=kind))


def _too_many(profile: Profile, number: str) -> Failure:
    return Failure(
        f"{profile.name!r} has {number} different values in {profile.n_cells} rows, "
        f"such as {profile.example()!r}, too many to be classes; choose another "
        "--target or --task"
    )


def read_target(table: Table, target: Target, notes: list[str]) -> tuple[Any, Any]:
    """The target of every row, and which rows have one.

    Of classification, the numbers of their classes.
    """
    pieces, missing, odd = [], Oddities(), Oddities()
    place = table.names.index(target.name)
    for block in table.blocks([place]):
        (cells,) = block.columns
        if target.task == REGRESSION:
            values = target.reading.read(cells)
            pieces.append(values.array)
            told = dict(values.odd)
            for row in np.flatnonzero(np.isnan(values.array)).tolist():
                cell = cells[row] if isinstance(cells, list) else told.get(row, "")
                (odd if cell else missing).add(block.first_row + row, cell)
        else:
            texts = as_text(cells) if isinstance(cells, np.ndarray) else cells
            codes = np.array([target.codes.get(cell, -1) for cell in texts], np.int64)
            pieces.append(codes)
            for row in np.flatnonzero(codes < 0).tolist():
                missing.add(block.first_row + row, "")
    y = np.concatenate(pieces) if pieces else np.zeros(0)
    kept = y >= 0 if target.task == CLASSIFICATION else ~np.isnan(y)
    places = places_of([missing, odd], table)
    if missing.n:
        notes.append(
            f"dropped {counted(missing.n, 'row')} without a value in "
            f"{target.name!r} (the first: {places.get(missing.first[0][0])})"
        )
    if odd.n:
        notes.append(
            f"{target.name!r} is read as numbers; dropped {counted(odd.n, 'row')} "
            f"without one: {odd.shown(places)}"
        )
    if kept.sum() < MIN_ROWS:
        have = f"{counted(int(kept.sum()), 'row')} with a target"
        raise Failure(f"too few rows: {have}, need {MIN_ROWS}")
    if target.task == REGRESSION and np.ptp(y[kept]) == 0:
        raise Failure(f"{target.name!r} has the same value in every row")
    return y, kept


def class_notes(target: Target) -> list[str]:
    """What is odd about the names of classes, which are all kept as they are."""
    names = [str(name) for name in target.classes]
    notes = [
        f"{name!r} is a class of its own; only an empty cell is a missing target"
        for name in names
        if name in MISSING
    ]
    folded = [name.casefold() for name in names]
    twins = [name for name in names if folded.count(name.casefold()) > 1]
    if twins:
        notes.append(f"classes that differ in capitals only: {listed(twins)}")
    return notes
