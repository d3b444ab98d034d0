"""Instructions per epoch of a small fit, compared with those recorded.

python benchmarks/instructions.py [--record]

A count is not disturbed by a busy machine. Valgrind counts; its processor has no
AVX-512, so that the levels below are counted. The counts depend on the compiler, on
Python and on the libraries: record them anew where those change.
"""

import argparse
import ctypes
import gc
import json
import os
import shutil
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
from contenders import setup_for
from contenders.in_child import VARIABLE
from contenders.ours import prepare
from machine import describe, level, pin_threads
from sections import Figures, Options, Result, Section, Unavailable
from shapes import Shape, make_data
from timing import table, with_notes

LEVELS = ("avx2", "portable")
ONLY = "the only one"  # the level of a build that has no others
SHAPE = Shape(200, 20, (32,), 2, 32)
FEW, MANY = 10, 210  # epochs: what happens once drops out of the difference
TIMES = 2
ALLOWED = 1.03
RECORD = Path(__file__).with_suffix(".json")

# Valgrind's own requests: nothing elsewhere.
REQUESTS = r"""
#include <valgrind/callgrind.h>
void start(void) { CALLGRIND_START_INSTRUMENTATION; }
void dump(void) { CALLGRIND_DUMP_STATS; }
"""


def main() -> int:
    """Count, print, and compare or record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--record", action="store_true", help=f"write the counts to {RECORD.name}")
    # How this script calls itself below Valgrind.
    add("--count", metavar="LIBRARY", help=argparse.SUPPRESS)
    options = parser.parse_args()
    pin_threads(1)
    if options.count:
        _fit_and_dump(options.count)
        return 0
    try:
        result = _measure()
    except Unavailable as error:
        print(f"instructions: {error}", file=sys.stderr)
        return 1
    if options.record:
        record = {"counts": result["counts"], "versions": result["versions"]}
        RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        print(_tell({**result, "recorded": result["counts"]}))
        return 0
    print(_tell(result))
    if not result["recorded"]:
        print(f"nothing is recorded in {RECORD.name}: use --record", file=sys.stderr)
        return 1
    grown = [
        f"{name}: {count:,} instructions per epoch, {recorded:,} recorded, "
        f"more than {ALLOWED - 1:.0%} above"
        for name, count, recorded in _pairs(result)
        if count > ALLOWED * recorded
    ]
    missing = [
        f"{name}: counted, but not recorded"
        for name in result["counts"]
        if name not in result["recorded"]
    ]
    for line in grown + missing:
        print(line, file=sys.stderr)
    return 1 if grown or missing else 0


def _measure(options: Options | None = None) -> Result:
    """Return the counts per level, with what another counting differed by."""
    valgrind = shutil.which("valgrind")
    compiler = shutil.which("gcc") or shutil.which("clang") or shutil.which("cc")
    if valgrind is None or compiler is None:
        raise Unavailable("it needs valgrind and a C compiler")
    counts: dict[str, int] = {}
    apart: dict[str, int] = {}
    absent: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        library = _compile(compiler, folder)
        for wanted in LEVELS if level() else (ONLY,):
            found, each = _count(valgrind, library, folder, wanted)
            if found != wanted:
                absent[wanted] = f"asked for, but below Valgrind it is {found}"
                continue
            counts[wanted] = min(each)
            apart[wanted] = max(each) - min(each)
    recorded: dict[str, int] = {}
    if RECORD.exists():
        recorded = json.loads(RECORD.read_text(encoding="utf-8"))["counts"]
    facts = describe()
    versions = {name: facts[name] for name in ("Python", "numpy", "scipy")}
    return {
        "counts": counts,
        "apart": apart,
        "absent": absent,
        "recorded": recorded,
        "versions": versions,
    }


def _compile(compiler: str, folder: Path) -> Path:
    source, library = folder / "requests.c", folder / "requests.so"
    source.write_text(REQUESTS)
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        raise Unavailable("valgrind/callgrind.h is not installed")
    return library


def _count(
    valgrind: str, library: Path, folder: Path, wanted: str
) -> tuple[str, list[int]]:
    """Return the level found, and the instructions of an epoch, counted `TIMES`."""
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    if wanted != ONLY:
        environment[VARIABLE] = wanted
    dumps = folder / "dump"
    command = [valgrind, "--tool=callgrind", "--instr-atstart=no"]
    command += [f"--callgrind-out-file={dumps}", sys.executable, __file__]
    run = subprocess.run(
        [*command, "--count", str(library)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        lines = run.stderr.strip().splitlines()
        raise Unavailable(f"the fit below Valgrind failed: {lines[-1:]}")
    totals = [_total(Path(f"{dumps}.{i}")) for i in range(1, 2 * TIMES + 1)]
    each = [
        round((many - few) / (MANY - FEW))
        for few, many in zip(totals[::2], totals[1::2], strict=True)
    ]
    return run.stdout.strip() or ONLY, each


def _total(dump: Path) -> int:
    for line in dump.read_text().splitlines():
        if line.startswith("totals:"):
            return int(line.split()[1])
    raise Unavailable(f"Valgrind wrote no total into {dump.name}")


def _fit_and_dump(library: str) -> None:
    """Fit with few and with many epochs in turns, a dump of the counters after each."""
    print(level() or "")
    requests = ctypes.CDLL(library)
    X, y = make_data(SHAPE, "float32", seed=0)
    train = prepare(np.ascontiguousarray(X), y, setup_for(SHAPE))
    gc.disable()
    warnings.simplefilter("ignore")
    train(FEW)  # what happens in the first fit only
    requests.start()
    for _ in range(TIMES):
        for epochs in (FEW, MANY):
            train(epochs)
            requests.dump()


def _pairs(result: Result) -> list[tuple[str, int, int]]:
    """Return level, count and recorded count where there are both."""
    return [
        (name, count, result["recorded"][name])
        for name, count in result["counts"].items()
        if name in result["recorded"]
    ]


def _tell(result: Result) -> str:
    beyond = {name: count / old - 1 for name, count, old in _pairs(result)}
    rows: list[list[str]] = []
    for name, count in result["counts"].items():
        old = result["recorded"].get(name)
        row = [name, f"{count:,}", f"{result['apart'][name]:,}"]
        row += [f"{old:,}" if old else "nothing"]
        row += [f"{beyond[name]:+.2%}" if name in beyond else ""]
        rows.append(row)
    header = ["level", "per epoch", "second count differs by", "recorded", "change"]
    notes = [f"- {name}: {reason}" for name, reason in result["absent"].items()]
    return with_notes(table(header, rows), notes)


def _figures(result: Result) -> Figures:
    beyond = [100 * (count / recorded - 1) for _, count, recorded in _pairs(result)]
    return {"instructions": {"": max(beyond)}} if beyond else {}


SECTION = Section(
    "instructions",
    "Instruction counts",
    f"The instructions of one epoch of `fit` on {SHAPE.rows} x {SHAPE.features} "
    f"float32, hidden layer {SHAPE.hidden[0]}, mini-batches of {SHAPE.batch}, Adam, "
    f"counted by Valgrind: the difference of fits of {MANY} and {FEW} epochs over "
    f"{MANY - FEW}. Valgrind's processor has no AVX-512, so that this level is not "
    f"counted. `benchmarks/{RECORD.name}` holds what was recorded, and "
    "`python benchmarks/instructions.py` fails more than "
    f"{ALLOWED - 1:.0%} above it.",
    measure=_measure,
    tell=_tell,
    figures=_figures,
    protocol="",
)

if __name__ == "__main__":
    sys.exit(main())
