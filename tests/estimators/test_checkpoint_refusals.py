"""A checkpoint of another fit, or none at all, is refused, and nothing is lost.

SKBACKPROP_FUZZ in the environment, over 50, is how many files are nearly checkpoints.

Answers for: _checkpoint.py, _checkpoint_file.py, _call.py, tabular/_member.py.
"""

import os
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import mutations
import numpy as np
import pytest
from checkpoints import (
    LABELS,
    MODELS,
    NUMBERS,
    X,
    cut_off,
    target,
)

from skbackprop import (
    BackpropMLPRegressor,
    Checkpoint,
    TabularMLPRegressor,
    save_model,
)
from skbackprop._fingerprint import _text
from skbackprop._state import Ending, State
from skbackprop.tabular._member import Member

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "fit.checkpoint"


# What is refused ----------------------------------------------------------------


def test_other_fits_are_told_apart(path: Path) -> None:
    def fit(
        *, y: Any = LABELS, A: Any = X, weight: Any = None, **parameters: Any
    ) -> Any:
        model = MODELS["early"](random_state=0).set_params(**parameters)
        return model.fit(A, y, weight, checkpoint=Checkpoint(path), **validation)

    validation: dict[str, Any] = {}
    fit()
    for options, says in (
        ({"alpha": 0.5}, "alpha was 0.0001 and is 0.5"),
        ({"random_state": np.random.RandomState(0)}, "random_state differs"),
        ({"scoring": "accuracy"}, "scoring was None and is 'accuracy'"),
        ({"random_state": 1}, "random_state was 0 and is 1"),
        ({"A": X + 1}, "X differs"),
        ({"A": X.astype(np.float32)}, "X differs"),
        ({"y": 1 - LABELS}, "y differs"),
        ({"y": np.array(["a", "b"])[LABELS]}, "y differs"),
        ({"weight": np.linspace(1, 2, 120)}, "sample_weight differs"),
    ):
        with pytest.raises(ValueError, match=says) as caught:
            fit(**options)
        assert "resume=False to begin anew" in str(caught.value)
    fit()
    validation = {"X_val": X[:20], "y_val": LABELS[:20]}
    with pytest.raises(ValueError, match="X_val differs"):
        fit()
    model = MODELS["early"](random_state=0)
    model.fit(X, LABELS, **validation, checkpoint=Checkpoint(path, resume=False))
    fit()
    validation = {"X_val": X[:20], "y_val": 1 - LABELS[:20]}
    with pytest.raises(ValueError, match="y_val differs"):
        fit()
    validation = {}
    with pytest.raises(ValueError, match="X_val differs"):
        fit()


def score(value: float, *_: Any) -> float:
    return value


class Scorer:
    def __call__(self, estimator: Any, X: Any, y: Any) -> float:
        return 0.5


def test_equal_parameters_are_one_fit(path: Path) -> None:
    """Of other types, or made anew in another process."""
    for one, other in (
        ({"alpha": 0.5}, {"alpha": np.float64(0.5)}),
        ({"scoring": Scorer()}, {"scoring": Scorer()}),
        ({"scoring": partial(score, 0.5)}, {"scoring": partial(score, 0.5)}),
        ({"hidden_layer_sizes": [6]}, {"hidden_layer_sizes": (np.int64(6),)}),
        ({"dtype": np.float32}, {"dtype": "float32"}),
        ({"tol": 0}, {"tol": 0.0}),
    ):
        for parameters in one, other:
            model = MODELS["early"](random_state=0).set_params(**parameters)
            model.fit(X, LABELS, checkpoint=Checkpoint(path))
        path.unlink()
    model = MODELS["early"](random_state=0, scoring=lambda *_: 0.5)
    with pytest.raises(ValueError, match="must be known again by another process"):
        model.fit(X, LABELS, checkpoint=Checkpoint(path))
    mask = np.zeros(2000, dtype=bool)
    texts = {_text(np.roll(mask | (np.arange(2000) == 0), i)) for i in (0, 900)}
    assert len(texts) == 2


def test_tables_are_told_apart(path: Path) -> None:
    model = MODELS["bag"](random_state=0)
    model.fit(X, NUMBERS, checkpoint=Checkpoint(path))
    for data, says in (((X * 2, NUMBERS), "X diff"), ((X, NUMBERS + 1), "y diff")):
        with pytest.raises(ValueError, match=says):
            MODELS["bag"](random_state=0).fit(*data, checkpoint=Checkpoint(path))
    with pytest.raises(ValueError, match="n_folds was 2 and is 3"):
        model.set_params(n_folds=3).fit(X, NUMBERS, checkpoint=Checkpoint(path))


def test_another_version_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skbackprop._fingerprint.__version__", "0.1.9")
    model = MODELS["adam"](random_state=0)
    model.fit(X, LABELS, checkpoint=Checkpoint(path))
    monkeypatch.undo()
    with pytest.raises(ValueError, match=r"version of skbackprop was 0\.1\.9 and is"):
        model.fit(X, LABELS, checkpoint=Checkpoint(path))


