"""Carry out docs/extending.md on a copy of the source tree, and test the result.

    python docs/try_extending.py [--build-isolation] [--folder FOLDER]

The interpreter that runs this needs numpy, scipy and scikit-learn; without
--build-isolation also meson-python, meson, ninja and Cython. The copy is built twice,
as it is and with the diff blocks of the page applied, into folders of their own: the
environment is not changed. One line per step; the exit status is 1 where one fails.
"""

from __future__ import annotations

import warnings
from pathlib import Path

from edits import (
    apply,
    build,
    check,
    copy_sources,
    expect,
    highest_level,
    main,
    read_edits,
    run_tests,
    use_only,
    use_reference,
)

PAGE = Path(__file__).resolve().parent / "extending.md"
NAME = "softplus"
#: Test files whose cases follow from the diff blocks alone.
SUITE = ("test_reference.py", "test_gradients.py", "test_networks.py")
#: Those of headings, tags and mirrors.
DOCUMENT = ("test_derivations.py", "test_names.py")


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
    use_reference(folder)
    import numpy as np
    import reference  # pyright: ignore[reportMissingImports]
    from sklearn.datasets import load_iris
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from skbackprop import BackpropMLPClassifier, Network
    from skbackprop.core import engine_of
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
        engine = engine_of(dtype)
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
    run_tests(SUITE, NAME, folder)
    run_tests(DOCUMENT, "", folder)


def carry_out(folder: Path, isolated: bool) -> None:
    tree = folder / "tree"
    edits, level = read_edits(PAGE), highest_level()
    copy_sources(tree)
    build(tree, folder / "before", isolated, level)
    check("before", folder / "before")
    for edit in edits:
        apply(edit, tree)
    build(tree, folder / "after", isolated, level)
    check("after", folder / "after")
    check("suite", folder / "after")


if __name__ == "__main__":
    stages = {"before": stage_before, "after": stage_after, "suite": stage_suite}
    main(__doc__ or "", stages, carry_out)
