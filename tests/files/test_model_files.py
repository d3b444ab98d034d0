"""Model files: what comes back, what is refused before anything is written.

Answers for: _model_file.py, _description.py, _value_checks.py, _plain.py.
"""

import copy
import importlib.util
import json
import pickle
import warnings
from datetime import time
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers import assert_close_to_rounding
from numpy.testing import assert_array_equal
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sources import TESTS

from skbackprop import (
    BackpropMLPClassifier,
    BackpropMLPRegressor,
    ModelFormatError,
    TabularEncoder,
    TabularMLPClassifier,
    TabularMLPRegressor,
    load_model,
    save_model,
)
from skbackprop._description import DESCRIPTIONS
from skbackprop._model_file import _model_of, _pieces, read_model, write_model
from skbackprop._plain import Unwritable

HERE = TESTS / "model_files"
GOLDEN = HERE / "format_1"


def _maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_models", HERE / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make = _maker()
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
RNG = np.random.RandomState(0)
X = RNG.normal(size=(60, 3))
Y = X[:, 0] - X[:, 1]


def through(model: Any, path: Path, **options: Any) -> Any:
    save_model(model, path, **options)
    return load_model(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


# Round trips ------------------------------------------------------------------


@pytest.fixture(scope="module")
def fitted() -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {name: maker() for name, maker in make.MAKERS.items()}


def assert_same_values(one: Any, other: Any) -> None:
    """The same types, and the same values to the last bit."""
    assert type(one) is type(other)
    if isinstance(one, np.ndarray):
        assert one.dtype == other.dtype and one.flags.c_contiguous
        assert_array_equal(one, other)
    elif isinstance(one, dict):
        assert set(one) == set(other)
        for name in one:
            assert_same_values(one[name], other[name])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            assert_same_values(a, b)
    elif isinstance(one, np.random.RandomState):
        assert_same_values(one.get_state(), other.get_state())
    elif type(one).__module__.startswith("skbackprop"):
        assert_same_values(plain(one), plain(other))
    else:
        assert one == other or (one != one and other != other)


def plain(model: Any) -> dict[str, Any]:
    """The attributes of an estimator as plain values."""
    return model._to_plain(dict(vars(model)), False)


def as_python(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


@pytest.mark.parametrize("name", make.MAKERS)
def test_everything_comes_back(name: str, fitted: dict[str, Any], path: Path) -> None:
    model = fitted[name]
    again = through(model, path)
    assert type(again) is type(model)
    assert_array_equal(make.outputs(again), make.outputs(model))
    ours = {each: as_python(value) for each, value in plain(model).items()}
    assert_same_values(plain(again), ours)


@pytest.mark.parametrize("name", make.MAKERS)
def test_the_description_is_what_a_fit_leaves(
    name: str, fitted: dict[str, Any]
) -> None:
    """Nothing is missing in it, and every attribute is what it says."""
    model = fitted[name]
    description = DESCRIPTIONS[type(model).__name__]
    state = {each: as_python(value) for each, value in plain(model).items()}
    for parameter in model.get_params(deep=False):
        del state[parameter]
    description.check(state)
    needed = {field.name for field in description.fields if not field.optional}
    assert needed <= set(state) <= description.names


@pytest.mark.parametrize("name", [n for n in make.MAKERS if make.can_go_on(n)])
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_training_goes_on_with_the_same_bits(
    name: str, fitted: dict[str, Any], path: Path
) -> None:
    model = copy.deepcopy(fitted[name])
    again = through(model, path, training_state=True)
    assert_array_equal(
        make.pickles.continued(name, again), make.pickles.continued(name, model)
    )


def test_without_its_training_state_a_file_is_smaller(path: Path) -> None:
    model = BackpropMLPRegressor((50,), random_state=0).partial_fit(X, Y)
    save_model(model, path)
    small = path.stat().st_size
    save_model(model, path, training_state=True)
    assert path.stat().st_size > 2 * small
    # A pickle of what has been loaded keeps what there is to go on from.
    again = pickle.loads(pickle.dumps(load_model(path)))
    assert again.partial_fit(X, Y).loss_ == model.partial_fit(X, Y).loss_


def test_the_rows_held_out_stay_held_out(path: Path) -> None:
    """A warm fit after loading trains on no row that has validated."""
    model = BackpropMLPRegressor(
        early_stopping=True, warm_start=True, max_iter=3, random_state=None
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, Y)
    again = through(model, path)
    stream, other = (each._continuation.split[0] for each in (model, again))
    assert_array_equal(stream.get_state()[1], other.get_state()[1])


@pytest.mark.parametrize(
    "labels",
    [
        np.array([3, -1, 2**62]),
        np.array([2**63, 1, 2], dtype=np.uint64),
        np.array([1, 2, 3], dtype=np.int8),
        np.array([0.0, 1.0, 2.0], dtype=np.float32),
        np.array([0.0, 1.0, 2.0], dtype=np.float16),
        np.array([True, False, True]),
        np.array(["a", "ü", "a longer label"]),
        np.array(["a", "b", "a" * 1000]),
        np.array(["a", "b", "\ud800"]),
        np.array(["a", "b", "c"], dtype=object),
        np.array([3, 4, 5], dtype=">i4"),
    ],
    ids=lambda labels: f"{labels.dtype}-{len(str(labels))}",
)
def test_classes_keep_their_type(labels: np.ndarray, path: Path) -> None:
    model = BackpropMLPClassifier((2,), solver="lbfgs", max_iter=2, random_state=0)
    model.fit(X, labels[np.arange(60) % len(labels)])
    again = through(model, path)
    assert_array_equal(again.classes_, model.classes_)
    assert_array_equal(again.predict(X), model.predict(X))
    wide = labels.dtype.kind == "U" and labels.dtype.itemsize > 1000
    native = model.classes_.dtype.newbyteorder("=")
    assert again.classes_.dtype == (object if wide else native)


PARAMETERS: list[dict[str, Any]] = [
    {"hidden_layer_sizes": 3},
    {"hidden_layer_sizes": [3, 2]},
    {"hidden_layer_sizes": (np.int64(3),)},
    {"hidden_layer_sizes": np.array([3, 2])},
    {"n_iter_no_change": np.inf},
    {"alpha": np.float32(0.25)},
    {"verbose": np.bool_(False)},
    {"dtype": np.float32},
    {"dtype": np.dtype("float64")},
    {"activation": ["tanh"], "hidden_layer_sizes": (2,)},
    {"class_weight": {0: 1, 1: 2.5}},
    {"class_weight": {np.int64(0): 1.0, np.int64(1): np.float64(2)}},
    {"class_weight": "balanced"},
    {"scoring": "accuracy"},
    {"max_grad_norm": 1.0},
    {"random_state": np.random.RandomState(5)},
    {"random_state": 2**32 - 1},
]


@pytest.mark.parametrize("parameters", PARAMETERS, ids=lambda p: repr(p)[:40])
def test_parameters_come_back(parameters: dict[str, Any], path: Path) -> None:
    base = {"max_iter": 2, "random_state": 0}
    model = BackpropMLPClassifier(**(base | parameters))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, Y > 0)
        again = through(model, path)
        for name, value in model.get_params().items():
            found = getattr(again, name)
            if name == "dtype" and value is not None:
                assert np.dtype(found) == value
            elif isinstance(value, np.random.RandomState):
                assert_array_equal(found.get_state()[1], value.get_state()[1])
            elif isinstance(value, np.ndarray):
                assert found == value.tolist()
            else:
                assert found == value
        again.fit(X, Y > 0)


def test_a_column_list_comes_back(path: Path) -> None:
    frame = pd.DataFrame({"a": [1, 2, 3], "b": [1.5, 2, 3]})
    for given in ["a"], pd.Index(["a"]), np.array([True, False]), [0]:
        encoder = TabularEncoder(categorical_features=given).fit(frame)
        again = through(encoder, path)
        assert_array_equal(again.transform(frame), encoder.transform(frame))
        assert again.categorical_features == list(given)
        assert_array_equal(again.fit(frame).transform(frame), encoder.transform(frame))


def test_an_output_container_comes_back(path: Path) -> None:
    encoder = TabularEncoder().set_output(transform="pandas").fit(X)
    assert isinstance(through(encoder, path).transform(X), pd.DataFrame)


def test_assigned_parameters_are_what_is_saved(path: Path) -> None:
    model = BackpropMLPRegressor((2,), solver="lbfgs", max_iter=2).fit(X, Y)
    model.coefs_ = [np.ones((3, 2), dtype=int), np.asfortranarray(np.ones((2, 1)))]
    model.intercepts_ = [[0, 0], np.zeros((1, 1))]
    again = through(model, path)
    assert_array_equal(again.predict(X), model.predict(X))
    assert_array_equal(again.coefs_[0], np.ones((3, 2)))
    assert type(model.intercepts_[0]) is list  # the model itself is as it was


def test_a_word_on_the_table_comes_back(path: Path) -> None:
    model = BackpropMLPRegressor((2,), solver="lbfgs", max_iter=2).fit(X, Y)
    table = {
        "delimiter": ";",
        "missing": ["", "NA"],
        "columns": [{"name": "é", "kind": "date"}, {"name": "b", "scale": 0.01}],
        "header": True,
        "rows": 5,
        "none": None,
    }
    write_model(model, path, table=table)
    found = read_model(path)
    assert found.table == table
    assert_array_equal(found.estimator.predict(X), model.predict(X))
    assert found.version and read_model(path).table == table


# Golden files -----------------------------------------------------------------


@pytest.fixture(scope="module")
def expected() -> dict[str, np.ndarray]:
    with np.load(GOLDEN / "expected.npz") as arrays:
        return dict(arrays)


def test_every_golden_file_is_tested() -> None:
    assert {path.stem for path in GOLDEN.glob("*.safetensors")} == set(make.MAKERS)


@pytest.mark.parametrize("name", make.MAKERS)
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_golden_files_are_read(name: str, expected: dict[str, np.ndarray]) -> None:
    model = load_model(GOLDEN / f"{name}.safetensors")
    assert_close_to_rounding(name, make.outputs(model), expected[name])
    later = make.pickles.continued(name, model)
    assert (later is not None) == make.can_go_on(name)
    if later is not None:
        assert_close_to_rounding(name, later, expected[f"{name}_continued"])


# What is refused --------------------------------------------------------------


def test_only_fitted_estimators_of_ours_are_saved(path: Path) -> None:
    with pytest.raises(NotFittedError, match="BackpropMLPClassifier"):
        save_model(BackpropMLPClassifier(), path)
    for wrong in make_pipeline(BackpropMLPRegressor()), None, BackpropMLPRegressor:
        with pytest.raises(TypeError, match=r"save_model\(.* takes a Back.* Got "):
            save_model(wrong, path)

    class Ours(BackpropMLPRegressor):
        pass

    with pytest.raises(TypeError, match="of type Ours"):
        save_model(Ours((2,), solver="lbfgs", max_iter=1).fit(X, Y), path)
    assert not path.exists()


def test_a_callable_is_refused_by_its_name(path: Path) -> None:
    model = BackpropMLPRegressor((2,), solver="lbfgs", max_iter=2).fit(X, Y)
    model.scoring = lambda estimator, X, y: 0.0
    path.write_bytes(b"old")
    with pytest.raises(
        TypeError, match=r"^scoring of this BackpropMLPRegressor is .*fu"
    ):
        save_model(model, path)
    assert path.read_bytes() == b"old"
    with pytest.raises(ValueError, match="'tol' parameter"):
        save_model(model.set_params(scoring=None, tol=-1), path)


@pytest.mark.parametrize(
    "odd",
    [time(12), Fraction(1, 3), pd.Period("2020"), 10**5000, 1j],
    ids=lambda odd: type(odd).__name__,
)
def test_odd_categories_are_refused_with_their_column(odd: Any, path: Path) -> None:
    encoder = TabularEncoder().fit(pd.DataFrame({"n": [1.0, 2], "shift": ["a", "b"]}))
    encoder.categories_[0][1] = odd
    with pytest.raises(TypeError, match=r"Column 'shift' has the category .*Make str"):
        save_model(encoder, path)
    assert not path.exists()


def test_no_training_state_where_there_is_none(path: Path) -> None:
    models = [
        BackpropMLPRegressor((2,), solver="lbfgs", max_iter=2).fit(X, Y),
        TabularEncoder().fit(X),
    ]
    for model in models:
        with pytest.raises(ValueError, match="training_state=True, but this "):
            save_model(model, path, training_state=True)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("coefs_", [np.ones((3, 2)), np.full((2, 1), np.nan)], "must be finite"),
        ("coefs_", [np.ones((3, 2))], "the last with 1 columns"),
        ("coefs_", "weights", "coefs_ must be a list"),
        ("n_outputs_", 2, "with 2 columns"),
        ("n_iter_", "many", "n_iter_ must be an int"),
        ("loss_curve_", [0.5, "x"], "loss_curve_ must be a float"),
        ("out_activation_", "softmax", "out_activation_ must be one of"),
        ("n_features_in_", 4, "must lead from"),
        ("quantiles_", np.array([0.5, 0.4]), "quantiles_ must be increasing"),
    ],
)
def test_broken_models_are_not_saved(
    name: str, value: Any, says: str, path: Path
) -> None:
    model = BackpropMLPRegressor((2,), max_iter=2, random_state=0).partial_fit(X, Y)
    setattr(model, name, value)
    with pytest.raises(ValueError, match=says):
        save_model(model, path)
    assert not path.exists()


