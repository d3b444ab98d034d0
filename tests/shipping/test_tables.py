"""TabularEncoder and TabularMLP* as ONNX: an input for every column.

Answers for: onnx/_columns.py, onnx/_dates.py, onnx/_feeds.py, onnx/_networks.py,
onnx/_outputs.py.
"""

import copy
import json
import pickle
from decimal import Decimal

import numpy as np
import onnx
import pandas as pd
import pytest
from frames import CONTAINERS, DATA, PANDAS, ROWS, N
from helpers import small_table
from numpy.testing import assert_allclose, assert_array_equal
from runtimes import assert_predicts_the_same, quick_classifier, quick_regressor, run

from skbackprop import TabularEncoder, TabularMLPClassifier
from skbackprop.onnx import make_inputs, to_onnx
from skbackprop.onnx._dates import date_parts
from skbackprop.onnx._graph import ModelGraph
from skbackprop.tabular._days import PARTS

TABLE = small_table()
#: Probabilities of float32 networks, averaged.
ROUNDING = 1e-6


def input_of(model, name):
    (found,) = [each for each in model.graph.input if each.name == name]
    return found


def types(model):
    """The type of every input, as a runtime would write it."""
    name = onnx.TensorProto.DataType.Name
    return {
        each.name: name(each.type.tensor_type.elem_type).lower()
        for each in model.graph.input
    }


def encodes(X, later=None, *, atol=1e-7, inputs=None, missing="", **parameters):
    """The model of an encoder of X, which has encoded X, or a later table, alike."""
    encoder = TabularEncoder(**parameters).fit(X)
    later = X if later is None else later
    return assert_predicts_the_same(
        encoder, later, atol=atol, inputs=inputs, missing=missing
    )


# The encoder


@pytest.mark.parametrize("missing", ["nan", "indicator"])
@pytest.mark.parametrize("max_one_hot", [0, 8, None])
@pytest.mark.parametrize("clip", [None, 2.0])
def test_columns_of_every_kind(clip, max_one_hot, missing):
    model = encodes(PANDAS, clip=clip, max_one_hot=max_one_hot, missing=missing)
    assert types(model) == {
        "age": "double",
        "income": "double",
        "rooms": "double",
        "color": "string",
        "sex": "string",
        "member": "bool",
        "vip": "double",
        "city": "string",
        "constant": "double",
        "empty": "double",
        "only": "string",
    }


@pytest.mark.parametrize("container", CONTAINERS)
def test_any_container_makes_the_same_inputs(container):
    model = to_onnx(TabularEncoder().fit(PANDAS))
    if not hasattr(CONTAINERS[container](), "columns"):
        model = to_onnx(TabularEncoder().fit(ROWS))
        assert [each.name for each in model.graph.input] == [f"x{j}" for j in range(11)]
    expected = [*make_inputs(to_onnx(TabularEncoder().fit(PANDAS)), PANDAS).values()]
    for name, actual in zip(DATA, expected, strict=True):
        assert actual.shape == (N, 1), name
    made = make_inputs(model, CONTAINERS[container]())
    for actual, wanted in zip(made.values(), expected, strict=True):
        assert actual.dtype == wanted.dtype
        assert_array_equal(actual, wanted)


