"""y as the engine reads it: classes and labels, or numbers and their quantiles.

Objects of values that have been learnt from y, or are parameters; an estimator makes
one of its fitted attributes whenever it needs one.
"""

from __future__ import annotations

import reprlib
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import type_of_target, unique_labels

from ._inputs import Targets, place_of, plain_array
from ._layers import Array

if TYPE_CHECKING:
    from .core.engine import Table


class Classes(NamedTuple):
    """The classes of y, and rows of them as numbers and with weights."""

    #: Labels in increasing order; of a multi-label y the numbers of its columns.
    labels: Array
    #: scikit-learn's word: "binary", "multiclass" or "multilabel-indicator".
    kind: str
    #: Whether y came sparse.
    sparse: bool

    @classmethod
    def of(cls, y: Any, name: str = "y") -> Classes:
        """The classes that a plain y has."""
        kind = cls.kind_of(y, name)
        return cls(unique_labels(y), kind, sp.issparse(y))

    @property
    def multilabel(self) -> bool:
        return self.kind == "multilabel-indicator"

    @staticmethod
    def plain(y: Any, name: str = "y") -> Any:
        """y as an array of labels, all of one kind."""
        y = plain_array(y, name)
        if sp.issparse(y) or not isinstance(y, np.ndarray) or y.dtype.kind != "O":
            return y
        if not all(issubclass(each, str) for each in set(map(type, y.flat))):
            raise ValueError(_no_label(y, name))
        return y

    @staticmethod
    def kind_of(y: Any, name: str) -> str:
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

    def check(self, y: Any, name: str = "y") -> None:
        """Refuse labels that are not among the classes."""
        kind = self.kind_of(y, name)
        if self.multilabel or kind == "multilabel-indicator":
            return  # shapes that differ are refused by ``encode``
        if is_text(y) != is_text(self.labels):
            raise ValueError(
                f"`{name}` has classes not in `self.classes_`: text and numbers are "
                f"mixed. `{name}` has {listed(np.unique(y))}. The classes are "
                f"{listed(self.labels)}."
            )
        known = set(self.labels.tolist())
        unknown = [label for label in np.unique(y).tolist() if label not in known]
        if unknown:
            raise ValueError(
                f"`{name}` has classes not in `self.classes_`: {listed(unknown)}. "
                f"The classes are {listed(self.labels)}."
            )

    def cast(self, y: Any) -> Any:
        """A plain y of the type that is computed with: its own."""
        return y

    def check_same(self, y: Any) -> None:
        """Refuse a y of a warm start that has not all of the classes, and no other."""
        seen = unique_labels(y)
        if set(seen.tolist()) != set(self.labels.tolist()):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in "
                f"the previous call to fit. Previously got {listed(self.labels)},"
                f" `y` has {listed(seen)}"
            )

    def chosen(self, scores: Array, threshold: float) -> Array:
        """The labels that outputs, or logits, stand for; of two classes one column."""
        if self.kind == "multiclass":
            return self.labels[scores.argmax(axis=1)]
        above = scores > threshold
        if self.kind != "binary":
            return above.astype(int)
        if len(self.labels) == 1:
            return np.repeat(self.labels, len(scores))
        return self.labels[above.ravel().astype(np.intp)]

    def as_y(self, labels: Array) -> Any:
        """Labels in the container that y had: sparse, or an array."""
        return sp.csr_matrix(labels) if self.sparse and self.multilabel else labels

    def encode(self, y: Any, dtype: Any, name: str = "y") -> Targets:
        if self.multilabel:
            Y = y.toarray() if sp.issparse(y) else np.asarray(y)
            n_labels = len(self.labels)
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
        if len(self.labels) > 2:
            n_classes = len(self.labels)
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

    def weights(
        self, y: Any, sample_weight: Array | None, class_weight: Any
    ) -> Array | None:
        """Weights of rows, those of their classes multiplied in."""
        if class_weight is None:
            return sample_weight
        if self.multilabel:
            weights = compute_sample_weight(class_weight, y)
        else:
            codes = self._codes(y)
            weights = self._weights_of_classes(codes, class_weight)[codes]
        if not np.all(weights >= 0):
            raise ValueError(
                f"class_weight must hold no negative number. Got {class_weight!r}."
            )
        if sample_weight is None:
            return weights
        with np.errstate(over="ignore", under="ignore"):  # an infinity is refused
            return sample_weight * weights

    def _codes(self, y: Any) -> Array:
        """Places in classes_, of labels that are known to be there."""
        classes = self.labels
        whole = y.dtype.kind == "f" or classes.dtype.kind != "f"
        if is_text(y) or (whole and np.can_cast(y.dtype, classes.dtype)):
            return np.searchsorted(classes, y).astype(np.intc)
        # NumPy would compare numbers of two types as float64, which has not them all.
        place = {label: code for code, label in enumerate(classes.tolist())}
        seen, codes = np.unique(y, return_inverse=True)
        return np.array([place[label] for label in seen.tolist()], np.intc)[codes]

    def _weights_of_classes(self, codes: Array, class_weight: Any) -> Array:
        """class_weight as one number per class."""
        n_classes = len(self.labels)
        if class_weight == "balanced":
            counts = np.bincount(codes, minlength=n_classes)
            return len(codes) / (np.sum(counts > 0) * np.maximum(counts, 1))
        if isinstance(class_weight, list):
            raise ValueError(
                "class_weight must be a dict or 'balanced' where y is one column; a "
                f"list is for several labels. Got {class_weight!r}."
            )
        known = dict(class_weight)
        weights = [known.pop(label, None) for label in self.labels.tolist()]
        if known and None in weights:
            raise ValueError(
                "class_weight names classes that y has not: "
                f"{listed(sorted(known, key=str))}. The classes are "
                f"{listed(self.labels)}."
            )
        for label, weight in class_weight.items():
            if not isinstance(weight, Real) or not weight >= 0:
                raise ValueError(
                    "class_weight must hold no negative number, and only numbers. "
                    f"Got {weight!r} for class {label!r}."
                )
        return np.array([1.0 if w is None else float(w) for w in weights])

    def lacking(
        self, table: Table, rows: Array, validating: Table, held: Array
    ) -> tuple[str, int]:
        """The rarest class of some rows that others lack, in words, and its rows."""
        counts = self._counts(table, rows)
        lacking = (counts > 0) & (self._counts(validating, held) == 0)
        if not lacking.any():
            return "", 0
        rarest = int(np.where(lacking, counts, np.inf).argmin())
        count = int(counts[rarest])
        labels = self.labels.tolist()
        if self.multilabel:
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
            return np.bincount(table.labels[rows], minlength=len(self.labels))
        ones = np.count_nonzero(table.Y[rows] > 0, axis=0)
        return np.concatenate([len(rows) - ones, ones])

    def score(self, outputs: Array, truth: Array, weights: Array | None) -> float:
        """Accuracy of A_J against encoded targets; of whole rows for several labels."""
        if len(self.labels) == 1:
            return 1.0
        if truth.ndim == 1:
            right = outputs.argmax(axis=1) == truth
        else:
            right = ((outputs > 0.5) == (truth > 0.5)).all(axis=1)
        return float(np.average(right, weights=weights))


