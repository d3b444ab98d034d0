"""Training on CSR data against the same data made dense."""

from contenders import prepare_all, setup_for
from sections import Options, Result, Section
from shapes import SPARSE, make_sparse_data, steps
from timing import ratio, seconds_per_epoch, times_table

DENSITY = 0.01
OURS, REFERENCE = "ours, CSR", "sklearn_mlp, CSR"


def _measure(options: Options) -> Result:
    """Return seconds per step of ours and scikit-learn on both forms of X."""
    X, y = make_sparse_data(SPARSE, DENSITY, "float32", seed=0)
    absent: dict[str, str] = {}
    trainings = {}
    for form, data in (("CSR", X), ("dense", X.toarray())):
        entries = {
            f"{name}, {form}": (name, setup_for(SPARSE))
            for name in ("ours", "sklearn_mlp")
        }
        trainings |= prepare_all(entries, data, y, absent)
    taken = seconds_per_epoch(trainings, options.seconds, options.rounds)
    return {
        name: [took / steps(SPARSE) for took in each] for name, each in taken.items()
    }


SECTION = Section(
    "sparse",
    "Sparse data, Adam, float32, one thread",
    f"Time per step on a CSR matrix of {SPARSE.rows:,} x {SPARSE.features:,} with "
    f"{DENSITY:.0%} of non-zero elements, hidden layer {SPARSE.hidden[0]}, "
    f"mini-batches of {SPARSE.batch}; and on the same matrix made dense.",
    measure=_measure,
    tell=lambda result: times_table(result, "µs", REFERENCE),
    figures=lambda result: {"sparse": {"": ratio(result[REFERENCE], result[OURS])}},
)
