"""Arrays that need no validation take a short way; it must not show.

Answers for: _base.py, _evaluation.py, _model.py, _fitted.py.
"""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError

from skbackprop import (
    BackpropMLPClassifier,
    BackpropMLPRegressor,
    Network,
    _evaluation,
    _model,
    _threads,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
RNG = np.random.default_rng(0)
X = RNG.standard_normal((10_000, 9))
Y = RNG.integers(0, 4, 10_000)


@pytest.fixture(scope="module", params=["float32", "float64"])
def model(request):
    data = X[:200].astype(request.param)
    return BackpropMLPClassifier((30, 20), max_iter=3, random_state=0).fit(
        data, Y[:200]
    )


@pytest.fixture
def no_validation(monkeypatch):
    """Validation, if it is asked for, fails the test."""

    def refuse(*args, **kwargs):
        raise AssertionError("validated")

    monkeypatch.setattr(_model, "checked_features", refuse)


@pytest.mark.parametrize("n", [1, 2, 7, 8, 9, 63, 64, 65, 1000, 10_000])
def test_the_short_way_gives_the_same(model, n, no_validation, monkeypatch):
    data = X[:n].astype(model.coefs_[0].dtype)
    fast = model.predict_proba(data)
    monkeypatch.undo()
    tolerance = 1e-6 if data.dtype == np.float32 else 1e-14
    assert_allclose(fast, model.predict_proba(data.tolist()), atol=tolerance)
    assert fast.dtype == data.dtype and fast.shape == (n, 4)


def test_a_row_does_not_depend_on_its_neighbours(model):
    data = X.astype(model.coefs_[0].dtype)
    together = model.predict_proba(data)
    tolerance = 1e-6 if data.dtype == np.float32 else 1e-14
    for i in (0, 1, 4095, 4096, 9_999):
        assert_allclose(
            model.predict_proba(data[i : i + 1])[0], together[i], atol=tolerance
        )


OTHERS = {
    "another dtype": lambda data: data.astype(np.float16),
    "columns": np.asfortranarray,
    "every second row": lambda data: np.repeat(data, 2, axis=0)[::2],
    "a list": lambda data: data.tolist(),
    "backwards columns": lambda data: data[:, ::-1].copy()[:, ::-1],
    "big-endian": lambda data: data.astype(data.dtype.newbyteorder(">")),
}


@pytest.mark.parametrize("other", OTHERS)
def test_other_arrays_take_the_long_way(model, other):
    data = X[:50].astype(model.coefs_[0].dtype)
    tolerance = 1e-2 if other == "another dtype" else 1e-6
    expected = model.predict_proba(data)
    assert_allclose(model.predict_proba(OTHERS[other](data)), expected, atol=tolerance)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("n", [1, 8, 100, 5000])
def test_what_is_not_finite_is_refused(model, n, bad):
    data = X[:n].astype(model.coefs_[0].dtype)
    data[n // 2, 4] = bad
    with pytest.raises(ValueError, match=r"NaN|infinity"):
        model.predict(data)


@pytest.mark.filterwarnings("ignore:invalid value encountered")  # scikit-learn's sum
def test_infinities_do_not_cancel(model):
    data = X[:20].astype(model.coefs_[0].dtype)
    data[3, 1], data[3, 2] = np.inf, -np.inf
    with pytest.raises(ValueError, match="infinity"):
        model.predict(data)


def test_large_numbers_are_finite(model):
    data = np.full((3, 9), np.finfo(model.coefs_[0].dtype).max, model.coefs_[0].dtype)
    assert model.predict(data).shape == (3,)


@pytest.mark.parametrize("shape", [(3, 8), (3, 10), (9,), (0, 9), (2, 9, 1)])
def test_wrong_shapes_are_refused(model, shape):
    with pytest.raises(ValueError):
        model.predict(np.zeros(shape, model.coefs_[0].dtype))


def test_feature_names_are_checked():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X[:200], columns=list("abcdefghi"))
    model = BackpropMLPClassifier((5,), max_iter=2, random_state=0).fit(frame, Y[:200])
    with pytest.warns(UserWarning, match="valid feature names"):
        model.predict(X[:3])
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame.rename(columns={"a": "z"}))


def test_assigned_coefficients_are_heeded(model):
    from copy import deepcopy

    changed = deepcopy(model)
    data = X[:3].astype(model.coefs_[0].dtype)
    changed.coefs_[-1][:] = 0  # in place
    changed.intercepts_[-1] = np.array([0, 0, 5, 0], data.dtype)  # another array
    assert_array_equal(changed.predict(data), changed.classes_[[2, 2, 2]])
    changed.coefs_[0] = changed.coefs_[0][:, :-1]
    with pytest.raises(ValueError, match="shape"):
        changed.predict(data)


def test_read_only_arrays(model):
    data = X[:3].astype(model.coefs_[0].dtype)
    data.flags.writeable = False
    assert model.predict(data).shape == (3,)


def test_not_fitted():
    with pytest.raises(NotFittedError):
        BackpropMLPClassifier().predict(X)


def test_threads_share_the_rows(monkeypatch):
    """Blocks go to the threads in turn; each row comes back in its place."""
    monkeypatch.setattr(_evaluation, "PREDICTION_FLOP", 1.0)
    monkeypatch.setattr(_threads, "cpus", lambda: 3)
    model = BackpropMLPRegressor((30,), max_iter=2, random_state=0).fit(
        X[:300], Y[:300]
    )
    one = model.set_params(n_jobs=1).predict(X)
    for n_jobs in 2, 3, None:
        assert_array_equal(model.set_params(n_jobs=n_jobs).predict(X), one)


def test_an_assigned_output_is_heeded():
    model = BackpropMLPRegressor((5,), loss="poisson", max_iter=2, random_state=0)
    model.fit(X[:100], Y[:100])
    log = np.log(model.predict(X[:20]))
    model.out_activation_ = "identity"
    assert_allclose(model.predict(X[:20]), log)


def test_the_number_of_features_is_that_of_fit(model):
    from copy import deepcopy

    narrow = deepcopy(model)
    narrow.coefs_[0] = narrow.coefs_[0][:3]
    narrow = deepcopy(narrow)
    with pytest.raises(ValueError, match="expecting 9 features"):
        narrow.predict(X[:2, :3].astype(narrow.coefs_[0].dtype))


@pytest.mark.parametrize("n", [8, 9, 100])
@pytest.mark.parametrize("outputs", [1, 2, 3])
def test_what_lies_beside_a_matrix_is_not_data(n, outputs):
    """An infinite input is 1 or -1 behind tanh, for few rows and for many."""
    line = Network(
        [1, 1, outputs], "tanh", loss="squared_error", output_activation="identity"
    )
    line.coefs_ = [[[1.0]], [[2.0] * outputs]]
    line.intercepts_ = [[0.0], [0.5] * outputs]
    X = np.full((n, 1), np.inf)
    assert_array_equal(line.forward(X), np.full((n, outputs), 2.5))
