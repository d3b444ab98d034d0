"""Optimisers and the run of mini-batches against the reference.

Answers for: core/optimizers.pxd, core/optimizers.pyx, core/updates.pxd,
core/engine.pyx, core/subnormals.pxd.
"""

import copy
import pickle
import platform
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import reference
from helpers import make_stepper, make_trainer, run_epoch, shifted
from numpy.typing import NDArray

from skbackprop._evaluation import make_table
from skbackprop._layers import make_topology
from skbackprop.core.losses import Loss
from skbackprop.core.optimizers import Optimizer, Solver, n_slots
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
    stepper = make_stepper(topology, theta, opt)
    memory = stepper.moments
    want, want_memory = theta.copy(), list(memory.copy())
    single = theta.astype(np.float32)
    single_stepper = make_stepper(topology, single, make_optimizer(setting))
    single_memory = single_stepper.moments
    assert memory.shape == single_memory.shape == (n_slots(opt.kind), n)
    start = theta.copy()
    for t in range(1, 51):
        grad = rng.normal(size=n) + start
        kept = grad.copy()
        stepper.apply(grad)
        want, want_memory = reference_step(opt, t, want, grad, want_memory, weights)
        assert opt.t == t
        assert np.array_equal(grad, kept)
        assert error(theta, want) < 1e-12
        assert error(memory, np.array(want_memory)) < 1e-12
        single_stepper.apply(grad.astype(np.float32))
    assert error(single, want) < 1e-5
    assert error(single_memory, np.array(want_memory)) < 1e-5
    assert error(theta, start) > 0.1


def test_adamw_decays_weights_only() -> None:
    topology = Topology([3, 4, 1], [1, 0], [True, True], Loss.SQUARED_ERROR)
    n, weights = topology.n_parameters, is_weight(topology)
    opt = Optimizer(Solver.ADAMW, 0.1, weight_decay=0.5)
    theta = np.linspace(1.0, 2.0, n)
    stepper = make_stepper(topology, theta, opt)
    for power in range(1, 4):
        stepper.apply(np.zeros(n))
        want = np.linspace(1.0, 2.0, n) * np.where(weights, 0.95**power, 1)
        assert np.allclose(theta, want, rtol=1e-15, atol=0)
        assert np.array_equal(theta[~weights], np.linspace(1.0, 2.0, n)[~weights])


@pytest.mark.parametrize("setting", ["sgd", "momentum", "nesterov", "adam"])
def test_others_do_not_decay(setting: str) -> None:
    topology = Topology([3, 1], [0], [True], Loss.SQUARED_ERROR)
    opt = make_optimizer(setting)
    opt.weight_decay = 0.5
    theta = np.ones(4)
    make_stepper(topology, theta, opt).apply(np.zeros(4))
    assert theta.tolist() == [1, 1, 1, 1]


def test_first_step_of_adam_is_the_learning_rate() -> None:
    """Both moments are corrected for their start at 0; epsilon is beside sqrt(v)."""
    topology = Topology([3, 1], [0], [True], Loss.SQUARED_ERROR)
    opt = Optimizer(Solver.ADAM, 0.01, epsilon=0.0)
    theta = np.zeros(4)
    make_stepper(topology, theta, opt).apply(np.array([1e-6, -2.0, 3e6, 1.0]))
    assert np.allclose(theta, [-0.01, 0.01, -0.01, -0.01], rtol=1e-12)


# A run of mini-batches


def test_buffers_hold_nothing_of_use() -> None:
    """So that every test would see a number that is read before it is written."""
    topology = Topology([3, 1], [0], [True], Loss.SQUARED_ERROR)
    for dtype in np.float32, np.float64:
        trainer = make_stepper(topology, np.ones(4, dtype), make_optimizer("sgd"))
        assert np.isnan(trainer.grad).all() and len(trainer.grad) == 4


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
        trainer = make_trainer(
            self.topology,
            theta,
            self.table,
            opt,
            batch_size=batch_size,
            mean_weight=self.w.mean(),
            alpha=alpha,
        )
        losses = [
            run_epoch(trainer, self.order if orders is None else orders[epoch])
            for epoch in range(epochs)
        ]
        return theta, trainer.moments, losses


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
        theta, loss = problem.theta.copy(), 0.25
        trainer = make_trainer(
            problem.topology,
            theta,
            problem.table,
            make_optimizer("adam"),
            batch_size=5,
        )
        for start, stop in pairwise(cuts):
            loss = trainer.run(problem.order, start, stop, loss)
        results.append((theta, trainer.moments, loss))
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
    problem, theta = Problem(), Problem().theta
    trainer = make_trainer(
        problem.topology, theta, problem.table, make_optimizer("adam")
    )
    n = len(problem.X)
    assert trainer.run(problem.order, 0, n, np.inf) == np.inf
    assert np.array_equal(theta, problem.theta)
    assert trainer.optimizer.t == 0 and not trainer.moments.any()


