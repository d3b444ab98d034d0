"""Fitted estimators as ONNX models, for runtimes without Python; docs/shipping.md.

Importing this teaches skl2onnx the estimators of this package, so that pipelines with
them can be converted: now where skl2onnx has been imported, and otherwise once it is.
"""

from ._export import to_onnx
from ._feeds import make_inputs
from ._registration import register_with_skl2onnx

__all__ = ["make_inputs", "to_onnx"]

register_with_skl2onnx()
