"""The enumeration ``Loss`` for Python; the mathematics is in the .pxd."""

from .activations cimport Activation
from .activations import Activation as _Activation


def canonical(loss):
    """The output activation whose delta_J is A_J - Y under this loss.  (L5)"""
    return _Activation(canonical_output(loss))
