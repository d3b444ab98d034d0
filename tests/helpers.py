"""What several modules of tests do, in one place."""

import copy
import pickle
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import reference
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from reference import central_difference

from skbackprop import Network, TabularMLPClassifier, TabularMLPRegressor
from skbackprop._evaluation import make_table
from skbackprop._observers import Observer
from skbackprop._threads import run_in_team
from skbackprop.core import OWN_KERNELS, engine_of, level
from skbackprop.core.optimizers import Optimizer, Solver, n_slots
from skbackprop.core.topology import Topology

Array = NDArray[Any]

#: Of what is promised for kernels of our own; at the portable level BLAS decides.
OF_OWN_KERNELS = pytest.mark.skipif(
    not OWN_KERNELS, reason=f"at the level {level} products and threads are BLAS's"
)


# Training by the engine ---------------------------------------------------------


def make_trainer(
    topology: Topology,
    theta: Array,
    table: Any,
    optimizer: Optimizer | None = None,
    *,
    batch_size: int | None = None,
    capacity: int | None = None,
    **settings: Any,
) -> Any:
    """A trainer that writes to theta, by steps of the gradient unless it is told.

    ``settings`` are those of ``Trainer``: mean_weight, alpha, dropout.
    """
    engine = engine_of(theta.dtype)
    if optimizer is None:
        optimizer = Optimizer(Solver.SGD, 1.0)
    if batch_size is None:
        batch_size = max(table.n_rows, 1)
    workspace = engine.Workspace(
        topology,
        theta,
        batch_size if capacity is None else capacity,
        sparse=table.sparse,
        dropout=settings.get("dropout", (0.0, 0))[0] > 0,
    )
    moments = np.zeros((n_slots(optimizer.kind), len(theta)), theta.dtype)
    return engine.Trainer(workspace, table, optimizer, moments, batch_size, **settings)


def run_epoch(trainer: Any, order: Array | None = None, *, n_threads: int = 1) -> float:
    """The sum over the batches of their value times their rows."""
    if order is None:
        order = np.arange(trainer.table.n_rows)
    return run_in_team(trainer.run, order, 0, len(order), 0.0, n_threads=n_threads)


class Trained(NamedTuple):
    theta: Array
    #: The mean of the objectives of the last epoch.
    loss: float
    trainer: Any


def train(
    topology: Topology,
    theta: Array,
    X: Any,
    Y: Array,
    optimizer: Optimizer | None = None,
    *,
    sample_weight: Array | None = None,
    factors: Array | None = None,
    n_threads: int = 1,
    n_epochs: int = 1,
    **settings: Any,
) -> Trained:
    """A copy of theta after some epochs over the rows as they stand."""
    table = make_table(X, Y=Y, sample_weight=sample_weight, dtype=theta.dtype)
    theta = theta.copy()
    trainer = make_trainer(topology, theta, table, optimizer, **settings)
    trainer.factors = factors
    for _ in range(n_epochs):
        total = run_epoch(trainer, n_threads=n_threads)
    return Trained(theta, total / X.shape[0], trainer)


def make_stepper(topology: Topology, theta: Array, optimizer: Optimizer) -> Any:
    """A trainer that is for ``apply`` alone: it has no rows."""
    none = np.empty((0, topology.n_columns)), np.empty((0, topology.n_outputs))
    table = make_table(none[0], Y=none[1], dtype=theta.dtype)
    return make_trainer(topology, theta, table, optimizer, capacity=0)


# Arrays -------------------------------------------------------------------------


def shifted(array: Array) -> Array:
    """The same numbers at an odd address."""
    room = np.empty(array.nbytes + 1, dtype=np.uint8)
    view = room[1:].view(array.dtype).reshape(array.shape)
    view[...] = array
    assert not view.flags.aligned and view.flags.c_contiguous
    return view


# Formulas -----------------------------------------------------------------------


def assert_gradient(gradient: Array, f: Callable[[Array], float], x: Array) -> None:
    assert np.shape(gradient) == np.shape(x)
    numeric = central_difference(f, x, h=1e-5)
    rounding = 1e-9 * max(1, abs(f(x)))  # of f, divided by 2h
    assert_allclose(gradient, numeric, rtol=1e-6, atol=rounding)


def half_square(prediction: Array, y: Array) -> float:
    return float(((prediction - y) ** 2).sum() / 2)


def mean_bce(a: Array, y: Array) -> float:
    return float(-np.mean(y * np.log(a) + (1 - y) * np.log(1 - a)))


# Networks and estimators --------------------------------------------------------


def pass_through(
    q: int,
    output: str,
    loss: str,
    dtype: type = np.float64,
    parameters: Sequence[float] = (),
) -> Network:
    """A network whose Z is X: no hidden layer, W = 1, b = 0."""
    net = Network(
        [q, q],
        (),
        output_activation=output,
        loss=loss,
        dtype=dtype,
        loss_parameters=parameters,
    )
    net.coefs_, net.intercepts_ = [np.eye(q)], [np.zeros(q)]
    return net


