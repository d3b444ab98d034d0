"""Model files: ``save_model`` and ``load_model``; docs/model_format.md has the format.

A file is data and nothing else: no class is found by a name in it but one of the table
here, no module is imported and no other file is opened.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ._classifier import BackpropMLPClassifier
from ._constraints import check_parameters
from ._description import DESCRIPTIONS
from ._files import write_atomically
from ._model import FittedMLP
from ._plain import Reader, Unwritable, Writer
from ._regressor import BackpropMLPRegressor
from ._safetensors import ModelFormatError, layout, parse, refuse, strict_json
from ._snapshot import working_copy
from ._version import __version__
from .tabular import TabularEncoder, TabularMLPClassifier, TabularMLPRegressor

if TYPE_CHECKING:
    from typing import TypeAlias

    PathLike: TypeAlias = str | os.PathLike[str]

#: What a reader of this version understands, and what a writer writes.
FORMAT_VERSION = 1
_CLASSES: dict[str, type[Any]] = {
    each.__name__: each
    for each in (
        BackpropMLPClassifier,
        BackpropMLPRegressor,
        TabularEncoder,
        TabularMLPClassifier,
        TabularMLPRegressor,
    )
}
_TRAINING = "_training_state"


class ModelFile(NamedTuple):
    """A model, and what its file says beside it."""

    estimator: Any
    #: The version of skbackprop that wrote it.
    version: str
    #: How its training table was read; empty where nobody has said so.
    table: dict[str, Any]


def save_model(estimator: Any, path: PathLike, *, training_state: bool = False) -> None:
    """Write a fitted estimator into a file that can be read without trusting it.

    The file has the safetensors layout: any reader of that finds the arrays. It is
    written beside ``path`` and then takes its name, so that whatever happens there is
    the old file or the new one.

    Parameters
    ----------
    estimator : BackpropMLPClassifier, BackpropMLPRegressor, TabularMLPClassifier, \
            TabularMLPRegressor or TabularEncoder
        Fitted.
    path : str or path-like
        For example ``"model.safetensors"``. A file that is there is replaced, with
        the permissions it had; a symbolic link stays one.
    training_state : bool, default=False
        Whether the optimiser's moments and the random stream go into the file too, so
        that ``partial_fit``, and ``fit`` with ``warm_start=True``, go on after
        :func:`load_model` with the same bits as without it. They are two or three
        times as large as the parameters.

    Raises
    ------
    TypeError
        If the estimator is none of these, or has a parameter or a category that no
        file can hold: a callable, for one. Nothing has been written then.
    ValueError
        If a fitted attribute has been assigned something that is no model.
    sklearn.exceptions.NotFittedError
        If it is not fitted.
    OSError
        If the file cannot be written. The old one is as it was.

    See Also
    --------
    load_model : Read it.

    Notes
    -----
    Callbacks, metadata requests and attributes of one's own are not in the file.
    docs/model_format.md describes it.

    Examples
    --------
    >>> import tempfile, os
    >>> from sklearn.datasets import load_iris
    >>> from skbackprop import BackpropMLPClassifier, load_model, save_model
    >>> X, y = load_iris(return_X_y=True)
    >>> model = BackpropMLPClassifier(solver="lbfgs", random_state=0).fit(X, y)
    >>> path = os.path.join(tempfile.mkdtemp(), "iris.safetensors")
    >>> save_model(model, path)

    In another process, on another machine:

    >>> again = load_model(path)
    >>> bool((again.predict_proba(X) == model.predict_proba(X)).all())
    True
    """
    write_model(estimator, path, training_state=training_state)


def load_model(path: PathLike) -> Any:
    """Read an estimator that :func:`save_model` has written.

    Nothing in the file is run, imported or believed: it holds numbers and names, each
    of which is checked.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    estimator
        Fitted, of the class that was saved; its predictions have the same bits.

    Raises
    ------
    ModelFormatError
        If the file is no model, is damaged, or has a later format than this version
        of skbackprop reads. It is a ValueError.
    OSError
        If the file cannot be read.

    See Also
    --------
    save_model : Write it.

    Examples
    --------
    Go on training where another process has left off:

    >>> import tempfile, os
    >>> import numpy as np
    >>> from skbackprop import BackpropMLPRegressor, load_model, save_model
    >>> X = np.random.default_rng(0).normal(size=(200, 3))
    >>> y = X.sum(axis=1)
    >>> model = BackpropMLPRegressor(random_state=0).partial_fit(X, y)
    >>> path = os.path.join(tempfile.mkdtemp(), "model.safetensors")
    >>> save_model(model, path, training_state=True)
    >>> again = load_model(path).partial_fit(X, y)
    >>> again.loss_ == model.partial_fit(X, y).loss_
    True
    """
    return read_model(path).estimator


def write_model(
    estimator: Any,
    path: PathLike,
    *,
    training_state: bool = False,
    table: Mapping[str, Any] | None = None,
) -> None:
    """``save_model``, with a word on how the training table was read."""
    write_atomically(path, _pieces(estimator, training_state, table or {}))


def read_model(path: PathLike) -> ModelFile:
    """``load_model``, with what else the file says."""
    with open(path, "rb") as file:
        data = file.read()
    try:
        return _model_of(data)
    except ModelFormatError as error:
        raise ModelFormatError(f"{os.fspath(path)!r}: {error}.") from None


# Writing ---------------------------------------------------------------------


def _pieces(
    estimator: Any, training_state: bool, table: Mapping[str, Any]
) -> list[Any]:
    """The bytes of a file; all that can fail but the disk fails here."""
    if type(estimator) not in _CLASSES.values():
        raise TypeError(
            f"save_model(estimator, path) takes a {', '.join(_CLASSES)}; of a pipeline "
            f"save the last step, or pickle it. Got {estimator!r:.200}, of type "
            f"{type(estimator).__name__}."
        )
    check_is_fitted(estimator)
    writer = Writer()
    trees = {
        "model": _tree_of(writer, estimator, training_state),
        "table": writer.tree(dict(table), "table"),
    }
    metadata = {
        "format": "skbackprop",
        "format_version": str(FORMAT_VERSION),
        "skbackprop_version": __version__,
        **{name: json.dumps(tree, allow_nan=False) for name, tree in trees.items()},
    }
    pieces = [*layout(metadata, writer.all_arrays())]
    try:
        _model_of(b"".join(pieces))  # so that what is written can be read
    except ModelFormatError as error:
        raise ValueError(
            f"This {type(estimator).__name__} is no model to be loaded: {error}."
        ) from None
    return pieces


def _tree_of(
    writer: Writer, estimator: Any, training_state: bool, name: str = ""
) -> dict[str, Any]:
    """An estimator as a tree: its class, its parameters and what it has learnt."""
    owner = type(estimator).__name__
    parameters = estimator.get_params(deep=False)
    check_parameters(owner, parameters, estimator._rules)
    estimator = working_copy(estimator)
    if isinstance(estimator, FittedMLP):
        estimator._settle()
    state = estimator._to_plain(estimator.__dict__, training_state)
    if training_state and "memory" not in state.get(_TRAINING, {}):
        raise ValueError(
            f"training_state=True, but this {owner} has no moments and no random "
            "stream to go on from: solvers with mini-batches keep them, and with "
            "early_stopping=True they do where warm_start=True."
        )
    fitted = {}
    for each in DESCRIPTIONS[owner].fields:
        if each.name not in state:
            continue
        value, where = state[each.name], name + each.name
        if type(value) in _CLASSES.values():
            fitted[each.name] = _tree_of(writer, value, False, f"{where}.")
        elif each.name == "categories_":
            fitted[each.name] = _categories_tree(writer, estimator, where)
        else:
            try:
                fitted[each.name] = writer.tree(value, where)
            except Unwritable as error:
                raise _refused(each.name, owner, error) from None
    return {
        "class": owner,
        "parameters": _parameter_trees(writer, owner, parameters, name),
        "fitted": fitted,
    }


def _parameter_trees(
    writer: Writer, owner: str, parameters: Mapping[str, Any], name: str
) -> dict[str, Any]:
    trees = {}
    for parameter, value in parameters.items():
        if parameter == "dtype" and value is not None:
            value = np.dtype(value).name
        elif hasattr(value, "__array__") and not isinstance(value, np.generic):
            value = np.asarray(value).tolist()  # an array, or an index of pandas
        try:
            trees[parameter] = writer.tree(value, f"{name}{parameter}")
        except Unwritable as error:
            raise _refused(parameter, owner, error) from None
    return trees


def _categories_tree(writer: Writer, encoder: TabularEncoder, name: str) -> Any:
    """The categories of all columns; the column of one that no file holds is named."""
    names = getattr(encoder, "feature_names_in_", range(encoder.n_features_in_))
    columns = []
    for j, known in zip(
        encoder.categorical_features_.tolist(), encoder.categories_, strict=True
    ):
        try:
            columns.append(writer.tree(known, f"{name}.{j}"))
        except Unwritable as error:
            raise TypeError(
                f"Column {names[j]!r} has the category {error}, which a model file "
                "has no place for: it holds numbers, strings, booleans, bytes, "
                "decimals and missing values. Make strings of the column before fit."
            ) from None
    return {"list": columns}


def _refused(name: str, owner: str, error: Unwritable) -> TypeError:
    return TypeError(
        f"{name} of this {owner} is {error}, which a model file has no place for. Set "
        "it to a plain value first, or pickle the estimator."
    )


# Reading ---------------------------------------------------------------------


def _model_of(data: bytes) -> ModelFile:
    """The model of a file's bytes; raises ModelFormatError and nothing else."""
    metadata, arrays = parse(data)
    if metadata.get("format") == "skbackprop-checkpoint":
        refuse(
            "it is a checkpoint: fit(..., checkpoint=Checkpoint(path)) goes on from it"
        )
    if metadata.get("format") != "skbackprop":
        refuse("it is not a model file of skbackprop")
    written = metadata.get("format_version", "")
    if not (written.isascii() and written.isdecimal() and len(written) < 10):
        refuse("its format has no version")
    if int(written) > FORMAT_VERSION:
        refuse(
            f"its format is version {written}, and skbackprop {__version__} reads up "
            f"to {FORMAT_VERSION}: update skbackprop"
        )
    trees = [
        strict_json(metadata.get(name, ""), len(data)) for name in ("model", "table")
    ]
    reader = Reader(arrays)
    estimator = _estimator_of(reader, trees[0], _CLASSES)
    table = reader.value(trees[1])
    if not isinstance(table, dict):
        refuse("what it says of its table is no dict")
    reader.finish()
    return ModelFile(estimator, metadata.get("skbackprop_version", ""), table)


