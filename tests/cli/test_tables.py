"""What is read in a table, and what is said about it: as a person would read it.

Answers for: cli/_profile.py, cli/_reading.py, cli/_training_table.py, cli/_target.py,
cli/_words.py, cli/_store.py, tabular/_matrices.py.
"""

import re
import uuid

import numpy as np
import pandas as pd
import pytest
from command_line import frame, read, refuse, run

from skbackprop import TabularEncoder, load_model
from skbackprop.cli import _store, _training_table
from skbackprop.cli._csv import BLOCK_ROWS, CsvTable
from skbackprop.cli._options import parse
from skbackprop.cli._store import Coded
from skbackprop.cli._tables import opened_table
from skbackprop.tabular._matrices import kept_in

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


def text_table(sep=",", **columns):
    """A CSV file whose cells are these strings, quoted where they must be."""
    return pd.DataFrame(columns).to_csv(index=False, sep=sep)


@pytest.fixture
def table(write):
    """Read a table of these columns, with a target of two classes."""

    def _table(*options, sep=",", y=None, **columns):
        y = column("p", "q") if y is None else y
        return read(write(text_table(sep=sep, **columns, y=y)), *options)

    return _table


def kinds(found):
    return {name: (each.kind, each.mark) for name, each in found.readings.items()}


def said(found, text):
    """Whether one of the notes has this text."""
    return any(text in note for note in found.notes)


# Numbers

WRITTEN = {
    "thousands": (("1,234", "999", "1,234,567.5", "-2,000"), [1234, 999, 1234567.5]),
    "decimal comma": (("1.234", "0,5", "17", "3"), [1234, 0.5, 17]),
    "two decimals": (("1,23", "5,67", "17", "3"), [1.23, 5.67, 17]),
    "dollars": (("$1,200.00", "$900", "-$5"), [1200, 900, -5]),
    "euros": (("1.200,50 €", "900 €", "-5,1 €"), [1200.5, 900, -5.1]),
    "per cent": (("45%", "7.5%", "120 %"), [45, 7.5, 120]),
    "blanks": (("1 234", "12 345,5", "7"), [1234, 12345.5, 7]),
    "accountants": (("(1,200)", "900", "5.5"), [-1200, 900, 5.5]),
    "exponents": (("1e3", "2.5E-1", "7"), [1000, 0.25, 7]),
}


@pytest.mark.parametrize(("cells", "numbers"), WRITTEN.values(), ids=WRITTEN)
@pytest.mark.parametrize("sep", [",", ";"])
def test_ways_of_writing_numbers(table, cells, numbers, sep):
    found = table(x=column(*cells), z=numbered(), sep=sep)
    assert found.readings["x"].kind == "number"
    np.testing.assert_allclose(found.columns["x"][:3], numbers, rtol=1e-15)
    assert not said(found, "decides")


@pytest.mark.parametrize(
    ("sep", "options", "expected", "guessed"),
    [
        (",", [], 1234, True),
        (";", [], 1.234, True),
        (",", ["--decimal", ","], 1.234, False),
        (";", ["--decimal", "."], 1234, False),
    ],
)
def test_what_is_guessed_is_said(table, sep, options, expected, guessed):
    found = table(*options, x=column("1,234", "5,678", "9"), sep=sep)
    assert found.columns["x"][0] == expected
    note = f"'x': '1,234' is read as {expected} (--decimal decides)"
    assert said(found, note) == guessed


def test_other_columns_say_the_decimal_mark(table):
    found = table(x=column("1.234", "5.678", "9"), z=column("0,5", "1,25"))
    assert found.columns["x"][0] == 1234
    found = table(x=column("1.234", "5.678", "9"), z=column("0.5", "1.25"))
    assert found.columns["x"][0] == 1.234


def test_what_is_no_guess_is_not_said(table):
    """Where the other columns have decimal points."""
    found = table(x=column("1.234", "5.678"), z=column("0.5", "1.25"))
    assert found.columns["x"][0] == 1.234 and not said(found, "decides")
    found = table(x=column("1.234", "5.678"), z=column("5", "25"))
    assert said(found, "'x': '1.234' is read as 1.234 (--decimal decides)")
    found = table(x=column("1.234", "5.678"), z=column("0,5", "1,25"))
    assert said(found, "'x': '1.234' is read as 1234 (--decimal decides)")


