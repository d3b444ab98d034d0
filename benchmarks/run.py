"""Measure all that docs/benchmarks.md tells, and write it.

python benchmarks/run.py
python benchmarks/run.py --only steps,levels --rounds 9
python benchmarks/run.py --quick

Each section runs in a process of its own and leaves its result in a cache; the report
is made of all results that are there. What --quick leaves is kept apart.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import report
from contenders import NAMES
from machine import describe, pin_threads
from sections import Options, Section, Unavailable
from shapes import SHAPES

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
QUICK = ("tiny", "medium")


def main() -> int:
    """Run the sections that are asked for, then write the report."""
    sections = report.SECTIONS
    options = _options(tuple(sections))
    if options.section:
        return _measure(sections[options.section], options)
    failed: list[str] = []
    for name in options.only:
        print(f"{name} ...", file=sys.stderr)
        command = [sys.executable, __file__, *sys.argv[1:], "--section", name]
        if subprocess.run(command, check=False).returncode:
            failed.append(name)
    for path in report.write(options.cache, options.output):
        print(path)
    if failed:
        print(f"not measured: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _measure(section: Section, options: argparse.Namespace) -> int:
    """Measure one section in this process and keep its result."""
    pin_threads(section.threads, section.cpus)
    began = time.perf_counter()
    asked = Options(
        rounds=options.rounds or (1 if options.quick else 5),
        seconds=options.seconds or (0.02 if options.quick else 0.3),
        quick=options.quick,
        shapes=options.shapes or (QUICK if options.quick else tuple(SHAPES)),
        contenders=options.contenders,
        data=options.data,
    )
    try:
        result = section.measure(asked)
    except Unavailable as error:
        print(f"{section.name}: {error}", file=sys.stderr)
        return 1
    report.keep(options.cache, section, asked, result, describe())
    took = time.perf_counter() - began
    print(f"  {section.name}: {took:.0f} s", file=sys.stderr)
    return 0


def _options(sections: tuple[str, ...]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add(
        "--only",
        type=_names(sections),
        default=sections,
        help=f"sections to measure: {', '.join(sections)}; none: the report only",
    )
    add("--quick", action="store_true", help="try the script: small sizes, one round")
    add("--rounds", type=int, help="5 if not given")
    add("--seconds", type=float, help="shortest timed call, 0.3 if not given")
    add("--shapes", type=_names(tuple(SHAPES)), help=f"of {', '.join(SHAPES)}")
    add("--contenders", type=_names(NAMES), help="for the sections steps and float64")
    add("--output", type=Path, help="folder of the report, docs if not given")
    add("--cache", type=Path, help="of the results, build/benchmarks if not given")
    add(
        "--data",
        type=Path,
        default=ROOT.parent / "shared" / "data",
        help="folder of data sets, NAME.csv.gz and NAME.json, for whole_fits",
    )
    # How this script calls itself for one section.
    add("--section", choices=sections, help=argparse.SUPPRESS)
    options = parser.parse_args()
    tried = BUILD / "quick"  # not where it would replace a real report
    if options.output is None:
        options.output = tried if options.quick else ROOT / "docs"
    if options.cache is None:
        options.cache = tried if options.quick else BUILD / "benchmarks"
    return options


def _names(known: tuple[str, ...]) -> Callable[[str], tuple[str, ...]]:
    """Return a parser of comma-separated names."""

    def names(text: str) -> tuple[str, ...]:
        given = () if text == "none" else tuple(text.split(","))
        if unknown := [name for name in given if name not in known]:
            raise argparse.ArgumentTypeError(
                f"unknown: {', '.join(unknown)}; there are {', '.join(known)}"
            )
        return given

    return names


if __name__ == "__main__":
    sys.exit(main())
