"""A folder that must stay empty, a file that is written, models trained once."""

from __future__ import annotations

import contextlib

import pandas as pd
import pytest
from command_line import frame

from skbackprop import cli


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


FAST = ("--preset", "fast", "--max-iter", "4")


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """Files of models of one table, by the options of their training."""
    folder = tmp_path_factory.mktemp("models")
    data = folder / "table.csv"
    table = frame(300)
    table.insert(0, "name", [f"row {i}" for i in range(300)])
    table["day"] = pd.date_range("2024-01-01", periods=300).strftime("%d.%m.%Y")
    table.to_csv(data, index=False)
    models: dict[tuple[str, ...], str] = {}

    def _trained(*options):
        if options not in models:
            path = str(folder / f"{len(models)}.safetensors")
            argv = ["train", str(data), *options, *FAST, "--model", path]
            with contextlib.redirect_stdout(None):
                assert cli.main(argv) == 0
            models[options] = path
        return models[options], str(data)

    return _trained
