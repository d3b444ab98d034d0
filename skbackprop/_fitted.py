"""Fitted parameters: theta, and the arrays that are its views.

A user may put another array into ``coefs_`` or ``intercepts_``: theta belongs to them
only while they hold the very views of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ._layers import Array, flatten, parameter_views
from .core import engine_of
from .core.topology import Topology


class FittedParameters:
    """Theta of a network and its views, whose identity says whether it is current.

    Attributes
    ----------
    topology : Topology
    theta : ndarray of shape (n_parameters,)
    coefs, intercepts : lists of views of theta
        For an estimator to hold; a layer without bias has zeros.
    output : str
        The name of the output activation, which a user may assign too.
    is_finite : callable
        The engine's, of theta's type.
    """

    def __init__(self, topology: Topology, theta: Array, output: str = "") -> None:
        self.topology, self.theta, self.output = topology, theta, output
        self.coefs, self.intercepts = parameter_views(topology, theta)
        self._views = (*self.coefs, *self.intercepts)
        self.is_finite: Callable[[Array], bool] = engine_of(theta.dtype).is_finite

    @classmethod
    def gathered(
        cls, topology: Topology, coefs: Any, intercepts: Any, dtype: np.dtype[Any]
    ) -> FittedParameters:
        """From arrays that a user has assigned, after their shapes are checked."""
        return cls(topology, flatten(topology, coefs, intercepts, dtype))

    def are(self, coefs: Any, intercepts: Any) -> bool:
        """Whether the lists hold the views of theta, every one of them."""
        if type(coefs) is not list or type(intercepts) is not list:
            return False
        layers = (*coefs, *intercepts)
        if len(layers) != len(self._views):
            return False
        for layer, view in zip(layers, self._views, strict=True):
            if layer is not view:
                return False
        return True
