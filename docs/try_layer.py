"""Carry out docs/extending_layers.md on a copy of the source tree, and test the result.

    python docs/try_layer.py [--build-isolation] [--folder FOLDER]

Needs what docs/try_extending.py needs. The layer is tested at every level of
instructions that is built and runs here: against the copy's tests/reference.py, against
central differences, in one type against the other, and on threads against one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from edits import (
    apply,
    build,
    check,
    copy_sources,
    expect,
    fail,
    main,
    read_edits,
    run_tests,
    use_only,
    use_reference,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

PAGE = Path(__file__).resolve().parent / "extending_layers.md"
#: Test files that the layer must not break: tags, and the gradients of all else.
SUITE = (
    "test_gradients.py",
    "test_derivations.py",
    "test_names.py",
)
DENSE, SCALE = 0, 1
ROWS, WIDTHS = (1, 7, 64, 100), (1, 5, 24, 48, 50, 130)
IN_ORDER = np.empty(0, dtype=np.intp)


@dataclass(frozen=True)
class Net:
    """A network, rows for it, and the same in NumPy; ``q`` units where it scales."""

    kinds: tuple[int, ...]
    q: int
    n: int
    hidden: str = "tanh"
    output: str = "identity"
    biased: bool = True

    @cached_property
    def sizes(self) -> list[int]:
        """Columns of X, and units: q beside a layer that scales, and few elsewhere."""
        J = len(self.kinds)
        beside = [SCALE in self.kinds[max(j - 1, 0) : j + 1] for j in range(J + 1)]
        return [self.q if wide else 3 + j for j, wide in enumerate(beside)]

    @cached_property
    def activations(self) -> list[str]:
        return [self.hidden] * (len(self.kinds) - 1) + [self.output]

    @cached_property
    def loss(self) -> str:
        import reference

        return {output: loss for loss, output in reference.CANONICAL.items()}[
            self.output
        ]

    @cached_property
    def topology(self) -> Any:
        from skbackprop.core.activations import Activation
        from skbackprop.core.losses import Loss
        from skbackprop.core.topology import Topology

        return Topology(
            self.sizes,
            [Activation[name.upper()] for name in self.activations],
            [self.biased] * len(self.kinds),
            Loss[self.loss.upper()],
            kinds=self.kinds,
        )

    @cached_property
    def numbers(self) -> tuple[Array, Array, Array]:
        """Theta, X and Y, float64, of float32's numbers; X has zeros."""
        rng = np.random.default_rng([self.n, self.q, *self.kinds])
        theta = rng.normal(size=self.topology.n_parameters)
        for W in self.topology.views(theta)[0]:
            W /= np.sqrt(W.shape[0]) if W.ndim == 2 else 1
        X = rng.normal(size=(self.n, self.sizes[0]))
        X[rng.random(X.shape) < 0.3] = 0
        Y = rng.random((self.n, self.sizes[-1]))
        if self.output == "softmax":
            Y = np.eye(self.sizes[-1])[Y.argmax(axis=1)]
        return tuple(a.astype(np.float32).astype(float) for a in (theta, X, Y))

    def theta(self, dtype: Any) -> Array:
        return self.numbers[0].astype(dtype)

    def table(self, dtype: Any, sparse: bool = False) -> Any:
        import scipy.sparse as sp

        from skbackprop._evaluation import make_table

        _, X, Y = self.numbers
        labelled = self.output == "softmax"
        return make_table(
            sp.csr_matrix(X.astype(dtype)) if sparse else X.astype(dtype),
            Y=None if labelled else Y.astype(dtype),
            labels=Y.argmax(axis=1) if labelled else None,
            dtype=dtype,
        )

    # In NumPy

    def forward(self, theta: Array, X: Array, kept: list[Array] | None, p: float):
        """A_0..A_{J-1}, and Z_1..Z_J; kept units, where some are dropped."""
        import reference

        As, Zs = [X], []
        layers = zip(self.kinds, *self.topology.views(theta), strict=True)
        for j, (kind, W, b) in enumerate(layers):
            make = reference.scale if kind == SCALE else reference.forward_product
            Zs.append(make(As[-1], W, b))
            if j + 1 < len(self.kinds):
                As.append(reference.activate(self.hidden, Zs[-1]))
                if kept is not None:
                    As[-1] = reference.drop(As[-1], kept[j], p)
        return As, Zs

    def value_and_gradients(
        self, theta: Array, rows: Any, kept: list[Array] | None = None, p: float = 0
    ) -> tuple[float, Array, Array]:
        """The sum of the losses; their mean's gradients by theta and X."""
        import reference

        _, X, Y = self.numbers
        As, Zs = self.forward(theta, X[rows], kept, p)
        pair = self.loss, self.output, Zs[-1], Y[rows]
        gradient = np.zeros_like(theta)
        delta = reference.delta_rows(*pair) / len(Y[rows])
        weights, _ = self.topology.views(theta)
        dW, db = self.topology.views(gradient)
        for j in reversed(range(len(self.kinds))):
            scales = self.kinds[j] == SCALE
            by = reference.scale_gradient if scales else reference.weight_gradient
            back = reference.scale_back if scales else reference.backward_product
            dW[j][...] = by(As[j], delta)
            if db[j] is not None:
                db[j][...] = reference.bias_gradient(delta)
            delta = back(delta, weights[j])
            if j > 0:
                if kept is not None:
                    delta = reference.drop(delta, kept[j - 1], p)
                delta = delta * reference.DERIVATIVES[self.hidden](Zs[j - 1])
        return float(reference.loss_rows(*pair).sum()), gradient, delta

    # By the engine

    def compute(self, dtype: Any, sparse: bool = False, n_threads: int = 1):
        """Mean loss, and its gradients by theta and, of X that is not sparse, by X."""
        from skbackprop._threads import run_in_team
        from skbackprop.core import engine_of

        engine, theta = engine_of(dtype), self.theta(dtype)
        # Every gradient must have been added, and all of dX set.
        grad = np.full_like(theta, 0.25)
        dX = np.full((self.n, self.sizes[0]), np.nan, dtype=dtype)
        workspace = engine.Workspace(
            self.topology, theta, self.n + 5, sparse=sparse, input_gradient=not sparse
        )
        value = run_in_team(
            engine.loss_and_grad,
            workspace,
            self.table(dtype, sparse),
            IN_ORDER,
            0,
            self.n,
            self.n,
            grad,
            None if sparse else dX.reshape(-1),
            n_threads=n_threads,
        )
        return value, grad - dtype(0.25), dX

    def predict(self, dtype: Any, raw: bool) -> tuple[Array, Array]:
        """By a workspace for many rows, and by one for few."""
        from skbackprop.core import engine_of

        engine, theta = engine_of(dtype), self.theta(dtype)
        many, few = np.full((2, self.n, self.sizes[-1]), np.nan, dtype=dtype)
        workspace = engine.Workspace(self.topology, theta, self.n, backward=False)
        table = self.table(dtype)
        engine.predict(workspace, table, IN_ORDER, 0, self.n, many.reshape(-1), raw)
        engine.predict_few(self.topology, theta, table.X, few, raw)
        return many, few


