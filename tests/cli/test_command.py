"""The command line tool: what it prints, what it refuses, what it leaves alone.

Answers for: cli/__init__.py, cli/__main__.py, cli/_options.py, cli/_failure.py,
cli/_train.py, cli/_report.py, cli/_progress.py, __main__.py.
"""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command_line import frame, number, python, refuse, run
from sklearn.exceptions import ConvergenceWarning

from skbackprop import TabularMLPClassifier, __version__, cli, load_model
from skbackprop.cli import _scores
from skbackprop.cli._progress import Progress

FAST = ("--preset", "fast", "--max-iter", "2")

# What is printed


def test_bundled_classification(capsys):
    out = run(capsys, "train", "--preset", "fast")
    assert "breast_cancer" in out
    assert "569 (455 train, 114 test)" in out
    assert "columns   30 numbers: 'mean radius'" in out
    assert "'benign', 'malignant'" in out
    assert number("accuracy", out) > 0.9
    assert number("most frequent class:", out) == pytest.approx(0.6316, abs=1e-4)
    assert number("log-loss", out) < number("shares of the classes:", out) / 3
    assert "probabilities are off by" in out
    assert out.splitlines()[-1].startswith("next: skbackprop train")


def test_bundled_regression(capsys):
    out = run(capsys, "train", "--task", "regression", "--preset", "fast")
    assert "diabetes" in out
    assert number("R2", out) > 0.2
    assert number("RMSE", out) < 70


def test_bundled_data_need_no_rich(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "rich", None)
    assert "accuracy" in run(capsys, "train", *FAST)


def test_everything_is_said_of_a_table(capsys, write, tmp_path):
    table = frame(400).drop(columns="amount")
    table["day"] = pd.date_range("2023-01-01", periods=400)
    table["empty"] = np.nan
    for column in ("width", "colour"):
        table.loc[table.index[::9], column] = np.nan
    model, said = str(tmp_path / "model"), tmp_path / "said.json"
    out = run(
        capsys,
        *("train", write(table), "--target", "label", "--preset", "fast"),
        *("--model", model, "--json", str(said)),
    )
    assert "rows      400 (320 train, 80 test)" in out
    assert "target    'label': classification (it is not a number; --task" in out
    assert "columns   1 number: 'width'" in out
    assert "2 categories: 'colour' (3 different), 'flag' (2 different)" in out
    assert "1 date: 'day' (year-month-day)" in out
    assert "left out  'empty': all cells are missing" in out
    assert number("accuracy", out) > number("most frequent class:", out) + 0.1
    matters = out[out.index("matters") :].splitlines()[1:3]
    assert {line.split("'")[1] for line in matters} == {"width", "flag"}
    assert out.endswith(
        f"model     {model}\nnext: skbackprop predict {model} new.csv\n"
    )
    told = json.loads(said.read_text())
    assert told["scores"]["accuracy"] == pytest.approx(number("accuracy", out), 1e-3)
    assert told["columns"]["day"] == {"kind": "date", "mark": "ymd"}
    assert told["left_out"] == {"empty": "all cells are missing"}
    assert told["importances"][0]["column"] in ("width", "flag")
    estimator = load_model(model)
    assert isinstance(estimator, TabularMLPClassifier)
    assert estimator.feature_names_in_.tolist() == ["width", "colour", "flag", "day"]


