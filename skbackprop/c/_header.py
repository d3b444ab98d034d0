"""``to_c``: a header of C with all of a fitted model."""

from __future__ import annotations

import re
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._classifier import BackpropMLPClassifier
from .._layers import Array
from .._regressor import BackpropMLPRegressor
from .._version import __version__
from ..core.topology import Topology
from ..tabular import TabularMLPClassifier, TabularMLPRegressor
from ._formulas import Words
from ._literals import checked_name, comment, flash, narrowest, string, type_name
from ._networks import check_topology, constants_of, network
from ._outputs import classes, is_constant, n_columns, of_ensemble, of_network
from ._tables import code_columns, edges_of, encode, number_columns, texts

_NETWORKS = (BackpropMLPClassifier, BackpropMLPRegressor)
_TABLES = (TabularMLPClassifier, TabularMLPRegressor)


def to_c(
    estimator: Any,
    name: str = "model",
    *,
    dtype: Any = None,
    n_networks: int | None = None,
) -> str:
    """A fitted model as a C header that needs nothing but <math.h>.

    The header is C99 and C++: save it beside a program or a sketch and include it. It
    says which arrays its functions take, how many bytes of constants and of stack it
    has, and what each code of a category stands for. All constants are ``const``, no
    memory is allocated and none is kept between two calls.

    Parameters
    ----------
    estimator : BackpropMLPClassifier, BackpropMLPRegressor, TabularMLPClassifier or \
            TabularMLPRegressor
        Fitted.
    name : str, default="model"
        What the names of the header begin with: ``model_predict``, ``MODEL_N_OUTPUTS``.
        Two models in one program need two names.
    dtype : {None, "float32", "float64"}, default=None
        What the functions take, compute with and give: float or double. None is the
        type of the model's own arithmetic, which is float32 for ``TabularMLP*``. As
        float32 a model of float64 has half the size and outputs of about 6 digits.
    n_networks : int or None, default=None
        Of ``TabularMLP*``, how many of the networks go into the header: the first so
        many, whose average is less accurate than that of all. None takes all.

    Returns
    -------
    source : str
        ASCII.

    Raises
    ------
    TypeError
        If the estimator is none of these.
    ValueError
        If another parameter is not allowed, or a number of the model is not finite in
        ``dtype``.
    NotImplementedError
        If the model has an activation or layers that have no C.
    sklearn.exceptions.NotFittedError
        If it is not fitted.

    Notes
    -----
    docs/shipping.md tells how to use it, and what differs from ``predict``: there is no
    check of the input. A row whose outputs are NaN has the label -1.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skbackprop import BackpropMLPClassifier
    >>> from skbackprop.c import to_c
    >>> X, y = load_iris(return_X_y=True)
    >>> model = BackpropMLPClassifier(solver="lbfgs", random_state=0).fit(X, y)
    >>> source = to_c(model, "iris", dtype="float32")
    >>> [line for line in source.splitlines() if "int iris_predict" in line][-1]
    'static inline int iris_predict(const float *x)'
    """
    if not isinstance(estimator, (*_NETWORKS, *_TABLES)):
        known = ", ".join(each.__name__ for each in (*_NETWORKS, *_TABLES))
        raise TypeError(
            f"estimator must be one of {known}. Got {type(estimator).__name__}."
        )
    checked_name(name)
    check_is_fitted(estimator)
    if isinstance(estimator, _TABLES):
        if n_networks is not None and not (
            isinstance(n_networks, Integral)
            and not isinstance(n_networks, bool)
            and 1 <= n_networks <= estimator.n_networks_
        ):
            raise ValueError(
                f"n_networks must be None or an int from 1 to {estimator.n_networks_}, "
                f"which the model has. Got {n_networks!r}."
            )
        topology, thetas = estimator._bag
        thetas = thetas[:n_networks]
    else:
        if n_networks is not None:
            raise ValueError(
                f"n_networks must be None for {type(estimator).__name__}. "
                f"Got {n_networks!r}."
            )
        topology = estimator._topology()
        thetas = [estimator._current(topology).theta]
    check_topology(topology)
    real = _real(dtype, thetas[0].dtype)
    stored = [_as_stored(theta, real) for theta in thetas]
    return _header(estimator, name, topology, stored, real)


