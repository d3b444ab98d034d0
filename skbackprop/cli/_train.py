"""``skbackprop train``: a table in, a model's file out, and what it is worth."""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._failure import Failure
from ._output import written_json
from ._plot import check_picture, draw
from ._progress import Progress
from ._reading import CATEGORY, NUMBER, Reading
from ._report import described_columns, print_importances, print_scores
from ._scores import importances, in_blocks, of_classes, of_numbers, of_quantiles
from ._store import Store, frame_of, opened_store
from ._tables import opened_table
from ._target import CLASSIFICATION, REGRESSION, Target
from ._training_table import TrainingTable, read_training_table
from ._words import listed, printable

_LEAST_ROWS = 2  # of each side of the split


@dataclass
class _Parts:
    """A table's rows that train and those that are held out."""

    X: Any
    y: Any
    X_test: Any
    y_test: Any


def train(options: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    output = sys.stdout
    # JSON on standard output is alone there.
    talk = sys.stderr if options.json == "-" else output
    with contextlib.redirect_stdout(talk), opened_store() as store:
        check_picture(options.plot)
        if options.data is None:
            table = _bundled(options.task)
        else:
            with opened_table(options.data, options, [options.target or ""]) as file:
                table = read_training_table(file, options, store)
        path = _path_of_model(options)
        parts = _split(table, options, store)
        _describe(table, parts)
        trained = _fit(table, parts, store, options)
        _save(trained.model, table, parts, path, None)
        found = _report(trained, table, parts, path, options)
        if path is None:
            print("next: skbackprop train your.csv --target COLUMN")
        else:
            print(f"next: skbackprop predict {path} new.csv")
    if options.json is not None:
        said = table.as_plain() | {
            "data": table.name,
            "rows": {"train": len(parts.y), "test": len(parts.y_test)},
            "notes": table.notes + trained.messages,
            "seconds": trained.seconds,
            "model": path,
        }
        written_json(said | found, options.json)
    return 130 if trained.interrupted else 0


def _bundled(task: str) -> TrainingTable:
    from sklearn.datasets import load_breast_cancer, load_diabetes

    if task == REGRESSION:
        name, data = "diabetes", load_diabetes(scaled=False)
        target = Target("progression", REGRESSION, "", Reading(NUMBER, "."))
    else:
        name, data = "breast_cancer", load_breast_cancer()
        target = Target("diagnosis", CLASSIFICATION, "", Reading(CATEGORY))
        labels = data.target_names.astype(object)[data.target]
        target.classes, data.target = np.unique(labels, return_inverse=True)
    names = [str(each) for each in data.feature_names]
    return TrainingTable(
        f"{name} (comes with scikit-learn)",
        target,
        dict.fromkeys(names, Reading(NUMBER, ".")),
        {},
        None,
        dict(zip(names, data.data.T.copy(), strict=True)),
        data.target,
    )


def _path_of_model(options: argparse.Namespace) -> str | None:
    """Where the model goes; a file that is there must be one of ours."""
    if options.model is None and options.data is None:
        return None
    path = options.model
    if path is None:
        stem = "model" if options.data == "-" else os.path.basename(options.data)
        path = stem.split(".")[0] + ".safetensors" if stem.split(".")[0] else "model"
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise Failure(f"--model {path!r}: there is no folder {folder!r}")
    if os.path.isdir(path):
        raise Failure(f"--model {path!r} is a folder")
    if os.path.exists(path) and os.path.getsize(path):
        with open(path, "rb") as file:
            head = file.read(9)
        if head[8:9] != b"{":
            raise Failure(
                f"{path!r} is there and is no model; --model says another name"
            )
    return path


def _split(table: TrainingTable, options: argparse.Namespace, store: Store) -> _Parts:
    from sklearn.model_selection import train_test_split

    n_rows, share = len(table.y), options.test_size
    n_test = math.ceil(n_rows * share)
    fewest, strata = min(n_test, n_rows - n_test), None
    if fewest < _LEAST_ROWS:
        raise Failure(f"too few rows: --test-size {share} of {n_rows} leaves under 2")
    if table.target.task == CLASSIFICATION:
        counts = np.bincount(table.y)
        if counts[counts > 0].min() >= 2 and fewest >= np.count_nonzero(counts):
            strata = table.y
        else:
            table.notes.append("some classes are too rare for a stratified split")
    rows, held = train_test_split(
        np.arange(n_rows), test_size=n_test, random_state=options.seed, stratify=strata
    )
    rows.sort()
    held.sort()
    if len(np.unique(table.y[rows])) < 2:
        raise Failure("the training rows have one target value; try another --seed")
    frames = []
    for part in (rows, held):
        columns = {name: store.taken(c, part) for name, c in table.columns.items()}
        frames.append(frame_of(columns))
    return _Parts(frames[0], table.y[rows], frames[1], table.y[held])


def _describe(table: TrainingTable, parts: _Parts) -> None:
    target = table.target
    n_train, n_test = len(parts.y), len(parts.y_test)
    print(f"data      {printable(table.name)}")
    print(f"rows      {n_train + n_test} ({n_train} train, {n_test} test)")
    other = REGRESSION if target.task == CLASSIFICATION else CLASSIFICATION
    why = f" (it {target.why}; --task {other} overrides)" if target.why else ""
    print(f"target    {target.name!r}: {target.task}{why}")
    if target.classes is not None:
        print(f"classes   {len(target.classes)} ({listed(target.classes.tolist())})")
    for line in described_columns(table.readings, table.n_categories):
        print(line)
    for name, reason in table.left_out.items():
        print(f"left out  {name!r}: {reason}")
    if any("identifiers" in reason for reason in table.left_out.values()):
        print("          (--category COLUMN keeps such a column)")
    for note in table.notes:
        print(f"note      {note}")


def _model(table: TrainingTable, options: argparse.Namespace) -> Any:
    from skbackprop import TabularMLPClassifier, TabularMLPRegressor

    shared = {
        "preset": options.preset,
        "dates": "numbers",
        "max_iter": options.max_iter,
        "time_limit": options.time_limit,
        "random_state": options.seed,
    }
    if table.target.task == CLASSIFICATION:
        return TabularMLPClassifier(**shared)
    if options.quantiles:
        return TabularMLPRegressor(
            loss="quantile", quantile=list(options.quantiles), **shared
        )
    return TabularMLPRegressor(**shared)


@dataclass
class _Trained:
    """A model, and how its training went."""

    model: Any
    seconds: float
    messages: list[str]

    @property
    def interrupted(self) -> bool:
        return any("interrupted by user" in message for message in self.messages)


@contextlib.contextmanager
def _failures(what: str) -> Iterator[None]:
    """Make one line of what numbers may do."""
    try:
        yield
    except (ValueError, ArithmeticError, MemoryError) as error:
        raise Failure(f"{what} failed: {error or type(error).__name__}") from None


def _fit(
    table: TrainingTable, parts: _Parts, store: Store, options: argparse.Namespace
) -> _Trained:
    """Train, and show how far it is."""
    from ..tabular._matrices import kept_in

    model, target = _model(table, options), table.target
    y = parts.y if target.classes is None else target.classes[parts.y]
    progress = Progress(_epochs(model, len(y)), options.time_limit)
    model._observers = lambda: [progress]
    started = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught, _failures("training"):
        warnings.simplefilter("always")
        with kept_in(store.folder):
            model.fit(parts.X, y)
    seconds = time.perf_counter() - started
    del model._observers
    messages = [" ".join(str(each.message).split()) for each in caught]
    return _Trained(model, seconds, list(dict.fromkeys(messages)))


def _save(
    model: Any, table: TrainingTable, parts: _Parts, path: str | None, scores: Any
) -> None:
    """Write the model's file; at once after the training, and again with scores."""
    from .._model_file import write_model

    if path is None:
        return
    said = table.as_plain() | {"rows": len(parts.y), "scores": scores}
    if table.target.classes is not None:
        counts = np.bincount(_codes(model, table, parts.y))
        said["class_shares"] = (counts / len(parts.y)).tolist()
    write_model(model, path, table=said)


def _report(
    trained: _Trained,
    table: TrainingTable,
    parts: _Parts,
    path: str | None,
    options: argparse.Namespace,
) -> dict[str, Any]:
    """Print what the model is worth, and return it."""
    model = trained.model
    for message in trained.messages:
        print(f"note      {message}")
    planned = model.recipe_["n_folds"] * model.recipe_["n_repeats"]
    of = f" of {planned}" * (model.n_networks_ < planned)
    print(
        f"trained   {model.n_networks_}{of} networks in {trained.seconds:.1f} s, best "
        f"epochs {model.best_epochs_.min()} to {model.best_epochs_.max()} of "
        f"{model.recipe_['max_iter']}"
    )
    rows, y_test = _known(model, table, parts)
    with warnings.catch_warnings(), _failures("scoring"):
        warnings.simplefilter("ignore")  # of the training rows they were said
        outputs = _outputs(model, parts)
        scores = _scored(model, table, parts, outputs)
        print_scores(scores)
        important = importances(model, parts.X_test, y_test, rows, options.seed)
    print_importances(important)
    _save(model, table, parts, path, scores)
    if path is not None:
        print(f"model     {path}")
    if options.plot is not None:
        draw(options.plot, model, y_test[rows], outputs[rows], important)
        print(f"picture   {options.plot}")
    return {"scores": scores, "importances": important}


def _epochs(model: Any, n_rows: int) -> int:
    return int(model._recipe(n_rows).max_iter)


def _codes(model: Any, table: TrainingTable, y: Any) -> Any:
    """The target of rows as ``loss_of`` takes it: codes are places in classes_."""
    if table.target.classes is None:
        return y
    place = np.searchsorted(model.classes_, table.target.classes)
    return place[y]


def _known(model: Any, table: TrainingTable, parts: _Parts) -> tuple[Any, Any]:
    """The rows held out whose class the model knows, and the target of all.

    Of classification, places in ``classes_``.
    """
    y = parts.y_test
    if table.target.classes is None:
        return np.arange(len(y)), y
    known = np.isin(table.target.classes, model.classes_)[y]
    return np.flatnonzero(known), _codes(model, table, y)


def _outputs(model: Any, parts: _Parts) -> Any:
    """Probabilities, or numbers of shape (n_rows, n_outputs), of the rows held out."""
    classifies = hasattr(model, "classes_")
    function = model.predict_proba if classifies else model.predict
    return in_blocks(function, parts.X_test).reshape(len(parts.y_test), -1)


def _scored(
    model: Any, table: TrainingTable, parts: _Parts, outputs: Any
) -> dict[str, Any]:
    """Scores of the rows held out."""
    if table.target.task == CLASSIFICATION:
        n = len(table.target.classes)
        known = np.searchsorted(table.target.classes, model.classes_)
        probabilities = np.zeros((len(parts.y_test), n))
        probabilities[:, known] = outputs
        prior = np.bincount(parts.y, minlength=n) / len(parts.y)
        return of_classes(table.target.classes, parts.y_test, probabilities, prior)
    if model.quantiles_ is not None:
        levels = model.quantiles_.tolist()
        constants = np.quantile(parts.y, levels)
        return of_quantiles(parts.y_test, outputs, levels, constants)
    return of_numbers(parts.y_test, outputs[:, 0], float(parts.y.mean()))
