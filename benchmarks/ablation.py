"""Measure what each part of the tabular recipe is worth: the table of docs/tabular.md.

python benchmarks/ablation.py FOLDER
python benchmarks/ablation.py FOLDER --changes folds_2,no_dropout --data abalone

The folder is that of tabular.py (see benchmarks/README.md), and so are rows, threads
and cache. Each change of the recipe is fitted to the same splits as the recipe, other
ones than the comparison's. Some are parameters; the others take the place of a part of
skbackprop.tabular, in the process of the fit alone.
"""

import argparse
import hashlib
import inspect
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import geometric_mean
from typing import Any

import machine
import numpy as np
from peers import datasets, fits, models
from peers.cache import Cache
from peers.summary import for_ratio
from tabular import LIBRARIES, MOST_TEST, MOST_TRAIN
from timing import table

ROOT = Path(__file__).resolve().parent.parent
DATA = "abalone adult ames_housing california_housing covertype diamonds german_credit"
DATA += " hotel_bookings magic_telescope"
MEASURES = {"error": "error", "log_loss": "log-loss", "fit_seconds": "time"}

Pairs = dict[tuple[str, int], fits.Result]  # by data set and split


@dataclass(frozen=True)
class Change:
    """One thing of the recipe that is changed: parameters, or a patch, or both.

    `over` are parameters of what the change is compared with, the recipe if empty.
    """

    label: str
    parameters: dict[str, Any] = field(default_factory=dict)
    patch: Callable[[], None] | None = None
    over: dict[str, Any] = field(default_factory=dict)


# What no parameter says ---------------------------------------------------------


def _put(module: Any, name: str, value: Any) -> Any:
    """Put a value in the place of a part, which must be there; return the part."""
    old = getattr(module, name)
    setattr(module, name, value)
    return old


def _first_fold_alone() -> None:
    from skbackprop.tabular._base import BaseTabularMLP

    def first(self: Any, *arguments: Any) -> Any:
        return dealt(self, *arguments)[:1]

    dealt = _put(BaseTabularMLP, "_parts", first)


def _one_input_per_number() -> None:
    from skbackprop.tabular import _base

    def of_one(edges: Any, plain: int, cardinalities: Any, _: int, of_code: int) -> Any:
        return embeddings(edges, plain, cardinalities, 1, of_code)

    embeddings = _put(_base, "Embeddings", of_one)


def _plain_quantiles() -> None:
    from skbackprop.tabular import _base

    def plain(column: Any, n_bins: int) -> Any:
        values = column[~np.isnan(column)]
        if not len(values):
            return with_frequent(column, n_bins)
        edges = np.quantile(values, np.linspace(0, 1, n_bins + 1))
        edges = np.unique(edges.astype(np.float32)).astype(np.float64)
        return edges if len(edges) > 1 else with_frequent(column, n_bins)

    with_frequent = _put(_base, "quantile_edges", plain)


def _embeddings_at_full_rate() -> None:
    from skbackprop.tabular import _member

    _put(_member, "_EMBEDDING_RATE", 1.0)


def _unfitted() -> None:
    """First weights of a deviation of 1 / sqrt(fan-in), as where rows have nothing."""
    from skbackprop.tabular import _initialization

    def nothing(topology: Any, theta: Any, X: Any) -> Any:
        return np.zeros_like(embedded(topology, theta, X))

    embedded = _put(_initialization, "_embedded", nothing)


def _constant_rate() -> None:
    from skbackprop.tabular import _member

    def constant(*arguments: Any) -> Any:
        return replace(scheduled(*arguments), learning_rate="constant")

    scheduled = _put(_member, "settings_of", constant)


def _same_rate() -> None:
    """The geometric mean of the rates of all matrices of layers, for each of them."""
    from skbackprop.tabular import _member

    def alike(topology: Any) -> Any:
        rates, decays = by_fan_in(topology)
        of_layers = np.array([group.penalised for group in topology.groups])
        rate = np.exp(np.log(rates[of_layers]).mean())
        rates[of_layers], decays[of_layers] = rate, 1 / rate
        return rates, decays

    by_fan_in = _put(_member, "group_factors", alike)


def _slow_second_moment() -> None:
    from skbackprop.tabular import _member

    _put(_member, "_BETA_2", 0.999)


NARROW = {"hidden_layer_sizes": [128, 128]}
#: The lines of the table, in its order.
CHANGES = {
    "one_network": Change(
        "**the bag**: one network, a fifth of the rows held out",
        {"n_folds": 5},
        _first_fold_alone,
    ),
    "folds_2": Change("2 folds", {"n_folds": 2}),
    "folds_4": Change("4 folds", {"n_folds": 4}),
    "folds_8": Change("8 folds", {"n_folds": 8}),
    "two_bags": Change(
        "two bags of 16 (of 128 units)",
        {"n_folds": 16, "n_repeats": 2, **NARROW},
        over=NARROW,
    ),
    "one_bin": Change("**numbers**: one bin, so that a curve is a line", {"n_bins": 1}),
    "one_input": Change(
        "one input per number instead of 8", patch=_one_input_per_number
    ),
    "plain_quantiles": Change(
        "frequent values have no edge of their own", patch=_plain_quantiles
    ),
    "one_hot": Change("**categories**: one-hot columns up to 8", {"max_one_hot": 8}),
    "full_rate": Change(
        "embeddings of all groups at the full rate", patch=_embeddings_at_full_rate
    ),
    "unfitted": Change("**first weights** not fitted to the data", patch=_unfitted),
    "no_dropout": Change("**training**: no dropout", {"dropout": 0.0}),
    "no_decay": Change("no decay", {"weight_decay": 0.0}),
    "constant_rate": Change("constant learning rate", patch=_constant_rate),
    "same_rate": Change("the same rate for all matrices", patch=_same_rate),
    "beta_2": Change(r"$\beta_2 = 0.999$", patch=_slow_second_moment),
}


