"""Files as people have them: packed, in any encoding, with any separator, or no table.

Answers for: cli/_source.py, cli/_csv.py, cli/_arrow.py, cli/_tables.py.
"""

import bz2
import gzip
import io
import lzma
import sys
import zipfile
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from command_line import read, refuse

from skbackprop.cli._failure import Failure
from skbackprop.cli._options import parse
from skbackprop.cli._tables import opened_table

ROWS = 60
TEXT = "width,colour,y\n" + "".join(
    f'{i / 7:.3f},"{["red", "grün", "blau, hell"][i % 3]}",{["ja", "nein"][i % 2]}\n'
    for i in range(ROWS)
)


def same(table, notes=()):
    """The table of TEXT, with these words among its notes and no others."""
    assert {name: each.kind for name, each in table.readings.items()} == {
        "width": "number",
        "colour": "category",
    }
    expected = [float(f"{i / 7:.3f}") for i in range(ROWS)]
    np.testing.assert_array_equal(table.columns["width"], expected)
    colour = table.columns["colour"]
    assert [colour.categories[c] for c in colour.codes[:3]] == [
        "red",
        "grün",
        "blau, hell",
    ]
    assert table.target.classes.tolist() == ["ja", "nein"]
    assert len(table.notes) == len(notes), table.notes
    for note, word in zip(table.notes, notes, strict=True):
        assert word in note


def zipped(data, *names):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, data)
    return file.getvalue()


PACKED = {
    "plain": lambda data: data,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zip": lambda data: zipped(data, "table.csv"),
    "zip of a Mac": lambda data: zipped(data, "table.csv", "__MACOSX/._table.csv"),
}


@pytest.mark.parametrize("pack", PACKED.values(), ids=PACKED)
@pytest.mark.parametrize("name", ["table.csv", "without_an_ending"])
def test_packed_files(write, pack, name):
    same(read(write(pack(TEXT.encode()), name)))


@pytest.mark.parametrize(
    ("encoding", "note"),
    [
        ("utf-8", None),
        ("utf-8-sig", None),
        ("utf-16", "UTF-16"),
        ("utf-16-le", "UTF-16-LE"),
        ("utf-16-be", "UTF-16-BE"),
        ("utf-32", "UTF-32"),
        ("latin-1", "read as cp1252"),
        ("cp1252", "read as cp1252"),
    ],
)
def test_encodings(write, encoding, note):
    same(read(write(TEXT.encode(encoding))), [note] if note else [])


def test_an_encoding_may_be_given(write, capsys):
    name = write(TEXT.encode("cp437"))
    same(read(name, "--encoding", "cp437"))
    line = refuse(capsys, "train", name, "--target", "y", "--encoding", "cp-what")
    assert "--encoding 'cp-what'" in line
    line = refuse(capsys, "train", name, "--target", "y", "--encoding", "ascii")
    assert "try --encoding" in line


def test_a_late_byte_that_is_not_utf8(write):
    text = TEXT * 8000
    data = text.encode() + b"1,\xe4,ja\n"
    assert "not UTF-8: read as cp1252" in read(write(data)).notes[0]


@pytest.mark.parametrize(
    ("delimiter", "word"), [(";", "semicolons"), ("\t", "tabs"), ("|", "bars")]
)
def test_delimiters(write, delimiter, word):
    table = pd.read_csv(io.StringIO(TEXT))
    text = table.to_csv(index=False, sep=delimiter, float_format="%.3f")
    same(read(write(text, "table.txt")), [f"separated by {word}"])


def test_another_delimiter_can_be_given(write):
    text = pd.read_csv(io.StringIO(TEXT)).to_csv(index=False, sep="~")
    same(read(write(text), "--delimiter", "~"), ["separated by '~'"])
    tabs = pd.read_csv(io.StringIO(TEXT)).to_csv(index=False, sep="\t")
    same(read(write(tabs), "--delimiter", "tab"), ["tabs"])


def test_the_target_says_which_delimiter(write):
    """By commas there would be a steady table, too."""
    text = "a,b;y\n" + "".join(f"{i},{i % 7};{'pq'[i % 2]}\n" for i in range(40))
    readings = read(write(text)).readings
    assert readings["a,b"].as_plain() == {"kind": "number", "mark": ","}


def test_the_steadier_delimiter_is_the_one(write):
    """Where no name is looked for, as for a model that has none."""
    rows = ["a;b, c"] + [f"{i};{'one, two' if i % 5 < 3 else 'one'}" for i in range(40)]
    options = parse(["predict", "model", "table"])
    with opened_table(write("\n".join(rows)), options, []) as table:
        assert table.names == ["a", "b, c"]


