"""A fitted network as an estimator: its parameters, prediction and pickling."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
from sklearn.base import is_regressor
from sklearn.utils.validation import check_is_fitted

from ._evaluation import (
    FEW_ROWS,
    NotFinite,
    make_table,
    predict_few,
    predict_rows,
    unchanged,
)
from ._features import as_numpy, checked_features
from ._fitted import FittedParameters
from ._hidden import FAR_BELOW, HiddenFeatures, hidden_part, input_gradients
from ._inputs import Targets
from ._layers import OUTPUT_ACTIVATIONS, Array, make_topology
from ._pickling import Pickled
from ._snapshot import reads_at_once
from ._state import Continuation
from ._targets import shaped
from .core.activations import Activation
from .core.topology import Topology


class FittedMLP(HiddenFeatures, Pickled):
    """What an estimator of one network is once it has been fitted."""

    def _loss_name(self) -> str:
        """The loss of the network, as far as its output tells."""
        raise NotImplementedError

    def _probe(self, targets: Targets, topology: Topology) -> Any:
        """An estimator of ours, as if fitted; its parameters are set later."""
        probe = type(self).__new__(type(self))
        probe.__dict__.update(self.__dict__)
        probe._describe(topology, targets)
        return probe

    def _describe(self, topology: Topology, targets: Targets) -> None:
        """What of the network the parameters themselves do not tell."""
        kinds = topology.activations[:-1]
        self._hidden_activations = [Activation(kind).name.lower() for kind in kinds]
        self.out_activation_ = targets.output_activation
        self.n_outputs_ = targets.n_outputs
        self.n_layers_ = topology.n_layers + 1

    def _set_parameters(self, topology: Topology, theta: Array) -> None:
        self._theta = FittedParameters(topology, theta, self.out_activation_)
        self.coefs_, self.intercepts_ = self._theta.coefs, self._theta.intercepts

    def _topology(self) -> Topology:
        """The fitted network's shape, from the arrays that are the truth."""
        self._check_lists()
        coefs = [np.asarray(W) for W in self.coefs_]
        if any(W.ndim != 2 for W in coefs) or coefs[-1].shape[1] != self.n_outputs_:
            raise ValueError(
                "coefs_ must be a list of two-dimensional arrays, the last with "
                f"{self.n_outputs_} columns. Got shapes {[W.shape for W in coefs]}."
            )
        hidden = len(coefs) - 1
        names = self._hidden_activations
        if len(names) != hidden:
            raise ValueError(
                f"coefs_ must have one array for each of the {len(names) + 1} layers. "
                f"Got {len(coefs)}."
            )
        sizes = (len(coefs[0]), *(W.shape[1] for W in coefs))
        output, allowed = self.out_activation_, [*OUTPUT_ACTIVATIONS]
        if is_regressor(self):
            allowed.remove("softmax")
        if not isinstance(output, str) or output not in allowed:
            raise ValueError(
                f"out_activation_ must be one of {sorted(allowed)}. Got {output!r}."
            )
        return make_topology(sizes, names, output, self._loss_name())

    def _current(self, topology: Topology) -> FittedParameters:
        """Theta; gathered anew where coefs_ or intercepts_ have been assigned."""
        known, dtype = self._known(), self._model_dtype()
        if known is not None:
            return known
        coefs, intercepts = self.coefs_, self.intercepts_
        return FittedParameters.gathered(topology, coefs, intercepts, dtype)

    def _known(self) -> FittedParameters | None:
        """Theta, while coefs_ and intercepts_ hold its views."""
        known: FittedParameters | None = self.__dict__.get("_theta")
        if known is None or not known.are(self.coefs_, self.intercepts_):
            return None
        return known

    def _check_fitted(self) -> None:
        """scikit-learn's check, where it is not plain at a glance."""
        if "_theta" not in self.__dict__:
            check_is_fitted(self)

    def _check_lists(self) -> None:
        for name in ("coefs_", "intercepts_"):
            value = getattr(self, name)
            if not isinstance(value, list | tuple) or not value:
                raise ValueError(f"{name} must be a list of arrays. Got {value!r}.")

    def _model_dtype(self) -> np.dtype[Any]:
        """The type of the arithmetic: that of coefs_, in the machine's byte order."""
        self._check_lists()
        single = np.asarray(self.coefs_[0]).dtype == np.float32
        return np.dtype(np.float32 if single else np.float64)

    def _outputs(
        self,
        X: Any,
        *,
        raw: bool = False,
        transform: Callable[[Array], Array] = unchanged,
    ) -> Array:
        """What transform makes of A_J of every row of X, or of Z_J where raw."""
        self._check_fitted()
        known = self._known()
        if known is not None and self._needs_no_validation(X, known):
            topology, theta = known.topology, known.theta
            if len(X) > FEW_ROWS:
                with suppress(NotFinite):  # validation tells which, and how
                    return predict_rows(
                        topology,
                        theta,
                        X,
                        raw=raw,
                        transform=transform,
                        n_jobs=self.n_jobs,
                        check=True,
                    )
            elif known.is_finite(X):
                return transform(predict_few(topology, theta, X, raw))
        X, topology, theta = self._checked(X)
        return predict_rows(
            topology, theta, X, raw=raw, transform=transform, n_jobs=self.n_jobs
        )

    def _checked(self, X: Any) -> tuple[Any, Topology, Array]:
        """X after validation, and the network as it is now."""
        X = as_numpy(X, "X")
        X = checked_features(self, X, dtype="numeric", order=None, reset=False)
        topology = self._topology()
        if topology.sizes[0] != X.shape[1]:
            raise ValueError(
                f"coefs_[0] must have {X.shape[1]} rows, one per feature. "
                f"Got {topology.sizes[0]}."
            )
        return X, topology, self._current(topology).theta

    @property
    def _n_features_out(self) -> int:
        return int(self._topology().sizes[-2])

    def _hidden(self, X: Any) -> Array:
        self._check_fitted()
        X, topology, theta = self._checked(X)
        return predict_rows(*hidden_part(topology, theta), X, n_jobs=self.n_jobs)

    @reads_at_once
    def input_gradient(self, X: Any) -> Array:
        """How what the model says of a row changes with each of its inputs.

        Of a regressor the derivatives of ``predict``, quantiles before they are put in
        order; of a classifier those of ``decision_function``.  (B5)

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        gradient : ndarray of shape (n_samples, n_features) or \
                (n_samples, n_outputs, n_features)
            The shape of what is differentiated, and the inputs along the last axis.
            At the kink of a ReLU it is one of both sides.

        Raises
        ------
        ValueError
            Where X is not allowed.
        """
        self._check_fitted()
        X, topology, theta = self._checked(X)
        far = np.full((X.shape[0], 1), FAR_BELOW, theta.dtype)
        table = make_table(X, Y=far, dtype=theta.dtype)
        found = input_gradients(topology, theta, table, not is_regressor(self))
        levels = getattr(self, "quantiles_", None)
        like = shaped(found[:, :, 0], 1 if levels is None else len(levels))
        return found.reshape(*like.shape, found.shape[2])

    def _needs_no_validation(self, X: Any, known: FittedParameters) -> bool:
        """Whether X is an array that validation would hand on as it is, if finite."""
        return (
            type(X) is np.ndarray
            and X.dtype == known.theta.dtype
            and X.ndim == 2
            and X.shape[1] == known.topology.n_columns == self.n_features_in_
            and self.out_activation_ is known.output
            and len(X) > 0
            and (flags := X.flags).c_contiguous
            and flags.aligned
            and "feature_names_in_" not in self.__dict__
        )

    # Pickling ----------------------------------------------------------------

    def _to_plain(
        self, state: dict[str, Any], training_state: bool | None = None
    ) -> dict[str, Any]:
        state.pop("_theta", None)
        past: Continuation | None = state.pop("_continuation", None)
        if past is not None:
            if training_state is None:
                training_state = bool(self.warm_start or state.get("_incremental"))
            # The split stays known, so that a warm fit trains on no row held out.
            kept = past if training_state else Continuation(past.split)
            state["_training_state"] = kept.as_dict()
        return state

    def _from_plain(self, state: dict[str, Any]) -> None:
        if "_training_state" in state:
            saved = state.pop("_training_state")
            state["_continuation"] = Continuation.from_dict(saved)
        super()._from_plain(state)
        if hasattr(self, "coefs_"):
            # Parameters that somebody has broken are for predict to complain of.
            with suppress(AttributeError, KeyError, TypeError, ValueError):
                self._settle()

    def _check_restored(self) -> None:
        self._settle()

    def _settle(self) -> None:
        """Make coefs_ and intercepts_ views of one theta, after they are checked."""
        topology = self._topology()
        self._set_parameters(topology, self._current(topology).theta)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        known = ["float64", "float32"] if self.dtype is None else [self.dtype]
        tags.transformer_tags.preserves_dtype = known
        return tags
