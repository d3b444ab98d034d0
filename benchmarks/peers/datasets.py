"""A folder of data sets: NAME.csv.gz, each with a sidecar NAME.json."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

SINGLE_TARGET = ("binary", "multiclass", "regression")


@dataclass(frozen=True)
class Dataset:
    """A frame whose categories are pandas' and whose missing cells are NaN."""

    X: pd.DataFrame
    y: np.ndarray
    task: str

    @property
    def categorical(self) -> list[str]:
        """The names of the columns that hold categories."""
        return list(self.X.select_dtypes("category").columns)


def names(folder: Path) -> list[str]:
    """Return the data sets of the folder that have one target and a csv file."""
    found: list[str] = []
    for path in sorted(folder.glob("*.json")):
        facts = json.loads(path.read_text(encoding="utf-8"))
        csv = _csv(folder, path.stem)
        if isinstance(facts, dict) and facts.get("task") in SINGLE_TARGET:
            found += [path.stem] if csv.exists() else []
    return found


def read(folder: Path, name: str) -> Dataset:
    """Read a data set. Only the empty cell is missing: "NA" and "None" are values."""
    facts = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    categorical, target = facts["categorical"], facts["target"]
    frame = pd.read_csv(
        _csv(folder, name),
        dtype=dict.fromkeys(categorical, str),
        keep_default_na=False,
        na_values=[""],
        low_memory=False,
    )
    y = frame[target[0]]
    if facts["task"] == "regression":
        y = y.astype(np.float64)
    elif not pd.api.types.is_integer_dtype(y):
        y = y.astype(object)
    X = frame.drop(columns=target)
    X = X.astype(dict.fromkeys(categorical, "category"))
    return Dataset(X, y.to_numpy(), facts["task"])


def fingerprint(folder: Path, name: str) -> str:
    """Return a short hash of the data set's files."""
    content = _csv(folder, name).read_bytes() + (folder / f"{name}.json").read_bytes()
    return hashlib.sha256(content).hexdigest()[:12]


def split(
    data: Dataset, most_train: int | None, most_test: int | None, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Return the training and the test rows: 80 % and the rest, or as many as given.

    Classes keep their shares. The size is a share too, so that rounding may take a
    row off: 19,020 rows have 4,999 for training. The test rows are shuffled, hence
    the first of them are a sample.
    """
    n = len(data.y)
    share = 0.2 if most_train is None else max(0.2, 1.0 - most_train / n)
    strata = None
    if data.task != "regression":
        rarest = np.unique(data.y, return_counts=True)[1].min()
        strata = data.y if rarest > 1 else None  # one row cannot be in both
    train, test = train_test_split(
        np.arange(n), test_size=share, stratify=strata, random_state=seed
    )
    return train, test[:most_test]


def _csv(folder: Path, name: str) -> Path:
    return folder / f"{name}.csv.gz"
