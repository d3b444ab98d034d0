"""How long Ctrl-C waits for an answer, at random moments of fits and predictions.

Each try is a process of its own, forked where the data are ready, to which SIGINT is
sent at a moment of the call. What is measured is the time until the call has
returned or raised. POSIX only.
"""

import argparse
import functools
import os
import re
import select
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp
from sklearn.model_selection import GridSearchCV

from skbackprop import (
    BackpropMLPClassifier,
    BackpropMLPRegressor,
    TabularMLPClassifier,
    TabularMLPRegressor,
)

#: Seconds after which a fit is taken to go on for as long as one likes.
LONG = 4.0
#: The answer that is promised.
PROMISED = 0.2
#: Names of files through which worker processes tell who and when.
PID, ANSWER = "pid", "answer"


class Case(NamedTuple):
    """A call, made when its turn comes, and whom to interrupt of its processes."""

    make: Callable[[], Callable[[], object]]
    whom: str = "process"


@functools.cache
def numbers(rows: int, columns: int, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """X and numbers y that it explains in part."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((rows, columns), dtype=np.dtype(dtype))
    y = X @ rng.standard_normal(columns, dtype=X.dtype)
    return X, y + rng.standard_normal(rows, dtype=X.dtype)


@functools.cache
def sparse(rows: int, columns: int, stored: int) -> tuple[sp.csr_array, np.ndarray]:
    """The same of CSR with so many entries in a row."""
    rng = np.random.default_rng(0)
    data = rng.standard_normal(rows * stored, dtype=np.float32)
    indices = rng.integers(0, columns, rows * stored, dtype=np.int32)
    indptr = np.arange(rows + 1) * stored
    X = sp.csr_array((data, indices, indptr), (rows, columns))
    X.sum_duplicates()
    return X, np.asarray(X[:, [0]].sum(axis=1)).ravel() + data[:rows]


@functools.cache
def frame(rows: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Numbers, some of them missing, and text."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({f"n{k}": rng.standard_normal(rows) for k in range(10)})
    X.loc[rng.random(rows) < 0.1, "n1"] = np.nan
    for k in range(4):
        X[f"c{k}"] = rng.choice([f"value {i}" for i in range(5 + 20 * k)], rows)
    return X, X["n0"].to_numpy() + (X["c0"] == "value 1") + rng.standard_normal(rows)


def labels(y: np.ndarray) -> np.ndarray:
    """Four classes."""
    return np.digitize(y, np.quantile(y, [0.25, 0.5, 0.75]))


def network(classify: bool = True, data: object = None, **parameters: object) -> Case:
    """A fit of a BackpropMLP."""

    def make() -> Callable[[], object]:
        X, y = data() if data is not None else numbers(200_000, 100, "float32")
        kind = BackpropMLPClassifier if classify else BackpropMLPRegressor
        settings = {
            "hidden_layer_sizes": (512, 512),
            "max_iter": 10**6,
            "n_iter_no_change": np.inf,
            "random_state": 0,
        }
        model = kind(**{**settings, **parameters})
        target = labels(y) if classify else y
        return lambda: model.fit(X, target)

    return Case(make)


def ensemble(classify: bool = True, rows: int = 200_000, **parameters: object) -> Case:
    """A fit of a TabularMLP."""

    def make() -> Callable[[], object]:
        X, y = frame(rows)
        kind = TabularMLPClassifier if classify else TabularMLPRegressor
        model = kind(random_state=0, **parameters)
        target = labels(y) if classify else y
        return lambda: model.fit(X, target)

    return Case(make)


def prediction(n_jobs: int, dtype: str = "float32") -> Case:
    """A prediction of two million rows; those of another type are cast."""

    def make() -> Callable[[], object]:
        X, y = numbers(2_000_000, 50, dtype)
        settings = {"max_iter": 1, "n_jobs": n_jobs, "dtype": "float32"}
        model = BackpropMLPClassifier((256, 256), **settings)
        model.fit(X[:2000], labels(y[:2000]))
        return lambda: model.predict(X)

    return Case(make)


def tabular_prediction(n_jobs: int) -> Case:
    """A prediction of 400,000 rows of a frame."""

    def make() -> Callable[[], object]:
        X, y = frame(400_000)
        model = TabularMLPClassifier(max_iter=1, n_jobs=n_jobs, random_state=0)
        model.fit(X[:2000], labels(y[:2000]))
        return lambda: model.predict_proba(X)

    return Case(make)


class Told(BackpropMLPClassifier):
    """Writes which process fits it, and when it has ended."""

    def fit(self, X: object, y: object) -> object:
        """The classifier's, with both written."""
        with open(PID, "w") as file:
            file.write(str(os.getpid()))
        try:
            return super().fit(X, y)
        except KeyboardInterrupt:
            with open(ANSWER, "w") as file:
                file.write(f"{time.monotonic()} raised")
            raise
        finally:
            if not os.path.exists(ANSWER):
                with open(ANSWER, "w") as file:
                    file.write(f"{time.monotonic()} returned")


def search(whom: str, **parameters: object) -> Case:
    """A grid search in two processes: interrupt one of them, or all as a terminal."""

    def make() -> Callable[[], object]:
        X, y = numbers(100_000, 100, "float32")
        settings = {"max_iter": 10**6, "n_iter_no_change": np.inf, "random_state": 0}
        model = Told((512, 512), **{**settings, **parameters})
        grid = GridSearchCV(model, {"alpha": [1e-4, 1e-3]}, n_jobs=2, cv=2)
        target = labels(y)
        return lambda: grid.fit(X, target)

    return Case(make, whom)


def cases() -> dict[str, Case]:
    """Every case by its name."""
    whole = 200_000
    found = {}
    for n_jobs in 1, 2:
        for solver in "sgd", "adam", "adamw", "lbfgs":
            batches = {"small": 32, "auto": "auto", "whole": whole}
            for size, batch in batches.items():
                if solver == "lbfgs" and size != "auto":
                    continue
                for classify in True, False:
                    name = f"{solver} {size} {'labels' if classify else 'numbers'}"
                    found[f"{name} n_jobs={n_jobs}"] = network(
                        classify, solver=solver, batch_size=batch, n_jobs=n_jobs
                    )
        options = {
            "dropout": {"dropout": 0.2},
            "clipping": {"max_grad_norm": 1.0},
            "schedule": {"learning_rate": "cosine", "max_iter": 1000},
            "decay": {"solver": "adamw", "weight_decay_schedule": "cosine"},
            "all three": {
                "dropout": 0.2,
                "max_grad_norm": 1.0,
                "learning_rate": "cosine",
            },
            "early stopping": {"early_stopping": True, "validation_fraction": 0.5},
        }
        for name, parameters in options.items():
            for batch in "auto", whole:
                found[f"{name} batch={batch} n_jobs={n_jobs}"] = network(
                    **{"batch_size": batch, "n_jobs": n_jobs, **parameters}
                )
        for dtype in "float64", "float32":
            found[f"{dtype} whole dropout n_jobs={n_jobs}"] = network(
                data=functools.partial(numbers, whole, 100, dtype),
                batch_size=whole, n_jobs=n_jobs, dropout=0.1,
            )  # fmt: skip
        for name, parameters in {"": {}, "dropout ": {"dropout": 0.1}}.items():
            for batch in "auto", whole:
                found[f"sparse {name}batch={batch} n_jobs={n_jobs}"] = network(
                    data=functools.partial(sparse, whole, 20_000, 50),
                    batch_size=batch, n_jobs=n_jobs, **parameters,
                )  # fmt: skip
        found[f"wide, dropout n_jobs={n_jobs}"] = network(
            hidden_layer_sizes=(3000, 3000), batch_size=whole, dropout=0.1,
            n_jobs=n_jobs,
        )  # fmt: skip
        found[f"narrow, whole n_jobs={n_jobs}"] = network(
            False, data=functools.partial(numbers, 3_000_000, 20, "float32"),
            hidden_layer_sizes=(20,), batch_size=3_000_000, dropout=0.1, n_jobs=n_jobs,
        )  # fmt: skip
        for classify in True, False:
            name = "labels" if classify else "numbers"
            found[f"tabular {name} n_jobs={n_jobs}"] = ensemble(classify, n_jobs=n_jobs)
            found[f"tabular {name} whole fit n_jobs={n_jobs}"] = ensemble(
                classify, rows=100_000, n_jobs=n_jobs, preset="fast", max_iter=1,
                **({"calibrate": True} if classify else {}),
            )  # fmt: skip
        found[f"tabular long batch n_jobs={n_jobs}"] = ensemble(
            batch_size=100_000, n_jobs=n_jobs
        )
        found[f"tabular by score n_jobs={n_jobs}"] = ensemble(
            scoring="accuracy", n_jobs=n_jobs
        )
        found[f"predict n_jobs={n_jobs}"] = prediction(n_jobs)
        found[f"predict, cast n_jobs={n_jobs}"] = prediction(n_jobs, "float64")
        found[f"predict tabular n_jobs={n_jobs}"] = tabular_prediction(n_jobs)
    for whom in "worker", "group":
        found[f"search, {whom}"] = search(whom)
        found[f"search, {whom}, long batch"] = search(
            whom, batch_size=50_000, dropout=0.1
        )
    return found


def attend(call: Callable[[], object], out: int) -> None:
    """Make the call in a child process, and tell how and when it ended."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.setpgrp()
    how = "ended"
    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            os.write(out, b"begun\n")
            call()
        if any("interrupted" in str(each.message) for each in told):
            how = "warned"
    except KeyboardInterrupt:
        how = "raised"
    except BaseException as error:
        how = f"failed: {error!r}"
    os.write(out, f"{time.monotonic()} {how}\n".encode())


def one_try(call: Callable[[], object], whom: str, after: float) -> tuple[float, str]:
    """Interrupt a call after so many seconds: seconds to the answer, and which."""
    source, out = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            attend(call, out)
        finally:
            os._exit(0)
    os.close(out)
    reader = os.fdopen(source)
    reader.readline()
    until = time.monotonic() + 60
    while whom != "process" and not os.path.exists(PID) and time.monotonic() < until:
        time.sleep(0.01)
    over, _, _ = select.select([source], [], [], after)
    sent, target = time.monotonic(), child
    if not over:
        if whom == "worker":
            with open(PID) as file:
                target = int(file.read())
        (os.killpg if whom == "group" else os.kill)(target, signal.SIGINT)
    if whom == "worker":  # the search goes on, and it is the worker who answers
        until = time.monotonic() + 30
        while not os.path.exists(ANSWER) and time.monotonic() < until:
            time.sleep(0.002)
        line = f"{time.monotonic()} hangs"
        if os.path.exists(ANSWER):
            time.sleep(0.1)
            with open(ANSWER) as file:
                line = file.read()
    else:
        line = reader.readline() or f"{time.monotonic()} died"
    if whom != "process":
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    reader.close()
    for name in PID, ANSWER:
        if os.path.exists(name):
            os.unlink(name)
    ended, how = line.strip().split(" ", 1)
    return (0.0 if over else float(ended) - sent), ("over" if over else how)


def length(call: Callable[[], object]) -> float:
    """Seconds of the call, or LONG."""
    began = time.monotonic()
    one_try(call, "process", LONG)
    return min(LONG, time.monotonic() - began)


def measure(case: Case, tries: int, seed: int) -> tuple[list[float], list[str]]:
    """Seconds to the answer of each try, and which it was."""
    call, rng = case.make(), np.random.default_rng(seed)
    whole = 0.98 * length(call) if case.whom == "process" else LONG
    seconds, answers = [], []
    for k in range(tries):
        after = (k + rng.random()) / tries * whole
        waited, how = one_try(call, case.whom, after)
        if how != "over":
            seconds.append(waited)
        answers.append(how)
    return seconds, answers


def main() -> int:
    """Print a line for each case; fail where an answer took too long."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="a pattern of names of cases")
    parser.add_argument("--tries", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    folder = tempfile.TemporaryDirectory()  # for what workers write
    os.chdir(folder.name)
    late, n_cases = 0, 0
    for name, case in cases().items():
        if re.search(given.only, name) is None:
            continue
        seconds, answers = measure(case, given.tries, given.seed)
        counts = {how: answers.count(how) for how in dict.fromkeys(answers)}
        told = ", ".join(f"{count} {how}" for how, count in counts.items())
        worst, middle = (f(seconds or [np.nan]) for f in (np.max, np.median))
        slow = worst > PROMISED
        late, n_cases = late + slow, n_cases + 1
        mark = " LATE" if slow else ""
        print(f"{name:45s} {middle:7.3f} {worst:7.3f} s  {told}{mark}", flush=True)
    print(f"{late} of {n_cases} cases took longer than {PROMISED} s")
    return int(late > 0)


if __name__ == "__main__":
    sys.exit(main())
