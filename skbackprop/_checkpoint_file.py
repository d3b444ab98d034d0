"""The file of a checkpoint: what stands in it, and reading it without trust.

The layout is that of a model file, with one tree, ``checkpoint``: what the fit is, its
``max_iter``, the random stream that it began with, and every network's state or result.
"""

from __future__ import annotations

import json
from typing import Any

from ._plain import Reader, Unwritable, Writer
from ._safetensors import layout, parse, refuse, strict_json
from ._value_checks import (
    Wrong,
    array,
    count,
    each,
    mapping,
    maybe,
    need,
    random_stream,
    real,
)
from ._version import __version__

_FORMAT, _FORMAT_VERSION = "skbackprop-checkpoint", "1"
_FLOATS = "float32 float64"
_HISTORY = mapping(
    loss=real(),
    loss_curve=each(real()),
    best_loss=real(),
    validation_scores=each(real()),
    best_validation_score=real(),
    reductions=count(most=400),
    **dict.fromkeys(("no_improvement", "t", "n_iter"), count()),
)
_BEST = mapping(
    theta=array(_FLOATS, ""),
    steps=count(),
    moments=maybe(array(_FLOATS, "", "")),
    stream=maybe(random_stream),
    epochs=count(),
    scores=count(),
)
#: What ``State.as_plain`` gives.
STATE = mapping(
    theta=array(_FLOATS, ""),
    moments=array(_FLOATS, "", ""),
    steps=count(),
    learning_rate=real(above=0, finite=True),
    random_state=random_stream,
    order=array("int64", "", least=0),
    history=_HISTORY,
    best=maybe(_BEST),
)


def _identity(value: Any, sizes: Any) -> None:
    need(type(value) is dict, "a dict")
    need(all(type(text) is str for text in value.values()), "a dict of strings")


def _members(value: Any, sizes: Any) -> None:
    names = type(value) is dict and all(type(n) is str and len(n) < 9 for n in value)
    need(names and all(map(str.isdecimal, value)), "a dict by numbers")
    for member in value.values():
        kinds = type(member) is dict and len(member) == 1 and [*member]
        need(kinds in (["state"], ["result"]), "a dict of states and results")
        need(type(member[kinds[0]]) is dict, "a dict of dicts")


_KEPT = mapping(
    identity=_identity, max_iter=count(1), stream=random_stream, members=_members
)


def checkpoint_pieces(kept: dict[str, Any]) -> list[Any]:
    writer = Writer()
    try:
        tree = writer.tree(kept, "checkpoint")
    except Unwritable as error:
        raise OSError(f"it holds {error}") from None
    metadata = {
        "format": _FORMAT,
        "format_version": _FORMAT_VERSION,
        "skbackprop_version": __version__,
        "checkpoint": json.dumps(tree, allow_nan=False),
    }
    return [*layout(metadata, writer.all_arrays())]


def read_checkpoint(data: bytes) -> dict[str, Any]:
    """What a checkpoint holds; raises ModelFormatError."""
    metadata, arrays = parse(data)
    if metadata.get("format") != _FORMAT:
        model = metadata.get("format") == "skbackprop"
        refuse("it is a model file" if model else "it does not say that it is one")
    if metadata.get("format_version") != _FORMAT_VERSION:
        refuse("it is of another version of the format")
    reader = Reader(arrays)
    tree = strict_json(metadata.get("checkpoint", ""), len(data))
    kept = reader.value(tree)
    reader.finish()
    try:
        _KEPT(kept, {})
    except Wrong as wrong:
        refuse(f"it is no {wrong}")
    kept["members"] = {int(n): member for n, member in kept["members"].items()}
    return kept
