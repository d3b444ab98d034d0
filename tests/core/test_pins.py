"""The bits of some sixty small fits, kept for good.

A change of bits is a decision, and has a line in CHANGELOG. The record is keyed by what
decides them: level of instructions, compiler, and the versions of NumPy and SciPy.
Where there is no record for these, the same fits are compared with its numbers to
rounding, as L-BFGS is everywhere, since SciPy's arithmetic is not ours.

``SKBACKPROP_SIMD=avx2 python tests/core/test_pins.py`` records a level anew.

Answers for: core/panels.pxd, core/make_tiles.py, core/products.pxd, core/updates.pxd,
core/engine.pyx.
"""

import hashlib
import json
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import scipy
import scipy.sparse as sp
from numpy.testing import assert_allclose

from skbackprop import (
    BackpropMLPClassifier,
    BackpropMLPRegressor,
    TabularMLPClassifier,
    TabularMLPRegressor,
    _threads,
    core,
)
from skbackprop.core.cpu import compiler

RECORD = Path(__file__).with_name("pins.json")
KEY = f"{core.level}, {compiler()}, NumPy {np.__version__}, SciPy {scipy.__version__}"
#: Has kernels of its own; at the portable level BLAS decides about bits.
OWN_KERNELS = core.level != "portable"

CLASSES, NUMBERS, FITS = BackpropMLPClassifier, BackpropMLPRegressor, {}


def data(kind, dtype, n=150, p=11):
    """Rows, targets and weights that depend on nothing but the arguments."""
    rng = np.random.RandomState(7)
    X = np.round(rng.uniform(-2, 2, (n, p)), 3)
    score = X @ np.round(rng.uniform(-1, 1, (p, 3)), 3)
    y = {
        "two": (score[:, 0] > 0).astype(int),
        "three": score.argmax(axis=1),
        "many": (np.arange(n) * 7) % 19,
        "labels": (score > 0).astype(int),
        "number": np.round(score[:, 0], 3),
        "numbers": np.round(score, 3),
        "counts": np.round(np.abs(score[:, 0])),
        "share": np.round(np.abs(score[:, 0]) / 20, 3),
    }[kind]
    return X.astype(dtype), y, np.round(rng.uniform(0, 3, n), 2)


def fitted(family, kind, dtype="float32", *, sparse=False, weights=False, again=0, **p):
    """Fit a small network; ``again`` times more, as a warm start."""
    X, y, w = data(kind, dtype, n=p.pop("n", 150))
    if sparse:
        X = sp.csr_matrix(np.where(np.abs(X) > 1, X, 0).astype(dtype))
    p = {"random_state": 3, "batch_size": 32, "max_iter": 6, "alpha": 0.01, **p}
    p.setdefault("hidden_layer_sizes", (21, 6))
    model = family(warm_start=again > 0, **p)
    for _ in range(again + 1):
        model.fit(X, y, sample_weight=w if weights else None)
    return model


def pin(name, function, *arguments, **parameters):
    assert name not in FITS
    FITS[name] = function, arguments, parameters


def pin_both(name, *arguments, **parameters):
    for dtype in ("float32", "float64"):
        pin(f"{name} {dtype}", fitted, *arguments, dtype=dtype, **parameters)


for solver in ("sgd", "adam", "adamw", "lbfgs"):
    more = {"weight_decay": 0.1} if solver == "adamw" else {}
    pin_both(f"three classes by {solver}", CLASSES, "three", solver=solver, **more)
    pin_both(
        f"numbers by {solver}", NUMBERS, "numbers", solver=solver, **more, weights=True
    )
for kind in ("two", "many", "labels"):
    pin_both(f"{kind} classes", CLASSES, kind, weights=kind == "two")
for loss, kind, output in (
    ("squared_error", "number", "identity"),
    ("absolute_error", "number", "identity"),
    ("huber", "number", "identity"),
    ("quantile", "number", "identity"),
    ("poisson", "counts", "exp"),
):
    pin(f"{loss} through {output}", fitted, NUMBERS, kind, loss=loss, weights=True)
