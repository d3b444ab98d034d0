"""Files that are nearly models: bytes changed, and trees and arrays changed inside.

    python tests/mutations.py [FILES [SEED]]

reads so many of them, and predicts with each that is accepted. It fails where anything
but ModelFormatError is raised. It runs 10,000 unless told.
"""

import copy
import json
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from skbackprop import ModelFormatError, TabularEncoder
from skbackprop._model_file import _model_of
from skbackprop._safetensors import layout, parse

GOLDEN = Path(__file__).parent / "model_files" / "format_1"
ODD = [
    None, True, False, 0, 1, -1, 2, 3, 7, 2**31, 2**63 - 1, 2**63, 2**64, 10**30, 0.5,
    -0.0, 1e308, "", "a", "relu", "softmax", "logistic", "codes", "binary", "nan",
    "F64", "U8", "BOOL", [], {}, [0], [1, 2], {"array": "coefs_.0"},
    {"values": [0, 1]}, {"list": []}, {"tuple": []}, {"dict": {}}, {"float": "nan"},
    {"float": "inf"}, {"str": [[1], {"values": [0, 1]}]}, {"stream": [None, 0, None]},
]  # fmt: skip
NUMBERS = [0, 1, -1, 2, 127, 255, 1e30, -1e30, np.nan, np.inf, 1e-320, 2**31, 2**62]


def sources() -> list[bytes]:
    return [path.read_bytes() for path in sorted(GOLDEN.glob("*.safetensors"))]


def mutated(data: bytes, rng: np.random.RandomState) -> bytes:
    """A file with one to four changes, of bytes or of what they mean."""
    if rng.rand() < 0.3:
        return _bytes(bytearray(data), rng)
    try:
        metadata, arrays = parse(data)
        names = [name for name in metadata if name in ("model", "table", "checkpoint")]
        trees = {name: json.loads(metadata[name]) for name in names}
    except (ModelFormatError, ValueError):
        trees = {}
    if not trees:
        return _bytes(bytearray(data), rng)
    for _ in range(rng.randint(1, 4)):
        if rng.rand() < 0.6:
            trees[names[0]] = _changed(trees[names[0]], rng)
        else:
            _change_array(arrays, rng)
    for name, tree in trees.items():
        metadata[name] = json.dumps(tree)
    return b"".join(layout(metadata, arrays))


def _bytes(data: bytearray, rng: np.random.RandomState) -> bytes:
    for _ in range(rng.randint(1, 5)):
        # The header is where most can go wrong.
        end = len(data) if rng.rand() < 0.3 else min(len(data), 3000)
        at, how = rng.randint(end), rng.randint(5)
        if how == 0:
            data[at] ^= 1 << rng.randint(8)
        elif how == 1:
            data[at] = rng.randint(256)
        elif how == 2:
            del data[at : at + rng.randint(1, 64)]
        elif how == 3:
            data[at:at] = bytes(rng.randint(256, size=rng.randint(1, 16)).tolist())
        else:
            del data[rng.randint(len(data)) :]
        if not data:
            break
    return bytes(data)


def _places(tree: Any, found: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """Every container of a tree with every key into it."""
    items: Iterator[tuple[Any, Any]] = iter(())
    if isinstance(tree, dict):
        items = iter(tree.items())
    elif isinstance(tree, list):
        items = enumerate(tree)
    for key, value in items:
        found.append((tree, key))
        _places(value, found)
    return found


def _changed(tree: Any, rng: np.random.RandomState) -> Any:
    places = _places(tree, [])
    if not places:
        return tree
    holder, key = places[rng.randint(len(places))]
    how = rng.randint(5)
    other, other_key = places[rng.randint(len(places))]
    if how == 0:
        del holder[key]
    elif how == 1:
        holder[key] = json.loads(json.dumps(other[other_key]))
    elif how == 2 and isinstance(holder[key], int | float):
        holder[key] = holder[key] + int(rng.randint(-2, 3))
    elif how == 3 and isinstance(holder, dict):
        holder[rng.choice(["x", "dtype", "list", "array", key])] = holder.pop(key)
    else:
        holder[key] = copy.deepcopy(ODD[rng.randint(len(ODD))])
    return tree


def _change_array(arrays: dict[str, np.ndarray], rng: np.random.RandomState) -> None:
    if not arrays:
        return
    names = sorted(arrays)
    name = names[rng.randint(len(names))]
    array, how = arrays[name].copy(), rng.randint(6)
    if how == 0 and array.size:
        flat = array.reshape(-1)
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            number = np.array(NUMBERS[rng.randint(len(NUMBERS))])
            flat[rng.randint(len(flat))] = number.astype(array.dtype)
    elif how == 1:
        array = array[:-1] if array.ndim and len(array) else array
    elif how == 2:
        array = array.T if array.ndim > 1 else np.concatenate([array, array[:1]])
    elif how == 3:
        types = ["f4", "f8", "f2", "i8", "u1", "i4", "u4"]
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            array = array.astype(types[rng.randint(len(types))])
    elif how == 4:
        array = arrays[names[rng.randint(len(names))]].copy()
    else:
        del arrays[name]
        return
    arrays[name] = array


def try_file(data: bytes) -> bool:
    """Read a file, and use what it holds; whether it was accepted."""
    try:
        model = _model_of(data).estimator
    except ModelFormatError:
        return False
    use(model)
    return True


def use(model: Any) -> None:
    """Predict, whatever the model says: it must be an answer or a clear error."""
    n = model.n_features_in_
    if n > 1000:
        return
    names = getattr(model, "feature_names_in_", None)
    rows: Any = np.linspace(-1, 1, 4 * n).reshape(4, n)
    if isinstance(model, TabularEncoder) or hasattr(model, "encoder_"):
        rows = [[*map(float, row)] for row in rows]
        rows[0] = [None] * n
        rows[1] = ["a"] * n
    method = "transform" if isinstance(model, TabularEncoder) else "predict"
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            outputs = getattr(model, method)(rows)
        except ValueError as error:
            # Text where the model reads numbers, and infinity made of large ones.
            assert names is not None or str(error)
            return
    assert outputs.shape[0] == 4


def main() -> None:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    rng = np.random.RandomState(int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    files, accepted, slowest = sources(), 0, 0.0
    for i in range(n):
        data = mutated(files[i % len(files)], rng)
        began = time.perf_counter()
        try:
            accepted += try_file(data)
        except BaseException:
            Path("mutated.safetensors").write_bytes(data)
            print(f"file {i} is kept as mutated.safetensors")
            raise
        slowest = max(slowest, time.perf_counter() - began)
    print(f"{n} files read, {accepted} accepted, the slowest in {slowest:.3f} s")


if __name__ == "__main__":
    main()
