"""The ``skbackprop`` command: train on a table, predict, evaluate, look inside."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec

from ._failure import Failure
from ._options import parse

_NEED_PANDAS = ("train", "predict", "evaluate")


def _complain(message: str) -> None:
    line = "".join(c for c in " ".join(message.split()) if c.isprintable())
    print(f"skbackprop: error: {line}", file=sys.stderr)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the ``skbackprop`` command.

    Parameters
    ----------
    argv : sequence of str, default=None
        The arguments after the command's name; None takes those of the process.

    Returns
    -------
    int
        The exit status: 0 on success, 1 when the output cannot be written, 2 for
        a mistake in the arguments or the data, 130 when interrupted.
    """
    with suppress(AttributeError, ValueError):
        # Column names may hold characters that the terminal's encoding lacks.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        try:
            options = parse(argv)
            if options.command in _NEED_PANDAS and find_spec("pandas") is None:
                hint = 'pip install "skbackprop[cli]"'
                raise Failure(f"skbackprop {options.command} needs pandas: {hint}")
            # numpy and the others are imported only when the arguments are right.
            module = importlib.import_module(f"._{options.command}", __name__)
            status = getattr(module, options.command)(options)
        except SystemExit as stop:  # --help and --version
            status = int(stop.code or 0)
        print(end="", flush=True)  # a closed pipe shows here, not at exit
        return status
    except Failure as failure:
        _complain(str(failure))
        return 2
    except KeyboardInterrupt:
        print("skbackprop: interrupted", file=sys.stderr)
        return 130
    except OSError as error:
        # Standard output is gone (`| head`) or full: point it away, or the
        # interpreter complains once more when it flushes it at exit.
        with suppress(OSError, ValueError, AttributeError):
            sys.stdout.flush()
            return _cannot_write(error)
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _cannot_write(error)


def _cannot_write(error: OSError) -> int:
    if not isinstance(error, BrokenPipeError):
        _complain(f"cannot write the output: {error}")
    return 1