for activation in "identity logistic tanh selu silu gelu mish leaky_relu".split():
    pin(f"{activation}", fitted, CLASSES, "many", activation=activation)
for name, shape in {
    "no hidden layer": (),
    "one narrow layer": (1,),
    "four layers": (5, 33, 2, 70),
    "a wide layer": (300,),
}.items():
    pin_both(name, CLASSES, "three", hidden_layer_sizes=shape)
pin_both("sparse", CLASSES, "three", sparse=True)
pin("sparse, no hidden layer", fitted, NUMBERS, "number", sparse=True,
    hidden_layer_sizes=())  # fmt: skip
pin("sparse, clipped, weights", fitted, CLASSES, "many", sparse=True, weights=True,
    max_grad_norm=0.1)  # fmt: skip
pin_both("dropout", CLASSES, "three", dropout=0.3)
pin("dropout where f' is written in Z", fitted, CLASSES, "two", dropout=0.2,
    activation="silu", dropout_schedule="flat_cosine")  # fmt: skip
pin("clipped", fitted, NUMBERS, "numbers", max_grad_norm=0.05)
pin("schedules", fitted, CLASSES, "three", "float64", solver="adamw", weight_decay=0.2,
    learning_rate="cosine", weight_decay_schedule="one_cycle")  # fmt: skip
for rate in ("invscaling", "adaptive"):
    pin(f"sgd {rate}", fitted, CLASSES, "three", solver="sgd", learning_rate=rate,
        n_iter_no_change=1, tol=0.1)  # fmt: skip
pin("plain momentum", fitted, NUMBERS, "number", solver="sgd", nesterovs_momentum=False)
pin("batches in order", fitted, CLASSES, "three", shuffle=False, batch_size=40)
pin("one long batch", fitted, CLASSES, "three", batch_size=3000, n=3000, max_iter=3)
for solver in ("sgd", "adamw"):
    # So long that they are computed in blocks, between which Ctrl-C is looked for.
    pin(
        f"batches in blocks by {solver}",
        fitted,
        CLASSES,
        "three",
        solver=solver,
        weight_decay=0.1,
        batch_size=1300,
        n=1500,
        hidden_layer_sizes=(300, 300),
        max_iter=2,
    )
pin("label smoothing", fitted, CLASSES, "three", label_smoothing=0.1, weights=True)
pin("class weights", fitted, CLASSES, "two", class_weight="balanced")
pin("early stopping", fitted, CLASSES, "three", early_stopping=True, max_iter=12)
pin("warm start", fitted, CLASSES, "three", again=2, max_iter=3)
pin("three threads", fitted, CLASSES, "three", hidden_layer_sizes=(90, 40), n_jobs=3,
    batch_size=100)  # fmt: skip
pin("three threads, sparse, dropout", fitted, CLASSES, "many", "float64", sparse=True,
    hidden_layer_sizes=(90, 40), n_jobs=3, dropout=0.2, batch_size=100)  # fmt: skip
pin("three threads, clipped", fitted, NUMBERS, "numbers", hidden_layer_sizes=(70,),
    n_jobs=3, max_grad_norm=0.05, batch_size=100)  # fmt: skip


def table(family, kind, preset, **parameters):
    """Fit an ensemble on a frame of numbers, missing values and categories."""
    import pandas as pd

    X, y, w = data(kind, "float64", n=260, p=11)
    frame = pd.DataFrame(np.where(X > 1.9, np.nan, X)[:, :5], columns=list("abcde"))
    frame["f"] = np.array(list("uvwxyz"))[(X[:, 6] ** 2).astype(int)]
    frame["g"] = X[:, 7] > 0
    model = family(preset=preset, random_state=0, n_jobs=3, **parameters)
    return model.fit(frame, y, sample_weight=w)