def classes_of_part(y: Any, asked: Any, known: Classes | None) -> Classes:
    """The classes of a call of ``partial_fit``; ``asked`` is its ``classes``.

    ``known`` are those of earlier calls. Raises scikit-learn's errors.
    """
    if asked is None:
        if known is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        return known
    plain = Classes.plain(asked, "classes")
    if np.ndim(plain) != 1:
        raise ValueError(
            "classes must be a one-dimensional array or list of labels. "
            f"Got {reprlib.repr(asked)}."
        )
    Classes.kind_of(plain, "classes")
    labels = unique_labels(plain)
    if known is not None:
        if known.labels.tolist() != labels.tolist():
            raise ValueError(
                f"`classes={listed(labels)}` is not the same as on last call to "
                f"partial_fit, was: {listed(known.labels)}"
            )
        return known
    multilabel = Classes.kind_of(y, "y") == "multilabel-indicator"
    found = Classes.of(y if multilabel else labels)
    if labels.tolist() != found.labels.tolist():
        raise ValueError(
            f"classes must be {listed(found.labels)} for a y of "
            f"{len(found.labels)} labels. Got {listed(labels)}."
        )
    return found


@dataclass(frozen=True)
class Numbers:
    """Numbers of y, repeated for every quantile."""

    loss: str
    #: Of ``loss="quantile"``.
    levels: tuple[float, ...] = (0.5,)

    @staticmethod
    def plain(y: Any, name: str = "y") -> Any:
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

    def check(self, y: Any, name: str = "y") -> None:
        """Refuse what are no numbers, or none that the loss is for."""
        if sp.issparse(y) or y.dtype.kind not in "fiub":
            raise ValueError(
                f"{name} must be a dense array of numbers. "
                f"Got a {type(y).__name__} of dtype {y.dtype}."
            )
        if self.loss == "poisson" and np.any(y < 0):
            raise ValueError(
                f"{name} must not be negative for loss='poisson'. "
                f"Got a smallest value of {y.min()}."
            )

    def weights(
        self, y: Any, sample_weight: Array | None, class_weight: Any
    ) -> Array | None:
        """Weights of rows, as they are."""
        return sample_weight

    def lacking(self, *tables_and_rows: Any) -> tuple[str, int]:
        """Numbers lack no class."""
        return "", 0

    def cast(self, y: Any) -> Any:
        """A plain y of the type that is computed with: its own."""
        return y

    def encode(self, y: Any, dtype: Any, name: str = "y") -> Targets:
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
            Y = np.repeat(Y, len(self.levels), axis=1)
        return Targets(Y, None, self.loss, output, Y.shape[1], None)

    def score(self, outputs: Array, truth: Array, weights: Array | None) -> float:
        """R^2, or minus the pinball loss, averaged over the outputs."""
        if self.loss != "quantile":
            from sklearn.metrics import r2_score  # long to load

            return float(r2_score(truth, outputs, sample_weight=weights))
        levels = np.array(self.levels)
        outputs = rearranged(outputs, len(levels))
        error = truth.astype(np.float64) - outputs
        level = np.tile(levels, outputs.shape[1] // len(levels))
        pinball = np.maximum(level * error, (level - 1) * error).mean(axis=1)
        return -float(np.average(pinball, weights=weights))


#: What a classifier, or a regressor, learns of y.
TargetKind = Classes | Numbers


def levels_of(quantile: Any) -> tuple[float, ...]:
    """The parameter ``quantile`` as levels."""
    return tuple(float(level) for level in np.atleast_1d(quantile))


def number_loss_parameters(
    loss: str, huber_delta: float, quantile: Any
) -> tuple[float, ...]:
    """The numbers that a regressor's loss has besides outputs and targets."""
    if loss == "huber":
        return (float(huber_delta),)
    return levels_of(quantile) if loss == "quantile" else ()


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
    n_targets = outputs.shape[1] // n_levels  # -1 would not do where there are no rows
    return outputs.reshape(len(outputs), n_targets, n_levels)


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
