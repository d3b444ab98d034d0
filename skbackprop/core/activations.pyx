"""The enumeration ``Activation`` for Python; the mathematics is in the .pxd."""
