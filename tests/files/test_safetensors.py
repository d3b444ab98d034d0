"""The layout, beside the reader of others; files that are nearly models.

SKBACKPROP_FUZZ in the environment says how many of these are read: 10,000 unless told.

Answers for: _safetensors.py.
"""

import json
import os
import tracemalloc
from typing import Any

import mutations
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skbackprop import ModelFormatError, load_model
from skbackprop._model_file import _model_of
from skbackprop._safetensors import layout, parse

safetensors = pytest.importorskip("safetensors")

TYPES = "f8 f4 f2 i8 i4 i2 i1 u8 u4 u2 u1 ?".split()


def file_of(header: Any, body: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


def test_others_read_what_we_write() -> None:
    rng = np.random.RandomState(0)
    arrays = {
        f"{code}{shape}": (rng.normal(size=shape) * 9).astype(code)
        for code in TYPES
        for shape in [(), (0,), (3,), (2, 3), (2, 0, 3)]
    }
    arrays["reversed"] = np.arange(6.0).reshape(2, 3).T
    arrays["swapped"] = np.arange(3, dtype=">i4")
    arrays["é\n"] = np.ones(1)
    metadata = {"a": "ü", "b": '"\\'}
    data = b"".join(layout(metadata, arrays))
    theirs = safetensors.deserialize(data)
    found, ours = parse(data)
    assert found == metadata and set(ours) == set(arrays)
    assert {name for name, _ in theirs} == set(arrays)
    for name, array in arrays.items():
        assert_array_equal(ours[name], array)
        assert ours[name].dtype == array.dtype.newbyteorder("=")
        assert ours[name].flags.writeable
    for name, view in theirs:
        native = arrays[name].astype(arrays[name].dtype.newbyteorder("<"))
        assert bytes(view["data"]) == native.tobytes()
        assert tuple(view["shape"]) == native.shape


def test_we_read_what_others_write() -> None:
    from safetensors.numpy import save

    arrays = {"a": np.arange(6.0).reshape(2, 3), "b": np.ones(3, np.uint8)}
    metadata, ours = parse(save(arrays, {"x": "y"}))
    assert metadata == {"x": "y"}
    for name, array in arrays.items():
        assert_array_equal(ours[name], array)


@pytest.mark.parametrize("seed", range(4))
def test_both_refuse_the_same_layouts(seed: int) -> None:
    """Of changed headers; ours refuses types and bytes too that it has no use for."""
    rng = np.random.RandomState(seed)
    arrays = {"a": np.arange(3.0), "b": np.ones((2, 2), np.float32), "c": np.ones(0)}
    data = b"".join(layout({"k": "v"}, arrays))
    length = int.from_bytes(data[:8], "little")
    header, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    accepted = 0
    for _ in range(500):
        tree = mutations._changed(json.loads(json.dumps(header)), rng)
        file = file_of(tree, body)
        try:
            parse(file)
        except ModelFormatError as error:
            ours = str(error)
        else:
            ours = ""
        try:
            safetensors.deserialize(file)
        except safetensors.SafetensorError as error:
            theirs = str(error)
        else:
            theirs = ""
        accepted += not ours
        if not ours:
            assert not theirs, (tree, theirs)
        elif not theirs:
            assert "unknown type" in ours or "no boolean" in ours or "shape" in ours, (
                tree,
                ours,
            )
    assert accepted > 0


ENTRY = {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]}
BROKEN = {
    "few for a header": b"1234567",
    "longer than the file": (2**63).to_bytes(8, "little") + b"{}",
    "no object of JSON": file_of([]),
    "stands twice": file_of(b'{"a": 1, "a": 2}'),
    "no number of JSON": file_of(b'{"a": NaN}'),
    "too large": file_of(b'{"a": 1e999}'),
    "deeply nested": file_of(b"[" * 100 + b"]" * 100),
    "no JSON": file_of(b"\xff"),
    "no JSON: Exceeds": file_of(b"1" * 5000),
    "metadata": file_of({"__metadata__": {"a": 1}}),
    "no dtype": file_of({"a": {"dtype": "U8"}}),
    "unknown type": file_of({"a": ENTRY | {"dtype": "BF16"}}, b"12"),
    "whole numbers": file_of({"a": ENTRY | {"shape": [True]}}, b"12"),
    "not whole": file_of({"a": ENTRY | {"shape": [-1, -2]}}, b"12"),
    "no place": file_of({"a": ENTRY | {"data_offsets": [2, 0]}}, b"12"),
    "begin where": file_of({"a": ENTRY | {"data_offsets": [1, 3]}}, b"123"),
    "not begin": file_of({"a": ENTRY, "b": ENTRY}, b"12"),
    "bytes that its shape": file_of({"a": ENTRY | {"shape": [2**30, 4]}}, b"12"),
    "beyond all memory": file_of({"a": ENTRY | {"shape": [0, 2**62, 2**62]}}, b"12"),
    "belong to no array": file_of({"a": ENTRY}, b"123"),
    "no boolean": file_of({"a": ENTRY | {"dtype": "BOOL"}}, b"\1\2"),
    "more values than": file_of(b"[" + b"[]," * 500_000 + b"[]]"),
}


