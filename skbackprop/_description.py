"""What a fitted model is: the name, type and shape of everything a fit leaves behind.

One list for each estimator, as plain values: a pickle holds them, a model file holds
and checks them, and whatever else carries a model elsewhere reads them here. Shapes
are in sizes that a model's values share; what links them further is at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ._layers import HIDDEN_ACTIVATIONS, LOSSES, OUTPUT_ACTIVATIONS
from ._value_checks import (
    Check,
    Sizes,
    Wrong,
    anything,
    array,
    categories,
    column_names,
    count,
    each,
    flag,
    labels,
    mapping,
    maybe,
    need,
    number,
    random_stream,
    real,
    word,
)
from .core.activations import Activation
from .core.optimizers import Solver
from .core.topology import Topology


class Field(NamedTuple):
    """A fitted attribute."""

    name: str
    check: Check
    #: Whether a fit may leave none.
    optional: bool = False


@dataclass(frozen=True)
class Description:
    """All that a fit leaves behind, and what must hold between its parts."""

    fields: tuple[Field, ...]
    links: Callable[[Mapping[str, Any], Sizes], None] = lambda state, sizes: None

    @property
    def names(self) -> set[str]:
        return {field.name for field in self.fields}

    def check(self, state: Mapping[str, Any]) -> None:
        """Raise ValueError, with the attribute's name, where a state is another."""
        sizes: Sizes = {}
        for field in self.fields:
            if field.name not in state:
                if field.optional:
                    continue
                raise ValueError(f"{field.name} is missing.")
            try:
                field.check(state[field.name], sizes)
            except Wrong as wrong:
                raise ValueError(f"{field.name} must be {wrong}.") from None
        unknown = set(state) - self.names
        if unknown:
            raise ValueError(f"{min(unknown)!r} is no attribute of a fit.")
        try:
            self.links(state, sizes)
        except Wrong as wrong:
            raise ValueError(str(wrong)) from None


# Networks --------------------------------------------------------------------


def training(value: Any, sizes: Sizes) -> None:
    """What a later call goes on from: ``Continuation.as_dict``."""
    need(type(value) is dict, "a dict")
    split = value.get("split_stream")
    if split is not None:
        need(type(split) is tuple and len(split) == 2, "with a split of two parts")
        random_stream(split[0], sizes)
        flag(split[1], sizes)
    if set(value) == {"split_stream"}:
        return
    _WHOLE_TRAINING(value, sizes)


_WHOLE_TRAINING = mapping(
    split_stream=anything,
    solver=word(*(kind.name.lower() for kind in Solver)),
    memory=array("float32 float64", "", ""),
    steps=count(),
    random_state=random_stream,
    reductions=count(most=400),
    dropout_seed=count(),
    order=maybe(array("int64", "", least=0)),
    weight_sum=real(least=0, finite=True),
    weight_rows=real(least=0, finite=True),
    weight_exponent=lambda value, sizes: need(
        type(value) is int and abs(value) < 1100, "with a small exponent"
    ),
)


_FEATURES = (
    Field("n_features_in_", count(1, "n_features")),
    Field("feature_names_in_", column_names, optional=True),
)
_CLASSES = (
    Field("classes_", labels),
    Field("_y_type", word("binary", "multiclass", "multilabel-indicator")),
    Field("_sparse_y", flag),
)
_QUANTILES = Field("quantiles_", maybe(array("float64", "n_levels")))
_NETWORK = (
    *_FEATURES,
    Field("coefs_", each(array("float32 float64", "", ""))),
    Field("intercepts_", each(array("float32 float64", ""))),
    Field("_hidden_activations", each(word(*HIDDEN_ACTIVATIONS))),
    Field("out_activation_", word(*OUTPUT_ACTIVATIONS)),
    Field("n_outputs_", count(1, "n_outputs")),
    Field("n_layers_", count(2)),
    Field("n_iter_", count()),
    Field("t_", count()),
    Field("loss_", real()),
    Field("loss_curve_", each(real()), optional=True),
    Field("best_loss_", real(none=True), optional=True),
    Field("validation_scores_", maybe(each(real())), optional=True),
    Field("best_validation_score_", real(none=True), optional=True),
    Field("_no_improvement_count", count(), optional=True),
    Field("_incremental", flag),
    Field("_training_state", training, optional=True),
)


