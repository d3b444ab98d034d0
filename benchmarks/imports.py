"""What all names of skbackprop cost beyond scikit-learn's own import."""

import subprocess
import sys
from functools import partial
from statistics import median

from sections import Figures, Options, Result, Section
from timing import UNITS, Seconds, in_turns, times_table

ROUNDS = 15
# Names are imported when they are used: the first line alone brings none.
NOTHING, OURS = "import skbackprop", "from skbackprop import *"
BASES = {
    "import_sklearn": "import sklearn",
    "import_mlp": "import sklearn.base, sklearn.neural_network",
}


def _measure(options: Options) -> Seconds:
    """Return the seconds of fresh processes, by what they import."""
    programs = ["pass", *BASES.values(), NOTHING, OURS]
    programs += [f"{base}; {OURS}" for base in BASES.values()]
    calls = {program: partial(_run, program) for program in programs}
    in_turns(calls, 1)  # files that are read once stay in memory
    return in_turns(calls, max(options.rounds, options.size(ROUNDS, 2)))


def _run(program: str) -> None:
    # -P: not what lies in the current folder.
    subprocess.run([sys.executable, "-P", "-c", program], check=True)


def _beyond(result: Seconds, base: str) -> float:
    """Return the milliseconds that ours adds, the median of the rounds."""
    pairs = zip(result[f"{base}; {OURS}"], result[base], strict=True)
    return UNITS["ms"] * median(ours - alone for ours, alone in pairs)


def _tell(result: Result) -> str:
    seconds = {f"`{program}`": each for program, each in result.items()}
    return times_table(seconds, "ms", key="program")


def _figures(result: Result) -> Figures:
    return {key: {"": _beyond(result, base)} for key, base in BASES.items()}


SECTION = Section(
    "imports",
    "Import",
    "The time of fresh processes `python -c ...` in turns. What all names of "
    "skbackprop add is the median over the rounds of the difference of two of them; "
    f"there are at least {ROUNDS} rounds.",
    measure=_measure,
    tell=_tell,
    figures=_figures,
    protocol="",
)
