"""Back-propagation done right, behind scikit-learn's API."""

import sys
import threading
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from . import callbacks as callbacks
    from . import onnx as onnx
    from . import plotting as plotting
    from . import tabular as tabular
    from ._checkpoint import Checkpoint
    from ._classifier import BackpropMLPClassifier
    from ._model_file import load_model, save_model
    from ._network import Network
    from ._regressor import BackpropMLPRegressor
    from ._safetensors import ModelFormatError
    from ._versions import show_versions
    from .tabular import TabularEncoder, TabularMLPClassifier, TabularMLPRegressor

__all__ = [
    "BackpropMLPClassifier",
    "BackpropMLPRegressor",
    "Checkpoint",
    "ModelFormatError",
    "Network",
    "TabularEncoder",
    "TabularMLPClassifier",
    "TabularMLPRegressor",
    "__version__",
    "load_model",
    "save_model",
    "show_versions",
]

# Where a name is imported from when it is first used: scikit-learn takes a second,
# which the command's --help has no use for.
_HOMES = {
    "BackpropMLPClassifier": "_classifier",
    "BackpropMLPRegressor": "_regressor",
    "Checkpoint": "_checkpoint",
    "ModelFormatError": "_safetensors",
    "Network": "_network",
    "TabularEncoder": "tabular",
    "TabularMLPClassifier": "tabular",
    "TabularMLPRegressor": "tabular",
    "load_model": "_model_file",
    "save_model": "_model_file",
    "show_versions": "_versions",
}
#: Modules that are names too.
_MODULES = ("callbacks", "onnx", "plotting", "tabular")
# Modules of scikit-learn import each other: threads that begin at several of them
# would wait for one another.
_ONE_IMPORTS = threading.RLock()


def __getattr__(name: str) -> Any:
    if name not in _MODULES and name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with _ONE_IMPORTS:
        if name in _MODULES:
            return import_module(f".{name}", __name__)
        value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, *_MODULES})


# At once, because it tells of a wrong SKBACKPROP_SIMD; and last, because from a source
# folder the installed package's own __init__ takes the place of all of the above.
try:
    from . import core as core
except ModuleNotFoundError as error:
    if error.name != f"{__name__}.core.cpu":
        raise
    _source_folder = import_module("._source_folder", __name__)
    _source_folder.become_the_installed(sys.modules[__name__], error)
