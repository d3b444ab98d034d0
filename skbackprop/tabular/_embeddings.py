"""The rows that networks have learnt for categories, as frames."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._names import input_names


def embeddings_of(estimator: Any) -> dict[str, Any]:
    """A frame of pandas for each column of categories that has an embedding.

    Parameters
    ----------
    estimator : TabularMLPClassifier or TabularMLPRegressor
        Fitted.
    """
    try:
        import pandas as pd
    except ImportError:
        raise ImportError(
            "embedding_ is of pandas' frames: pip install pandas"
        ) from None
    encoder, (topology, thetas) = estimator.encoder_, estimator._bag
    names = input_names(
        None, getattr(encoder, "feature_names_in_", None), encoder.n_features_in_
    )
    tables = [topology.embeddings.views(theta)[-1] for theta in thetas]
    columns = pd.MultiIndex.from_product(
        [range(len(thetas)), range(topology.embeddings.code_dimension)],
        names=["network", "dimension"],
    )
    found, place = {}, 0
    for j, categories, has_missing, encoding in encoder._category_columns():
        if encoding != "codes":
            continue
        rows = [None, *categories, *([np.nan] if has_missing else [])]
        index = pd.Index(rows, dtype=object, name=names[j])
        numbers = np.hstack([each[place] for each in tables])
        found[names[j]] = pd.DataFrame(numbers, index, columns)
        place += 1
    return found
