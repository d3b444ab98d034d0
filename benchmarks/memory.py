"""Peak memory of fit and predict_proba beyond X, y and the output."""

import gc
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

from sections import Options, Result, Section, Unavailable
from shapes import LONG, make_data
from timing import table

CALLS = ("fit", "fit, early_stopping", "predict_proba")
LIBRARIES = ("ours", "sklearn_mlp")
WARM_UP_ROWS = 200


def _measure(options: Options) -> Result:
    """Return the bytes of each call, each from a fresh process."""
    if options.quick:
        return {"fit": {"ours": _in_child("ours", "fit")}}
    return {
        call: {library: _in_child(library, call) for library in LIBRARIES}
        for call in CALLS
    }


def _in_child(library: str, call: str) -> dict[str, int]:
    # glibc would raise this threshold by itself and keep freed arrays of several
    # megabytes, where the next ones hide: now each array is mapped and unmapped.
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}
    output = subprocess.run(
        [sys.executable, __file__, library, call],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if output.returncode:
        raise Unavailable(f"the process of {library}, {call} failed")
    return json.loads(output.stdout)


def _bytes_of(library: str, call: str) -> dict[str, int]:
    """Return the bytes that the call needed on top of the baseline."""
    warnings.simplefilter("ignore")  # one epoch does not converge
    X, y = make_data(LONG, "float32", seed=0)
    model = _new_classifier(library, early_stopping="early" in call)
    # Imports, BLAS buffers and everything lazy belong to the baseline.
    model.fit(X[:WARM_UP_ROWS], y[:WARM_UP_ROWS])
    model.predict_proba(X[:WARM_UP_ROWS])
    gc.collect()
    reset_peak()
    baseline = peak_bytes()
    if call == "predict_proba":
        output = model.predict_proba(X).nbytes
    else:
        output = 0
        model.fit(X, y)
    return {"peak": peak_bytes() - baseline - output, "baseline": baseline}


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


def reset_peak() -> None:
    """Set the peak to what is resident now.

    Linux can. Elsewhere the peak is the process's since its start, and what
    making the data took hides as much of the result.
    """
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        print("the peak cannot be reset: a lower bound follows", file=sys.stderr)


def peak_bytes() -> int:
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


def _tell(result: Result) -> str:
    rows = [
        [call, library, *(f"{each[key] / 1e6:.1f}" for key in ("peak", "baseline"))]
        for call, libraries in result.items()
        for library, each in libraries.items()
    ]
    return table(["call", "contender", "peak above X and y, MB", "baseline, MB"], rows)


SECTION = Section(
    "memory",
    "Memory",
    f"The peak of resident memory of one call on {LONG.rows:,} x {LONG.features} "
    f"float32, one epoch, hidden layer {LONG.hidden[0]}, beyond X, y and the output, "
    f"each in a fresh process. The baseline, taken after a fit of {WARM_UP_ROWS} rows, "
    "holds X, y, the imports and the buffers of BLAS.",
    measure=_measure,
    tell=_tell,
    figures=lambda result: {},
    protocol="",
)

if __name__ == "__main__":
    print(json.dumps(_bytes_of(*sys.argv[1:])))
