"""The columns of a table as inputs of a graph, and ``TabularEncoder`` as nodes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from .._layers import Array
from ..tabular import TabularEncoder
from ..tabular._categories import plain_width, texts_of
from ..tabular._columns import MISSING_TEXTS
from ..tabular._names import input_names
from ..tabular._numbers import LARGEST_OUTPUT, LARGEST_RATIO, shrink_of
from ._dates import date_parts
from ._graph import Graph

#: The types of inputs, as NumPy calls them. Text is ``str``, whatever its length.
TEXT = "str"
#: Float64 tells whole numbers apart below it.
_EXACT = 2**53


class Source(NamedTuple):
    """A tensor that holds one or more neighbouring columns of the table."""

    tensor: str
    width: int
    #: float32, float64, int64, bool or str.
    dtype: str


@dataclass(frozen=True)
class Encoded:
    """What an encoder makes of columns; None where there are none of a kind."""

    #: Scaled numbers in float32, and which of them are missing.
    numbers: str | None
    absent: str | None
    #: Columns that are inputs as they are, in float32.
    plain: str | None
    #: Codes of categories, in int64.
    codes: str | None
    #: A column of 0, but of NaN in rows that have an infinite number; or None.
    fault: str | None


def column_names(estimator: Any) -> list[str]:
    """The names of the columns: those of ``fit``, or x0, x1, ..."""
    names = getattr(estimator, "feature_names_in_", None)
    return input_names(None, names, estimator.n_features_in_)


def column_types(encoder: TabularEncoder, names: Sequence[str]) -> list[str]:
    """The type of input that every column has: numbers are float64, dates int64."""
    types = ["float64"] * encoder.n_features_in_
    for j in encoder.date_features_.tolist():
        types[j] = "int64"
    for j, known, has_missing, _ in encoder._category_columns():
        types[j] = _category_type(known, has_missing, names[j])
    return types


def _category_type(known: list[Any], has_missing: bool, name: str) -> str:
    """The type that holds every category, and a missing value if there was one."""
    kinds = {type(value) for value in known}
    if not kinds or not kinds <= {bool, int, float}:
        for value in known:
            if not isinstance(value, str | Real | Decimal):
                raise TypeError(
                    f"Column {name!r} has the category {value!r:.60}, of type "
                    f"{type(value).__name__}, which no input of ONNX can hold. "
                    "Make strings of the column before fit."
                )
        return TEXT
    whole = [value for value in known if not isinstance(value, float)]
    if has_missing or float in kinds:  # float64 has a NaN
        return "float64" if all(abs(v) < _EXACT for v in whole) else TEXT
    if kinds == {bool}:
        return "bool"
    return "int64" if all(_is_int64(v) for v in whole) else TEXT


class Columns:
    """The columns of a table in a graph, whichever tensors hold them."""

    def __init__(self, graph: Graph, sources: Sequence[Source], names: list[str]):
        self.graph, self.sources, self.names = graph, sources, names
        #: Of every column, the number of its source and the place in it.
        self.places = [
            (number, place)
            for number, source in enumerate(sources)
            for place in range(source.width)
        ]
        if len(self.places) != len(names):
            raise ValueError(
                f"The model has {len(names)} columns, and its inputs hold "
                f"{len(self.places)}."
            )

    def some(self, wanted: Sequence[int]) -> Iterator[tuple[Source, str]]:
        """Columns in order, those of a source together: (rows, so many)."""
        by_source = groupby(wanted, key=lambda j: self.places[j][0])
        for number, columns in by_source:
            source, places = (
                self.sources[number],
                [self.places[j][1] for j in columns],
            )
            tensor = source.tensor
            if places != [*range(source.width)]:
                tensor = self.graph("Gather", tensor, np.array(places), axis=1)
            yield source, tensor

    def numbers(self, wanted: Sequence[int]) -> str:
        """Columns of numbers in float64."""
        for j in wanted:
            if self.sources[self.places[j][0]].dtype == TEXT:
                raise TypeError(
                    f"Column {self.names[j]!r} held numbers in fit, and its input is a "
                    "tensor of strings. Declare a tensor of numbers for it."
                )
        graph = self.graph
        parts = [graph.cast(tensor, np.float64) for _, tensor in self.some(wanted)]
        return graph.joined(parts, axis=1)

    def dates(self, wanted: Sequence[int]) -> list[str]:
        """The parts of columns of dates in float64, each of all of the columns."""
        for j in wanted:
            dtype = self.sources[self.places[j][0]].dtype
            if dtype != "int64":
                raise TypeError(
                    f"Column {self.names[j]!r} held dates in fit, and its input is a "
                    f"tensor of {dtype}. Declare one of int64, of microseconds since "
                    "1970."
                )
        tensors = [tensor for _, tensor in self.some(wanted)]
        return date_parts(self.graph, self.graph.joined(tensors, axis=1))

    def codes(self, j: int, known: list[Any], has_missing: bool, missing: str) -> str:
        """A column's codes, (rows, 1): 0 for unknown, then categories, then missing."""
        ((source, tensor),) = self.some([j])
        of_missing = (1 + len(known)) * has_missing
        if source.dtype == TEXT:
            keys = _text_keys(known, of_missing, missing, self.names[j])
            return self._looked_up(tensor, "keys_strings", keys)
        numbers = {v: code for code, v in enumerate(known, 1) if isinstance(v, Real)}
        if len(numbers) < len(known):
            raise TypeError(
                f"Column {self.names[j]!r} held strings in fit, and its input is a "
                f"tensor of {source.dtype}. Declare a tensor of strings for it."
            )
        if source.dtype in ("int64", "bool"):
            keys = {int(v): code for v, code in numbers.items() if _is_int64(v)}
            tensor = self.graph.cast(tensor, np.int64)
            return self._looked_up(tensor, "keys_int64s", keys)
        return self._among(self.graph.cast(tensor, np.float64), numbers, of_missing)

    def _looked_up(self, tensor: str, attribute: str, keys: dict[Any, int]) -> str:
        if not keys:  # LabelEncoder must have some
            keys = {"" if attribute == "keys_strings" else 0: 0}
        return self.graph(
            "LabelEncoder",
            tensor,
            values_int64s=[*keys.values()],
            default_int64=0,
            **{attribute: [*keys]},
        )

    def _among(self, x: str, numbers: dict[Any, int], of_missing: int) -> str:
        """Codes of numbers in float64, which LabelEncoder takes none of."""
        graph, absent = self.graph, self.graph("IsNaN", x)
        codes = graph("Where", absent, np.int64(of_missing), np.int64(0))
        keys: dict[float, int] = {}
        for value, code in numbers.items():
            keys.setdefault(float(value), code)
        same = graph.cast(graph("Equal", x, np.array([*keys])), np.int64)
        found = graph("Mul", same, np.array([*keys.values()], np.int64))
        found = graph("ReduceSum", found, np.array([1]), keepdims=1)
        return graph("Add", codes, found)


