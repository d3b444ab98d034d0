"""Columns in memory or, where they are many, in files that go with the command."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ._failure import Failure

#: Bytes of a table from which it is kept in files.
MOST_IN_MEMORY = 1 << 30
_BLOCK = 1 << 18


class Store:
    """Where arrays of as many entries as rows are made."""

    def __init__(self) -> None:
        #: None where arrays are in memory.
        self.folder: str | None = None
        self._n_files = 0

    def plan(self, n_bytes: int) -> None:
        """Say how large the table is, before its first array is made."""
        if n_bytes > MOST_IN_MEMORY:
            self.folder = tempfile.mkdtemp(prefix="skbackprop-")

    def new(self, shape: Any, dtype: str) -> Any:
        """An array whose entries are not set yet."""
        if self.folder is None:
            return np.empty(shape, dtype)
        self._n_files += 1
        path = os.path.join(self.folder, f"{self._n_files}")
        n_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
        free = shutil.disk_usage(self.folder).free
        if n_bytes > free:
            raise Failure(
                f"the table needs {n_bytes / 1e9:.1f} GB more in "
                f"{tempfile.gettempdir()!r}, which has {free / 1e9:.1f} GB left; "
                "TMPDIR names another folder"
            )
        return np.memmap(path, dtype, mode="w+", shape=shape)

    def taken(self, column: Any, rows: Any) -> Any:
        """These rows of a column, as another one."""
        values = getattr(column, "codes", column)
        if self.folder is None:
            part = values[rows]
        else:
            part = self.new(len(rows), values.dtype)
            for start in range(0, len(rows), _BLOCK):
                stop = start + _BLOCK
                part[start:stop] = values[rows[start:stop]]
        if values is column:
            return part
        return self.categories(part, column.categories)

    @staticmethod
    def categories(codes: Any, names: Any) -> Any:
        """A column of categories."""
        return Coded(codes, list(names))


class Coded:
    """Codes, -1 where missing, and the category that each stands for."""

    def __init__(self, codes: Any, categories: list[str]) -> None:
        self.codes, self.categories = codes, categories

    def __len__(self) -> int:
        return len(self.codes)


@contextmanager
def opened_store() -> Iterator[Store]:
    """A store whose files go when it is closed."""
    store = Store()
    try:
        yield store
    finally:
        if store.folder is not None:
            shutil.rmtree(store.folder, ignore_errors=True)


def frame_of(columns: dict[str, Any]) -> Any:
    """A frame of these columns, which it does not copy where it can do without."""
    import pandas as pd

    made = {
        name: pd.Categorical.from_codes(each.codes, categories=each.categories)
        if isinstance(each, Coded)
        else each
        for name, each in columns.items()
    }
    return pd.DataFrame(made, copy=False)