def distance(got: Any, wanted: Any) -> float:
    """Of numbers, relative to their size; infinite where some are none."""
    got, wanted = np.asarray(got, dtype=float), np.asarray(wanted, dtype=float)
    if not np.isfinite(got).all():
        return np.inf
    return float(np.linalg.norm(got - wanted) / max(np.linalg.norm(wanted), 1e-3))


class Worst:
    """The largest of many distances, and whose it is."""

    def __init__(self, what: str, limit: float) -> None:
        self.what, self.limit, self.count = what, limit, 0
        self.largest, self.of = 0.0, None

    def take(self, value: float, of: Any) -> None:
        self.count += 1
        if value >= self.largest:
            self.largest, self.of = value, of

    def take_all(self, got: Any, wanted: Any, of: Any) -> None:
        for a, b in zip(got, wanted, strict=True):
            self.take(distance(a, b), of)

    def tell(self) -> None:
        within = self.count > 0 and self.largest <= self.limit
        told = f"{self.what}: {self.count} within {self.limit:g}"
        expect(within, told if within else f"{told}; {self.largest:g} of {self.of}")


#: First, hidden, output layer, alone, and two together.
PLACES = (
    (SCALE, DENSE),
    (DENSE, SCALE, DENSE),
    (DENSE, SCALE),
    (SCALE,),
    (DENSE, SCALE, SCALE, DENSE),
)


