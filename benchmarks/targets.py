"""What the figures must reach, and what we want of them."""

from dataclasses import dataclass, field

from shapes import SHAPES
from timing import digits


@dataclass(frozen=True)
class Target:
    """Bounds of a figure by column: a shape, or "" where there is but one."""

    name: str
    must: dict[str, float] = field(default_factory=dict)
    want: dict[str, float] = field(default_factory=dict)
    unit: str = ""
    at_most: bool = False

    @property
    def columns(self) -> list[str]:
        """Return the columns that have a bound."""
        return list({**self.must, **self.want})

    def met(self, column: str, value: float) -> bool | None:
        """Return whether the value, as printed, is within `must`; else `want`."""
        bound = self.must.get(column, self.want.get(column))
        if bound is None:
            return None
        shown = float(digits(value))
        return shown <= bound if self.at_most else shown >= bound

    def show(self, value: float | None) -> str:
        """Return a bound or a figure with its unit."""
        if value is None:
            return "-"
        space = " " if self.unit and self.unit != "%" else ""
        return f"{digits(value)}{space}{self.unit}"

    def bound(self, bounds: dict[str, float], column: str) -> str:
        """Return a bound as text, short."""
        value = bounds.get(column)
        if value is None:
            return "-"
        space = " " if self.unit and self.unit != "%" else ""
        return f"{'≤ ' * self.at_most}{value:g}{space}{self.unit}"


def _by_shape(*bounds: float) -> dict[str, float]:
    return dict(zip(SHAPES, bounds, strict=True))


TARGETS = {
    "adam": Target(
        "Adam, float32: x scikit-learn",
        must=_by_shape(40, 9.5, 4.5, 2.8, 2.0),
    ),
    "adam_haswell": Target(
        "Adam, float32: x scikit-learn with OpenBLAS's AVX2 kernels",
        must=_by_shape(40, 9.5, 4.5, 2.8, 2.0),
    ),
    "share": Target(
        "Adam, float32: share of the FMA peak",
        must=_by_shape(17, 28, 75, 75, 76),
        want=_by_shape(25, 42, 86, 88, 85),
        unit="%",
    ),
    "fastest": Target(
        "Adam, float32: x the fastest of PyTorch eager, torch.compile and JAX",
        want=_by_shape(9, 2.5, 1.75, 1.1, 1.02),
    ),
    "float64": Target(
        "Adam, float64: x scikit-learn", must=_by_shape(22, 6.5, 3.4, 2.0, 1.6)
    ),
    "float64_haswell": Target(
        "Adam, float64: x scikit-learn with OpenBLAS's AVX2 kernels",
        must=_by_shape(22, 6.5, 3.4, 2.0, 1.6),
    ),
    "sgd": Target("SGD, float32: x our Adam", must=dict.fromkeys(SHAPES, 1.0)),
    "avx2": Target(
        "Adam, float32, AVX2 kernels: x scikit-learn",
        must=_by_shape(27, 7, 2.5, 1.6, 1.15),
    ),
    "avx2_haswell": Target(
        "Adam, float32, AVX2 kernels: x scikit-learn with OpenBLAS's",
        must=_by_shape(27, 7, 2.5, 1.6, 1.15),
    ),
    "two_threads": Target(
        "two threads on two cores: x one thread",
        must=dict.fromkeys(("medium", "wide", "huge"), 1.7),
    ),
    "busy": Target(
        "two threads, a core busy elsewhere: time x that of one thread",
        must=dict.fromkeys(("medium", "wide", "huge"), 1.33),
        at_most=True,
    ),
    "one_row": Target(
        "`predict_proba` of one row, medium", {"": 8}, unit="µs", at_most=True
    ),
    "many_rows": Target(
        "`predict_proba` of 1,000,000 rows, medium: x scikit-learn", {"": 4}
    ),
    "sparse": Target("CSR of 1 % density: x scikit-learn on CSR", {"": 5}),
    "small_fit": Target("`fit` of 150 x 4, 200 epochs: x scikit-learn", {"": 15}),
    "import_mlp": Target(
        "`from skbackprop import *` beyond `sklearn.neural_network`",
        {"": 60},
        unit="ms",
        at_most=True,
    ),
    "import_sklearn": Target(
        "`from skbackprop import *` beyond `sklearn`", {"": 60}, unit="ms", at_most=True
    ),
    "covertype": Target("`fit` of covertype, early stopping: x scikit-learn", {"": 4}),
    "adult": Target("`fit` of adult, early stopping: x scikit-learn", {"": 4}),
    "search": Target(
        "grid search of 24 candidates, 2 threads: x scikit-learn with 2 processes",
        {"": 8},
    ),
    "per_row": Target(
        "time per row, 10,000 to 1,000,000 rows: slowest beyond the fastest",
        {"": 15},
        unit="%",
        at_most=True,
    ),
    "per_flop": Target(
        "time per FLOP, width 256 to 4,096: slowest beyond the fastest",
        {"": 15},
        unit="%",
        at_most=True,
    ),
    "instructions": Target(
        "instructions per epoch beyond those recorded",
        {"": 3},
        unit="%",
        at_most=True,
    ),
}