# What is no model -------------------------------------------------------------


def edited(model: Any, change: Any) -> bytes:
    """A file of a model whose tree has been changed."""
    from skbackprop._safetensors import layout, parse

    metadata, arrays = parse(b"".join(_pieces(model, False, {})))
    tree = json.loads(metadata["model"])
    change(tree, arrays)
    metadata["model"] = json.dumps(tree)
    return b"".join(layout(metadata, arrays))


def _set(tree: dict[str, Any], *keys: str, to: Any) -> None:
    *way, last = keys
    for key in way:
        tree = tree[key]
    tree[last] = to


CHANGES = {
    "'os.system' is none of": lambda t, a: _set(t, "class", to="os.system"),
    "is none of": lambda t, a: _set(t, "class", to="BackpropMLPClassifier "),
    "no parameter": lambda t, a: _set(t, "parameters", "x", to=1),
    "'alpha' parameter": lambda t, a: _set(t, "parameters", "alpha", to=-1),
    "'scoring' parameter": lambda t, a: _set(t, "parameters", "scoring", to="x"),
    "loss_ is missing": lambda t, a: t["fitted"].pop("loss_"),
    "'predict' is no attribute": lambda t, a: _set(t, "fitted", "predict", to=1),
    "n_iter_ must be an int": lambda t, a: _set(t, "fitted", "n_iter_", to=0.5),
    "finite": lambda t, a: a["coefs_.0"].fill(np.inf),
    "must lead from": lambda t, a: _set(t, "fitted", "n_features_in_", to=7),
    "of one type": lambda t, a: a.update({"coefs_.0": np.ones((3, 2), np.float32)}),
    "is of nothing": lambda t, a: a.update(more=np.ones(2)),
    "stands for two": lambda t, a: _set(
        t, "fitted", "coefs_", to={"list": [{"array": "coefs_.0"}] * 2}
    ),
    "of as many layers": lambda t, a: _set(t, "fitted", "n_layers_", to=9),
    "deeply": lambda t, a: _set(t, "fitted", "x", to=json.loads("[" * 99 + "]" * 99)),
}


