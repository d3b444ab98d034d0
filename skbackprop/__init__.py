"""Back-propagation done right, behind scikit-learn's API."""

from ._classifier import BackpropMLPClassifier
from ._network import Network
from ._regressor import BackpropMLPRegressor
from ._version import __version__
from ._versions import show_versions
from .tabular import TabularEncoder, TabularMLPClassifier, TabularMLPRegressor

__all__ = [
    "BackpropMLPClassifier",
    "BackpropMLPRegressor",
    "Network",
    "TabularEncoder",
    "TabularMLPClassifier",
    "TabularMLPRegressor",
    "__version__",
    "show_versions",
]