@pytest.mark.parametrize(
    ("above", "n_notes"),
    [("sep=,\n", 0), ("# by somebody\n", 1), ("Report of 2024\n\n# for you\n", 2)],
)
def test_lines_above_the_table(write, above, n_notes):
    table = read(write(above + TEXT))
    same(table, ["above the table and left out"] * n_notes)
    assert n_notes == 0 or "line 1" in table.notes[0]


def test_a_header_that_is_a_comment(write):
    same(read(write("# " + TEXT)))


def test_comments_totals_and_trailing_delimiters(write):
    lines = TEXT.splitlines()
    lines.insert(30, "# a comment, with a comma")
    lines.append("total")
    table = read(write("\n".join(lines)))
    same(table, ["dropped 1 row without a value in 'y' (the first: line 63)"])
    trailing = "\n".join(line + "," for line in TEXT.splitlines())
    table = read(write(trailing))
    assert table.left_out == {"column 4": "all cells are missing"}


def test_blanks_around_names_and_cells(write):
    inside = TEXT.replace(",", " , ").replace("blau ,  hell", "blau, hell")
    same(read(write(inside.replace("width", "  width").replace("nein", "\tnein "))))


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_lines_are_those_of_an_editor(write, newline):
    """Blank lines, lines of blanks, a quoted end of line and the mark at the start."""
    lines = ["", "\ufeffx,text,y"]
    cells = [f"{i}.5" for i in range(200)]
    cells[150] = "?"
    for i, cell in enumerate(cells):
        lines += [f'{cell},"two{newline}lines {i % 3}",{"pq"[i % 2]}']
        lines += [""] * (i == 7) + ["  "] * (i == 11)
    text = newline.join(lines).removeprefix(newline)
    shown = text.replace(newline, "\n").split("\n")
    (line,) = [i for i, content in enumerate(shown, 1) if content.startswith("?")]
    table = read(write(text.encode()))
    assert line == 2 + 2 * 150 + 2
    assert any(f"'?' (line {line})" in note for note in table.notes)


def test_short_rows_are_filled(write):
    text = "x,z,y\n" + "1,2,a\n2,4,b\n3,,b\n" * 20 + ",,a\n"
    short = text.replace("3,,b", "3,,b")
    cut = read(write("y,x,z\n" + "a,1,2\nb,2\nb\n" * 20))
    assert np.isnan(cut.columns["z"]).sum() == 40
    assert np.isnan(cut.columns["x"]).sum() == 20
    assert read(write(short)).columns["x"].shape == (61,)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "the file is empty"),
        ("\n \n", "the file is empty"),
        ("x,y\n", "a header but no rows"),
        ("x,y\n1,a\n2,b,3\n", "line 3 has 3 cells, the header has 2"),
        ('x,y\n1,"a\n2,b\n', "a quotation mark of line 2 is never closed"),
        (gzip.compress(TEXT.encode())[:-9], "cannot read"),
        (gzip.compress(TEXT.encode())[:30], "cannot read"),
        (bz2.compress(TEXT.encode())[:-9], "cannot read"),
        (lzma.compress(TEXT.encode())[:-9], "cannot read"),
        (b"PK\x03\x04" + b"\xff\xfe\x00\x00" * 9, "cannot read"),
        (b"PAR1" + b"x" * 99, "cannot read"),
        (b"ARROW1\0\0" + b"x" * 99, "cannot read"),
        (zipped(TEXT, "a.csv", "b.csv"), "must hold one file, and holds 2"),
        (zipped(TEXT, "[Content_Types].xml", "b.xml"), "a workbook"),
        (b"\xd0\xcf\x11\xe0" + b"\0" * 99, "an old Excel workbook"),
        (b"SQLite format 3\0" + b"\0" * 99, "an SQLite database"),
        (b"<!DOCTYPE html><html>", "is a page or XML"),
        (b'[{"a": 1}]', "is JSON"),
        (b"\x80\x04\x95" + b"\0" * 99, "a pickle"),
    ],
    ids=lambda value: repr(value)[:12],  # gzip and zip hold the time
)
def test_files_that_are_no_tables(capsys, write, content, expected):
    line = refuse(capsys, "train", write(content), "--target", "y")
    assert expected in line


def test_wrong_files(capsys, tmp_path):
    missing = str(tmp_path / "nothing.csv")
    assert "No such file" in refuse(capsys, "train", missing, "--target", "y")
    assert "cannot read" in refuse(capsys, "train", str(tmp_path), "--target", "y")
    url = "http://localhost:9/table.csv"
    assert "No such file" in refuse(capsys, "train", url, "--target", "y")


