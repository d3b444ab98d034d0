"""What several tests of the core begin with."""

import numpy as np
import pytest
from helpers import SQUARED
from numpy.typing import NDArray

from skbackprop import Network

Array = NDArray[np.floating]


@pytest.fixture
def net() -> Network:
    return Network([3, 4, 2], "tanh", **SQUARED, random_state=0)


@pytest.fixture
def X(rng: np.random.Generator) -> Array:
    return rng.normal(size=(6, 3))


@pytest.fixture
def Y(rng: np.random.Generator) -> Array:
    return rng.normal(size=(6, 2))
