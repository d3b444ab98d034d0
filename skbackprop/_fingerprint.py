"""What makes a fit the one it is: data and parameters, as text and digests."""

from __future__ import annotations

import hashlib
import pickle
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from ._version import __version__

if TYPE_CHECKING:
    from .core.engine import Table

#: Parameters that do not change what a fit gives, as far as it goes.
_FREE = ("n_jobs", "verbose", "time_limit", "max_iter")


def fingerprint(estimator: Any, given: Any, validating: Any = None) -> dict[str, str]:
    """What makes a fit the one it is, by names that a user knows.

    Numbers of the rows stand as digests, parameters as text. Rows that validate are
    left out where they are among those given.
    """
    parameters = {
        name: _text(value)
        for name, value in estimator.get_params(deep=False).items()
        if name not in _FREE
    }
    data = digests(given)
    # What the numbers of the table were before they were scaled and coded.
    learnt = ("classes_", "target_mean_", "target_scale_")
    found = [getattr(estimator, name) for name in learnt if hasattr(estimator, name)]
    data["y"] += digest(*(np.array(each, dtype=str) for each in found))
    encoder = getattr(estimator, "encoder_", None)
    if encoder is not None:
        text = repr(encoder.categories_)
        data["X"] += digest(encoder.center_, encoder.scale_, np.array(text))
    if validating is not None and validating is not given:
        data |= digests(validating, "_val")
    return {
        **parameters,
        **data,
        "the estimator": type(estimator).__name__,
        "the version of skbackprop": __version__,
    }


def _text(value: Any) -> str:
    """A parameter as text: the same for equal ones, in another process too."""
    if isinstance(value, np.random.RandomState):
        state = value.get_state(legacy=False)
        check_stream(value)
        return f"a RandomState at {digest(*state['state'].values(), state['gauss'])}"
    if hasattr(value, "__array__"):
        value = np.asarray(value).tolist()  # whose text leaves nothing out
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_text, value))}]"
    if isinstance(value, dict):
        items = (f"{_text(key)}: {_text(each)}" for key, each in value.items())
        return f"{{{', '.join(items)}}}"
    if isinstance(value, Real) and not isinstance(value, bool | np.bool_):
        return repr(int(value)) if value == value // 1 else repr(float(value))
    if isinstance(value, type | np.dtype):
        return repr(np.dtype(value).name)
    if not callable(value):
        return repr(value.item() if isinstance(value, np.generic) else value)
    try:
        pickled = pickle.dumps(value, protocol=4)
    except Exception:
        raise ValueError(
            f"A fit with a checkpoint must be known again by another process, and "
            f"{value!r:.80} would not be: give a function of a module."
        ) from None
    return (
        f"{getattr(value, '__qualname__', type(value).__qualname__)}, {digest(pickled)}"
    )


def check_stream(stream: np.random.RandomState) -> None:
    kind = stream.get_state(legacy=False)["bit_generator"]
    if kind != "MT19937":
        raise ValueError(
            "A checkpoint keeps the random stream of a RandomState of MT19937, as "
            f"numpy.random.RandomState(seed) is one. Got one of {kind}."
        )


def digests(given: Any, suffix: str = "") -> dict[str, str]:
    """SHA-256 of the numbers of a table, by what a user calls them."""
    table: Table = given.table
    X: tuple[Any, ...] = (table.X,)
    if table.sparse:
        X = (table.data, table.indices, table.indptr, table.n_columns)
    y = (table.labels, table.Y)
    weights = (table.sample_weight, np.array(given.exponent))
    parts = {"X": X, "y": y, "sample_weight": weights}
    return {f"{name}{suffix}": digest(*each) for name, each in parts.items()}


def digest(*arrays: Any) -> str:
    """SHA-256 of arrays, their types and shapes."""
    sha = hashlib.sha256()
    for each in arrays:
        if isinstance(each, bytes):
            each = np.frombuffer(each, np.uint8)
        array = np.ascontiguousarray(each)
        sha.update(f"{array.dtype.str}{array.shape}".encode())
        sha.update(array.reshape(-1).view(np.uint8).data)
    return sha.hexdigest()
