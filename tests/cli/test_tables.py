"""The command line tool: what it reads in a table, and what it says about it.

Answers for: cli.py, _csv.py, _words.py.
"""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command_line import frame, number, python, refuse, run
from scipy.sparse import issparse

from skbackprop import _csv, cli

# Tables


def test_csv_classification_with_everything_in_it(capsys, write):
    table = frame().drop(columns="amount")
    table["empty"] = np.nan
    table["constant"] = "same"
    table["nearly constant"] = [1.0] + [np.nan] * (len(table) - 1)
    table["nearly empty"] = ["x"] + [None] * (len(table) - 1)
    table["infinite"] = [np.inf, -np.inf] * (len(table) // 2 - 1) + [1, 2]
    table["huge"] = [1e30] + [1.0, 2.0] * (len(table) // 2 - 1) + [1.0]
    for column in ("width", "colour"):
        table.loc[table.index[::9], column] = np.nan
    table["flag"] = table["flag"].astype(object)
    table.loc[5, "flag"] = None
    out = run(capsys, write(table), "--target", "label", "--max-iter", "40")
    assert "task      classification (the target is not a number; --task" in out
    assert "features  7 (4 numeric, 3 categorical)" in out
    assert "left out, all cells alike or missing: 'empty', 'constant'" in out
    assert number("test accuracy", out) > number("most frequent class:", out) + 0.1


def test_csv_regression(capsys, write):
    name = write(frame())
    out = run(capsys, name, "--target", "amount", "--max-iter", "60")
    assert "task      regression (the target is a number; --task" in out
    assert "classes" not in out
    assert number("test R2", out) > 0.8
    # In the units of the target, not of the standardised one.
    always_mean = number("always the mean:", out[out.index("RMSE") :])
    assert 5 < always_mean < 50 and number("test RMSE", out) < always_mean / 2


def test_gzipped_csv_gives_the_same_result(capsys, write):
    name = write(frame())
    packed = write(gzip.compress(Path(name).read_bytes()), "table.csv.gz")
    options = ("--target", "label", "--max-iter", "2")
    plain, unpacked = run(capsys, name, *options), run(capsys, packed, *options)
    pattern = r"^(epoch .*|test .*)$"
    assert re.findall(pattern, plain, re.M) == re.findall(pattern, unpacked, re.M)


@pytest.mark.parametrize(
    ("values", "task"),
    [
        ([0, 1], "classification"),
        (list(range(20)), "classification"),
        (list(range(21)), "regression"),
        ([0.5, 1.5], "regression"),
        ([True, False], "classification"),
        (["a", "b"], "classification"),
    ],
)
def test_auto_task(capsys, write, values, task):
    table = pd.DataFrame({"x": np.arange(84.0), "y": (values * 84)[:84]})
    out = run(capsys, write(table), "--target", "y", "--max-iter", "1")
    assert f"task      {task} (the target is" in out


def test_task_overrides(capsys, write):
    table = pd.DataFrame({"x": np.arange(60.0), "y": [0, 1, 2] * 20})
    name = write(table)
    options = (name, "--target", "y", "--max-iter", "1", "--task")
    assert "test R2" in run(capsys, *options, "regression")
    assert "test accuracy" in run(capsys, *options, "classification")


def test_rows_without_a_target_are_dropped(capsys, write):
    table = frame()
    table.loc[:49, "label"] = None
    out = run(capsys, write(table), "--target", "label", "--max-iter", "1")
    assert "dropped 50 rows without a value in 'label'" in out
    assert "rows      150 (120 train, 30 test)" in out


def test_whole_number_target_with_missing_values(capsys, write):
    table = pd.DataFrame({"x": np.arange(60.0), "y": [0, 1, None] * 20})
    out = run(capsys, write(table), "--target", "y", "--max-iter", "1")
    assert "classes   2 (0, 1)" in out


def test_written_index_is_left_out(capsys, write):
    table = frame()
    name = write(table.to_csv())
    out = run(capsys, name, "--target", "label", "--max-iter", "1")
    assert "left out, row numbers without a name: 'column 1'" in out
    assert "features  4 (2 numeric, 2 categorical)" in out


def test_early_stopping_from_1000_training_rows(capsys, write):
    options = ("--target", "label", "--max-iter", "1")
    assert "validation score" in run(capsys, write(frame(1250)), *options)
    assert "validation score" not in run(capsys, write(frame(1249)), *options)
    options = ("--target", "amount", "--max-iter", "1")
    assert "validation score" in run(capsys, write(frame(1250)), *options)


# What is missing, and what is a number


ROWS = 200


def column(*cells, rows=ROWS):
    """Those cells over and over."""
    return [cells[i % len(cells)] for i in range(rows)]


def numbered(rows=ROWS, **cells):
    """Text of numbers from 0.5 on, with other cells in given places."""
    column = [f"{i}.5" for i in range(rows)]
    for place, cell in cells.items():
        column[int(place.removeprefix("at"))] = cell
    return column


def text_table(**columns):
    """A CSV file whose cells are these strings, quoted where they must be."""
    return pd.DataFrame(columns).to_csv(index=False)


WORDS = sorted(pd._libs.parsers.STR_NA_VALUES - {""})


def test_words_for_missing_are_those_of_pandas():
    assert _csv.MISSING == set(WORDS)


@pytest.mark.parametrize("word", WORDS)
def test_a_word_for_missing_is_a_class(capsys, write, word):
    name = write(text_table(x=numbered(), y=column(word, "x", "x")))
    out = run(capsys, name, "--target", "y", "--max-iter", "1")
    assert f"rows      {ROWS} " in out
    assert re.search(r"classes   2 \((.*)\)", out)[1] == (
        ", ".join(repr(c) for c in sorted([word, "x"]))
    )
    assert f"{word!r} is a class of its own" in out


def test_a_word_for_missing_is_a_class_beside_numbers(capsys, write):
    name = write(text_table(x=numbered(), y=[*column("0", "1")[5:], *["NA"] * 5]))
    out = run(capsys, name, "--target", "y", "--max-iter", "1")
    assert "classes   3 ('0', '1', 'NA')" in out and f"rows      {ROWS} " in out


@pytest.mark.parametrize(
    ("cells", "classes"),
    [
        (("01", "1"), "'01', '1'"),
        (("1.0", "2"), "1, 2"),
        (("1", "2", "1.0"), "1, 2"),
        (("9007199254740993", "9007199254740992"),) * 2,
        (("ja", "ja "), "'ja', 'ja '"),
        (("True", "False"), "'False', 'True'"),
    ],
    ids=str,
)
def test_classes_are_kept_apart(capsys, write, cells, classes):
    if isinstance(classes, tuple):
        classes = ", ".join(map(repr, sorted(classes)))
    name = write(text_table(x=numbered(), y=column(*cells)))
    out = run(capsys, name, "--target", "y", "--max-iter", "1")
    assert f"classes   2 ({classes})" in out


def test_classes_that_look_alike_are_said(capsys, write):
    name = write(text_table(x=numbered(), y=column("ja", "ja ", "JA", "nein")))
    out = run(capsys, name, "--target", "y", "--max-iter", "1")
    assert "classes that differ in blanks or capitals: 'ja', 'ja ', 'JA'" in out


@pytest.mark.parametrize("options", [(), ("--task", "regression")])
@pytest.mark.parametrize("word", ["NA", "n.a."])
def test_rows_without_a_number_are_dropped_and_said(capsys, write, word, options):
    y = numbered(at5=word)
    if word == "NA":  # none of the words is a quantity, so there may be many
        y[100:] = column(word, rows=ROWS - 100)
    name = write(text_table(x=numbered(), y=y))
    out = run(capsys, name, "--target", "y", "--max-iter", "1", *options)
    assert "task      regression" in out
    dropped = y.count(word)
    assert f"rows      {ROWS - dropped} " in out
    assert re.search(
        rf"'y' is read as numbers; dropped {dropped} rows? without one", out
    )
    assert f"{word!r} (line 7)" in out


def test_a_target_of_words_alone_has_too_few_rows(capsys, write):
    name = write(text_table(x=numbered(), y=column("NA", "null")))
    line = refuse(capsys, "train", name, "--target", "y", "--task", "regression")
    assert "0 rows with a target" in line


def test_words_for_missing_in_features_are_said(capsys, write):
    name = write(
        text_table(
            x=numbered(at3="NA", at4="NA", at9="null"),
            kind=column("a", "b", "None", "a"),
            wide=numbered(at8="inf", at9="-inf"),
            y=column("p", "q"),
        )
    )
    out = run(capsys, name, "--target", "y", "--max-iter", "1")
    assert (
        "taken for missing: 'NA' (2 cells), 'null' (1 cell) of 'x';"
        " 'None' (50 cells) of 'kind'; 'inf' (1 cell), '-inf' (1 cell) of 'wide'"
    ) in out
    assert "features  3 (2 numeric, 1 categorical)" in out
    assert "'kind' (2 different)" in out


def test_nine_tenths_are_a_column_of_numbers(capsys, write):
    few = {f"at{i}": "?" for i in range(20)}
    more = few | {"at20": "unknown"}
    name = write(
        text_table(few=numbered(**few), more=numbered(**more), y=column("p", "q"))
    )
    out = run(capsys, name, "--target", "y", "--max-iter", "1")
    assert (
        "'few' is read as numbers, 20 of its 200 cells as missing: '?' (line 2), '?'"
        " (line 3), '?' (line 4) and 17 more"
    ) in out
    assert "features  2 (1 numeric, 1 categorical)" in out
    assert "read as categories: 'more' (181 different)" in out
    assert "most cells differ in 'more', such as '?'" in out


def test_infinite_cells_of_text_are_said(capsys, write):
    name = write(text_table(x=numbered(at3="inf", at4="?"), y=column("p", "q")))
    out = run(capsys, name, "--target", "y", "--max-iter", "1")
    assert "2 of its 200 cells as missing: 'inf' (line 5), '?' (line 6)" in out


def test_one_bad_cell_costs_nothing(capsys, write):
    """A column of numbers that is taken for categories is worth next to nothing."""
    table = frame(rows=400)[["width", "label"]]
    table["label"] = np.where(table["width"] > 0, "yes", "no")
    good = run(capsys, write(table), "--target", "label", "--max-iter", "30")
    table["width"] = table["width"].astype(str)
    table.loc[3, "width"] = "?"
    bad = run(capsys, write(table), "--target", "label", "--max-iter", "30")
    assert "'?' (line 5)" in bad
    accuracy = number("test accuracy", good)
    assert accuracy > 0.9
    assert number("test accuracy", bad) == pytest.approx(accuracy, abs=0.03)


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_lines_are_those_of_an_editor(capsys, write, newline):
    """Blank lines, lines of blanks, a quoted end of line and the mark at the start."""
    lines = ["", "\ufeffx,text,y"]
    cells = numbered(at150="?")
    for i, cell in enumerate(cells):
        lines += [f'{cell},"two{newline}lines {i % 3}",{"pq"[i % 2]}']
        lines += [""] * (i == 7) + ["  "] * (i == 11)
    text = newline.join(lines).removeprefix(newline)
    shown = text.replace(newline, "\n").split("\n")
    (line,) = [i for i, content in enumerate(shown, 1) if content.startswith("?")]
    out = run(capsys, write(text.encode()), "--target", "y", "--max-iter", "1")
    assert line == 2 + 2 * 150 + 2 and f"'?' (line {line})" in out


def test_comment_and_totals_lines_are_said(capsys, write):
    lines = text_table(x=numbered(), y=column("p", "q")).splitlines()
    lines.insert(100, "# a comment")
    lines.append("total,")
    out = run(capsys, write("\n".join(lines)), "--target", "y", "--max-iter", "1")
    assert "dropped 2 rows without a value in 'y' (the first: line 101)" in out
    assert "features  1 (1 numeric, 0 categorical)" in out


def test_many_bad_columns_are_said_in_few_lines(capsys, write):
    columns = {f"x{i}": numbered(at5="?") for i in range(30)}
    name = write(text_table(**columns, y=column("p", "q")))
    out = run(capsys, name, "--target", "y", "--max-iter", "1")
    assert out.count("is read as numbers") == _csv.MOST_NOTES
    assert "the same in 'x6', 'x7'" in out and "and 12 more" in out


@pytest.mark.parametrize(
    ("cells", "numeric"),
    [
        (("1,234", "999", "1,234,567.5", "-2,000"), True),
        (("1,234", "0,5", "17", "3"), False),  # a decimal comma
        (("1,234", "5,67", "17", "3"), False),
        (("1,234",) * 19 + ("5,67",), False),
        (("1,234",) * 19 + ("0,567",), False),
        (("12,34", "1,5"), False),
        (("1,2,3", "4,5,6"), False),
    ],
)
def test_separators_of_thousands(capsys, write, cells, numeric):
    name = write(text_table(x=column(*cells), y=column("p", "q", "q")))
    out = run(capsys, name, "--target", "y", "--max-iter", "1")
    assert ("'x': '1,234' is read as 1234" in out) == numeric
    assert f"({int(numeric)} numeric, {int(not numeric)} categorical)" in out


def test_values_of_thousands():
    read = _csv._as_numbers(pd.Series(["1,234", "-2,000.5", "7", None]))
    np.testing.assert_array_equal(read, [1234, -2000.5, 7, np.nan])


def test_thousands_in_the_target(capsys, write):
    y = [f"{1000 + 7 * i:,}" for i in range(ROWS)]
    out = run(capsys, write(text_table(x=numbered(), y=y)), "--target", "y")
    assert "task      regression" in out and "'y': '1,000' is read as 1000" in out
    assert number("test R2", out) > 0.9


def test_codes_that_are_read_as_numbers_are_said(capsys, write):
    name = write(text_table(zip=column("01234", "10115", "0"), y=column("p", "q")))
    out = run(capsys, name, "--target", "y", "--max-iter", "1")
    assert "read as numbers: '01234' of 'zip'" in out


# The names of the columns


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("place", [0, 1])
def test_row_numbers_without_a_name_are_left_out(capsys, write, first, place):
    table = pd.DataFrame({"x": column("1.5", "2.5", "3"), "y": column("p", "q")})
    table.insert(place, "", range(first, first + ROWS))
    table.loc[5, "y"] = None  # a row that is dropped is counted all the same
    out = run(capsys, write(table), "--target", "y", "--max-iter", "1")
    assert f"left out, row numbers without a name: 'column {place + 1}'" in out
    assert "features  1 (1 numeric, 0 categorical)" in out


@pytest.mark.parametrize(
    "cells",
    [
        [*range(1, ROWS), 0],
        range(2, ROWS + 2),
        range(0, 2 * ROWS, 2),
        column("a", "b"),
        numbered(),
    ],
    ids=["moved", "from 2", "even", "text", "halves"],
)
def test_other_columns_without_a_name_are_kept(capsys, write, cells):
    table = pd.DataFrame({"": cells, "column 1": numbered(), "y": column("p", "q")})
    out = run(capsys, write(table), "--target", "y", "--max-iter", "1")
    assert """a column without a name goes by its place: "column 1'\"""" in out
    assert "features  2 (" in out and "row numbers" not in out


def test_a_column_without_a_name_can_be_the_target(capsys, write):
    table = pd.DataFrame({"x": numbered(), "": column("p", "q")})
    out = run(capsys, write(table), "--target", "column 2", "--max-iter", "1")
    assert "classes   2 ('p', 'q')" in out


def test_a_named_column_that_numbers_the_rows_is_said(capsys, write):
    table = pd.DataFrame(
        {"id": range(1, ROWS + 1), "x": numbered(), "y": column("p", "q")}
    )
    out = run(capsys, write(table), "--target", "y", "--max-iter", "1")
    assert "'id' only numbers the rows" in out
    assert "features  2 (2 numeric, 0 categorical)" in out


def test_a_target_named_twice_is_refused(capsys, write):
    name = write("y,x,y\n" + "a,1,b\nb,2,a\n" * 20)
    line = refuse(capsys, "train", name, "--target", "y")
    assert "--target 'y' is the name of the columns 1 and 3" in line


def test_features_of_one_name_are_kept_apart(capsys, write):
    name = write("x,x,x (column 2),x.1,y\n" + "1,a,5,7,p\n2,b,6,8,q\n" * 20)
    out = run(capsys, name, "--target", "y", "--max-iter", "1")
    assert """columns whose name came before go by: "x (column 2)'\"""" in out
    assert "features  4 (3 numeric, 1 categorical)" in out
    assert """read as categories: "x (column 2)'" (2 different)""" in out


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a;y\n1;2\n" * 9, "is the file separated by ';'?"),
        ("a;y\n1,5;2\n" * 9, "is the file separated by ';'?"),
        ("a\ty\n1\t2\n" * 9, "is the file separated by tabs?"),
        ("a|y\n1|2\n" * 9, "is the file separated by '|'?"),
        ("# by somebody\na,y\n1,2\n", "is the first line a comment?"),
        ("1.5,red,-2\n2.5,blue,3\n", "is the first line a row of the table?"),
        ("a, y \n1,2\n", "did you mean ' y '?"),
        ("a,Y\n1,2\n", "did you mean 'Y'?"),
        ("a,y\n1,2\n".encode("utf-16"), "byte 0xff is not UTF-8"),
        (b"a,y\n" + b"1,2\n" * 10000 + b"\xe4,2\n", "byte 0xe4 is not UTF-8"),
        ("a\0,y\n1,2\n", "no column 'z'"),
    ],
)
def test_hints(capsys, write, content, expected):
    target = "z" if expected.startswith("no") else "y"
    assert expected in refuse(capsys, "train", write(content), "--target", target)


