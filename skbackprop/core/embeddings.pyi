from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

_Real = TypeVar("_Real", np.float32, np.float64)

class Embeddings:
    def __init__(
        self,
        edges: Sequence[npt.ArrayLike],
        n_plain: int,
        cardinalities: Sequence[int],
        dimension: int,
        code_dimension: int,
    ) -> None: ...
    @property
    def n_numbers(self) -> int: ...
    @property
    def n_plain(self) -> int: ...
    @property
    def n_codes(self) -> int: ...
    @property
    def dimension(self) -> int: ...
    @property
    def code_dimension(self) -> int: ...
    @property
    def n_columns(self) -> int: ...
    @property
    def n_outputs(self) -> int: ...
    @property
    def n_parameters(self) -> int: ...
    @property
    def edges(self) -> list[npt.NDArray[np.float64]]: ...
    @property
    def groups(self) -> list[tuple[str, int, int, tuple[int, int], bool]]: ...
    @property
    def cardinalities(self) -> list[int]: ...
    def views(
        self, theta: npt.NDArray[_Real]
    ) -> tuple[
        list[npt.NDArray[_Real]],
        npt.NDArray[_Real],
        npt.NDArray[_Real],
        npt.NDArray[_Real],
        list[npt.NDArray[_Real]],
    ]: ...
