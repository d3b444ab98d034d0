"""Pickles that 0.1.0 wrote load, predict the same, and go on training.

What a pickle holds is plain, so that serialisers which trust nothing read it too.

Answers for: _base.py, tabular/_base.py, _pickling.py.
"""

import importlib.util
import pickle
import re
import warnings
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import skops.io
from helpers import assert_close_to_rounding
from sources import ROOT, TESTS

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
        warnings.filterwarnings("ignore", "A .* that .*skbackprop( 0.1.0)? pickled")
        return pickle.loads((OLD / f"{name}.pickle").read_bytes())


@pytest.fixture(scope="module")
def expected() -> dict[str, np.ndarray]:
    with np.load(OLD / "expected.npz") as arrays:
        return dict(arrays)


def test_every_pickle_is_tested() -> None:
    assert sorted(path.stem for path in OLD.glob("*.pickle")) == sorted(make.MAKERS)


@pytest.mark.parametrize("name", make.MAKERS)
def test_old_pickles_predict_the_same(
    name: str, expected: dict[str, np.ndarray]
) -> None:
    assert_close_to_rounding(name, make.outputs(load(name)), expected[name])


@pytest.mark.parametrize(
    "name", [n for n in make.MAKERS if n.endswith(("_partial", "_warm", "_early"))]
)
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_old_pickles_go_on_training(name: str, expected: dict[str, np.ndarray]) -> None:
    assert_close_to_rounding(
        name, make.continued(name, load(name)), expected[f"{name}_continued"]
    )


@pytest.mark.parametrize("name", make.MAKERS)
def test_old_pickles_can_be_pickled_again(name: str) -> None:
    model = load(name)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(make.outputs(again), make.outputs(model))


ESTIMATORS = [name for name in make.MAKERS if name != "network"]


@pytest.mark.parametrize("name", ESTIMATORS)
def test_pickles_of_another_version_warn(name: str) -> None:
    model = load(name)
    state = model.__getstate__() | {"_skbackprop_version": "0.0.1"}
    with pytest.warns(UserWarning, match=r"skbackprop 0\.0\.1 pickled is read by skb"):
        type(model)().__setstate__(state)
    with pytest.warns(UserWarning, match=r"that .*skbackprop( 0\.1\.0)? pickled"):
        pickle.loads((OLD / f"{name}.pickle").read_bytes())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pickle.loads(pickle.dumps(model))


def trusted() -> set[str]:
    """The class names that the documents list."""
    page = (ROOT / "docs" / "model_format.md").read_text(encoding="utf-8")
    return set(re.findall(r"^    (skbackprop\.[\w.]+)$", page, re.MULTILINE))


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_serialisers_that_trust_nothing_bring_it_back(name: str) -> None:
    model = load(name)
    data = skops.io.dumps(model)
    asked = skops.io.get_untrusted_types(data=data)
    assert asked and set(asked) <= trusted()
    again = skops.io.loads(data, trusted=asked)
    np.testing.assert_array_equal(make.outputs(again), make.outputs(model))
    before, after = (make.continued(name, each) for each in (model, again))
    if before is not None:
        np.testing.assert_array_equal(after, before)


def test_the_documents_trust_no_more_than_is_asked_for() -> None:
    asked = {
        each
        for name in ESTIMATORS
        for each in skops.io.get_untrusted_types(data=skops.io.dumps(load(name)))
    }
    assert trusted() == asked
