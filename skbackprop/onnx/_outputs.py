"""What a fitted estimator answers: its outputs, their types, and their nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from .._layers import Array
from .._model import FittedMLP
from ..tabular import TabularEncoder
from ..tabular._base import BaseTabularMLP
from ._activations import activate, logistic
from ._columns import Encoded, Source, column_names, encode
from ._graph import Graph
from ._networks import ensemble, network


class Output(NamedTuple):
    """An output of a model. Its shape lacks the rows."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]


def outputs_of(estimator: Any) -> list[Output]:
    """The outputs of a fitted estimator: as ``predict`` and ``predict_proba``."""
    real = np.dtype(np.float32)
    if isinstance(estimator, TabularEncoder):
        width = len(estimator.get_feature_names_out())
        return [Output("variable", real, (width,))]
    if isinstance(estimator, FittedMLP):
        real = estimator._model_dtype()
    if hasattr(estimator, "classes_"):
        classes = labels_of(estimator)
        shape = (len(classes),)
        of_label = shape if estimator._y_type == "multilabel-indicator" else ()
        return [
            Output("label", classes.dtype, of_label),
            Output("probabilities", real, shape),
        ]
    if isinstance(estimator, FittedMLP):
        n_outputs = estimator.n_outputs_
    else:  # numbers in the unit of y, of any size
        real, n_outputs = np.dtype(np.float64), estimator._bag[0].n_outputs
    n_levels = _n_levels(estimator)
    shape = (n_outputs,)
    if n_levels not in (1, n_outputs):
        shape = (n_outputs // n_levels, n_levels)
    return [Output("variable", real, shape)]


def labels_of(estimator: Any) -> Array:
    """``classes_`` in the types that a label may have: integers have 64 bits."""
    classes = np.asarray(estimator.classes_)
    if classes.dtype.kind in "iu" and classes.max() < 2**63:
        return classes.astype(np.int64)
    return classes.astype(object) if classes.dtype.kind in "US" else classes


def _n_levels(estimator: Any) -> int:
    levels = getattr(estimator, "quantiles_", None)
    return 1 if levels is None else len(levels)


def compute(
    graph: Graph,
    estimator: Any,
    sources: Sequence[Source],
    missing: str,
    labels: Array | None,
    *,
    raw: bool = False,
) -> list[str]:
    """The nodes of a fitted estimator: a tensor for each of ``outputs_of``.

    ``labels`` are what is answered for ``classes_``. With ``raw`` it is not the
    probabilities but ``decision_function``, of two classes a column for each.
    """
    if isinstance(estimator, FittedMLP):
        return _of_network(graph, estimator, sources, labels, raw)
    encoder = estimator
    if isinstance(estimator, BaseTabularMLP):
        encoder = estimator.encoder_
    columns = encode(graph, encoder, sources, column_names(estimator), missing)
    if isinstance(estimator, TabularEncoder):
        return [_matrix(graph, encoder, columns)]
    if not (columns.numbers or columns.plain or columns.codes):
        columns = replace(columns, plain=_zeros(graph, sources[0].tensor))
    z = ensemble(graph, *estimator._bag, columns)
    if columns.fault is not None:
        z = graph("Add", z, graph.cast(columns.fault, np.float32))
    if labels is None:
        return [_averaged_numbers(graph, estimator, z)]
    return _averaged_classes(graph, estimator, z, labels, raw)


def _zeros(graph: Graph, tensor: str) -> str:
    """A column of zeros, as long as a tensor: what networks read that learn nothing."""
    n_rows = graph("Gather", graph("Shape", tensor), np.array([0]), axis=0)
    shape = graph("Concat", n_rows, np.array([1]), axis=0)
    return graph("Expand", np.zeros((1, 1), np.float32), shape)


# A single network ------------------------------------------------------------


def _of_network(
    graph: Graph,
    estimator: Any,
    sources: Sequence[Source],
    labels: Array | None,
    raw: bool,
) -> list[str]:
    topology = estimator._topology()
    theta = estimator._current(topology).theta
    real = theta.dtype.type
    x = graph.joined([graph.cast(each.tensor, real) for each in sources], axis=1)
    # x - x is NaN where x is not finite, which predict refuses: an activation may hide
    # it, and an answer would look as any other.
    fault = graph("ReduceSum", graph("Sub", x, x), np.array([1]), keepdims=1)
    z = graph("Add", network(graph, topology, theta, x), fault)
    a = activate(graph, topology.activations[-1], z, real)
    if labels is None:
        return [_sorted(graph, a, estimator)]
    if estimator._y_type == "multiclass":
        return [_most_probable(graph, a, labels), z if raw else a]
    above = graph.cast(graph("Greater", a, real(0.5)), np.int64)
    if estimator._y_type != "binary":
        return [above, z if raw else a]
    columns = graph("Neg", z), z
    if not raw:
        columns = tuple(logistic(graph, each, real) for each in columns)
    return _of_two(graph, above, columns, labels, real)


# An ensemble -----------------------------------------------------------------


def _averaged_classes(
    graph: Graph, estimator: Any, z: str, labels: Array, raw: bool
) -> list[str]:
    """Labels and the mean of the networks' probabilities."""
    real: type[np.floating] = np.float32
    if raw:  # so that the logarithm of one that is small is finite
        z, real = graph.cast(z, np.float64), np.float64
    z = graph("Div", z, real(estimator.__dict__.get("temperature_", 1.0)))
    if estimator._y_type == "multiclass":
        p = _mean(graph, estimator, graph("Softmax", z, axis=-1), real)
        label = _most_probable(graph, p, labels)
        return [label, graph("Log", p) if raw else p]
    first, second = (
        _mean(graph, estimator, logistic(graph, each, real), real)
        for each in (graph("Neg", z), z)
    )
    above = graph.cast(graph("Greater", second, first), np.int64)
    if raw:
        second = graph("Sub", graph("Log", second), graph("Log", first))
        first = graph("Neg", second)
    if estimator._y_type != "binary":
        return [above, second]
    return _of_two(graph, above, (first, second), labels, real)


def _averaged_numbers(graph: Graph, estimator: Any, z: str) -> str:
    """The mean of the networks' outputs, in the unit of y and in its range."""
    n_levels = _n_levels(estimator)
    mean, scale, low, high = (
        np.repeat(each, n_levels).astype(np.float64)
        for each in (
            estimator.target_mean_,
            estimator.target_scale_,
            *estimator._clamp,
        )
    )
    y = _mean(graph, estimator, graph.cast(z, np.float64), np.float64)
    y = graph("Add", graph("Mul", y, scale), mean)
    y = graph("Min", graph("Max", y, low), high)
    return _sorted(graph, y, estimator)


def _mean(graph: Graph, estimator: Any, z: str, real: type[np.floating]) -> str:
    """The mean over the networks, which are the first axis."""
    total = graph("ReduceSum", z, np.array([0]), keepdims=0)
    return graph("Div", total, real(len(estimator._bag[1])))


# What both have --------------------------------------------------------------


def _most_probable(graph: Graph, p: str, labels: Array) -> str:
    return graph("Gather", labels, graph("ArgMax", p, axis=1, keepdims=0), axis=0)


def _of_two(
    graph: Graph,
    above: str,
    columns: tuple[str, ...],
    labels: Array,
    real: type[np.floating],
) -> list[str]:
    """Label and probabilities of two classes, or of the only one there was."""
    place = graph("Squeeze", above, np.array([1]))
    if len(labels) == 1:
        # 0 and 1 of every row; a row of NaN is one of NaN.
        place = graph("Mul", place, np.int64(0))
        p = graph("Add", graph("Mul", columns[1], real(0)), real(1))
    else:
        p = graph("Concat", *columns, axis=1)
    return [graph("Gather", labels, place, axis=0), p]


def _sorted(graph: Graph, y: str, estimator: Any) -> str:
    """Quantiles in increasing order, those of a target along the last axis.  (L8)"""
    n_levels = _n_levels(estimator)
    if n_levels == 1:
        return y
    (output,) = outputs_of(estimator)
    if len(output.shape) == 2:
        y = graph("Reshape", y, np.array([0, *output.shape]))
    k = np.array([n_levels])
    return graph("TopK", y, k, outputs=2, axis=-1, largest=0, sorted=1)


def _matrix(graph: Graph, encoder: TabularEncoder, columns: Encoded) -> str:
    """The matrix of a ``TabularEncoder``: numbers, plain columns, codes."""
    numbers, parts = columns.numbers, []
    if numbers is not None:
        if encoder.missing == "indicator":
            numbers = graph("Where", columns.absent, np.float32(0), numbers)
        parts.append(numbers)
    if columns.plain is not None:
        parts.append(columns.plain)
    if columns.codes is not None:
        parts.append(graph.cast(columns.codes, np.float32))
    if not parts:
        raise ValueError(
            "This TabularEncoder makes no column: every one that it has seen says "
            "nothing. There is nothing to convert."
        )
    matrix = graph.joined(parts, axis=1)
    if columns.fault is None:
        return matrix
    return graph("Add", matrix, graph.cast(columns.fault, np.float32))
