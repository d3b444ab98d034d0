"""The layers of the package, and the one name that everything bears everywhere.

Imports point down only. A new module needs its line in the tables here.
"""

import ast
import re
from pathlib import Path
from typing import NamedTuple

import pytest
import reference

from skbackprop.core.activations import Activation
from skbackprop.core.losses import Loss
from skbackprop.core.optimizers import Solver

HERE = Path(__file__).resolve().parent
PACKAGE = HERE.parent / "skbackprop"
CORE = PACKAGE / "core"
DERIVATIONS = HERE.parent / "docs" / "derivations.md"

# Python modules, from the top down; each may import what its line names.
ALLOWED: dict[str, set[str]] = {
    # faces
    "__main__": {"cli"},
    "cli": {"__init__"},
    "__init__": {
        "_classifier",
        "_regressor",
        "_network",
        "_version",
        "_versions",
        "tabular",
        "core",
    },
    "_source_folder": {"_version"},
    # recipes
    "tabular": {"tabular._classifier", "tabular._encoder", "tabular._regressor"},
    "tabular._classifier": {
        "tabular._recipe",
        "tabular._base",
        "_targets",
        "_snapshot",
        "_inputs",
        "_parameters",
        "_layers",
    },
    "tabular._regressor": {
        "tabular._recipe",
        "tabular._base",
        "_targets",
        "_snapshot",
        "_inputs",
        "_parameters",
        "_layers",
    },
    "tabular._base": {
        "tabular._bag",
        "tabular._member",
        "tabular._recipe",
        "tabular._bins",
        "tabular._columns",
        "tabular._encoder",
        "_features",
        "_scoring",
        "_inputs",
        "_parameters",
        "_snapshot",
        "_table",
        "_layers",
        "_threads",
        # Shapes, but never the engine.
        "core.embeddings",
        "core.topology",
    },
    "tabular._bag": {"tabular._member", "_layers", "_threads"},
    "tabular._member": {
        "tabular._recipe",
        "tabular._bins",
        "_training",
        "_schedules",
        "_table",
        "_layers",
        "core.losses",
        "core.optimizers",
        "core.regimen",
        "core.topology",
    },
    "tabular._recipe": set(),
    "tabular._bins": {"_layers"},
    "tabular._encoder": {"_snapshot", "tabular._columns", "_parameters", "_layers"},
    "tabular._columns": {"_dates", "_layers"},
    # estimators
    "_classifier": {"_base", "_targets", "_layers", "_parameters", "_snapshot"},
    "_regressor": {
        "_base",
        "_targets",
        "_inputs",
        "_layers",
        "_parameters",
        "_snapshot",
    },
    "_base": {
        "_early_stopping",
        "_features",
        "_inputs",
        "_parameters",
        "_training",
        "_schedules",
        "_snapshot",
        "_table",
        "_layers",
        "_threads",
        "_version",
        # Enumerations and the numbers of state, but never the engine.
        "core.activations",
        "core.optimizers",
        "core.regimen",
        "core.topology",
    },
    "_early_stopping": {
        "_features",
        "_inputs",
        "_scoring",
        "_training",
        "_table",
        "_layers",
    },
    "_features": {"_dates", "_parameters", "_table", "_layers"},
    "_scoring": {"_layers"},
    "_targets": {"_inputs", "_table", "_layers", "_snapshot"},
    "_inputs": {"_table", "_layers"},
    "_parameters": {"_schedules", "_layers", "core.optimizers"},
    "_versions": {"_threads", "_version", "core", "core.cpu"},
    # training
    "_training": {
        "_schedules",
        "_table",
        "_threads",
        "_layers",
        "core.engine",
        "core.optimizers",
        "core.regimen",
        "core.shuffle",
        "core.topology",
    },
    "_schedules": {"_layers"},
    # network
    "_network": {
        "_table",
        "_layers",
        "core.engine",
        "core.activations",
        "core.losses",
    },
    "_table": {"_layers", "_threads", "core.engine", "core.topology"},
    "_threads": {"core.engine"},
    "_layers": {
        "core.activations",
        "core.embeddings",
        "core.losses",
        "core.topology",
    },
    # anybody's
    "_dates": set(),
    "_version": set(),
    "_snapshot": set(),
    "core": {"core.cpu", "core.engine"},
    # Run by the build, not by the package.
    "core.make_tiles": set(),
}
WITHOUT_SKLEARN = {
    "_dates",
    "_training",
    "_schedules",
    "_threads",
    "_network",
    "_table",
    "_layers",
    "_source_folder",
    "_version",
    "_versions",
    "core",
}