@pytest.mark.parametrize("max_one_hot", [0, None])
@pytest.mark.parametrize(
    ("values", "later", "kind"),
    [
        (["a", "b", "c", "a"], ["b", "A", "", "c"], "string"),
        (["a", None, "c", "a"], ["b", None, " ", "c"], "string"),
        (["", "b", "c", ""], ["", "b", "?", "c"], "string"),
        ([1, 2, 3, 1], [3, 0, -7, 2], "int64"),
        ([2**53, 2**53 + 1, -(2**63), 5], [2**53 + 1, 2**53, 1, -(2**63)], "int64"),
        ([1, 2, None, 1], [None, 1.5, 2, 1], "double"),
        ([1.5, 2.0, -0.0, 1.5], [2.0, 0.0, 0.5, None], "double"),
        ([1.5, None, np.inf, 1.5], [-np.inf, np.inf, 1.5, None], "double"),
        ([True, False, True, True], [False, True, True, False], "bool"),
        ([True, None, False, True], [None, True, False, 2.0], "double"),
        ([True, 2, 3, True], [2, 3, 1, 0], "int64"),
        ([2**53 + 1, None, 2**53, 5], [2**53, None, 2**53 + 1, 5], "string"),
        ([2**63, 2**64, 1, 2**63], [2**64, 1, 7, 2**63], "string"),
        (["a", 1, 2.5, "a"], ["a", 2.5, 1, "b"], "string"),
        ([Decimal("0.1"), 7, 8, 7], [8, 7, Decimal("0.1"), 9], "string"),
    ],
)
def test_categories(values, later, kind, max_one_hot):
    """Known, unknown and missing ones, in the type that has a place for them."""
    frames = (
        pd.DataFrame({"c": pd.Series(each, dtype=object)}) for each in (values, later)
    )
    model = encodes(*frames, categorical_features=["c"], max_one_hot=max_one_hot)
    assert types(model) == {"c": kind}


def test_texts_that_stand_for_numbers_are_read_as_predict_reads_them():
    """Of a column whose numbers a float64 has no place for."""
    values = pd.Series([2**53 + 1, None, 2**53, 5], dtype=object)
    encoder = TabularEncoder(categorical_features=["c"]).fit(
        pd.DataFrame({"c": values})
    )
    later = pd.DataFrame({"c": ["5", "5.0", "05", "nan", "None", "<NA>", "x"]})
    with pytest.warns(UserWarning, match="'05'"):
        expected = encoder.transform(later)
    outputs = run(to_onnx(encoder), {"c": later[["c"]].to_numpy()})
    assert_array_equal(outputs["variable"], expected)


def test_a_text_of_choice_is_missing():
    """The empty one is a category then."""
    X = pd.DataFrame({"c": ["", None, "a", "b"] * 2})
    with pytest.raises(ValueError, match=r"'c' has missing values and the category ''"):
        to_onnx(TabularEncoder().fit(X))
    model = encodes(X, missing="\N{EMPTY SET}")
    assert make_inputs(model, X)["c"][1, 0] == "\N{EMPTY SET}"


def test_categories_that_no_input_holds():
    X = pd.DataFrame({"c": pd.Series([b"a", b"b"] * 3, dtype=object)})
    with pytest.raises(TypeError, match=r"Column 'c' .* b'a', of type bytes"):
        to_onnx(TabularEncoder().fit(X))


def test_categories_that_are_written_alike():
    X = pd.DataFrame({"c": pd.Series([1, "1", 2] * 3, dtype=object)})
    with pytest.raises(ValueError, match=r"'c' has two categories .* written '1'"):
        to_onnx(TabularEncoder().fit(X))


HUGE = [0.0, 1.0, -1.0, 2.0**24 + 1, 1e30, -1e300, 1.7e308, 5e-324, None]


@pytest.mark.parametrize("clip", [None, 3.0])
@pytest.mark.parametrize("scale", [1e-300, 1.0, 1e300, 1e308])
def test_numbers_of_any_size(scale, clip):
    X = pd.DataFrame({"a": np.linspace(-1, 1, 11) * scale})
    encodes(X, pd.DataFrame({"a": HUGE}), clip=clip)


def test_integers_beyond_float32():
    """Neighbours in float64 stay apart; in float32 they are one."""
    X = pd.DataFrame({"id": 2**40 + np.arange(50)})
    encodes(X)
    encoder = TabularEncoder().fit(X)
    model = to_onnx(encoder, input_dtype="float32")
    assert types(model) == {"id": "float"}
    single = run(model, make_inputs(model, X))["variable"]
    assert len(np.unique(single)) == 1


