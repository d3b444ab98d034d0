"""Compare skbackprop's tabular models with their peers on a folder of data sets.

python benchmarks/tabular.py FOLDER
python benchmarks/tabular.py FOLDER --models tabular,catboost --data adult,diamonds
python benchmarks/tabular.py FOLDER --data none --full adult,covertype
python benchmarks/tabular.py FOLDER --models catboost,tabular \\
    --variant 'no_dropout={"dropout": 0}'

The folder has NAME.csv.gz and NAME.json for each data set. A result is kept in the
cache until the model's version, for ours any of its files, or the data change; the
page is made of the results of what is asked for.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import machine
from peers import datasets, fits, models, page
from peers.cache import Cache
from peers.summary import Comparison, Contender

ROOT = Path(__file__).resolve().parent.parent
MOST_TRAIN, MOST_TEST = 5_000, 20_000
LIBRARIES = ("skbackprop", "numpy", "scipy", "scikit-learn", "pandas", "catboost")
LIBRARIES += ("lightgbm", "pytabkit", "torch")
WHOLE_MODELS = (models.OURS, "tabular_fast", "hgb")


def main() -> int:
    """Fit what the cache does not hold yet, then write the page."""
    options = _options()
    if options.fit:
        print(json.dumps(fits.measure(fits.Fit(**json.loads(options.fit)))))
        return 0
    facts = machine.describe(LIBRARIES)
    cache = Cache(options.cache)
    contenders = _contenders(options)

    def compare(names: list[str], some: list[Contender], **rows: Any) -> Comparison:
        comparison = Comparison(some, {}, {})
        for name in names:
            for each in some:
                _fit_seeds(comparison, each, name, rows, options, cache, facts["CPU"])
        return comparison

    capped = compare(
        options.data,
        contenders,
        threads=1,
        most_train=MOST_TRAIN,
        most_test=MOST_TEST,
    )
    whole = compare(
        options.full,
        [each for each in contenders if each.ours or each.name in WHOLE_MODELS],
        threads=2,
        most_train=None,
        most_test=None,
    )
    if not capped.measured and not whole.measured:
        print("nothing was measured", file=sys.stderr)
        return 1
    for path in _write(options, facts, capped, whole):
        print(path)
    return 1 if capped.failed or whole.failed else 0


def _contenders(options: argparse.Namespace) -> list[Contender]:
    """Return the models that are asked for and installed, and the variants of ours."""
    found: list[Contender] = []
    for name in options.models:
        version = models.version(name, options.tag)
        model = models.MODELS[name]
        if version is None:
            print(f"{name}: not installed", file=sys.stderr)
            continue
        found.append(Contender(name, model.label, name, models.is_ours(name), version))
    for name, parameters in options.variant:
        version = models.version(models.OURS, options.tag)
        if version is None:
            print(f"{name}: skbackprop has no tabular models", file=sys.stderr)
            continue
        found.append(Contender(name, name, models.OURS, True, version, parameters))
    return found


def _fit_seeds(
    comparison: Comparison,
    contender: Contender,
    data: str,
    rows: dict[str, Any],
    options: argparse.Namespace,
    cache: Cache,
    cpu: str,
) -> None:
    """Add the results of a contender on a data set, one per seed."""
    fingerprint = datasets.fingerprint(options.folder, data)
    whole = rows["most_train"] is None
    seeds = options.seeds if contender.ours and not whole else [0]
    results: list[fits.Result] = []
    for seed in seeds:
        fit = fits.Fit(
            folder=str(options.folder),
            data=data,
            model=contender.model,
            parameters=contender.parameters,
            seed=seed,
            **rows,
        )
        result = cache.get(fit, contender.version, fingerprint)
        if result is None:
            print(f"{data}, {contender.name}, seed {seed} ...", file=sys.stderr)
            try:
                result = fits.in_child(fit)
            except fits.Failed as error:
                print(f"  failed: {error}", file=sys.stderr)
                comparison.failed[contender.name, data] = str(error)
                return
            result = cache.keep(fit, contender.version, fingerprint, result, cpu)
        results.append(result)
    comparison.results.setdefault(contender.name, {})[data] = results


def _write(
    options: argparse.Namespace,
    facts: dict[str, str],
    capped: Comparison,
    whole: Comparison,
) -> Iterable[Path]:
    """Write the page and its picture, and print the page's tables."""
    options.out.parent.mkdir(parents=True, exist_ok=True)
    picture = options.out.with_suffix(".svg") if capped.measured else None
    if picture is not None:
        try:
            from peers.picture import draw

            draw(capped, picture)
            yield picture
        except ImportError as error:
            print(f"no picture: {error}", file=sys.stderr)
            picture = None
    protocol = {
        "train": MOST_TRAIN,
        "test": MOST_TEST,
        "seeds": ", ".join(map(str, options.seeds)),
        "least": fits.LEAST_PROBABILITY,
    }
    name = None if picture is None else picture.name
    text = page.write(_command(options), facts, capped, whole, protocol, name)
    options.out.write_text(text + "\n", encoding="utf-8")
    print(text)
    yield options.out