def _real(dtype: Any, own: np.dtype[Any]) -> np.dtype[Any]:
    try:
        given = own if dtype is None else np.dtype(dtype)
    except TypeError:
        given = None
    if given not in (np.float32, np.float64):
        raise ValueError(f"dtype must be None, float32 or float64. Got {dtype!r}.")
    return np.dtype(given)


def _as_stored(theta: Array, real: np.dtype[Any]) -> Array:
    """Constants of the narrower of the two types, which has all that is used."""
    if real.itemsize < theta.dtype.itemsize:
        with np.errstate(over="ignore", under="ignore"):
            theta = theta.astype(real)
    if not np.isfinite(theta).all():
        raise ValueError(
            f"The coefficients must be finite in {theta.dtype} to be written as C. "
            "One is not; dtype='float64' has more room if fit was in float64."
        )
    return theta


class _Array(NamedTuple):
    """An array that a caller gives."""

    kind: str
    name: str
    #: How its length is called, and what each element is.
    size: str
    elements: list[str]


def _given(estimator: Any) -> list[_Array]:
    """What the functions read."""
    if isinstance(estimator, _TABLES):
        encoder = estimator.encoder_
        numbers = _Array("real", "numbers", "NUMBERS", number_columns(encoder))
        codes = _Array("int", "codes", "CODES", code_columns(encoder))
        return [array for array in (numbers, codes) if array.elements]
    n = estimator.n_features_in_
    names = getattr(estimator, "feature_names_in_", [f"x{j}" for j in range(n)])
    return [_Array("real", "x", "FEATURES", [string(name) for name in names])]


class _Sizes(NamedTuple):
    """In bytes, where an int has four."""

    flash: int
    stack: int


def _stack_bytes(functions: list[str]) -> int:
    """Of all arrays that functions declare: each function is in one call once."""
    itemsize = {"float": 4, "double": 8, "int": 4}
    found = re.findall(r"(?m)^ {4}(?:\w+ )?(\w+) \w+\[(\d+)\];", "\n".join(functions))
    return sum(itemsize[kind] * int(length) for kind, length in found)


def _header(
    estimator: Any,
    name: str,
    topology: Topology,
    thetas: list[Array],
    real: np.dtype[Any],
) -> str:
    """All of the header, whose parts are in the order in which C reads them."""
    if is_constant(estimator):
        thetas = []
    edges: list[Array] = []
    if isinstance(estimator, _TABLES) and thetas:
        edges = topology.embeddings.edges
    every_edge = np.concatenate([np.zeros(0), *edges])
    W, EDGE = thetas[0].dtype if thetas else real, narrowest(every_edge)
    words = Words(name, real=type_name(real), W=type_name(W), EDGE=type_name(EDGE))

    networks = [[*constants_of(topology, theta)] for theta in thetas]
    arrays = [
        words(flash(f"@network_{m}", W, parts)) for m, parts in enumerate(networks)
    ]
    n_constants = sum(part.values.size for parts in networks for part in parts)
    n_flash = n_constants * W.itemsize + every_edge.nbytes * EDGE.itemsize // 8
    if edges:
        arrays.insert(0, words(edges_of(edges)))

    given = _given(estimator)
    declared = [f"const {each.kind} *{each.name}" for each in given]
    functions = []
    if thetas:
        functions.append(words(network(topology)))
    if isinstance(estimator, _TABLES):
        if thetas:
            functions.append(encode(estimator.encoder_, edges, words))
        asked = of_ensemble(estimator, topology, declared, len(thetas), words)
    else:
        asked = of_network(estimator, topology, declared)
    functions += map(words, asked)
    sizes = _Sizes(n_flash, _stack_bytes(functions))

    NAME = name.upper()
    blocks = [
        _introduction(estimator, words, given, len(thetas), sizes),
        f"#ifndef {NAME}_H\n#define {NAME}_H",
        "#include <math.h>",
        _counts(estimator, words, given, topology),
        words(_MACROS),
        *([words(_NAN_IS_NEEDED)] if edges else []),
        *_tables_of_text(estimator, words),
        *arrays,
        *words.functions(),
        *functions,
        f"#endif /* {NAME}_H */",
    ]
    return "\n\n".join(blocks) + "\n"


