"""Python started in a clone finds its source folder first: go on to what is installed.

The folder has no compiled modules, and those of the installed package may belong to
other sources, so all or nothing is taken from there.
"""

import os
import sys
from importlib.machinery import PathFinder
from importlib.metadata import distributions
from typing import Any

from ._version import __version__


def _installed() -> tuple[str, Any] | None:
    """The first entry of sys.path with a compiled package, and the spec of that."""
    for entry in sys.path:
        spec = PathFinder.find_spec(__package__, [entry])
        if spec is None or not spec.submodule_search_locations:
            continue
        core = [os.path.join(p, "core") for p in spec.submodule_search_locations]
        if PathFinder.find_spec(f"{__package__}.core.cpu", core):
            return entry, spec
    return None


def become_the_installed(package: Any, why: ImportError) -> None:
    """Run the installed package in the module that the source folder began.

    Raises ``why`` where there is none, and an ImportError where it has another version.
    """
    found = _installed()
    if found is None:
        raise why
    entry, spec = found
    versions = {d.version for d in distributions(name=__package__, path=[entry])}
    if versions - {__version__}:
        raise ImportError(
            f"{package.__path__[0]} holds the sources of skbackprop {__version__}, but"
            f" {', '.join(versions)} is installed in {entry}. Run `pip install .` in"
            " the clone, or start Python in another folder."
        ) from None
    package.__path__[:] = spec.submodule_search_locations  # the spec's list as well
    package.__file__ = package.__spec__.origin = spec.origin
    package.__loader__ = package.__spec__.loader = spec.loader
    del sys.modules[f"{__package__}._version"], sys.modules[__name__]
    spec.loader.exec_module(package)