@pytest.mark.parametrize("says", CHANGES)
def test_changed_files_are_refused(says: str) -> None:
    model = BackpropMLPRegressor((2,), solver="lbfgs", max_iter=2).fit(X, Y)
    with pytest.raises(ModelFormatError, match=says):
        _model_of(edited(model, CHANGES[says]))


def test_sizes_are_not_believed() -> None:
    """A number in a file makes nothing of that size."""
    data = edited(
        TabularEncoder().fit(X),
        lambda t, a: _set(t, "fitted", "n_features_in_", to=2**50),
    )
    with pytest.raises(ModelFormatError, match="must be the columns, each once"):
        _model_of(data)


def _pool(ends: list[int], text: bytes) -> dict[str, np.ndarray]:
    n = len(ends)
    return {
        "values.kind": np.ones(n, np.uint8),
        "values.end": np.array(ends, np.int64),
        "values.text": np.frombuffer(text, np.uint8),
    }


def test_values_that_wrap_around_are_refused() -> None:
    """Differences of places that overflow look like steps forward."""
    from skbackprop._plain import Reader

    ends = [2**63 - 1, -2, 1000]
    with pytest.raises(ModelFormatError, match="do not follow one another"):
        Reader(_pool(ends, b"a" * 1000))


@pytest.mark.parametrize("what", ["pairs", "categories"])
def test_values_that_share_a_hash_are_refused(what: str) -> None:
    """A dict, or a set, of them would take time by the square."""
    numbers = [k * (2**61 - 1) for k in range(200_000)]
    if what == "categories":
        encoder = TabularEncoder().fit(pd.DataFrame({"a": ["x", "y"]}))
        encoder.categories_ = [numbers]
        with pytest.raises(ValueError, match="categories of several hashes"):
            b"".join(_pieces(encoder, False, {}))
        return
    from skbackprop._plain import Reader, Writer

    writer = Writer()
    keys = writer.tree(numbers, "x")
    tree = {"pairs": [keys, writer.tree([0] * len(numbers), "y")]}
    with pytest.raises(ModelFormatError, match="share their hashes"):
        Reader(writer.all_arrays()).value(tree)


