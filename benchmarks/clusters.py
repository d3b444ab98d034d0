"""Training on a Dask cluster: the same bits, the loss, the speed, the overhead.

python benchmarks/clusters.py same [--kills 10]
python benchmarks/clusters.py loss FOLDER [--partitions 8] [--sorted]
python benchmarks/clusters.py steps FOLDER --data hotel_bookings
python benchmarks/clusters.py ensembles FOLDER [--partitions 8] [--sorted]
python benchmarks/clusters.py speed FOLDER
python benchmarks/clusters.py overhead
python benchmarks/clusters.py large [--ensemble]

Clusters are on this machine, of processes of one thread. The folder has NAME.csv.gz
and NAME.json for each data set, as for tabular.py. `same` trains on 1, 2 and 4
workers, with a worker killed at random moments, with one added and with partitions
moved, and fails where a bit differs. `loss` compares validation losses with those of
the local fit with the same number of passes over the rows; `steps` does it for several
local_epochs, and `ensembles` for frames and method="cyclic". `speed` compares rows per
second of two workers with those of two threads in one process. `large` trains on
Parquet files that take more memory than the workers have, and tells how much these have
written to disk.
"""

import argparse
import hashlib
import os
import random
import signal
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import dask.array as da
import numpy as np
import psutil
from dask import delayed
from distributed import Client, LocalCluster
from peers import datasets
from sklearn.metrics import log_loss, mean_squared_error
from sklearn.model_selection import train_test_split

from skbackprop import (
    BackpropMLPClassifier,
    BackpropMLPRegressor,
    TabularEncoder,
    TabularMLPClassifier,
    TabularMLPRegressor,
)
from skbackprop._observers import Observer
from skbackprop.dask import (
    DaskBackpropMLPClassifier,
    DaskBackpropMLPRegressor,
    DaskTabularMLPClassifier,
    DaskTabularMLPRegressor,
)

HIDDEN = (128, 128)
#: Passes over the rows.
PASSES = {"california_housing": 20, "hotel_bookings": 10, "covertype": 6}


@contextmanager
def cluster(n_workers: int = 2, **options: Any) -> Iterator[Client]:
    """Workers of one thread each."""
    with (
        LocalCluster(
            n_workers=n_workers,
            threads_per_worker=1,
            dashboard_address=":0",
            **options,
        ) as own,
        Client(own) as client,
    ):
        yield client


def digest(model: Any) -> str:
    """Of all parameters."""
    arrays = [
        np.ascontiguousarray(each) for each in (*model.coefs_, *model.intercepts_)
    ]
    return hashlib.sha256(b"".join(each.tobytes() for each in arrays)).hexdigest()[:16]


