from enum import IntEnum

import numpy as np
import numpy.typing as npt

class Solver(IntEnum):
    SGD = 0
    ADAM = 1
    ADAMW = 2

class Optimizer:
    learning_rate: float
    momentum: float
    nesterov: bool
    beta_1: float
    beta_2: float
    epsilon: float
    weight_decay: float
    t: int
    max_norm: float
    rates: npt.NDArray[np.float64] | None
    decays: npt.NDArray[np.float64] | None
    def __init__(
        self,
        kind: int,
        learning_rate: float,
        *,
        momentum: float = 0.0,
        nesterov: bool = False,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None: ...
    @property
    def kind(self) -> int: ...

def n_slots(kind: int) -> int: ...
