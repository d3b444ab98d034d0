"""Pickles that 0.1.0 wrote load, predict the same, and go on training.

Answers for: _base.py, tabular/_base.py.
"""

import importlib.util
import pickle
import warnings
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from sources import TESTS

HERE = TESTS / "pickles"
OLD = HERE / "0.1.0"


def _maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_pickles", HERE / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make = _maker()


def load(name: str) -> Any:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "A .* that skbackprop 0.1.0 pickled")
        return pickle.loads((OLD / f"{name}.pickle").read_bytes())


@pytest.fixture(scope="module")
def expected() -> dict[str, np.ndarray]:
    with np.load(OLD / "expected.npz") as arrays:
        return dict(arrays)


def close(name: str, actual: np.ndarray, desired: np.ndarray) -> None:
    """Equal to rounding of the network's type."""
    assert actual.dtype == desired.dtype and actual.shape == desired.shape
    single = "tabular" in name or name.endswith("float32")
    rounding = 1e-5 if single else 1e-11
    np.testing.assert_allclose(actual, desired, rtol=rounding, atol=rounding)


def test_every_pickle_is_tested() -> None:
    assert sorted(path.stem for path in OLD.glob("*.pickle")) == sorted(make.MAKERS)


@pytest.mark.parametrize("name", make.MAKERS)
def test_old_pickles_predict_the_same(
    name: str, expected: dict[str, np.ndarray]
) -> None:
    close(name, make.outputs(load(name)), expected[name])


@pytest.mark.parametrize(
    "name", [n for n in make.MAKERS if n.endswith(("_partial", "_warm", "_early"))]
)
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_old_pickles_go_on_training(name: str, expected: dict[str, np.ndarray]) -> None:
    close(name, make.continued(name, load(name)), expected[f"{name}_continued"])


@pytest.mark.parametrize("name", make.MAKERS)
def test_old_pickles_can_be_pickled_again(name: str) -> None:
    model = load(name)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(make.outputs(again), make.outputs(model))
