"""A fitted model as C source, for where there is no Python: ``to_c``."""

from ._header import to_c

__all__ = ["to_c"]
