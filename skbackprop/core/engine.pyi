"""Every engine_LEVEL_TYPE; arrays are of its type, or what is noted."""

from typing import Any

import numpy as np
import numpy.typing as npt

from .optimizers import Optimizer
from .team import ThreadTeam
from .topology import Topology

Reals = npt.NDArray[Any]
Order = npt.NDArray[np.intp]

class Table:
    X: Reals
    data: Reals
    indices: npt.NDArray[np.intc]
    indptr: npt.NDArray[np.longlong]
    Y: Reals
    labels: npt.NDArray[np.intc]
    sample_weight: Reals
    def __init__(
        self,
        X: Reals | tuple[Reals, npt.NDArray[np.intc], npt.NDArray[np.longlong], int],
        *,
        Y: Reals | None = None,
        labels: npt.NDArray[np.intc] | None = None,
        sample_weight: Reals | None = None,
    ) -> None: ...
    @property
    def n_rows(self) -> int: ...
    @property
    def n_columns(self) -> int: ...
    @property
    def sparse(self) -> bool: ...
    def weight_sum(self, rows: Order) -> float: ...

class Workspace:
    def __init__(
        self,
        topology: Topology,
        theta: Reals,
        capacity: int,
        *,
        sparse: bool = False,
        backward: bool = True,
        dropout: bool = False,
        input_gradient: bool = False,
    ) -> None: ...
    @staticmethod
    def reals(topology: Topology, capacity: int, *, sparse: bool = False) -> int: ...
    @property
    def topology(self) -> Topology: ...
    @property
    def theta(self) -> Reals: ...
    @property
    def capacity(self) -> int: ...

class Trainer:
    factors: npt.NDArray[np.float64] | None
    def __init__(
        self,
        workspace: Workspace,
        table: Table,
        optimizer: Optimizer,
        moments: Reals,
        batch_size: int,
        mean_weight: float = 1.0,
        alpha: float = 0.0,
        dropout: tuple[float, int] = (0.0, 0),
    ) -> None: ...
    @property
    def grad(self) -> Reals: ...
    def run(
        self,
        order: Order,
        start: int,
        stop: int,
        loss: float,
        thread: int = 0,
        team: ThreadTeam | None = None,
    ) -> float: ...
    def apply(self, grad: Reals) -> None: ...

def predict(
    workspace: Workspace,
    table: Table,
    order: Order,
    start: int,
    stop: int,
    out: Reals,
    raw: bool,
    team: ThreadTeam | None = None,
) -> None: ...
def predict_few(
    topology: Topology, theta: Reals, X: Reals, out: Reals, raw: bool
) -> None: ...
def loss_and_grad(
    workspace: Workspace,
    table: Table,
    order: Order,
    start: int,
    stop: int,
    denominator: float,
    grad: Reals | None = None,
    dX: Reals | None = None,
    thread: int = 0,
    team: ThreadTeam | None = None,
) -> float: ...
def l2_and_grad(
    t: Topology, theta: Reals, alpha: float, denominator: float, grad: Reals
) -> float: ...
def is_finite(X: Reals) -> bool: ...
def square_sum(X: Reals) -> float: ...
def affine_layer(A: Reals, W: Reals, b: Reals, p: int, q: int, Z: Reals) -> None: ...
def activation(kind: int, Z: Reals, A: Reals, q: int) -> None: ...
def derivative(kind: int, Z: Reals, A: Reals, delta: Reals) -> None: ...
def elementary(name: str, x: Reals, out: Reals) -> None: ...
