"""Arrays of every layout, type and size: right answers, or a clear error.

Answers for: _inputs.py, _features.py, _evaluation.py.
"""

import tracemalloc
from itertools import pairwise

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import sklearn
from helpers import shifted
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_classification
from sklearn.preprocessing import StandardScaler

from skbackprop import BackpropMLPClassifier, BackpropMLPRegressor, Network
from skbackprop._layers import make_topology
from skbackprop.core.embeddings import Embeddings

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = make_classification(120, 6, n_informative=4, n_classes=3, random_state=0)
SETTINGS = {"max_iter": 4, "random_state": 0, "batch_size": 32}


def fitted(data=X, y=Y, **parameters):
    return BackpropMLPClassifier(**SETTINGS | parameters).fit(data, y)


def read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a


def strided(a):
    wide = np.zeros((2 * len(a), 3 * a.shape[1]), a.dtype)
    wide[::2, ::3] = a
    return wide[::2, ::3]


LAYOUTS = {
    "fortran": np.asfortranarray,
    "read-only": read_only,
    "strided": strided,
    "reversed": lambda a: a[::-1].copy()[::-1],
    "list": lambda a: a.tolist(),
    "object": lambda a: a.astype(object),
    "big-endian": lambda a: a.astype(">f8"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_give_the_same_bits(layout):
    reference = fitted()
    model = fitted(LAYOUTS[layout](X))
    assert_array_equal(model.coefs_[0], reference.coefs_[0])
    assert_array_equal(
        model.predict_proba(LAYOUTS[layout](X)), reference.predict_proba(X)
    )


def test_memory_mapped(tmp_path):
    np.save(tmp_path / "X.npy", X)
    data = np.load(tmp_path / "X.npy", mmap_mode="r")
    assert_array_equal(fitted(data).predict_proba(data), fitted().predict_proba(X))


@pytest.mark.parametrize("container", [sp.csr_array, sp.csc_array, sp.coo_array])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_sparse_agrees_with_dense_to_rounding(container, dtype, solver):
    data = np.where(np.abs(X) > 1, X, 0).astype(dtype)
    dense = fitted(data, solver=solver, early_stopping=solver == "adam")
    sparse = fitted(container(data), solver=solver, early_stopping=solver == "adam")
    tolerance = {"rtol": 2e-3, "atol": 2e-4} if dtype == np.float32 else {"rtol": 1e-9}
    assert_allclose(sparse.coefs_[0], dense.coefs_[0], **tolerance)
    assert_allclose(
        sparse.predict_proba(container(data)), dense.predict_proba(data), **tolerance
    )


def test_sparse_indices_of_64_bits_unsorted_and_repeated():
    data = sp.csr_array(np.where(np.abs(X) > 1, X, 0))
    expected = fitted(data).predict_proba(data)
    wide = data.copy()
    wide.indices = wide.indices.astype(np.int64)
    wide.indptr = wide.indptr.astype(np.int64)
    assert_array_equal(fitted(wide).predict_proba(wide), expected)
    halves = sp.csr_array(
        (
            np.repeat(data.data / 2, 2),
            np.repeat(data.indices, 2),
            2 * data.indptr,
        ),
        shape=data.shape,
    )
    assert_allclose(fitted(halves).predict_proba(halves), expected, rtol=1e-9)


def test_many_features_without_densifying():
    data = sp.random(500, 100_000, density=1e-4, format="csr", random_state=0)
    y = np.arange(500) % 2
    tracemalloc.start()
    model = fitted(data, y, hidden_layer_sizes=(2,), early_stopping=True)
    model.predict_proba(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 50e6 < data.shape[0] * data.shape[1] * 8  # dense X has 400 MB


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_follows_x(dtype):
    model = fitted(X.astype(dtype))
    assert {a.dtype for a in model.coefs_ + model.intercepts_} == {np.dtype(dtype)}
    # A number is cast to the model's type, whatever it comes in.
    for other in (np.float32, np.float64, np.float16):
        assert model.predict_proba(X.astype(other)).dtype == dtype
    assert fitted(np.round(X).astype(int)).coefs_[0].dtype == np.float64


@pytest.mark.parametrize("dtype", ["float32", np.float64])
def test_dtype_can_be_forced(dtype):
    other = np.float64 if dtype == "float32" else np.float32
    model = fitted(X.astype(other), dtype=dtype)
    assert model.coefs_[0].dtype == dtype
    regressor = BackpropMLPRegressor(dtype=dtype, max_iter=2).fit(X.astype(other), Y)
    assert regressor.predict(X).dtype == dtype
    for broken in ("float16", int, "nonsense", 3):
        with pytest.raises(ValueError, match="The 'dtype' parameter"):
            fitted(dtype=broken)


def test_partial_fit_keeps_the_type_of_the_model():
    model = BackpropMLPRegressor().partial_fit(X.astype(np.float32), Y)
    model.partial_fit(X, Y)
    assert model.coefs_[0].dtype == np.float32


def test_float32_is_close_to_float64():
    assert_allclose(
        fitted(X.astype(np.float32)).predict_proba(X),
        fitted().predict_proba(X),
        atol=1e-4,
    )


def test_numbers_too_large_for_the_model_are_refused():
    model = fitted(X.astype(np.float32))
    large = np.full((1, 6), 1e300)
    for data in large, np.tile(large, (20, 1)), sp.csr_array(large), large * 1e7:
        with pytest.raises(ValueError, match="too large for float32"):
            model.predict(data)
    with pytest.raises(ValueError, match="too large for dtype"):
        fitted(np.full((3, 1), 1e300), [0, 1, 0], dtype="float32")
    with pytest.raises(ValueError, match="y has a number that is too large"):
        BackpropMLPRegressor().fit(X.astype(np.float32), np.full(120, 1e300))


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (np.nan, "NaN"),
        (np.inf, "infinity"),
        (-np.inf, "infinity"),
        ("text", "could not convert string to float"),
        (10**400, "too large|infinity|overflow"),
        (None, "NaN|float"),
        (1j, "Complex data not supported"),
    ],
)
def test_cells_that_are_refused(bad, words):
    data = X.astype(object)
    data[3, 2] = bad
    if isinstance(bad, complex):
        data = data.astype(complex)
    model = fitted()
    for call in (lambda: fitted(data), lambda: model.predict(data)):
        with pytest.raises((ValueError, TypeError, OverflowError), match=words):
            call()


def test_one_row_and_no_row():
    model = fitted()
    assert_allclose(model.predict_proba(X[:1]), model.predict_proba(X)[:1], rtol=1e-12)
    with pytest.raises(ValueError, match="minimum of 1 is required"):
        model.predict(X[:0])
    one = BackpropMLPRegressor(max_iter=2).fit(X[:1], Y[:1])
    assert one.predict(X).shape == (120,)


def test_one_class():
    model = fitted(X, np.full(120, "only"))
    assert_array_equal(model.predict(X), np.full(120, "only"))
    assert_array_equal(model.predict_proba(X), np.ones((120, 1)))
    assert_array_equal(model.predict_log_proba(X), np.zeros((120, 1)))


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["no", "yes", "so"]),
        np.array([-7, 0, 10**12]),
        np.array([0.0, 1.0, 2.0]),
        np.array(["a", "b", "c"], dtype=object),
        np.array([False, True, True]),
    ],
)
def test_labels_of_every_type_come_back(labels):
    y = labels[Y]
    model = fitted(X, y, max_iter=60, learning_rate_init=0.01)
    assert_array_equal(model.classes_, np.unique(labels))
    assert model.predict(X).dtype == model.classes_.dtype
    assert np.mean(model.predict(X) == y) > 0.7


