"""Converters of our estimators for skl2onnx: the same nodes, in its container."""

from __future__ import annotations

from typing import Any

import numpy as np
from skl2onnx import update_registered_converter
from skl2onnx.common.data_types import (
    BooleanTensorType,
    DoubleTensorType,
    FloatTensorType,
    Int64TensorType,
    StringTensorType,
)

from .._layers import Array
from .._model import FittedMLP
from ._columns import TEXT, Source
from ._export import CLASSES
from ._graph import DOMAINS, Graph, tensor_type
from ._outputs import compute, labels_of, outputs_of

#: What skl2onnx calls a type of NumPy's.
_TYPES = {
    "float32": FloatTensorType,
    "float64": DoubleTensorType,
    "int64": Int64TensorType,
    "bool": BooleanTensorType,
    "object": StringTensorType,
}
_CLASSIFIER_OPTIONS = {
    "zipmap": [True, False, "columns"],
    "nocl": [True, False],
    "output_class_labels": [False, True],
    # By which CalibratedClassifierCV asks for decision_function.
    "raw_scores": [True, False],
}
#: Versions of operators where skl2onnx would take one that it refuses afterwards.
_VERSIONS = {"LabelEncoder": 2}


def register() -> None:
    """Register a converter for every estimator; again is as good as once."""
    for each in CLASSES:
        options = _CLASSIFIER_OPTIONS if hasattr(each, "predict_proba") else None
        update_registered_converter(
            each, f"Skbackprop{each.__name__}", _shapes, _convert, options=options
        )


class ContainerGraph(Graph):
    """A graph inside the one that skl2onnx makes."""

    def __init__(self, scope: Any, container: Any) -> None:
        super().__init__()
        self._scope, self._container = scope, container

    def _new_name(self, operator: str) -> str:
        return self._scope.get_unique_variable_name(operator)

    def _add_node(
        self,
        operator: str,
        inputs: list[str],
        outputs: list[str],
        attributes: dict[str, Any],
    ) -> None:
        self._container.add_node(
            operator,
            inputs,
            outputs,
            op_domain=DOMAINS.get(operator, ""),
            op_version=_VERSIONS.get(operator),
            name=self._scope.get_unique_operator_name(operator),
            **attributes,
        )

    def _add_constant(self, value: Array) -> str:
        name = self._new_name("constant")
        flat = value.ravel()
        if value.dtype.kind in "UO":
            flat = [str(each).encode() for each in flat]
        kind = tensor_type(value.dtype)
        self._container.add_initializer(name, kind, list(value.shape), flat)
        return name


def _labels(estimator: Any, scope: Any) -> Array | None:
    """What is answered for a class: by the option ``nocl`` its place."""
    if not hasattr(estimator, "classes_"):
        return None
    labels = labels_of(estimator)
    if scope.get_options(estimator, {"nocl": False})["nocl"]:
        return np.arange(len(labels))
    if labels.dtype == np.uint64:
        raise ValueError(
            f"classes_ has {labels.max()}, which skl2onnx has no place for: its labels "
            "are int64. skbackprop.onnx.to_onnx of the estimator alone has one."
        )
    # skl2onnx knows labels of no other type.
    return labels if labels.dtype == object else labels.astype(np.int64)


def _real(operator: Any) -> type[Any]:
    """The type that skl2onnx gives the numbers of an output: that of the inputs."""
    doubles = any(isinstance(each.type, DoubleTensorType) for each in operator.inputs)
    return DoubleTensorType if doubles else FloatTensorType


def _shapes(operator: Any) -> None:
    """The types of the outputs."""
    estimator = operator.raw_operator
    n_rows = operator.inputs[0].get_first_dimension()
    labels = _labels(estimator, operator.scope_inst)
    for variable, output in zip(operator.outputs, outputs_of(estimator), strict=True):
        kind = _real(operator)
        if output.name == "label":
            assert labels is not None
            kind = _TYPES[labels.dtype.name]
        variable.set_type(kind([n_rows, *output.shape]))


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """The nodes."""
    estimator = operator.raw_operator
    graph = ContainerGraph(scope, container)
    sources = [_source(variable) for variable in operator.inputs]
    if isinstance(estimator, FittedMLP) and any(s.dtype == TEXT for s in sources):
        raise TypeError(
            f"{type(estimator).__name__} takes numbers only, and an input is a tensor "
            "of strings."
        )
    labels = _labels(estimator, scope)
    wanted = scope.get_options(estimator, {"raw_scores": False}, fail=False)
    raw = labels is not None and wanted["raw_scores"]
    tensors = compute(graph, estimator, sources, "", labels, raw=raw)
    for tensor, variable in zip(tensors, operator.outputs, strict=True):
        kind = type(variable.type)
        if kind in (FloatTensorType, DoubleTensorType):
            real = np.float64 if kind is DoubleTensorType else np.float32
            tensor = graph.cast(tensor, real)
        container.add_node(
            "Identity",
            [tensor],
            [variable.full_name],
            name=scope.get_unique_operator_name("Identity"),
        )


def _source(variable: Any) -> Source:
    """An input of skl2onnx's as columns of the table."""
    kind, shape = type(variable.type), variable.type.shape
    width = shape[1] if len(shape) == 2 else None
    if not isinstance(width, int):
        raise ValueError(
            f"The input {variable.onnx_name!r} must have a known number of columns. "
            f"Its shape is {shape}."
        )
    names = {known: name for name, known in _TYPES.items()} | {StringTensorType: TEXT}
    # Whatever else is a number is cast.
    return Source(variable.full_name, width, names.get(kind, "float64"))
