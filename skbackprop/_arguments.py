"""What ``Network`` is called with, checked."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import numpy.typing as npt

from ._evaluation import readable
from ._layers import LOSSES, OUTPUT_ACTIVATIONS, Array
from .core.activations import Activation
from .core.losses import canonical

_INT_MAX = 2**31 - 1


def numeric(name: str, value: Any, dtype: npt.DTypeLike) -> Array:
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} is not an array: {error}") from None
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name} must be numeric. Got dtype {array.dtype}.")
    if array.ndim == 0:
        raise ValueError(f"{name} must be an array. Got the number {value!r}.")
    return readable(name, array, dtype)


def checked_labels(Y: Any, n: int, q: int) -> Array:
    """Integer labels, also from one-hot rows."""
    array = np.asarray(Y)
    if array.shape == (n, q):
        if not (np.all((array == 0) | (array == 1)) and np.all(array.sum(axis=1) == 1)):
            raise ValueError("Y must have a single 1 in every row, and 0 elsewhere.")
        return array.argmax(axis=1)
    if array.shape != (n,) or array.dtype.kind not in "iu":
        raise ValueError(
            f"Y must hold integer labels of shape {(n,)} or one-hot rows of shape "
            f"{(n, q)}. Got shape {array.shape} and dtype {array.dtype}."
        )
    if array.min() < 0 or array.max() >= q:
        raise ValueError(
            f"Y must hold labels from 0 to {q - 1}. "
            f"Got labels from {array.min()} to {array.max()}."
        )
    # A copy: the engine takes labels for places, and the user may write to his.
    return array.astype(np.intc)


def check_range(loss: str, Y: Array) -> None:
    if loss == "binary_cross_entropy" and not np.all((Y >= 0) & (Y <= 1)):
        raise ValueError("Y must lie between 0 and 1 for binary_cross_entropy.")
    if loss == "poisson" and not np.all(Y >= 0):
        raise ValueError("Y must not be negative for poisson.")


def check_name(parameter: str, name: Any, allowed: dict[str, Any]) -> None:
    if not isinstance(name, str) or name not in allowed:
        raise ValueError(f"{parameter} must be among {sorted(allowed)}. Got {name!r}.")


def check_pair(loss: str, output_activation: str) -> None:
    softmax = Activation.SOFTMAX
    if (OUTPUT_ACTIVATIONS[output_activation] == softmax) != (
        canonical(LOSSES[loss]) == softmax
    ):
        raise ValueError(
            "output_activation='softmax' goes with loss='categorical_cross_entropy' "
            f"and with it alone. Got {output_activation!r} with {loss!r}."
        )


def checked_sizes(layer_sizes: Sequence[int]) -> list[int]:
    sizes = list(layer_sizes) if np.iterable(layer_sizes) else [layer_sizes]
    if len(sizes) < 2 or not all(
        isinstance(size, Integral)
        and not isinstance(size, bool)
        and 1 <= size <= _INT_MAX
        for size in sizes
    ):
        raise ValueError(
            f"layer_sizes must hold two or more integers from 1 to {_INT_MAX}: columns "
            f"of X, hidden layers, outputs. Got {layer_sizes!r}."
        )
    return [int(size) for size in sizes]


def per_layer(name: str, value: Any, kind: Any, length: int) -> list[Any]:
    """One value per layer, from one for all or a sequence."""
    if isinstance(value, kind):
        return [value] * length
    if (
        not isinstance(value, Sequence | np.ndarray)
        or len(value) != length
        or not all(isinstance(item, kind) for item in value)
    ):
        raise ValueError(
            f"{name} must be one value or a sequence of {length}. Got {value!r}."
        )
    return list(value)


def checked_parameters(values: Any) -> tuple[float, ...]:
    if not isinstance(values, Sequence | np.ndarray) or not all(
        isinstance(value, Real) and not isinstance(value, bool) for value in values
    ):
        raise ValueError(
            f"loss_parameters must be a sequence of numbers. Got {values!r}."
        )
    return tuple(float(value) for value in values)


def checked_dtype(dtype: npt.DTypeLike) -> np.dtype[Any]:
    try:
        result = np.dtype(dtype)
    except (TypeError, SyntaxError):
        result = None
    if result not in (np.float32, np.float64):
        raise ValueError(f"dtype must be float32 or float64. Got {dtype!r}.")
    return result


def checked_random_state(seed: Any) -> np.random.RandomState:
    if isinstance(seed, np.random.RandomState):
        return seed
    if seed is None or (isinstance(seed, Integral) and 0 <= seed < 2**32):
        return np.random.RandomState(seed)
    raise ValueError(
        "random_state must be None, a RandomState or an integer from 0 to 2**32 - 1. "
        f"Got {seed!r}."
    )