def test_rows_with_infinity_are_answered_by_nan():
    X = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [1.0, None, 3.0], "c": [1, 1, 1]})
    encoder = TabularEncoder().fit(X)
    inputs = make_inputs(to_onnx(encoder), X)
    inputs["a"][0], inputs["b"][2], inputs["c"][1] = np.inf, -np.inf, np.inf
    out = run(to_onnx(encoder), inputs)["variable"]
    # c says nothing, and is not looked at by predict either.
    assert_array_equal(np.isnan(out), [[True] * 3, [False] * 3, [True] * 3])


def test_an_encoder_of_nothing_is_refused():
    with pytest.raises(ValueError, match="makes no column"):
        to_onnx(TabularEncoder().fit(pd.DataFrame({"a": [1, 1]})))


def test_an_encoder_that_knows_more_kinds_of_columns():
    encoder = TabularEncoder().fit(PANDAS)
    encoder.n_numeric_ += 1
    with pytest.raises(ValueError, match="columns of numbers, dates and categories"):
        to_onnx(encoder)


# Dates

#: Ends of months and years, leap days and none, before 1970 and after, far away.
DAYS = [
    f"{year}-{day}"
    for year in ("0001", "1582", "1900", "1969", "1970", "2000", "2024", "2100", "9999")
    for day in ("01-01", "02-28", "03-01", "05-31", "08-01", "12-31")
] + ["2000-02-29", "2024-02-29", "1968-02-29"]
MOMENTS = np.array(
    [f"{day}T{hour}" for day in DAYS for hour in ("00:00", "23:59:59.999999")],
    dtype="datetime64[us]",
)


def test_every_part_of_a_date_has_nodes():
    graph = ModelGraph({"moments"})
    assert len(date_parts(graph, "moments")) == len(PARTS)


@pytest.mark.parametrize("missing", ["nan", "indicator"])
def test_dates(missing):
    """Each part as it is; then some that are missing, beside numbers."""
    X = pd.DataFrame({"b": np.arange(len(MOMENTS)), "day": MOMENTS})
    model = encodes(X, dates="numbers", clip=None, missing=missing)
    assert types(model) == {"b": "double", "day": "int64"}
    X.loc[[3, 7], "day"] = pd.NaT
    X["constant"] = MOMENTS[0]
    X["gaps"] = X["day"].where(X["day"].isna(), MOMENTS[5])
    X["a"] = X["b"].where(X["b"] > 5)
    model = encodes(X, dates="numbers", missing=missing)
    assert make_inputs(model, X)["day"][3, 0] == np.iinfo(np.int64).min
    assert "microseconds" in input_of(model, "day").doc_string


def test_dates_of_an_ensemble():
    X = TABLE.X.assign(day=pd.date_range("2023-12-01", periods=120, freq="11h"))
    model = quick_classifier(dates="numbers").fit(X, TABLE.y)
    assert_predicts_the_same(model, X, atol=ROUNDING)


# Names


def test_names_of_columns_are_those_of_inputs():
    names = ["label", "probabilities", "", "a b", "x", "Cast_7", "\N{SNOWMAN}"]
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 7)), columns=names)
    y = X["x"] > 0
    model = quick_classifier().fit(X, y)
    made = assert_predicts_the_same_but_names(model, X)
    assert [each.name for each in made.graph.input] == [
        "label",
        "probabilities",
        "x_",
        "a b",
        "x",
        "Cast_7",
        "\N{SNOWMAN}",
    ]
    assert [each.name for each in made.graph.output] == ["label_", "probabilities_"]


def assert_predicts_the_same_but_names(model, X):
    made = to_onnx(model)
    label, p = run(made, make_inputs(made, X)).values()
    assert_array_equal(label, model.predict(X))
    assert_allclose(p, model.predict_proba(X), atol=ROUNDING)
    return made