def _estimator_of(reader: Reader, tree: Any, classes: Mapping[str, type[Any]]) -> Any:
    """The estimator that a tree stands for, of one of these classes."""
    if not isinstance(tree, dict) or set(tree) != {"class", "parameters", "fitted"}:
        refuse("an estimator has not class, parameters and fitted attributes")
    name, parameters, fitted = tree["class"], tree["parameters"], tree["fitted"]
    if not isinstance(name, str) or name not in classes:
        refuse(f"{name!r:.60} is none of {sorted(classes)}")
    if not isinstance(parameters, dict) or not isinstance(fitted, dict):
        refuse(f"parameters and fitted attributes of the {name} are no objects of JSON")
    cls, state = classes[name], {}
    for attribute, value in fitted.items():
        if attribute == "encoder_":
            encoders = {"TabularEncoder": TabularEncoder}
            state[attribute] = _estimator_of(reader, value, encoders)
        else:
            state[attribute] = reader.value(value)
    given = {each: reader.value(value) for each, value in parameters.items()}
    unknown = set(given) - set(cls._get_param_names())
    if unknown:
        refuse(f"{name} has no parameter {min(unknown)!r:.60}")
    try:
        estimator = cls(**given)
        check_parameters(name, estimator.get_params(deep=False), cls._rules)
        DESCRIPTIONS[name].check(state)
        estimator._from_plain(state)
        estimator._check_restored()
    except (TypeError, ValueError, OverflowError) as error:
        refuse(f"{error!s:.300}".removesuffix("."))
    return estimator