def test_subnormals_are_numbers_again_after_a_step() -> None:
    """Also after one that was refused: the processor's mode is the caller's."""
    topology = Topology([3, 1], [0], [True], Loss.SQUARED_ERROR)
    stepper = make_stepper(topology, np.ones(4), make_optimizer("sgd"))
    tiny = np.full(2, np.finfo(float).tiny)
    for wrong in np.ones(5), np.ones(3), shifted(np.ones(4)):
        with pytest.raises(ValueError, match=r"grad must have|aligned"):
            stepper.apply(wrong)
        assert (tiny / 4 > 0).all()
    stepper.apply(np.ones(4))
    assert (tiny / 4 > 0).all()


@pytest.mark.skipif(
    platform.machine().lower() not in ("x86_64", "amd64"),
    reason="other processors have no switch for subnormals",
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_moments_do_not_decay_into_subnormals(dtype):
    """They would make a run many times slower; outside a run they are numbers."""
    topology = make_topology([2, 1], [], "identity", "squared_error")
    table = make_table(np.array([[0.0, 1.0]]), Y=np.array([[1.0]]), dtype=dtype)
    theta = np.zeros(topology.n_parameters, dtype=dtype)
    trainer = make_trainer(
        topology, theta, table, Optimizer(Solver.ADAM, 1e-3, beta_1=0.9, beta_2=0.9)
    )
    memory = trainer.moments
    memory[:] = 1e-3
    # The weight of column 0 has no gradient.
    run_epoch(trainer, np.zeros(9000, dtype=np.intp))
    assert memory[0, 0] == 0 and memory[1, 0] == 0
    tiny = np.finfo(dtype).smallest_subnormal
    assert tiny * dtype(1) > 0


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
NUMBERS = {
    "learning_rate": 0.1,
    "momentum": 0.2,
    "beta_1": 0.3,
    "beta_2": 0.4,
    "epsilon": 0.5,
    "weight_decay": 0.6,
    "nesterov": True,
}
#: What is set later.
ATTRIBUTES = {
    "t": 2**40,
    "max_norm": 0.7,
    "rates": [1.0, 2.0],
    "decays": np.array([0.0, 3.0]),
}


@ROUND_TRIPS
@pytest.mark.parametrize("kind", Solver)
def test_optimizer_round_trip(kind: Solver, round_trip: Any) -> None:
    opt = Optimizer(kind, **NUMBERS)
    for name, value in ATTRIBUTES.items():
        setattr(opt, name, value)
    again = round_trip(opt)
    assert type(again) is Optimizer and again is not opt
    assert again.kind == kind
    # Each number is another, so that no two can be exchanged.
    for name, value in (NUMBERS | ATTRIBUTES).items():
        assert np.array_equal(getattr(again, name), value), name
    again.t += 1
    assert opt.t == 2**40


@ROUND_TRIPS
def test_a_new_optimizer_has_no_limits_and_no_factors(round_trip: Any) -> None:
    opt = round_trip(Optimizer(Solver.ADAM, 0.1))
    assert (opt.t, opt.max_norm, opt.rates, opt.decays) == (0, 0, None, None)


def test_optimizer_resumes_after_a_round_trip() -> None:
    """Steps, pickle, steps: the same bits as all steps in one go."""
    topology = Topology([3, 1], [0], [True], Loss.SQUARED_ERROR)
    rng = np.random.default_rng(0)
    gradients = rng.normal(size=(6, 4))
    results = []
    for pickled in True, False:
        theta = np.ones(4)
        stepper = make_stepper(topology, theta, make_optimizer("adamw"))
        for step, grad in enumerate(gradients):
            if pickled and step == 3:
                opt, moments = pickle.loads(
                    pickle.dumps((stepper.optimizer, stepper.moments))
                )
                stepper = make_stepper(topology, theta, opt)
                stepper.moments[:] = moments
            stepper.apply(grad)
        results.append(theta)
    assert np.array_equal(*results)


@pytest.mark.parametrize(("kind", "slots"), [("SGD", 1), ("ADAM", 2), ("ADAMW", 2)])
def test_slots(kind: str, slots: int) -> None:
    assert n_slots(Solver[kind]) == slots


def test_optimizer_refuses_kinds_without_a_branch():
    with pytest.raises(ValueError, match="7 is not a Solver"):
        Optimizer(7, 0.1)
