"""What ends the command with one line instead of a traceback."""

from __future__ import annotations


class Failure(Exception):
    """A mistake in the input: one line on standard error, exit status 2."""
