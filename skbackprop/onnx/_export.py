"""``to_onnx``: the model of a fitted estimator, and what it says of its inputs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._classifier import BackpropMLPClassifier
from .._constraints import DTYPE, NONE, Constraint, check_parameters, shown
from .._model import FittedMLP
from .._regressor import BackpropMLPRegressor
from .._snapshot import working_copy
from .._version import __version__
from ..tabular import TabularEncoder, TabularMLPClassifier, TabularMLPRegressor
from ..tabular._names import made_unique
from ._columns import TEXT, Source, column_names, column_types
from ._dates import MISSING_DATE
from ._feeds import INPUTS, Input
from ._graph import IR_VERSION, ML_OPSET, OPSET, ModelGraph, tensor_type
from ._outputs import compute, labels_of, outputs_of

if TYPE_CHECKING:
    import onnx

#: What can be converted: these, and no class that inherits and may predict otherwise.
CLASSES: tuple[type[Any], ...] = (
    BackpropMLPClassifier,
    BackpropMLPRegressor,
    TabularEncoder,
    TabularMLPClassifier,
    TabularMLPRegressor,
)
_RULES = {
    "missing": (Constraint("a str", lambda value: isinstance(value, str)),),
    "input_dtype": (NONE, DTYPE),
}
#: The most bytes of a message of protobuf, which a model is.
_MOST_BYTES = 2**31 - 2**20


def to_onnx(
    estimator: Any, *, missing: str = "", input_dtype: Any = None
) -> onnx.ModelProto:
    """The ONNX model that predicts what a fitted estimator predicts.

    It has everything that ``predict`` does in it, reading the columns of a table too,
    and needs standard operators only (opset 21, ai.onnx.ml 4, IR 10). docs/shipping.md
    says what it answers where ``predict`` raises. ``SerializeToString()`` of the result
    is the content of a file.

    Parameters
    ----------
    estimator : BackpropMLPClassifier, BackpropMLPRegressor, TabularMLPClassifier, \
            TabularMLPRegressor or TabularEncoder
        Fitted. A pipeline is for ``skl2onnx.to_onnx``, which knows these estimators
        after ``import skbackprop.onnx``.
    missing : str, default=''
        The text that stands for a missing value in columns of strings: ONNX has none.
    input_dtype : {None, 'float32', 'float64'}, default=None
        Type of the inputs that hold numbers. None is that of the network for
        ``BackpropMLP*``, and float64, as ``predict`` reads them, for tables: float32
        has not all integers above 2**24, nor all that a float64 may tell apart.

    Returns
    -------
    model : onnx.ModelProto
        It has been checked. Its inputs have any number of rows, n.

        - Of ``BackpropMLP*`` there is one, ``X``, of shape (n, n_features_in_).
        - Otherwise there is one for every column, of shape (n, 1), named like the
          column, or x0, x1, ... where columns had no names. Numbers are float64, with
          NaN for missing. Categories are strings, int64, bool, or, where there were
          fractions or a missing number or boolean in ``fit``, float64 with NaN for
          missing. An unknown category is any other value. Dates are int64, the
          microseconds since the beginning of 1970, with the smallest int64 for missing
          (what ``.astype("datetime64[us]").astype("int64")`` makes of them). Columns
          that the estimator does not use are inputs too, so that these depend on the
          table alone.

        The outputs are ``label``, of shape (n,), and ``probabilities``, of shape (n,
        n_classes), of a classifier, both (n, n_labels) for several labels; and
        ``variable`` of a regressor or encoder, of shape (n, n_targets), (n,
        n_quantiles) or (n, n_targets, n_quantiles). An output whose name a column has
        gets underscores at its end. ``metadata_props`` say all of this in JSON.

    Raises
    ------
    ImportError
        If onnx is not installed: ``pip install "skbackprop[onnx]"``.
    TypeError
        If the estimator is none of these, or a column has categories that no input of
        ONNX can hold.
    ValueError
        If a parameter is not allowed, ``missing`` is a category of a column that had
        missing values, or the model is larger than 2 GB, which ONNX has no file for.
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.

    See Also
    --------
    make_inputs : Inputs of a model from a table.

    Examples
    --------
    >>> import numpy as np
    >>> from skbackprop import BackpropMLPClassifier
    >>> from skbackprop.onnx import to_onnx
    >>> X, y = np.array([[0.0], [1.0], [2.0], [3.0]]), ["no", "no", "yes", "yes"]
    >>> mlp = BackpropMLPClassifier((3,), solver="lbfgs", random_state=0).fit(X, y)
    >>> model = to_onnx(mlp)
    >>> [each.name for each in model.graph.output]
    ['label', 'probabilities']
    """
    _check_estimator(estimator)
    given = {"missing": missing, "input_dtype": input_dtype}
    check_parameters("to_onnx", given, _RULES)
    _check_installed()
    estimator = working_copy(estimator)  # of one moment, whatever fit ends meanwhile
    inputs = _inputs(estimator, missing, input_dtype)
    outputs = outputs_of(estimator)
    taken = [each.name for each in (*inputs, *outputs)]
    taken = made_unique(taken)  # those of columns are so already
    names = taken[len(inputs) :]
    graph = ModelGraph({*taken})
    sources = [Source(each.name, each.width, each.type) for each in inputs]
    labels = labels_of(estimator) if len(outputs) == 2 else None
    tensors = compute(graph, estimator, sources, missing, labels)
    for tensor, name in zip(tensors, names, strict=True):
        graph.name(tensor, name)
    return _model(estimator, graph, inputs, dict(zip(names, outputs, strict=True)))


def _check_estimator(estimator: Any) -> None:
    if type(estimator) not in CLASSES:
        advice = ""
        if hasattr(estimator, "steps") or hasattr(estimator, "transformers"):
            advice = (
                " A pipeline is for skl2onnx.to_onnx(pipeline, X), which knows these "
                "estimators once skbackprop.onnx is imported."
            )
        elif isinstance(estimator, CLASSES):
            advice = " A class that inherits from one of them may predict otherwise."
        names = ", ".join(each.__name__ for each in CLASSES)
        raise TypeError(
            f"to_onnx takes a fitted estimator among {names}. Got {shown(estimator)}, "
            f"of type {type(estimator).__name__}.{advice}"
        )
    if not isinstance(estimator, TabularEncoder | FittedMLP):
        check_is_fitted(estimator, "_bag")
    else:
        check_is_fitted(estimator)


def _check_installed() -> None:
    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f'to_onnx needs onnx: pip install "skbackprop[onnx]" ({error}).'
        ) from error


def _inputs(estimator: Any, missing: str, input_dtype: Any) -> list[Input]:
    """What the model reads, in the order of the columns."""
    number = "float64" if input_dtype is None else np.dtype(input_dtype).name
    if isinstance(estimator, FittedMLP):
        if input_dtype is None:
            number = estimator._model_dtype().name
        return [Input("X", None, "numbers", number, estimator.n_features_in_)]
    encoder = getattr(estimator, "encoder_", estimator)
    columns = column_names(estimator)
    types = column_types(encoder, columns)
    known = dict(
        zip(encoder.categorical_features_.tolist(), encoder.categories_, strict=True)
    )
    dropped = {*encoder.dropped_features_.tolist()}
    dates = {*encoder.date_features_.tolist()}
    inputs, taken = [], set()
    for j, (column, dtype) in enumerate(zip(columns, types, strict=True)):
        name = column or "x"  # ONNX knows no empty name
        while name in taken or (name != column and name in columns):
            name += "_"
        taken.add(name)
        reads, absent = "number", "NaN" if dtype == "float64" else None
        if j in dates:
            reads, absent = "date", str(MISSING_DATE)
        elif j not in known:
            dtype = number
        else:
            reads = "category"
            if dtype == TEXT and missing not in known[j]:
                absent = missing
        inputs.append(Input(name, column, reads, dtype, 1, absent, j not in dropped))
    return inputs


def _model(
    estimator: Any, graph: ModelGraph, inputs: list[Input], outputs: dict[str, Any]
) -> onnx.ModelProto:
    """The graph as a model, checked."""
    import onnx
    from onnx import helper

    made = [
        helper.make_tensor_value_info(
            each.name, tensor_type(each.type), ["n", each.width], each.description
        )
        for each in inputs
    ]
    answers = [
        helper.make_tensor_value_info(name, tensor_type(each.dtype), ["n", *each.shape])
        for name, each in outputs.items()
    ]
    size = sum(each.ByteSize() for each in graph.constants)
    if size > _MOST_BYTES:
        raise ValueError(
            f"The model has {size} bytes of parameters, and a file of ONNX has at most "
            "2**31."
        )
    kind = type(estimator).__name__
    model = helper.make_model(
        helper.make_graph(graph.nodes, kind, made, answers, graph.constants),
        opset_imports=[
            helper.make_opsetid("", OPSET),
            helper.make_opsetid("ai.onnx.ml", ML_OPSET),
        ],
        ir_version=IR_VERSION,
        producer_name="skbackprop",
        producer_version=__version__,
        doc_string=f"A fitted {kind} of skbackprop {__version__}.",
    )
    said = {INPUTS: json.dumps([each.as_plain() for each in inputs])}
    if hasattr(estimator, "classes_"):
        said["skbackprop.classes"] = json.dumps(labels_of(estimator).tolist())
    if getattr(estimator, "quantiles_", None) is not None:
        said["skbackprop.quantiles"] = json.dumps(estimator.quantiles_.tolist())
    helper.set_model_props(model, said)
    onnx.checker.check_model(model, full_check=True)
    return model
