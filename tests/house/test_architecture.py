"""The layers of the package: imports point down only.

A new module needs its line in the table here, and tests that answer for it.

Answers for: docs/architecture.md, CONTRIBUTING.md.
"""

import ast
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
from layers import ALLOWED
from sources import (
    CORE,
    CYTHON_FILES,
    PACKAGE,
    PYTHON_FILES,
    ROOT,
    SOURCES,
    TEST_FILES,
    TESTS,
    names,
    read,
)

WITHOUT_SKLEARN = {
    "_dates",
    "_training",
    "_schedules",
    "_threads",
    "_network",
    "_evaluation",
    "_adaptive_threads",
    "_arguments",
    "_fitted",
    "_lbfgs",
    "_observers",
    "_settings",
    "_state",
    "_layers",
    "_source_folder",
    "_version",
    "_versions",
    "core",
}


def test_sources_are_here() -> None:
    """The tests below would pass on nothing."""
    assert {"__init__.py", "_network.py", "core/__init__.py"} <= set(
        names(PYTHON_FILES)
    )
    assert {"meson.build", "core/meson.build"} <= set(names(SOURCES))


def module_name(path: Path) -> str:
    parts = list(path.relative_to(PACKAGE).with_suffix("").parts)
    if parts[-1] == "__init__" and len(parts) > 1:
        parts.pop()
    return ".".join(parts)


class Import(NamedTuple):
    module: str  # absolute, such as "sklearn.base"
    name: str | None  # what is taken from it
    for_types: bool  # whether a type checker alone sees it