def nets() -> Iterator[Net]:
    outputs, hidden = ("identity", "softmax", "sigmoid"), ("tanh", "silu", "relu")
    for k, (kinds, q, n) in enumerate(product(PLACES, WIDTHS, ROWS)):
        output = outputs[(k + n) % 3]
        if q == 1 and output == "softmax":
            output = "identity"  # else nothing has a gradient
        yield Net(kinds, q, n, hidden[k % 3], output, biased=k % 5 > 0)


# What is tested --------------------------------------------------------------


def refused(call: Callable[[], object], *words: str) -> None:
    try:
        call()
    except ValueError as error:
        expect(all(word in str(error) for word in words), f"refused: {error}")
    else:
        fail(f"there is no error that says {words}")


def try_topology() -> None:
    from skbackprop.core import engine_of
    from skbackprop.core.topology import Topology

    t = Net((SCALE, DENSE), 5, 1).topology
    names = [(group.name, group.shape, group.decays) for group in t.groups]
    expect(
        names[:2] == [("s_1", (5,), True), ("b_1", (5,), False)]
        and [name for name, *_ in names[2:]] == ["W_2", "b_2"],
        "a layer of scales has a group s that decays, and a bias",
    )
    expect(t.kinds == (SCALE, DENSE), "the topology tells the kinds")
    shape = [3, 5, 4, 2], [1, 1, 0], [True] * 3, 0
    kinds = DENSE, SCALE, DENSE
    refused(lambda: Topology(*shape, kinds=kinds), "layer 2: scaling", "5", "4")
    refused(lambda: Topology(*shape, kinds=(DENSE, 99, DENSE)), "kinds")
    many = 2**31 - 1  # as dense layers they would be too many for an array
    t = Topology([many] * 3, [0, 0], [False] * 2, 0, kinds=(SCALE, SCALE))
    expect(t.n_parameters == 2 * many, "only parameters that it has are counted")
    for dtype in np.float64, np.float32:
        net = Net((SCALE, DENSE), 5, 1)
        refused(
            lambda net=net, dtype=dtype: engine_of(dtype).Workspace(
                net.topology, net.theta(dtype), 1, sparse=True
            ),
            "dense",
            "layer 1",
        )


def try_gradients() -> None:
    by_numpy = Worst("gradients and losses against NumPy, float64", 1e-11)
    single = Worst("gradients of float32 against float64", 3e-5)
    differences = Worst("gradients against central differences", 1e-6)
    outputs = Worst("predictions against NumPy", 1e-12)
    single_outputs = Worst("predictions of float32 against float64", 3e-6)
    import reference

    from skbackprop.core import engine_of

    for net in nets():
        rows = slice(None)
        theta, X, _ = net.numbers
        total, gradient, dX = net.value_and_gradients(theta, rows)
        value, grad, by_X = net.compute(np.float64)
        for group in net.topology.groups:
            part = slice(group.start, group.stop)
            by_numpy.take(distance(grad[part], gradient[part]), (net, group.name))
        by_numpy.take(distance(by_X, dX), (net, "X"))
        by_numpy.take(distance(value, total / net.n), (net, "value"))
        single.take_all(net.compute(np.float32), (value, grad, by_X), net)
        Z = net.forward(theta, X, None, 0)[1][-1]
        for raw in False, True:
            A = Z if raw else reference.activate(net.output, Z)
            for got in net.predict(np.float64, raw):
                outputs.take(distance(got, A), (net, raw))
            for got in net.predict(np.float32, raw):
                single_outputs.take(distance(got, A), (net, raw))
        if net.hidden == "relu":
            continue  # which has a kink
        # Along one direction of each group: the slope of what the engine says.
        engine, table = engine_of(np.float64), net.table(np.float64)
        rng = np.random.default_rng(net.q)
        for group in net.topology.groups:
            way = np.zeros_like(theta)
            way[group.start : group.stop] = rng.normal(size=group.stop - group.start)
            way /= np.linalg.norm(way)
            ends = [
                engine.loss_and_grad(
                    engine.Workspace(net.topology, theta + h * way, net.n),
                    table,
                    IN_ORDER,
                    0,
                    net.n,
                    net.n,
                )
                for h in (1e-5, -1e-5)
            ]
            slope = (ends[0] - ends[1]) / 2e-5
            size = max(np.linalg.norm(grad[group.start : group.stop]), 1e-2)
            differences.take(abs(slope - grad @ way) / size, (net, group.name))
    for worst in by_numpy, differences, single, outputs, single_outputs:
        worst.tell()
    # Entry by entry, and by X.
    net = Net((SCALE, DENSE, SCALE), 4, 5, "silu")
    theta, X, _ = net.numbers
    _, grad, by_X = net.compute(np.float64)

    def mean_loss(theta: Array, X: Array) -> float:
        moved = Net(net.kinds, net.q, net.n, net.hidden)
        moved.__dict__["numbers"] = theta, X, net.numbers[2]
        return moved.compute(np.float64)[0]

    each = Worst("each entry of dL/dtheta and dL/dX against central differences", 1e-7)
    numeric = reference.central_difference(lambda theta: mean_loss(theta, X), theta)
    each.take(distance(numeric, grad), "theta")
    numeric = reference.central_difference(lambda X: mean_loss(theta, X), X)
    each.take(distance(numeric, by_X), "X")
    each.tell()