def test_every_note_on_cells_is_found_in_one_pass(table, monkeypatch):
    passes, records = [], CsvTable.records

    def counting(self):
        passes.append(self)
        return records(self)

    monkeypatch.setattr(CsvTable, "records", counting)
    table(**{f"x{i}": numbered(at190="?") for i in range(5)})
    # What cells look like, the target, the columns, and the lines of all notes.
    assert len(passes) == 4


def test_nine_tenths_are_a_column_of_numbers(table):
    few = {f"at{i}": "?" for i in range(20)}
    more = few | {"at20": "unknown"}
    found = table(few=numbered(**few), more=numbered(**more))
    assert kinds(found) == {"few": ("number", ".")}
    assert said(
        found,
        "'few' is read as numbers, 20 of its 200 cells as missing: '?' (line 2), '?' "
        "(line 3), '?' (line 4) and 17 more (--category 'few'",
    )
    assert "181 of its 200 cells differ, such as '?'" in found.left_out["more"]


def test_one_bad_cell_costs_one_cell(table):
    found = table(x=numbered(at3="n.a."))
    assert np.flatnonzero(np.isnan(found.columns["x"])).tolist() == [3]


def test_infinite_cells_are_said(table):
    found = table(x=numbered(at3="inf", at4="-Infinity"), z=numbered(at7="1e400"))
    assert said(found, "2 of its 200 cells as missing: 'inf' (line 5), '-Infinity'")
    assert said(found, "1 of its 200 cells as missing: '1e400' (line 9)")
    assert np.isnan(found.columns["x"][3:5]).all()
    assert np.isnan(found.columns["z"][7])


def test_words_for_missing_are_said(table):
    found = table(
        x=numbered(at3="NA", at4="NA", at9="null"), kind=column("a", "b", "None", "a")
    )
    assert said(
        found,
        "taken for missing: 'NA' (2 cells), 'null' (1 cell) of 'x'; 'None' (50 cells) "
        "of 'kind'",
    )
    assert found.n_categories == {"kind": 2}
    assert np.count_nonzero(found.columns["kind"].codes == -1) == 50


def test_many_bad_columns_are_said_in_few_lines(table):
    found = table(**{f"x{i}": numbered(at5="?") for i in range(30)})
    notes = [note for note in found.notes if "is read as numbers" in note]
    assert len(notes) == _training_table.MOST_NOTES
    assert said(found, "the same in 'x6', 'x7'") and said(found, "and 12 more")


def test_codes_stay_text(table):
    found = table(zip=column("01234", "10115", "80331"), x=column("0", "1", "0.5"))
    assert kinds(found) == {"zip": ("category", ""), "x": ("number", ".")}
    assert sorted(found.columns["zip"].categories) == ["01234", "10115", "80331"]


def test_a_user_may_say_the_kinds(table):
    columns = {
        "number": column("10115", "80331"),
        "words": column("1.5", "a", "b", "c"),
        "day": column("20240131", "x", "y", "z"),
    }
    found = table(**columns)
    assert [kind for kind, _ in kinds(found).values()] == [
        "number",
        "category",
        "category",
    ]
    found = table(
        *("--category", "number", "--number", "words", "--date", "day"), **columns
    )
    assert [kind for kind, _ in kinds(found).values()] == ["category", "number", "date"]
    assert np.isnan(found.columns["words"]).sum() == 150
    assert np.isnat(found.columns["day"]).sum() == 150


# Dates

DAYS = pd.date_range("2023-12-20", periods=ROWS)


@pytest.mark.parametrize(
    ("pattern", "order"),
    [
        ("%Y-%m-%d", "ymd"),
        ("%Y%m%d", "ymd"),
        ("%d.%m.%Y", "dmy"),
        ("%m/%d/%Y", "mdy"),
        ("%d/%m/%y", "dmy"),
        ("%d %B %Y", None),
        ("%Y-%m-%dT%H:%M:%SZ", "ymd"),
    ],
)
def test_dates_are_read(table, pattern, order):
    cells = DAYS.strftime(pattern).tolist()
    cells[7] = ""
    found = table(day=cells, x=numbered())
    assert found.readings["day"].kind == "date"
    assert order is None or found.readings["day"].mark == order
    expected = DAYS.to_numpy("datetime64[us]").copy()
    expected[7] = "NaT"
    np.testing.assert_array_equal(found.columns["day"], expected)


EARLY = column(*(f"0{i % 9 + 1}/0{i % 5 + 1}/2024" for i in range(40)))