def numbers(n: int, p: int, n_chunks: int) -> tuple[Any, Any]:
    """Rows that workers make, and classes of them."""
    X = da.random.default_rng(1).normal(size=(n, p), chunks=(n // n_chunks, p))
    X = X.astype(np.float32)
    return X, (X[:, 0] + X[:, 1] * X[:, 2] > 0).astype(int)


# The same bits


def same(options: argparse.Namespace) -> int:
    """Fail where a fit has other bits than the first."""
    X, y = numbers(200_000, 10, 8)
    model = DaskBackpropMLPClassifier(
        (64, 64), local_epochs=0.5, rounds=24, tol=0, random_state=0
    )
    seen: dict[str, str] = {}
    slowest = 0.0

    def fit(what: str, disturb: Callable[[], None] | None = None) -> None:
        nonlocal slowest
        if disturb is not None:
            timer = threading.Timer(moment, disturb)
            timer.start()
        began = time.perf_counter()
        seen[what] = digest(model.fit(X, y))
        took = time.perf_counter() - began
        slowest = max(slowest, took)
        print(f"{what:45} {seen[what]}  {took:5.1f} s", flush=True)

    for n_workers in (1, 2, 4):
        with cluster(n_workers):
            began = time.perf_counter()
            fit(f"{n_workers} workers")
            usual = time.perf_counter() - began
    rng = random.Random(options.seed)
    for _ in range(options.kills):
        moment = rng.uniform(0, usual)
        with cluster(2) as client:
            fit(f"a worker is killed after {moment:.2f} s", partial(kill_one, client))
    with cluster(2) as client:
        moment = usual / 3
        fit("a worker is added", partial(client.cluster.scale, 3))
        fit("partitions are moved", client.rebalance)
    print("all alike" if len(set(seen.values())) == 1 else "THEY DIFFER")
    return int(len(set(seen.values())) > 1)


def kill_one(client: Client) -> None:
    """SIGKILL for a worker."""
    os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)


# Losses


def encoded(folder: Path, name: str, seed: int) -> tuple[Any, ...]:
    """Training and validation rows as float32, and the task."""
    data = datasets.read(folder, name)
    y = data.y
    if data.task == "regression":
        y = (y - y.mean()) / y.std()
    parts = train_test_split(data.X, y, test_size=0.2, random_state=seed)
    encoder = TabularEncoder(max_one_hot=50).fit(parts[0])
    rows = [encoder.transform(each) for each in parts[:2]]
    return *rows, *parts[2:], data.task


def loss_of(model: Any, X: Any, y: Any, task: str) -> float:
    """Of rows that did not train."""
    if task == "regression":
        return float(mean_squared_error(y, model.predict(X)))
    return float(log_loss(y, model.predict_proba(X), labels=model.classes_))


Rows = tuple[Any, ...]
Makes = Callable[[argparse.Namespace, str, int], tuple[Rows, Any, Any]]


def losses(options: argparse.Namespace) -> int:
    """Print a table of validation losses of networks."""
    return compare(options, networks)


def ensembles(options: argparse.Namespace) -> int:
    """The same of ensembles of frames."""
    return compare(options, bags)


def compare(options: argparse.Namespace, make: Makes) -> int:
    """Print a table of validation losses, of local fits and of those on a cluster."""
    heads = ["data set", "rows", "passes", "local", "Dask", "Dask / local", "s", "s"]
    print(f"| {' | '.join(heads)} |\n|---{'|---:' * (len(heads) - 1)}|")
    with cluster(2) as client:
        for name in options.data or PASSES:
            found = [
                _losses(client, options, *make(options, name, seed))
                for seed in options.seeds
            ]
            local, far, *seconds, n, passes = (
                np.mean(each) for each in zip(*found, strict=True)
            )
            print(
                f"| {name} | {n:.0f} | {passes:.0f} | {local:.4f} | {far:.4f} | "
                f"{far / local:.3f} | {seconds[0]:.1f} | {seconds[1]:.1f} |",
                flush=True,
            )
    return 0


def _losses(
    client: Client, options: argparse.Namespace, rows: Rows, local: Any, far: Any
) -> tuple[float, ...]:
    X, X_val, y, y_val, task = rows
    order = np.argsort(y, kind="stable") if options.sorted else np.arange(len(y))
    if options.local_epochs is not None:
        far.set_params(local_epochs=options.local_epochs)
    parts = np.array_split(order, options.partitions)
    data = [client.persist([delayed(taken(each, k)) for k in parts]) for each in (X, y)]
    seconds = []
    for model, given in ((local, (X, y)), (far, data)):
        began = time.perf_counter()
        model.fit(*given)
        seconds.append(time.perf_counter() - began)
    found = [loss_of(each, X_val, y_val, task) for each in (local, far.to_local())]
    return *found, *seconds, float(len(X)), float(local.n_iter_)


def taken(table: Any, rows: Any) -> Any:
    """Some rows of a frame or an array."""
    return table.iloc[rows] if hasattr(table, "iloc") else table[rows]


def networks(options: argparse.Namespace, name: str, seed: int) -> Any:
    """Encoded rows, a network and one on Dask."""
    rows = encoded(options.folder, name, seed)
    return rows, *models(rows[-1], PASSES[name], seed, options.learning_rate)


def bags(options: argparse.Namespace, name: str, seed: int) -> Any:
    """Frames, an ensemble and one on Dask."""
    data = datasets.read(options.folder, name)
    y = data.y
    if data.task == "regression":
        y = (y - y.mean()) / y.std()
    rows = *train_test_split(data.X, y, test_size=0.2, random_state=seed), data.task
    pair = (
        (TabularMLPRegressor, DaskTabularMLPRegressor)
        if data.task == "regression"
        else (TabularMLPClassifier, DaskTabularMLPClassifier)
    )
    local, far = (each(preset="fast", random_state=seed) for each in pair)
    local.set_params(n_jobs=2)
    return rows, local, far.set_params(method="cyclic")


def models(task: str, passes: int, seed: int, schedule: str) -> tuple[Any, Any]:
    """The local twin and the one on Dask."""
    pair = (
        (BackpropMLPRegressor, DaskBackpropMLPRegressor)
        if task == "regression"
        else (BackpropMLPClassifier, DaskBackpropMLPClassifier)
    )
    common = {
        "hidden_layer_sizes": HIDDEN,
        "max_iter": passes,
        "tol": 0,
        "n_iter_no_change": 10**6,
        "random_state": seed,
        "learning_rate": schedule,
    }
    local, far = (each(**common) for each in pair)
    return local, far


def steps(options: argparse.Namespace) -> int:
    """The table of losses for several local_epochs."""
    for local_epochs in (0.05, 0.1, 0.25, 0.5, 1.0, 2.0):
        options.local_epochs = local_epochs
        print(f"\nlocal_epochs={local_epochs}")
        losses(options)
    return 0


# Speed


def speed(options: argparse.Namespace) -> int:
    """Rows per second: two workers against two threads of one process, in turns."""
    X, _, y, _, task = encoded(options.folder, "covertype", 0)
    passes = 2
    local, far = models(task, passes, 0, "constant")
    local.set_params(n_jobs=2)
    far.set_params(local_epochs=options.local_epochs or 1.0)
    size = -(-len(X) // options.partitions)
    seconds: dict[str, list[float]] = {"local": [], "dask": []}
    with cluster(2) as client:
        data = client.persist(
            [da.from_array(each, chunks=(size, *each.shape[1:])) for each in (X, y)]
        )
        far.fit(*data)
        for _ in range(options.tries):
            for name, model, rows in (("local", local, (X, y)), ("dask", far, data)):
                began = time.perf_counter()
                model.fit(*rows)
                seconds[name].append(time.perf_counter() - began)
    rate = {name: passes * len(X) / median(each) for name, each in seconds.items()}
    print(
        f"two threads {rate['local']:.0f} rows/s, two workers {rate['dask']:.0f} rows/s"
    )
    print(f"a round {median(seconds['dask']) / far.n_iter_:.2f} s")
    print(f"ratio {rate['dask'] / rate['local']:.2f}")
    return 0


# Overhead


class Marks(Observer):
    """When each round ended, and what there was of tasks and of memory."""

    def __init__(self, scheduler: Any) -> None:
        self.scheduler = scheduler
        self.at: list[tuple[float, int, int]] = []

    def epoch_ends(self, epoch: Any) -> None:
        memory = psutil.Process().memory_info().rss
        self.at.append((time.perf_counter(), len(self.scheduler.tasks), memory))


def overhead(options: argparse.Namespace) -> int:
    """Milliseconds a round with next to no work, and what the scheduler keeps."""
    for n_chunks in (2, 8, 32):
        X, y = numbers(20 * n_chunks, 100, n_chunks)
        with cluster(2) as client:
            marks = Marks(client.cluster.scheduler)
            model = DaskBackpropMLPClassifier(
                (256, 256), rounds=210, tol=0, n_iter_no_change=10**6, random_state=0
            )
            model._observers = lambda marks=marks: [marks]
            model.fit(X, y)
        at = marks.at
        times = np.diff([each[0] for each in at[10:]])
        n_parameters = sum(each.size for each in (*model.coefs_, *model.intercepts_))
        print(
            f"{n_chunks} partitions, {n_parameters} parameters: "
            f"{1e3 * np.median(times):.1f} ms a round; tasks known to the scheduler "
            f"{at[10][1]} after 10 rounds and {at[-1][1]} after 210; memory of "
            f"scheduler and client {at[10][2] / 1e6:.0f} and "
            f"{at[-1][2] / 1e6:.0f} MB",
            flush=True,
        )
    return 0


# More than fits


def large(options: argparse.Namespace) -> int:
    """Train on more than the workers' memory; what they read and spill."""
    import dask.dataframe as dd
    import pandas as pd

    n, p, n_files = 100_000, 50, 96
    limit = 800_000_000
    with tempfile.TemporaryDirectory() as folder:
        for k in range(n_files):
            X = np.random.default_rng(k).normal(size=(n, p)).astype(np.float32)
            frame = pd.DataFrame(X).add_prefix("x")
            frame["y"] = (X[:, 0] + X[:, 1] * X[:, 2] > 0).astype(np.int8)
            frame.to_parquet(os.path.join(folder, f"{k:03}.parquet"))
        size = sum(each.stat().st_size for each in Path(folder).iterdir())
        spill = os.path.join(folder, "spill")
        with cluster(2, memory_limit=limit, local_directory=spill):
            rows = dd.read_parquet(os.path.join(folder, "*.parquet"))
            model: Any = DaskBackpropMLPClassifier(
                (64,), local_epochs=0.25, rounds=8, tol=0, random_state=0
            )
            if options.ensemble:
                model = DaskTabularMLPClassifier(
                    preset="fast", n_folds=2, max_iter=2, local_epochs=1, random_state=0
                )
            written = [0]
            done = threading.Event()

            def look() -> None:
                while not done.wait(0.1):
                    with_spill = 0
                    for each in Path(spill).rglob("*"):
                        try:
                            with_spill += each.stat().st_size if each.is_file() else 0
                        except OSError:
                            continue
                    written.append(with_spill)

            watcher = threading.Thread(target=look)
            watcher.start()
            began = time.perf_counter()
            model.fit(rows.drop(columns="y"), rows["y"])
            took = time.perf_counter() - began
            done.set()
            watcher.join()
    curve = model.loss_curves_[0] if options.ensemble else model.loss_curve_
    print(
        f"{n_files * n} rows, {n_files * n * p * 4 / 1e9:.2f} GB as float32 in "
        f"{size / 1e9:.2f} GB of files; two workers of {limit / 1e9:.1f} GB: "
        f"{model.n_iter_} rounds or cycles in {took:.0f} s, at most "
        f"{max(written) / 1e6:.0f} MB spilled; loss {curve[0]:.3f} to {curve[-1]:.3f}"
    )
    return 0


def main() -> int:
    """Run what was asked for."""
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    what = {
        "same": same,
        "loss": losses,
        "steps": steps,
        "ensembles": ensembles,
        "speed": speed,
        "overhead": overhead,
        "large": large,
    }
    parser.add_argument("what", choices=what)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--data", nargs="+", choices=PASSES)
    parser.add_argument("--partitions", type=int, default=8)
    parser.add_argument("--sorted", action="store_true", help="by class or target")
    parser.add_argument("--ensemble", action="store_true", help="of frames")
    parser.add_argument("--local-epochs", type=float)
    parser.add_argument("--learning-rate", default="cosine")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tries", type=int, default=5)
    options = parser.parse_args()
    if (
        options.what in ("loss", "steps", "ensembles", "speed")
        and options.folder is None
    ):
        parser.error(f"{options.what} needs the folder of the data sets")
    return what[options.what](options)


if __name__ == "__main__":
    sys.exit(main())
