"""What each model takes for a frame with categories and missing cells."""

import numpy as np
import pandas as pd

Frames = tuple[pd.DataFrame, pd.DataFrame]  # for training and for testing
MISSING = "missing"
MOST_CATEGORIES = 255  # of HistGradientBoosting


def as_it_is(train: pd.DataFrame, test: pd.DataFrame) -> Frames:
    """Return the frames as they were read."""
    return train, test


def missing_named(train: pd.DataFrame, test: pd.DataFrame) -> Frames:
    """Return categories as strings, the missing one among them."""
    columns = train.select_dtypes("category").columns
    train, test = (
        frame.assign(
            **{
                name: frame[name].astype(object).fillna(MISSING).astype(str)
                for name in columns
            }
        )
        for frame in (train, test)
    )
    return train, test


def missing_category(train: pd.DataFrame, test: pd.DataFrame) -> Frames:
    """Return categories of pandas, the missing one among them.

    They are those of the training rows: what only the test rows have is unknown.
    """
    columns = train.select_dtypes("category").columns
    train, test = missing_named(train, test)
    for name in columns:
        train[name] = train[name].astype("category")
        known = train[name].cat.categories
        # Through `where`: pandas will refuse values that are no category.
        values = test[name].where(test[name].isin(known))
        test[name] = pd.Categorical(values, categories=known)
    return train, test


def few_categories(train: pd.DataFrame, test: pd.DataFrame) -> Frames:
    """Return the same, but columns of more than 255 categories as their numbers."""
    train, test = missing_category(train, test)
    for name in train.select_dtypes("category").columns:
        if len(train[name].cat.categories) > MOST_CATEGORIES:
            for frame in (train, test):
                codes = frame[name].cat.codes.astype(np.float64)
                frame[name] = codes.where(codes >= 0)
    return train, test


def median_imputed(train: pd.DataFrame, test: pd.DataFrame) -> Frames:
    """Return the missing category named, and medians for missing numbers."""
    train, test = missing_category(train, test)
    medians = train.median(numeric_only=True).fillna(0.0)
    return train.fillna(medians), test.fillna(medians)