@pytest.mark.parametrize(
    ("cells", "options", "expected"),
    [
        (EARLY, [], "2024-01-01"),
        ([c.replace("/", ".") for c in EARLY], [], "2024-01-01"),
        (EARLY, ["--date-order", "mdy"], None),
    ],
)
def test_an_order_of_dates_that_is_guessed_is_said(table, cells, options, expected):
    cells[0] = "02/03/2024".replace("/", cells[1][2])
    found = table(*options, day=cells)
    dotted = "." in cells[1]
    order = "dmy" if dotted else "mdy"
    assert kinds(found)["day"] == ("date", order)
    day = "2024-03-02" if dotted else "2024-02-03"
    note = f"'day': {cells[0]!r} is read as {day} (--date-order decides)"
    assert said(found, note) == (expected is not None)


def test_another_column_says_the_order_of_dates(table):
    found = table(day=list(EARLY), other=DAYS.strftime("%d/%m/%Y").tolist())
    assert kinds(found) == {"day": ("date", "dmy"), "other": ("date", "dmy")}


def test_a_date_among_others_that_is_none(table):
    cells = DAYS.strftime("%Y-%m-%d").tolist()
    cells[3], cells[4] = "2024-02-30", "NA"
    found = table(day=cells)
    assert said(found, "'day' is read as dates, 1 of its 200 cells as missing")
    assert said(found, "'2024-02-30' (line 5)") and said(
        found, "'NA' (1 cell) of 'day'"
    )


# What says nothing of new rows


def test_identifiers_are_left_out(table):
    rng = np.random.default_rng(0)
    sorted_ids = np.sort(rng.choice(10**6, ROWS, replace=False)).astype(str).tolist()
    found = table(
        uuid=[str(uuid.UUID(int=i)) for i in range(ROWS)],
        row=[str(i) for i in range(1, ROWS + 1)],
        customer_id=sorted_ids,
        text=[f"the word {i} of many" for i in range(ROWS)],
        amount=sorted_ids,
        year=[str(1800 + i) for i in range(ROWS)],
        colour=column("red", "green"),
    )
    assert list(kinds(found)) == ["amount", "year", "colour"]
    reasons = found.left_out
    assert reasons["row"] == "it numbers the rows"
    assert reasons["customer_id"].startswith("its name and its values")
    for name in ("uuid", "text"):
        assert reasons[name].startswith("200 of its 200 cells differ, such as '")


def test_a_user_may_keep_them(table):
    names = ["uuid", "row"]
    found = table(
        "--category",
        "uuid",
        "--number",
        "row",
        uuid=[str(uuid.UUID(int=i)) for i in range(ROWS)],
        row=[str(i) for i in range(1, ROWS + 1)],
    )
    assert list(kinds(found)) == names


def test_columns_alike_or_empty_are_left_out(table):
    found = table(
        same=column("1"),
        word=column("a"),
        empty=column(""),
        none=column("NA"),
        day=column("2024-01-31"),
        some=column("1", ""),
        x=numbered(),
    )
    assert list(kinds(found)) == ["some", "x"]
    assert set(found.left_out.values()) == {
        "all cells are alike",
        "all cells are missing",
    }


def test_few_rows_keep_their_words(table):
    found = table(name=[f"n{i}" for i in range(12)], y=column("p", "q", rows=12))
    assert kinds(found) == {"name": ("category", "")}


@pytest.mark.parametrize("first", [0, 1])
def test_row_numbers_without_a_name(write, first):
    frame = pd.DataFrame({"x": numbered(), "y": column("p", "q")})
    frame.insert(0, "", range(first, first + ROWS))
    found = read(write(frame))
    assert found.left_out == {"column 1": "it numbers the rows"}
    frame[""] = [*range(1, ROWS), 0]
    found = read(write(frame))
    assert "column 1" in found.readings
    assert said(found, "a column without a name goes by its place: 'column 1'")


def test_nothing_is_left(capsys, write):
    line = refuse(
        capsys,
        "train",
        write(text_table(x=column("1"), y=column("p", "q"))),
        "--target",
        "y",
    )
    assert "no columns are left to learn from ('x': all cells are alike)" in line