def named(frame):
    return frame({f"column {i}": X[:, i] for i in range(6)})


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_frames(frame):
    table = named(frame)
    assert_array_equal(fitted(table).predict_proba(table), fitted().predict_proba(X))


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_names_of_frames(frame):
    table = named(frame)
    if not hasattr(StandardScaler().fit(table), "feature_names_in_"):
        pytest.skip(f"scikit-learn {sklearn.__version__} does not read their names")
    model, names = fitted(table), [f"column {i}" for i in range(6)]
    assert_array_equal(model.feature_names_in_, names)
    with pytest.raises(ValueError, match="feature names"):
        model.predict(table[names[::-1]])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(X)


def test_the_caller_s_arrays_are_not_touched():
    data, y, w = X.copy(), Y.copy(), np.ones(120)
    model = BackpropMLPClassifier(warm_start=True, early_stopping=True, **SETTINGS)
    model.fit(data, y, sample_weight=w).fit(data, y)
    assert_array_equal(data, X)
    assert_array_equal(y, Y)
    assert_array_equal(w, 1)


def test_log_probabilities_do_not_underflow():
    """scikit-learn's are -inf here."""
    for y in (Y, Y > 0):
        model = fitted(X, y)
        log_p = model.predict_log_proba(1e5 * X)
        assert np.isfinite(log_p).all() and log_p.min() < -1e3
        assert_allclose(
            np.exp(model.predict_log_proba(X)), model.predict_proba(X), rtol=1e-12
        )


