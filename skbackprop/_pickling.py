"""Pickles hold plain values, under the names of ``_description``, and a version."""

from __future__ import annotations

from inspect import signature
from typing import Any

from sklearn.base import BaseEstimator

from ._version import __version__
from ._warn import warn_user

#: Of what wrote a pickle, among its attributes.
VERSION = "_skbackprop_version"


class Pickled(BaseEstimator):
    """An estimator that leaves the process as plain values, and comes back so."""

    def _to_plain(
        self, state: dict[str, Any], training_state: bool | None = None
    ) -> dict[str, Any]:
        """Attributes in which compiled objects have become plain values.

        With what a later call goes on from where ``training_state`` asks for it; None:
        where such a call is likely.
        """
        return state

    def _from_plain(self, state: dict[str, Any]) -> None:
        """Take attributes as ``_to_plain`` has made them, here or in 0.1.0."""
        for name, parameter in signature(type(self)).parameters.items():
            if name not in state and name not in self.__dict__:
                state[name] = parameter.default  # of a version that did not have it
        self.__dict__.update(state)

    def _check_restored(self) -> None:
        """Raise ValueError where attributes from a file do not belong together."""

    def __getstate__(self) -> dict[str, Any]:
        state = self._to_plain(dict(super().__getstate__()))
        state[VERSION] = __version__
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        version = state.pop(VERSION, None)
        if version != __version__:
            by = "an earlier skbackprop" if version is None else f"skbackprop {version}"
            warn_user(
                f"A {type(self).__name__} that {by} pickled is read by skbackprop "
                f"{__version__}: results may differ.",
            )
        self._from_plain(state)
