"""The encoder's columns by name, and that it is an estimator like another.

Answers for: tabular/_encoder.py.
"""

import datetime
import pickle
import subprocess
import sys
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from frames import DATA, PANDAS, POLARS, numpy_objects
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags

from skbackprop import BackpropMLPClassifier, TabularEncoder
from skbackprop.tabular import TabularEncoder as SameEncoder

# Names


def test_output_columns_and_their_description():
    encoder = TabularEncoder().fit(PANDAS)
    assert list(encoder.get_feature_names_out()) == [
        *["age", "income", "rooms"],
        *["age_missing", "color_blue", "color_green", "color_red", "color_missing"],
        *["sex_male", "member_True", "vip_False", "vip_True", "vip_missing"],
        "city",
    ]
    assert (encoder.n_numeric_, encoder.n_plain_) == (3, 10)
    assert encoder.cardinalities_ == [17]
    out = encoder.transform(PANDAS)
    assert out.shape[1] == 14 and out.dtype == np.float32 and out.flags.c_contiguous
    assert set(np.unique(out[:, 3:13])) == {-1, 0, 1}
    assert_array_equal(np.unique(out[:, 13]), np.arange(1, 17))
    assert_array_equal(encoder.feature_names_in_, list(DATA))
    assert_array_equal(encoder.numeric_features_, [0, 1, 2, 8, 9])
    assert_array_equal(encoder.categorical_features_, [3, 4, 5, 6, 7, 10])
    assert encoder.n_features_in_ == 11


def test_many_columns_keep_their_places():
    """Columns are written in groups; indicators come between."""
    X = np.random.default_rng(1).normal(size=(9000, 37))
    X[::5, ::3] = np.nan
    encoder = TabularEncoder(clip=None).fit(X)
    out = encoder.transform(X)
    expected = (X - encoder.center_) / encoder.scale_
    assert_allclose(out[:, :37], np.nan_to_num(expected), rtol=1e-5, atol=1e-6)
    assert_array_equal(out[:, 37:], np.isnan(X[:, ::3]))


def test_names_without_names():
    for X in (np.eye(3), pd.DataFrame(np.eye(3)), np.eye(3).tolist()):
        encoder = TabularEncoder().fit(X)
        assert not hasattr(encoder, "feature_names_in_")
        assert list(encoder.get_feature_names_out()) == ["x0", "x1", "x2"]
        assert list(encoder.get_feature_names_out(["a", "b", "c"])) == ["a", "b", "c"]
    with pytest.raises(ValueError, match="number of features"):
        encoder.get_feature_names_out(["a"])
    with pytest.raises(ValueError, match="not equal to feature_names_in_"):
        TabularEncoder().fit(PANDAS).get_feature_names_out(["a"])


def test_names_are_unique():
    X = pd.DataFrame({"a": ["missing", None, "x"], "a_x": [1, 2, 3]})
    names = TabularEncoder().fit(X).get_feature_names_out()
    assert list(names) == ["a_x", "a_missing", "a_x_", "a_missing_"]


def test_duplicate_columns():
    X = pd.DataFrame([[1, "u", 2], [2, "v", 3]], columns=["a", "b", "a"])
    with pytest.raises(ValueError, match=r"X has 2 columns named 'a'\."):
        TabularEncoder().fit(X)
    encoder = TabularEncoder().fit(X.iloc[:, :2])
    with pytest.raises(ValueError, match="X has 2 columns named 'a'"):
        encoder.transform(X)


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_set_output(container):
    encoder = TabularEncoder().set_output(transform=container)
    out = encoder.fit_transform(PANDAS)
    assert type(out).__module__.split(".")[0] == container
    assert list(out.columns) == list(encoder.get_feature_names_out())
    plain = TabularEncoder().fit(PANDAS).transform(PANDAS)
    assert_array_equal(out.to_numpy(), plain)
    if container == "pandas":
        assert (out.dtypes == np.float32).all()


# As scikit-learn's estimators


def test_public_name():
    assert SameEncoder is TabularEncoder


def test_pickle_and_clone():
    encoder = TabularEncoder(max_one_hot=2, clip=None).fit(PANDAS)
    expected = encoder.transform(POLARS)
    again = pickle.loads(pickle.dumps(encoder))
    assert_array_equal(again.transform(POLARS), expected)
    fresh = clone(encoder)
    with pytest.raises(NotFittedError):
        fresh.transform(POLARS)
    with pytest.raises(NotFittedError):
        fresh.get_feature_names_out()
    assert_array_equal(fresh.fit(POLARS).transform(POLARS), expected)


def test_parameters_after_fit_do_not_move_columns():
    encoder = TabularEncoder().fit(PANDAS)
    expected = encoder.transform(PANDAS)
    encoder.set_params(max_one_hot=0, min_frequency=50, categorical_features=None)
    assert_array_equal(encoder.transform(PANDAS), expected)


def test_a_failed_fit_changes_nothing():
    encoder = TabularEncoder().fit(PANDAS)
    before = dict(vars(encoder))
    for X in (
        PANDAS.assign(only=datetime.datetime(2024, 2, 29, 12)),
        np.full((3, 2), np.inf),
    ):
        with pytest.raises((TypeError, ValueError)):
            encoder.fit(X)
        assert vars(encoder) == before
    fresh = TabularEncoder()
    with pytest.raises(ValueError):
        fresh.fit(np.full((3, 2), np.inf))
    assert not hasattr(fresh, "n_features_in_")


def test_tags():
    tags = get_tags(TabularEncoder())
    assert tags.input_tags.allow_nan and tags.input_tags.string
    assert tags.input_tags.categorical and not tags.input_tags.sparse


def test_inputs_are_left_as_they_are():
    for X in (
        PANDAS.copy(),
        numpy_objects(),
        np.random.default_rng(1).normal(size=(20, 3)),
    ):
        before = pickle.dumps(X)
        TabularEncoder().fit(X).transform(X)
        assert pickle.dumps(X) == before


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_in_a_pipeline():
    y = np.array(DATA["sex"]) == "male"
    model = make_pipeline(
        TabularEncoder(), BackpropMLPClassifier(max_iter=200, random_state=0)
    )
    assert model.fit(PANDAS, y).score(POLARS, y) == 1


def test_memory_is_the_output_and_a_few_columns():
    n, p = 100_000, 30
    X = np.random.default_rng(1).normal(size=(n, p))
    X[::7, 3] = np.nan
    encoder = TabularEncoder()
    tracemalloc.start()
    encoder.fit(X)
    _, of_fit = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    out = encoder.transform(X)
    _, of_transform = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert of_fit < 8 * 8 * n
    assert of_transform < out.nbytes + 9 * 8 * n


def test_neither_pandas_nor_polars_is_needed():
    """scikit-learn itself imports pandas where it finds it."""
    code = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name in ("pandas", "polars", "pyarrow"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
import numpy as np
from skbackprop import TabularEncoder

out = TabularEncoder().fit_transform([[1, "a"], [3, "b"], [None, "c"]])
assert out.tolist()[2] == [0, 1, 0, 0, 1], out
assert TabularEncoder().fit_transform(np.eye(3)).shape == (3, 3)
assert not {"pandas", "polars", "pyarrow"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-P", "-c", code], check=True)
