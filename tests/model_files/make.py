"""Write the model files that tests/files/test_model_files.py reads.

    python tests/model_files/make.py FOLDER

Those in ``format_1`` were written by 0.2.0 before its release, and are not to be
written again: what reads format 1 must read them for ever.
"""

import importlib.util
import sys
import warnings
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

import skbackprop as sb

_SPEC = importlib.util.spec_from_file_location(
    "make_pickles", Path(__file__).parent.parent / "pickles" / "make.py"
)
pickles = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(pickles)

#: Categories of every type that a file has a place for.
CATEGORIES: dict[str, list[Any]] = {
    "text": ["a", "ü", "", "a\0"],
    "ints": [0, -1, 2**70, 3],
    "floats": [0.5, -0.25, 1e300, 1e-300],
    "bools": [True, False, True, None],
    "bytes": [b"a", b"\xff", b"", b"a\0"],
    "decimals": [Decimal("1.5"), Decimal("2.25"), Decimal("-3.125"), None],
    "mixed": ["1", 2, 2.5, None],
}
ROWS = [*map(list, zip(*CATEGORIES.values(), strict=True))] * 3
NAMES = [*CATEGORIES]


def named(estimator: Any) -> Any:
    """As after a fit to a frame whose columns have names."""
    n = estimator.n_features_in_
    estimator.feature_names_in_ = np.array([f"column {j}" for j in range(n)], object)
    return estimator


MAKERS = {name: make for name, make in pickles.MAKERS.items() if name != "network"} | {
    "classifier_named": lambda: named(pickles.MAKERS["classifier"]()),
    "classifier_deep": lambda: sb.BackpropMLPClassifier(
        (4, 3),
        ("tanh", "gelu"),
        random_state=np.random.RandomState(3),
        max_iter=5,
        class_weight={0: 1.0, 1: 2, 2: 0.5},
        n_iter_no_change=np.inf,
    ).fit(pickles.X, np.arange(80) % 3),
    "classifier_without_layers": lambda: sb.BackpropMLPClassifier(
        (), max_iter=5, random_state=0
    ).fit(pickles.X, pickles.BINARY),
    "encoder_types": lambda: sb.TabularEncoder(
        categorical_features=[*range(len(NAMES))], max_one_hot=3
    ).fit(ROWS),
}


def outputs(model: Any) -> np.ndarray:
    """What a model says of its own data."""
    if hasattr(model, "categories_") and model.n_features_in_ == len(NAMES):
        return model.transform(ROWS)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "X does not have valid feature names")
        return pickles.outputs(model)


def can_go_on(name: str) -> bool:
    return name.endswith(("_partial", "_warm", "_early"))


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    expected: dict[str, np.ndarray] = {}
    warnings.simplefilter("ignore")
    for name, make in MAKERS.items():
        model, path = make(), folder / f"{name}.safetensors"
        sb.save_model(model, path, training_state=can_go_on(name))
        expected[name] = outputs(model)
        later = pickles.continued(name, sb.load_model(path))
        if later is not None:
            expected[f"{name}_continued"] = later
    np.savez_compressed(folder / "expected.npz", **expected)


if __name__ == "__main__":
    main()