def test_columns_are_found_by_their_names():
    model = to_onnx(TabularEncoder().fit(TABLE.X))
    inputs = make_inputs(model, TABLE.X.assign(more=1)[["more", "b", "a"]])
    assert_array_equal(inputs["a"][:, 0], TABLE.X["a"])
    with pytest.raises(ValueError, match="X has no column 'b'"):
        make_inputs(model, TABLE.X[["a"]])
    with pytest.raises(ValueError, match="X has 3 columns, and the model 2"):
        make_inputs(model, np.zeros((2, 3)))
    with pytest.raises(ValueError, match="Got str that says nothing"):
        make_inputs("model.onnx", TABLE.X)


def test_a_model_of_an_array_takes_a_frame():
    model = to_onnx(TabularEncoder().fit(np.arange(6.0).reshape(3, 2)))
    inputs = make_inputs(model, pd.DataFrame({"a": [1], "b": [2]}))
    assert_array_equal([inputs["x0"], inputs["x1"]], [[[1]], [[2]]])


@pytest.mark.parametrize(
    ("values", "bad", "message"),
    [
        ([1, 2], None, "missing value in row 1, .* int64"),
        ([1, 2], "x", "'x' in row 1, .* int64"),
        ([1, 2], 2**63, f"{2**63} in row 1, .* int64"),
        ([True, False], 2, "2 in row 1, .* bool"),
        ([True, False], None, "missing value in row 1, .* bool"),
        ([1.5, 2], "x", "'x' in row 1, .* float64"),
    ],
)
def test_what_an_input_has_no_place_for(values, bad, message):
    X, later = (
        pd.DataFrame({"c": pd.Series(each, dtype=object)})
        for each in (values * 3, [values[0], bad])
    )
    model = to_onnx(TabularEncoder(categorical_features=["c"]).fit(X))
    with pytest.raises(ValueError, match=f"Column 'c' has (a )?{message} cannot hold"):
        make_inputs(model, later)


# Ensembles


@pytest.mark.parametrize(
    ("y", "parameters"),
    [
        (TABLE.y, {}),
        (TABLE.y > 0, {"calibrate": True, "activation": "mish"}),
        (
            np.array(["no", "yes", "é"])[TABLE.y + TABLE.labels[:, 2]],
            {"max_one_hot": 8},
        ),
        (TABLE.labels, {"embedding_size": 1, "n_bins": 3}),
        (np.ones(len(TABLE.y)), {}),
        (TABLE.y, {"hidden_layer_sizes": (), "n_folds": 1}),
        (TABLE.y + TABLE.labels[:, 2], {"hidden_layer_sizes": (8, 6, 4)}),
    ],
    ids=["two", "calibrated", "strings", "labels", "one", "linear", "deep"],
)
def test_classifiers(y, parameters):
    X = TABLE.X.assign(a=TABLE.X["a"].where(TABLE.X["a"] < 1))  # some are missing
    model = quick_classifier(**parameters).fit(X, y)
    constant = len(model.classes_) == 1
    made = assert_predicts_the_same(model, X, atol=ROUNDING, constant=constant)
    assert types(made) == {"a": "double", "b": "string"}
    new = pd.DataFrame({"a": [-1e9, None, 1e9, 0.3], "b": ["q", "x", None, "y"]})
    inputs = make_inputs(made, new)
    assert_allclose(
        run(made, inputs)["probabilities"], model.predict_proba(new), atol=ROUNDING
    )


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber"])
def test_regressors(loss):
    Y = np.column_stack([TABLE.number * 1e6, TABLE.number + 1e3])
    for y in (Y, Y[:, 0]):
        model = quick_regressor(loss=loss).fit(TABLE.X, y)
        assert_predicts_the_same(model, TABLE.X, atol=1e-6)


@pytest.mark.parametrize("n_targets", [1, 2])
def test_quantiles_of_a_regressor(n_targets):
    y = np.column_stack([TABLE.number, -TABLE.number])[:, :n_targets].squeeze()
    model = quick_regressor(loss="quantile", quantile=[0.1, 0.5, 0.9])
    model.fit(TABLE.X, y)
    made = assert_predicts_the_same(model, TABLE.X, atol=ROUNDING)
    said = {each.key: json.loads(each.value) for each in made.metadata_props}
    assert said["skbackprop.quantiles"] == [0.1, 0.5, 0.9]


