from enum import IntEnum

class Activation(IntEnum):
    IDENTITY = 0
    RELU = 1
    SIGMOID = 2
    TANH = 3
    SELU = 4
    SILU = 5
    GELU = 6
    MISH = 7
    LEAKY_RELU = 8
    EXP = 64
    SOFTMAX = 65
