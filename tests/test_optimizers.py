"""Optimisers and the run of mini-batches against the reference; what is refused."""

import copy
import pickle
import platform
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import reference
from numpy.typing import NDArray

from skbackprop._layers import make_topology
from skbackprop._table import make_scratch, make_table
from skbackprop.core import engine
from skbackprop.core.activations import Activation
from skbackprop.core.losses import Loss
from skbackprop.core.optimizers import Optimizer, Solver, n_slots
from skbackprop.core.regimen import Regimen
from skbackprop.core.topology import Topology

Array = NDArray[np.floating]

SETTINGS: dict[str, tuple[Solver, dict[str, Any]]] = {
    "sgd": (Solver.SGD, {"learning_rate": 0.05}),
    "momentum": (Solver.SGD, {"learning_rate": 0.03, "momentum": 0.9}),
    "nesterov": (
        Solver.SGD,
        {"learning_rate": 0.03, "momentum": 0.9, "nesterov": True},
    ),
    "adam": (Solver.ADAM, {"learning_rate": 0.02}),
    "adam, other numbers": (
        Solver.ADAM,
        {"learning_rate": 0.05, "beta_1": 0.7, "beta_2": 0.95, "epsilon": 1e-3},
    ),
    "adamw": (Solver.ADAMW, {"learning_rate": 0.02, "weight_decay": 0.3}),
    "adamw without decay": (Solver.ADAMW, {"learning_rate": 0.02}),
}
SOLVERS = pytest.mark.parametrize("setting", SETTINGS)
BIASES = pytest.mark.parametrize(
    "biases", [(True, True, True), (False, False, False), (False, True, False)]
)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20240229)


def make_optimizer(setting: str) -> Optimizer:
    kind, numbers = SETTINGS[setting]
    return Optimizer(kind, **numbers)


def is_weight(topology: Topology) -> NDArray[np.bool_]:
    """Which entries of theta belong to a W."""
    mask = np.zeros(topology.n_parameters, dtype=bool)
    for W in topology.views(mask)[0]:
        W[...] = True
    return mask


def reference_step(
    opt: Optimizer,
    t: int,
    theta: Array,
    grad: Array,
    memory: list[Array],
    weights: NDArray[np.bool_],
) -> tuple[Array, list[Array]]:
    """Step number t, with the numbers of opt."""
    if opt.kind == Solver.SGD:
        theta, v = reference.sgd_step(
            theta, grad, memory[0], opt.learning_rate, opt.momentum, opt.nesterov
        )
        return theta, [v]
    numbers = (opt.learning_rate, opt.beta_1, opt.beta_2, opt.epsilon)
    if opt.kind == Solver.ADAM:
        theta, *memory = reference.adam_step(theta, grad, *memory, t, *numbers)
    else:
        assert opt.kind == Solver.ADAMW
        theta, *memory = reference.adamw_step(
            theta, grad, *memory, t, *numbers, opt.weight_decay, weights
        )
    return theta, memory


def error(got: Array, want: Array) -> float:
    return float(np.linalg.norm(got - want) / np.linalg.norm(want))


def test_every_solver_is_tested() -> None:
    assert {kind for kind, _ in SETTINGS.values()} == set(Solver)


# One step


@BIASES
@SOLVERS
def test_steps(
    setting: str, biases: tuple[bool, ...], rng: np.random.Generator
) -> None:
    topology = Topology([3, 4, 2, 1], [1, 1, 0], biases, Loss.SQUARED_ERROR)
    n = topology.n_parameters
    opt, weights = make_optimizer(setting), is_weight(topology)
    assert weights.sum() == 3 * 4 + 4 * 2 + 2 * 1
    theta = rng.normal(size=n)
    memory = np.zeros((n_slots(opt.kind), n))
    want, want_memory = theta.copy(), list(memory.copy())
    single, single_opt = theta.astype(np.float32), make_optimizer(setting)
    single_memory = memory.astype(np.float32)
    start = theta.copy()
    for t in range(1, 51):
        grad = rng.normal(size=n) + start
        kept = grad.copy()
        engine.optimizer_step(topology, opt, theta, grad, memory)
        want, want_memory = reference_step(opt, t, want, grad, want_memory, weights)
        assert opt.t == t
        assert np.array_equal(grad, kept)
        assert error(theta, want) < 1e-12
        assert error(memory, np.array(want_memory)) < 1e-12
        engine.optimizer_step(
            topology, single_opt, single, grad.astype(np.float32), single_memory
        )
    assert error(single, want) < 1e-5
    assert error(single_memory, np.array(want_memory)) < 1e-5
    assert error(theta, start) > 0.1


