"""From a file to what trains: which columns, how each is read, and their values.

The file is read three times: to see what its cells look like, for the target, and for
the columns, whose values are in memory or, where they are many, in files.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ._failure import Failure
from ._notation import COMMA, POINT, SHORT_YEARS
from ._profile import SHARE, Profile
from ._reading import CATEGORY, DATE, NUMBER, Reading
from ._store import Store
from ._tables import Table, find, known
from ._target import REGRESSION, Target, choose, class_notes, read_target
from ._words import Oddities, counted, joined_some, listed, places_of

MOST_NOTES = 6  # on columns of one kind; the others are counted


@dataclass
class TrainingTable:
    """The columns that train, all rows that have a target, and what is said of them."""

    name: str
    target: Target
    #: By name, in the order of the file.
    readings: dict[str, Reading]
    #: Columns that are not used, with the reason.
    left_out: dict[str, str]
    identifier: str | None
    #: Of the columns, by name; and the target, codes of classes or numbers.
    columns: dict[str, Any]
    y: Any
    notes: list[str] = field(default_factory=list)
    #: How many different categories there are.
    n_categories: dict[str, int] = field(default_factory=dict)

    def as_plain(self) -> dict[str, Any]:
        """For the model's file: how new rows are read."""
        return {
            "target": self.target.name,
            "task": self.target.task,
            "target_reading": self.target.reading.as_plain(),
            "identifier": self.identifier,
            "columns": {name: each.as_plain() for name, each in self.readings.items()},
            "left_out": dict(self.left_out),
        }


@dataclass
class _Roles:
    target: str
    identifier: str | None
    #: Columns that are looked at.
    features: list[str]
    #: Kinds that the user says.
    given: dict[str, str]


def read_training_table(
    table: Table, options: argparse.Namespace, store: Store
) -> TrainingTable:
    """Read the table that the options speak of. Raises Failure."""
    notes = table.notes
    roles = _roles(table, options)
    profiles = _profiles(table, roles)
    if not profiles[roles.target].n_rows:
        raise Failure(f"{table.name!r} has a header but no rows")
    mark, order, sure = _file_marks(table, list(profiles.values()), options)
    target = choose(profiles[roles.target], options.task, mark)
    if target.task == REGRESSION:
        notes += _guesses(profiles[roles.target], target.reading, sure, options)
    readings, left_out = {}, {}
    nameless = {
        name
        for name, written in zip(table.names, table.header, strict=True)
        if not written
    }
    for name in roles.features:
        profile = profiles[name]
        reading = _reading_of(profile, roles.given.get(name), mark, order)
        why = "" if name in roles.given else profile.useless(reading)
        if why:
            left_out[name] = why
        else:
            readings[name] = reading
            notes += _guesses(profile, reading, sure, options)
            if name in nameless:
                notes.append(f"a column without a name goes by its place: {name!r}")
    if not readings:
        reasons = [f"{name!r}: {why}" for name, why in left_out.items()]
        said = joined_some(reasons, "; ", MOST_NOTES) or known(table)
        raise Failure(f"no columns are left to learn from ({said})")
    store.plan(profiles[roles.target].n_rows * 8 * len(readings))
    y, kept = read_target(table, target, notes)
    columns, n_categories = _filled(table, readings, kept, store, notes)
    if not kept.all():
        rows = np.flatnonzero(kept)
        y = y[rows]
        columns = {name: store.taken(each, rows) for name, each in columns.items()}
    if target.classes is not None:
        notes += class_notes(target)
    return TrainingTable(
        table.name,
        target,
        readings,
        left_out,
        roles.identifier,
        columns,
        y,
        notes,
        n_categories,
    )


def _roles(table: Table, options: argparse.Namespace) -> _Roles:
    if options.target is None:
        raise Failure(f"--target is missing; {known(table)}")
    target = find(table, options.target, "--target")
    identifier = None
    if options.id is not None:
        identifier = find(table, options.id, "--id")
    given: dict[str, str] = {}
    for kind, names in (
        (CATEGORY, options.category),
        (NUMBER, options.number),
        (DATE, options.date),
    ):
        for each in names:
            name = find(table, each, f"--{kind}")
            if given.setdefault(name, kind) != kind:
                raise Failure(f"{name!r} is in --{given[name]} and in --{kind}")
    ignored = {find(table, each, "--ignore") for each in options.ignore}
    for option, names in (("--id", {identifier}), ("--ignore", ignored)):
        if target in names:
            raise Failure(f"{option} {target!r} is the target")
        both = names & set(given)
        if both:
            raise Failure(f"{option} {min(both)!r} is in --{given[min(both)]} too")
    if target in given:
        raise Failure(f"{target!r} is the target: --task says how it is read")
    unused = {target, identifier, *ignored}
    features = [name for name in table.names if name not in unused]
    return _Roles(target, identifier, features, given)


def _profiles(table: Table, roles: _Roles) -> dict[str, Profile]:
    names = [roles.target, *roles.features]
    profiles = [Profile(name, counts_all=name == roles.target) for name in names]
    for block in table.blocks([table.names.index(name) for name in names]):
        for profile, cells in zip(profiles, block.columns, strict=True):
            profile.update(cells)
    return dict(zip(names, profiles, strict=True))


