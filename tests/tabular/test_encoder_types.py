"""What an encoder cannot read, or reads as another type: an error or one warning.

Answers for: tabular/_columns.py, tabular/_encoder.py, _dates.py.
"""

import datetime
import re
import sys
import warnings
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from frames import (
    DATA,
    PANDAS,
    POLARS,
    dictionary,
)
from numpy.testing import assert_array_equal
from sklearn.pipeline import make_pipeline

from skbackprop import TabularEncoder

# What cannot be encoded

DAY = datetime.date(2024, 2, 29)
MOMENT = datetime.datetime(2024, 2, 29, 12)
SPAN = datetime.timedelta(days=2)


@pytest.mark.parametrize("value", [DAY, MOMENT, SPAN, datetime.time(3)])
@pytest.mark.parametrize("container", ["pandas", "objects", "polars", "numpy", "arrow"])
def test_dates_are_refused_with_advice(value, container):
    values = [value, value]
    if container == "polars":
        X = pl.DataFrame({"when": values})
    elif container == "numpy":
        X = np.array(values, dtype=object)[:, None]
    elif container == "arrow":
        X = (
            pl.DataFrame({"when": values})
            .to_arrow()
            .to_pandas(types_mapper=pd.ArrowDtype)
        )
    else:
        X = pd.DataFrame({"when": values}, dtype=object)
        X = X if container == "objects" else X.infer_objects()
    label = "Column 0" if container == "numpy" else "Column 'when'"
    with pytest.raises(TypeError, match=f"^{label} contains dates .* day of the week"):
        TabularEncoder().fit(X)
    with pytest.raises(TypeError, match=f"^{label} contains dates"):
        TabularEncoder(categorical_features=[0]).fit(X)


def test_more_dates():
    stamps = pd.date_range("2024", periods=3)
    for values in (stamps, stamps.tz_localize("UTC"), stamps.to_period("D")):
        for dtype in (None, object):
            with pytest.raises(TypeError, match="Column 'when' contains dates or t"):
                TabularEncoder().fit(pd.DataFrame({"when": values}, dtype=dtype))
    for kind in ("M8[s]", "m8[s]"):
        times = np.zeros((3, 2), kind)
        mixed = np.ones((3, 2), dtype=object)
        mixed[:, 1] = list(times[:, 1])
        with pytest.raises(TypeError, match="Column 0 contains dates or times"):
            TabularEncoder().fit(times)
        with pytest.raises(TypeError, match="Column 1 contains dates or times"):
            TabularEncoder().fit(mixed)


@pytest.mark.parametrize(
    ("wrap", "values"),
    [
        (pd.Categorical, pd.date_range("2024", periods=3)),
        (pd.Categorical, pd.date_range("2024", periods=3, tz="UTC")),
        (pd.Categorical, pd.date_range("2024", periods=3).date),
        (pd.Categorical, pd.period_range("2024", periods=3, freq="M")),
        (pd.Categorical, pd.timedelta_range("1 day", periods=3)),
        (pd.Categorical, [datetime.time(1), datetime.time(2)]),
        (pd.Categorical, np.array(["never", DAY], dtype=object)),
        (pd.Categorical, [None, None, MOMENT]),
        (dictionary, [DAY, None, DAY]),
        (dictionary, [MOMENT, None, MOMENT]),
        (dictionary, [SPAN, None, SPAN]),
        (dictionary, [datetime.time(1), None]),
    ],
)
def test_categories_of_dates_are_refused_with_advice(wrap, values):
    X = pd.DataFrame({"when": wrap(values)})
    for chosen in ("from_dtype", None, [0]):
        encoder = TabularEncoder(categorical_features=chosen)
        with pytest.raises(
            TypeError, match=r"^Column 'when' contains dates .*the year"
        ):
            encoder.fit(X)
    encoder = TabularEncoder().fit(pd.DataFrame({"when": ["a", "b", "c"]}))
    with pytest.raises(TypeError, match=r"^Column 'when' contains dates"):
        encoder.transform(X)


def test_bins_of_dates_are_categories():
    """Somebody has cut the time into pieces: what the advice asks for."""
    X = pd.DataFrame({"when": pd.cut(pd.date_range("2024", periods=9), 3)})
    assert_array_equal(TabularEncoder().fit_transform(X).sum(axis=0), [3, 3, 3])