def test_adamw_decays_weights_only() -> None:
    topology = Topology([3, 4, 1], [1, 0], [True, True], Loss.SQUARED_ERROR)
    n, weights = topology.n_parameters, is_weight(topology)
    opt = Optimizer(Solver.ADAMW, 0.1, weight_decay=0.5)
    theta, memory = np.linspace(1.0, 2.0, n), np.zeros((2, n))
    for power in range(1, 4):
        engine.optimizer_step(topology, opt, theta, np.zeros(n), memory)
        want = np.linspace(1.0, 2.0, n) * np.where(weights, 0.95**power, 1)
        assert np.allclose(theta, want, rtol=1e-15, atol=0)
        assert np.array_equal(theta[~weights], np.linspace(1.0, 2.0, n)[~weights])


@pytest.mark.parametrize("setting", ["sgd", "momentum", "nesterov", "adam"])
def test_others_do_not_decay(setting: str) -> None:
    topology = Topology([3, 1], [0], [True], Loss.SQUARED_ERROR)
    opt = make_optimizer(setting)
    opt.weight_decay = 0.5
    theta, memory = np.ones(4), np.zeros((n_slots(opt.kind), 4))
    engine.optimizer_step(topology, opt, theta, np.zeros(4), memory)
    assert theta.tolist() == [1, 1, 1, 1]


def test_first_step_of_adam_is_the_learning_rate() -> None:
    """Both moments are corrected for their start at 0; epsilon is beside sqrt(v)."""
    topology = Topology([3, 1], [0], [True], Loss.SQUARED_ERROR)
    opt = Optimizer(Solver.ADAM, 0.01, epsilon=0.0)
    theta, memory = np.zeros(4), np.zeros((2, 4))
    engine.optimizer_step(
        topology, opt, theta, np.array([1e-6, -2.0, 3e6, 1.0]), memory
    )
    assert np.allclose(theta, [-0.01, 0.01, -0.01, -0.01], rtol=1e-12)


# A run of mini-batches


class Problem:
    """Rows, targets and a network with two hidden layers, to be trained."""

    def __init__(
        self,
        loss: str = "categorical_cross_entropy",
        *,
        dtype: type = np.float64,
        biases: tuple[bool, ...] = (True, False, True),
        n: int = 23,
    ) -> None:
        rng = np.random.default_rng(7)
        q = 3
        self.loss, self.dtype = loss, dtype
        self.activations = ["tanh", "sigmoid", reference.CANONICAL[loss]]
        self.topology = make_topology(
            [4, 5, 3, q], self.activations[:-1], self.activations[-1], loss, biases
        )
        self.X = rng.normal(size=(n, 4))
        labels = rng.integers(0, q, n)
        one_hot = loss == "categorical_cross_entropy"
        self.Y = np.eye(q)[labels] if one_hot else rng.normal(size=(n, q))
        self.w = rng.uniform(0.2, 3.0, n) * (rng.random(n) < 0.8)
        self.theta = rng.normal(size=self.topology.n_parameters) * 0.7
        self.order = rng.permutation(n)
        self.table = make_table(
            self.X,
            Y=None if one_hot else self.Y,
            labels=labels if one_hot else None,
            sample_weight=self.w,
            dtype=dtype,
        )

    def run(
        self,
        opt: Optimizer,
        *,
        epochs: int,
        batch_size: int,
        alpha: float,
        orders: list[NDArray[np.intp]] | None = None,
    ) -> tuple[Array, Array, list[float]]:
        """theta, memory and the loss of every epoch."""
        theta = self.theta.astype(self.dtype)
        grad = np.full_like(theta, np.nan)
        memory = np.zeros((n_slots(opt.kind), len(theta)), self.dtype)
        scratch = make_scratch(self.topology, batch_size, self.dtype, sparse=False)
        scratch.work[:], scratch.sums[:] = np.nan, np.nan
        losses = []
        for epoch in range(epochs):
            order = self.order if orders is None else orders[epoch]
            losses.append(
                engine.train_run(
                    self.topology,
                    opt,
                    Regimen(self.topology.n_groups),
                    theta,
                    grad,
                    memory,
                    *self.table,
                    order,
                    0,
                    len(order),
                    batch_size,
                    self.w.mean(),
                    alpha,
                    0.0,
                    *scratch,
                )
            )
        return theta, memory, losses