def network_links(state: Mapping[str, Any], sizes: Sizes) -> None:
    """Layers chain from the features to the outputs, in one type."""
    coefs, intercepts = state["coefs_"], state["intercepts_"]
    hidden = state["_hidden_activations"]
    n = len(coefs)
    need(
        n == len(intercepts) == len(hidden) + 1 == state["n_layers_"] - 1,
        "coefs_, intercepts_, activations and n_layers_ must be of as many layers.",
    )
    need(
        len({each.dtype for each in (*coefs, *intercepts)}) == 1,
        "coefs_ and intercepts_ must be of one type.",
    )
    widths = [sizes["n_features"], *(W.shape[1] for W in coefs)]
    need(
        all(
            W.shape[0] == width and b.shape == W.shape[1:]
            for W, b, width in zip(coefs, intercepts, widths, strict=False)
        )
        and widths[-1] == sizes["n_outputs"]
        and min(widths) > 0,
        "The shapes of coefs_ and intercepts_ must lead from n_features_in_ to "
        "n_outputs_.",
    )
    saved = state.get("_training_state", {}).get("memory")
    if saved is not None:
        total = sum(each.size for each in (*coefs, *intercepts))
        need(
            saved.shape[1] == total and saved.dtype == coefs[0].dtype,
            "The moments must be of coefs_ and intercepts_.",
        )


def class_links(state: Mapping[str, Any], n_outputs: int, output: str) -> None:
    """One output for two classes, else one for each."""
    kind, n = state["_y_type"], len(state["classes_"])
    binary = kind == "binary" or (n <= 2 and kind == "multiclass")
    need(
        output == ("softmax" if kind == "multiclass" and n > 2 else "logistic")
        and n_outputs == (1 if binary else n)
        and (kind != "binary" or n <= 2),
        "The outputs must be those of classes_.",
    )
    if kind == "multilabel-indicator":
        need(
            state["classes_"].dtype.kind in "iu"
            and (state["classes_"] == np.arange(n)).all(),
            "classes_ must be the numbers of the labels.",
        )


def _classifier_links(state: Mapping[str, Any], sizes: Sizes) -> None:
    network_links(state, sizes)
    class_links(state, sizes["n_outputs"], state["out_activation_"])


def _regressor_links(state: Mapping[str, Any], sizes: Sizes) -> None:
    network_links(state, sizes)
    need(state["out_activation_"] != "softmax", "out_activation_ must not be softmax.")
    level_links(state, sizes["n_outputs"])


def level_links(state: Mapping[str, Any], n_outputs: int) -> int:
    """Outputs are targets times quantiles; returns the targets."""
    levels = state["quantiles_"]
    if levels is None:
        return n_outputs
    need(
        len(levels) > 0
        and n_outputs % len(levels) == 0
        and (np.diff([0.0, *levels, 1.0]) > 0).all(),
        "quantiles_ must be increasing levels of every target.",
    )
    return n_outputs // len(levels)


# Tables ----------------------------------------------------------------------

_ENCODER = (
    *_FEATURES,
    Field("numeric_features_", array("int64", "n_numbers", least=0)),
    Field("date_features_", array("int64", "", least=0), optional=True),
    Field("categorical_features_", array("int64", "n_categorical", least=0)),
    Field("dropped_features_", array("int64", "", least=0)),
    Field("center_", array("float64", "n_numbers")),
    Field("scale_", array("float64", "n_numbers", least=0)),
    Field("indicator_features_", array("int64", "", least=0)),
    Field("categories_", each(categories, "n_categorical")),
    Field("missing_categories_", array("bool", "n_categorical")),
    Field(
        "encodings_",
        each(word("one-hot", "binary", "codes", "dropped"), "n_categorical"),
    ),
    Field("n_numeric_", count()),
    Field("n_plain_", count()),
    Field("cardinalities_", each(count(1))),
    Field(
        "_sklearn_output_config",
        mapping(transform=word("default", "pandas", "polars")),
        optional=True,
    ),
)


def activations(value: Any, sizes: Sizes) -> None:
    """Of every layer, the output last."""
    need(type(value) is list and value, "a list of names")
    each(word(*HIDDEN_ACTIVATIONS))(value[:-1], sizes)
    word(*OUTPUT_ACTIVATIONS)(value[-1], sizes)


_TOPOLOGY = mapping(
    sizes=each(count(1)),
    activations=activations,
    loss=word(*LOSSES),
    loss_parameters=each(real(finite=True)),
    embeddings=mapping(
        edges=each(array("float64", "")),
        n_plain=count(),
        cardinalities=each(count(1)),
        dimension=count(1),
        code_dimension=count(1),
    ),
)
_RECIPE = mapping(
    hidden_layer_sizes=lambda value, sizes: need(
        type(value) is tuple and all(type(n) is int for n in value), "a tuple of ints"
    ),
    activation=word(*HIDDEN_ACTIVATIONS),
    **dict.fromkeys(
        ("n_folds", "n_repeats", "max_iter", "batch_size", "n_bins", "embedding_size"),
        count(1),
    ),
    **dict.fromkeys(
        ("learning_rate_init", "weight_decay", "dropout", "label_smoothing"), number
    ),
    output_scale=number,
    n_iter_no_change=number,
)
_ENSEMBLE = (
    *_FEATURES,
    Field("encoder_", anything),
    Field(
        "_bag",
        mapping(
            topology=_TOPOLOGY,
            thetas=each(array("float32", "n_parameters"), "n_networks"),
        ),
    ),
    Field("n_networks_", count(1, "n_networks")),
    Field("recipe_", _RECIPE),
    Field("n_iter_", count()),
    Field("best_epochs_", array("int64", "n_networks", least=0)),
    Field("validation_scores_", each(each(real()), "n_networks")),
    Field("loss_curves_", each(each(real()), "n_networks"), optional=True),
    Field("validation_score_", real()),
)


