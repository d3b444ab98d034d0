"""Where the matrix of an encoded table is made: in memory or, if large, in a file.

A file is mapped, so that the system keeps in memory what is being used.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

from .._layers import Array

_folder: ContextVar[str | None] = ContextVar("folder", default=None)


@contextmanager
def kept_in(folder: str | None) -> Iterator[None]:
    """Make matrices in files of a folder, whose owner removes them; None: in memory."""
    token = _folder.set(folder)
    try:
        yield
    finally:
        _folder.reset(token)


def zeros(shape: tuple[int, int]) -> Array:
    """A float32 matrix of zeros."""
    folder = _folder.get()
    if folder is None or 0 in shape:
        return np.zeros(shape, dtype=np.float32)
    handle, path = tempfile.mkstemp(dir=folder)
    os.close(handle)
    # A file that is made longer holds zeros.
    return np.memmap(path, np.float32, mode="w+", shape=shape)