#: An output and its loss.
SQUARED = {"loss": "squared_error", "output_activation": "identity"}
BINARY = {"loss": "binary_cross_entropy", "output_activation": "sigmoid"}
CLASSES = {"loss": "categorical_cross_entropy", "output_activation": "softmax"}
POISSON = {"loss": "poisson", "output_activation": "exp"}


def outputs_by_reference(net: Network, X: Array) -> Array:
    activations = [*net.activations, net.output_activation]
    names = ["sigmoid" if name == "logistic" else name for name in activations]
    return reference.forward(X, net.coefs_, net.intercepts_, names)[1][-1]


#: No more than a fit must have.
QUICK = {"hidden_layer_sizes": (3,), "max_iter": 2, "random_state": 0}


def assert_close_to_rounding(name: str, actual: Array, desired: Array) -> None:
    """Outputs recorded elsewhere, equal to rounding of the network's type."""
    assert actual.dtype == desired.dtype and actual.shape == desired.shape
    single = "tabular" in name or name.endswith("float32")
    rounding = 1e-5 if single else 1e-11
    assert_allclose(actual, desired, rtol=rounding, atol=rounding)


# A fitted model that must stay what it is ---------------------------------------


def frozen(model: Any) -> dict[str, Any]:
    """Fitted attributes, deep copies."""
    return {
        name: copy.deepcopy(value)
        for name, value in vars(model).items()
        if name.endswith("_")
    }


def assert_unchanged(model: Any, before: dict[str, Any]) -> None:
    now = {name: value for name, value in vars(model).items() if name.endswith("_")}
    assert now.keys() == before.keys()
    for name, value in before.items():
        for a, b in zip(
            value if isinstance(value, list) else [value],
            now[name] if isinstance(value, list) else [now[name]],
            strict=True,
        ):
            assert_array_equal(a, b, err_msg=name)


# TabularMLP* on a small frame ---------------------------------------------------


class SmallTable(NamedTuple):
    """A frame of a number and a category, and targets of every kind."""

    X: pd.DataFrame
    number: Array
    y: Array
    #: Three labels of two classes each.
    labels: Array


def small_table(n: int = 120) -> SmallTable:
    rng = np.random.default_rng(1)
    X = pd.DataFrame(
        {"a": rng.standard_normal(n), "b": rng.choice(list("xyz"), n)},
        index=[f"row {i}" for i in range(n)],
    )
    number = X["a"].to_numpy() + (X["b"] == "x").to_numpy() + rng.standard_normal(n)
    y = (number > 0.5).astype(int)
    labels = np.column_stack([y, number > 0, X["b"] == "x"]).astype(int)
    return SmallTable(X, number, y, labels)


#: Fits of a part of a second.
FAST = {
    "preset": "fast",
    "n_folds": 3,
    "max_iter": 5,
    "batch_size": 16,
    "hidden_layer_sizes": (16,),
    "random_state": 0,
    "n_jobs": 1,
}


def fast_classifier(**parameters: Any) -> TabularMLPClassifier:
    return TabularMLPClassifier(**FAST | parameters)


def fast_regressor(**parameters: Any) -> TabularMLPRegressor:
    return TabularMLPRegressor(**FAST | parameters)


def thetas(model: Any) -> Array:
    """The parameters of every network of a bag."""
    return np.array(model._bag[1])


def each_alone(model: Any) -> list[Any]:
    """A model of each network of a bag."""
    models = []
    for theta in model._bag[1]:
        alone = copy.copy(model)
        alone._bag = (model._bag[0], [theta])
        models.append(alone)
    return models


def pickled(model: Any, X: Any) -> tuple[bytes, Array]:
    """All that a tabular model is, and what it predicts."""
    return pickle.dumps(vars(model)), model.predict(X)


def assert_pickles_the_same(model: Any, before: tuple[bytes, Array], X: Any) -> None:
    state, predictions = before
    assert pickle.dumps(vars(model)) == state
    assert_array_equal(model.predict(X), predictions)


def scores_of(values: Iterable[float]) -> Callable[..., float]:
    """A scorer that says these, one after the other."""
    values = iter(values)
    return lambda *_: next(values)


def rising() -> Callable[..., float]:
    """The last epoch is the best."""
    return scores_of(range(10_000))


class EpochHook(Observer):
    """Calls a function after every epoch."""

    def __init__(self, function):
        self.function = function

    def epoch_ends(self, epoch):
        self.function(epoch.number, epoch.loss, epoch.score)


class Hooked:
    """A mixin: ``after_epoch(number, loss, score)`` is called after every epoch."""

    def _observers(self):
        return [EpochHook(self.after_epoch)]
