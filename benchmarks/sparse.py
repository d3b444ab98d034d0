"""Time training on CSR data against the same data made dense.

python benchmarks/sparse.py --rounds 5
"""

import argparse
import importlib
import sys
from functools import partial
from statistics import median

from contenders import Setup, Training
from machine import describe, pin_threads
from shapes import SPARSE, make_sparse_data, steps
from timing import epochs_for, in_turns, microseconds, ratio, table

DENSITY = 0.01
REFERENCE = "sklearn_mlp, CSR"


def main() -> None:
    """Measure ours and scikit-learn on both forms of X, then print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dtype", choices=["float32", "float64"], default="float32")
    parser.add_argument("--solver", choices=["adam", "sgd"], default="adam")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    pin_threads(options.threads)

    X, y = make_sparse_data(SPARSE, DENSITY, options.dtype, seed=0)
    setup = Setup(
        hidden=SPARSE.hidden,
        batch_size=SPARSE.batch,
        solver=options.solver,
        learning_rate=1e-3,
        random_state=0,
        threads=options.threads,
    )
    trainings: dict[str, Training] = {}
    for form, data in (("CSR", X), ("dense", X.toarray())):
        for name in ("ours", "sklearn_mlp"):
            try:
                module = importlib.import_module(f"contenders.{name}")
                trainings[f"{name}, {form}"] = module.prepare(data, y, setup)
            except ImportError as error:
                print(f"{name}: not installed ({error})", file=sys.stderr)

    epochs = {n: epochs_for(train, 0.3) for n, train in trainings.items()}
    calls = {n: partial(train, epochs[n]) for n, train in trainings.items()}
    seconds = {
        name: [took / (epochs[name] * steps(SPARSE)) for took in all_rounds]
        for name, all_rounds in in_turns(calls, options.rounds).items()
    }

    for name, fact in describe().items():
        print(f"- {name}: {fact}")
    print(
        f"- X {X.shape[0]} x {X.shape[1]}, {X.nnz / (X.shape[0] * X.shape[1]):.2%} "
        f"non-zero, hidden {SPARSE.hidden}, batch {SPARSE.batch}, {options.solver}, "
        f"{options.dtype}, {options.threads} thread(s), {options.rounds} rounds"
    )
    print()
    rows: list[list[str]] = []
    for name, each in seconds.items():
        low, middle, high = (f(each) for f in (min, median, max))
        faster = ratio(seconds[REFERENCE], each)
        spread = f"{microseconds(low)} to {microseconds(high)}"
        rows.append([name, microseconds(middle), spread, f"{faster:.2f}"])
    print(table(["contender", "us per step", "spread", f"x {REFERENCE}"], rows))


if __name__ == "__main__":
    main()
