"""Plain values as a tree of JSON and arrays beside it, and back.

A value is None, a boolean, number, string, bytes or decimal; an array; a list, tuple or
dict of values; or a ``RandomState``. What JSON has stands in the tree as it is; every
object of JSON there has one name, which tells what it is. Scalars of a list go to one
pool for all lists, so that neither thousands of categories nor a crafted tree take more
memory than a file has bytes, a few times over.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np

from ._layers import Array
from ._safetensors import ModelFormatError, dtype_name, refuse
from ._value_checks import hashes_differ

_POOL = ("values.kind", "values.end", "values.text")
#: How a value of the pool is written, by its kind's number.
_KINDS = (type(None), str, int, float, bool, bytes, Decimal)
_STREAM_WORDS = 624


class Unwritable(TypeError):
    """A value that no file can hold."""


class Writer:
    """Values on their way into a tree and arrays."""

    def __init__(self) -> None:
        self.arrays: dict[str, Array] = {}
        self._kinds: list[int] = []
        self._ends: list[int] = []
        self._texts: list[bytes] = []
        self._at = 0

    def tree(self, value: Any, name: str) -> Any:
        """What stands for a value; its arrays are called by ``name``."""
        if isinstance(value, np.generic):
            value = value.item()
        if type(value) is float and not math.isfinite(value):
            return {"float": repr(value)}
        if value is None or type(value) in (bool, int, float, str):
            return value
        if type(value) in _KINDS:
            return {"values": self._pooled([value])}
        if isinstance(value, np.random.RandomState):
            return {"stream": self._stream(value, name)}
        if isinstance(value, np.ndarray):
            return self._array(value, name)
        if isinstance(value, dict):
            if all(type(key) is str for key in value):
                items = value.items()
                return {"dict": {k: self.tree(v, f"{name}.{k}") for k, v in items}}
            keys, values = [*value], [*value.values()]
            trees = self.tree(keys, f"{name}.keys"), self.tree(values, name)
            return {"pairs": [*trees]}
        if isinstance(value, list | tuple):
            kind = "list" if isinstance(value, list) else "tuple"
            return {kind: self._items(value, name)}
        raise Unwritable(f"{value!r:.80}, of type {type(value).__name__}")

    def _items(self, items: Iterable[Any], name: str) -> Any:
        items = [v.item() if isinstance(v, np.generic) else v for v in items]
        types = set(map(type, items))
        if items and types == {float}:
            return self._array(np.array(items), name)
        if types and types <= set(_KINDS):
            return {"values": self._pooled(items)}
        return [self.tree(value, f"{name}.{i}") for i, value in enumerate(items)]

    def _array(self, array: Array, name: str) -> Any:
        if array.dtype.kind in "UO":
            flat = array.ravel().tolist()
            plain = array.dtype.kind == "U" and not _are_uneven(flat)
            kind = "str" if plain else "object"
            return {kind: [list(array.shape), self._items(flat, name)]}
        if dtype_name(array.dtype) is None:
            raise Unwritable(f"an array of {array.dtype}")
        while name in self.arrays:
            name += "_"
        self.arrays[name] = array
        return {"array": name}

    def _stream(self, stream: np.random.RandomState, name: str) -> Any:
        state = stream.get_state(legacy=False)
        if state["bit_generator"] != "MT19937":
            raise Unwritable(f"a RandomState of {state['bit_generator']}")
        words = state["state"]["key"].astype(np.uint32)
        gauss = float(state["gauss"]) if state["has_gauss"] else None
        return [
            self._array(words, name),
            int(state["state"]["pos"]),
            self.tree(gauss, name),
        ]

    def _pooled(self, items: list[Any]) -> list[int]:
        start = len(self._kinds)
        for item in items:
            text = _text(item)
            self._at += len(text)
            self._kinds.append(_KINDS.index(type(item)))
            self._ends.append(self._at)
            self._texts.append(text)
        return [start, len(self._kinds)]

    def all_arrays(self) -> dict[str, Array]:
        """Those of the values, and the pool."""
        pool = (
            np.array(self._kinds, np.uint8),
            np.array(self._ends, np.int64),
            np.frombuffer(b"".join(self._texts) + b"\0", np.uint8)[:-1],
        )
        return self.arrays | dict(zip(_POOL, pool, strict=True))


class Reader:
    """Values on their way back; each array and each value of the pool is used once."""

    def __init__(self, arrays: dict[str, Array]) -> None:
        self.arrays = dict(arrays)
        kinds, ends, text = (self._take(name) for name in _POOL)
        if (kinds.dtype, ends.dtype, text.dtype) != (np.uint8, np.int64, np.uint8):
            refuse("the pool of values has the wrong types")
        if not kinds.ndim == ends.ndim == text.ndim == 1 or len(kinds) != len(ends):
            refuse("the pool of values has the wrong shape")
        starts = np.concatenate([[0], ends])
        # Compared, since differences may wrap around.
        if (starts[1:] < starts[:-1]).any() or starts[-1] != len(text):
            refuse("the values of the pool do not follow one another")
        if kinds.max(initial=0) >= len(_KINDS):
            refuse("the pool of values has an unknown kind")
        self._kinds, self._starts, self._text = kinds, starts, text.tobytes()
        self._at = 0

    def value(self, tree: Any) -> Any:
        """The value that a tree stands for."""
        if not isinstance(tree, dict):
            if isinstance(tree, list):
                refuse("a list of the tree does not say what it is")
            return tree
        if len(tree) != 1:
            refuse("an object of the tree has not one name")
        ((kind, held),) = tree.items()
        if kind in ("list", "tuple"):
            items = self._items(held)
            return items if kind == "list" else tuple(items)
        if kind == "dict" and isinstance(held, dict):
            return {name: self.value(each) for name, each in held.items()}
        if kind == "pairs" and isinstance(held, list) and len(held) == 2:
            return self._pairs(*map(self.value, held))
        if kind == "float" and held in ("nan", "inf", "-inf"):
            return float(held)
        if kind == "values":
            items = self._pooled(held)
            return items[0] if len(items) == 1 else refuse("a value is not one")
        if kind == "array":
            return self._take(held)
        if kind in ("str", "object") and isinstance(held, list):
            if len(held) == 2:
                return self._objects(kind, *held)
        if kind == "stream" and isinstance(held, list) and len(held) == 3:
            return self._stream(*held)
        return refuse(f"{kind!r:.40} is no kind of value, or not so")

    def finish(self) -> None:
        """Refuse what nothing has asked for."""
        if self.arrays:
            refuse(f"the array {min(self.arrays)!r} is of nothing")
        if self._at != len(self._kinds):
            refuse("values of the pool are of nothing")

    def _take(self, name: Any) -> Array:
        if not isinstance(name, str) or name not in self.arrays:
            refuse(f"there is no array {name!r:.40}, or it stands for two things")
        return self.arrays.pop(name)

    def _items(self, held: Any) -> list[Any]:
        if isinstance(held, list):
            return [self.value(each) for each in held]
        if isinstance(held, dict) and "values" in held and len(held) == 1:
            return self._pooled(held["values"])
        array = self.value(held)
        floats = isinstance(array, np.ndarray) and array.dtype == np.float64
        if not floats or array.ndim != 1:  # Python's floats are no wider
            refuse("a list is no list")
        return array.tolist()

    def _pairs(self, keys: Any, values: Any) -> dict[Any, Any]:
        if not isinstance(keys, list) or not isinstance(values, list):
            refuse("pairs of keys and values are not lists")
        try:
            if not hashes_differ(keys):
                refuse("keys share their hashes")
            found = dict(zip(keys, values, strict=True))
        except ModelFormatError:
            raise
        except (TypeError, ValueError):
            refuse("keys and values are not pairs")
        return found if len(found) == len(keys) else refuse("a key stands twice")

    def _objects(self, kind: str, first: Any, held: Any) -> Array:
        """An array of strings or of objects."""
        items = self._items(held)
        if not set(map(type, items)) <= set(_KINDS):
            refuse("an array holds what is no value of its own")
        if not isinstance(first, list) or not all(
            type(n) is int and 0 <= n <= len(items) for n in first
        ):
            refuse("an array of strings has no shape")
        if len(first) > 8 or math.prod(first) != len(items):
            refuse("an array of strings has not as many as its shape asks for")
        if kind == "str":
            if not all(type(each) is str for each in items):
                refuse("an array of strings holds something else")
            if any(each.endswith("\0") for each in items) or _are_uneven(items):
                refuse("an array of strings holds what an array of objects is for")
            return np.array(items, dtype="U").reshape(first)
        array = np.empty(len(items), dtype=object)
        array[:] = items
        return array.reshape(first)

    def _stream(self, words: Any, pos: Any, gauss: Any) -> np.random.RandomState:
        key, gauss = self.value(words), self.value(gauss)
        if not isinstance(key, np.ndarray) or key.dtype != np.uint32:
            refuse("the words of a random stream are none")
        if key.shape != (_STREAM_WORDS,) or not key.any():
            refuse("the words of a random stream are not as many as they must be")
        if type(pos) is not int or not 0 <= pos <= _STREAM_WORDS:
            refuse("a random stream is at no word of its own")
        if gauss is not None and type(gauss) is not float:
            refuse("the normal number kept by a random stream is none")
        stream = np.random.RandomState(0)
        stream.set_state(("MT19937", key, pos, int(gauss is not None), gauss or 0.0))
        return stream

    def _pooled(self, held: Any) -> list[Any]:
        if not isinstance(held, list) or len(held) != 2:
            refuse("a list of the pool has no start and stop")
        start, stop = held
        # One after another, so that no value is made twice.
        if not (type(start) is type(stop) is int) or start != self._at or stop < start:
            refuse("lists of the pool do not follow one another")
        if stop > len(self._kinds):
            refuse("a list of the pool goes beyond its end")
        self._at = stop
        places = self._starts[start : stop + 1].tolist()
        kinds = self._kinds[start:stop].tolist()
        return [
            _scalar(kind, self._text[places[i] : places[i + 1]])
            for i, kind in enumerate(kinds)
        ]


def _are_uneven(strings: list[str]) -> bool:
    """Whether an array in which all have the width of the longest is mostly empty."""
    n, widths = len(strings), [*map(len, strings)]
    return max(widths, default=0) * n > 64 + 2 * (sum(widths) + 9 * n)


def _text(value: Any) -> bytes:
    """How a value of the pool is written."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        # A lone surrogate, as of a file name, has no UTF-8 of its own.
        return value.encode("utf-8", "surrogatepass")
    if value is None:
        return b""
    try:
        return str(value).encode("ascii")
    except ValueError as error:  # of an integer of thousands of digits
        raise Unwritable("an int of thousands of digits") from error


def _scalar(kind: int, text: bytes) -> Any:
    """The value that has been written so, and in no other way."""
    of, value = _KINDS[kind], None
    try:
        if of is bytes:
            return text
        if of is str:
            return text.decode("utf-8", "surrogatepass")
        written = text.decode("ascii")
        if of is bool:
            value = {"True": True, "False": False}[written]
        elif of is not type(None):
            value = of(written)
    except (ValueError, KeyError, InvalidOperation):
        refuse(f"{text[:40]!r} is not a {of.__name__}")
    if _text(value) != text:
        refuse(f"{text[:40]!r} is not how a {of.__name__} is written")
    return value
