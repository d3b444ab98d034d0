"""The compiled core. ``engine_of(dtype)`` is the engine of a type, of the level in use.

The environment variable SKBACKPROP_SIMD takes a lower one, for tests and comparisons.
"""

import os
import sys
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import engine as Engine

try:
    from .cpu import supports
except ModuleNotFoundError:
    raise ModuleNotFoundError(
        f"skbackprop has no modules compiled for Python {sys.version.split()[0]} in"
        f" {__path__[0]}. If that is a folder of sources, run `pip install .` in the"
        " clone; else install skbackprop anew.",
        name=f"{__name__}.cpu",
    ) from None

#: From the lowest to the highest.
LEVELS = ("portable", "neon", "avx2", "avx512")


def levels() -> list[str]:
    """Those that were built, from the lowest to the highest."""
    return [name for name in LEVELS if find_spec(f"{__name__}.engine_{name}_float64")]


def _pick(forced: str) -> str:
    """The level asked for, or the highest that was built and that runs here."""
    built = levels()
    runs = [name for name in built if supports(name)]
    if forced and forced not in runs:
        why = "this processor cannot run it" if forced in built else "it was not built"
        raise ImportError(
            f"SKBACKPROP_SIMD must be one of {', '.join(runs)}. Got {forced!r}: {why}."
        )
    return forced or runs[-1]


level = _pick(os.environ.get("SKBACKPROP_SIMD", "").strip().lower())


#: Whether products are by kernels of our own, which threads may share; else by BLAS.
OWN_KERNELS = level != "portable"

_engines: dict[Any, "type[Engine]"] = {}


def engine_of(dtype: Any) -> "type[Engine]":
    """The engine of float32 or float64, loaded when it is first asked for."""
    try:
        return _engines[dtype]
    except (KeyError, TypeError):
        import numpy as np

        name = np.dtype(dtype).name
        engine = import_module(f"{__name__}.engine_{level}_{name}")
        _engines[dtype] = _engines[np.dtype(dtype)] = engine
        return engine


__all__ = ["OWN_KERNELS", "engine_of", "level", "levels"]