# Files of the core, from the top down: what each may cimport or import from which.
# A name of None stands for any name.
CORE_ALLOWED: dict[str, dict[str, set[str] | None]] = {
    # The doors, then what knows that a network has layers.
    "engine": {
        "passes": None,
        "places": None,
        "topology": {"Topology"},
        "optimizers": None,
        "losses": {"Loss"},
        "activations": None,
        "products": None,
        "dropout": {"Mask", "mask_of"},
        "regimen": None,
        "gather": {"row_at"},
        "matrix": {"GROUP"},
        "team": None,
        "subnormals": {"flush", "restore"},
        "simd": {"PANELS"},
        "real": None,
        "libc.limits": None,
        "libc.math": None,
    },
    "passes": {
        "places": None,
        "topology": {"Topology"},
        "optimizers": None,
        "losses": None,
        "activations": None,
        "products": None,
        "embeddings": None,
        "dropout": None,
        "regimen": {"Regimen"},
        "gather": None,
        "matrix": None,
        "team": None,
        "simd": {"PANELS"},
        "real": None,
        "libc.limits": None,
    },
    "places": {
        "topology": {"Topology"},
        "embeddings": {"curve_elements"},
        "activations": {"needs_z"},
        "products": {"narrow", "packed_elements"},
        "matrix": {"elements"},
        "real": None,
        "libc.stdint": None,
    },
    # Integers only; of the mathematics it knows which pairs are canonical.
    "topology": {
        "losses": {"canonical_output", "Loss"},
        "activations": {"Activation"},
        "embeddings": {"Embeddings", "N_GROUPS"},
        "numpy": None,
    },
    "regimen": {"real": {"uint64_t"}, "numpy": None},
    "embeddings": {
        "gather": {"row_at"},
        "real": None,
        "libc.string": None,
        "numpy": None,
    },
    # The mathematics: strangers to each other, but a loss names its output.
    "optimizers": {"real": None, "libc.math": None},
    "losses": {"activations": {"Activation"}, "real": None, "libc.math": None},
    "activations": {"real": None},
    "dropout": {"real": None},
    # The arithmetic: products over BLAS or over panels, which are made of tiles.
    "products": {
        "blas": None,
        "gather": None,
        "panels": None,
        "matrix": None,
        "simd": None,
        "real": None,
        "libc.string": None,
    },
    "gather": {"panels": None, "simd": None, "real": None, "libc.string": None},
    "panels": {"matrix": None, "tiles": None, "simd": None, "libc.string": None},
    "matrix": {"simd": {"PANELS", "WIDTH"}},
    "blas": {"real": None, "scipy.linalg.cython_blas": None},
    "team": {},
    "subnormals": {},
    "simd": {},
    "real": {"libc.math": None},
    # Draws from the stream that it is given.
    "shuffle": {"cpython.pycapsule": None, "libc.stdint": None, "numpy.random": None},
    # Asked before any engine is loaded.
    "cpu": {},
}

PYTHON_FILES = sorted(PACKAGE.rglob("*.py"))
CYTHON_FILES = sorted([*CORE.glob("*.pxd"), *CORE.glob("*.pyx")])
SOURCES = sorted(
    path
    for path in PACKAGE.rglob("*")
    if path.is_file()
    and path.suffix in {".py", ".pyi", ".pxd", ".pyx", ".pxi", ".in", ".build", ".c"}
)


def names(paths: list[Path]) -> list[str]:
    return [path.relative_to(PACKAGE).as_posix() for path in paths]


def test_sources_are_here() -> None:
    """The tests below would pass on nothing."""
    assert {"__init__.py", "_network.py", "core/__init__.py"} <= set(
        names(PYTHON_FILES)
    )
    assert {"core/engine.pyx", "core/real.pxd"} <= set(names(CYTHON_FILES))
    assert {"meson.build", "core/meson.build"} <= set(names(SOURCES))


