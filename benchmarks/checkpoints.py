"""What a checkpoint costs: the share of a fit that writing it takes.

    python benchmarks/checkpoints.py [--epochs 8]

Written after every epoch, of fits whose epochs take about a second, on one thread. What
is timed is what the fit does and waits for, inside the fit: two fits in turns would
differ by more on a shared machine. Beside it, a file of as many bytes that is written
and flushed: what the disk alone takes, which goes on beside the training.
"""

import argparse
import os
import tempfile
import time
import warnings
from pathlib import Path
from statistics import median

import numpy as np
from machine import describe, pin_threads

pin_threads(1)

import skbackprop as sb  # noqa: E402
from skbackprop._checkpoint import Session  # noqa: E402

SHAPES = {
    "many rows": (400_000, 50, (128, 128)),
    "a wide network": (20_000, 784, (1024, 1024)),
    "a huge network": (6_000, 1000, (2048, 2048)),
}


def disk(n_bytes: int, folder: Path) -> float:
    """Return the seconds of a plain write of so many bytes."""
    began = time.perf_counter()
    with open(folder / "plain", "wb") as file:
        file.write(bytes(n_bytes))
        file.flush()
        os.fsync(file.fileno())
    return time.perf_counter() - began


def measure(name: str, epochs: int) -> str:
    n, n_features, hidden = SHAPES[name]
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, n_features), dtype=np.float32)
    y = (X[:, 0] > 0).astype(int)
    spent: list[float] = []
    real = Session.epoch_ends

    def timed(self: Session, epoch: object) -> None:
        began = time.perf_counter()
        real(self, epoch)
        spent.append(time.perf_counter() - began)

    Session.epoch_ends = timed
    try:
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            path = Path(folder) / "fit.checkpoint"
            model = sb.BackpropMLPClassifier(
                hidden,
                max_iter=epochs,
                batch_size=256,
                early_stopping=True,
                n_iter_no_change=epochs,
                random_state=0,
                n_jobs=1,
            )
            began = time.perf_counter()
            model.fit(X, y, checkpoint=sb.Checkpoint(path, every=1))
            total = time.perf_counter() - began
            size = path.stat().st_size
            plain = median(disk(size, Path(folder)) for _ in range(5))
    finally:
        Session.epoch_ends = real
    epoch = (total - sum(spent)) / epochs
    return (
        f"| {name} | {size / 1e6:.1f} | {epoch:.2f} | {1e3 * median(spent):.1f} "
        f"| {1e3 * plain:.1f} | {100 * sum(spent) / (total - sum(spent)):.2f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=8)
    epochs = parser.parse_args().epochs
    print(describe())
    print("| fit | MB | s per epoch | ms per epoch | ms of the disk | % of the fit |")
    print("|---|---:|---:|---:|---:|---:|")
    for name in SHAPES:
        print(measure(name, epochs), flush=True)


if __name__ == "__main__":
    main()
