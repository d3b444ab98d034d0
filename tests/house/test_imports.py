"""What an import brings, when, and from where. Each program is a process of its own.

Answers for: __init__.py, tabular/__init__.py, core/__init__.py, _source_folder.py,
_version.py.
"""

import ast
import os
import shutil
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest
from sources import PACKAGE

import skbackprop
from skbackprop.core import cpu

HEAVY = {"onnx", "numpy", "scipy", "sklearn", "pandas", "importlib.metadata"}


def run(program, cwd, *options, **environment):
    environment = {**os.environ, **environment}
    environment.pop("PYTHONSAFEPATH", None)
    return subprocess.run(
        [sys.executable, *options, "-c", program],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def printed(program, cwd, *options, **environment):
    process = run(program, cwd, *options, **environment)
    assert process.returncode == 0, process.stderr
    return process.stdout.split()


# Lazy names


@pytest.mark.parametrize(
    "program",
    [
        "import skbackprop",
        "from skbackprop import __version__",
        "import skbackprop.cli",
        "from skbackprop import cli; cli.main(['--version'])",
        "from skbackprop import cli; cli.main(['train', '--help'])",
        "from skbackprop import cli; cli.main(['train', '--seed', 'x'])",
        "import skbackprop; skbackprop.core.level; dir(skbackprop)",
    ],
)
def test_nothing_heavy_is_imported(tmp_path, program):
    program += "\nimport sys; print('modules', *sys.modules)"
    shown = printed(program, tmp_path)
    modules = set(shown[shown.index("modules") :])
    assert "skbackprop.core.cpu" in modules
    assert modules & HEAVY == set()


@pytest.mark.parametrize("name", [*skbackprop.__all__, "core", *skbackprop._MODULES])
def test_every_name_alone(tmp_path, name):
    program = f"import skbackprop; a = skbackprop.{name}"
    program += f"\nfrom skbackprop import {name} as b; print(a is b)"
    assert printed(program, tmp_path) == ["True"]


def test_star_brings_all_names(tmp_path):
    program = "from skbackprop import *; print(*dir())"
    assert set(skbackprop.__all__) <= set(printed(program, tmp_path))


def test_dir_shows_all_names_before_they_are_used(tmp_path):
    shown = printed("import skbackprop; print(*dir(skbackprop))", tmp_path)
    assert {*skbackprop.__all__, "core", *skbackprop._MODULES} <= set(shown)
    assert len(shown) == len(set(shown))
    program = "from skbackprop import core; print(*dir(core))"
    assert {"OWN_KERNELS", "engine_of", "level", "levels"} <= set(
        printed(program, tmp_path)
    )


@pytest.mark.parametrize("module", ["skbackprop", "skbackprop.core"])
def test_unknown_names(module):
    with pytest.raises(ImportError, match="cannot import name 'Nothing'"):
        exec(f"from {module} import Nothing")
    with pytest.raises(AttributeError, match=f"'{module}' has no attribute 'Nothing'"):
        exec(f"import {module}; {module}.Nothing")


def test_type_checkers_see_what_is_imported_later():
    """The names under TYPE_CHECKING are those of __getattr__, from the same modules."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    (block,) = [
        node
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    seen = {
        alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == {**skbackprop._HOMES, **dict.fromkeys(skbackprop._MODULES)}
    assert {*skbackprop._HOMES, "__version__"} == set(skbackprop.__all__)


def test_threads_may_use_names_at_once(tmp_path):
    program = f"""
import threading
names = {skbackprop.__all__}
start, found, failed = threading.Barrier(16), set(), []
def use(place):
    start.wait()
    try:
        import skbackprop
        for shift in range(len(names)):
            name = names[(place + shift) % len(names)]
            found.add((name, id(getattr(skbackprop, name))))
    except BaseException as error:
        failed.append(repr(error))
threads = [threading.Thread(target=use, args=(i,)) for i in range(16)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(found), len(names), *failed)
"""
    known = str(len(skbackprop.__all__))
    assert printed(program, tmp_path) == [known, known]


@pytest.mark.parametrize(
    "program",
    ["import skbackprop", "from skbackprop import cli", "import skbackprop.core"],
)
def test_a_wrong_instruction_set_is_told_at_once(tmp_path, program):
    process = run(program, tmp_path, SKBACKPROP_SIMD="sse9")
    assert process.returncode == 1
    last = process.stderr.splitlines()[-1]
    assert last.startswith("ImportError: SKBACKPROP_SIMD must be one of portable")
    assert "'sse9'" in last


# Python started in a clone


@pytest.fixture
def clone(tmp_path):
    """The source folder, without what editors or builds left in it."""
    left = shutil.ignore_patterns("*.so", "*.pyd", "__pycache__")
    shutil.copytree(PACKAGE, tmp_path / "skbackprop", ignore=left)
    return tmp_path


@pytest.mark.parametrize(
    "program",
    [
        "import skbackprop",
        "from skbackprop import BackpropMLPClassifier",
        "import skbackprop.core.cpu",
        "from skbackprop import *",
        "import skbackprop.cli as cli; cli.main(['--version'])",
    ],
)
def test_a_clone_uses_what_is_installed(clone, program):
    program += """
import sys, skbackprop, skbackprop._network, importlib.resources
print(skbackprop.__file__, skbackprop.__spec__.origin, skbackprop.Network)
print(importlib.resources.files("skbackprop"))
for name in sorted(sys.modules):
    if name.startswith("skbackprop"):
        print(name, sys.modules[name].__file__)
"""
    shown = " ".join(printed(program, clone))
    assert "skbackprop.core.cpu" in shown and "skbackprop._version" in shown
    assert str(clone) not in shown
    assert str(Path(skbackprop.__file__).parent) in shown


def test_a_clone_runs_the_command(clone):
    process = subprocess.run(
        [sys.executable, "-m", "skbackprop", "train", "--max-iter", "1"],
        cwd=clone,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (process.returncode, process.stderr) == (0, "")
    assert "accuracy" in process.stdout


def test_threads_may_import_in_a_clone(clone):
    program = """
import threading
start, found = threading.Barrier(8), []
def use():
    start.wait()
    import skbackprop
    found.append(skbackprop.Network.__name__)
threads = [threading.Thread(target=use) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(found))
"""
    assert printed(program, clone) == ["8"]


def installed_in(folder):
    """The package and its metadata, as an installer would put them there.

    Whether the tests run on an editable install or not.
    """
    compiled = Path(cpu.__file__).parent
    shutil.copytree(PACKAGE, folder / "skbackprop", dirs_exist_ok=True)
    for module in compiled.glob("*" + EXTENSION_SUFFIXES[0]):
        shutil.copy(module, folder / "skbackprop" / "core")
    metadata = folder / f"skbackprop-{skbackprop.__version__}.dist-info" / "METADATA"
    metadata.parent.mkdir()
    text = (
        f"Metadata-Version: 2.1\nName: skbackprop\nVersion: {skbackprop.__version__}\n"
    )
    metadata.write_text(text, encoding="utf-8")
    return str(folder)


def test_a_clone_of_another_version_says_what_to_do(clone, tmp_path_factory):
    site = installed_in(tmp_path_factory.mktemp("site"))
    same = run("import skbackprop", clone, "-S", PYTHONPATH=site)
    assert same.returncode == 0, same.stderr
    version = clone / "skbackprop" / "_version.py"
    version.write_text('__version__ = "9.8.7"\n', encoding="utf-8")
    process = run("import skbackprop", clone, "-S", PYTHONPATH=site)
    assert process.returncode == 1
    last = process.stderr.splitlines()[-1]
    assert last.startswith("ImportError: ") and "pip install ." in last
    assert "9.8.7" in last and skbackprop.__version__ in last and str(clone) in last


def test_a_clone_without_anything_installed_says_what_to_do(clone):
    process = run("import skbackprop", clone, "-S")  # no site-packages
    assert process.returncode == 1
    last = process.stderr.splitlines()[-1]
    assert last.startswith("ModuleNotFoundError: skbackprop has no modules compiled")
    assert "pip install ." in last and str(clone) in last


def test_another_missing_module_is_not_hidden(clone):
    """Only the lack of compiled modules sends Python elsewhere."""
    core = clone / "skbackprop" / "core" / "__init__.py"
    core.write_text("import nothing_of_this_name\n", encoding="utf-8")
    process = run("import skbackprop", clone, "-S")
    assert process.stderr.splitlines()[-1].endswith("'nothing_of_this_name'")


# The version


def test_the_version_stands_in_one_place():
    from importlib.metadata import version

    assert version("skbackprop") == skbackprop.__version__
    shown = subprocess.run(
        [sys.executable, PACKAGE / "_version.py"], capture_output=True, text=True
    )
    assert shown.stdout == f"{skbackprop.__version__}\n"
