"""From Z_J to what a user asks for, in C: probabilities, labels, numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._layers import OUTPUT_ACTIVATIONS, Array
from ..core.activations import Activation
from ..core.topology import Topology
from ._formulas import Words
from ._literals import comment, number, string
from ._networks import activation, inputs_of

#: Integers that a long holds on every machine, and that C can write.
_LONG = 2**31


def function(head: str, steps: Sequence[str]) -> str:
    body = "".join(f"    {step}\n" for step in steps)
    return f"static inline {head}\n{{\n{body}}}"


def n_columns(estimator: Any, topology: Topology) -> int:
    """Columns of ``predict_proba``, or of ``predict`` of a regressor."""
    if _kind(estimator) == "binary":
        return len(estimator.classes_)
    return topology.n_outputs


def is_constant(estimator: Any) -> bool:
    """Whether there is one class only, so that no network is asked."""
    return _kind(estimator) == "binary" and len(estimator.classes_) == 1


def _kind(estimator: Any) -> str:
    return getattr(estimator, "_y_type", "")


# What networks say -------------------------------------------------------------


def of_network(estimator: Any, topology: Topology, given: Sequence[str]) -> list[str]:
    """The functions of one network, which reads the features as they are."""
    out, n = estimator.out_activation_, topology.n_outputs
    kind = OUTPUT_ACTIVATIONS[out]
    if not _kind(estimator):
        levels = estimator.quantiles_
        return [
            function(
                f"void @predict({', '.join(given)}, real *y)",
                [
                    "@network(@network_0, x, y);",
                    *activation(kind, "y", n),
                    *_sorted(n, 1 if levels is None else len(levels)),
                ],
            )
        ]
    if is_constant(estimator):
        steps = ["(void)x;", "p[0] = 1;"]
    elif _kind(estimator) == "binary":
        if kind != Activation.SIGMOID:
            raise ValueError(
                "out_activation_ must be 'logistic' where there are two classes. "
                f"Got {out!r}."
            )
        steps = ["real z[1];", "@network(@network_0, x, z);", *_two("=")]
    else:
        steps = ["@network(@network_0, x, p);", *activation(kind, "p", n)]
    head = f"void @predict_proba({', '.join(given)}, real *p)"
    return [function(head, steps), *_labels(estimator, n, given, "p[1] > 0.5r")]


def of_ensemble(
    estimator: Any,
    topology: Topology,
    given: Sequence[str],
    n_networks: int,
    words: Words,
) -> list[str]:
    """The functions of the average of networks, which read what ``encode`` writes."""
    n, columns = topology.n_outputs, n_columns(estimator, topology)
    classifies = bool(_kind(estimator))
    target = "p" if classifies else "y"
    name = "predict_proba" if classifies else "predict"
    head = f"void @{name}({', '.join(given)}, real *{target})"
    if is_constant(estimator):
        steps = [f"(void){each.split('*')[1]};" for each in given] + ["p[0] = 1;"]
        return [function(head, steps), *_labels(estimator, n, given, "1")]

    inputs = inputs_of(topology)
    passed = "".join(f"{name}, " for _, name, _ in inputs)
    add = [f"real z[{n}];", f"@network(w, {passed}z);"]
    if classifies and estimator.temperature_ != 1:
        temperature = real_number(estimator.temperature_, words, "temperature_")
        add += [f"for (int k = 0; k < {n}; k++)", f"    z[k] /= {temperature};"]
    if _kind(estimator) == "binary":
        add += _two("+=")
    else:
        if classifies:
            add += activation(topology.activations[-1], "z", n)
        add += [f"for (int k = 0; k < {n}; k++)", f"    {target}[k] += z[k];"]
    declared = "".join(f"const {kind} *{name}, " for kind, name, _ in inputs)
    adding = function(f"void @add(const W *w, {declared}real *{target})", add)

    raw = ", ".join(each.split("*")[1] for each in given)
    each_column = f"for (int k = 0; k < {columns}; k++)"
    steps = [
        *(f"@STORAGE {kind} {name}[{length}];" for kind, name, length in inputs),
        f"@encode({raw}, {passed.removesuffix(', ')});",
        each_column,
        f"    {target}[k] = 0;",
        *(f"@add(@network_{m}, {passed}{target});" for m in range(n_networks)),
    ]
    if n_networks > 1:
        steps += [each_column, f"    {target}[k] /= {n_networks};"]
    if classifies:
        labels = _labels(estimator, n, given, "p[1] > p[0]")
        return [adding, function(head, steps), *labels]
    levels = 1 if estimator.quantiles_ is None else len(estimator.quantiles_)
    steps += [*_targets(estimator, levels, words), *_sorted(n, levels)]
    return [adding, function(head, steps)]


def _two(sign: str) -> list[str]:
    """Probabilities of two classes; that of the first does not cancel."""
    return [f"p[0] {sign} @logistic(-z[0]);", f"p[1] {sign} @logistic(z[0]);"]


def _sorted(n: int, n_levels: int) -> list[str]:
    """Quantiles of each target in increasing order.  (L8)"""
    if n_levels == 1:
        return []
    if n == n_levels:
        return [f"@sort(y, {n});"]
    return [
        f"for (int k = 0; k < {n}; k += {n_levels})",
        f"    @sort(y + k, {n_levels});",
    ]


def _targets(estimator: Any, n_levels: int, words: Words) -> list[str]:
    """From standardised numbers to those of y, in the range of the training's."""
    columns = {
        "target_mean_": estimator.target_mean_,
        "target_scale_": estimator.target_scale_,
        "the smallest target": estimator._clamp[0],
        "the largest target": estimator._clamp[1],
    }
    steps = []
    for k in range(len(estimator.target_mean_) * n_levels):
        values = ", ".join(
            real_number(column[k // n_levels], words, name)
            for name, column in columns.items()
        )
        steps.append(f"y[{k}] = @target(y[{k}], {values});")
    return steps


def real_number(value: float, words: Words, what: str) -> str:
    """A number of the type that is computed with."""
    if words.is_single:
        with np.errstate(over="ignore", under="ignore"):
            single = np.float32(value)
        if not np.isfinite(single) or (single == 0) != (value == 0):
            raise ValueError(
                f"{what} is {value!r}, which float32 does not have: pass "
                "dtype='float64'."
            )
        return f"{single}f"
    return number(value)


# Labels ------------------------------------------------------------------------


def _labels(estimator: Any, n: int, given: Sequence[str], second: str) -> list[str]:
    """``label`` or ``labels`` of probabilities, and ``predict``."""
    raw = ", ".join(each.split("*")[1] for each in given)
    inputs = ", ".join(given)
    if _kind(estimator) == "multilabel-indicator":
        return [
            function(
                "void @labels(const real *p, int *labels)",
                [
                    f"for (int k = 0; k < {n}; k++)",
                    "    labels[k] = p[k] == p[k] ? p[k] > 0.5r : -1;",
                ],
            ),
            function(
                f"void @predict({inputs}, int *labels)",
                [f"real p[{n}];", f"@predict_proba({raw}, p);", "@labels(p, labels);"],
            ),
        ]
    if is_constant(estimator):
        n, step = 1, "return p[0] == p[0] ? 0 : -1;"
    elif _kind(estimator) == "binary":
        n, step = 2, f"return p[1] == p[1] ? {second} : -1;"
    else:
        step = f"return @highest(p, {n});"
    return [
        function("int @label(const real *p)", [step]),
        function(
            f"int @predict({inputs})",
            [f"real p[{n}];", f"@predict_proba({raw}, p);", "return @label(p);"],
        ),
    ]


def classes(labels: Array, words: Words) -> tuple[str, bool]:
    """The array of what the places mean that are predicted; whether it is text."""
    values = labels.tolist()
    if all(type(value) is int and abs(value) < _LONG for value in values):
        body = ", ".join(f"{value}L" for value in values)
        return words("static const long @classes[] = {") + f"{body}}};", False
    lines = "".join(
        f"    {string(str(value))},  {comment(str(k))}\n"
        for k, value in enumerate(values)
    )
    return words("static const char *const @classes[] = {") + f"\n{lines}}};", True
