"""Training on a Dask cluster: partitions in, the same bits whoever works.

Imported by nobody else, since it needs dask and distributed (extra ``dask``).
"""

from ._cluster import DaskFitError
from ._estimators import DaskBackpropMLPClassifier, DaskBackpropMLPRegressor
from ._tabular import DaskTabularMLPClassifier, DaskTabularMLPRegressor

__all__ = [
    "DaskBackpropMLPClassifier",
    "DaskBackpropMLPRegressor",
    "DaskFitError",
    "DaskTabularMLPClassifier",
    "DaskTabularMLPRegressor",
]
