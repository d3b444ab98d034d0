"""Pictures of fitted estimators, by scikit-learn's convention of displays.

``from_estimator`` computes and draws, ``plot`` draws again. They need matplotlib, which
is loaded when something is drawn: ``pip install 'skbackprop[plot]'``.
"""

from ._curves import LossCurveDisplay
from ._importances import ImportanceDisplay
from ._quantiles import QuantileDisplay
from ._rates import LearningRateDisplay

__all__ = [
    "ImportanceDisplay",
    "LearningRateDisplay",
    "LossCurveDisplay",
    "QuantileDisplay",
]