def _file_marks(
    table: Table, profiles: Sequence[Profile], options: argparse.Namespace
) -> tuple[str, str, bool]:
    """Decimal mark and order of dates where a column's own cells do not say them.

    And whether other columns have decimal points and none a comma: where "1.234" and
    "1,234" are what they are anywhere.
    """
    marks = {
        profile.better_mark()
        for profile in profiles
        if not profile.typed
        and profile.n_cells
        and max(map(profile.n_numbers, (POINT, COMMA))) >= SHARE * profile.n_cells
    } - {None}
    mark = options.decimal or POINT
    if options.decimal is None:
        semicolons = table.delimiter == ";" and marks != {POINT}
        mark = COMMA if marks == {COMMA} or semicolons else POINT
    if options.date_order is not None:
        return mark, options.date_order, marks == {POINT}
    orders = {profile.better_order() for profile in profiles} & {"dmy", "mdy"}
    if len(orders) == 1:
        return mark, orders.pop(), marks == {POINT}
    dotted = any("." in profile.ambiguous_date for profile in profiles)
    order = "dmy" if dotted or mark == COMMA else "mdy"
    return mark, order, marks == {POINT}


def _reading_of(profile: Profile, given: str | None, mark: str, order: str) -> Reading:
    if given is None:
        return profile.reading(mark, order)
    if given == NUMBER:
        return Reading(NUMBER, profile.better_mark() or mark)
    if given == DATE:
        own = order if profile.n_dates else "ymd"  # as 20240131, a number too
        return Reading(DATE, profile.better_order() or own)
    return Reading(CATEGORY)


def _guesses(
    profile: Profile, reading: Reading, sure: bool, options: argparse.Namespace
) -> list[str]:
    """What is read in one way of two, without a cell that decides."""
    name, cell = profile.name, profile.doubtful
    if reading.kind == NUMBER and cell and profile.better_mark() is None:
        if options.decimal is None and not (sure and reading.mark == POINT):
            number = reading.read([cell]).array[0]
            return [f"{name!r}: {cell!r} is read as {number:.15g} (--decimal decides)"]
    cell = profile.ambiguous_date
    if reading.kind == DATE and cell and profile.better_order() is None:
        if options.date_order is None:
            day = str(reading.read([cell]).array[0])[:10]
            return [f"{name!r}: {cell!r} is read as {day} (--date-order decides)"]
    cell = profile.short_date
    if reading.kind == DATE and cell:
        years = f"{SHORT_YEARS} to {SHORT_YEARS + 99}"
        return [f"{name!r}: years of two digits, as in {cell!r}, are {years}"]
    return []


def _filled(
    table: Table,
    readings: Mapping[str, Reading],
    kept: Any,
    store: Store,
    notes: list[str],
) -> tuple[dict[str, Any], dict[str, int]]:
    """The values of all rows, and how many categories there are of those columns.

    Nothing is said of the cells of rows that are not kept.
    """
    n_rows = len(kept)
    places = [table.names.index(name) for name in readings]
    kinds = {NUMBER: "float64", DATE: "datetime64[us]", CATEGORY: "int32"}
    columns = {
        name: store.new(n_rows, kinds[reading.kind])
        for name, reading in readings.items()
    }
    codes: dict[str, dict[Any, int]] = {name: {} for name in readings}
    words: dict[str, Counter[str]] = {name: Counter() for name in readings}
    odd = {name: Oddities() for name in readings}
    for block in table.blocks(places):
        rows = slice(block.first_row, block.first_row + block.n_rows)
        for (name, reading), cells in zip(readings.items(), block.columns, strict=True):
            values = reading.read(cells)
            words[name].update(values.words)
            for row, cell in values.odd:
                if kept[block.first_row + row]:
                    odd[name].add(block.first_row + row, cell)
            if reading.kind == CATEGORY:
                code_of = codes[name]
                columns[name][rows] = [
                    -1 if cell is None else code_of.setdefault(cell, len(code_of))
                    for cell in values.array.tolist()
                ]
            else:
                columns[name][rows] = values.array
    notes += _word_notes(words) + _odd_notes(table, readings, odd, n_rows)
    for name, reading in readings.items():
        if reading.kind == CATEGORY:
            columns[name] = store.categories(columns[name], list(codes[name]))
    return columns, {name: len(each) for name, each in codes.items() if each}


def _word_notes(words: Mapping[str, Counter[str]]) -> list[str]:
    said = []
    for name, counts in words.items():
        found = [f"{word!r} ({counted(n, 'cell')})" for word, n in counts.items()]
        if found:
            said.append(f"{joined_some(found, ', ', 3)} of {name!r}")
    return [f"taken for missing: {joined_some(said, '; ', MOST_NOTES)}"] * bool(said)


def _odd_notes(
    table: Table,
    readings: Mapping[str, Reading],
    odd: Mapping[str, Oddities],
    n_rows: int,
) -> list[str]:
    bad = {name: cells for name, cells in odd.items() if cells.n}
    told = dict(list(bad.items())[:MOST_NOTES])
    places = places_of(told.values(), table)
    notes = [
        f"{name!r} is read as {readings[name].kind}s, {cells.n} of its {n_rows} cells "
        f"as missing: {cells.shown(places)} (--category {name!r} reads it otherwise)"
        for name, cells in told.items()
    ]
    if len(bad) > len(told):
        notes.append(f"the same in {listed(list(bad)[MOST_NOTES:])}")
    return notes
