"""The doors of the engine: right arguments of each, for the tests of what it refuses.

Constructors check what they hold, and a call what it is given: a door is made of right
arguments as far as the one that must refuse, which is called last.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from skbackprop.core import engine_of
from skbackprop.core.activations import Activation
from skbackprop.core.losses import Loss
from skbackprop.core.optimizers import Optimizer, Solver
from skbackprop.core.topology import Topology

Array = NDArray[Any]
Call = Callable[[], Any]


class Arguments:
    """Right arguments of every door, by name: 6 rows, of which a call takes 4."""

    def __init__(
        self, *, classes: bool = False, sparse: bool = False, dtype: type = np.float64
    ) -> None:
        q = 2
        loss = Loss.CATEGORICAL_CROSS_ENTROPY if classes else Loss.SQUARED_ERROR
        output = Activation.SOFTMAX if classes else Activation.IDENTITY
        t = Topology([3, 4, q], [Activation.RELU, output], [True, True], loss)
        rng = np.random.default_rng(0)
        self.sparse, self.engine = sparse, engine_of(dtype)
        self.values: dict[str, Any] = {
            "t": t,
            "theta": rng.normal(size=t.n_parameters),
            "X": rng.normal(size=(6, 3)),
            "data": np.ones(6),
            "indices": np.zeros(6, dtype=np.intc),
            "indptr": np.arange(7, dtype=np.longlong),
            "p": 3,
            "Y": None if classes else rng.normal(size=(6, q)),
            "labels": np.zeros(6, dtype=np.intc) if classes else None,
            "sample_weight": np.ones(6),
            "capacity": 4,
            "for_sparse": sparse,
            "backward": True,
            "for_dropout": True,
            "input_gradient": True,
            "opt": Optimizer(Solver.ADAM, 0.1),
            "moments": np.zeros((2, t.n_parameters)),
            "batch_size": 4,
            "mean_weight": 1.0,
            "alpha": 0.5,
            "dropout": (0.0, 0),
            "max_norm": 0.0,
            "rates": None,
            "decays": None,
            "factors": np.ones((2, 3)),
            "order": np.empty(0, dtype=np.intp),
            "start": 1,
            "stop": 5,
            "loss": 0.0,
            "thread": 0,
            "team": None,
            "raw": False,
            "out": np.zeros(4 * q),
            "denominator": 4.0,
            "grad": np.zeros(t.n_parameters),
            "dX": np.zeros(4 * 3),
            "few": rng.normal(size=(4, 3)),
            "few_out": np.zeros((4, q)),
            "A": np.ones(4 * 3),
            "W": np.ones(3 * 2),
            "b": np.ones(2),
            "q": 2,
            "Z": np.zeros(4 * 2),
            "kind": Activation.SIGMOID,
            "H": np.ones(8),
            "delta": np.ones(8),
        }
        for name, value in self.values.items():
            if isinstance(value, np.ndarray) and value.dtype == np.float64:
                if name != "factors":  # of double in every engine
                    self.values[name] = value.astype(dtype)

    def __getattr__(self, name: str) -> Any:
        return self.values[name]

    def table(self) -> Any:
        sparse = (self.data, self.indices, self.indptr, self.p)
        return self.engine.Table(
            sparse if self.sparse else self.X,
            Y=self.Y,
            labels=self.labels,
            sample_weight=self.sample_weight,
        )

    def workspace(self) -> Any:
        return self.engine.Workspace(
            self.t,
            self.theta,
            self.capacity,
            sparse=self.for_sparse,
            backward=self.backward,
            dropout=self.for_dropout,
            input_gradient=self.input_gradient,
        )

    def trainer(self) -> Any:
        return self.making_a_trainer()()

    def making_a_trainer(self) -> Call:
        self.opt.max_norm = self.max_norm
        self.opt.rates, self.opt.decays = self.rates, self.decays
        parts = self.workspace(), self.table(), self.opt, self.moments
        numbers = self.batch_size, self.mean_weight, self.alpha, self.dropout
        return lambda: self.engine.Trainer(*parts, *numbers)

    def state(self) -> tuple[Any, ...]:
        """Everything that a door could change."""
        arrays = (
            value.tobytes()
            for value in self.values.values()
            if isinstance(value, np.ndarray)
        )
        return (*arrays, self.opt.t)


def predict(a: Arguments) -> Call:
    parts = a.workspace(), a.table()
    return lambda: a.engine.predict(*parts, a.order, a.start, a.stop, a.out, a.raw)


def loss_and_grad(a: Arguments) -> Call:
    rows = a.workspace(), a.table(), a.order, a.start, a.stop
    gradients = a.denominator, a.grad, a.dX
    return lambda: a.engine.loss_and_grad(*rows, *gradients, a.thread, a.team)


def run(a: Arguments) -> Call:
    trainer = a.trainer()
    trainer.factors = a.factors
    return lambda: trainer.run(a.order, a.start, a.stop, a.loss, a.thread, a.team)


def apply(a: Arguments) -> Call:
    trainer = a.trainer()
    return lambda: trainer.apply(a.grad)


def factors(a: Arguments) -> Call:
    trainer = a.trainer()
    return lambda: setattr(trainer, "factors", a.factors)


def kernel(name: str, arguments: str) -> Callable[[Arguments], Call]:
    return lambda a: (
        lambda: getattr(a.engine, name)(
            *(a.values[argument] for argument in arguments.split())
        )
    )


#: What comes before a door may not refuse: it is called when the door is made.
DOORS: dict[str, Callable[[Arguments], Call]] = {
    "Table": lambda a: a.table,
    "Workspace": lambda a: a.workspace,
    "Trainer": Arguments.making_a_trainer,
    "factors": factors,
    "predict": predict,
    "loss_and_grad": loss_and_grad,
    "run": run,
    "apply": apply,
    "predict_few": kernel("predict_few", "t theta few few_out raw"),
    "l2_and_grad": kernel("l2_and_grad", "t theta alpha denominator grad"),
    "affine_layer": kernel("affine_layer", "A W b p q Z"),
    "activation": kernel("activation", "kind Z H q"),
    "derivative": kernel("derivative", "kind Z H delta"),
    "elementary": lambda a: lambda: a.engine.elementary("exp", a.H, a.Z),
    "is_finite": lambda a: lambda: a.engine.is_finite(a.X),
    "square_sum": lambda a: lambda: a.engine.square_sum(a.X),
}
#: Those that write nothing to what they are given.
READERS = {"Table", "Workspace", "Trainer", "factors", "is_finite", "square_sum"}

DENSE, SPARSE, CLASSES = {}, {"sparse": True}, {"classes": True}
GIVEN = pytest.mark.parametrize(
    "given", [DENSE, SPARSE, CLASSES], ids=["dense", "sparse", "classes"]
)
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