def try_sparse() -> None:
    worst = Worst("sparse X before a layer of scales against dense X", 1e-11)
    for q, dtype in product(WIDTHS, (np.float64, np.float32)):
        net = Net((DENSE, SCALE, DENSE), q, 64)
        rounding = np.finfo(dtype).eps / np.finfo(np.float64).eps
        dense, sparse = net.compute(dtype), net.compute(dtype, sparse=True)
        for a, b in zip(sparse[:2], dense[:2], strict=True):
            worst.take(distance(a, b) / rounding, (net, dtype))
    worst.tell()


def try_embeddings() -> None:
    """Layers of scales behind embeddings: the gradient goes on through them."""
    import reference

    from skbackprop._evaluation import make_table, value_and_gradient
    from skbackprop.core.embeddings import Embeddings
    from skbackprop.core.topology import Topology

    e = Embeddings([[0.0, 1.0, 3.0]], 1, [3], 2, 2)
    q = e.n_outputs
    t = Topology([q, q, 1], [3, 0], [True] * 2, 0, (), e, (SCALE, DENSE))
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.random(9) * 2, rng.normal(size=9), rng.integers(0, 3, 9)])
    table = make_table(X, Y=rng.normal(size=(9, 1)), dtype=np.float64)
    theta = rng.normal(size=t.n_parameters)
    grad = np.empty_like(theta)
    value_and_gradient(t, theta, table, denominator=9, grad=grad)
    numeric = reference.central_difference(
        lambda theta: value_and_gradient(t, theta, table, denominator=9), theta
    )
    worst = Worst("embeddings before a layer of scales", 1e-7)
    worst.take(distance(grad, numeric), "theta")
    worst.tell()


# Training


@dataclass(frozen=True)
class Recipe:
    """What a training does besides gradient and step."""

    solver: str
    max_norm: float = 0.0
    dropout: float = 0.0
    alpha: float = 0.0
    numbers: tuple[tuple[str, float], ...] = ()

    def optimizer(self) -> Any:
        from skbackprop.core.optimizers import Optimizer, Solver

        kind = Solver[self.solver.upper()]
        optimizer = Optimizer(kind, 0.05, **dict(self.numbers))
        optimizer.max_norm = self.max_norm
        return optimizer


SEED, BATCH = 5, 32


