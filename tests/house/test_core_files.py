"""The files of the core: what imports what, its directives and its flags.

A new file needs its line in the table here.

Answers for: core/meson.build, meson.build, core/make_tiles.py,
core/float32/real_type.pxi, core/float64/real_type.pxi.
"""

import re
from pathlib import Path

import pytest
from sources import ROOT, SOURCES, core_sources, names, read

# Files of the core, from the top down: what each may cimport or import from which.
# A name of None stands for any name.
CORE_ALLOWED: dict[str, dict[str, set[str] | None]] = {
    # The doors: what Python calls, with what has checked it.
    "engine": {
        "updates": None,
        "passes": None,
        "kinds": {"DENSE"},
        "products": None,
        "layers": {"Batch", "Layer", "Network"},
        "topology": {"Topology"},
        "embeddings": {"EmbeddingLayer", "Embeddings", "curve_elements"},
        "optimizers": {"Optimizer", "StepScale", "decay", "rate", "slots"},
        "losses": {"Loss", "LossOf"},
        "activations": None,
        "dropout": {"mask_of"},
        "gather": {"Rows"},
        "matrix": None,
        "team": None,
        "elementary": None,
        "subnormals": {"flush", "restore"},
        "simd": {"PANELS"},
        "real": None,
        "kernels": None,
        "table": None,
        "trainer": None,
        "workspace": None,
        "libc.limits": None,
        "libc.math": None,
        "libc.stdint": None,
        "libc.string": None,
        "numpy": None,
    },
    # Parts of the engine.
    "trainer": {},
    "workspace": {},
    "table": {},
    "kernels": {},
    # What knows that a network has layers.
    "updates": {
        "passes": None,
        "kinds": {"DENSE"},
        "products": {"half_square", "pack_weights", "weight_gradient"},
        "layers": {"Batch", "Layer", "Network"},
        "embeddings": {"CURVE", "MISSING", "TABLE", "draw_curves"},
        "optimizers": {"GroupScale", "Optimizer", "Slice", "step"},
        "gather": {"Rows"},
        "matrix": {"ROW_CHUNK"},
        "team": None,
        "real": None,
        "libc.math": None,
    },
    "passes": {
        "kinds": None,
        "products": None,
        "layers": {"Batch", "Layer", "Network"},
        "embeddings": {"code_gradient", "draw_curves", "embed", "number_gradient"},
        "losses": None,
        "activations": None,
        "dropout": {"drop"},
        "gather": None,
        "matrix": {"ROW_CHUNK", "Matrix", "n_panels", "width"},
        "team": None,
        "simd": {"PANELS"},
        "real": None,
        "libc.limits": None,
    },
    # Integers only; of the mathematics it knows which pairs are canonical.
    "topology": {
        "kinds": {"DENSE", "N_KINDS", "parameter_groups"},
        "embeddings": {"Embeddings"},
        "losses": {"canonical_output", "Loss"},
        "activations": {"Activation"},
        "math": None,
        "numpy": None,
        "typing": None,
    },
    # One layer: what it computes, and the products of a dense one.
    "kinds": {"layers": {"Layer"}, "matrix": None, "real": None},
    "products": {
        "layers": {"Batch", "Layer"},
        "blas": None,
        "gather": {"Rows", "row_at", "sparse_row"},
        "panels": None,
        "matrix": None,
        "simd": None,
        "team": {"Thread", "stopped"},
        "real": None,
        "libc.string": None,
    },
    # Structs alone.
    "layers": {
        "embeddings": {"EmbeddingLayer"},
        "optimizers": {"StepScale"},
        "losses": {"LossOf"},
        "dropout": {"DropoutMask"},
        "matrix": {"Matrix"},
        "real": None,
    },
    # The mathematics: strangers to each other, but a loss names its output.
    "embeddings": {
        "gather": {"Rows", "row_at"},
        "real": None,
        "libc.string": None,
        "numpy": None,
    },
    "optimizers": {"elementary": {"square_root"}, "real": None, "libc.math": None},
    "losses": {
        "activations": {"Activation"},
        "elementary": None,
        "real": None,
        "libc.math": None,
    },
    "activations": {"elementary": None, "real": None},
    "dropout": {"elementary": {"int32_t", "uint32_t", "uint64_t"}, "real": None},
    # The arithmetic: BLAS, or panels, which are made of tiles.
    "gather": {
        "panels": {"SparseRow", "rows_to_panels"},
        "matrix": {"Matrix"},
        "simd": {"PANELS"},
        "real": None,
        "libc.string": None,
    },
    "panels": {
        "tiles": None,
        "matrix": {"Matrix", "element_at"},
        "simd": None,
        "team": {"Thread", "stopped"},
        "real": None,
        "libc.string": None,
    },
    # Written by make_tiles.py.
    "tiles": {"simd": None, "real": None},
    "matrix": {"simd": {"PANEL", "PANELS"}, "real": None},
    "blas": {"real": None, "blas_int": None, "scipy.linalg.cython_blas": None},
    "simd": {"real": None},
    # Of any type: fused.
    "elementary": {"libc.math": None},
    "real": {"real_type": None},
    "team": {"numpy": None},
    "subnormals": {},
    # Draws from the stream that it is given.
    "shuffle": {"cpython.pycapsule": None, "libc.stdint": None, "numpy.random": None},
    # Asked before any engine is loaded.
    "cpu": {},
    # A twin for each type, of which the build chooses one.
    "real_type": {},
}