def test_roles_of_columns(table, capsys, write):
    columns = {"x": numbered(), "z": numbered(), "name": column("a", "b")}
    found = table("--id", "name", "--ignore", "z", **columns)
    assert list(kinds(found)) == ["x"] and found.identifier == "name"
    name = write(text_table(**columns, y=column("p", "q")))
    for options, expected in (
        (["--id", "y"], "--id 'y' is the target"),
        (["--ignore", "y"], "--ignore 'y' is the target"),
        (["--ignore", "nmae"], "did you mean 'name'?"),
        (["--number", "x", "--category", "x"], "'x' is in --category and in --number"),
        (["--number", "x", "--ignore", "x"], "--ignore 'x' is in --number too"),
        (["--category", "y"], "--task says how it is read"),
    ):
        assert expected in refuse(capsys, "train", name, "--target", "y", *options)


# The target


@pytest.mark.parametrize(
    ("values", "task"),
    [
        ([0, 1], "classification"),
        (list(range(20)), "classification"),
        (list(range(21)), "regression"),
        ([0.5, 1.5], "regression"),
        ([True, False], "classification"),
        (["a", "b"], "classification"),
        (["1,5", "2,5"], "regression"),
        (["$5", "$1,000"], "classification"),
    ],
)
def test_auto_task(write, values, task):
    frame = pd.DataFrame({"x": np.arange(84) / 2, "y": (values * 84)[:84]})
    found = read(write(frame))
    assert found.target.task == task and found.target.why
    for other in ("classification", "regression"):
        if type(values[0]) is int:
            assert read(write(frame), "--task", other).target.task == other


@pytest.mark.parametrize(
    ("cells", "classes"),
    [
        (("01", "1"), ["01", "1"]),
        (("1.0", "2"), [1, 2]),
        (("1", "2", "1.0"), [1, 2]),
        (("9007199254740993", "9007199254740992"), None),
        (("ja", "ja ", " nein"), ["ja", "nein"]),
        (("True", "False"), ["False", "True"]),
        (("NA", "x"), None),
        (("null", "None"), None),
        (("0", "1", "NA"), None),
    ],
)
def test_classes(table, cells, classes):
    options = ["--task", "classification"]
    found = table(*options, x=numbered(), y=column(*cells))
    assert found.target.classes.tolist() == (classes or sorted(cells))
    codes = [found.target.classes[code] for code in found.y[: len(cells)]]
    assert list(map(str, codes)) == [
        c.strip().removesuffix(".0") if classes != ["01", "1"] else c for c in cells
    ]
    for cell in cells:
        if cell in ("NA", "null", "None"):
            assert said(found, f"{cell!r} is a class of its own")


def test_classes_that_look_alike_are_said(table):
    found = table(x=numbered(), y=column("ja", "JA", "nein"))
    assert said(found, "classes that differ in capitals only: 'JA', 'ja'")


def test_rows_without_a_target_are_dropped(table):
    y = column("p", "q")
    y[:50] = [""] * 50
    found = table(x=numbered(at5="?"), y=y)
    assert said(found, "dropped 50 rows without a value in 'y' (the first: line 2)")
    assert len(found.y) == 150 and found.columns["x"][0] == 50.5
    assert not said(found, "as missing")  # of a row that is dropped


@pytest.mark.parametrize("options", [(), ("--task", "regression")])
@pytest.mark.parametrize("word", ["NA", "n.a."])
def test_rows_without_a_number_are_dropped(table, options, word):
    y = numbered(at5=word)
    if word == "NA":  # none of the words is a quantity, so there may be many
        y[100:] = column(word, rows=ROWS - 100)
    found = table(*options, x=column("a", "b"), y=y)
    dropped = y.count(word)
    assert found.target.task == "regression" and len(found.y) == ROWS - dropped
    assert said(found, f"dropped {dropped} row{'s' * (dropped > 1)} without one")
    assert said(found, f"{word!r} (line 7)")


def test_what_is_guessed_of_the_target_is_said(table):
    y = [f"{1000 + 7 * i:,}" for i in range(ROWS)]
    found = table(x=column("0,5", "1,25"), y=y, sep=";")
    assert found.y[0] == 1.0
    assert said(found, "'y': '1,000' is read as 1 (--decimal decides)")


def test_values_of_a_numeric_target(table):
    found = table(x=numbered(), y=[f"{1000 + 7 * i:,}" for i in range(ROWS)])
    np.testing.assert_array_equal(found.y, 1000 + 7 * np.arange(ROWS))