def train(
    net: Net, recipe: Recipe, dtype: Any, n_threads: int = 1, sparse: bool = False
) -> tuple[Array, Array, float]:
    """Theta, moments and loss after two epochs of the engine."""
    from skbackprop._threads import run_in_team
    from skbackprop.core import engine_of
    from skbackprop.core.optimizers import n_slots

    engine, theta = engine_of(dtype), net.theta(dtype)
    optimizer = recipe.optimizer()
    moments = np.zeros((n_slots(optimizer.kind), len(theta)), dtype=dtype)
    workspace = engine.Workspace(
        net.topology, theta, BATCH, dropout=recipe.dropout > 0, sparse=sparse
    )
    trainer = engine.Trainer(
        workspace,
        net.table(dtype, sparse),
        optimizer,
        moments,
        BATCH,
        1.0,
        recipe.alpha,
        (recipe.dropout, SEED),
    )
    loss = 0.0
    for order in orders(net.n):
        loss = run_in_team(trainer.run, order, 0, net.n, loss, n_threads=n_threads)
    return theta, moments, loss


def orders(n: int) -> list[Array]:
    rng = np.random.default_rng(1)
    return [rng.permutation(n) for _ in range(2)]


def train_in_numpy(net: Net, recipe: Recipe) -> tuple[Array, Array, float]:
    """The same in NumPy, by the equations of the reference."""
    import reference

    theta, opt = net.theta(float), recipe.optimizer()
    decays, penalised = np.zeros((2, len(theta)), dtype=bool)
    for group in net.topology.groups:
        decays[group.start : group.stop] = group.decays
        penalised[group.start : group.stop] = group.penalised
    moments = [np.zeros_like(theta), np.zeros_like(theta)]
    t, loss, p = 0, 0.0, recipe.dropout
    for order, start in product(orders(net.n), range(0, net.n, BATCH)):
        t += 1
        rows = order[start : start + BATCH]
        kept = [
            reference.kept_units(p, SEED, t, j, (len(rows), net.sizes[j]))
            for j in range(1, len(net.kinds))
        ]
        total, g, _ = net.value_and_gradients(theta, rows, kept if p else None, p)
        loss += total + recipe.alpha / 2 * (theta[penalised] ** 2).sum()
        if recipe.max_norm:
            g = reference.clip_to(g, recipe.max_norm)
        g = g + np.where(penalised, recipe.alpha * theta / len(rows), 0)
        if recipe.solver == "sgd":
            theta, moments[0] = reference.sgd_step(
                theta, g, moments[0], opt.learning_rate, opt.momentum, opt.nesterov
            )
            continue
        numbers = t, opt.learning_rate, opt.beta_1, opt.beta_2, opt.epsilon
        if recipe.solver == "adam":
            theta, *moments = reference.adam_step(theta, g, *moments, *numbers)
        else:
            theta, *moments = reference.adamw_step(
                theta, g, *moments, *numbers, opt.weight_decay, decays
            )
    return theta, np.array(moments[: 1 if recipe.solver == "sgd" else 2]), loss


def recipes() -> Iterator[Recipe]:
    for solver, max_norm, dropout, alpha in product(
        ("sgd", "adam", "adamw"), (0.0, 0.05), (0.0, 0.3), (0.0, 0.7)
    ):
        numbers: tuple[tuple[str, float], ...] = (("epsilon", 1e-3),)
        if solver == "sgd":
            numbers = (("momentum", 0.9), ("nesterov", True)) if dropout else ()
        if solver == "adamw":
            numbers += (("weight_decay", 0.3),)
        yield Recipe(solver, max_norm, dropout, alpha, numbers)


def try_training() -> None:
    worst = Worst("theta, moments and loss of a training against NumPy", 1e-10)
    single = Worst("a training in float32 against float64", 1e-4)
    for k, (recipe, kinds) in enumerate(product(recipes(), PLACES)):
        net = Net(kinds, (5, 24, 50)[k % 3], 100, ("tanh", "silu")[k % 2])
        double = train(net, recipe, np.float64)
        worst.take_all(double, train_in_numpy(net, recipe), (net, recipe))
        single.take_all(train(net, recipe, np.float32), double, (net, recipe))
    for q in (130, 600):  # more than the squares of one sum
        net = Net((DENSE, SCALE, DENSE), q, 100)
        recipe = Recipe("adam", 0, 0, 0.7, (("epsilon", 1e-3),))
        for sparse in False, True:
            got = train(net, recipe, np.float64, sparse=sparse)
            worst.take_all(got, train_in_numpy(net, recipe), (net, recipe, sparse))
    worst.tell()
    single.tell()
    net, recipe = Net((DENSE, SCALE), 5, 100), Recipe("sgd", 0, 0, 0.7)
    without = train(net, Recipe("sgd"), np.float64)
    expect(
        distance(train(net, recipe, np.float64)[0], without[0]) > 1e-3,
        "the penalty is felt",
    )
    try_apply()


