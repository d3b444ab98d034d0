# Every array of reals in one call has one type, float32 or float64, and is
# C-contiguous; an array that is not used is empty.

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from .optimizers import Optimizer
from .regimen import Regimen
from .topology import Topology

_Real = TypeVar("_Real", np.float32, np.float64)

_Ints = npt.NDArray[np.intc]
_Places = npt.NDArray[np.intp]

# Of the functions of reals, function["float"] and function["double"] are those of one
# type: a call by the name alone looks which it is.

def scratch_sizes(
    t: Topology,
    n: int,
    like: npt.NDArray[_Real],
    places: _Places,
    sparse: bool = False,
    backward: bool = True,
    input_gradient: bool = False,
    dropping: bool = False,
) -> tuple[int, int, int]: ...
def places_shape(t: Topology) -> tuple[int, int]: ...
def barrier_shape() -> tuple[int, int]: ...
def threads_of_its_own() -> bool: ...
def square_sum(X: npt.NDArray[_Real]) -> float: ...
def is_finite(X: npt.NDArray[_Real]) -> bool: ...
def predict(
    t: Topology,
    theta: npt.NDArray[_Real],
    X: npt.NDArray[_Real],
    data: npt.NDArray[_Real],
    indices: npt.NDArray[np.intc],
    indptr: npt.NDArray[np.longlong],
    rows: npt.NDArray[np.intp],
    start: int,
    stop: int,
    out: npt.NDArray[_Real],
    work: npt.NDArray[_Real],
    places: _Places,
    link: bool,
) -> None: ...
def loss_and_grad(
    t: Topology,
    theta: npt.NDArray[_Real],
    X: npt.NDArray[_Real],
    data: npt.NDArray[_Real],
    indices: npt.NDArray[np.intc],
    indptr: npt.NDArray[np.longlong],
    Y: npt.NDArray[_Real],
    labels: npt.NDArray[np.intc],
    sample_weight: npt.NDArray[_Real],
    rows: npt.NDArray[np.intp],
    start: int,
    stop: int,
    denominator: float,
    grad: npt.NDArray[_Real],
    dX: npt.NDArray[_Real],
    work: npt.NDArray[_Real],
    label_work: _Ints,
    sums: npt.NDArray[np.float64],
    places: _Places,
    thread: int = 0,
    barrier: _Ints | None = None,
    n_threads: int = 1,
) -> float: ...
def l2_and_grad(
    t: Topology,
    theta: npt.NDArray[_Real],
    alpha: float,
    denominator: float,
    grad: npt.NDArray[_Real],
) -> float: ...
def train_run(
    t: Topology,
    opt: Optimizer,
    regimen: Regimen,
    theta: npt.NDArray[_Real],
    grad: npt.NDArray[_Real],
    memory: npt.NDArray[_Real],
    X: npt.NDArray[_Real],
    data: npt.NDArray[_Real],
    indices: npt.NDArray[np.intc],
    indptr: npt.NDArray[np.longlong],
    Y: npt.NDArray[_Real],
    labels: npt.NDArray[np.intc],
    sample_weight: npt.NDArray[_Real],
    rows: npt.NDArray[np.intp],
    start: int,
    stop: int,
    batch_size: int,
    mean_weight: float,
    alpha: float,
    loss: float,
    work: npt.NDArray[_Real],
    label_work: _Ints,
    sums: npt.NDArray[np.float64],
    places: _Places,
    thread: int = 0,
    barrier: _Ints | None = None,
    n_threads: int = 1,
) -> float: ...
def affine_layer(
    A: npt.NDArray[_Real],
    W: npt.NDArray[_Real],
    b: npt.NDArray[_Real],
    p: int,
    q: int,
    Z: npt.NDArray[_Real],
) -> None: ...
def activation(
    kind: int, Z: npt.NDArray[_Real], A: npt.NDArray[_Real], q: int
) -> None: ...
def derivative(
    kind: int,
    Z: npt.NDArray[_Real],
    A: npt.NDArray[_Real],
    delta: npt.NDArray[_Real],
) -> None: ...
def elementary(name: str, x: npt.NDArray[_Real], out: npt.NDArray[_Real]) -> None: ...
def optimizer_step(
    t: Topology,
    opt: Optimizer,
    theta: npt.NDArray[_Real],
    grad: npt.NDArray[_Real],
    memory: npt.NDArray[_Real],
) -> None: ...
