"""A frame's columns in C: from raw numbers and codes to what networks read."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .._layers import Array
from ..tabular._categories import plain_width
from ..tabular._days import PARTS
from ..tabular._encoder import TabularEncoder
from ..tabular._names import input_names
from ._formulas import Words
from ._literals import Part, comment, flash, narrowest, number, string

#: Said of the parts of a date.
_DATES = {
    "elapsed": "days since 1970 began, with their fraction",
    "year": "the year",
    "month": "the month from 1",
    "weekday": "the day of the week from 0, Monday",
    "hour": "the hour of the day, with its fraction",
}


def number_columns(encoder: TabularEncoder) -> list[str]:
    """What each of ``numbers`` is."""
    names, columns = _names(encoder), []
    for j, part, _, scale in encoder._numbers():
        column = names[j]
        if part is not None:
            column += f", {_DATES[PARTS[part]]}"
        columns.append(column if scale else f"{column}, not used")
    return columns


def code_columns(encoder: TabularEncoder) -> list[str]:
    """What each of ``codes`` is."""
    names, columns = _names(encoder), []
    for j, known, has_missing, encoding in encoder._category_columns():
        remark = f", 1 to {len(known)}" if known else ", none known"
        if has_missing:
            remark += f", missing {len(known) + 1}"
        if encoding == "dropped":
            remark = ", not used"
        columns.append(names[j] + remark)
    return columns


def _names(encoder: TabularEncoder) -> list[str]:
    names = getattr(encoder, "feature_names_in_", None)
    return [string(name) for name in input_names(None, names, encoder.n_features_in_)]


def texts(encoder: TabularEncoder, words: Words) -> Iterator[str]:
    """For every column of codes an array of what each code stands for."""
    names = _names(encoder)
    for c, (j, known, has_missing, _) in enumerate(encoder._category_columns()):
        lines = [f'    "",  /* 0: unknown{"" if has_missing else " or missing"} */']
        lines += [
            f"    {string(str(value))},  /* {code} */"
            for code, value in enumerate(known, 1)
        ]
        lines += [f'    "",  /* {len(known) + 1}: missing */'] * has_missing
        body = "\n".join(lines)
        head = words(f"static const char *const @codes_{c}[] = {{")
        yield f"{head}  /* of {names[j]} */\n{body}\n}};"


def edges_of(edges: list[Array]) -> str:
    """The array of all edges of bins."""
    parts = [Part(f"number {f}", each) for f, each in enumerate(edges)]
    return flash("@edges", narrowest(np.concatenate(edges)), parts)


def encode(encoder: TabularEncoder, edges: list[Array], words: Words) -> str:
    """The function that writes ``position``, ``plain`` and ``row`` of a row."""
    steps = [*_numbers(encoder, edges, words), *_codes(encoder, words)]
    given, made = [], []
    if len(encoder.numeric_features_):
        given.append("const real *numbers")
        if not encoder.n_numeric_:
            steps.insert(0, "(void)numbers;")
    if len(encoder.categorical_features_):
        given.append("const int *codes")
        if set(encoder.encodings_) == {"dropped"}:
            steps.insert(0, "(void)codes;")
    if edges:
        made.append("float *position")
    if encoder.n_plain_ or not (edges or encoder.cardinalities_):
        made.append("real *plain")
        if not encoder.n_plain_:  # where all columns say nothing
            steps.append("plain[0] = 0;")
    if encoder.cardinalities_:
        made.append("int *row")
    head = words(f"static inline void @encode({', '.join([*given, *made])})")
    return head + "\n{\n" + "".join(f"    {step}\n" for step in steps) + "}"


def _numbers(
    encoder: TabularEncoder, edges: list[Array], words: Words
) -> Iterator[str]:
    names, at, place = _names(encoder), 0, 0
    for i, (j, _, center, scale) in enumerate(encoder._numbers()):
        if scale == 0:
            continue
        shrink = 2.0**-4 if scale > 2.0**900 else 1.0  # as the encoder has it
        x = f"(double)numbers[{i}]" + f" * {number(shrink)}" * (shrink < 1)
        scaling = f"{x}, {number(center * shrink)}, {number(scale * shrink)}"
        if encoder.clip is None:
            scaled = f"@scaled({scaling})"
        else:
            scaled = f"@clipped({scaling}, {number(encoder.clip)})"
        n_bins = len(edges[place]) - 1
        yield comment(names[j])
        yield words(
            f"position[{place}] = @position({scaled}, @edges + {at}, {n_bins});"
        )
        at += n_bins + 1
        place += 1


def _codes(encoder: TabularEncoder, words: Words) -> Iterator[str]:
    names, place, row = _names(encoder), 0, 0
    for i, (j, known, has_missing, how) in enumerate(encoder._category_columns()):
        if how == "dropped":
            continue
        code = f"@known(codes[{i}], {1 + len(known) + has_missing})"
        yield comment(names[j])
        if how == "codes":
            yield words(f"row[{row}] = {code};")
            row += 1
            continue
        width = plain_width(known, has_missing, how)
        if how == "binary":
            step = f"plain[{place}] = (real)((codes[{i}] == 2) - (codes[{i}] == 1));"
        else:
            step = f"@one_hot({code}, {width}, plain + {place});"
        yield words(step)
        place += width