def test_lists_are_of_no_narrow_numbers() -> None:
    """An int of Python's takes 32 bytes."""
    from skbackprop._plain import Reader

    arrays = _pool([], b"") | {"a": np.zeros(1000, np.int16)}
    with pytest.raises(ModelFormatError, match="a list is no list"):
        Reader(arrays).value({"list": {"array": "a"}})


def test_older_files_may_lack_a_parameter() -> None:
    """A parameter that a later version has added has its default."""
    model = BackpropMLPRegressor((2,), solver="lbfgs", max_iter=2, alpha=3).fit(X, Y)
    data = edited(model, lambda t, a: t["parameters"].pop("alpha"))
    assert _model_of(data).estimator.alpha == BackpropMLPRegressor().alpha


def test_other_files_are_named(path: Path) -> None:
    path.write_bytes(b"PK\3\4 no model at all")
    with pytest.raises(
        ModelFormatError, match=r"model\.safetensors': the header is lo"
    ):
        load_model(path)
    with pytest.raises(FileNotFoundError):
        load_model(path.parent / "elsewhere")
    assert issubclass(ModelFormatError, ValueError)


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        ({"format": "pt"}, "not a model file of skbackprop"),
        ({"format": "skbackprop-checkpoint"}, "it is a checkpoint: fit"),
        ({"format_version": "2"}, "its format is version 2, and skbackprop .* update"),
        ({"format_version": "1.5"}, "its format has no version"),
        ({"format_version": "٣"}, "its format has no version"),
        ({"model": "nonsense"}, "no JSON"),
        ({"model": "surrogate"}, "no JSON"),
        ({"table": "[]"}, "does not say what it is"),
    ],
)
def test_formats_are_told_apart(metadata: dict[str, str], says: str) -> None:
    from skbackprop._safetensors import layout, parse

    model = BackpropMLPRegressor((2,), solver="lbfgs", max_iter=2).fit(X, Y)
    found, arrays = parse(b"".join(_pieces(model, False, {})))
    data = b"".join(layout(found | metadata, arrays))
    with pytest.raises(ModelFormatError, match=says):
        _model_of(data.replace(b'"surrogate"', b'"\\ud800xxx"'))


def test_values_of_other_types_are_unwritable() -> None:
    from skbackprop._plain import Writer

    for value in object(), {1, 2}, np.array([1j]), 1j, np.longdouble(1):
        if type(value) is np.longdouble and np.dtype("longdouble").itemsize == 8:
            continue
        with pytest.raises(Unwritable):
            Writer().tree([value] if np.isscalar(value) else value, "x")
    assert Writer().tree(Decimal("1.0"), "x") == {"values": [0, 1]}


def test_frames_with_names_are_checked_after_loading(path: Path) -> None:
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    classifier = TabularMLPClassifier(n_folds=2, max_iter=1, random_state=0)
    again = through(classifier.fit(frame, Y > 0), path)
    with pytest.raises(ValueError, match="feature names"):
        again.predict(frame[["b", "a", "c"]])
    regressor = TabularMLPRegressor(n_folds=2, max_iter=1, random_state=0)
    again = through(regressor.fit(frame, Y), path)
    assert_array_equal(again.predict(frame), regressor.predict(frame))
    again.fit(frame, Y)
    assert_array_equal(again.predict(frame), regressor.predict(frame))