def _is_int64(value: Any) -> bool:
    return isinstance(value, int) and -(2**63) <= value < 2**63


def _text_keys(
    known: list[Any], of_missing: int, missing: str, name: str
) -> dict[str, int]:
    """Codes of the texts that stand for categories: as ``predict`` reads them."""
    keys: dict[str, int] = {}
    for code, value in enumerate(known, 1):
        for text in [value] if isinstance(value, str) else texts_of(value):
            if keys.setdefault(text, code) != code:
                raise ValueError(
                    f"Column {name!r} has two categories that are written {text!r}, of "
                    "which ONNX could not tell one from the other. Make strings of the "
                    "column before fit."
                )
    if of_missing:
        if missing in keys:
            raise ValueError(
                f"Column {name!r} has missing values and the category {missing!r}. "
                "Choose another text for missing ones: to_onnx(..., missing=...)."
            )
        keys[missing] = of_missing
        if not any(isinstance(value, str) for value in known):
            keys |= {text: of_missing for text in MISSING_TEXTS if text not in keys}
    return keys


def encode(
    graph: Graph,
    encoder: TabularEncoder,
    sources: Sequence[Source],
    names: list[str],
    missing: str,
) -> Encoded:
    """The nodes of ``TabularEncoder.transform``, its parts apart."""
    columns = Columns(graph, sources, names)
    kept = [(j, part) for j, part, _, scale in encoder._numbers() if scale > 0]
    indicators = encoder.indicator_features_.tolist()
    plain, numbers, absent, fault = [], None, None, None
    read, x = _read_numbers(columns, encoder, {*(j for j, _ in kept), *indicators})
    if read:
        gaps = graph("IsNaN", x)
        # x - x is NaN where x is infinite.
        zeros = graph("Where", gaps, np.float64(0), graph("Sub", x, x))
        fault = graph("ReduceSum", zeros, np.array([1]), keepdims=1)
        if kept:
            places = [read.index(each) for each in kept]
            absent = _taken(graph, gaps, places, len(read))
            numbers = _scaled(graph, _taken(graph, x, places, len(read)), encoder)
        if indicators:  # all parts of a date are missing together
            first = [j for j, _ in read]
            places = [first.index(j) for j in indicators]
            shown = _taken(graph, gaps, places, len(read))
            plain.append(graph.cast(shown, np.float32))
    codes = []
    for j, known, has_missing, encoding in encoder._category_columns():
        if encoding == "dropped":
            continue
        code = columns.codes(j, known, has_missing, missing)
        if encoding == "codes":
            codes.append(code)
        else:
            table = _plain_table(known, has_missing, encoding)
            places = graph("Squeeze", code, np.array([1]))
            plain.append(graph("Gather", table, places, axis=0))
    _check_complete(encoder, len(kept), len(codes))
    return Encoded(
        numbers,
        absent,
        graph.joined(plain, axis=1) if plain else None,
        graph.joined(codes, axis=1) if codes else None,
        fault,
    )


