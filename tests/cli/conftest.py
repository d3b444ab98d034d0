"""A folder that must stay empty, a file that is written, pandas that is not there."""

from __future__ import annotations

import sys

import pandas as pd
import pytest


@pytest.fixture(autouse=True)
def empty_cwd(tmp_path_factory, monkeypatch):
    """Run every test in a directory that must still be empty afterwards."""
    directory = tmp_path_factory.mktemp("cwd")
    monkeypatch.chdir(directory)
    yield
    assert list(directory.iterdir()) == []


@pytest.fixture
def write(tmp_path):
    """Write text, bytes or a frame to a file and return its name."""

    def _write(content, name="table.csv"):
        path = tmp_path / name
        if isinstance(content, pd.DataFrame):
            content.to_csv(path, index=False)
        elif isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content, encoding="utf-8")
        return str(path)

    return _write


@pytest.fixture
def without_pandas(monkeypatch):
    """Make `import pandas` fail as it does where pandas is not installed."""

    class Blocker:
        @staticmethod
        def find_spec(name, path=None, target=None):
            if name == "pandas":
                raise ModuleNotFoundError("No module named 'pandas'", name=name)

    monkeypatch.delitem(sys.modules, "pandas")
    monkeypatch.setattr(sys, "meta_path", [Blocker, *sys.meta_path])