def try_apply() -> None:
    """Steps by gradients that are whole against a run of the same batches."""
    from skbackprop._evaluation import value_and_gradient
    from skbackprop.core import engine_of
    from skbackprop.core.optimizers import n_slots

    worst = Worst("steps by whole gradients against a run", 1e-12)
    engine = engine_of(np.float64)
    for kinds, solver in product(PLACES, ("sgd", "adamw")):
        net = Net(kinds, 50, 100)
        recipe = Recipe(solver, alpha=0.7, numbers=(("weight_decay", 0.3),))
        theta, table, opt = net.theta(float), net.table(float), recipe.optimizer()
        moments = np.zeros((n_slots(opt.kind), len(theta)))
        workspace = engine.Workspace(net.topology, theta, BATCH)
        trainer = engine.Trainer(workspace, table, opt, moments, BATCH)
        loss = 0.0
        for order, start in product(orders(net.n), range(0, net.n, BATCH)):
            rows = order[start : start + BATCH]
            mean = value_and_gradient(
                net.topology,
                theta,
                table,
                denominator=len(rows),
                alpha=recipe.alpha,
                rows=rows,
                grad=trainer.grad,
            )
            loss += mean * len(rows)
            trainer.apply(trainer.grad)
        run = train(net, recipe, np.float64)
        worst.take_all((theta, moments, loss), run, (net, recipe))
    worst.tell()


def try_threads() -> None:
    from skbackprop.core import OWN_KERNELS

    if not OWN_KERNELS:
        print("--    threads are BLAS's at this level")
        return
    count = 0
    for kinds, q, dtype in product(PLACES, (50, 600), (np.float32, np.float64)):
        net = Net(kinds, q, 100, "silu")
        for recipe in (
            Recipe("adam", 0, 0.3, 0.7),
            Recipe("adamw", 0.05, 0, 0.7, (("weight_decay", 0.3),)),
        ):
            alone = *train(net, recipe, dtype), *net.compute(dtype)
            for n_threads in 2, 3:
                got = (
                    *train(net, recipe, dtype, n_threads),
                    *net.compute(dtype, n_threads=n_threads),
                )
                for a, b in zip(got, alone, strict=True):
                    count += 1
                    if np.asarray(a).tobytes() != np.asarray(b).tobytes():
                        fail(f"{n_threads} threads change bits of {net}, {recipe}")
    expect(count, f"1, 2 and 3 threads: {count} results of the same bits")


def stage_layer(folder: Path) -> None:
    use_only(folder / "after")
    use_reference(folder)
    from skbackprop import core

    print(f"      the level {core.level}", flush=True)
    try_topology()
    try_gradients()
    try_sparse()
    try_embeddings()
    try_training()
    try_threads()


def stage_suite(folder: Path) -> None:
    use_only(folder / "after")
    run_tests(SUITE, "", folder)


def stage_levels(folder: Path) -> None:
    """The stage above at every level that was built and runs here."""
    use_only(folder / "after")
    from skbackprop.core import levels
    from skbackprop.core.cpu import supports

    for level in filter(supports, levels()):
        check("layer", folder / "after", level)


def carry_out(folder: Path, isolated: bool) -> None:
    tree, target = folder / "tree", folder / "after"
    edits = read_edits(PAGE)
    copy_sources(tree)
    for edit in edits:
        apply(edit, tree)
    build(tree, target, isolated)
    check("levels", target)
    check("suite", target)


if __name__ == "__main__":
    stages = {"layer": stage_layer, "levels": stage_levels, "suite": stage_suite}
    main(__doc__ or "", stages, carry_out)
