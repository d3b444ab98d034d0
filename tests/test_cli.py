"""The command line tool: what it prints, what it refuses, what it leaves alone."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import issparse
from sklearn.exceptions import ConvergenceWarning

from skbackprop import BackpropMLPClassifier, __version__, cli


@pytest.fixture(autouse=True)
def empty_cwd(tmp_path_factory, monkeypatch):
    """Run every test in a directory that must still be empty afterwards."""
    directory = tmp_path_factory.mktemp("cwd")
    monkeypatch.chdir(directory)
    yield
    assert list(directory.iterdir()) == []


@pytest.fixture
def write(tmp_path):
    """Write text, bytes or a frame to a file and return its name."""

    def _write(content, name="table.csv"):
        path = tmp_path / name
        if isinstance(content, pd.DataFrame):
            content.to_csv(path, index=False)
        elif isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content, encoding="utf-8")
        return str(path)

    return _write


def frame(rows=200, seed=0):
    """A table whose columns `label` and `amount` follow from the others."""
    rng = np.random.default_rng(seed)
    width = rng.normal(size=rows)
    colour = rng.choice(["red", "green", "blue"], size=rows)
    flag = rng.random(rows) < 0.5
    amount = 50 + 10 * width + 20 * (colour == "red")
    table = pd.DataFrame(
        {
            "width": width,
            "colour": colour,
            "flag": flag,
            "amount": amount,
            "label": np.where(width + 2 * flag > 1, "yes", "no"),
        }
    )
    return table


def run(capsys, *argv):
    """Train, expecting success, and return what was printed."""
    status = cli.main(["train", *argv])
    out, err = capsys.readouterr()
    assert (status, err) == (0, "")
    return out


def refuse(capsys, *argv):
    """Expect one line on standard error and nothing else; return the line."""
    status = cli.main(list(argv))
    out, err = capsys.readouterr()
    assert status == 2
    assert out == ""
    assert err.startswith("skbackprop: error: ")
    assert err.count("\n") == 1 and err.endswith("\n")
    return err


def number(pattern, out):
    """Return the number that follows `pattern` in the output."""
    found = re.search(pattern + r" (-?[\d.]+)", out)
    assert found, out
    return float(found[1])


# What is printed


def test_bundled_classification(capsys):
    out = run(capsys, "--max-iter", "15")
    assert "breast_cancer" in out
    assert "569 (455 train, 114 test)" in out
    assert "30 (30 numeric, 0 categorical)" in out
    assert "'benign', 'malignant'" in out
    assert number("test accuracy", out) > 0.9
    assert number("most frequent class:", out) == pytest.approx(0.6316, abs=1e-4)
    assert "rows per second" in out
    assert out.splitlines()[-1].startswith("next: skbackprop train")


def test_bundled_regression(capsys):
    out = run(capsys, "--task", "regression", "--max-iter", "10")
    assert "diabetes" in out
    assert number("test R2", out) > 0.2
    assert number("test RMSE", out) < 70


@pytest.fixture
def without_pandas(monkeypatch):
    """Make `import pandas` fail as it does where pandas is not installed."""

    class Blocker:
        @staticmethod
        def find_spec(name, path=None, target=None):
            if name == "pandas":
                raise ModuleNotFoundError("No module named 'pandas'", name=name)

    monkeypatch.delitem(sys.modules, "pandas")
    monkeypatch.setattr(sys, "meta_path", [Blocker, *sys.meta_path])


def test_bundled_data_need_no_pandas(capsys, without_pandas):
    assert "test accuracy" in run(capsys, "--max-iter", "2")


def test_seed_repeats_the_run(capsys):
    def losses(seed):
        out = run(capsys, "--max-iter", "3", "--seed", seed)
        return [line for line in out.splitlines() if line.startswith("epoch")]

    assert losses("1") == losses("1") != losses("2")


@pytest.mark.parametrize(
    ("max_iter", "last"), [(1, 1), (7, 7), (20, 20), (59, 59), (1000, 1000), (100, 37)]
)
def test_few_progress_lines_without_a_terminal(capsys, max_iter, last):
    progress = cli._Progress(max_iter)
    for epoch in range(1, last + 1):
        progress.update(epoch, 0.5, 0.75)
    progress.finish()
    lines = capsys.readouterr().out.splitlines()
    pattern = rf"epoch (\d+)/{max_iter}  loss 0.5000  validation score 0.7500"
    epochs = [int(re.fullmatch(pattern, line)[1]) for line in lines]
    assert epochs[0] == 1 and epochs[-1] == last
    assert epochs == sorted(set(epochs))
    assert min(last, 7) <= len(epochs) <= 22


def test_one_moving_line_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    out = run(capsys, "--max-iter", "5")
    bar, rest = out[out.rindex("\r") + 1 :].split("\n", 1)
    assert bar.startswith("[####################] epoch 5/5  loss ")
    assert rest.startswith("stopped at --max-iter 5")
    assert "\nepoch" not in out


def test_the_moving_line_fits_and_covers_the_one_before(capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "60")
    progress = cli._Progress(2)
    for epoch, loss in ((1, 123456.0), (2, 0.5)):
        progress.shown_at = -np.inf
        progress.update(epoch, loss, None)
        progress.update(epoch, loss, 0.5)  # too soon to be drawn
    monkeypatch.setenv("COLUMNS", "40")
    progress.finish()
    first, second, last = capsys.readouterr().out.strip("\r\n").split("\r")
    assert first == "[##########----------] epoch 1/2  loss 123456.0000"
    assert second == "[####################] epoch 2/2  loss 0.5000     "
    assert last.rstrip() == "[####################] epoch 2/2  loss "[:39].rstrip()


def test_says_when_max_iter_was_too_few(capsys):
    assert "stopped at --max-iter 2" in run(capsys, "--max-iter", "2")


def test_version(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"skbackprop {__version__}\n"


def test_help(capsys):
    assert cli.main(["train", "--help"]) == 0
    assert "--test-size" in capsys.readouterr().out


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
    assert cli.MISSING == set(WORDS)


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
    assert out.count("is read as numbers") == cli.MOST_NOTES
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
    read = cli._as_numbers(pd.Series(["1,234", "-2,000.5", "7", None]))
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
    made = cli._Table("", table, np.arange(300), [], ["city"], "regression")
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


# What is refused

GOOD = "x,y\n" + "1,a\n2,b\n" * 20


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ([], "COMMAND"),
        (["tran"], "'tran'"),
        (["train", "--nope"], "--nope"),
        (["train", "--test-size", "0"], "--test-size must be between 0 and 1"),
        (["train", "--test-size", "1"], "--test-size must be between 0 and 1"),
        (["train", "--test-size", "nan"], "--test-size must be between 0 and 1"),
        (["train", "--test-size", "much"], "--test-size"),
        (["train", "--test-size", "0.999"], "too few rows"),
        (["train", "--seed", "-1"], "--seed"),
        (["train", "--seed", "4294967296"], "--seed"),
        (["train", "--max-iter", "0"], "--max-iter must be at least 1"),
        (["train", "--task", "ranking"], "'ranking'"),
        (["train", "--target", "y"], "--target needs a CSV file"),
    ],
)
def test_bad_arguments(capsys, argv, expected):
    assert expected in refuse(capsys, *argv)


@pytest.mark.parametrize(
    ("content", "target", "expected"),
    [
        ("", "y", "the file is empty"),
        ("x,y\n", "y", "a header but no rows"),
        ("x,y\n1,a\n2,b,3\n", "y", "line 3"),
        ("x,y\n1,a,3\n2,b,3\n", "y", "more cells in a row than in the header"),
        ("x,y\n1,\xe4\n".encode("latin-1"), "y", "byte 0xe4 is not UTF-8"),
        (b"PK\x03\x04\xff\xfe\x00\x00" * 9, "y", "cannot read"),
        ('x,y\n1,"a\n2,b\n', "y", "cannot read"),
        # Where pandas finds the header in another place than everybody else.
        (b"\r,w,x,y\r" + b"1,2,a\r3,4,b\r" * 20, "y", "which names its header holds"),
        (GOOD, None, "--target is missing; the columns are 'x', 'y'"),
        (GOOD, "z", "no column 'z'; the columns are 'x', 'y'"),
        ("price,kind\n1,a\n", "Prices", "did you mean 'price'?"),
        ("y\n" + "a\nb\n" * 20, "y", "no feature columns"),
        ("x,y\n" + "1,a\n1,b\n" * 20, "y", "no feature columns"),
        ("x,y\n" + "1,a\n2,a\n" * 20, "y", "one class only: 'a'"),
        ("x,y\n" + "1,7\n2,7\n" * 20, "y", "one class only: '7'"),
        ("x,y\n" + "1,a\n2,b\n" * 4, "y", "8 rows"),
        ("x,y\n" + "1,\n2,\n" * 20, "y", "0 rows"),
        ("x,y\n" + "".join(f"{i},n{i}\n" for i in range(40)), "y", "too many"),
    ],
)
def test_bad_tables(capsys, write, content, target, expected):
    options = [] if target is None else ["--target", target]
    assert expected in refuse(capsys, "train", write(content), *options)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ("1,2.5\n2,n/k\n", "regression needs a numeric target; 'y' holds 'n/k'"),
        ("1,2.5\n2,2.5\n", "the same value in every row"),
    ],
)
def test_bad_regression_targets(capsys, write, rows, expected):
    name = write("x,y\n" + rows * 20)
    line = refuse(capsys, "train", name, "--target", "y", "--task", "regression")
    assert expected in line


@pytest.mark.parametrize(
    ("content", "name"),
    [(b"x,y\n1,a\n", "plain.csv.gz"), (gzip.compress(b"x,y\n1,a\n")[:-9], "cut.gz")],
    ids=["not gzip", "cut off"],  # a gzip header holds the time
)
def test_damaged_gzip(capsys, write, content, name):
    line = refuse(capsys, "train", write(content, name), "--target", "y")
    assert "cannot read" in line


def test_wrong_files(capsys, tmp_path):
    missing = str(tmp_path / "nothing.csv")
    assert "No such file" in refuse(capsys, "train", missing, "--target", "y")
    assert "cannot read" in refuse(capsys, "train", str(tmp_path), "--target", "y")
    url = "http://localhost:9/table.csv"
    assert "No such file" in refuse(capsys, "train", url, "--target", "y")


def test_csv_without_pandas(capsys, write, without_pandas):
    line = refuse(capsys, "train", write(GOOD), "--target", "y")
    assert 'pip install "skbackprop[cli]"' in line


def test_long_column_lists_are_cut(capsys, write):
    name = write(",".join(f"c{i}" for i in range(500)) + "\n")
    Path(name).write_text(Path(name).read_text() + ",".join(["1"] * 500) + "\n")
    line = refuse(capsys, "train", name)
    assert "'c0'" in line and "and 488 more" in line and "'c499'" not in line


def test_control_characters_do_not_reach_the_terminal(capsys, write):
    name = write("x,y\n" + "1,a\n2,b\n" * 20)
    line = refuse(capsys, "train", name, "--target", "\x1b[31m\n")
    assert "\x1b" not in line


def test_failure_in_training_is_one_line(capsys, monkeypatch):
    def fit(self, X, y):
        raise ValueError("Solver produced\nnon-finite weights")

    monkeypatch.setattr(BackpropMLPClassifier, "fit", fit)
    assert cli.main(["train"]) == 2
    err = capsys.readouterr().err
    assert err == (
        "skbackprop: error: training failed: Solver produced non-finite weights\n"
    )


def test_says_that_the_training_diverged(capsys, monkeypatch):
    fit = BackpropMLPClassifier.fit

    def diverge(self, X, y):
        warnings.warn(
            "Training diverged in epoch 3; ...", ConvergenceWarning, stacklevel=1
        )
        return fit(self, X, y)

    monkeypatch.setattr(BackpropMLPClassifier, "fit", diverge)
    out = run(capsys, "--max-iter", "2")
    assert "the training diverged" in out and "stopped at" not in out


# Interruptions


def test_interrupted_before_the_first_epoch(capsys, monkeypatch):
    def fit(self, X, y):
        raise KeyboardInterrupt

    monkeypatch.setattr(BackpropMLPClassifier, "fit", fit)
    assert cli.main(["train"]) == 130
    assert capsys.readouterr().err == "skbackprop: interrupted\n"


def test_interrupted_later_scores_the_network_so_far(capsys, monkeypatch):
    update = cli._Progress.update

    def interrupt(self, epoch, loss, score):
        update(self, epoch, loss, score)
        if epoch == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(cli._Progress, "update", interrupt)
    assert cli.main(["train"]) == 130
    out, err = capsys.readouterr()
    assert "interrupted after 3 epochs" in out and "test accuracy" in out
    assert err == ""


def python(*argv, **environment):
    """Run the tool in a process of its own."""
    process = subprocess.run(
        [sys.executable, "-m", "skbackprop.cli", *argv],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    return process.returncode, process.stdout, process.stderr


def test_process_exits_without_a_traceback():
    code, out, err = python("train", "nothing.csv", "--target", "y")
    assert (code, out) == (2, "")
    assert err.startswith("skbackprop: error: ") and err.count("\n") == 1


@pytest.mark.skipif(os.name == "nt", reason="pipes break differently on Windows")
@pytest.mark.parametrize("argv", [["train", "--max-iter", "3"], ["--version"]])
def test_closed_pipe_gives_no_traceback(argv):
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.run(
        [sys.executable, "-m", "skbackprop.cli", *argv],
        env={**os.environ, "PYTHONUNBUFFERED": ""},  # fails at exit, not at once
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
    )
    os.close(writer)
    assert (process.returncode, process.stderr) == (1, "")


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
