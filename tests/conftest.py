"""Test the installed package, whatever folder the tests are started from."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

# Before BLAS is loaded: there are as many workers as processors, and threads of BLAS
# that wait for work beside them would spin in the time of the others.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pytest

_ROOT = Path(__file__).resolve().parent.parent

# `python -m pytest` puts the current folder first, where a source tree without
# compiled modules would shadow the installed package.
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != _ROOT]


class _Soiled:
    """NumPy, but memory that nobody has written to holds nothing of use."""

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    def empty(self, *shape: Any, **dtype: Any) -> Any:
        return _soil(np.empty(*shape, **dtype))

    def empty_like(self, other: Any) -> Any:
        return _soil(np.empty_like(other))

    def zeros(self, *shape: Any, **dtype: Any) -> Any:
        # Of sums too: what is not written must not be read. Structs stay zero.
        array = np.zeros(*shape, **dtype)
        return _soil(array) if array.dtype.kind == "f" else array


def _soil(array: Any) -> Any:
    array.fill(np.nan if array.dtype.kind == "f" else np.iinfo(array.dtype).max)
    return array


@pytest.fixture(autouse=True)
def _soiled_buffers() -> Iterator[None]:
    """Whatever the engine allocates is full of NaN, so that none is read by mistake."""
    from skbackprop.core import engine_of

    with (
        patch.object(engine_of(np.float32), "np", _Soiled()),
        patch.object(engine_of(np.float64), "np", _Soiled()),
    ):
        yield


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20240229)
