"""The files of the package, for the tests that read them."""

import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
PACKAGE = ROOT / "skbackprop"
CORE = PACKAGE / "core"
DERIVATIONS = ROOT / "docs" / "derivations.md"

PYTHON_FILES = sorted(PACKAGE.rglob("*.py"))
CYTHON_FILES = sorted(
    path for path in CORE.rglob("*") if path.suffix in {".pxd", ".pyx", ".pxi"}
)
TEST_FILES = sorted(TESTS.rglob("test_*.py"))
SOURCES = sorted(
    path
    for path in PACKAGE.rglob("*")
    if path.is_file()
    and path.suffix in {".py", ".pyi", ".pxd", ".pyx", ".pxi", ".in", ".build", ".c"}
)


def names(paths: list[Path]) -> list[str]:
    return [path.relative_to(PACKAGE).as_posix() for path in paths]


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@cache
def tiles() -> str:
    """tiles.pxd, as the build writes it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tiles.pxd"
        subprocess.run([sys.executable, CORE / "make_tiles.py", path], check=True)
        return read(path)


def core_sources() -> dict[str, str]:
    """The text of every file that Cython reads, by its place in the core."""
    found = {path.relative_to(CORE).as_posix(): read(path) for path in CYTHON_FILES}
    return found | {"tiles.pxd": tiles()}