FILES = core_sources()


def test_files_are_here() -> None:
    """The tests below would pass on nothing."""
    assert {"engine.pyx", "kernels.pxi", "real.pxd", "tiles.pxd"} <= set(FILES)
    assert {"core/engine.pyx", "core/meson.build"} <= set(names(SOURCES))


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
    included = re.compile(r'^include "([\w/]+)\.pxi"', re.M)
    return edges + [(name, "") for name in included.findall(source)]


def without_strings(source: str) -> str:
    """The source without docstrings, where words may look like an import."""
    return re.sub(r'""".*?"""', '""', source, flags=re.S)


def test_core_edges_are_read() -> None:
    source = (
        "from .a cimport b, c as d\nfrom . cimport e\n"
        "from .f import (\n    g,\n    h,\n)\n"
        "import numpy as np\ncimport cython\n    from libc.math cimport exp  # (x)\n"
        'include "i.pxi"\n'
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
        ("i", ""),
    ]


def stem(name: str) -> str:
    return name.split("/")[-1].split(".")[0]


def test_core_table_lists_every_file() -> None:
    assert {stem(name) for name in FILES} == set(CORE_ALLOWED)


def test_core_table_points_down_only() -> None:
    """Each line may name later lines alone, so that there is no way back up."""
    lines = list(CORE_ALLOWED)
    for place, (module, edges) in enumerate(CORE_ALLOWED.items()):
        for target in edges.keys() & CORE_ALLOWED.keys():
            assert lines.index(target) > place, (module, target)


@pytest.mark.parametrize("name", FILES)
def test_core_edges_are_allowed(name: str) -> None:
    allowed = CORE_ALLOWED[stem(name)]
    for module, what in core_edges(without_strings(FILES[name])):
        assert module in allowed, f"{name} may not import {module}"
        only = allowed[module]
        assert only is None or what in only, f"{name} may not import {what} of {module}"


def test_types_are_twins() -> None:
    """What one of them defines, the other does."""
    twins = [FILES[f"float{bits}/real_type.pxi"] for bits in (32, 64)]
    defined = [set(re.findall(r"#define (\w+)", text)) for text in twins]
    assert defined[0] == defined[1] and "SKB_REAL_BYTES" in defined[0]


#: Parameters that a function has at most, without self.
MOST = 8
#: Functions that may have more, up to 10, each with the reason.
MORE = {
    "engine.pyx: loss_and_grad": (
        "Python's way to value, gradient and dL/dX, alone or as one of a team; most of "
        "it is left out in most calls"
    ),
    "tiles.pxd: tile": (
        "a shape, and what is added and multiplied, each with its stride: the compiler "
        "keeps all of it in registers"
    ),
}


