"""A copy of the source tree with a page's diff blocks applied, to build and to test."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Edit:
    """Lines of a file, and what takes their place."""

    path: str
    title: str
    old: str
    new: str


def fail(what: str) -> NoReturn:
    print(f"FAIL  {what}", flush=True)
    sys.exit(1)


def expect(truth: object, what: str) -> None:
    if not truth:
        fail(what)
    print(f"ok    {what}", flush=True)


# The page --------------------------------------------------------------------


def read_edits(page: Path) -> list[Edit]:
    """The hunks of all diff blocks, in the order of the page."""
    edits: list[Edit] = []
    text = page.read_text(encoding="utf-8")
    for block in re.findall(r"^```diff\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        head = re.match(r"--- a/(\S+)\n\+\+\+ b/(\S+)\n(?=@@)", block)
        if head is None or head[1] != head[2]:
            fail(f"a diff block does not begin with the two names of a file:\n{block}")
        for hunk in re.split(r"^@@ ", block[head.end() :], flags=re.MULTILINE)[1:]:
            title, *lines = hunk.splitlines()
            if any(line[:1] not in ("", " ", "-", "+") for line in lines):
                fail(f"a line of {head[1]}, {title} begins with none of ' -+'")
            old = [line[1:] for line in lines if line[:1] in ("", " ", "-")]
            new = [line[1:] for line in lines if line[:1] in ("", " ", "+")]
            edits.append(Edit(head[1], title.strip(" @"), _text(old), _text(new)))
    expect(edits, f"{page.name} holds {len(edits)} edits")
    return edits


def _text(lines: list[str]) -> str:
    return "".join(line + "\n" for line in lines)


def apply(edit: Edit, tree: Path) -> None:
    """Replace whole lines that occur in the file exactly once."""
    path = tree / edit.path
    text = "\n" + path.read_text(encoding="utf-8")
    places = text.count("\n" + edit.old)
    where = f"{edit.path}, {edit.title}"
    if places != 1:
        fail(f"{where}: the old lines stand there {places} times instead of once")
    print(f"ok    {where}: applied", flush=True)
    text = text.replace("\n" + edit.old, "\n" + edit.new)
    path.write_text(text[1:], encoding="utf-8")


# Copies and builds -----------------------------------------------------------


def copy_sources(tree: Path) -> None:
    """The source tree without what is hidden or built."""

    def left_out(folder: str, names: list[str]) -> set[str]:
        return {
            name
            for name in names
            if name.startswith(".")
            or name in ("build", "dist", "__pycache__")
            or (Path(folder) / name / "pyvenv.cfg").exists()
        }

    shutil.copytree(ROOT, tree, ignore=left_out)


def environment(target: Path) -> dict[str, str]:
    """Tools of this interpreter first, and the package from the target folder."""
    scripts = sysconfig.get_path("scripts")
    path = os.pathsep.join([scripts, os.environ.get("PATH", os.defpath)])
    return {**os.environ, "PATH": path, "PYTHONPATH": str(target)}


def highest_level() -> str:
    """That of the installed package, which is quicker built than all; or all."""
    try:
        from skbackprop.core import level
    except ImportError:
        return ""
    return level


def build(tree: Path, target: Path, isolated: bool, level: str = "") -> None:
    """Install a copy of the tree, at one level of instructions or at all."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    command += ["--disable-pip-version-check", "--target", str(target)]
    command += [] if isolated else ["--no-build-isolation"]
    command += [f"-Csetup-args=-Dlevels={level}"] if level else []
    result = subprocess.run(
        [*command, str(tree)],
        cwd=tree.parent,
        env=environment(target),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if result.returncode:
        print(result.stdout)
    expect(result.returncode == 0, f"the tree of {target.name!r} builds")


def find_test(name: str, folder: Path) -> Path:
    """A file of the copy's tests, in whatever folder of them."""
    found = list((folder / "tree" / "tests").rglob(name))
    if len(found) != 1:
        fail(f"there are {len(found)} files {name} among the tests, wanted one")
    return found[0]


# What is tested in a process of its own --------------------------------------


def check(stage: str, target: Path, level: str = "") -> None:
    """Run a stage of this script on a build, at a level of instructions."""
    variables = environment(target)
    if level:
        variables["SKBACKPROP_SIMD"] = level
    script, folder = str(Path(sys.argv[0]).resolve()), str(target.parent)
    result = subprocess.run(
        [sys.executable, script, "--stage", stage, "--folder", folder],
        cwd=folder,
        env=variables,
        check=False,
    )
    if result.returncode:
        fail(f"stage {stage!r} ended with exit status {result.returncode}")


def use_only(target: Path) -> None:
    """Import skbackprop from the target, whatever editable install there is."""
    from importlib.machinery import BuiltinImporter, FrozenImporter, PathFinder

    # An editable install is found by a finder of its own, ahead of the paths.
    sys.meta_path[:] = [BuiltinImporter, FrozenImporter, PathFinder]
    import skbackprop

    if target.resolve() not in Path(skbackprop.__file__).resolve().parents:
        fail(f"skbackprop was imported from {skbackprop.__file__}, not from {target}")


def use_reference(folder: Path) -> None:
    """Let the copy's reference.py be imported."""
    sys.path.insert(0, str(find_test("reference.py", folder).parent))


def run_tests(names: tuple[str, ...], word: str, folder: Path) -> None:
    """The copy's test files, each of which must have a case about the word, if any."""
    try:
        import pytest
    except ImportError:
        print("--    the test files were not run: pytest is not installed")
        return
    tests = [str(find_test(name, folder)) for name in names]
    ran: list[str] = []

    class Count:
        def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
            if report.when == "call" and word in report.nodeid and report.passed:
                ran.append(report.nodeid)

    status = pytest.main(["-q", "-q", "-p", "no:cacheprovider", *tests], [Count()])
    expect(status == 0, f"the extended copy passes {', '.join(names)}")
    for name in names if word else ():
        count = sum(name in test for test in ran)
        expect(count, f"{count} tests of {name} are about {word}, wanted some")


# The script ------------------------------------------------------------------


def main(
    description: str,
    stages: dict[str, Callable[[Path], None]],
    carry_out: Callable[[Path, bool], None],
) -> None:
    """``carry_out(folder, isolated)``, or one of the stages that it has begun."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument(
        "--build-isolation",
        action="store_true",
        help="let pip fetch the build tools instead of using the installed ones",
    )
    parser.add_argument(
        "--folder", type=Path, help="new folder to work in and keep; default: temporary"
    )
    parser.add_argument("--stage", choices=list(stages), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.stage:
        stages[options.stage](options.folder)
    elif options.folder:
        options.folder.mkdir(parents=True)
        carry_out(options.folder.resolve(), options.build_isolation)
    else:
        with tempfile.TemporaryDirectory(prefix="skbackprop-") as folder:
            carry_out(Path(folder).resolve(), options.build_isolation)
