"""What a bug report should say of the machine, the build and the libraries."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from . import core
from ._threads import available
from ._version import __version__
from .core.cpu import compiler

_DEPENDENCIES = ("scikit-learn", "numpy", "scipy", "joblib", "threadpoolctl", "pandas")


def show_versions() -> None:
    """Print the version, the instruction set in use, and what else a report needs.

    The instruction set is the highest that was built and that the processor runs;
    the environment variable ``SKBACKPROP_SIMD`` forces a lower one, at import.

    Examples
    --------
    >>> import skbackprop
    >>> skbackprop.show_versions()  # doctest: +ELLIPSIS
    skbackprop...
    """
    forced = os.environ.get("SKBACKPROP_SIMD", "").strip()
    kernels = "own" if core.OWN_KERNELS else "BLAS through SciPy"
    facts = {
        "skbackprop": __version__,
        "instruction set": f"{core.level}{' (forced)' if forced else ''}",
        "built": ", ".join(core.levels()),
        "matrix products": kernels,
        "compiler": compiler(),
        "threads at most": str(available()),
        "Python": sys.version.replace("\n", " "),
        "system": platform.platform(),
        **{name: _version_of(name) for name in _DEPENDENCIES},
    }
    width = max(map(len, facts))
    for name, fact in facts.items():
        print(f"{name:>{width}}: {fact}")
    # After the facts: to look for the libraries loads one.
    from threadpoolctl import threadpool_info

    for pool in threadpool_info():
        core_name = pool.get("architecture")
        print(
            f"{pool['user_api']:>{width}}: {pool['internal_api']} {pool['version']}, "
            f"{pool['num_threads']} threads{f', {core_name}' if core_name else ''}"
        )


def _version_of(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
