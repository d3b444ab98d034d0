"""The safetensors layout: a header of JSON, and arrays one after another.

Eight bytes hold the length of the header, little-endian. The header names each array's
type, shape and place, and maps strings to strings under ``__metadata__``; the arrays
follow without a gap. Whatever departs from that is refused, and no size is believed
that the file does not have.  (https://huggingface.co/docs/safetensors)
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

import numpy as np

from ._layers import Array

_DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "|i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "|u1",
    "BOOL": "|b1",
}
_NAMES = {np.dtype(code): name for name, code in _DTYPES.items()}
_METADATA = "__metadata__"
_MOST_DEPTH = 64
# None of its parts gives back what it has read, so that a scan is linear.
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[][{}]', re.DOTALL)


class ModelFormatError(ValueError):
    """A file is not what it says it is: no model, a damaged one, or a later format."""


def refuse(what: str) -> NoReturn:
    raise ModelFormatError(what)


def dtype_name(dtype: np.dtype[Any]) -> str | None:
    """The layout's name of a type, None where it has none."""
    return _NAMES.get(dtype.newbyteorder("<"))


def layout(metadata: Mapping[str, str], arrays: Mapping[str, Array]) -> Iterator[Any]:
    """The bytes of a file, in pieces: a header and each array's."""
    # The widest types first, so that every array is aligned to its own.
    order = sorted(arrays, key=lambda name: (-arrays[name].dtype.itemsize, name))
    entries: dict[str, Any] = {_METADATA: dict(metadata)}
    at = 0
    for name in order:
        array = arrays[name]
        entries[name] = {
            "dtype": dtype_name(array.dtype),
            "shape": list(array.shape),
            "data_offsets": [at, at + array.nbytes],
        }
        at += array.nbytes
    header = json.dumps(entries, separators=(",", ":"), ensure_ascii=False)
    encoded = header.encode("utf-8")
    encoded += b" " * (-len(encoded) % 8)
    yield len(encoded).to_bytes(8, "little") + encoded
    for name in order:
        array = np.ascontiguousarray(arrays[name])
        yield array.astype(array.dtype.newbyteorder("<"), copy=False).data


def parse(data: bytes) -> tuple[dict[str, str], dict[str, Array]]:
    """Metadata and arrays of a file; the arrays are copies, in the machine's order."""
    if len(data) < 8:
        refuse(f"the file has {len(data)} bytes, too few for a header")
    length = int.from_bytes(data[:8], "little")
    if length > len(data) - 8:
        refuse("the header is longer than the file")
    header = strict_json(data[8 : 8 + length], len(data))
    if not isinstance(header, dict):
        refuse("the header is no object of JSON")
    metadata = header.pop(_METADATA, {})
    if not isinstance(metadata, dict) or not all(
        isinstance(value, str) for value in metadata.values()
    ):
        refuse("the metadata are not strings by name")
    body = memoryview(data)[8 + length :]
    entries = [(name, *_entry(name, entry)) for name, entry in header.items()]
    # An array without elements comes before one that begins where it does.
    entries.sort(key=lambda each: each[3:])
    arrays, at = {}, 0
    for name, dtype, shape, start, stop in entries:
        if start != at or stop > len(body):
            refuse(
                f"the array {name!r:.60} does not begin where the one before it ends"
            )
        # Without its zeros, which would make a size of nothing of any others.
        if math.prod(n or 1 for n in shape) > 2**60:
            refuse(f"the array {name!r:.60} has a shape beyond all memory")
        if math.prod(shape) * dtype.itemsize != stop - start:
            refuse(f"the array {name!r:.60} has not the bytes that its shape asks for")
        flat = np.frombuffer(body[start:stop], dtype)
        if dtype.kind == "b" and flat.view(np.uint8).max(initial=0) > 1:
            refuse(f"the array {name!r:.60} holds a byte that is no boolean")
        native = dtype.newbyteorder("=")
        arrays[name] = flat.astype(native).reshape(shape)
        at = stop
    if at != len(body):
        refuse(f"{len(body) - at} bytes belong to no array")
    return metadata, arrays


def _entry(name: str, entry: Any) -> tuple[np.dtype[Any], tuple[int, ...], int, int]:
    """Type, shape, start and stop of an array, as the header has them."""
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        refuse(f"the array {name!r:.60} has no dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        refuse(f"the array {name!r:.60} has the unknown type {dtype!r:.40}")
    for numbers in shape, offsets:
        if not isinstance(numbers, list) or not all(map(_is_count, numbers)):
            refuse(f"shape and place of the array {name!r:.60} are not whole numbers")
    if len(offsets) != 2 or len(shape) > 8 or offsets[0] > offsets[1]:
        refuse(f"the array {name!r:.60} has no shape or no place")
    return np.dtype(_DTYPES[dtype]), tuple(shape), offsets[0], offsets[1]


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


def strict_json(text: bytes | str, n_bytes: int) -> Any:
    """A value of JSON: no name twice, no number that is none, nothing too deep.

    ``n_bytes`` is the length of the file, by which its memory is bounded.
    """
    try:
        encoded = text.encode("utf-8") if isinstance(text, str) else text
        _check_size(encoded, n_bytes)
        return json.loads(
            encoded.decode("utf-8"),
            object_pairs_hook=_object,
            parse_float=_float,
            parse_constant=lambda name: refuse(f"{name} is no number of JSON"),
        )
    except ModelFormatError:
        raise
    except (ValueError, RecursionError) as error:
        # Also where it is no UTF-8, and of integers of thousands of digits.
        raise ModelFormatError(f"the header is no JSON: {error!s:.200}") from None


def _check_size(encoded: bytes, n_bytes: int) -> None:
    """Refuse text whose values would take far more memory than the file has bytes.

    By what CPython takes for a list or object, half a string, a name with its place in
    an object, and a number: a file of a model has little of them beside its arrays.
    """
    costs = {b"[": 72, b"{": 72, b'"': 36, b":": 230, b",": 40}
    size = sum(cost * encoded.count(token) for token, cost in costs.items())
    if size > 7 * n_bytes + 2**20:
        refuse("the header has more values than a file of its size may have")
    depth = 0
    for token in _TOKEN.finditer(encoded):
        first = token[0][:1]
        depth += 1 if first in b"[{" else -1 if first in b"]}" else 0
        if depth > _MOST_DEPTH:
            refuse("the header is too deeply nested")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            refuse(f"the name {name!r:.40} stands twice in an object of JSON")
        found[name] = value
    return found


def _float(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else refuse(f"{text:.40} is too large")