def test_predictions_are_kept_within_the_range_of_training():
    model = quick_regressor().fit(TABLE.X, TABLE.number)
    model._bag = (model._bag[0], [theta * 3 for theta in model._bag[1]])
    assert model.predict(TABLE.X).max() == TABLE.number.max()
    assert_predicts_the_same(model, TABLE.X, atol=ROUNDING)


def test_a_target_of_any_size():
    y = TABLE.number * 1e300
    model = quick_regressor().fit(TABLE.X, y)
    assert_predicts_the_same(model, TABLE.X, atol=1e-6)


def test_a_table_that_says_nothing():
    X = pd.DataFrame({"a": [4] * 40, "b": ["c"] * 40})
    model = quick_classifier().fit(X, [0, 1, 1, 1] * 10)
    assert_predicts_the_same(model, X, atol=ROUNDING, constant=True)


@pytest.mark.parametrize("columns", [["a"], ["b"]])
def test_columns_of_one_kind(columns):
    X = TABLE.X[columns]
    model = quick_classifier().fit(X, TABLE.y)
    assert_predicts_the_same(model, X, atol=ROUNDING)


@pytest.mark.parametrize("rows", [1, 3])
def test_any_number_of_rows(rows):
    model = quick_classifier().fit(TABLE.X, TABLE.y)
    assert_predicts_the_same(model, TABLE.X[:rows], atol=ROUNDING)


@pytest.mark.parametrize("max_one_hot", [0, 3])
def test_every_column_of_a_frame(max_one_hot):
    y = np.arange(N) % 3
    model = quick_classifier(max_one_hot=max_one_hot).fit(PANDAS, y)
    assert len(model.encoder_.cardinalities_) == (1 if max_one_hot else 5)
    made = assert_predicts_the_same(model, PANDAS, atol=ROUNDING)
    said = {each.key: json.loads(each.value) for each in made.metadata_props}
    inputs = {each["name"]: each for each in said["skbackprop.inputs"]}
    assert [*inputs] == list(DATA)
    assert [name for name, each in inputs.items() if not each["used"]] == [
        "constant",
        "empty",
        "only",
    ]
    assert {name: inputs[name]["missing"] for name in ("age", "city", "member")} == {
        "age": "NaN",
        "city": "",
        "member": None,
    }
    assert (
        input_of(made, "city").doc_string == "Column 'city': a category, '' if missing."
    )
    assert input_of(made, "only").doc_string.endswith("Nothing depends on it.")


def test_infinity_in_a_row_is_answered_by_nan():
    for model in (quick_classifier(), quick_regressor()):
        model.fit(TABLE.X, TABLE.y)
        made = to_onnx(model)
        inputs = make_inputs(made, TABLE.X)
        inputs["a"][7] = np.inf
        numbers = [*run(made, inputs).values()][-1]
        assert np.isnan(numbers[7]).all()
        assert np.isfinite(np.delete(numbers, 7, axis=0)).all()


def test_a_pickle_gives_the_same_model():
    """Whose parts have been made anew of plain values."""
    model = quick_classifier().fit(TABLE.X, TABLE.y)
    again = pickle.loads(pickle.dumps(model))
    assert to_onnx(again) == to_onnx(model)


def test_real_numbers_and_categories_of_scikit_learn():
    """A recipe that nobody has shortened, on data that was not made up."""
    from sklearn.datasets import load_wine

    X, y = load_wine(return_X_y=True, as_frame=True)
    X["kind"] = np.where(X["hue"] > 1, "light", None)
    model = TabularMLPClassifier(preset="fast", max_iter=4, n_jobs=1, random_state=0)
    model.fit(X, y)
    assert len(copy.copy(model)._bag[1]) == 8
    assert_predicts_the_same(model, X, atol=ROUNDING)