# Fits ---------------------------------------------------------------------------


def main() -> int:
    """Fit what the cache does not hold yet, then print and write the tables."""
    options = _options()
    if options.fit:
        print(json.dumps(_measure(fits.Fit(**json.loads(options.fit)))))
        return 0
    version = models.version(models.OURS, options.tag)
    if version is None:
        print("skbackprop has no tabular models", file=sys.stderr)
        return 1
    facts, cache = machine.describe(LIBRARIES), Cache(options.cache)
    try:
        measured = {
            name: (
                _fit_all(options, cache, facts["CPU"], version, CHANGES[name]),
                _fit_all(options, cache, facts["CPU"], version, _recipe(CHANGES[name])),
            )
            for name in options.changes
        }
    except fits.Failed as error:
        print(f"failed: {error}", file=sys.stderr)
        return 1
    text = "\n\n".join(_tables(measured, options, facts, version))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(text + "\n", encoding="utf-8")
    print(f"{text}\n{options.out}")
    return 0


def _recipe(change: Change) -> Change:
    """What a change is compared with."""
    return Change("", change.over)


def _fit_all(
    options: argparse.Namespace,
    cache: Cache,
    cpu: str,
    version: str,
    change: Change,
) -> Pairs:
    """Return the results on every data set and split."""
    parameters = dict(change.parameters)
    if change.patch is not None:
        parameters["patch"] = change.patch.__name__
        patched = inspect.getsource(change.patch)
        version += f", {hashlib.sha256(patched.encode()).hexdigest()[:12]}"
    found: Pairs = {}
    for data in options.data:
        fingerprint = datasets.fingerprint(options.folder, data)
        for split in options.splits:
            fit = fits.Fit(
                folder=str(options.folder),
                data=data,
                model=models.OURS,
                parameters=parameters,
                seed=0,
                threads=1,
                most_train=MOST_TRAIN,
                most_test=MOST_TEST,
                split=split,
            )
            result = cache.get(fit, version, fingerprint)
            if result is None:
                what = change.label or "the recipe"
                print(f"{data}, split {split}, {what} ...", file=sys.stderr)
                result = fits.in_child(fit, Path(__file__).resolve())
                result = cache.keep(fit, version, fingerprint, result, cpu)
            found[data, split] = result
    return found


def _measure(fit: fits.Fit) -> fits.Result:
    """Patch what the fit asks for, and fit; in a process of its own."""
    parameters = dict(fit.parameters)
    name = parameters.pop("patch", None)
    for each in CHANGES.values():
        if each.patch is not None and each.patch.__name__ == name:
            each.patch()
    return fits.measure(replace(fit, parameters=parameters))


# Tables -------------------------------------------------------------------------


def _tables(
    measured: dict[str, tuple[Pairs, Pairs]],
    options: argparse.Namespace,
    facts: dict[str, str],
    version: str,
) -> list[str]:
    header = ["one thing changed", *MEASURES.values()]
    rows = [
        [CHANGES[name].label, *(_mean(*pairs, measure) for measure in MEASURES)]
        for name, pairs in measured.items()
    ]
    each = [
        [CHANGES[name].label, *(_mean(*pairs, "error", data) for data in options.data)]
        for name, pairs in measured.items()
    ]
    splits = ", ".join(map(str, options.splits))
    return [
        table(header, rows),
        "The error of each data set:",
        table(["one thing changed", *options.data], each),
        f"Ratios to the recipe's, geometric means over splits of seeds {splits}; one "
        f"thread. {facts['CPU']}; skbackprop's files or tag: {version}.",
    ]


def _mean(changed: Pairs, recipe: Pairs, measure: str, data: str | None = None) -> str:
    """Return the geometric mean of the ratios, of one data set or all."""
    ratios: list[float] = []
    for key, result in changed.items():
        if data in (None, key[0]):
            score, over = (for_ratio(each, measure) for each in (result, recipe[key]))
            ratios += [] if score is None or over is None else [score / over]
    return f"{geometric_mean(ratios):.3f}" if ratios else ""


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("folder", type=lambda text: Path(text).resolve(), metavar="FOLDER")
    add("--changes", type=_names, default=[*CHANGES], help=", ".join(CHANGES))
    add("--data", type=_names, default=DATA.split(), help=f"data sets, {DATA}")
    add("--splits", type=_numbers, default=[1, 2], help="their seeds, 1,2")
    add("--tag", help="names the version of ours, a hash of its files if not given")
    add("--cache", type=Path, default=ROOT / "build" / "tabular.jsonl")
    add("--out", type=Path, default=ROOT / "build" / "ablation.md")
    # How this script calls itself for one fit.
    add("--fit", help=argparse.SUPPRESS)
    options = parser.parse_args()
    there = () if options.fit else datasets.names(options.folder)
    for given, known in (options.changes, CHANGES), (options.data, there):
        unknown = [name for name in given if name not in known]
        if unknown and not options.fit:
            there_are = ", ".join(known) or "none"
            parser.error(f"unknown: {', '.join(unknown)}; there are {there_are}")
    return options


def _names(text: str) -> list[str]:
    return text.split(",")


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


if __name__ == "__main__":
    sys.exit(main())
