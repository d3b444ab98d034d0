"""The compiled core. ``engine`` is the module of the instruction set in use.

The environment variable SKBACKPROP_SIMD takes a lower one, for tests and comparisons.
"""

import os
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from .cpu import supports

#: From the lowest to the highest.
LEVELS = ("portable", "neon", "avx2", "avx512")


def levels() -> list[str]:
    """Those that were built, from the lowest to the highest."""
    return [name for name in LEVELS if find_spec(f"{__name__}.engine_{name}")]


def _pick(forced: str) -> tuple[str, ModuleType]:
    """The level asked for, or the highest that was built and that runs here."""
    built = levels()
    runs = [name for name in built if supports(name)]
    if forced and forced not in runs:
        why = "this processor cannot run it" if forced in built else "it was not built"
        raise ImportError(
            f"SKBACKPROP_SIMD must be one of {', '.join(runs)}. Got {forced!r}: {why}."
        )
    name = forced or runs[-1]
    return name, import_module(f"{__name__}.engine_{name}")


level, engine = _pick(os.environ.get("SKBACKPROP_SIMD", "").strip().lower())

__all__ = ["engine", "level", "levels"]
