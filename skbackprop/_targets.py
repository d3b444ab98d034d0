"""y as the engine reads it: classes and labels, or numbers and their quantiles.

Two mixins, each for the two estimators that learn from such a y.
"""

from __future__ import annotations

import reprlib
from numbers import Real
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import type_of_target, unique_labels

from ._inputs import Targets, place_of, plain_array
from ._layers import Array
from ._snapshot import reads_at_once
from ._table import Table


class ClassTargets:
    """Classes of y, as numbers and with weights; for a classifier."""

    label_smoothing: float
    class_weight: Any

    def _plain_y(self, y: Any, name: str = "y") -> Any:
        """y as an array of labels, all of one kind."""
        y = plain_array(y, name)
        if sp.issparse(y) or not isinstance(y, np.ndarray) or y.dtype.kind != "O":
            return y
        if not all(issubclass(each, str) for each in set(map(type, y.flat))):
            raise ValueError(_no_label(y, name))
        return y

    def _kind_of(self, y: Any, name: str) -> str:
        """scikit-learn's word for what y is, if that is anything to classify."""
        kind: str = type_of_target(y, input_name=name)
        if kind in ("binary", "multiclass", "multilabel-indicator"):
            return kind
        if kind.startswith("continuous"):
            y = y.toarray() if sp.issparse(y) else y
            row = int(np.argwhere((y != np.floor(y)) | (abs(y) >= 2**63))[0][0])
            shown = reprlib.repr(y[row].tolist())
            raise ValueError(
                f"Unknown label type: {kind}. {name} has {shown} in "
                f"{place_of(name)} {row}, which is no class. Take a regressor, or "
                "make classes of the numbers, for example with numpy.digitize."
            )
        raise ValueError(
            f"{name} must be one column of classes, or an indicator matrix of 0 and 1 "
            f"for several labels. Got {y.shape[1]} columns with other values. For "
            "several columns of classes fit a classifier for each, as "
            "sklearn.multioutput.MultiOutputClassifier does."
        )

    def _read_classes(self, y: Any, name: str = "y") -> None:
        kind = self._kind_of(y, name)
        self.classes_ = unique_labels(y)
        self._y_type = kind
        self._sparse_y = sp.issparse(y)

    def _check_known(self, y: Any, name: str = "y") -> None:
        """Refuse labels that are not among the classes."""
        kind = self._kind_of(y, name)
        if "multilabel-indicator" in (kind, self._y_type):
            return  # shapes that differ are refused by _targets
        if is_text(y) != is_text(self.classes_):
            raise ValueError(
                f"`{name}` has classes not in `self.classes_`: text and numbers are "
                f"mixed. `{name}` has {listed(np.unique(y))}. The classes are "
                f"{listed(self.classes_)}."
            )
        known = set(self.classes_.tolist())
        unknown = [label for label in np.unique(y).tolist() if label not in known]
        if unknown:
            raise ValueError(
                f"`{name}` has classes not in `self.classes_`: {listed(unknown)}. "
                f"The classes are {listed(self.classes_)}."
            )

    def _targets(self, y: Any, dtype: Any, name: str = "y") -> Targets:
        if self._y_type == "multilabel-indicator":
            Y = y.toarray() if sp.issparse(y) else np.asarray(y)
            n_labels = len(self.classes_)
            if Y.ndim != 2 or Y.shape[1] != n_labels:
                raise ValueError(
                    f"{name} must be an indicator matrix of {n_labels} columns. "
                    f"Got shape {Y.shape}."
                )
            if not ((Y == 0) | (Y == 1) | (Y == -1)).all():
                raise ValueError(
                    f"{name} must be an indicator matrix of 0 and 1 where it has "
                    f"several columns. Got {listed(np.unique(Y))}."
                )
            Y = (Y > 0).astype(dtype)
            return Targets(Y, None, "binary_cross_entropy", "logistic", n_labels, None)
        if np.ndim(y) != 1:
            raise ValueError(f"{name} must have shape (n_samples,). Got {np.shape(y)}.")
        codes = self._codes(y)
        if len(self.classes_) > 2:
            n_classes = len(self.classes_)
            return Targets(
                None,
                codes,
                "categorical_cross_entropy",
                "softmax",
                n_classes,
                None,
            )
        Y = codes.astype(dtype)[:, None]
        return Targets(Y, None, "binary_cross_entropy", "logistic", 1, codes > 0)

    def _loss_parameters(self) -> tuple[float, ...]:
        share = float(self.label_smoothing)
        return (share,) if share > 0 else ()

    def _weights(self, y: Any, sample_weight: Array | None) -> Array | None:
        if self.class_weight is None:
            return sample_weight
        if self._y_type == "multilabel-indicator":
            weights = compute_sample_weight(self.class_weight, y)
        else:
            codes = self._codes(y)
            weights = self._weights_of_classes(codes)[codes]
        if not np.all(weights >= 0):
            raise ValueError(
                f"class_weight must hold no negative number. Got {self.class_weight!r}."
            )
        if sample_weight is None:
            return weights
        with np.errstate(over="ignore", under="ignore"):  # an infinity is refused
            return sample_weight * weights

    def _codes(self, y: Any) -> Array:
        """Places in classes_, of labels that are known to be there."""
        classes = self.classes_
        whole = y.dtype.kind == "f" or classes.dtype.kind != "f"
        if is_text(y) or (whole and np.can_cast(y.dtype, classes.dtype)):
            return np.searchsorted(classes, y).astype(np.intc)
        # NumPy would compare numbers of two types as float64, which has not them all.
        place = {label: code for code, label in enumerate(classes.tolist())}
        seen, codes = np.unique(y, return_inverse=True)
        return np.array([place[label] for label in seen.tolist()], np.intc)[codes]

    def _weights_of_classes(self, codes: Array) -> Array:
        """class_weight as one number per class."""
        n_classes = len(self.classes_)
        if self.class_weight == "balanced":
            counts = np.bincount(codes, minlength=n_classes)
            return len(codes) / (np.sum(counts > 0) * np.maximum(counts, 1))
        if isinstance(self.class_weight, list):
            raise ValueError(
                "class_weight must be a dict or 'balanced' where y is one column; a "
                f"list is for several labels. Got {self.class_weight!r}."
            )
        known = dict(self.class_weight)
        weights = [known.pop(label, None) for label in self.classes_.tolist()]
        if known and None in weights:
            raise ValueError(
                "class_weight names classes that y has not: "
                f"{listed(sorted(known, key=str))}. The classes are "
                f"{listed(self.classes_)}."
            )
        for label, weight in self.class_weight.items():
            if not isinstance(weight, Real) or not weight >= 0:
                raise ValueError(
                    "class_weight must hold no negative number, and only numbers. "
                    f"Got {weight!r} for class {label!r}."
                )
        return np.array([1.0 if w is None else float(w) for w in weights])

    def _lacking(
        self, table: Table, rows: Array, validating: Table, held: Array
    ) -> tuple[str, int]:
        """The rarest class of some rows that others lack, in words, and its rows."""
        counts = self._counts(table, rows)
        lacking = (counts > 0) & (self._counts(validating, held) == 0)
        if not lacking.any():
            return "", 0
        rarest = int(np.where(lacking, counts, np.inf).argmin())
        count = int(counts[rarest])
        labels = self.classes_.tolist()
        if self._y_type == "multilabel-indicator":
            has = "1" if rarest >= len(labels) else "0"
            what = f"{has} in column {rarest % len(labels)}"
        else:
            what = f"class {labels[rarest]!r}"
        return f"{what}, which {count} of {len(rows)} rows of y have", count

    def _counts(self, table: Table, rows: Array) -> Array:
        """Rows of each class; of 0, then of 1, of each label where there are several.

        A row of weight 0 is none.
        """
        if len(table.sample_weight):
            rows = rows[table.sample_weight[rows] > 0]
        if len(table.labels):
            return np.bincount(table.labels[rows], minlength=len(self.classes_))
        ones = np.count_nonzero(table.Y[rows] > 0, axis=0)
        return np.concatenate([len(rows) - ones, ones])

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Accuracy of :meth:`predict`; of whole rows for several labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        score : float
        """
        return super().score(X, self._plain_y(y), sample_weight=sample_weight)


class NumberTargets:
    """Numbers of y, repeated for every quantile; for a regressor."""

    loss: str
    quantile: Any
    huber_delta: float

    def _plain_y(self, y: Any, name: str = "y") -> Any:
        """y as an array of numbers."""
        y = plain_array(y, name)
        if sp.issparse(y) or not isinstance(y, np.ndarray) or y.dtype.kind != "O":
            return y
        numbers = np.empty(y.shape)
        for place, value in np.ndenumerate(y):
            try:
                numbers[place] = float(value)
            except (TypeError, ValueError, OverflowError):
                raise ValueError(
                    f"{name} must hold numbers. Got {reprlib.repr(value)} in row "
                    f"{place[0]}."
                ) from None
        return plain_array(numbers, name)

    def _check_numbers(self, y: Any, name: str = "y") -> None:
        if sp.issparse(y) or y.dtype.kind not in "fiub":
            raise ValueError(
                f"{name} must be a dense array of numbers. "
                f"Got a {type(y).__name__} of dtype {y.dtype}."
            )

    def _check_known(self, y: Any, name: str = "y") -> None:
        self._check_numbers(y, name)

    def _lacking(self, *tables_and_rows: Any) -> tuple[str, int]:
        """Numbers lack no class."""
        return "", 0

    def _targets(self, y: Any, dtype: Any, name: str = "y") -> Targets:
        Y = y[:, None] if y.ndim == 1 else y
        with np.errstate(over="ignore"):
            Y = np.ascontiguousarray(Y, dtype=dtype)
        if not np.isfinite(Y).all():
            raise ValueError(
                f"{name} has a number that is too large for {dtype}, in which the "
                "network computes."
            )
        output = "exp" if self.loss == "poisson" else "identity"
        if self.loss == "quantile":  # a column for each level of each target
            Y = np.repeat(Y, len(self._levels()), axis=1)
        return Targets(Y, None, self.loss, output, Y.shape[1], None)

    def _levels(self) -> tuple[float, ...]:
        """The parameter ``quantile`` as levels."""
        return tuple(float(level) for level in np.atleast_1d(self.quantile))

    def _loss_parameters(self) -> tuple[float, ...]:
        if self.loss == "huber":
            return (float(self.huber_delta),)
        return self._levels() if self.loss == "quantile" else ()

    @reads_at_once
    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """R^2 of the prediction; D^2 of the pinball loss after ``loss='quantile'``.

        D^2 is the share of the pinball loss of the best constant that the prediction
        does away with, averaged over targets and levels: 1 is perfect, 0 is the
        constant. See :func:`sklearn.metrics.d2_pinball_score`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        score : float
        """
        y = self._plain_y(y)
        levels = getattr(self, "quantiles_", None)
        if levels is None:
            return super().score(X, y, sample_weight=sample_weight)
        from sklearn.metrics import d2_pinball_score  # long to load

        outputs = self.predict(X)
        if len(levels) == 1:
            outputs = outputs[..., None]
        scores = [
            d2_pinball_score(y, outputs[..., k], sample_weight=sample_weight, alpha=t)
            for k, t in enumerate(levels)
        ]
        return float(np.mean(scores))


def rearranged(outputs: Array, n_levels: int) -> Array:
    """Quantiles in increasing order: what belongs to a target is sorted.  (L8)"""
    if n_levels == 1:
        return outputs
    blocks = outputs.reshape(len(outputs), -1, n_levels)
    return np.sort(blocks, axis=2).reshape(outputs.shape)


def shaped(outputs: Array, n_levels: int) -> Array:
    """A column as a vector; the quantiles of several targets along an axis more."""
    if outputs.shape[1] == 1:
        return outputs[:, 0]
    if n_levels in (1, outputs.shape[1]):
        return outputs
    return outputs.reshape(len(outputs), -1, n_levels)


def is_text(labels: Any) -> bool:
    """Whether labels are strings; NumPy would compare numbers with them as text."""
    return labels.dtype.kind in "USO"  # of objects only strings are let in


def listed(labels: Any) -> str:
    """The first of some labels, as a list is shown."""
    labels = np.asarray(labels).tolist() if isinstance(labels, np.ndarray) else labels
    shown = [repr(label) for label in labels[:10]]
    if len(labels) > 10:
        shown.append(f"... {len(labels)} in all")
    return f"[{', '.join(shown)}]"


def _no_label(y: Array, name: str) -> str:
    """Why the first of the objects in y that is no string is no label."""
    row, label = next((i, v) for i, v in np.ndenumerate(y) if not isinstance(v, str))
    got = (
        f"Got {reprlib.repr(label)}, of type {type(label).__name__}, in "
        f"{place_of(name)} {row[0]}"
    )
    text = next((i for i, v in np.ndenumerate(y) if isinstance(v, str)), None)
    if text is not None:
        return (
            f"{name} must hold labels of one kind. {got}, and the str {y[text]!r} in "
            f"{place_of(name)} {text[0]}: make strings of all."
        )
    if isinstance(label, set | frozenset | list | tuple | np.ndarray):
        return (
            f"{name} must hold one label per row. {got}. For several labels per row "
            "give an indicator matrix, which "
            "sklearn.preprocessing.MultiLabelBinarizer makes."
        )
    return (
        f"{name} must hold labels that are strings, booleans or numbers of 64 bits. "
        f"{got}: make strings of them."
    )