def test_json_is_alone_on_standard_output(capsys):
    assert cli.main(["train", *FAST, "--json", "-"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["rows"] == {"train": 455, "test": 114}
    assert "accuracy" in err


def test_regression_is_in_the_units_of_the_target(capsys, write, tmp_path):
    out = run(
        capsys,
        *("train", write(frame()), "--target", "amount", "--preset", "fast"),
        *("--model", str(tmp_path / "m")),
    )
    assert "target    'amount': regression (it is a number; --task" in out
    assert "classes" not in out.replace("classification", "")
    assert number("R2", out) > 0.8
    always_mean = number("always the mean:", out[out.index("RMSE") :])
    assert 5 < always_mean < 50 and number("RMSE", out) < always_mean / 2


def test_quantiles(capsys, write, tmp_path):
    out = run(
        capsys,
        *("train", write(frame(300)), "--target", "amount", "--preset", "fast"),
        *("--quantiles", "0.1", "0.5", "0.9", "--model", str(tmp_path / "m")),
    )
    below = [float(x) for x in re.findall(r"^ +0\.\d +([\d.]+)%", out, re.M)]
    assert len(below) == 3 and below == sorted(below)
    losses = re.findall(r"% +([\d.]+) \(([\d.]+)\)", out)
    assert all(float(loss) < float(constant) for loss, constant in losses)


def test_seed_repeats_the_run(capsys):
    def scores(seed):
        out = run(capsys, "train", *FAST, "--seed", seed)
        return [line for line in out.splitlines() if line.startswith("test")]

    assert scores("1") == scores("1") != scores("2")


def test_a_class_that_no_training_row_has(capsys, write, tmp_path):
    """Where the rare class is among the rows held out, it counts as an error."""
    table = pd.DataFrame({"x": np.arange(60) / 2, "y": ["a", "b"] * 30})
    table.loc[0, "y"] = "aa"  # between them in order
    seen = set()
    for seed in range(12):
        out = run(
            capsys,
            *("train", write(table), "--target", "y", *FAST, "--seed", str(seed)),
            *("--model", str(tmp_path / "m")),
        )
        assert "too rare for a stratified split" in out
        seen.add(len(load_model(tmp_path / "m").classes_))
    assert seen == {2, 3}


# The model's file


def test_the_file_of_the_model(capsys, write, tmp_path, monkeypatch):
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    name = write(frame(), "houses.of.2024.csv")
    options = ("--target", "label", *FAST)
    out = run(capsys, "train", name, *options)
    assert "model     houses.safetensors\n" in out
    first = Path("houses.safetensors").read_bytes()
    run(capsys, "train", name, *options, "--seed", "1")
    assert Path("houses.safetensors").read_bytes() != first
    Path("houses.safetensors").write_text("a thesis")
    line = refuse(capsys, "train", name, *options)
    assert "'houses.safetensors' is there and is no model" in line
    assert Path("houses.safetensors").read_text() == "a thesis"
    line = refuse(capsys, "train", name, *options, "--model", "nowhere/m")
    assert "there is no folder" in line
    assert "is a folder" in refuse(capsys, "train", name, *options, "--model", "..")
    assert os.listdir() == ["houses.safetensors"]


def test_no_file_is_half_written(capsys, write, tmp_path, monkeypatch):
    from skbackprop import _files

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_files.os, "fsync", full)
    path = tmp_path / "m"
    name = write(frame())
    argv = ("train", name, "--target", "label", *FAST, "--model", str(path))
    assert cli.main(argv) == 1
    err = capsys.readouterr().err
    assert "cannot write the output" in err and "No space left" in err
    assert not path.exists() and sorted(os.listdir(tmp_path)) == ["table.csv"]


# How far it is


@pytest.mark.parametrize(("n_members", "max_iter"), [(1, 1), (1, 7), (16, 48), (3, 2)])
def test_few_progress_lines_without_a_terminal(capsys, n_members, max_iter):
    progress = Progress(max_iter, None)
    progress.fit_begins(n_members)

    class Epoch:
        score = -0.5

    for member in range(n_members):
        for number_ in range(1, max_iter + 1):
            epoch = Epoch()
            epoch.member, epoch.number = member, number_
            progress.epoch_ends(epoch)
        progress.member_ends(member, None, None)
    progress.fit_ends()
    lines = capsys.readouterr().out.splitlines()
    shares = [int(re.match(r" *(\d+)% ", line)[1]) for line in lines]
    assert shares == sorted(set(shares)) and shares[-1] == 100
    assert min(n_members * max_iter, 3) <= len(lines) <= 10
    assert all("validation loss 0.5, at most" in line for line in lines)


class Terminal(io.StringIO):
    """A terminal that keeps what it is sent."""

    encoding = "utf-8"

    def isatty(self):
        return True


def test_a_bar_on_a_terminal(monkeypatch):
    pytest.importorskip("rich")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("TERM", "xterm")
    assert cli.main(["train", *FAST]) == 0
    out = terminal.getvalue()
    assert "\x1b[2K" in out and "left at most" in out and "networks" in out
    assert "%      " not in out


def test_lines_on_a_terminal_without_rich(monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    assert cli.main(["train", *FAST]) == 0
    assert "100%      8 of 8 networks" in terminal.getvalue()
    assert "\x1b" not in terminal.getvalue()


def test_a_time_limit(capsys):
    out = run(capsys, "train", "--time-limit", "0.01")
    assert int(re.search(r"trained   (\d+) of 16 networks", out)[1]) < 16


# What is refused


@pytest.mark.parametrize("argv", [["train"], ["predict", "m", "data.csv"]])
def test_pandas_is_asked_for(capsys, monkeypatch, argv):
    monkeypatch.setattr(cli, "find_spec", lambda name: None)
    line = refuse(capsys, *argv)
    assert f"skbackprop {argv[0]} needs pandas" in line
    assert 'pip install "skbackprop[cli]"' in line


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
        (["train", "--max-iter", "0"], "--max-iter must be from 1 to 2**31 - 1, not 0"),
        (["train", "--time-limit", "nan"], "--time-limit must be positive"),
        (["train", "--quantiles", "0.5", "0.1"], "--quantiles must increase"),
        (["train", "--quantiles", "0", "0.1"], "--quantiles must increase"),
        (
            ["train", "--quantiles", "0.1", "--task", "classification"],
            "--quantiles are of a regression",
        ),
        (["train", "--task", "ranking"], "'ranking'"),
        (["train", "--target", "y"], "--target needs a file"),
        (["train", "--delimiter", "ab"], "must be one character or tab, not 'ab'"),
        (["predict", "m"], "data.csv"),
        (["predict", "nothing", "data.csv"], "cannot read 'nothing': No such file"),
    ],
)
def test_bad_arguments(capsys, argv, expected):
    assert expected in refuse(capsys, *argv)