def functions(source: str) -> list[tuple[str, list[str]]]:
    """Name and parameters of every function that is defined in a Cython source."""
    source = re.sub(r"#[^\n]*", "", without_strings(source))
    head = re.compile(r"^[ \t]*(?:cdef|cpdef|def)\b[^\n=(]*?(\w+)[ \t]*\(", re.M)
    found = []
    for match in head.finditer(source):
        depth, parts = 1, [""]
        for sign in source[match.end() :]:
            depth += (sign in "([{") - (sign in ")]}")
            if depth == 0:
                break
            if sign == "," and depth == 1:
                parts.append("")
            else:
                parts[-1] += sign
        listed = [part.strip() for part in parts]
        parameters = [p for p in listed if p not in {"", "self", "*", "/"}]
        found.append((match[1], parameters))
    return found


def with_many_parameters(sources: dict[str, str], most: int) -> set[str]:
    return {
        f"{name}: {function}"
        for name, source in sources.items()
        for function, parameters in functions(source)
        if len(parameters) > most
    }


def test_functions_are_read() -> None:
    source = (
        "cdef inline int f(\n    const real[::1] a, int b=g(1, 2),  # (x, y)\n"
        ") noexcept nogil:\n    cdef int i = h(a, b, 3)\n    return i\n"
        "cdef class C:\n    cdef real* at(self) except NULL:\n        pass\n"
        "    def k(self, int n, *, x=(0, 1), **more):\n        pass\n"
        "cpdef Matrix m(A* a): pass\ncdef void no_op () noexcept: pass\n"
    )
    assert functions(source) == [
        ("f", ["const real[::1] a", "int b=g(1, 2)"]),
        ("at", []),
        ("k", ["int n", "x=(0, 1)", "**more"]),
        ("m", ["A* a"]),
        ("no_op", []),
    ]
    sizes = {name: len(functions(text)) for name, text in FILES.items()}
    assert sum(sizes.values()) > 200 and sizes["kernels.pxi"] >= 9
    assert sizes["tiles.pxd"] == FILES["tiles.pxd"].count("cdef inline") > 24


def test_functions_have_few_parameters() -> None:
    """What belongs together is an object or a struct."""
    assert with_many_parameters(FILES, MOST) == set(MORE)
    assert not with_many_parameters(FILES, 10)


@pytest.mark.parametrize(
    ("name", "line", "function"),
    [
        ("losses.pxd", "    const LossOf* loss,\n", "weighted_loss"),
        ("trainer.pxi", "        double alpha=0,\n", "__init__"),  # of Trainer
        ("losses.pxd", "    double epsilon,\n", "smoothing"),
    ],
)
def test_one_parameter_more_would_be_seen(name: str, line: str, function: str) -> None:
    assert FILES[name].count(line) == 1
    grown = {name: FILES[name].replace(line, line + "    int one_more,\n")}
    seen = with_many_parameters(grown, MOST) - set(MORE)
    assert seen == {f"{name}: {function}"}


@pytest.mark.parametrize("name", FILES)
def test_directives_stand_in_the_build_alone(name: str) -> None:
    """A directive in a file would hold whatever the build says, silently."""
    source = FILES[name]
    assert not re.search(r"#\s*cython\s*:|#\s*distutils\s*:", source)
    assert not re.search(
        r"@cython\.|\bcython\.(boundscheck|wraparound|cdivision)", source
    )


@pytest.mark.parametrize("path", SOURCES, ids=names(SOURCES))
def test_forbidden_flags(path: Path) -> None:
    """They change the process, tie the binary to one machine, or die after a fork."""
    assert_no_forbidden_flags(path)


def test_forbidden_flags_in_the_build() -> None:
    assert_no_forbidden_flags(ROOT / "meson.build")


def assert_no_forbidden_flags(path: Path) -> None:
    source = read(path).lower()
    for word in ("fast-math", "-ofast", "march=native", "prange", "openmp"):
        assert word not in source, word


@pytest.mark.parametrize("name", FILES)
def test_core_does_not_know_sklearn(name: str) -> None:
    assert "sklearn" not in FILES[name]