@pytest.mark.parametrize("value", [[1, 2], {"a": 1}, (1, 2), {1}, np.ones(2)])
def test_nested_values_are_refused(value):
    data = np.empty((2, 1), dtype=object)
    data[0, 0] = data[1, 0] = value
    for X in (pd.DataFrame(data, columns=["tags"]), data):
        with pytest.raises(TypeError, match=r"^Column ('tags'|0) contains nested"):
            TabularEncoder().fit(X)


@pytest.mark.parametrize("value", [[1, 2], {"a": 1}])
def test_nested_values_of_polars_and_arrow_are_refused(value):
    X = pl.DataFrame({"x": [1, 2], "tags": [value, value]})
    with pytest.raises(TypeError, match=r"^Column 'tags' contains nested"):
        TabularEncoder().fit(X)
    with pytest.raises(TypeError, match=r"^Column 'tags' contains nested"):
        TabularEncoder().fit(X.to_arrow().to_pandas(types_mapper=pd.ArrowDtype))


def test_complex_numbers_are_refused():
    for X in (np.eye(2) * 1j, pd.DataFrame(np.eye(2) * 1j), [[1j, "a"], [2, "b"]]):
        with pytest.raises(ValueError, match=r"Complex data not supported: Column 0"):
            TabularEncoder().fit(X)


def test_structured_arrays_are_refused():
    X = np.zeros((3, 1), dtype=[("a", "f8")])
    with pytest.raises(TypeError, match="Column 0 has the type"):
        TabularEncoder().fit(X)


@pytest.mark.parametrize("container", [sp.csr_array, sp.coo_matrix])
def test_sparse_matrices_are_refused(container):
    with pytest.raises(TypeError, match="Sparse data was passed"):
        TabularEncoder().fit(container(np.eye(3)))
    with pytest.raises(TypeError, match="Sparse data was passed"):
        TabularEncoder().fit(np.eye(3)).transform(container(np.eye(3)))


def test_lazy_frames_are_refused():
    with pytest.raises(TypeError, match=r"LazyFrame. Call its collect"):
        TabularEncoder().fit(POLARS.lazy())


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (pd.Series([1.0, 2]), "Expected 2D array, got 1D array"),
        (pl.Series([1.0, 2]), "Expected 2D array, got 1D array"),
        (["a", "b"], "Expected 2D array, got 1D array"),
        ([["a"], ["b", "c"]], "inhomogeneous shape"),
        (3.0, "Expected 2D array, got scalar"),
        ({"a": [1, 2]}, r"got scalar array instead:\narray=\{'a'"),
        (np.zeros((2, 2, 2)), "dim 3"),
        (pd.DataFrame({"a": []}), r"0 sample\(s\)"),
        (pl.DataFrame({"a": []}), r"0 sample\(s\)"),
        (np.zeros((0, 2), dtype=object), r"0 sample\(s\)"),
        (pd.DataFrame(index=range(3)), r"0 feature\(s\)"),
    ],
)
def test_shapes(X, message):
    with pytest.raises(ValueError, match=message):
        TabularEncoder().fit(X)


@pytest.mark.parametrize("frame", [PANDAS, POLARS])
def test_columns_are_checked_by_name(frame):
    encoder = TabularEncoder().fit(frame)
    names = list(DATA)
    with pytest.raises(ValueError, match=r"(?s)feature names should match.*order"):
        encoder.transform(frame[names[::-1]])
    with pytest.raises(ValueError, match=r"(?s)seen at fit time.*missing.*- city"):
        encoder.transform(frame[[name for name in names if name != "city"]])
    with pytest.raises(ValueError, match=r"X has 3 features, but TabularEncoder is"):
        TabularEncoder().fit(np.eye(4)).transform(np.eye(3))


def test_a_number_column_with_strings_later():
    encoder = TabularEncoder().fit(PANDAS)
    with pytest.raises(ValueError, match=r"Column 'rooms' is to be numeric.* a str"):
        encoder.transform(PANDAS.assign(rooms="many"))
    with pytest.raises(TypeError, match="Column 'color' contains dates"):
        encoder.transform(PANDAS.assign(color=MOMENT))


# Types that change between fit and transform


def frame_of(values):
    if isinstance(values, pl.Series):
        return values.to_frame("k")
    return pd.DataFrame({"k": values})