@pytest.mark.parametrize("loss", ["categorical_cross_entropy", "squared_error"])
@SOLVERS
def test_run_is_a_loop_over_the_reference(setting: str, loss: str) -> None:
    """Shuffled order, a shorter last batch, weights, some of them 0, and L2."""
    problem, opt = Problem(loss), make_optimizer(setting)
    alpha, batch_size, n = 0.4, 5, len(problem.X)
    assert n % batch_size != 0 and np.any(problem.w == 0)
    rng = np.random.default_rng(3)
    orders = [rng.permutation(n) for _ in range(10)]
    theta, memory, losses = problem.run(
        opt, epochs=10, batch_size=batch_size, alpha=alpha, orders=orders
    )
    want, weights = problem.theta.copy(), is_weight(problem.topology)
    want_memory = [np.zeros_like(want)] * n_slots(opt.kind)
    t, want_losses = 0, []
    for order in orders:
        total = 0.0
        for start in range(0, n, batch_size):
            rows = order[start : start + batch_size]
            value, dcoefs, dintercepts, _ = reference.loss_and_gradient(
                *problem.topology.views(want),
                problem.X[rows],
                problem.Y[rows],
                problem.activations,
                loss,
                problem.w[rows],
                alpha,
                len(rows) * problem.w.mean(),
            )
            parts = [p for pair in zip(dcoefs, dintercepts, strict=True) for p in pair]
            grad = np.concatenate([part.ravel() for part in parts if part is not None])
            t += 1
            want, want_memory = reference_step(opt, t, want, grad, want_memory, weights)
            total += value * len(rows)
        want_losses.append(total)
    assert t == opt.t == 50
    assert error(theta, want) < 1e-12
    assert error(memory, np.array(want_memory)) < 1e-12
    assert np.allclose(losses, want_losses, rtol=1e-12, atol=0)
    assert error(theta, problem.theta) > 0.05

    single = Problem(loss, dtype=np.float32)
    got, _, got_losses = single.run(
        make_optimizer(setting),
        epochs=10,
        batch_size=batch_size,
        alpha=alpha,
        orders=orders,
    )
    assert error(got, want) < 1e-4
    assert np.allclose(got_losses, want_losses, rtol=1e-4)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@SOLVERS
def test_same_input_same_bits(setting: str, dtype: type) -> None:
    runs = [
        Problem(dtype=dtype).run(
            make_optimizer(setting), epochs=5, batch_size=4, alpha=0.1
        )
        for _ in range(2)
    ]
    for got, want in zip(*runs, strict=True):
        assert np.array_equal(got, want)


def test_a_run_in_two_parts_is_the_run() -> None:
    """An epoch may be cut between two batches; the loss is handed on."""
    problem = Problem()
    n, theta = len(problem.X), problem.theta
    results = []
    for cuts in ([0, n], [0, 5, 15, n]):
        theta, opt = problem.theta.copy(), make_optimizer("adam")
        memory, loss = np.zeros((2, len(theta))), 0.25
        for start, stop in pairwise(cuts):
            loss = engine.train_run(
                problem.topology,
                opt,
                Regimen(problem.topology.n_groups),
                theta,
                np.empty_like(theta),
                memory,
                *problem.table,
                problem.order,
                start,
                stop,
                5,
                1.0,
                0.0,
                loss,
                *make_scratch(problem.topology, 5, np.float64, sparse=False),
            )
        results.append((theta, memory, loss))
    for got, want in zip(*results, strict=True):
        assert np.array_equal(got, want)
    assert results[0][2] > 0.25


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@SOLVERS
def test_run_stops_at_the_first_loss_that_is_not_finite(
    setting: str, bad: float
) -> None:
    problem, opt = Problem("squared_error"), make_optimizer(setting)
    problem.w[:] = 1
    row = problem.order[12]  # in the third batch of five
    problem.table.sample_weight[:] = 1
    problem.table.Y[row] = bad
    _, _, (loss,) = problem.run(opt, epochs=1, batch_size=5, alpha=0.0)
    assert opt.t == 3
    assert not np.isfinite(loss)


