"""The compiled core. ``engine`` is the module of the instruction set in use."""

from . import engine

__all__ = ["engine"]