def test_decision_function_agrees_with_predict():
    model = fitted()
    assert model.decision_function(X).shape == (120, 3)
    assert_array_equal(model.decision_function(X).argmax(axis=1), model.predict(X))
    binary = fitted(X, Y > 0)
    assert binary.decision_function(X).shape == (120,)
    assert_array_equal(binary.decision_function(X) > 0, binary.predict(X))
    labels = np.c_[Y > 0, Y > 1]
    several = fitted(X, labels)
    assert_array_equal(several.decision_function(X) > 0, several.predict(X))


def test_sparse_indicators_come_back_sparse():
    labels = sp.csr_matrix(np.c_[Y > 0, Y > 1, Y < 1].astype(int))
    dense = fitted(X, labels.toarray())
    sparse = fitted(X, labels)
    assert sp.issparse(sparse.predict(X))
    assert_array_equal(sparse.predict(X).toarray(), dense.predict(X))


def test_negative_targets_of_poisson_are_refused():
    with pytest.raises(ValueError, match="must not be negative for loss='poisson'"):
        BackpropMLPRegressor(loss="poisson").fit(X, X[:, 0])


def test_column_vector_y_warns_like_scikit_learn():
    from sklearn.exceptions import DataConversionWarning

    for cls in (BackpropMLPClassifier, BackpropMLPRegressor):
        with pytest.warns(DataConversionWarning, match="column-vector y"):
            model = cls(max_iter=2).fit(X, Y[:, None])
        assert model.predict(X).shape == (120,)