def encoder_links(
    state: Mapping[str, Any], derived: Mapping[str, Any], n_parts: int
) -> None:
    """Every column is read once, and what follows from it is what is there."""
    n, numeric = state["n_features_in_"], state["numeric_features_"]
    single, counts = np.unique(numeric, return_counts=True)
    columns = np.concatenate([single, state["categorical_features_"]])
    need(
        len(columns) == n and np.array_equal(np.sort(columns), np.arange(n)),
        "numeric_features_ and categorical_features_ must be the columns, each once.",
    )
    dates = state["date_features_"]
    need(
        (np.diff(dates) > 0).all()
        and np.isin(dates, single).all()
        and np.array_equal(counts, np.where(np.isin(single, dates), n_parts, 1))
        and (np.diff(numeric) >= 0).all(),
        "numeric_features_ must hold the columns of date_features_ once for each part.",
    )
    need(
        np.isin(state["indicator_features_"], numeric).all()
        and (np.diff(state["indicator_features_"]) > 0).all(),
        "indicator_features_ must be among numeric_features_.",
    )
    for known, missing, encoding in zip(
        state["categories_"],
        state["missing_categories_"].tolist(),
        state["encodings_"],
        strict=True,
    ):
        two = len(known) == 2 and not missing
        need(
            two
            if encoding == "binary"
            else len(known) + missing > 0 or encoding in ("dropped", "codes"),
            "encodings_ must be those of categories_.",
        )
    for name, value in derived.items():
        need(
            np.array_equal(state[name], value),
            f"{name} must follow from the other attributes.",
        )


def clamp(value: Any, sizes: Sizes) -> None:
    """The least and the largest target of each column."""
    need(type(value) is tuple and len(value) == 2, "two arrays")
    for each_ in value:
        array("float64", "n_targets")(each_, sizes)


def ensemble_links(state: Mapping[str, Any], topology: Topology) -> None:
    """The networks read what the encoder writes, and say what the targets are."""
    encoder, embeddings = state["encoder_"], topology.embeddings
    width = encoder.n_numeric_ + encoder.n_plain_ + len(encoder.cardinalities_)
    need(
        embeddings.n_numbers == encoder.n_numeric_
        and embeddings.n_plain == (encoder.n_plain_ if width else 1)
        and embeddings.cardinalities == encoder.cardinalities_,
        "The networks must read what encoder_ writes.",
    )
    names = getattr(encoder, "feature_names_in_", None)
    need(
        encoder.n_features_in_ == state["n_features_in_"]
        and np.array_equal(names, state.get("feature_names_in_")),
        "encoder_ must have the features of the estimator.",
    )
    need(encoder.missing == "nan", "encoder_ must leave missing numbers missing.")
    output = Activation(topology.activations[-1]).name.lower()
    if "classes_" in state:
        name = "logistic" if output == "sigmoid" else output
        class_links(state, topology.n_outputs, name)
    else:
        need(output in ("identity", "exp"), "The outputs must be numbers.")
        n_targets = level_links(state, topology.n_outputs)
        need(
            len(state["target_mean_"]) == n_targets,
            "target_mean_, target_scale_ and the range must be of every target.",
        )


def described(*fields: Iterable[Field] | Field, links: Any = None) -> Description:
    """A description of all these fields."""
    flat: list[Field] = []
    for each_ in fields:
        flat += [each_] if isinstance(each_, Field) else each_
    return Description(tuple(flat), links) if links else Description(tuple(flat))


DESCRIPTIONS: dict[str, Description] = {
    "BackpropMLPClassifier": described(_NETWORK, _CLASSES, links=_classifier_links),
    "BackpropMLPRegressor": described(_NETWORK, _QUANTILES, links=_regressor_links),
    "TabularEncoder": described(_ENCODER),
    "TabularMLPClassifier": described(
        _ENSEMBLE, _CLASSES, Field("temperature_", real(above=1e-6, finite=True))
    ),
    "TabularMLPRegressor": described(
        _ENSEMBLE,
        _QUANTILES,
        Field("_clamp", clamp),
        Field("target_mean_", array("float64", "n_targets")),
        Field("target_scale_", array("float64", "n_targets")),
    ),
}