def test_control_characters_do_not_reach_the_terminal(capsys, write):
    name = write("x,y\n" + "1,a\n2,b\n" * 20)
    line = refuse(capsys, "train", name, "--target", "\x1b[31m\n")
    assert "\x1b" not in line


def test_failure_in_training_is_one_line(capsys, monkeypatch):
    def fit(self, X, y):
        raise ValueError("Solver produced\nnon-finite weights")

    monkeypatch.setattr(TabularMLPClassifier, "fit", fit)
    assert cli.main(["train"]) == 2
    err = capsys.readouterr().err
    assert err == (
        "skbackprop: error: training failed: Solver produced non-finite weights\n"
    )


def test_warnings_of_the_training_are_said(capsys, monkeypatch):
    fit = TabularMLPClassifier.fit

    def diverge(self, X, y):
        message = "Training of 1\nof 8 networks diverged"
        warnings.warn(message, ConvergenceWarning, stacklevel=1)
        return fit(self, X, y)

    monkeypatch.setattr(TabularMLPClassifier, "fit", diverge)
    out = run(capsys, "train", *FAST)
    assert "note      Training of 1 of 8 networks diverged\n" in out


def test_names_the_terminal_cannot_show(write, tmp_path):
    name = write("größe,ψ\n" + "1,δ\n2,β\n" * 20)
    code, out, err = python(
        *("train", name, "--target", "ψ", *FAST, "--model", str(tmp_path / "m")),
        PYTHONIOENCODING="ascii",
    )
    assert (code, err) == (0, "")
    assert r"'\u03b4'" in out


def test_version_and_help(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"skbackprop {__version__}\n"
    for command in ("train", "predict", "evaluate", "info"):
        assert cli.main([command, "--help"]) == 0
        assert f"usage: skbackprop {command}" in capsys.readouterr().out


# Interruptions


def test_interrupted_before_the_first_epoch(capsys, monkeypatch):
    def fit(self, X, y):
        raise KeyboardInterrupt

    monkeypatch.setattr(TabularMLPClassifier, "fit", fit)
    assert cli.main(["train"]) == 130
    assert capsys.readouterr().err == "skbackprop: interrupted\n"


def test_interrupted_later_keeps_the_networks_so_far(
    capsys, monkeypatch, write, tmp_path
):
    member_ends = Progress.member_ends

    def interrupt(self, member, ending, result):
        member_ends(self, member, ending, result)
        if member == 1:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Progress, "member_ends", interrupt)
    path = str(tmp_path / "m")
    argv = ("train", write(frame()), "--target", "label", *FAST, "--model", path)
    assert cli.main(argv) == 130
    out, err = capsys.readouterr()
    assert "note      Training interrupted by user" in out and "accuracy" in out
    assert err == ""
    assert 1 <= load_model(path).n_networks_ < 8


def test_interrupted_while_it_scores(capsys, monkeypatch, write, tmp_path):
    """What has been trained is not lost."""
    from skbackprop.cli import _train

    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(_train, "importances", interrupt)
    path = str(tmp_path / "m")
    argv = ("train", write(frame()), "--target", "label", *FAST, "--model", path)
    assert cli.main(argv) == 130
    assert load_model(path).n_networks_ == 8


def test_process_exits_without_a_traceback():
    code, out, err = python("train", "nothing.csv", "--target", "y")
    assert (code, out) == (2, "")
    assert err.startswith("skbackprop: error: ") and err.count("\n") == 1


@pytest.mark.skipif(os.name == "nt", reason="pipes break differently on Windows")
@pytest.mark.parametrize("argv", [["train", *FAST], ["--version"]])
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


def test_what_matters_is_not_measured_of_many_columns(capsys, write, tmp_path, rng):
    n = _scores.MOST_SHUFFLED + 1
    table = pd.DataFrame(rng.normal(size=(40, n))).add_prefix("c")
    data = write(table.assign(y=np.where(table["c0"] > 0, "a", "b")))
    picture = tmp_path / "p.png"
    args = ["--target", "y", "--preset", "fast", "--max-iter", "1"]
    args += ["--model", str(tmp_path / "m")]
    out = run(capsys, "train", data, *args, "--plot", str(picture))
    assert f"matters   is not measured of more than {n - 1} columns" in out
    assert picture.stat().st_size > 0
