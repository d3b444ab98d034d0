"""Peak memory of fit and predict_proba beyond X, y and the output.

python benchmarks/memory.py --library ours
"""

import argparse
import gc
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

from machine import describe, pin_threads
from shapes import LONG, make_data
from timing import table

MEASURES = ("fit", "fit, early_stopping", "predict_proba")
WARM_UP_ROWS = 200


def main() -> None:
    """Measure each call in a fresh process, then print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", choices=["ours", "sklearn"], default="ours")
    parser.add_argument("--threads", type=int, default=1)
    # How this script calls itself for one measurement.
    parser.add_argument("--measure", choices=MEASURES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    pin_threads(options.threads)
    if options.measure:
        print(json.dumps(_measure(options.library, options.measure)))
        return

    try:
        _new_classifier(options.library)
    except ImportError as error:
        print(f"{options.library}: not installed ({error})")
        return
    for name, fact in describe().items():
        print(f"- {name}: {fact}")
    print(f"- {options.library}, X {LONG.rows} x {LONG.features} float32")
    print()
    rows: list[list[str]] = []
    for measure in MEASURES:
        result = _in_child(options.library, options.threads, measure)
        rows.append([measure, *(f"{result[key] / 1e6:.1f}" for key in result)])
    print(table(["call", "peak above X and y, MB", "baseline, MB"], rows))


def _in_child(library: str, threads: int, measure: str) -> dict[str, int]:
    command = [sys.executable, __file__, "--library", library]
    command += ["--threads", str(threads), "--measure", measure]
    # glibc would raise this threshold by itself and keep freed arrays of several
    # megabytes, where the next ones hide: now each array is mapped and unmapped.
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}
    output = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    return json.loads(output)


def _measure(library: str, measure: str) -> dict[str, int]:
    """Return the bytes that the call needed on top of the baseline."""
    warnings.simplefilter("ignore")  # one epoch does not converge
    X, y = make_data(LONG, "float32", seed=0)
    model = _new_classifier(library, early_stopping="early" in measure)
    # Imports, BLAS buffers and everything lazy belong to the baseline.
    model.fit(X[:WARM_UP_ROWS], y[:WARM_UP_ROWS])
    model.predict_proba(X[:WARM_UP_ROWS])
    gc.collect()
    _reset_peak()
    baseline = _peak()
    if measure == "predict_proba":
        output = model.predict_proba(X).nbytes
    else:
        output = 0
        model.fit(X, y)
    return {"peak": _peak() - baseline - output, "baseline": baseline}


def _new_classifier(library: str, early_stopping: bool = False) -> Any:
    if library == "ours":
        from skbackprop import BackpropMLPClassifier as Classifier
    else:
        from sklearn.neural_network import MLPClassifier as Classifier
    return Classifier(
        hidden_layer_sizes=LONG.hidden,
        batch_size=LONG.batch,
        early_stopping=early_stopping,
        max_iter=1,
        random_state=0,
    )


def _reset_peak() -> None:
    """Set the peak to what is resident now.

    Linux can. Elsewhere the peak is the process's since its start, and what
    making the data took hides as much of the result.
    """
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        print("the peak cannot be reset: a lower bound follows", file=sys.stderr)


def _peak() -> int:
    """Return the peak of resident bytes."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return 1_024 * int(line.split()[1])
    except OSError:
        pass
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1_024 * peak


if __name__ == "__main__":
    main()
