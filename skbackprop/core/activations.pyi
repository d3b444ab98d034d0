from enum import IntEnum

class Activation(IntEnum):
    IDENTITY = 0
    RELU = 1
    SIGMOID = 2
    TANH = 3
    EXP = 64
    SOFTMAX = 65
