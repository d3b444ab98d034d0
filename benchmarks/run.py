"""Time a training step of skbackprop and of its peers, one markdown table.

python benchmarks/run.py --shapes tiny,small --rounds 5
"""

import argparse
import importlib
import json
import sys
from collections.abc import Callable
from functools import partial
from math import isfinite
from pathlib import Path
from statistics import median

from contenders import NAMES, Setup, Skipped, Training
from machine import Peak, describe, pin_threads
from shapes import SHAPES, flop_per_step, make_data, steps
from timing import epochs_for, in_turns, microseconds, ratio, table

Seconds = dict[str, list[float]]
REFERENCE = "sklearn_mlp"


def main() -> None:
    """Measure every shape, then print."""
    options = _options()
    pin_threads(options.threads)
    peak = Peak()
    seconds: dict[str, Seconds] = {}
    absent: dict[str, str] = {}
    for shape in options.shapes:
        print(f"{shape} ...", file=sys.stderr)
        seconds[shape] = _measure(shape, options, peak.sample, absent)

    facts = describe()
    for name, fact in facts.items():
        print(f"- {name}: {fact}")
    print(f"- {peak}")
    print(
        f"- {options.solver}, {options.dtype}, {options.threads} thread(s), "
        f"{options.rounds} rounds; median, fastest and slowest round"
    )
    for name, reason in absent.items():
        print(f"- {name}: {reason}")
    print()
    print(_report(seconds, options.threads * peak.best(options.dtype)))
    if options.json:
        result = {
            "options": {**vars(options), "json": str(options.json)},
            "machine": facts,
            "peak": {"fma": peak.fma, "matmul": peak.matmul},
            "absent": absent,
            "seconds_per_step": seconds,
        }
        options.json.write_text(json.dumps(result, indent=1) + "\n")


def _measure(
    shape_name: str,
    options: argparse.Namespace,
    between: Callable[[], None],
    absent: dict[str, str],
) -> Seconds:
    """Return each contender's seconds per step, one per round."""
    shape = SHAPES[shape_name]
    X, y = make_data(shape, options.dtype, seed=0)
    setup = Setup(
        hidden=shape.hidden,
        batch_size=shape.batch,
        solver=options.solver,
        learning_rate=1e-3,
        random_state=0,
        threads=options.threads,
    )
    trainings: dict[str, Training] = {}
    for name in options.contenders:
        try:
            module = importlib.import_module(f"contenders.{name}")
            trainings[name] = module.prepare(X, y, setup)
        except ImportError as error:
            absent[name] = f"not installed ({error})"
        except Skipped as error:
            absent[name] = f"skipped for {shape_name}: {error}"
    _check_losses(shape_name, {name: train(1) for name, train in trainings.items()})
    epochs = {n: epochs_for(train, options.seconds) for n, train in trainings.items()}
    calls = {n: partial(train, epochs[n]) for n, train in trainings.items()}
    seconds = in_turns(calls, options.rounds, between)
    return {
        name: [took / (epochs[name] * steps(shape)) for took in all_rounds]
        for name, all_rounds in seconds.items()
    }


def _check_losses(shape_name: str, losses: dict[str, float]) -> None:
    """Warn about a contender that does not train what the others train."""
    losses.pop("nothing", None)
    usual = median(losses.values()) if losses else 0.0
    for name, loss in losses.items():
        if not isfinite(loss) or abs(loss - usual) > 0.25 * usual:
            print(
                f"{shape_name}: the first epoch's loss of {name} is {loss:.3g}, "
                f"the contenders' median is {usual:.3g}",
                file=sys.stderr,
            )


def _report(seconds: dict[str, Seconds], peak: float) -> str:
    """Return the table; where scikit-learn is left out, so is its column."""
    rows: list[list[str]] = []
    for shape_name, contenders in seconds.items():
        reference = contenders.get(REFERENCE)
        flop = flop_per_step(SHAPES[shape_name])
        for name, each in contenders.items():
            trains = name != "nothing"
            low, middle, high = (f(each) for f in (min, median, max))
            share = f"{flop / (middle * peak):.1%}" if trains else ""
            faster = f"{ratio(reference, each):.2f}" if reference and trains else ""
            spread = f"{microseconds(low)} to {microseconds(high)}"
            rows.append([shape_name, name, microseconds(middle), spread, faster, share])
    header = [
        "shape",
        "contender",
        "us per step",
        "spread",
        "x scikit-learn",
        "share of peak",
    ]
    return table(header, rows)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--shapes", type=_names(tuple(SHAPES)), default=list(SHAPES))
    add("--contenders", type=_names(NAMES), default=list(NAMES))
    add("--dtype", choices=["float32", "float64"], default="float32")
    add("--solver", choices=["adam", "sgd"], default="adam")
    add("--threads", type=int, default=1)
    add("--rounds", type=int, default=5)
    add("--seconds", type=float, default=0.3, help="shortest timed call")
    add("--json", type=Path, help="file for the raw numbers")
    return parser.parse_args()


def _names(known: tuple[str, ...]) -> Callable[[str], list[str]]:
    """Return a parser of comma-separated names."""

    def names(text: str) -> list[str]:
        given = text.split(",")
        if unknown := [name for name in given if name not in known]:
            raise argparse.ArgumentTypeError(
                f"unknown: {', '.join(unknown)}; there are {', '.join(known)}"
            )
        return given

    return names


if __name__ == "__main__":
    main()
