"""The enumeration ``Loss`` for Python; the mathematics is in the .pxd."""


def canonical(int loss):
    """The ``Activation`` of the output whose delta_J is A_J - Y, if any.  (L5)"""
    return canonical_output(loss)
