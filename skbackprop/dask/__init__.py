"""Training on a Dask cluster: partitions in, the same bits whoever works.

Imported by nobody else, since it needs dask and distributed (extra ``dask``).
"""

from ._cluster import DaskFitError
from ._estimators import DaskBackpropMLPClassifier, DaskBackpropMLPRegressor

__all__ = ["DaskBackpropMLPClassifier", "DaskBackpropMLPRegressor", "DaskFitError"]