@pytest.mark.parametrize(
    ("y", "options", "expected"),
    [
        (column("a"), [], "one class only: 'a'"),
        (column("7"), [], "one class only: '7'"),
        (column(""), [], "0 rows with a target, need 10"),
        (column("a", "b", rows=8), [], "8 rows with a target, need 10"),
        ([f"n{i}" for i in range(ROWS)], [], "too many to be classes"),
        (column("2.5", "n/k"), ["--task", "regression"], "'y' holds 'n/k'"),
        (column("2.5"), ["--task", "regression"], "the same value in every row"),
        (DAYS.strftime("%Y-%m-%d").tolist(), [], "'y' holds dates"),
        (column("NA", "null"), ["--task", "regression"], "needs a numeric target"),
    ],
)
def test_targets_that_cannot_be(capsys, write, y, options, expected):
    name = write(text_table(x=numbered(rows=len(y)), y=y))
    line = refuse(capsys, "train", name, "--target", "y", *options)
    assert expected in line


# Many rows


def test_every_block_is_read_alike(table):
    """A column whose first block looks like another kind than all of it."""
    n = BLOCK_ROWS + 50
    zips = column("10115", "80331", rows=n)
    zips[-1] = "01234"
    words = column("1", "2", rows=n)
    words[BLOCK_ROWS:] = column("a", "b", rows=50)
    numbers = column("1", "2.5", rows=n)
    numbers[-2:] = ["1,000.5", "?"]
    found = table(zip=zips, words=words, numbers=numbers, y=column("p", "q", rows=n))
    assert kinds(found) == {
        "zip": ("category", ""),
        "words": ("number", "."),
        "numbers": ("number", "."),
    }
    assert found.columns["numbers"][-2] == 1000.5
    assert np.isnan(found.columns["words"]).sum() == 50
    names = found.columns["zip"]
    assert names.categories[names.codes[-1]] == "01234"


def test_many_rows_are_kept_in_files(write, monkeypatch, tmp_path):
    y = column("p", "q", "")
    text = text_table(
        x=numbered(), kind=column("a", "b", ""), day=DAYS.strftime("%Y-%m-%d"), y=y
    )
    name = write(text)
    plain = read(name)
    monkeypatch.setattr(_store, "MOST_IN_MEMORY", 1000)
    monkeypatch.setattr(_store.tempfile, "tempdir", str(tmp_path))
    options = parse(["train", name, "--target", "y"])
    with _store.opened_store() as store, opened_table(name, options, ["y"]) as table:
        found = _training_table.read_training_table(table, options, store)
        assert store.folder is not None and list(tmp_path.glob("skbackprop-*/*"))
        for key, values in found.columns.items():
            data = values.codes if isinstance(values, Coded) else values
            assert isinstance(data, np.memmap)
            expected = plain.columns[key]
            expected = expected.codes if isinstance(expected, Coded) else expected
            np.testing.assert_array_equal(data, expected)
        rows = _store.frame_of(found.columns)
        assert rows["kind"].dtype == "category" and len(rows) == 134
        with kept_in(store.folder):
            encoder = TabularEncoder(dates="numbers", missing="nan")
            matrix = encoder.fit_transform(rows)
        assert isinstance(matrix, np.memmap)
        np.testing.assert_array_equal(matrix, encoder.transform(rows))
        assert not isinstance(encoder.transform(rows), np.memmap)
    assert not list(tmp_path.glob("skbackprop-*"))


def test_a_training_from_files_is_the_same(capsys, write, monkeypatch, tmp_path):
    name = write(frame(300))
    models = []
    for most in (10**9, 1000):
        monkeypatch.setattr(_store, "MOST_IN_MEMORY", most)
        models.append(str(tmp_path / f"{most}"))
        run(
            capsys,
            *("train", name, "--target", "label", "--preset", "fast"),
            *("--max-iter", "3", "--model", models[-1]),
        )
    first, second = (load_model(model)._bag[1] for model in models)
    for theta, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(theta, other)


def test_a_full_disk_is_one_line(capsys, write, monkeypatch):
    monkeypatch.setattr(_store, "MOST_IN_MEMORY", 1000)
    usage = type(_store.shutil.disk_usage("."))
    monkeypatch.setattr(_store.shutil, "disk_usage", lambda folder: usage(9, 9, 0))
    name = write(text_table(x=numbered(), y=column("p", "q")))
    line = refuse(capsys, "train", name, "--target", "y")
    assert re.search(r"the table needs 0.0 GB more in .*; TMPDIR names another", line)
