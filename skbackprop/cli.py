"""The ``skbackprop`` command: train a network on a CSV file and score it."""

from __future__ import annotations

import argparse
import math
import os
import shutil
import sys
import time
import warnings
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NoReturn

from skbackprop import __version__

from ._csv import Failure, Table, read_table
from ._words import listed

# numpy, scikit-learn and pandas are imported where they are needed, so that
# --help and mistakes in the arguments are answered at once.

# Chosen on eight small scikit-learn data sets: as good as (100,) or better on the
# curved ones; a little more weight decay than the default helps noisy targets.
HIDDEN_LAYER_SIZES = (128, 64)
ALPHA = 0.1
EARLY_STOPPING_ROWS = 1000  # a validation set of a smaller table is mostly noise
MAX_CATEGORIES = 100
MAX_DENSE_CELLS = 25_000_000  # 100 MB of float32; wider one-hot tables stay sparse
FLOAT32_CLIP = 1e6  # standardised cells beyond this would overflow in float32


class _Parser(argparse.ArgumentParser):
    """Reports mistakes without printing the usage in front of them."""

    def error(self, message: str) -> NoReturn:
        raise Failure(f"{message} (see {self.prog} --help)")


class _Progress:
    """Show the epochs: one line that moves on a terminal, else about 20 lines."""

    def __init__(self, max_iter: int) -> None:
        self.max_iter = max_iter
        self.terminal = sys.stdout is not None and sys.stdout.isatty()
        self.line = self.shown = ""
        self.shown_at = -math.inf

    def update(self, epoch: int, loss: float, score: float | None) -> None:
        self.line = f"epoch {epoch}/{self.max_iter}  loss {loss:.4f}"
        if score is not None:
            self.line += f"  validation score {score:.4f}"
        due = epoch == 1 or epoch % math.ceil(self.max_iter / 20) == 0
        if self.terminal:
            bar = "#" * (20 * epoch // self.max_iter)
            self.line = f"[{bar:-<20}] {self.line}"
            # Redrawing after every epoch of a small table takes longer than it.
            due = time.monotonic() - self.shown_at > 0.05
        if due:
            self._show()

    def _show(self) -> None:
        if self.terminal:
            line = self.line[: shutil.get_terminal_size().columns - 1]
            print("\r" + line.ljust(len(self.shown)), end="", flush=True)
            self.shown, self.shown_at = line, time.monotonic()
        elif self.line != self.shown:
            print(self.line, flush=True)
            self.shown = self.line

    def finish(self) -> None:
        if self.line:
            self._show()
            print(end="\n" if self.terminal else "")


def _parser() -> _Parser:
    parser = _Parser(prog="skbackprop", description="Train multilayer perceptrons.")
    parser.add_argument(
        "--version", action="version", version=f"skbackprop {__version__}"
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    text = "train on a CSV file, or on a bundled data set, and score the result"
    add = commands.add_parser("train", help=text, description=text).add_argument
    add("data", nargs="?", metavar="data.csv", help=".csv or .csv.gz file")
    add("--target", metavar="COLUMN", help="the column to predict")
    tasks = ("auto", "classification", "regression")
    add("--task", choices=tasks, default="auto", help="default: auto")
    text = "share of the rows held out for the score (default: 0.2)"
    add("--test-size", type=float, default=0.2, metavar="F", help=text)
    text = "seed of the split and the training (default: 0)"
    add("--seed", type=int, default=0, metavar="N", help=text)
    text = "most epochs to train (default: 100)"
    add("--max-iter", type=int, default=100, metavar="N", help=text)
    return parser


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    options = _parser().parse_args(argv)
    if not 0 < options.test_size < 1:
        raise Failure(f"--test-size must be between 0 and 1, not {options.test_size}")
    if not 0 <= options.seed < 2**32:
        raise Failure(f"--seed must be from 0 to 2**32 - 1, not {options.seed}")
    if options.max_iter < 1:
        raise Failure(f"--max-iter must be at least 1, not {options.max_iter}")
    if options.data is None and options.target is not None:
        raise Failure("--target needs a CSV file")
    return options


def _bundled(task: str) -> Table:
    from sklearn.datasets import load_breast_cancer, load_diabetes

    if task == "regression":
        name, data = "diabetes", load_diabetes()
        y = data.target
    else:
        name, data, task = "breast_cancer", load_breast_cancer(), "classification"
        y = data.target_names[data.target]
    columns = list(range(data.data.shape[1]))
    return Table(f"{name} (comes with scikit-learn)", data.data, y, columns, [], task)


def _split(table: Table, options: argparse.Namespace) -> list[Any]:
    import numpy as np
    from sklearn.model_selection import train_test_split

    rows, share, seed = len(table.y), options.test_size, options.seed
    test_rows = math.ceil(rows * share)
    fewest, stratify = min(test_rows, rows - test_rows), None
    if fewest < 2:
        raise Failure(f"too few rows: --test-size {share} of {rows} leaves under 2")
    if table.task == "classification":
        counts = np.unique(table.y, return_counts=True)[1]
        if counts.min() >= 2 and fewest >= len(counts):
            stratify = table.y
        else:
            table.notes.append("some classes are too rare for a stratified split")
    parts = train_test_split(
        table.X, table.y, test_size=test_rows, random_state=seed, stratify=stratify
    )
    if len(np.unique(parts[2])) < 2:
        raise Failure("the training rows have one target value; try another --seed")
    return parts


def _to_float32(X: Any) -> Any:
    return X.clip(-FLOAT32_CLIP, FLOAT32_CLIP).astype("float32")


def _preprocessor(table: Table) -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

    levels = [min(table.X[c].nunique() + 1, MAX_CATEGORIES) for c in table.categorical]
    one_hot = OneHotEncoder(
        handle_unknown="infrequent_if_exist",
        max_categories=MAX_CATEGORIES,
        sparse_output=(len(table.numeric) + sum(levels)) * len(table.y)
        > MAX_DENSE_CELLS,
        dtype="float32",
    )
    median = SimpleImputer(strategy="median", keep_empty_features=True)
    constant = SimpleImputer(
        strategy="constant", fill_value="missing", keep_empty_features=True
    )
    # Scaled in float64: large offsets, such as years, lose digits in float32.
    scale = (StandardScaler(), FunctionTransformer(_to_float32))
    numeric = ("numeric", make_pipeline(median, *scale), table.numeric)
    categorical = ("categorical", make_pipeline(constant, one_hot), table.categorical)
    return ColumnTransformer([numeric, categorical])


def _model(table: Table, train_y: Any, seed: int, progress: _Progress) -> Any:
    import numpy as np
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.preprocessing import StandardScaler

    from skbackprop import BackpropMLPClassifier, BackpropMLPRegressor

    from ._observers import Epoch, Observer

    class Shown(Observer):
        def epoch_ends(self, epoch: Epoch) -> None:
            progress.update(epoch.number, epoch.loss, epoch.score)

    classify = table.task == "classification"
    base: Any = BackpropMLPClassifier if classify else BackpropMLPRegressor

    class Reporting(base):
        # `progress` is found in the closure: an attribute of the instance would not
        # outlive the clone() inside TransformedTargetRegressor.
        def _observers(self) -> list[Any]:
            return [Shown()]

    early_stopping = len(train_y) >= EARLY_STOPPING_ROWS
    if classify and early_stopping:
        # With two classes the validation split is stratified, which fails for a
        # class of one member.
        counts = np.unique(train_y, return_counts=True)[1]
        early_stopping = len(counts) > 2 or counts.min() > 1
    network = Reporting(
        hidden_layer_sizes=HIDDEN_LAYER_SIZES,
        alpha=ALPHA,
        early_stopping=early_stopping,
        max_iter=progress.max_iter,
        random_state=seed,
    )
    if classify:
        return network
    return TransformedTargetRegressor(network, transformer=StandardScaler())


def _describe(table: Table, train_rows: int, test_rows: int) -> None:
    numeric, categorical = len(table.numeric), len(table.categorical)
    kinds = f"{numeric} numeric, {categorical} categorical"
    print(f"data      {table.name}")
    print(f"rows      {train_rows + test_rows} ({train_rows} train, {test_rows} test)")
    print(f"features  {numeric + categorical} ({kinds})")
    print(f"task      {table.task}" + (f" ({table.why})" if table.why else ""))
    if table.task == "classification":
        classes = sorted(set(table.y.tolist()))
        print(f"classes   {len(classes)} ({listed(classes)})")
    for note in table.notes:
        print(f"note      {note}")


def _scores(task: str, pipeline: Any, parts: list[Any]) -> list[str]:
    from sklearn import metrics
    from sklearn.dummy import DummyClassifier, DummyRegressor

    train_X, test_X, train_y, test_y = parts
    if task == "classification":
        dummy, trivial = (
            DummyClassifier(strategy="most_frequent"),
            "most frequent class",
        )
        measures = {"accuracy": metrics.accuracy_score}
    else:
        dummy, trivial = DummyRegressor(), "mean"
        measures = {"R2": metrics.r2_score, "RMSE": metrics.root_mean_squared_error}
    baseline = dummy.fit(train_X, train_y).predict(test_X)
    predicted = pipeline.predict(test_X)
    return [
        f"test {name} {measure(test_y, predicted):.4g}"
        f" (always the {trivial}: {measure(test_y, baseline):.4g})"
        for name, measure in measures.items()
    ]


def _train(options: argparse.Namespace) -> int:
    from sklearn.pipeline import Pipeline

    bundled, most = options.data is None, options.max_iter
    table = _bundled(options.task) if bundled else read_table(options)
    parts = train_X, _, train_y, test_y = _split(table, options)
    progress = _Progress(most)
    model = _model(table, train_y, options.seed, progress)
    pipeline = Pipeline([("prepare", _preprocessor(table)), ("model", model)])
    _describe(table, len(train_y), len(test_y))
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            started = time.perf_counter()
            try:
                pipeline.fit(train_X, train_y)
            finally:
                progress.finish()
            seconds = time.perf_counter() - started
            scores = _scores(table.task, pipeline, parts)
    except (ValueError, ArithmeticError, MemoryError) as error:
        raise Failure(f"training failed: {error or type(error).__name__}") from None
    model = pipeline[-1]
    epochs = getattr(model, "regressor_", model).n_iter_
    said = " ".join(str(w.message) for w in caught)
    interrupted = "interrupted by user" in said
    if interrupted:
        print(
            f"interrupted after {epochs} epochs; the scores are of the network so far"
        )
    elif "diverged" in said:
        print("the training diverged; the scores are of the best epoch before that")
    elif "hasn't converged" in said:
        print(f"stopped at --max-iter {most}, before the training had converged")
    print(*scores, sep="\n")
    speed = f"{len(train_y) * epochs / seconds:,.0f} rows per second"
    print(f"{epochs} epochs in {seconds:.2f} s, {speed}")
    if bundled:
        print("next: skbackprop train your.csv --target COLUMN")
    return 130 if interrupted else 0


def _complain(message: str) -> None:
    line = "".join(c for c in " ".join(message.split()) if c.isprintable())
    print(f"skbackprop: error: {line}", file=sys.stderr)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the ``skbackprop`` command.

    Parameters
    ----------
    argv : sequence of str, default=None
        The arguments after the command's name; None takes those of the process.

    Returns
    -------
    int
        The exit status: 0 on success, 1 when the output cannot be written, 2 for
        a mistake in the arguments or the data, 130 when interrupted.
    """
    with suppress(AttributeError, ValueError):
        # Column names may hold characters that the terminal's encoding lacks.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        try:
            status = _train(_parse(argv))
        except SystemExit as stop:  # --help and --version
            status = int(stop.code or 0)
        print(end="", flush=True)  # a closed pipe shows here, not at exit
        return status
    except Failure as failure:
        _complain(str(failure))
        return 2
    except KeyboardInterrupt:
        print("skbackprop: interrupted", file=sys.stderr)
        return 130
    except OSError as error:
        # Standard output is gone (`| head`) or full: point it away, or the
        # interpreter complains once more when it flushes it at exit.
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            _complain(f"cannot write the output: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
