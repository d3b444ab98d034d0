"""The commands and their options."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from typing import Any, NoReturn

from .._version import __version__
from ._failure import Failure

# numpy, scikit-learn and pandas are imported where they are needed, so that
# --help and mistakes in the arguments are answered at once.

FILES = "a CSV (.gz, .bz2, .xz, .zip), TSV, Parquet or Arrow file, or - for its text"


class _Parser(argparse.ArgumentParser):
    """Reports mistakes without printing the usage in front of them."""

    def error(self, message: str) -> NoReturn:
        raise Failure(f"{message} (see {self.prog} --help)")


def _add_reading(add: Any) -> None:
    """How the text of a file is read; what is not given is found out."""
    text = "what separates cells, such as ';' or tab"
    add("--delimiter", metavar="C", type=_delimiter, help=text)
    text = "encoding of the text, such as utf-8 or cp1252"
    add("--encoding", metavar="NAME", help=text)


def _add_marks(add: Any) -> None:
    """How numbers and dates are written; found out in training, kept with a model."""
    add("--decimal", choices=(".", ","), help="what comes before the decimals")
    text = "order of dates such as 01/02/2024: day, month and year"
    add("--date-order", choices=("dmy", "mdy", "ymd"), help=text)


def _delimiter(text: str) -> str:
    text = {"tab": "\t", "\\t": "\t"}.get(text, text)
    if len(text) != 1 or text in "\r\n\"'":
        raise argparse.ArgumentTypeError(f"must be one character or tab, not {text!r}")
    return text


def _add_train(commands: Any) -> None:
    text = "train on a table, or on a bundled data set, and score the result"
    add = commands.add_parser("train", help=text, description=text).add_argument
    add("data", nargs="?", metavar="data.csv", help=FILES)
    add("--target", metavar="COLUMN", help="the column to predict")
    tasks = ("auto", "classification", "regression")
    add("--task", choices=tasks, default="auto", help="default: auto")
    text = "quantiles to predict instead of the mean, such as 0.1 0.5 0.9"
    add("--quantiles", nargs="+", type=float, metavar="Q", help=text)
    text = "the model's file (default: data.safetensors in this folder)"
    add("--model", metavar="FILE", help=text)
    text = "share of the rows held out for the score (default: 0.2)"
    add("--test-size", type=float, default=0.2, metavar="F", help=text)
    text = "seed of the split and the training (default: 0)"
    add("--seed", type=int, default=0, metavar="N", help=text)
    text = "most epochs of each network (default: the preset's)"
    add("--max-iter", type=int, metavar="N", help=text)
    text = "fast is less accurate (default: balanced)"
    add("--preset", choices=("fast", "balanced"), default="balanced", help=text)
    text = "seconds that the training may take"
    add("--time-limit", type=float, metavar="S", help=text)
    text = "a column that only names the rows; predictions keep it"
    add("--id", metavar="COLUMN", help=text)
    for option, text in (
        ("--ignore", "columns that are left out"),
        ("--category", "columns read as categories"),
        ("--number", "columns read as numbers"),
        ("--date", "columns read as dates"),
    ):
        add(option, nargs="+", default=[], metavar="COLUMN", help=text)
    _add_marks(add)
    _add_reading(add)
    add("--plot", metavar="FILE", help="draw losses, predictions and what matters")
    add("--json", metavar="FILE", help="write all that is said as JSON")


def _add_others(commands: Any) -> None:
    text = "predict the rows of a table"
    add = commands.add_parser("predict", help=text, description=text).add_argument
    add("model", metavar="MODEL", help="the file of a trained model")
    add("data", metavar="data.csv", help=FILES)
    text = ".csv or .parquet file (default: CSV on standard output)"
    add("-o", "--output", metavar="FILE", help=text)
    text = "the column that names the rows (default: that of the training)"
    add("--id", metavar="COLUMN", help=text)
    text = "keep all columns of the table in front of the predictions"
    add("--keep", action="store_true", help=text)
    _add_reading(add)
    _add_marks(add)
    text = "score a model on a table that has the target"
    add = commands.add_parser("evaluate", help=text, description=text).add_argument
    add("model", metavar="MODEL", help="the file of a trained model")
    add("data", metavar="data.csv", help=FILES)
    text = "the column to compare with (default: that of the training)"
    add("--target", metavar="COLUMN", help=text)
    _add_reading(add)
    _add_marks(add)
    add("--json", metavar="FILE", help="write the scores as JSON")
    text = "write a model as ONNX or as a header of C"
    add = commands.add_parser("export", help=text, description=text).add_argument
    add("model", metavar="MODEL", help="the file of a trained model")
    text = ".onnx or .h file"
    add("-o", "--output", metavar="FILE", required=True, help=text)
    text = "arithmetic of the C code (default: that of the model)"
    add("--dtype", choices=("float32", "float64"), help=text)
    text = "say what a model's file holds; nothing in it is run or believed"
    add = commands.add_parser("info", help=text, description=text).add_argument
    add("model", metavar="MODEL", help="the file of a model")
    add("--json", metavar="FILE", help="write it as JSON")


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The options of a command. Raises Failure."""
    parser = _Parser(prog="skbackprop", description="Train multilayer perceptrons.")
    parser.add_argument(
        "--version", action="version", version=f"skbackprop {__version__}"
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_train(commands)
    _add_others(commands)
    options = parser.parse_args(argv)
    if options.command == "train":
        _check_train(options)
    return options


def _check_train(options: argparse.Namespace) -> None:
    if not 0 < options.test_size < 1:
        raise Failure(f"--test-size must be between 0 and 1, not {options.test_size}")
    if not 0 <= options.seed < 2**32:
        raise Failure(f"--seed must be from 0 to 2**32 - 1, not {options.seed}")
    if options.max_iter is not None and not 1 <= options.max_iter < 2**31:
        raise Failure(f"--max-iter must be from 1 to 2**31 - 1, not {options.max_iter}")
    if options.time_limit is not None and not options.time_limit > 0:
        raise Failure(f"--time-limit must be positive, not {options.time_limit}")
    if options.quantiles is not None:
        levels = [0.0, *options.quantiles, 1.0]
        if not all(a < b for a, b in itertools.pairwise(levels)):
            given = " ".join(map(str, options.quantiles))
            raise Failure(f"--quantiles must increase between 0 and 1, not {given}")
        if options.task == "classification":
            raise Failure("--quantiles are of a regression")
        options.task = "regression"
    if options.data is None and options.target is not None:
        raise Failure("--target needs a file")
