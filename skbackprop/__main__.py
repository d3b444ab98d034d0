"""``python -m skbackprop`` is the ``skbackprop`` command."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
