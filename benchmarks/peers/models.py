"""The models that are compared, all with their defaults."""

import hashlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib import metadata, util
from pathlib import Path
from typing import Any

import pandas as pd

from peers import frames

OURS = "tabular"


@dataclass(frozen=True)
class Setting:
    """What a model must know before it sees data."""

    regression: bool
    categorical: list[str]
    seed: int
    threads: int
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Model:
    """How a model is made, and what it takes for a frame.

    `prepare` runs outside the clock. `packages` are those whose versions decide what
    comes out.
    """

    label: str
    packages: tuple[str, ...]
    make: Callable[[Setting], Any]
    prepare: Callable[[pd.DataFrame, pd.DataFrame], frames.Frames]


def _make_ours(setting: Setting, **preset: str) -> Any:
    from skbackprop import TabularMLPClassifier, TabularMLPRegressor

    Estimator = TabularMLPRegressor if setting.regression else TabularMLPClassifier
    ours = {"random_state": setting.seed, "n_jobs": setting.threads}
    return Estimator(**{**ours, **preset, **setting.parameters})


def _make_catboost(setting: Setting) -> Any:
    from catboost import CatBoostClassifier, CatBoostRegressor

    Estimator = CatBoostRegressor if setting.regression else CatBoostClassifier
    return Estimator(
        random_seed=setting.seed,
        thread_count=setting.threads,
        cat_features=setting.categorical,
        verbose=0,
        allow_writing_files=False,
    )


def _make_lightgbm(setting: Setting) -> Any:
    from lightgbm import LGBMClassifier, LGBMRegressor

    Estimator = LGBMRegressor if setting.regression else LGBMClassifier
    return Estimator(random_state=setting.seed, n_jobs=setting.threads, verbose=-1)


def _make_hgb(setting: Setting) -> Any:
    from sklearn.ensemble import (
        HistGradientBoostingClassifier,
        HistGradientBoostingRegressor,
    )

    Estimator = (
        HistGradientBoostingRegressor
        if setting.regression
        else HistGradientBoostingClassifier
    )
    return Estimator(categorical_features="from_dtype", random_state=setting.seed)


def _make_sklearn_mlp(setting: Setting) -> Any:
    from sklearn.compose import (
        TransformedTargetRegressor,
        make_column_selector,
        make_column_transformer,
    )
    from sklearn.impute import SimpleImputer
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    encoder = make_column_transformer(
        (
            make_pipeline(SimpleImputer(strategy="median"), StandardScaler()),
            make_column_selector(dtype_include="number"),
        ),
        (
            OneHotEncoder(
                handle_unknown="ignore", max_categories=50, sparse_output=False
            ),
            setting.categorical,
        ),
    )
    if not setting.regression:
        return make_pipeline(encoder, MLPClassifier(random_state=setting.seed))
    return TransformedTargetRegressor(
        make_pipeline(encoder, MLPRegressor(random_state=setting.seed)),
        transformer=StandardScaler(),
    )


def _make_realmlp(setting: Setting) -> Any:
    from pytabkit import RealMLP_TD_Classifier, RealMLP_TD_Regressor

    Estimator = RealMLP_TD_Regressor if setting.regression else RealMLP_TD_Classifier
    return Estimator(device="cpu", n_threads=setting.threads, random_state=setting.seed)


def _make_realmlp_s(setting: Setting) -> Any:
    from pytabkit import RealMLP_TD_S_Classifier, RealMLP_TD_S_Regressor

    Estimator = (
        RealMLP_TD_S_Regressor if setting.regression else RealMLP_TD_S_Classifier
    )
    return Estimator(device="cpu", n_threads=setting.threads, random_state=setting.seed)


MODELS = {
    OURS: Model("skbackprop", ("skbackprop",), _make_ours, frames.as_it_is),
    "tabular_fast": Model(
        "skbackprop, preset fast",
        ("skbackprop",),
        partial(_make_ours, preset="fast"),
        frames.as_it_is,
    ),
    "catboost": Model("CatBoost", ("catboost",), _make_catboost, frames.missing_named),
    "lightgbm": Model(
        "LightGBM", ("lightgbm",), _make_lightgbm, frames.missing_category
    ),
    "hgb": Model(
        "HistGradientBoosting", ("scikit-learn",), _make_hgb, frames.few_categories
    ),
    "sklearn_mlp": Model(
        "scikit-learn's MLP", ("scikit-learn",), _make_sklearn_mlp, frames.missing_named
    ),
    "realmlp": Model(
        "RealMLP-TD", ("pytabkit", "torch"), _make_realmlp, frames.median_imputed
    ),
    "realmlp_s": Model(
        "RealMLP-TD-S", ("pytabkit", "torch"), _make_realmlp_s, frames.median_imputed
    ),
}


def is_ours(name: str) -> bool:
    """Return whether the model is one of skbackprop."""
    return MODELS[name].packages == ("skbackprop",)


def version(name: str, tag: str | None) -> str | None:
    """Return what tells results of this model apart from another version's.

    None where it is not installed. A peer's are its packages and a hash of how it is
    called here. Ours is its tag, or else a hash of its files: a recipe changes without
    a new version.
    """
    if is_ours(name):
        return _our_version(tag)
    model = MODELS[name]
    try:
        versions = [f"{each} {metadata.version(each)}" for each in model.packages]
    except metadata.PackageNotFoundError:
        return None
    called = inspect.getsource(model.make) + inspect.getsource(frames)
    return ", ".join([*versions, hashlib.sha256(called.encode()).hexdigest()[:12]])


def _our_version(tag: str | None) -> str | None:
    found = util.find_spec("skbackprop")
    if found is None or found.origin is None:
        return None
    import skbackprop

    if not hasattr(skbackprop, "TabularMLPClassifier"):
        return None
    if tag is not None:
        return tag
    content = hashlib.sha256()
    for path in sorted(Path(found.origin).parent.rglob("*")):
        if path.suffix in {".py", ".pyx", ".pxd", ".so", ".pyd"}:
            content.update(path.read_bytes())
    return content.hexdigest()[:12]
