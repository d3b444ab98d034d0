"""Files in which cells are not what they seem, and commands that meet odd surroundings.

Each was met once, and hung, guessed in silence or broke.

Answers for: cli/_csv.py, cli/_profile.py, cli/_reading.py.
"""

from __future__ import annotations

import io
import json
import os
import sys
import threading
import zipfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import frame, read, refuse, run

from skbackprop import TabularMLPClassifier, cli, save_model
from skbackprop.cli._notation import number_of
from skbackprop.cli._profile import Profile

FAST = ["--preset", "fast", "--max-iter", "1"]
Y = ["no", "yes"]


def lines(header, *rows, sep=","):
    return "\n".join([header, *(sep.join(map(str, row)) for row in rows)]) + "\n"


def table(n=40, **columns):
    """A table of text with a target; columns are functions of the row."""
    names = [*columns, "x", "y"]
    rows = [[f(i) for f in columns.values()] + [i * 0.5, Y[i % 2]] for i in range(n)]
    return lines(",".join(names), *rows)


# Cells


def test_compact_dates_with_gaps_take_no_time(write):
    """The time must not double with every gap; a sentinel is no date."""
    found = read(
        write(
            table(80, d=lambda i: "" if i % 2 else "99991231" if i == 78 else 20240101)
        )
    )
    assert found.readings["d"].kind == "number"
    found = read(write(table(80, d=lambda i: "" if i % 3 else 20240101 + i % 28)))
    assert found.readings["d"].kind == "date"


def test_a_long_cell_of_blanks_takes_no_time():
    assert number_of("-" + " " * 40_000 + "z", ".") is None
    assert number_of("-" + " " * 20 + "7", ".") == -7


@pytest.mark.parametrize("word", ["NA", "n/a", "-nan"])
def test_a_word_for_missing_leaves_a_column_what_it_is(write, word):
    name = write(
        table(
            zip=lambda i: word if i == 3 else f"0{1000 + i % 9}",
            day=lambda i: word if i == 5 else 20240101 + i % 28,
            number=lambda i: word if i == 7 else i + 1,
        )
    )
    found = read(name)
    kinds = {name: each.kind for name, each in found.readings.items()}
    assert kinds == {
        "zip": "category",
        "day": "date",
        "number": "number",
        "x": "number",
    }
    assert sum(word in note for note in found.notes) == 1
    told = Profile("y", counts_all=True)
    told.update([word, "1", "2"])
    assert told.values[word] == 1  # it may be a class


