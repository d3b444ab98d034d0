from enum import IntEnum

from .activations import Activation

class Loss(IntEnum):
    SQUARED_ERROR = 0
    BINARY_CROSS_ENTROPY = 1
    CATEGORICAL_CROSS_ENTROPY = 2
    POISSON = 3
    ABSOLUTE_ERROR = 4
    HUBER = 5
    QUANTILE = 6

def canonical(loss: int) -> Activation: ...