@pytest.mark.parametrize("cls", [BackpropMLPClassifier, BackpropMLPRegressor])
def test_memory_of_fit_is_that_of_its_promise(cls):
    """At most 24 bytes per row beyond X and y, and what is constant."""
    rng = np.random.RandomState(0)
    data = rng.randn(200_000, 20)
    y = rng.randint(0, 2, 200_000)
    y = y if cls is BackpropMLPClassifier else y.astype(float)
    model = cls((8,), max_iter=1, batch_size=1000)
    model.fit(data[:2000], y[:2000])
    tracemalloc.start()
    model.fit(data, y)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 24 * 200_000 + 1e6
    tracemalloc.start()
    model.predict(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * 200_000 * (3 if cls is BackpropMLPClassifier else 1) + 9e6


@pytest.mark.parametrize("index", [2**30, 6, -1])
def test_indices_out_of_range_are_refused(index):
    """The engine trusts indices: these would read, and write, foreign memory."""
    data = sp.csr_array(X)
    model = fitted(data)
    data.indices[3] = index
    for call in (lambda: fitted(data), lambda: model.predict(data)):
        with pytest.raises(ValueError, match="ind"):
            call()


def test_text_labels_do_not_stand_for_numbers():
    """NumPy compares them as text, where "10" sorts before "2"."""
    data, y = np.arange(400.0)[:, None] % 20, np.arange(400) % 20 + 1
    model = BackpropMLPClassifier().partial_fit(data, y, classes=np.arange(1, 21))
    with pytest.raises(ValueError, match="text and numbers are mixed"):
        model.partial_fit(data, y.astype(str))
    stopping = BackpropMLPClassifier(early_stopping=True)
    with pytest.raises(ValueError, match="text and numbers are mixed"):
        stopping.fit(data, y, X_val=data, y_val=y.astype(str))


def test_the_caller_s_sparse_matrix_is_not_touched():
    data = sp.csr_array(X)
    data.indptr = data.indptr // 2  # the second half of the entries is unused
    stored = len(data.data)
    fitted(data).predict(data)
    assert len(data.data) == stored


@pytest.mark.parametrize(
    "parameters",
    [
        {"hidden_layer_sizes": (size for size in [3])},
        {"hidden_layer_sizes": {3, 4}},
        {"activation": {"relu", "tanh"}, "hidden_layer_sizes": (3, 3)},
        {"hidden_layer_sizes": (2**31,)},
    ],
    ids=["generator", "set", "set of names", "huge"],
)
def test_layers_need_an_order_and_a_size(parameters):
    (name, *_) = parameters
    with pytest.raises(ValueError, match=name):
        fitted(**parameters)


@pytest.mark.parametrize(
    ("y", "words"),
    [(Y.astype(str), "y must be a dense array"), (sp.csr_array(np.c_[Y, Y]), "dense")],
)
def test_targets_of_a_regressor_are_numbers(y, words):
    for loss in ("squared_error", "poisson"):
        with pytest.raises(ValueError, match=words):
            BackpropMLPRegressor(loss=loss).fit(X, y)


def test_classes_of_several_labels_must_be_their_numbers():
    labels = np.c_[Y > 0, Y > 1, Y < 1].astype(int)
    for classes in (["a", "b", "c"], [0, 1], [0, 1, 2, 3]):
        with pytest.raises(ValueError, match=r"classes must be \[0, 1, 2\]"):
            BackpropMLPClassifier().partial_fit(X, labels, classes=classes)
    model = BackpropMLPClassifier().partial_fit(X, labels, classes=[0, 1, 2])
    assert model.partial_fit(X, labels, classes=[0, 1, 2]).predict(X).shape == (120, 3)


def test_memory_of_prediction_is_the_output_and_a_constant():
    data = np.random.RandomState(0).randn(600_000, 6)
    model = fitted()
    for method, per_row in (
        ("predict", 8),
        ("predict_proba", 24),
        ("predict_log_proba", 24),
    ):
        for rows in data, shifted(data):
            tracemalloc.start()
            getattr(model, method)(rows)
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert peak < 600_000 * per_row + 1e7, method


def of_a_record(array):
    """A field behind a single byte, as files have it."""
    rows = np.zeros(
        len(array), dtype=[("flag", "i1"), ("x", array.dtype, array.shape[1:])]
    )
    rows["x"] = array
    return rows["x"]


def swapped(array):
    return array.astype(array.dtype.newbyteorder())


@pytest.fixture
def mapped(tmp_path):
    files = []

    def of_a_file(array):
        files.append(tmp_path / f"{len(files)}")
        files[-1].write_bytes(b"x" + array.tobytes())
        return np.memmap(files[-1], array.dtype, mode="r", offset=1, shape=array.shape)

    return of_a_file


@pytest.mark.parametrize("how", ["shifted", "record", "swapped", "mapped"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_arrays_at_odd_addresses(how, dtype, mapped):
    """The engine refuses them; everything else hands it a copy."""
    odd = {"record": of_a_record, "shifted": shifted, "swapped": swapped}.get(
        how, mapped
    )
    data, numbers = X.astype(dtype), X[:, :1].astype(dtype)[:, 0].copy()
    w = np.linspace(0.5, 1.5, 120).astype(dtype)
    # Swapped bytes are no float32 to validation, and so are trained in float64.
    plain = data.astype(np.float64) if how == "swapped" else data
    for cls, y in (BackpropMLPClassifier, Y), (BackpropMLPRegressor, numbers):
        right = cls((5,), **SETTINGS).fit(plain, y, sample_weight=w)
        model = cls((5,), **SETTINGS).fit(odd(data), odd(y), sample_weight=odd(w))
        assert_array_equal(model.coefs_[0], right.coefs_[0])
        for rows in data, data[:1], data[:9]:
            expected = right.predict(rows.astype(plain.dtype))
            assert_array_equal(model.predict(odd(rows)), expected)
        expected = right.partial_fit(plain, y).coefs_[0]
        assert_array_equal(model.partial_fit(odd(data), odd(y)).coefs_[0], expected)
    net = Network(
        [6, 4, 1], "tanh", loss="squared_error", output_activation="identity",
        dtype=dtype, random_state=0,
    )  # fmt: skip
    assert_array_equal(net.forward(odd(data)), net.forward(data))
    layers = net.forward(odd(data), return_layers=True)
    assert_array_equal(layers.A[-1], net.forward(data, return_layers=True).A[-1])
    value, gradient = net.loss_and_gradient(odd(data), odd(numbers), odd(w))
    expected, wanted = net.loss_and_gradient(data, numbers, w)
    assert value == expected
    assert_array_equal(gradient.coefs[0], wanted.coefs[0])
    outputs = net.forward(data)
    net.coefs_ = [odd(W) for W in net.coefs_]
    assert_array_equal(net.forward(data), outputs)


@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_sparse_arrays_at_odd_addresses(index):
    data = sp.csr_array(X * (X > 0))
    odd = data.copy()
    odd.data, odd.indices = shifted(data.data), shifted(data.indices.astype(index))
    odd.indptr = shifted(data.indptr.astype(index))
    model, right = fitted(odd), fitted(data)
    assert_array_equal(model.coefs_[0], right.coefs_[0])
    assert_array_equal(model.predict_proba(odd), right.predict_proba(data))


@pytest.mark.parametrize("bad", ["nonsense", "softmaxx", "", 3, None, ["relu"], X[:2]])
@pytest.mark.parametrize("cls", [BackpropMLPClassifier, BackpropMLPRegressor])
def test_an_output_activation_that_is_none(cls, bad):
    model = cls((4,), **SETTINGS).fit(X, Y)
    model.out_activation_ = bad
    for call in (
        lambda: model.predict(X),
        lambda: model.predict(X[:1]),
        lambda: model.partial_fit(X, Y),
        lambda: model.score(X, Y),
    ):
        with pytest.raises(ValueError, match=r"out_activation_ must be one of \['exp'"):
            call()


def test_output_activations_may_be_assigned():
    model = BackpropMLPRegressor((4,), **SETTINGS).fit(X, X[:, 0])
    plain = model.predict(X)
    for name, function in ("relu", lambda z: np.maximum(z, 0)), ("tanh", np.tanh):
        model.out_activation_ = "".join(name)
        assert_allclose(model.predict(X), function(plain), rtol=1e-12)
        assert_allclose(model.predict(X[:1]), function(plain[:1]), rtol=1e-12)
    model.out_activation_ = "softmax"
    with pytest.raises(ValueError, match=r"out_activation_ must be .* Got 'softmax'"):
        model.predict(X)


@pytest.mark.parametrize("last", [(), (3,)])
def test_layers_whose_parameters_cannot_be_counted(last):
    """The number is right, and nothing is allocated for it."""
    size = 2**31 - 1
    hidden = (size, size, *last)
    sizes = [6, *hidden, 1]
    total = sum((p + 1) * q for p, q in pairwise(sizes))
    message = rf"sizes \[6, 2147483647, .*\] have {total} parameters, more than"
    assert total > 2**62
    model = BackpropMLPRegressor(hidden, **SETTINGS)
    with pytest.raises(ValueError, match=message):
        model.fit(X, X[:, 0])
    assert not hasattr(model, "n_features_in_")
    with pytest.raises(ValueError, match=message):
        Network(sizes, "relu", loss="squared_error", output_activation="identity")
    for sizes in ([2**70, 1], [2**32, 2**32], [1, 2**62, 2, 2**62]):
        with pytest.raises(ValueError, match="more than an array can hold"):
            make_topology(
                sizes, ["relu"] * (len(sizes) - 2), "identity", "squared_error"
            )


@pytest.mark.parametrize("dimension", [2**61, 2**80])
def test_embeddings_whose_parameters_cannot_be_counted(dimension):
    for embedding in (lambda: Embeddings([[0, 1, 2]], 0, [], dimension, 1),
                      lambda: Embeddings([], 0, [9], 1, dimension)):  # fmt: skip
        with pytest.raises(ValueError, match=f"{dimension}.* more than an array"):
            embedding()