def test_run_does_not_start_from_a_loss_that_is_not_finite() -> None:
    arguments = Arguments()
    arguments.values["loss"] = np.inf
    before = arguments.state()
    assert engine.train_run(*arguments.of("train_run")) == np.inf
    assert arguments.state() == before


# What is refused


DOORS = {
    "predict": "t theta X data indices indptr rows start stop out work places link",
    "loss_and_grad": "t theta X data indices indptr Y labels sample_weight rows "
    "start stop denominator grad dX work label_work sums places",
    "l2_and_grad": "t theta alpha denominator grad",
    "train_run": "t opt regimen theta grad memory X data indices indptr Y labels "
    "sample_weight rows start stop batch_size mean_weight alpha loss work "
    "label_work sums places",
    "optimizer_step": "t opt theta grad memory",
    "affine_layer": "A W b p q Z",
    "activation": "kind Z H q",
    "derivative": "kind Z H delta",
}


class Arguments:
    """Right arguments of every door, by name, for 6 rows in blocks of 4."""

    def __init__(self, *, classes: bool = False, sparse: bool = False) -> None:
        q = 2
        loss = Loss.CATEGORICAL_CROSS_ENTROPY if classes else Loss.SQUARED_ERROR
        output = Activation.SOFTMAX if classes else Activation.IDENTITY
        t = Topology([3, 4, q], [Activation.RELU, output], [True, True], loss)
        rng = np.random.default_rng(0)
        empty = np.empty(0)
        scratch = make_scratch(t, 4, np.float64, sparse=sparse, input_gradient=True)
        self.values: dict[str, Any] = {
            "t": t,
            "opt": Optimizer(Solver.ADAM, 0.1),
            "regimen": Regimen(t.n_groups),
            "theta": rng.normal(size=t.n_parameters),
            "grad": np.zeros(t.n_parameters),
            "memory": np.zeros((2, t.n_parameters)),
            "X": np.empty((0, 3)) if sparse else rng.normal(size=(6, 3)),
            "data": np.ones(6) if sparse else empty,
            "indices": np.zeros(6 if sparse else 0, dtype=np.intc),
            "indptr": np.arange(7 if sparse else 0, dtype=np.longlong),
            "Y": np.empty((0, 1)) if classes else rng.normal(size=(6, q)),
            "labels": np.zeros(6 if classes else 0, dtype=np.intc),
            "sample_weight": np.ones(6),
            "rows": np.empty(0, dtype=np.intp),
            "start": 1,
            "stop": 5,
            "batch_size": 4,
            "mean_weight": 1.0,
            "denominator": 4.0,
            "alpha": 0.5,
            "loss": 0.0,
            "link": True,
            "out": np.zeros(4 * q),
            "dX": np.zeros(4 * 3),
            "work": np.zeros(len(scratch.work)),
            "label_work": np.zeros(4, dtype=np.intc),
            "sums": np.zeros(len(scratch.sums)),
            "places": np.zeros_like(scratch.places),
            "A": np.ones(4 * 3),
            "W": np.ones(3 * 2),
            "b": np.ones(2),
            "p": 3,
            "q": 2,
            "Z": np.zeros(4 * 2),
            "kind": Activation.SIGMOID,
            "H": np.ones(8),
            "delta": np.ones(8),
        }

    def of(self, door: str) -> list[Any]:
        return [self.values[name] for name in DOORS[door].split()]

    def state(self) -> tuple[Any, ...]:
        """Everything that a door could change, but for its notes about ``work``."""
        arrays = (
            value.tobytes()
            for name, value in self.values.items()
            if hasattr(value, "tobytes") and name != "places"
        )
        return (*arrays, self.values["opt"].t)


DENSE, SPARSE, CLASSES = {}, {"sparse": True}, {"classes": True}

