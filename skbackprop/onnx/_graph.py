"""Graphs of ONNX, node by node: what every formula of the export is written in.

A ``Graph`` is called with the name of an operator and gives the name of its result.
Where the nodes go is a matter of the two classes that inherit from it: ``ModelGraph``
here makes a model of its own, and ``ContainerGraph`` of ``_skl2onnx`` adds to one that
skl2onnx converts. Operators are those that have not changed since opset 13, and that
onnxruntime computes in double too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .._layers import Array

if TYPE_CHECKING:
    import onnx

#: The versions that a model declares: onnx 1.16 and onnxruntime 1.18 know them.
OPSET, ML_OPSET, IR_VERSION = 21, 4, 10
#: The domains of operators that are not of the main one.
DOMAINS = {"LabelEncoder": "ai.onnx.ml"}


def tensor_type(dtype: npt.DTypeLike) -> int:
    """ONNX's number for a type of NumPy's; strings are of one type there."""
    from onnx import TensorProto
    from onnx.helper import np_dtype_to_tensor_dtype

    dtype = np.dtype(dtype)
    if dtype.kind in "UO":
        return TensorProto.STRING
    return np_dtype_to_tensor_dtype(dtype)


class Graph:
    """Nodes and constants, wherever they are kept."""

    def __init__(self) -> None:
        self._constants: dict[tuple[Any, ...], str] = {}

    def __call__(
        self,
        operator: str,
        *inputs: str | Array | np.generic,
        outputs: int = 1,
        **attributes: Any,
    ) -> str:
        """Add a node and give the name of its (first) output.

        An input is the name of another node's, or an array, which becomes a constant.
        """
        names = [
            each if isinstance(each, str) else self.constant(each) for each in inputs
        ]
        made = [self._new_name(operator) for _ in range(outputs)]
        self._add_node(operator, names, made, attributes)
        return made[0]

    def cast(self, tensor: str, dtype: npt.DTypeLike) -> str:
        """A tensor in another type."""
        return self("Cast", tensor, to=tensor_type(dtype))

    def joined(self, parts: Sequence[str], axis: int) -> str:
        """Tensors one behind the other along an axis; a single one as it is."""
        return parts[0] if len(parts) == 1 else self("Concat", *parts, axis=axis)

    def constant(self, value: Array | np.generic) -> str:
        """A constant; equal ones are kept once."""
        value = np.array(value, order="C")
        if value.dtype.kind == "i":  # NumPy's own have 32 bits on some systems
            value = value.astype(np.int64)
        content = value.tobytes() if value.dtype != object else tuple(value.flat)
        key = (value.dtype.str, value.shape, content)
        if key not in self._constants:
            self._constants[key] = self._add_constant(value)
        return self._constants[key]

    def _new_name(self, operator: str) -> str:
        """A name that no tensor has."""
        raise NotImplementedError

    def _add_node(
        self,
        operator: str,
        inputs: list[str],
        outputs: list[str],
        attributes: dict[str, Any],
    ) -> None:
        raise NotImplementedError

    def _add_constant(self, value: Array) -> str:
        raise NotImplementedError


class ModelGraph(Graph):
    """A graph that becomes a model.

    ``taken`` are the names of its inputs and outputs, which nothing inside may have.
    """

    def __init__(self, taken: set[str]) -> None:
        super().__init__()
        self._taken = set(taken)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def name(self, tensor: str, output: str) -> None:
        """Let an output of the model be a tensor."""
        self._add_node("Identity", [tensor], [output], {})

    def _new_name(self, operator: str) -> str:
        number = len(self._taken)
        while f"{operator}_{number}" in self._taken:
            number += 1
        self._taken.add(f"{operator}_{number}")
        return f"{operator}_{number}"

    def _add_node(
        self,
        operator: str,
        inputs: list[str],
        outputs: list[str],
        attributes: dict[str, Any],
    ) -> None:
        from onnx import helper

        domain = DOMAINS.get(operator, "")
        node = helper.make_node(
            operator, inputs, outputs, name=outputs[0], domain=domain, **attributes
        )
        self.nodes.append(node)

    def _add_constant(self, value: Array) -> str:
        from onnx import helper, numpy_helper

        name = self._new_name("constant")
        if tensor_type(value.dtype) == helper.TensorProto.STRING:
            text = [str(each).encode() for each in value.flat]
            tensor = helper.make_tensor(
                name, helper.TensorProto.STRING, value.shape, text
            )
        else:
            tensor = numpy_helper.from_array(value, name)
        self.constants.append(tensor)
        return name