@pytest.mark.parametrize("others", [["a"], ["a", "b"]])
def test_class_of_one_member(capsys, write, others):
    rows = 1300
    labels = [*(others * rows)[: rows - 1], "rare"]
    table = pd.DataFrame({"x": np.arange(float(rows)), "y": labels})
    seeds = 0
    for seed in range(3):
        argv = [write(table), "--target", "y", "--max-iter", "1", "--seed", str(seed)]
        status = cli.main(["train", *argv])
        out, err = capsys.readouterr()
        if status:  # the rare one is a test row, and one class is left
            assert others == ["a"] and "one target value" in err
        else:
            seeds += 1
            assert "too rare for a stratified split" in out
    assert seeds


@pytest.mark.parametrize(("most", "sparse"), [(6299, True), (6300, False)])
def test_wide_categories_stay_sparse(monkeypatch, most, sparse):
    monkeypatch.setattr(cli, "MAX_DENSE_CELLS", most)
    table = pd.DataFrame({"city": [f"city {i % 20}" for i in range(300)]})
    made = _csv.Table("", table, np.arange(300), [], ["city"], "regression")
    features = cli._preprocessor(made).fit_transform(table)
    assert issparse(features) == sparse
    assert features.dtype == np.float32 and features.shape == (300, 20)