def codes_of(encoder, values):
    """The codes of one column, and the warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        out = encoder.transform(frame_of(values))
    return out[:, 0].astype(int).tolist(), [str(each.message) for each in caught]


def coded(values):
    encoder = TabularEncoder(categorical_features=[0], max_one_hot=0)
    return encoder.fit(frame_of(values))


def arrow_series(values):
    pa = pytest.importorskip("pyarrow")
    return pd.Series(values, dtype=pd.ArrowDtype(pa.array(values).type))


WRAPS = {
    "list": lambda values: values,
    "objects": lambda values: pd.Series(values, dtype=object),
    "pandas": pd.Series,
    "nullable": lambda values: pd.Series(values).convert_dtypes(),
    "category": lambda values: pd.Series(values, dtype="category"),
    "arrow": arrow_series,
    "dictionary": lambda values: dictionary(values),
    "polars": pl.Series,
}


@pytest.mark.parametrize("wrap_fit", WRAPS)
@pytest.mark.parametrize("wrap", WRAPS)
@pytest.mark.parametrize(
    ("fitted", "given"),
    [
        ([1, 2, 30], ["1", "2", "30"]),
        ([1.0, 2.0, 30.0], ["1", "2", "30"]),
        ([1, 2, 30], ["1.0", "2.0", "30.0"]),
        ([0.5, -1.25, 1e300], ["0.5", "-1.25", "1e+300"]),
        (["1", "2", "30"], [1, 2, 30]),
        (["1", "2", "30"], [1.0, 2.0, 30.0]),
        (["1.0", "2.0", "30.0"], [1, 2, 30]),
        (["0.5", "-1.25", "1e+300"], [0.5, -1.25, 1e300]),
        ([True, False, True], ["True", "False", "True"]),
        ([True, False, True], ["true", "false", "true"]),
        (["True", "False", "True"], [True, False, True]),
        (["true", "false", "true"], [True, False, True]),
    ],
)
@pytest.mark.filterwarnings("ignore:X .* feature names:UserWarning")
def test_another_type_is_read_as_that_of_fit(wrap_fit, wrap, fitted, given):
    encoder = coded(WRAPS[wrap_fit](fitted))
    expected, _ = codes_of(encoder, fitted)
    assert 0 not in expected
    assert codes_of(encoder, WRAPS[wrap](given)) == (expected, [])


@pytest.mark.parametrize("without", [False, True])
def test_another_type_in_arrays_and_lists(without, monkeypatch):
    if without:
        monkeypatch.delitem(sys.modules, "pandas")
    encoder = TabularEncoder(categorical_features=[0, 1], max_one_hot=0)
    encoder.fit([[1, "3"], [2, "4"]])
    expected = [[1, 1], [2, 2]]
    assert_array_equal(encoder.transform([["1", 3], ["2", 4]]), expected)
    assert_array_equal(encoder.transform(np.array([[1, 3], [2, 4]])), expected)
    text = np.array([["1", "3"], ["2", "4"]])
    assert_array_equal(encoder.transform(text), expected)
    assert_array_equal(encoder.transform(text.astype(object)), expected)


def test_ids_of_64_bits_are_read_exactly():
    ids = [2**53 + 1, 2**53, 2**62 + 1, 2**62]
    encoder = coded(ids)
    assert codes_of(encoder, [str(v) for v in ids]) == ([2, 1, 4, 3], [])
    # The next integer is another one, and a float that is near is none of them.
    assert codes_of(encoder, [str(2**53 + 2), str(2**53)]) == ([0, 1], [])
    assert codes_of(encoder, ["9007199254740992.0"]) == ([0], [])


@pytest.mark.parametrize(
    ("fitted", "given", "codes", "example"),
    [
        ([1, 2, 3], ["01", "02", "03"], [0, 0, 0], "strings now, such as '01'"),
        ([1, 2, 10], ["01", "02", "10"], [0, 0, 3], "strings now, such as '01'"),
        ([1, 2, 3], ["1", "x"], [1, 0], "strings now, such as 'x'"),
        ([1, 2, 3], [" 1", "1_0"], [0, 0], "strings now, such as ' 1'"),
        ([1, 2, 3], [b"1"], [0], "values of type bytes now, such as b'1'"),
        ([1.5, 2.5], ["1.50", "2,5"], [0, 0], "strings now, such as '1.50'"),
        (["red", "blue"], [1, 2.5], [0, 0], "numbers now, such as 1"),
        (["01", "02"], [1, 2], [0, 0], "numbers now, such as 1"),
        (["red", "blue"], [True], [0], "booleans now, such as True"),
        ([True, False], ["yes", "no"], [0, 0], "strings now, such as 'yes'"),
        ([True, False], ["1", "0"], [0, 0], "strings now, such as '1'"),
        ([True, False], [2, 3], [0, 0], "numbers now, such as 2"),
        ([0, 1], ["True", "False"], [0, 0], "strings now, such as 'True'"),
        ([3, 4], [True], [0], "booleans now, such as True"),
        ([b"a", b"b"], ["a"], [0], "strings now, such as 'a'"),
        (pd.cut(range(9), 3), ["(0, 1]"], [0], "strings now, such as '(0, 1]'"),
    ],
)
def test_one_warning_where_a_changed_type_cannot_be_read(fitted, given, codes, example):
    encoder = coded(fitted)
    found, messages = codes_of(encoder, given)
    assert found == codes
    (message,) = messages
    assert message.startswith("Column 'k' held ") and example in message


@pytest.mark.parametrize(
    ("fitted", "given", "codes"),
    [
        # New categories of the same type.
        (["a", "b"], ["c", "d"], [0, 0]),
        ([1, 2], [3, 4.5], [0, 0]),
        ([1, 2], ["3"], [0]),
        # Booleans are 0 and 1.
        ([True, False], [1, 0.0], [2, 1]),
        ([0, 1, 2], [True, False], [2, 1]),
        # Some have the type of fit.
        ([1, 2], [1, "x"], [1, 0]),
        (["a", "b"], ["a", 7], [1, 0]),
        # Several types in fit.
        ([1, "a"], ["1", "b"], [0, 0]),
        # Missing ones are of no type.
        (["a", "b"], [None, np.nan], [0, 0]),
        ([1, 2], ["1", None], [1, 0]),
        ([1, 2], ["2.0", "nan"], [2, 0]),
        ([1, 2], ["None", "<NA>"], [0, 0]),
        # A category of the type that does not occur.
        ([1, 2], pd.Categorical(["1", "2"], ["x", "2", "1"]), [1, 2]),
        ([1, 2, 3], ["2", "3", "4"], [2, 3, 0]),
        (["1", "2"], [1, 5], [1, 0]),
    ],
)
def test_what_is_silent(fitted, given, codes):
    values = given if isinstance(given, pd.Categorical) else pd.Series(given, dtype="O")
    assert codes_of(coded(fitted), values) == (codes, [])


def test_text_of_missing_values_is_missing_among_numbers():
    encoder = coded([1, None, 2])
    assert codes_of(encoder, ["1", "nan", "None", "<NA>", "2"]) == ([1, 3, 3, 3, 2], [])
    assert codes_of(coded(["a", None]), ["nan", None]) == ([0, 2], [])


def test_a_row_is_read_the_same_whatever_is_beside_it():
    encoder = coded([1, 2, 3])
    values = ["1", "2", "x", "03", "4", "nan"]
    together, _ = codes_of(encoder, values)
    assert together == [codes_of(encoder, [value])[0][0] for value in values]


def test_one_warning_for_all_columns_that_points_at_the_call():
    numbers = pd.DataFrame({"a": [1, 2], "b": [3, 4], "c": [5, 6]})
    encoder = TabularEncoder(categorical_features=["a", "b", "c"]).fit(numbers)
    with pytest.warns(UserWarning, match="Column 'a' held .*; Column 'c' held") as got:
        encoder.transform(numbers.assign(a=["x", "y"], c="z"))
    assert [each.filename for each in got] == [__file__]
    with pytest.warns(UserWarning, match="Column 'a' held") as got:
        make_pipeline(encoder).transform(numbers.assign(a=["x", "y"]))
    assert [each.filename for each in got] == [__file__]


def test_numbers_that_come_as_text():
    x = np.array([1.5, -2e-3, 40.0, np.nan, 7.0])
    encoder = TabularEncoder().fit(frame_of(x))
    expected = encoder.transform(frame_of(x))
    texts = ["1.50", "-2e-3", " 40", None, "7"]
    for wrap in (*WRAPS.values(), np.array):
        assert_array_equal(encoder.transform(frame_of(wrap(texts))), expected)
    for text in ("nan", "None", "<NA>"):
        texts[3] = text
        assert_array_equal(encoder.transform(frame_of(texts)), expected)
    mixed = [1.5, "-2e-3", Decimal(40), None, "7"]
    assert_array_equal(encoder.transform(frame_of(mixed)), expected)
    for bad in ("?", "1,5", "1_5", "", "True"):
        texts[2] = bad
        said = re.escape(f"Column 'k' is to be numeric, but contains {bad!r}, a str.")
        for wrap in (pd.Series, pl.Series):
            with pytest.raises(ValueError, match=said):
                encoder.transform(frame_of(wrap(texts)))
    texts[2] = "1e400"
    with pytest.raises(ValueError, match=r"Column 'k' contains infinity.* row 2\b"):
        encoder.transform(frame_of(texts))


# Cells that are no numbers, among numbers


def doubts(frame, **parameters):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        TabularEncoder(**parameters).fit(frame)
    return [str(each.message) for each in caught]


CELLS = [*map(str, range(18)), "2.5", "?"]


@pytest.mark.parametrize(
    ("cells", "n_others", "example"),
    [
        (CELLS, 1, "'?'"),
        (["?", None, *CELLS], 2, "'?'"),
        (["n/a", *CELLS[1:]], 2, "'n/a'"),
        (["1,000", *CELLS[:-1]], 1, "'1,000'"),
        (["nan", *CELLS[:-1]], 1, "'nan'"),
        (["inf", *CELLS[:-1]], 1, "'inf'"),
        (["5", "5", "5"] * 3 + ["total"], 1, "'total'"),
        ([1, 2.5, 10**400, Decimal("0.5"), *range(20, 26), "?"], 1, "'?'"),
        ([" 1", "1e-3", "-4", "+5", ".5"] * 4 + ["# end"], 1, "'# end'"),
    ],
)
@pytest.mark.parametrize(
    ("container", "label"),
    [
        (frame_of, "Column 'k'"),
        (lambda cells: frame_of(pd.Series(cells, dtype=object)), "Column 'k'"),
        (lambda cells: frame_of(pl.Series(cells, dtype=pl.Object)), "Column 'k'"),
        (lambda cells: np.array(cells, dtype=object)[:, None], "Column 0"),
        (lambda cells: [[cell] for cell in cells], "Column 0"),
    ],
)
def test_a_cell_among_numbers_is_told(cells, n_others, example, container, label):
    n_values = len(cells) - cells.count(None)
    X = container(cells)
    (message,) = doubts(X)
    assert message.startswith(
        f"{label} is read as categories because of {n_others} of its {n_values} "
        f"values, such as {example}; all others are numbers."
    )
    assert "categorical_features" in message
    assert doubts(X, categorical_features=[0]) == []


@pytest.mark.parametrize(
    "cells",
    [
        ["01234", "10115", "99999"],  # nothing is no number
        ["1", "2", "3"] * 3 + ["x"] * 2,  # more than a tenth
        ["a", "b", "c"],
        [True, False, True],
        [True, None, False],
        [1, 2, 3],
        [None, None],
        ["1_0", *CELLS[:-3], "x"],
        pd.Categorical(CELLS),
        pl.Series(CELLS, dtype=pl.Categorical),
        pl.Series(CELLS, dtype=pl.Enum(CELLS)),
        pd.cut(range(20), 2),
    ],
)
def test_what_is_no_cell_among_numbers(cells):
    assert doubts(frame_of(cells)) == []


def test_a_type_of_text_is_not_one_of_categories():
    assert doubts(frame_of(dictionary(CELLS))) == []
    for wrap in (arrow_series, pl.Series, lambda x: pd.Series(x).convert_dtypes()):
        assert len(doubts(frame_of(wrap(CELLS)))) == 1


def test_one_warning_for_all_columns_with_such_cells():
    X = pd.DataFrame({"a": CELLS, "b": CELLS[::-1], "c": [*CELLS[:-1], "6"]})
    with pytest.warns(UserWarning, match="Column 'a' is .* Column 'b' is ") as got:
        encoder = TabularEncoder().fit(X)
    assert [each.filename for each in got] == [__file__]
    assert_array_equal(encoder.categorical_features_, [0, 1, 2])  # only a warning
    assert len(doubts(X, categorical_features=["a", "b", "c"])) == 0
