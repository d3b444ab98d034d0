"""Back-propagation done right, behind scikit-learn's API."""

from ._classifier import BackpropMLPClassifier
from ._network import Network
from ._regressor import BackpropMLPRegressor
from ._version import __version__
from ._versions import show_versions
from .tabular import TabularEncoder

__all__ = [
    "BackpropMLPClassifier",
    "BackpropMLPRegressor",
    "Network",
    "TabularEncoder",
    "__version__",
    "show_versions",
]
