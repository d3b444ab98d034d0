"""Tell skl2onnx of our estimators when it is there, and not before it is wanted."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_LIBRARY = "skl2onnx"


def register_with_skl2onnx() -> None:
    """Register the converters, now or as soon as somebody imports skl2onnx.

    Again and again is as good as once.
    """
    if _LIBRARY in sys.modules:
        _register()
    elif not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def _register() -> None:
    from ._skl2onnx import register

    register()


class _Finder:
    """Finds skl2onnx as the others do, and has its loader register at its end."""

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        if name != _LIBRARY:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(name, path, target)
            if spec is not None:
                self._call_after_loading(spec.loader)
                return spec
        return None

    def _call_after_loading(self, loader: Any) -> None:
        """A loader is of one module and one search for it."""
        load = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            load(module)
            if self in sys.meta_path:
                sys.meta_path.remove(self)
            _register()

        loader.exec_module = exec_module
