"""Back-propagation done right, behind scikit-learn's API."""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from . import tabular as tabular
    from ._classifier import BackpropMLPClassifier
    from ._network import Network
    from ._regressor import BackpropMLPRegressor
    from ._versions import show_versions
    from .tabular import TabularEncoder, TabularMLPClassifier, TabularMLPRegressor

__all__ = [
    "BackpropMLPClassifier",
    "BackpropMLPRegressor",
    "Network",
    "TabularEncoder",
    "TabularMLPClassifier",
    "TabularMLPRegressor",
    "__version__",
    "show_versions",
]

# Where a name is imported from when it is first used: scikit-learn takes a second,
# which the command's --help has no use for.
_HOMES = {
    "BackpropMLPClassifier": "_classifier",
    "BackpropMLPRegressor": "_regressor",
    "Network": "_network",
    "TabularEncoder": "tabular",
    "TabularMLPClassifier": "tabular",
    "TabularMLPRegressor": "tabular",
    "show_versions": "_versions",
}


def __getattr__(name: str) -> Any:
    if name == "tabular":
        return import_module(".tabular", __name__)
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, "tabular"})


# At once, because it tells of a wrong SKBACKPROP_SIMD; and last, because from a source
# folder the installed package's own __init__ takes the place of all of the above.
try:
    from . import core as core
except ModuleNotFoundError as error:
    if error.name != f"{__name__}.core.cpu":
        raise
    _source_folder = import_module("._source_folder", __name__)
    _source_folder.become_the_installed(sys.modules[__name__], error)