for kind, family in {
    "two": TabularMLPClassifier,
    "three": TabularMLPClassifier,
    "number": TabularMLPRegressor,
}.items():
    pin(f"table, {kind}", table, family, kind, "fast", max_iter=4)
pin(
    "table, quantiles",
    table,
    TabularMLPRegressor,
    "number",
    "fast",
    loss="quantile",
    quantile=(0.1, 0.9),
    max_iter=4,
)
pin("table, balanced", table, TabularMLPClassifier, "two", "balanced", max_iter=3)


def outcome(name):
    """Return what is pinned of a fit, as flat arrays by name."""
    function, arguments, parameters = FITS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = function(*arguments, **parameters)
    if function is table:
        # Members' parameters, and the epochs that were kept of them.
        _, networks = model._bag
        return {"theta": np.concatenate(networks), "epochs": model.best_epochs_}
    theta = np.concatenate([a.ravel() for a in (*model.coefs_, *model.intercepts_)])
    result = {"theta": theta, "loss": np.array(model.loss_)}
    if parameters.get("solver") != "lbfgs":
        result["curve"] = np.array(model.loss_curve_)
        result["moments"] = moments(model)
    return result


def moments(model):
    state = model._continuation.state
    memory = None if state is None else state.moments
    return np.empty(0) if memory is None else np.asarray(memory).ravel()


def digest(arrays):
    state = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        array = np.ascontiguousarray(array)
        state.update(f"{name} {array.dtype} {array.shape}".encode())
        state.update(array.tobytes())
    return state.hexdigest()


def summary(arrays):
    """A few numbers that rounding changes little: sums, and of squares."""
    numbers = {}
    for name, array in sorted(arrays.items()):
        array = np.asarray(array, dtype=np.float64).ravel()
        numbers[name] = [len(array), float(array.sum()), float((array**2).sum())]
    return numbers


def is_ours(name):
    """Whether the bits are decided by our kernels alone."""
    return OWN_KERNELS and "lbfgs" not in name


@pytest.mark.parametrize("name", FITS)
def test_pinned(name, monkeypatch):
    # More threads than this machine may have: the same bits.
    monkeypatch.setattr(_threads, "cpus", lambda: 3)
    record = json.loads(RECORD.read_text())
    arrays = outcome(name)
    known = record["bits"].get(KEY)
    if known is not None and is_ours(name):
        assert digest(arrays) == known[name]
        return
    expected = record["numbers"][name]
    assert expected.keys() == arrays.keys()
    single = FITS[name][2].get("dtype", "float32") == "float32"
    for part, numbers in summary(arrays).items():
        scale = abs(expected[part][2]) ** 0.5 + 1
        tolerance = scale * (2e-3 if single else 1e-6)
        assert numbers[0] == expected[part][0]
        assert_allclose(numbers[1:], expected[part][1:], atol=tolerance, rtol=2e-3)


def test_every_fit_is_recorded_and_differs():
    record = json.loads(RECORD.read_text())
    assert record["numbers"].keys() == FITS.keys()
    for bits in record["bits"].values():
        assert set(bits) == {name for name in FITS if "lbfgs" not in name}
        assert len(set(bits.values())) == len(bits)


def main():
    """Record this level's bits, and the numbers where there are none yet."""
    _threads.cpus = lambda: 3
    record = {"numbers": {}, "bits": {}}
    if RECORD.exists():
        record = json.loads(RECORD.read_text())
    outcomes = {name: outcome(name) for name in FITS}
    if OWN_KERNELS:
        record["bits"][KEY] = {
            name: digest(arrays) for name, arrays in outcomes.items() if is_ours(name)
        }
    if core.level == "portable" or not record["numbers"]:
        record["numbers"] = {name: summary(arrays) for name, arrays in outcomes.items()}
    RECORD.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")
    sys.stdout.write(f"{len(FITS)} fits, {KEY}\n")


if __name__ == "__main__":
    main()