def test_sparse_features_are_learned(capsys, write, monkeypatch):
    monkeypatch.setattr(cli, "MAX_DENSE_CELLS", 0)
    table = pd.DataFrame({"city": [f"city {i % 20}" for i in range(300)]})
    table["y"] = np.arange(300) % 20 < 10
    out = run(capsys, write(table), "--target", "y", "--max-iter", "30")
    assert number("test accuracy", out) > 0.8


def test_extreme_cells_stay_finite():
    cells = cli._to_float32(np.array([[1e300, -1e300, 0.5]]))
    assert cells.dtype == np.float32
    np.testing.assert_array_equal(cells, np.float32([[1e6, -1e6, 0.5]]))


def test_names_the_terminal_cannot_show(write):
    name = write("größe,ψ\n" + "1,δ\n2,β\n" * 20)
    code, out, err = python(
        "train", name, "--target", "ψ", "--max-iter", "1", PYTHONIOENCODING="ascii"
    )
    assert (code, err) == (0, "")
    assert r"'\u03b4'" in out


@pytest.mark.parametrize(
    ("header", "target"), [(",b,c", "column 1"), ("a,b,b", "b (column 3)")]
)
def test_a_target_by_the_name_that_it_was_given(capsys, write, header, target):
    rows = [f"{i % 2},{i * 7 % 11},{i // 2 % 2}" for i in range(60)]
    out = run(capsys, write("\n".join([header, *rows])), "--target", target)
    assert "classes   2 (0, 1)" in out


def test_one_leading_zero_among_decimals_is_no_code(capsys, write):
    rows = [f"{i},{i + 0.5}" for i in range(60)]
    out = run(capsys, write("\n".join(["a,y", *rows, "7,05.5"])), "--target", "y")
    assert "regression" in out