REFUSED: list[tuple[str, dict[str, bool], dict[str, Any], str]] = [
    ("predict", DENSE, {"theta": np.ones(25)}, "theta"),
    ("predict", DENSE, {"theta": np.ones(27)}, "theta"),
    ("predict", DENSE, {"X": np.ones((6, 2))}, "X must have 3 columns"),
    ("predict", DENSE, {"start": -1}, "rows"),
    ("predict", DENSE, {"start": 6}, "rows"),
    ("predict", DENSE, {"stop": 7}, "rows"),
    ("predict", DENSE, {"rows": np.zeros(4, np.intp)}, "rows"),
    ("predict", SPARSE, {"stop": 7}, "rows"),
    ("predict", DENSE, {"out": np.ones(7)}, "out"),
    ("predict", DENSE, {"out": np.ones(9)}, "out"),
    ("predict", DENSE, {"work": np.ones(3)}, "work"),
    ("loss_and_grad", DENSE, {"theta": np.ones(25)}, "theta"),
    ("loss_and_grad", DENSE, {"X": np.ones((6, 4))}, "X must have 3 columns"),
    ("loss_and_grad", DENSE, {"X": np.ones((5, 3))}, "targets"),
    ("loss_and_grad", DENSE, {"Y": np.ones((6, 3))}, "Y must have 2 columns"),
    ("loss_and_grad", DENSE, {"Y": np.ones((5, 2))}, "targets"),
    ("loss_and_grad", SPARSE, {"Y": np.ones((5, 2))}, "targets"),
    ("loss_and_grad", CLASSES, {"labels": np.zeros(5, np.intc)}, "targets"),
    ("loss_and_grad", CLASSES, {"label_work": np.zeros(3, np.intc)}, "label_work"),
    ("loss_and_grad", DENSE, {"sample_weight": np.ones(5)}, "sample_weight"),
    ("loss_and_grad", DENSE, {"start": 6}, "rows"),
    ("loss_and_grad", DENSE, {"stop": 7}, "rows"),
    ("loss_and_grad", DENSE, {"grad": np.ones(25)}, "grad"),
    ("loss_and_grad", DENSE, {"dX": np.ones(11)}, "dX"),
    ("loss_and_grad", DENSE, {"work": np.ones(3)}, "work"),
    ("predict", DENSE, {"places": np.zeros((3, 5), np.intp)}, "places"),
    ("loss_and_grad", DENSE, {"places": np.zeros((4, 4), np.intp)}, "places"),
    ("loss_and_grad", DENSE, {"sums": np.zeros(2)}, "sums"),
    ("train_run", DENSE, {"places": np.zeros((3, 5), np.intp)}, "places"),
    ("train_run", DENSE, {"sums": np.zeros(2)}, "sums"),
    ("l2_and_grad", DENSE, {"theta": np.ones(25)}, "theta"),
    ("l2_and_grad", DENSE, {"grad": np.ones(27)}, "grad"),
    ("train_run", DENSE, {"theta": np.ones(25)}, "theta"),
    ("train_run", DENSE, {"grad": np.ones(25)}, "grad"),
    ("train_run", DENSE, {"grad": np.ones(0)}, "grad"),
    ("train_run", DENSE, {"memory": np.zeros((1, 26))}, "memory"),
    ("train_run", DENSE, {"memory": np.zeros((2, 25))}, "memory"),
    ("train_run", DENSE, {"memory": np.zeros((3, 26))}, "memory"),
    ("train_run", DENSE, {"X": np.ones((6, 4))}, "X must have 3 columns"),
    ("train_run", DENSE, {"Y": np.ones((6, 3))}, "Y must have 2 columns"),
    ("train_run", DENSE, {"Y": np.ones((7, 2))}, "targets"),
    ("train_run", CLASSES, {"labels": np.zeros(7, np.intc)}, "targets"),
    ("train_run", CLASSES, {"label_work": np.zeros(3, np.intc)}, "label_work"),
    ("train_run", DENSE, {"sample_weight": np.ones(7)}, "sample_weight"),
    ("train_run", DENSE, {"batch_size": 0}, "batch_size"),
    ("train_run", DENSE, {"start": -1}, "rows"),
    ("train_run", DENSE, {"start": 6}, "rows"),
    ("train_run", DENSE, {"stop": 7}, "rows"),
    ("train_run", DENSE, {"rows": np.zeros(4, np.intp)}, "rows"),
    ("train_run", SPARSE, {"stop": 7}, "rows"),
    ("train_run", DENSE, {"work": np.ones(3)}, "work"),
    ("optimizer_step", DENSE, {"theta": np.ones(25)}, "theta"),
    ("optimizer_step", DENSE, {"grad": np.ones(27)}, "grad"),
    ("optimizer_step", DENSE, {"memory": np.zeros((1, 26))}, "memory"),
    ("optimizer_step", DENSE, {"memory": np.zeros((2, 27))}, "memory"),
    ("affine_layer", DENSE, {"W": np.ones(5)}, "W"),
    ("affine_layer", DENSE, {"b": np.ones(3)}, "b"),
    ("affine_layer", DENSE, {"A": np.ones(11)}, "A"),
    ("affine_layer", DENSE, {"Z": np.ones(7)}, "Z"),
    ("affine_layer", DENSE, {"p": 0}, "W"),
    ("affine_layer", DENSE, {"q": 0}, "W"),
    ("activation", DENSE, {"H": np.ones(7)}, "Z and A"),
    ("activation", DENSE, {"q": 3}, "Z and A"),
    ("activation", DENSE, {"q": 0}, "Z and A"),
    ("derivative", DENSE, {"H": np.ones(7)}, "one length"),
    ("derivative", DENSE, {"delta": np.ones(7)}, "one length"),
]


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("given", [DENSE, SPARSE, CLASSES])
def test_right_arguments_are_taken(door: str, given: dict[str, bool]) -> None:
    """So that each refusal below has the one reason that it names."""
    arguments = Arguments(**given)
    assert len(arguments.values["theta"]) == 26
    before = arguments.state()
    getattr(engine, door)(*arguments.of(door))
    assert arguments.state() != before


