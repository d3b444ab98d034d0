"""A fitted ensemble as an estimator: what its networks say, and its pickling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted, validate_data

from .._description import ensemble_links
from .._evaluation import make_table, predict
from .._features import as_numpy
from .._hidden import HiddenFeatures, hidden_part
from .._layers import Array, as_plain, from_plain
from .._pickling import Pickled
from ._bins import to_positions
from ._columns import read_columns
from ._embeddings import embeddings_of


class FittedEnsemble(HiddenFeatures, Pickled):
    """What an estimator of several networks is once it has been fitted."""

    def _positions(self, matrix: Array) -> Array:
        """The encoder's matrix as the networks read it, in its own place."""
        to_positions(matrix, self._edges)
        # Where all columns say nothing, networks learn a constant.
        return matrix if matrix.shape[1] else np.zeros((len(matrix), 1), np.float32)

    def _matrix(self, X: Any, called: str = "X") -> Array:
        """X as the networks read it, its shape and names checked."""
        columns = read_columns(X, self, called)
        validate_data(self, columns.source, reset=False, skip_check_array=True)
        return self._positions(self.encoder_._encode(columns))

    def _averaged(
        self, X: Any, transform: Callable[[Array], Array], add: Callable[..., Array]
    ) -> tuple[Array, int]:
        """The sum, by ``add``, of what transform makes of every network's Z_J."""
        check_is_fitted(self, "_bag")
        topology, thetas = self._bag
        table = make_table(self._matrix(as_numpy(X, "X")), dtype=np.float32)
        total: Array | None = None
        for theta in thetas:
            outputs = predict(
                topology,
                theta,
                table,
                raw=True,
                transform=transform,
                n_jobs=self.n_jobs,
            )
            total = outputs if total is None else add(total, outputs, out=total)
        assert total is not None  # an ensemble has a network at least
        return total, len(thetas)

    @property
    def _n_features_out(self) -> int:
        check_is_fitted(self, "_bag")
        topology, thetas = self._bag
        return int(topology.sizes[-2]) * len(thetas)

    def _hidden(self, X: Any) -> Array:
        check_is_fitted(self, "_bag")
        topology, thetas = self._bag
        table = make_table(self._matrix(as_numpy(X, "X")), dtype=np.float32)
        parts = [hidden_part(topology, theta) for theta in thetas]
        return np.hstack([predict(*each, table, n_jobs=self.n_jobs) for each in parts])

    @property
    def embedding_(self) -> dict[str, Any]:
        """What networks have learnt of categories: a frame for each column of codes.

        A row for each category, before them ``None`` for an unknown one and, where
        ``fit`` saw any, after them NaN for a missing one; a column for each number of
        each network (E2). Rows begin at random, and networks turn their spaces as they
        like: single columns mean nothing.
        """
        check_is_fitted(self, "_bag")
        return embeddings_of(self)

    # Pickling ----------------------------------------------------------------

    def _to_plain(
        self, state: dict[str, Any], training_state: bool | None = None
    ) -> dict[str, Any]:
        if state.get("_bag") is not None:
            state.pop("_edges", None)  # the embeddings have them
            topology, thetas = state["_bag"]
            state["_bag"] = {"topology": as_plain(topology), "thetas": thetas}
        return state

    def _from_plain(self, state: dict[str, Any]) -> None:
        bag = state.get("_bag")
        if isinstance(bag, dict):  # in 0.1.0 it was the objects themselves
            bag = from_plain(bag["topology"]), bag["thetas"]
        if bag is not None:
            state |= {"_bag": bag, "_edges": bag[0].embeddings.edges}
        super()._from_plain(state)

    def _check_restored(self) -> None:
        topology, thetas = self._bag
        ensemble_links(self.__dict__, topology)
        if any(len(theta) != topology.n_parameters for theta in thetas):
            raise ValueError(f"Each theta must have {topology.n_parameters} numbers.")

    def __sklearn_is_fitted__(self) -> bool:
        return "_bag" in self.__dict__

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