@pytest.mark.parametrize("data", [TEXT.encode(), gzip.compress(TEXT.encode())])
def test_standard_input(monkeypatch, data):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    table = read("-")
    assert table.name == "standard input"
    same(table)


# Files whose columns have types

FRAME = pd.read_csv(io.StringIO(TEXT))


def parquet(frame, path):
    frame.to_parquet(path)


def polars_parquet(frame, path):
    pl.from_pandas(frame).with_columns(
        pl.col("colour").cast(pl.Categorical)
    ).write_parquet(path)


def arrow_file(frame, path):
    pa.feather.write_feather(frame, path)


def arrow_stream(frame, path):
    table = pa.Table.from_pandas(frame)
    with pa.ipc.new_stream(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=7)


@pytest.mark.parametrize("save", [parquet, polars_parquet, arrow_file, arrow_stream])
def test_typed_files(tmp_path, save):
    path = str(tmp_path / "table")
    save(FRAME, path)
    same(read(path))


def test_types_of_parquet(tmp_path):
    rng = np.random.default_rng(0)
    seconds = rng.integers(0, 10**9, 60)
    table = pa.table(
        {
            "whole": pa.array([*range(2, 61), None], pa.int32()),
            "decimal": pa.array([Decimal(f"{i}.5") for i in range(60)]),
            "flag": [True, None] * 30,
            "day": rng.integers(0, 20000, 60).astype("datetime64[D]"),
            "zone": pa.array(seconds, pa.timestamp("s", "Asia/Tokyo")),
            "text": ["1,5", "2,5", None] * 20,
            "nothing": pa.nulls(60),
            "list": [[1]] * 60,
            "y": pa.array([0, 1] * 30, pa.int8()),
        }
    )
    path = str(tmp_path / "table.parquet")
    pq.write_table(table, path)
    with pytest.raises(Failure, match=r"'list' is of the type list<.*--ignore"):
        read(path)
    found = read(path, "--ignore", "list")
    kinds = {name: (each.kind, each.mark) for name, each in found.readings.items()}
    assert kinds == {
        "whole": ("number", "."),
        "decimal": ("number", "."),
        "flag": ("category", ""),
        "day": ("date", "ymd"),
        "zone": ("date", "ymd"),
        "text": ("number", ","),
    }
    assert found.left_out == {"nothing": "all cells are missing"}
    assert found.target.classes.tolist() == [0, 1]
    hours = found.columns["zone"] - table["zone"].to_numpy().astype("datetime64[us]")
    assert set(hours / np.timedelta64(1, "h")) <= {9.0, 10.0}


def test_pyarrow_is_asked_for(capsys, write, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    line = refuse(capsys, "train", write(b"PAR1" * 9), "--target", "y")
    assert 'pip install "skbackprop[parquet]"' in line


# The names of the columns


def test_a_target_named_twice_is_refused(capsys, write):
    name = write("y,x, y\n" + "a,1,b\nb,2,a\n" * 20)
    line = refuse(capsys, "train", name, "--target", "y")
    assert "--target 'y' is the name of the columns 1 and 3" in line


def test_features_of_one_name_are_kept_apart(write):
    table = read(write("x,x,x (column 2),x.1,y\n" + "1,a,5,7,p\n2,b,6,8,q\n" * 20))
    assert (
        """columns whose name came before go by: "x (column 2)'\"""" in table.notes[0]
    )
    assert list(table.readings) == ["x", "x (column 2)'", "x (column 2)", "x.1"]


@pytest.mark.parametrize(
    ("header", "target"), [(",b,c", "column 1"), ("a,b,b", "b (column 3)")]
)
def test_a_target_by_the_name_that_it_was_given(write, header, target):
    rows = [f"{i % 2},{i * 7 % 11},{i // 2 % 2}" for i in range(60)]
    table = read(write("\n".join([header, *rows])), target=target)
    assert table.target.classes.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("content", "target", "expected"),
    [
        ("x,y\n1,2\n", None, "--target is missing; the columns are 'x', 'y'"),
        ("x,y\n1,2\n", "z", "no column 'z'; the columns are 'x', 'y'"),
        ("price,kind\n1,a\n", "Prices", "did you mean 'price'?"),
        ("a,Y\n1,2\n", "y", "did you mean 'Y'?"),
        ("1.5,red,-2\n2.5,blue,3\n", "y", "is the first line a row of the table?"),
        ("a:y\n1:2\n", "y", "--delimiter says it"),
        (",".join(f"c{i}" for i in range(500)) + "\n", "z", "and 488 more"),
    ],
)
def test_columns_that_are_not_there(capsys, write, content, target, expected):
    options = [] if target is None else ["--target", target]
    line = refuse(capsys, "train", write(content), *options)
    assert expected in line and "'c499'" not in line