def _read_numbers(
    columns: Columns, encoder: TabularEncoder, told: set[int]
) -> tuple[list[tuple[int, int | None]], str]:
    """Numbers of some columns in one tensor; which column each is, and part of it."""
    dates = [j for j in encoder.date_features_.tolist() if j in told]
    others = sorted(told.difference(dates))
    read: list[tuple[int, int | None]] = [(j, None) for j in others]
    tensors = [columns.numbers(others)] if others else []
    if dates:
        parts = columns.dates(dates)
        tensors += parts
        read += [(j, part) for part in range(len(parts)) for j in dates]
    return read, columns.graph.joined(tensors, axis=1) if tensors else ""


def _taken(graph: Graph, tensor: str, places: list[int], width: int) -> str:
    """Those columns of a tensor of so many."""
    if places == [*range(width)]:
        return tensor
    return graph("Gather", tensor, np.array(places), axis=1)


def _plain_table(known: list[Any], has_missing: bool, encoding: str) -> Array:
    """What becomes of every code: one-hot columns, or a single one of -1, 0 and 1."""
    if encoding == "binary":
        return np.array([[0], [-1], [1]], np.float32)
    width = plain_width(known, has_missing, encoding)
    return np.eye(width + 1, width, k=-1, dtype=np.float32)


def _scaled(graph: Graph, x: str, encoder: TabularEncoder) -> str:
    """``tabular._numbers.scaled`` of all columns at once; NaN stays."""
    kept = encoder.scale_ > 0
    center, scale = encoder.center_[kept], encoder.scale_[kept]
    shrink = np.array([shrink_of(each) for each in scale])
    z = graph("Mul", x, shrink) if (shrink < 1).any() else x
    z = graph("Sub", z, center * shrink)
    z = graph("Div", z, scale * shrink)
    if encoder.clip is not None:
        clip, most = np.float64(encoder.clip), np.float64(LARGEST_RATIO)
        z = graph("Clip", graph("Div", z, clip), -most, most)
        root = graph("Sqrt", graph("Add", graph("Mul", z, z), np.float64(1)))
        z = graph("Mul", graph("Div", z, root), clip)
    largest = np.float64(LARGEST_OUTPUT)
    return graph.cast(graph("Clip", z, -largest, largest), np.float32)


def _check_complete(encoder: TabularEncoder, n_numbers: int, n_codes: int) -> None:
    """Refuse an encoder that knows of more kinds of columns than are written here."""
    n_plain = len(encoder.indicator_features_) + sum(
        plain_width(known, has_missing, encoding)
        for _, known, has_missing, encoding in encoder._category_columns()
    )
    known = {*encoder.numeric_features_, *encoder.categorical_features_}
    if (
        n_numbers != encoder.n_numeric_
        or n_plain != encoder.n_plain_
        or n_codes != len(encoder.cardinalities_)
        or len(known) != encoder.n_features_in_
    ):
        raise ValueError(
            "ONNX can be written of columns of numbers, dates and categories. This "
            "model has others."
        )