def test_a_cell_of_two_lines_is_one_cell(capsys, write, tmp_path):
    rows = [f"{i},5;{Y[i % 2]}" for i in range(40)]
    name = write("x;y\n" + "\n".join(rows) + '\n"7,5\n8,5";no\n')
    found = read(name)
    assert len(found.y) == 41 and np.isnan(found.columns["x"][-1])
    model = str(tmp_path / "m")
    run(capsys, "train", name, "--target", "y", *FAST, "--model", model)
    assert cli.main(["predict", model, name]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 42
    target = read(name, "--task", "regression", target="x")
    assert len(target.y) == 40


def test_a_separator_of_lines_within_a_line(write):
    """Unicode has some more, which are no ends of lines in a table."""
    text = "My title\u2028below\x85it\x0b\n" + table(30)
    assert len(read(write(text)).y) == 30


@pytest.mark.parametrize("delimiter", [" ", "e", "0", "\x1e"])
def test_delimiters_of_all_kinds(write, delimiter):
    rows = [[f"{i % 9 + 1}.5", "a" if i % 2 else "b"] for i in range(20)]
    name = write(lines(delimiter.join("xy"), *rows, sep=delimiter))
    found = read(name, "--delimiter", delimiter)
    assert len(found.y) == 20 and found.readings["x"].kind == "number"


def test_a_comment_as_wide_as_the_table(write):
    commented = "# exported, by me\n" + table(30)
    assert list(read(write(commented)).columns) == ["x"]
    named = "#" + table(30)
    assert list(read(write(named)).columns) == ["x"]


def test_years_of_two_digits_are_said(write):
    found = read(write(table(d=lambda i: f"{i % 28 + 1:02}/{i % 12 + 1:02}/{i + 30}")))
    assert any("two digits" in note and "1930 to 2029" in note for note in found.notes)
    assert found.columns["d"].max() < np.datetime64("1971")
    found = read(
        write(table(d=lambda i: f"{i % 28 + 1:02}/{i % 12 + 1:02}/20{i + 10}"))
    )
    assert not any("two digits" in note for note in found.notes)


def test_few_rows_of_whole_numbers_are_a_quantity(write):
    rows = [[i * 0.5, 1000 + 11 * i] for i in range(12)]
    assert read(write(lines("x,y", *rows))).target.task == "regression"
    rows = [[i * 0.5, 1000 + i % 3] for i in range(12)]
    assert read(write(lines("x,y", *rows))).target.task == "classification"


# Parquet


def test_identifiers_of_parquet_are_exact(capsys, tmp_path, write):
    n = 60
    ids = 2**53 + 1 + np.arange(n)
    data = frame(n)[["width", "label"]].assign(id=ids, odd=[None, *[2**60] * (n - 1)])
    name = str(tmp_path / "t.parquet")
    pq.write_table(pa.Table.from_pandas(data, preserve_index=False), name)
    model = str(tmp_path / "m")
    run(
        capsys,
        "train",
        name,
        "--target",
        "label",
        "--id",
        "id",
        *FAST,
        "--model",
        model,
    )
    assert cli.main(["predict", model, name, "--id", "id"]) == 0
    out = capsys.readouterr().out.splitlines()[1:]
    assert [line.split(",")[0] for line in out] == [str(each) for each in ids]


def test_an_index_of_pandas_is_no_column(tmp_path):
    data = frame(60)[["width", "label"]].sample(frac=1, random_state=0)
    name = str(tmp_path / "t.parquet")
    data.to_parquet(name)
    found = read(name, target="label")
    assert list(found.columns) == ["width"]
    assert found.left_out == {"__index_level_0__": "it is the index of a data frame"}


# Models and scores


def test_categories_that_a_file_cannot_say(capsys, tmp_path, write):
    for odd in ("None", "b "):
        X = pd.DataFrame({"c": ["a", odd, "d", "e"] * 10, "x": np.arange(40.0)})
        model = TabularMLPClassifier(preset="fast", max_iter=1, n_folds=2).fit(
            X, Y * 20
        )
        path = str(tmp_path / "m")
        save_model(model, path)
        line = refuse(capsys, "predict", path, write(X))
        assert f"column 'c' has the category {odd!r}" in line


def test_classes_written_with_a_decimal_comma(capsys, write, tmp_path):
    rows = [[f"{i},5", ["1.000", "2.000"][i % 2]] for i in range(40)]
    name, model = write(lines("a;t", *rows, sep=";")), str(tmp_path / "m")
    run(capsys, "train", name, "--target", "t", *FAST, "--model", model)
    assert "accuracy" in run(capsys, "evaluate", model, name)


def test_scores_that_are_no_numbers(capsys, write, tmp_path):
    rows = [[i * 0.5 + 3, f"{i + 1}e200"] for i in range(40)]
    name, said = write(lines("x,t", *rows)), tmp_path / "said.json"
    args = ["--target", "t", *FAST, "--model", str(tmp_path / "m"), "--json", str(said)]
    assert cli.main(["train", name, *args]) == 0
    capsys.readouterr()
    assert "NaN" not in said.read_text() and json.loads(said.read_text())["scores"]


# Surroundings


def test_a_pipe_is_read_once(capsys, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    feeder = threading.Thread(target=pipe.write_text, args=(table(40),))
    feeder.start()
    found = read(str(pipe))
    feeder.join()
    assert len(found.y) == 40 and found.name == str(pipe)


def test_zip_files_that_cannot_be_unpacked(capsys, tmp_path):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("t.csv", table(40))
    content = bytearray(packed.getvalue())
    for place, value in ((6, 1), (content.rfind(b"PK\x01\x02") + 8, 1)):
        content[place] = value  # the flag of a password
    name = tmp_path / "t.zip"
    name.write_bytes(content)
    line = refuse(capsys, "train", str(name), "--target", "y")
    assert "encrypted" in line


@pytest.mark.parametrize("encoding", ["hex", "rot13", "nonsense", "a\0b"])
def test_encodings_of_no_text(capsys, write, encoding):
    line = refuse(
        capsys, "train", write(table()), "--target", "y", "--encoding", encoding
    )
    assert "none that Python knows" in line


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["--max-iter", "9" * 20], "--max-iter must be from 1 to 2**31 - 1"),
        (["--quantiles", "nan"], "--quantiles must increase"),
    ],
)
def test_numbers_that_no_training_has(capsys, write, argv, expected):
    assert expected in refuse(capsys, "train", write(table()), "--target", "x", *argv)


def test_streams_that_are_closed(capsys, monkeypatch, trained):
    model, data = trained("--target", "label", "--id", "name")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdin", None)
        assert "standard input is closed" in refuse(capsys, "predict", model, "-")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", None)
        assert cli.main(["predict", model, data]) == 2
    assert "standard output is closed" in capsys.readouterr().err


def test_a_name_that_is_not_utf8(capsysbinary, tmp_path):
    name = os.path.join(os.fsencode(tmp_path), b"\xff.csv")
    with open(name, "w") as file:
        file.write(table())
    args = ["--target", "y", *FAST, "--model", str(tmp_path / "m"), "--json", "-"]
    assert cli.main(["train", os.fsdecode(name), *args]) == 0
    out = capsysbinary.readouterr().out
    assert json.loads(out)["scores"]