def _command(options: argparse.Namespace) -> str:
    """Return the command without the paths of this machine."""
    words = ["python", "benchmarks/tabular.py", "FOLDER"]
    given = iter(sys.argv[1:])
    for word in given:
        if word in ("--cache", "--out"):
            next(given, None)
        elif not word.startswith(("--cache=", "--out=")):
            words += [] if word == options.folder_as_given else [word]
    return shlex.join(words)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = ", ".join(models.MODELS)
    add = parser.add_argument
    add("folder_as_given", metavar="FOLDER")
    add("--models", type=_names, help=f"all that are installed if not given: {known}")
    add("--data", type=_names, help="data sets, all with one target if not given")
    add("--exclude", type=_names, default=[], help="data sets")
    add("--full", type=_names, default=[], help="data sets to compare with all rows")
    add("--seeds", type=_seeds, default=[0, 1, 2], help="of ours, 0,1,2 if not given")
    add("--variant", type=_variant, action="append", default=[], metavar="NAME=JSON")
    add("--tag", help="names the version of ours, a hash of its files if not given")
    add("--cache", type=Path, default=ROOT / "build" / "tabular.jsonl")
    add("--out", type=Path, default=ROOT / "docs" / "tabular_results.md")
    # How this script calls itself for one fit.
    add("--fit", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.folder = Path(options.folder_as_given).resolve()
    if options.fit:
        return options
    there = datasets.names(options.folder)
    options.models = _checked(parser, options.models, models.MODELS)
    options.full = _checked(parser, options.full, there)
    excluded = _checked(parser, options.exclude, there)
    wanted = _checked(parser, options.data, there)
    options.data = [name for name in wanted if name not in excluded]
    names = [*options.models, *(name for name, _ in options.variant)]
    if len(set(names)) < len(names):
        parser.error("two models of the same name")
    return options


def _checked(
    parser: argparse.ArgumentParser, given: list[str] | None, known: Iterable[str]
) -> list[str]:
    """Return the names, all if none were given; end where there is no such name."""
    known = list(known)
    if given is None:
        return known
    if unknown := [name for name in given if name not in known]:
        there = ", ".join(known) or "none"
        parser.error(f"unknown: {', '.join(unknown)}; there are {there}")
    return given


def _names(text: str) -> list[str]:
    return [] if text == "none" else text.split(",")


def _seeds(text: str) -> list[int]:
    return [int(seed) for seed in text.split(",")]


def _variant(text: str) -> tuple[str, dict[str, Any]]:
    name, _, parameters = text.partition("=")
    return name, dict(json.loads(parameters))


if __name__ == "__main__":
    sys.exit(main())