# Python


def module_name(path: Path) -> str:
    parts = list(path.relative_to(PACKAGE).with_suffix("").parts)
    if parts[-1] == "__init__" and len(parts) > 1:
        parts.pop()
    return ".".join(parts)


class Import(NamedTuple):
    module: str  # absolute, such as "sklearn.base"
    name: str | None  # what is taken from it


def imports(path: Path) -> list[Import]:
    """Every import of a file, those inside functions too, as absolute names."""
    package = ["skbackprop", *path.relative_to(PACKAGE).parent.parts]
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [Import(alias.name, None) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            found += [Import(module, alias.name) for alias in node.names]
    return found


def is_module(name: str) -> bool:
    """Whether skbackprop has a module or package of that dotted name."""
    path = PACKAGE.joinpath(*name.split("."))
    return path.is_dir() or any(
        path.with_suffix(suffix).is_file() for suffix in (".py", ".pyx")
    )


def internal_edges(path: Path) -> set[str]:
    """The modules of skbackprop that a file imports."""
    edges = set()
    for module, name in imports(path):
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
    core_lines = list(CORE_ALLOWED)
    for place, (module, edges) in enumerate(CORE_ALLOWED.items()):
        for target in edges.keys() & CORE_ALLOWED.keys():
            assert core_lines.index(target) > place, (module, target)


@pytest.mark.parametrize("path", PYTHON_FILES, ids=names(PYTHON_FILES))
def test_imports_are_allowed(path: Path) -> None:
    assert internal_edges(path) <= ALLOWED[module_name(path)]


def test_nobody_imports_a_face() -> None:
    faces = {"cli", "__main__"}
    importers = {module_name(p) for p in PYTHON_FILES if internal_edges(p) & faces}
    assert importers == {"__main__"}


@pytest.mark.parametrize("module", sorted(WITHOUT_SKLEARN))
def test_nothing_below_the_estimators_imports_sklearn(module: str) -> None:
    paths = [p for p in PYTHON_FILES if module_name(p).split(".")[0] == module]
    assert paths
    for path in paths:
        assert not [found for found in imports(path) if is_sklearn(found.module)]


@pytest.mark.parametrize("path", CYTHON_FILES, ids=names(CYTHON_FILES))
def test_core_does_not_know_sklearn(path: Path) -> None:
    assert "sklearn" not in path.read_text(encoding="utf-8")


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
    assert private_uses(path.read_text(encoding="utf-8")) == []


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


# The core


def core_edges(source: str) -> list[tuple[str, str]]:
    """(module, name) of every import and cimport, leading dots left out."""
    edges = []
    statement = re.compile(
        r"^[ \t]*from[ \t]+\.*([\w.]*)[ \t]+c?import[ \t]*(\([^)]*\)|[^\n]*)", re.M
    )
    for module, listed in statement.findall(source):
        for part in listed.strip("()").split(","):
            words = re.sub(r"#.*", "", part).split()
            if words:
                edges.append((module or words[0], words[0]))
    plain = re.compile(r"^[ \t]*c?import[ \t]+([^\n#]*)", re.M)
    for listed in plain.findall(source):
        edges += [(part.split()[0], "") for part in listed.split(",")]
    return edges


def without_strings(source: str) -> str:
    """The source without docstrings, where words may look like an import."""
    return re.sub(r'""".*?"""', '""', source, flags=re.S)


def test_core_edges_are_read() -> None:
    source = (
        "from .a cimport b, c as d\nfrom . cimport e\n"
        "from .f import (\n    g,\n    h,\n)\n"
        "import numpy as np\ncimport cython\n    from libc.math cimport exp  # (x)\n"
    )
    assert core_edges(source) == [
        ("a", "b"),
        ("a", "c"),
        ("e", "e"),
        ("f", "g"),
        ("f", "h"),
        ("libc.math", "exp"),
        ("numpy", ""),
        ("cython", ""),
    ]


def test_core_table_lists_every_file() -> None:
    assert {path.stem for path in CYTHON_FILES} == set(CORE_ALLOWED)


@pytest.mark.parametrize("path", CYTHON_FILES, ids=names(CYTHON_FILES))
def test_core_edges_are_allowed(path: Path) -> None:
    allowed = CORE_ALLOWED[path.stem]
    for module, name in core_edges(without_strings(path.read_text(encoding="utf-8"))):
        assert module in allowed, f"{path.stem} may not import {module}"
        only = allowed[module]
        assert only is None or name in only, (
            f"{path.stem} may not import {name} of {module}"
        )


@pytest.mark.parametrize("path", CYTHON_FILES, ids=names(CYTHON_FILES))
def test_directives_stand_in_the_build_alone(path: Path) -> None:
    """A directive in a file would hold whatever the build says, silently."""
    source = path.read_text(encoding="utf-8")
    assert not re.search(r"#\s*cython\s*:|#\s*distutils\s*:", source)
    assert not re.search(
        r"@cython\.|\bcython\.(boundscheck|wraparound|cdivision)", source
    )


@pytest.mark.parametrize("path", SOURCES, ids=names(SOURCES))
def test_forbidden_flags(path: Path) -> None:
    """They change the process, tie the binary to one machine, or die after a fork."""
    assert_no_forbidden_flags(path)


def test_forbidden_flags_in_the_build() -> None:
    assert_no_forbidden_flags(HERE.parent / "meson.build")


def assert_no_forbidden_flags(path: Path) -> None:
    source = path.read_text(encoding="utf-8").lower()
    for word in ("fast-math", "-ofast", "march=native", "prange", "openmp"):
        assert word not in source, word


# Names and tags: paper, NumPy, Cython


NAMES = [kind.name.lower() for kinds in (Activation, Loss, Solver) for kind in kinds]
HEADINGS = [
    line
    for line in DERIVATIONS.read_text(encoding="utf-8").splitlines()
    if line.startswith("#")
]


@pytest.mark.parametrize("name", NAMES)
def test_every_name_has_its_paragraph(name: str) -> None:
    assert [line for line in HEADINGS if f"`{name}`" in line]


@pytest.mark.parametrize("name", [kind.name.lower() for kind in Activation])
def test_every_activation_is_in_the_reference(name: str) -> None:
    assert callable(getattr(reference, name))
    if name == "softmax":
        assert callable(reference.softmax_jacobian)
    else:
        assert reference.ACTIVATIONS[name] is getattr(reference, name)
        assert callable(reference.DERIVATIVES[name])


@pytest.mark.parametrize("name", [kind.name.lower() for kind in Loss])
def test_every_loss_is_in_the_reference(name: str) -> None:
    assert name in reference.LINKS
    if reference.LINKS[name] == "softmax":  # a function of Z alone
        body = (HERE / "reference.py").read_text(encoding="utf-8")
        assert body.count(f'case "{name}"') >= 2
    else:
        assert reference.LOSSES[name] is getattr(reference, name)


@pytest.mark.parametrize("name", [kind.name.lower() for kind in Solver])
def test_every_solver_is_in_the_reference(name: str) -> None:
    assert callable(getattr(reference, f"{name}_step"))


def tags(text: str) -> set[str]:
    return set(re.findall(r"\(([A-Z]\d+)\)", text))


def docstring_tags(path: Path) -> set[str]:
    """Tags of the docstrings and comments of a file."""
    source = path.read_text(encoding="utf-8")
    return tags(" ".join(re.findall(r'""".*?"""|#[^\n]*', source, flags=re.S)))


@pytest.mark.parametrize("path", CYTHON_FILES, ids=names(CYTHON_FILES))
def test_tags_of_kernels_are_those_of_the_document(path: Path) -> None:
    used = docstring_tags(path)
    assert used <= tags(DERIVATIONS.read_text(encoding="utf-8"))
    assert used <= tags((HERE / "reference.py").read_text(encoding="utf-8"))


def test_every_tag_of_the_document_is_a_kernel() -> None:
    """(L3) is computed from Z alone, as (L5)."""
    kernels = set().union(*(docstring_tags(path) for path in CYTHON_FILES))
    assert tags(DERIVATIONS.read_text(encoding="utf-8")) - kernels <= {"L3"}
    assert len(kernels) >= 20
