"""Raw data frames in: categories, missing values and numbers of any scale."""

from ._encoder import TabularEncoder

__all__ = ["TabularEncoder"]
