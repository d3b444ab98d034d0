from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from .embeddings import Embeddings

_Real = TypeVar("_Real", np.float32, np.float64)

class ParameterGroup(NamedTuple):
    name: str
    start: int
    stop: int
    shape: tuple[int, ...]
    decays: bool
    penalised: bool

class Topology:
    def __init__(
        self,
        sizes: Sequence[int],
        activations: Sequence[int],
        biases: Sequence[bool],
        loss: int,
        loss_parameters: Sequence[float] = (),
        embeddings: Embeddings | None = None,
        kinds: Sequence[int] | None = None,
    ) -> None: ...
    @property
    def n_layers(self) -> int: ...
    @property
    def n_columns(self) -> int: ...
    @property
    def n_outputs(self) -> int: ...
    @property
    def groups(self) -> list[ParameterGroup]: ...
    @property
    def embeddings(self) -> Embeddings | None: ...
    @property
    def n_parameters(self) -> int: ...
    @property
    def loss(self) -> int: ...
    @property
    def from_z(self) -> bool: ...
    @property
    def sizes(self) -> tuple[int, ...]: ...
    @property
    def activations(self) -> tuple[int, ...]: ...
    @property
    def kinds(self) -> tuple[int, ...]: ...
    @property
    def biases(self) -> tuple[bool, ...]: ...
    @property
    def loss_parameters(self) -> tuple[float, ...]: ...
    def layer_groups(self, j: int) -> list[ParameterGroup]: ...
    def views(
        self, theta: npt.NDArray[_Real]
    ) -> tuple[list[npt.NDArray[_Real]], list[npt.NDArray[_Real] | None]]: ...