@pytest.mark.parametrize(
    ("door", "given", "wrong", "message"),
    REFUSED,
    ids=[f"{door}-{'-'.join(wrong)}" for door, _, wrong, _ in REFUSED],
)
def test_wrong_sizes_are_refused(
    door: str, given: dict[str, bool], wrong: dict[str, Any], message: str
) -> None:
    arguments = Arguments(**given)
    arguments.values |= copy.deepcopy(wrong)
    before = arguments.state()
    with pytest.raises(ValueError, match=message):
        getattr(engine, door)(*arguments.of(door))
    assert arguments.state() == before


@pytest.mark.parametrize("door", [d for d, names in DOORS.items() if "theta" in names])
def test_mixed_dtypes_are_refused(door: str) -> None:
    arguments = Arguments()
    arguments.values["theta"] = arguments.values["theta"].astype(np.float32)
    before = arguments.state()
    with pytest.raises((TypeError, ValueError)):
        getattr(engine, door)(*arguments.of(door))
    assert arguments.state() == before


@pytest.mark.parametrize("work", [True, False])
def test_workspace_is_as_large_as_it_must_be(work: bool) -> None:
    """One element less is refused, dense and sparse."""
    for given in DENSE, SPARSE:
        arguments = Arguments(**given)
        if work:
            # 16 are for alignment, and may not be needed.
            arguments.values["work"] = arguments.values["work"][:-17].copy()
            with pytest.raises(ValueError, match="work"):
                engine.loss_and_grad(*arguments.of("loss_and_grad"))
        else:
            value = engine.loss_and_grad(*arguments.of("loss_and_grad"))
            assert np.isfinite(value)


