"""The command line tool: what it prints, what it refuses, what it leaves alone.

Answers for: cli.py, __main__.py.
"""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from command_line import number, python, refuse, run
from sklearn.exceptions import ConvergenceWarning

from skbackprop import BackpropMLPClassifier, __version__, cli

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
