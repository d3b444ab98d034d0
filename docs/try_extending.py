"""Carry out docs/extending.md on a copy of the source tree, and test the result.

    python docs/try_extending.py [--build-isolation] [--folder FOLDER]

The interpreter that runs this needs numpy, scipy and scikit-learn; without
--build-isolation also meson-python, meson, ninja and Cython. The copy is built twice,
as it is and with the diff blocks of the page applied, into folders of their own: the
environment is not changed. One line per step; the exit status is 1 where one fails.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

HERE = Path(__file__).resolve()
ROOT = HERE.parent.parent
PAGE = HERE.parent / "extending.md"
NAME = "softplus"
#: Test files whose cases follow from the diff blocks alone.
SUITE = ("test_derivations.py", "test_gradients.py")


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


def read_edits(page: str) -> list[Edit]:
    """The hunks of all diff blocks, in the order of the page."""
    edits: list[Edit] = []
    for block in re.findall(r"^```diff\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
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


# The two builds --------------------------------------------------------------


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


def build(tree: Path, target: Path, isolated: bool) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    command += ["--disable-pip-version-check", "--target", str(target)]
    command += [] if isolated else ["--no-build-isolation"]
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


def check(stage: str, tree: Path, target: Path) -> None:
    """Run one of STAGES on a build, in a process of its own."""
    result = subprocess.run(
        [sys.executable, str(HERE), "--stage", stage, "--folder", str(tree.parent)],
        cwd=tree.parent,
        env=environment(target),
        check=False,
    )
    if result.returncode:
        fail(f"stage {stage!r} ended with exit status {result.returncode}")


# What is tested in a process of its own --------------------------------------


def use_only(target: Path) -> None:
    """Import skbackprop from the target, whatever editable install there is."""
    from importlib.machinery import BuiltinImporter, FrozenImporter, PathFinder

    # An editable install is found by a finder of its own, ahead of the paths.
    sys.meta_path[:] = [BuiltinImporter, FrozenImporter, PathFinder]
    import skbackprop

    if target.resolve() not in Path(skbackprop.__file__).resolve().parents:
        fail(f"skbackprop was imported from {skbackprop.__file__}, not from {target}")


def refusal(name: str) -> str:
    """What the estimators say about an activation; nothing where they accept it."""
    from sklearn.datasets import load_iris

    from skbackprop import BackpropMLPClassifier, BackpropMLPRegressor

    said = ""
    for model in BackpropMLPClassifier, BackpropMLPRegressor:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # one epoch does not converge
                model(activation=name, max_iter=1).fit(*load_iris(return_X_y=True))
        except ValueError as error:
            said = str(error)
    return said


def stage_before(folder: Path) -> None:
    use_only(folder / "before")
    allowed, _, given = refusal(NAME).partition(" Got ")
    expect(NAME in given, f"before, activation={NAME!r} is refused")
    known = ("identity", "logistic", "relu", "sigmoid", "tanh")
    expect(
        all(repr(name) in allowed for name in known) and NAME not in allowed,
        "the error lists the names that are allowed",
    )


def stage_after(folder: Path) -> None:
    use_only(folder / "after")
    sys.path.insert(0, str(folder / "tree" / "tests"))
    import numpy as np
    import reference  # pyright: ignore[reportMissingImports]
    from sklearn.datasets import load_iris
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from skbackprop import BackpropMLPClassifier, Network
    from skbackprop.core import engine
    from skbackprop.core.activations import Activation

    expect(not refusal(NAME), f"after, activation={NAME!r} is accepted")
    expect(
        repr(NAME) in refusal("no such name"),
        "the error for a wrong name lists the new one",
    )

    kind = int(Activation[NAME.upper()])
    for dtype in np.float64, np.float32:
        Z = np.array([-300, -2, -1e-3, -0.0, 0.0, 1e-3, 2, 300, np.nan], dtype=dtype)
        A, slope = np.empty_like(Z), np.ones_like(Z)
        engine.activation(kind, Z, A, 1)
        engine.derivative(kind, Z, A, slope)
        near = {"rtol": 4 * np.finfo(dtype).eps, "atol": 0, "equal_nan": True}
        expect(
            np.allclose(A, reference.ACTIVATIONS[NAME](Z), **near)
            and np.allclose(slope[:-1], reference.DERIVATIVES[NAME](Z)[:-1], **near),
            f"value and slope are those of tests/reference.py in {dtype.__name__}",
        )

    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(9, 4)), rng.normal(size=(9, 2))
    net = Network(
        [4, 6, 5, 2],
        NAME,
        loss="squared_error",
        output_activation=NAME,
        random_state=0,
    )
    Zs = net.forward(X, return_layers=True).Z
    expect(
        any((Z < 0).any() for Z in Zs) and any((Z > 0).any() for Z in Zs),
        "the network of the gradient test uses both signs",
    )
    _, gradient = net.loss_and_gradient(X, Y, input_gradient=True)
    for j, exact in enumerate(gradient.coefs):
        coefs = list(net.coefs_)

        def loss(W: object, j: int = j, coefs: list[object] = coefs) -> float:
            net.coefs_ = [*coefs[:j], W, *coefs[j + 1 :]]
            return net.loss(X, Y)

        numeric = reference.central_difference(loss, coefs[j])
        net.coefs_ = coefs
        expect(
            np.allclose(exact, numeric, rtol=1e-6, atol=1e-9),
            f"dL/dW_{j + 1} of a Network agrees with central differences",
        )
    numeric = reference.central_difference(lambda X: net.loss(X, Y), X)
    expect(
        np.allclose(gradient.input, numeric, rtol=1e-6, atol=1e-9),
        "dL/dX of a Network agrees with central differences",
    )

    X, y = load_iris(return_X_y=True)
    mlp = BackpropMLPClassifier(
        (16, 16), NAME, solver="lbfgs", max_iter=200, tol=1e-2, random_state=0
    )
    score = make_pipeline(StandardScaler(), mlp).fit(X, y).score(X, y)
    expect(score > 0.95, f"a fit on iris scores {score:.3f}, wanted above 0.95")


def stage_suite(folder: Path) -> None:
    """The tests that follow by themselves, from the patched copy."""
    use_only(folder / "after")
    try:
        import pytest
    except ImportError:
        print("--    the test files were not run: pytest is not installed")
        return
    tests = [str(folder / "tree" / "tests" / name) for name in SUITE]
    ran: list[str] = []

    class Count:
        def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
            if report.when == "call" and NAME in report.nodeid and report.passed:
                ran.append(report.nodeid)

    status = pytest.main(["-q", "-q", "-p", "no:cacheprovider", *tests], [Count()])
    expect(status == 0, f"the extended copy passes {', '.join(SUITE)}")
    for name in SUITE:
        count = sum(name in test for test in ran)
        expect(count, f"{count} tests of {name} are about {NAME}, wanted some")


STAGES: dict[str, Callable[[Path], None]] = {
    "before": stage_before,
    "after": stage_after,
    "suite": stage_suite,
}


# The whole -------------------------------------------------------------------


def carry_out(folder: Path, isolated: bool) -> None:
    tree = folder / "tree"
    edits = read_edits(PAGE.read_text(encoding="utf-8"))
    expect(edits, f"{PAGE.name} holds {len(edits)} edits")
    copy_sources(tree)
    build(tree, folder / "before", isolated)
    check("before", tree, folder / "before")
    for edit in edits:
        apply(edit, tree)
    build(tree, folder / "after", isolated)
    check("after", tree, folder / "after")
    check("suite", tree, folder / "after")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--build-isolation",
        action="store_true",
        help="let pip fetch the build tools instead of using the installed ones",
    )
    parser.add_argument(
        "--folder", type=Path, help="new folder to work in and keep; default: temporary"
    )
    parser.add_argument("--stage", choices=list(STAGES), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.stage:
        STAGES[options.stage](options.folder)
    elif options.folder:
        options.folder.mkdir(parents=True)
        carry_out(options.folder.resolve(), options.build_isolation)
    else:
        with tempfile.TemporaryDirectory(prefix="skbackprop-") as folder:
            carry_out(Path(folder).resolve(), options.build_isolation)


if __name__ == "__main__":
    main()
