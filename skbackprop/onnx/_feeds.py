"""What a model reads: its description, and its inputs made of a table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from .._layers import Array
from ..tabular._categories import canonical_values, texts_of
from ..tabular._columns import Column, Columns, read_columns

if TYPE_CHECKING:
    import onnx

#: The name, among a model's properties, of what its inputs are.
INPUTS = "skbackprop.inputs"


@dataclass(frozen=True)
class Input:
    """An input of a model."""

    name: str
    #: The column of the table that it is; None for all columns.
    column: str | None
    #: A 'number', 'date' or 'category' of the column, or the 'numbers' of all.
    reads: str
    #: float32, float64, int64, bool or str.
    type: str
    width: int = 1
    #: What stands for a missing value; None where nothing does.
    missing: str | None = None
    #: Whether anything depends on it.
    used: bool = True

    def as_plain(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def description(self) -> str:
        """In words, for whoever looks at the model."""
        if self.column is None:
            return "All columns: finite numbers."
        words = f"Column {self.column!r}: a {self.reads}"
        if self.reads == "date":
            words += " in microseconds since the beginning of 1970"
        words += f", {self.missing!r} if missing." if self.missing is not None else "."
        return words if self.used else f"{words} Nothing depends on it."


def make_inputs(model: onnx.ModelProto, X: Any) -> dict[str, Array]:
    """The inputs of a model of ``to_onnx``, of the rows of a table.

    For trying what is shipped: a runtime takes arrays of exactly the types that the
    model has.

    Parameters
    ----------
    model : onnx.ModelProto
        As ``to_onnx`` has made it.
    X : data frame or array-like of shape (n_samples, n_features)
        What ``predict`` would be given, sparse too. Columns are found by their names,
        if they and those of ``fit`` are strings, and otherwise by their place.

    Returns
    -------
    inputs : dict of str to ndarray
        What ``onnxruntime.InferenceSession.run`` takes.

    Raises
    ------
    ValueError
        If the model is none of ``to_onnx``, X lacks a column, or a column has a value
        that the model's input cannot hold.

    Examples
    --------
    >>> import pandas as pd
    >>> from skbackprop import TabularEncoder
    >>> from skbackprop.onnx import make_inputs, to_onnx
    >>> X = pd.DataFrame({"age": [20, None, 40], "city": ["Oslo", None, "Rome"]})
    >>> make_inputs(to_onnx(TabularEncoder().fit(X)), X[:2])["city"]
    array([['Oslo'],
           ['']], dtype=object)
    """
    inputs = _inputs_of(model)
    if inputs[0].column is None:
        X = X.toarray() if hasattr(X, "toarray") else np.asarray(X)
        return {"X": X.astype(inputs[0].type)}
    columns = read_columns(X, model)
    return {
        each.name: _array(each, columns[place]).reshape(-1, 1)
        for each, place in zip(inputs, _places(inputs, columns), strict=True)
    }


def _inputs_of(model: onnx.ModelProto) -> list[Input]:
    for each in getattr(model, "metadata_props", ()):
        if each.key == INPUTS:
            return [Input(**plain) for plain in json.loads(each.value)]
    raise ValueError(
        "make_inputs takes a model that to_onnx has made. Got "
        f"{type(model).__name__} that says nothing of its inputs."
    )


def _places(inputs: Sequence[Input], columns: Columns) -> list[int]:
    """Where in the table the column of every input is."""
    names = columns.names
    if names is not None and all(isinstance(name, str) for name in names):
        lacking = [each.column for each in inputs if each.column not in names]
        if not lacking:
            return [names.index(each.column) for each in inputs]
        if [each.column for each in inputs] != [f"x{j}" for j in range(len(inputs))]:
            raise ValueError(f"X has no column {lacking[0]!r}, which the model reads.")
    n_columns = columns.source.shape[1]
    if n_columns != len(inputs):
        raise ValueError(f"X has {n_columns} columns, and the model {len(inputs)}.")
    return [*range(n_columns)]


def _array(each: Input, column: Column) -> Array:
    """A column in the type of its input."""
    if each.reads == "number":
        return column.numbers(read_text=True).astype(each.type)
    if each.reads == "date":
        return column.dates().astype(np.int64)
    codes, values = column.factorized()
    values, _ = canonical_values(values)
    if each.type == "str":
        texts = [v if isinstance(v, str) else next(texts_of(v), str(v)) for v in values]
        return np.array([*texts, each.missing or ""], dtype=object)[codes]
    for place in np.unique(codes).tolist():
        value = values[place] if place >= 0 else None
        if not _holds(each.type, value):
            row = int(np.flatnonzero(codes == place)[0])
            what = "a missing value" if value is None else f"{value!r:.60}"
            raise ValueError(
                f"{column.label} has {what} in row {row}, which the model's input of "
                f"{each.type} cannot hold."
            )
    empty = np.nan if each.type == "float64" else 0
    known = [v if isinstance(v, Real) else empty for v in values]
    return np.array([*known, empty], dtype=object)[codes].astype(each.type)


def _holds(dtype: str, value: Any) -> bool:
    """Whether an input has a place for a category, or for None, a missing one."""
    if dtype == "float64":
        return value is None or isinstance(value, Real)
    if dtype == "bool":
        return isinstance(value, Real) and value in (0, 1)
    return isinstance(value, int) and -(2**63) <= value < 2**63
