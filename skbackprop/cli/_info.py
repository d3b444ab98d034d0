"""``skbackprop info``: what a model's file holds. Nothing of it is run or believed."""

from __future__ import annotations

import argparse
import os
from typing import Any

from ._model import Model, opened_model
from ._output import written_json
from ._report import described_columns, print_scores
from ._words import listed, printable


def info(options: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    model = opened_model(options.model)
    said = _said(model)
    if options.json is not None:
        written_json(said, options.json)
    if options.json != "-":
        _print(model, said)
    return 0


def _said(model: Model) -> dict[str, Any]:
    estimator = model.estimator
    said: dict[str, Any] = {
        "file": model.path,
        "bytes": os.path.getsize(model.path),
        "class": type(estimator).__name__,
        "version": model.version,
        "target": model.target,
        "identifier": model.identifier,
        "columns": None,
    }
    if model.readings is not None:
        said["columns"] = {n: each.as_plain() for n, each in model.readings.items()}
    if model.is_classifier:
        said["classes"] = estimator.classes_.tolist()
    elif estimator.quantiles_ is not None:
        said["quantiles"] = estimator.quantiles_.tolist()
    if model.is_tabular:
        topology, thetas = estimator._bag
        said["networks"] = len(thetas)
        said["parameters"] = len(thetas) * topology.n_parameters
        said["layers"] = list(estimator.recipe_["hidden_layer_sizes"])
    else:
        said["networks"] = 1
        said["parameters"] = sum(
            each.size for each in (*estimator.coefs_, *estimator.intercepts_)
        )
        said["layers"] = [each.shape[1] for each in estimator.coefs_[:-1]]
    return said


def _print(model: Model, said: dict[str, Any]) -> None:
    print(f"file      {said['file']} ({said['bytes']:,} bytes)")
    version = printable(said["version"])
    print(f"model     {said['class']}, written by skbackprop {version}")
    layers = ", ".join(map(str, said["layers"])) or "none"
    print(
        f"networks  {said['networks']}, {said['parameters']:,} parameters, hidden "
        f"layers {layers}"
    )
    if said["target"] is not None:
        print(f"target    {said['target']!r}")
    if "classes" in said:
        print(f"classes   {len(said['classes'])} ({listed(said['classes'])})")
    if "quantiles" in said:
        print(f"quantiles {', '.join(f'{q:g}' for q in said['quantiles'])}")
    if model.readings is None:
        print(f"columns   {model.estimator.n_features_in_} without names")
    else:
        n_categories = {}
        encoder = getattr(model.estimator, "encoder_", None)
        if encoder is not None:
            names = list(model.readings)
            for place, values in zip(
                encoder.categorical_features_.tolist(), encoder.categories_, strict=True
            ):
                n_categories[names[place]] = len(values)
        for line in described_columns(model.readings, n_categories):
            print(line)
    if said["identifier"] is not None:
        print(f"rows      are named by {said['identifier']!r}")
    scores = model.table.get("scores")
    if isinstance(scores, dict):
        print("as its file says, without proof:")
        try:
            print_scores(scores)
        except (KeyError, OverflowError, TypeError, ValueError):
            print("          scores that cannot be read")