@pytest.mark.parametrize("says", BROKEN)
def test_broken_layouts_are_refused(says: str) -> None:
    with pytest.raises(ModelFormatError, match=says):
        parse(BROKEN[says])


def test_brackets_in_strings_are_no_depth() -> None:
    metadata = {"[[[" * 100: '"[{' * 100 + "\\"}
    assert parse(b"".join(layout(metadata, {})))[0] == metadata


def test_a_string_that_never_ends_is_soon_refused() -> None:
    """A scan that gave back what it has read would take hours."""
    for header in b'"' + b'\\"' * 2_000_000, b'"' * 2_000_001, b'"\\' * 1_000_000:
        with pytest.raises(ModelFormatError):
            parse(file_of(header, bytes(50_000_000)))


@pytest.fixture(scope="module")
def files() -> list[bytes]:
    found = mutations.sources()
    assert len(found) > 10
    return found


def test_files_that_are_nearly_models(files: list[bytes]) -> None:
    """Each is refused with ModelFormatError, or is a model that predicts."""
    n = int(os.environ.get("SKBACKPROP_FUZZ", "10000"))
    rng = np.random.RandomState(n % 2**32)
    accepted = sum(
        mutations.try_file(mutations.mutated(files[i % len(files)], rng))
        for i in range(n)
    )
    # Neither all nor none: both would say that the changes are none.
    assert n / 100 < accepted < n / 3


def test_every_cut_is_refused(files: list[bytes]) -> None:
    shortest = min(files, key=len)
    for end in range(len(shortest)):
        with pytest.raises(ModelFormatError):
            _model_of(shortest[:end])


def peak(data: bytes) -> int:
    tracemalloc.start()
    try:
        mutations.try_file(data)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def hostile() -> dict[str, bytes]:
    """Files that are to take more memory than they have bytes."""
    million = 1_000_000
    flat = {"dtype": "U8", "shape": [million], "data_offsets": [0, million]}
    return {
        "empty lists": file_of(b"[" + b"[]," * million + b"[]]"),
        "empty objects": file_of(b"[" + b"{}," * million + b"{}]"),
        "short strings": file_of(b"[" + b'"ab",' * million + b'"ab"]'),
        "numbers": file_of(b"[" + b"999," * million + b"1]"),
        "names": file_of(
            b"{" + b",".join(b'"%x":0' % i for i in range(million // 4)) + b"}"
        ),
        "arrays": file_of(
            {
                f"{i:x}": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}
                for i in range(30_000)
            }
        ),
        "one array": file_of({"a": flat}, bytes(million)),
    }


@pytest.mark.parametrize("name", hostile())
def test_memory_is_bounded_by_the_file(name: str) -> None:
    data = hostile()[name]
    # A file in memory is counted once more than `peak` sees it.
    assert peak(data) + len(data) < 10 * len(data) + 2**21


def test_memory_of_models_is_bounded(files: list[bytes]) -> None:
    for data in files:
        assert peak(data) + len(data) < 10 * len(data) + 2**21


def test_nothing_else_is_opened_or_imported(tmp_path: Any) -> None:
    """Of what a file names, nothing is looked for."""
    import sys

    path = mutations.GOLDEN / "tabular_classifier.safetensors"
    load_model(path)
    seen: list[tuple[str, Any]] = []
    active = True

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if active and event in ("open", "import", "exec", "compile", "os.system"):
            seen.append((event, arguments[0]))

    sys.addaudithook(hook)
    try:
        load_model(path)
    finally:
        active = False  # a hook stays for good
    assert [each for each in seen if each[0] == "open"] == [("open", str(path))]
    assert not [each for each in seen if each[0] != "open"]
