"""Test the installed package, whatever folder the tests are started from."""

import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent

# `python -m pytest` puts the current folder first, where a source tree without
# compiled modules would shadow the installed package.
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != _ROOT]