def imports(path: Path) -> list[Import]:
    """Every import of a file, those inside functions too, as absolute names."""
    package = ["skbackprop", *path.relative_to(PACKAGE).parent.parts]
    tree, found = ast.parse(read(path)), []
    for_types = {
        inside
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for statement in node.body
        for inside in ast.walk(statement)
    }
    for node in ast.walk(tree):
        types = node in for_types
        if isinstance(node, ast.Import):
            found += [Import(alias.name, None, types) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            found += [Import(module, alias.name, types) for alias in node.names]
    return found


def is_module(name: str) -> bool:
    """Whether skbackprop has a module or package of that dotted name."""
    path = PACKAGE.joinpath(*name.split("."))
    return path.is_dir() or any(
        path.with_suffix(suffix).is_file() for suffix in (".py", ".pyx")
    )


def internal_edges(path: Path, *, for_types: bool = False) -> set[str]:
    """The modules of skbackprop that a file imports, or only names for types."""
    edges = set()
    for module, name, types in imports(path):
        if types != for_types:
            continue
        root, *rest = module.split(".")
        if root != "skbackprop":
            continue
        target = ".".join(rest)
        if name is not None and is_module(".".join([*rest, name])):
            target = ".".join([*rest, name])
        edges.add(target or "__init__")
    return edges


def test_table_lists_every_module() -> None:
    assert {module_name(path) for path in PYTHON_FILES} == set(ALLOWED)


def test_table_points_down_only() -> None:
    """Each line may name later lines alone, so that there is no way back up."""
    lines = list(ALLOWED)
    for place, (module, targets) in enumerate(ALLOWED.items()):
        for target in targets:
            home = target if target in lines else target.split(".")[0]
            assert lines.index(home) > place or module == home == "core", (
                module,
                target,
            )


@pytest.mark.parametrize("path", PYTHON_FILES, ids=names(PYTHON_FILES))
def test_imports_are_allowed(path: Path) -> None:
    assert internal_edges(path) <= ALLOWED[module_name(path)]


@pytest.mark.parametrize("path", PYTHON_FILES, ids=names(PYTHON_FILES))
def test_only_the_chosen_engine_is_named_for_types(path: Path) -> None:
    """Which one it is, is known when the package runs."""
    edges = internal_edges(path, for_types=True)
    assert edges <= ALLOWED[module_name(path)] | {"core.engine"}


def test_nobody_imports_an_engine_by_its_name() -> None:
    assert not [p for p in PYTHON_FILES if "core.engine" in internal_edges(p)]
    assert "core.engine" in internal_edges(CORE / "__init__.py", for_types=True)


def test_nobody_imports_a_face() -> None:
    faces = {"cli", "__main__"}
    importers = {module_name(p) for p in PYTHON_FILES if internal_edges(p) & faces}
    assert importers == {"__main__", "cli.__main__"}


@pytest.mark.parametrize("module", sorted(WITHOUT_SKLEARN))
def test_nothing_below_the_estimators_imports_sklearn(module: str) -> None:
    paths = [p for p in PYTHON_FILES if module_name(p).split(".")[0] == module]
    assert paths
    for path in paths:
        assert not [found for found in imports(path) if is_sklearn(found.module)]


# Tests


def place(path: Path) -> str:
    return path.relative_to(TESTS).as_posix()


@cache
def answers(path: Path) -> list[str]:
    """The files that a module of tests answers for, as its docstring ends."""
    docstring = ast.get_docstring(ast.parse(read(path))) or ""
    last = re.search(r"\n\nAnswers for:((\s+[^\s,]+,)*\s+[^\s,]+)\.\Z", docstring)
    return last[1].replace(",", " ").split() if last else []


@pytest.mark.parametrize("path", TEST_FILES, ids=place)
def test_a_module_of_tests_says_what_it_answers_for(path: Path) -> None:
    named = answers(path)
    assert named
    assert len(set(named)) == len(named)
    for file in named:
        assert (PACKAGE / file).is_file() or (ROOT / file).is_file(), file


@pytest.mark.parametrize(
    "path", [*PYTHON_FILES, *CYTHON_FILES], ids=names([*PYTHON_FILES, *CYTHON_FILES])
)
def test_every_module_is_answered_for(path: Path) -> None:
    name = path.relative_to(PACKAGE).as_posix()
    assert [tests for tests in TEST_FILES if name in answers(tests)]


def test_answers_are_read(tmp_path: Path) -> None:
    path = tmp_path / "test_a.py"
    for docstring, named in [
        ("What.\n\nMore.\n\nAnswers for: a.py, core/b.pxd,\nc.py.\n", 3),
        ("What.\n\nAnswers for: a.py.", 1),
        ("What.\n\nAnswers for: a.py.\n\nAnd more.", 0),
        ("What.", 0),
    ]:
        path.write_text(f'"""{docstring}"""\n', encoding="utf-8")
        answers.cache_clear()
        assert len(answers(path)) == named


@pytest.mark.parametrize("path", sorted(TESTS.rglob("*.py")), ids=place)
def test_files_of_tests_have_one_topic(path: Path) -> None:
    assert read(path).count("\n") <= 600


# scikit-learn


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def private_uses(source: str) -> list[str]:
    """Private names of scikit-learn that a source imports or reaches by attribute."""
    tree = ast.parse(source)
    found, bound = [], set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            aliases = [alias for alias in node.names if is_sklearn(alias.name)]
            found += [alias.name for alias in aliases if has_private(alias.name)]
            bound |= {alias.asname or "sklearn" for alias in aliases}
        elif isinstance(node, ast.ImportFrom) and is_sklearn(node.module or ""):
            full = [f"{node.module}.{alias.name}" for alias in node.names]
            found += [name for name in full if has_private(name)]
            bound |= {alias.asname or alias.name for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            root = node.value
            while isinstance(root, ast.Attribute):
                root = root.value
            if isinstance(root, ast.Name) and root.id in bound:
                found.append(ast.unparse(node))
    return found


def is_sklearn(module: str) -> bool:
    return module.split(".")[0] == "sklearn"


def has_private(module: str) -> bool:
    return any(is_private(part) for part in module.split("."))


@pytest.mark.parametrize("path", PYTHON_FILES, ids=names(PYTHON_FILES))
def test_sklearn_is_used_by_its_public_names(path: Path) -> None:
    assert private_uses(read(path)) == []


@pytest.mark.parametrize(
    "source",
    [
        "import sklearn.utils._mask",
        "import sklearn.utils._mask as mask",
        "from sklearn.utils._param_validation import Interval",
        "from sklearn.utils import _safe_indexing",
        "def f():\n    from sklearn.base import _fit_context",
        "from sklearn import utils\nutils._mask",
        "import sklearn\nsklearn.utils._mask.x",
        "from sklearn.base import BaseEstimator as B\nB._get_tags",
    ],
)
def test_private_names_would_be_found(source: str) -> None:
    assert private_uses(source)


@pytest.mark.parametrize(
    "source",
    [
        "import sklearn\nsklearn.__version__",
        "from sklearn.base import BaseEstimator\nBaseEstimator.__init__",
        "from ._base import _x\nself._y",
    ],
)
def test_public_names_would_pass(source: str) -> None:
    assert not private_uses(source)