@pytest.mark.parametrize(
    ("sizes", "activations", "biases", "message"),
    [
        ([3], [], [], "sizes"),
        ([3, 2, 1], [1], [True], "sizes"),
        ([3, 1], [1, 0], [True, True], "sizes"),
        ([3, 1], [0], [True, True], "biases"),
        ([3, 0, 1], [1, 0], [True, True], "size"),
        ([0, 1], [0], [True], "size"),
        ([3, -1], [0], [True], "size"),
    ],
)
def test_wrong_topologies_are_refused(
    sizes: list[int], activations: list[int], biases: list[bool], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Topology(sizes, activations, biases, Loss.SQUARED_ERROR)


# State


ROUND_TRIPS = pytest.mark.parametrize(
    "round_trip",
    [
        copy.copy,
        copy.deepcopy,
        *(
            lambda thing, p=protocol: pickle.loads(pickle.dumps(thing, p))
            for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
        ),
    ],
)
NUMBERS = {
    "learning_rate": 0.1,
    "momentum": 0.2,
    "beta_1": 0.3,
    "beta_2": 0.4,
    "epsilon": 0.5,
    "weight_decay": 0.6,
    "nesterov": True,
    "t": 2**40,
}


@ROUND_TRIPS
@pytest.mark.parametrize("kind", Solver)
def test_optimizer_round_trip(kind: Solver, round_trip: Any) -> None:
    opt = Optimizer(kind, **NUMBERS)
    again = round_trip(opt)
    assert type(again) is Optimizer and again is not opt
    assert again.kind == kind
    # Each number is another, so that no two can be exchanged.
    assert {name: getattr(again, name) for name in NUMBERS} == NUMBERS
    again.t += 1
    assert opt.t == 2**40


@ROUND_TRIPS
def test_topology_round_trip(round_trip: Any) -> None:
    topology = Topology(
        [3, 4, 2, 1],
        [Activation.RELU, Activation.TANH, Activation.SIGMOID],
        [True, False, True],
        Loss.BINARY_CROSS_ENTROPY,
    )
    again = round_trip(topology)
    assert type(again) is Topology and again is not topology
    public = "sizes activations biases loss n_layers n_parameters widest from_z".split()
    for name in public:
        assert getattr(again, name) == getattr(topology, name)
    theta = np.arange(float(topology.n_parameters))
    for got, want in zip(again.views(theta), topology.views(theta), strict=True):
        for a, b in zip(got, want, strict=True):
            assert (a is b is None) or np.array_equal(a, b)


def test_topology_lays_out_theta() -> None:
    """[W_1, b_1, W_2, W_3, b_3], row-major, as views."""
    topology = Topology([2, 3, 1, 2], [1, 1, 0], [True, False, True], 0)
    theta = np.arange(6.0 + 3 + 3 + 2 + 2)
    assert topology.n_parameters == len(theta) and topology.widest == 3
    coefs, intercepts = topology.views(theta)
    assert [W.tolist() for W in coefs] == [
        [[0, 1, 2], [3, 4, 5]],
        [[9], [10], [11]],
        [[12, 13]],
    ]
    assert intercepts[1] is None
    assert intercepts[0].tolist() == [6, 7, 8] and intercepts[2].tolist() == [14, 15]
    coefs[2][0, 1] = -1
    assert theta[13] == -1


def test_optimizer_resumes_after_a_round_trip() -> None:
    """Steps, pickle, steps: the same bits as all steps in one go."""
    topology = Topology([3, 1], [0], [True], Loss.SQUARED_ERROR)
    rng = np.random.default_rng(0)
    gradients = rng.normal(size=(6, 4))
    results = []
    for pickled in True, False:
        opt, theta, memory = make_optimizer("adamw"), np.ones(4), np.zeros((2, 4))
        for step, grad in enumerate(gradients):
            if pickled and step == 3:
                opt = pickle.loads(pickle.dumps(opt))
            engine.optimizer_step(topology, opt, theta, grad, memory)
        results.append(theta)
    assert np.array_equal(*results)


@pytest.mark.parametrize(("kind", "slots"), [("SGD", 1), ("ADAM", 2), ("ADAMW", 2)])
def test_slots(kind: str, slots: int) -> None:
    assert n_slots(Solver[kind]) == slots


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([1, 1], [99], [True], 0), "99 is not an Activation"),
        (([1, 1], [0], [True], 42), "42 is not a Loss"),
        (([1, 1], [65], [True], 0), "softmax and categorical"),
        (([1, 1], [0], [True], 2), "softmax and categorical"),
        (([1, 1, 1], [64, 0], [True, True], 0), "output layer only"),
    ],
)
def test_topology_refuses_kinds_without_a_branch(arguments, words):
    with pytest.raises(ValueError, match=words):
        Topology(*arguments)


def test_optimizer_refuses_kinds_without_a_branch():
    with pytest.raises(ValueError, match="7 is not a Solver"):
        Optimizer(7, 0.1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_moments_do_not_decay_into_subnormals(dtype):
    """They would make a run many times slower; outside a run they are numbers."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return  # there is no switch elsewhere
    topology = make_topology([2, 1], [], "identity", "squared_error")
    table = make_table(np.array([[0.0, 1.0]]), Y=np.array([[1.0]]), dtype=dtype)
    theta = np.zeros(topology.n_parameters, dtype=dtype)
    memory = np.full((2, len(theta)), 1e-3, dtype=dtype)
    order = np.zeros(9000, dtype=np.intp)  # the weight of column 0 has no gradient
    engine.train_run(
        topology,
        Optimizer(Solver.ADAM, 1e-3, beta_1=0.9, beta_2=0.9),
        Regimen(topology.n_groups),
        theta,
        np.empty_like(theta),
        memory,
        *table,
        order,
        0,
        len(order),
        1,
        1.0,
        0.0,
        0.0,
        *make_scratch(topology, 1, dtype, sparse=False),
    )
    assert memory[0, 0] == 0 and memory[1, 0] == 0
    tiny = np.finfo(dtype).smallest_subnormal
    assert tiny * dtype(1) > 0