@pytest.mark.parametrize("resume", [True, False])
def test_what_is_no_checkpoint_is_not_overwritten(resume: bool, path: Path) -> None:
    model = MODELS["adam"](random_state=0)
    save_model(model.fit(X, LABELS), path)
    before = path.read_bytes()
    for data in before, b"a,b\n1,2\n", before[:100]:
        path.write_bytes(data)
        says = (
            "overwritten: it is a mod" if data == before else "no checkpoint, and wou"
        )
        with pytest.raises(ValueError, match=says):
            model.fit(X, LABELS, checkpoint=Checkpoint(path, resume=resume))
        assert path.read_bytes() == data


def test_a_damaged_state_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fits together but is no state of this fit."""
    real = State.as_plain

    def fit() -> Any:
        model = MODELS["adam"](random_state=0)
        return model.fit(X, LABELS, checkpoint=Checkpoint(path))

    for name, value in (
        ("theta", np.zeros(3)),
        ("moments", np.zeros((1, 3))),
        ("order", np.zeros(120, dtype=np.intp)),
        ("order", np.arange(-1, 119)),
        ("random_state", 5),
        ("history", {"x": 1}),
    ):
        path.unlink(missing_ok=True)
        broken = {name: value}
        monkeypatch.setattr(State, "as_plain", lambda s, b=broken: real(s) | b)
        fit()
        monkeypatch.undo()
        with pytest.raises(ValueError, match="holds no state of this fit"):
            fit()


@pytest.mark.parametrize("name", ["early", "keeps", "bag"])
def test_files_that_are_nearly_checkpoints(name: str, path: Path) -> None:
    """Each is refused with ValueError, or goes on to numbers."""
    n = int(os.environ.get("SKBACKPROP_FUZZ", "10000")) // 50
    model = MODELS[name](random_state=0, n_jobs=1)
    cut_off(model, 4, X, target(model), checkpoint=Checkpoint(path, every=1))
    data, rng, accepted = path.read_bytes(), np.random.RandomState(n), 0
    for _ in range(n):
        path.write_bytes(mutations.mutated(data, rng))
        model = MODELS[name](random_state=0, n_jobs=1)
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                model.fit(X, target(model), checkpoint=Checkpoint(path, seconds=1e9))
            except ValueError:
                continue
        assert np.isfinite(model.predict(X)).all()
        accepted += 1
    assert 0 < accepted < n / 2


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"theta": np.zeros(3, np.float32)}, "another shape"),
        ({"losses": [1.0]}, "not a loss for every score"),
        ({"losses": [1.0, None]}, "no scores"),
        ({"scores": [1.0, "2"]}, "no scores"),
        ({"best_epoch": 3}, "no best epoch"),
    ],
)
def test_a_result_that_is_none(change: dict[str, Any], says: str) -> None:
    """One that a file may hold, of a network of two epochs."""
    model = TabularMLPRegressor(n_folds=2, preset="fast", max_iter=2).fit(X, NUMBERS)
    topology, (theta, *_) = model._bag
    plain = Member(theta, 2, 0.5, [0.1, 0.5], [2.0, 1.0], Ending.EXHAUSTED).as_plain()
    assert Member.from_plain(plain, topology).losses == [2.0, 1.0]
    with pytest.raises(ValueError, match=says):
        Member.from_plain(plain | change, topology)


def test_an_empty_file_is_none(path: Path) -> None:
    path.touch()
    model = MODELS["adam"](random_state=0)
    model.fit(X, LABELS, checkpoint=Checkpoint(path))
    assert path.stat().st_size > 0


def test_streams_of_another_kind_are_refused(path: Path) -> None:
    stream = np.random.RandomState(np.random.PCG64(1))
    for model in (
        MODELS["adam"](random_state=stream),
        MODELS["bag"](random_state=stream),
    ):
        with pytest.raises(ValueError, match="RandomState of MT19937"):
            model.fit(X, target(model), checkpoint=Checkpoint(path))


def test_what_a_checkpoint_may_be(path: Path) -> None:
    for options, error in (
        ({"every": 0}, ValueError),
        ({"every": 1.5}, ValueError),
        ({"every": True}, ValueError),
        ({"seconds": -1}, ValueError),
        ({"seconds": "5"}, ValueError),
        ({"resume": "no"}, TypeError),
        ({"path": ""}, ValueError),
    ):
        with pytest.raises(error, match=next(iter(options))):
            Checkpoint(**({"path": path} | options))
    with pytest.raises(TypeError, match="path must be a str"):
        Checkpoint(5)
    for model in MODELS["adam"](), MODELS["bag"]():
        with pytest.raises(TypeError, match=r"checkpoint must be a skbackprop\.Ch"):
            model.fit(X, LABELS, checkpoint=str(path))
        with pytest.raises(FileNotFoundError, match="The folder of the checkpoint"):
            model.fit(X, LABELS, checkpoint=Checkpoint(path.parent / "no" / "fit"))
        with pytest.raises(FileNotFoundError, match="The folder of the checkpoint"):
            model.fit(X, LABELS, checkpoint=Checkpoint(f"{path.parent}/no/"))
    lbfgs = BackpropMLPRegressor(solver="lbfgs")
    with pytest.raises(ValueError, match="checkpoint is for solvers with mini-batches"):
        lbfgs.fit(X, NUMBERS, checkpoint=Checkpoint(path))
