"""The compiled core. ``engine`` is the module of the instruction set in use.

The environment variable SKBACKPROP_SIMD takes a lower one, for tests and comparisons.
"""

import os
import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import engine

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
    return [name for name in LEVELS if find_spec(f"{__name__}.engine_{name}")]


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


def __getattr__(name: str) -> ModuleType:
    """The engine when it is first used, since it brings NumPy and SciPy."""
    if name != "engine":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"{__name__}.engine_{level}")
    globals()[name] = module
    return module


def __dir__() -> list[str]:
    return sorted({*globals(), "engine"})


__all__ = ["engine", "level", "levels"]
