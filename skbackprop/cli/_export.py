"""``skbackprop export``: a model's file as ONNX or as a header of C."""

from __future__ import annotations

import argparse
import os

from .._files import write_atomically
from ._failure import Failure
from ._model import opened_model


def export(options: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    path = options.output
    kind = os.path.splitext(path)[1].lower()
    if kind not in (".onnx", ".h"):
        raise Failure(
            f"-o {path!r} must end in .onnx or .h, which says what is written"
        )
    model = opened_model(options.model)
    try:
        if kind == ".onnx":
            from ..onnx import to_onnx

            content = to_onnx(model.estimator).SerializeToString()
        else:
            from ..c import to_c

            stem = os.path.splitext(os.path.basename(path))[0]
            name = "".join(c if c.isascii() and c.isalnum() else "_" for c in stem)
            name = name if name[:1].isalpha() else f"model_{name}"
            content = to_c(model.estimator, name, dtype=options.dtype).encode()
    except (ImportError, NotImplementedError, TypeError, ValueError) as error:
        raise Failure(f"cannot export: {error}") from None
    write_atomically(path, [content])
    print(f"written   {path} ({len(content):,} bytes)")
    return 0