_MACROS = """\
/* Where the constants lie, and how one is read: AVR has an address space for them. Both
 * may be defined before this file is included. */
#ifndef @FLASH
#if defined(__AVR__) && __SIZEOF_DOUBLE__ == 4
#include <avr/pgmspace.h>
#define @FLASH PROGMEM
#define @READ(at) pgm_read_float(at)
#else
#define @FLASH
#define @READ(at) (*(at))
#endif
#endif

/* "static" keeps the larger arrays of a call off the stack; then one call at a time. */
#ifndef @STORAGE
#define @STORAGE
#endif"""

_NAN_IS_NEEDED = """\
#if defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__
#error "NaN stands for a missing number: compile without -ffinite-math-only"
#endif"""


def _counts(
    estimator: Any, words: Words, given: list[_Array], topology: Topology
) -> str:
    """The lengths of the arrays."""
    counts = {each.size: len(each.elements) for each in given}
    counts["OUTPUTS"] = n_columns(estimator, topology)
    return "\n".join(words(f"#define @N_{name} {n}") for name, n in counts.items())


def _tables_of_text(estimator: Any, words: Words) -> list[str]:
    """What labels and codes mean."""
    tables, labels = [], []
    if hasattr(estimator, "classes_") and estimator._y_type != "multilabel-indicator":
        text, of_text = classes(estimator.classes_, words)
        (tables if of_text else labels).append(text)
    if isinstance(estimator, _TABLES):
        tables += texts(estimator.encoder_, words)
    if tables:
        tables.insert(0, words("#ifndef @NO_TEXT"))
        tables.append(words("#endif /* @NO_TEXT */"))
    return labels + tables


def _introduction(
    estimator: Any, words: Words, given: list[_Array], n_networks: int, sizes: _Sizes
) -> str:
    """The comment that says what there is, and how it is used."""
    kind = type(estimator).__name__
    paragraphs = [
        f"{kind}, written as C by skbackprop {__version__}.",
        *_usage(estimator, words, given),
    ]
    for each in given:
        lines = [words(f"{each.name}[@N_{each.size}], {each.kind}:")]
        lines += [f"    {k} {text}" for k, text in enumerate(each.elements)]
        paragraphs.append("\n".join(lines))
    if isinstance(estimator, _TABLES):
        paragraphs += _of_tables(estimator, words, given)
        total = estimator.n_networks_
        if n_networks < total and n_networks:
            paragraphs.append(f"Of {total} networks it has the first {n_networks}.")
    paragraphs.append(
        f"{sizes.flash} bytes of constants, beside the texts; {sizes.stack} bytes of "
        "arrays on the stack."
    )
    return comment(*paragraphs)


def _of_tables(estimator: Any, words: Words, given: list[_Array]) -> list[str]:
    names = {each.name for each in given}
    said = []
    if "numbers" in names:
        said.append(
            "A number that is missing is NAN. Infinity counts as the largest number."
        )
    if "codes" in names:
        said.append(
            words(
                "A code of 0, and any other that is not listed, is a category that fit "
                "has not seen. The arrays @codes_0 and so on have the texts of codes, "
                "in UTF-8; #define @NO_TEXT leaves them out."
            )
        )
    return said


def _usage(estimator: Any, words: Words, given: list[_Array]) -> list[str]:
    inputs = ", ".join(f"const {each.kind} *{each.name}" for each in given)
    kind = getattr(estimator, "_y_type", "")
    if not kind:
        levels = (
            ""
            if estimator.quantiles_ is None
            else (" For each target its quantiles, in increasing order.")
        )
        return [
            words(f"    void @predict({inputs}, real *y)\n"),
            words(f"y[@N_OUTPUTS] becomes the prediction.{levels}"),
        ]
    if kind == "multilabel-indicator":
        label = words(f"    void @predict({inputs}, int *labels)\n")
        what = (
            "labels[@N_OUTPUTS] become 1 or 0, and -1 where a probability is NaN; "
            "@labels makes them of p."
        )
    else:
        label = words(f"    int @predict({inputs})\n")
        what = (
            "@predict returns the place of the label in @classes, -1 where a "
            "probability is NaN; @label makes it of p."
        )
    proba = words(f"    void @predict_proba({inputs}, real *p)")
    return [label + proba, words(f"p[@N_OUTPUTS] becomes the probabilities. {what}")]
