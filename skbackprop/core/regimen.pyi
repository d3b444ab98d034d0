from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

class Regimen:
    plan: npt.NDArray[np.float64]
    def __init__(
        self,
        n_groups: int,
        *,
        dropout: float = 0.0,
        seed: int = 0,
        max_norm: float = 0.0,
        rates: Sequence[float] | npt.NDArray[np.float64] | None = None,
        decays: Sequence[float] | npt.NDArray[np.float64] | None = None,
    ) -> None: ...
    @property
    def dropout(self) -> float: ...
    @property
    def seed(self) -> int: ...
    @property
    def max_norm(self) -> float: ...
    @property
    def rates(self) -> tuple[float, ...]: ...
    @property
    def decays(self) -> tuple[float, ...]: ...
