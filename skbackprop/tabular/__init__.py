"""Raw data frames in: categories, missing values and numbers of any scale."""

from ._classifier import TabularMLPClassifier
from ._encoder import TabularEncoder
from ._regressor import TabularMLPRegressor

__all__ = ["TabularEncoder", "TabularMLPClassifier", "TabularMLPRegressor"]
