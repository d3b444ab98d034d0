"""Microseconds per step: shapes, precisions, solvers, levels, threads."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from math import isfinite
from statistics import median

from contenders import Entry, Training, prepare_all, setup_for
from contenders.ours import has_n_jobs
from machine import Peak
from sections import Figures, Options, Result, Section, Unavailable
from shapes import SHAPES, Shape, flop_per_step, make_data, steps
from timing import UNITS, Seconds, digits, ratio, seconds_per_epoch, table, with_notes

REFERENCE = "sklearn_mlp"
RIVALS = ("torch_eager", "torch_compile", "jax_jit")
HASWELL = "sklearn_haswell"
PEERS = ("ours", REFERENCE, HASWELL, *RIVALS, "nothing")
# What a training does once is to be a small part of what a step is said to take.
LEAST_EPOCHS = 5
THREADED = ("medium", "wide", "huge")
ADAM, SGD = "ours, adam", "ours, sgd"
ONE, TWO = "ours, n_jobs=1", "ours, n_jobs=2"

Entries = Callable[[Shape], dict[str, Entry]]


def _of(*names: str) -> Entries:
    """Return contenders as they are, each under its own name."""
    return lambda shape: {name: (name, setup_for(shape)) for name in names}


def _both_solvers(shape: Shape) -> dict[str, Entry]:
    return {
        ADAM: ("ours", setup_for(shape)),
        SGD: ("ours", setup_for(shape, solver="sgd")),
        REFERENCE: (REFERENCE, setup_for(shape, solver="sgd")),
    }


def _one_and_two(shape: Shape) -> dict[str, Entry]:
    return {
        label: ("ours", setup_for(shape, threads=threads))
        for label, threads in ((ONE, 1), (TWO, 2))
    }


def _measure(
    options: Options,
    entries: Entries,
    dtype: str = "float32",
    shapes: tuple[str, ...] | None = None,
    between: Callable[[Peak], object] = Peak.sample,
) -> Result:
    """Return seconds per step of each contender, one per round."""
    peak = Peak()
    absent: dict[str, str] = {}
    seconds: dict[str, Seconds] = {}
    for name in options.shapes:
        if shapes is not None and name not in shapes:
            continue
        print(f"  {name} ...", file=sys.stderr)
        shape = SHAPES[name]
        X, y = make_data(shape, dtype, seed=0)
        entered = entries(shape)
        trainings = prepare_all(entered, X, y, absent)
        _check_losses(name, entered, trainings)
        taken = seconds_per_epoch(
            trainings,
            options.seconds,
            options.rounds,
            lambda: between(peak),
            options.size(LEAST_EPOCHS, 1),
        )
        seconds[name] = {
            label: [took / steps(shape) for took in each]
            for label, each in taken.items()
        }
    result: Result = {"seconds": seconds, "absent": absent}
    if peak.matmul:
        result |= {"peak": peak.typical(dtype), "peak_text": str(peak)}
    return result


def _check_losses(
    shape_name: str, entered: dict[str, Entry], trainings: dict[str, Training]
) -> None:
    """Warn about a contender that does not train what the others train."""
    by_solver: dict[str, dict[str, float]] = {}
    for name, train in trainings.items():
        if name != "nothing":
            by_solver.setdefault(entered[name][1].solver, {})[name] = train(1)
    for losses in by_solver.values():
        usual = median(losses.values())
        for name, loss in losses.items():
            if not isfinite(loss) or abs(loss - usual) > 0.25 * usual:
                print(
                    f"{shape_name}: the first epoch's loss of {name} is {loss:.3g}, "
                    f"the contenders' median is {usual:.3g}",
                    file=sys.stderr,
                )


def _tell(result: Result, reference: str = REFERENCE) -> str:
    """Return the table of all shapes; what was not there has no column or row."""
    peak = result.get("peak")
    shapes: dict[str, Seconds] = result["seconds"]
    compared = any(reference in each for each in shapes.values())
    header = ["shape", "contender", "µs per step", "fastest to slowest"]
    header += [f"x {reference}"] * compared + ["share of peak"] * bool(peak)
    rows: list[list[str]] = []
    for name, contenders in shapes.items():
        for label, each in contenders.items():
            trains = label != "nothing"
            low, middle, high = (_microseconds(f(each)) for f in (min, median, max))
            row = [name, label, middle, f"{low} to {high}"]
            if compared:
                base = contenders.get(reference)
                row.append(digits(ratio(base, each)) if base and trains else "")
            if peak:
                share = flop_per_step(SHAPES[name]) / (median(each) * peak)
                row.append(f"{share:.1%}" if trains else "")
            rows.append(row)
    notes = [f"- {label}: {reason}" for label, reason in result["absent"].items()]
    if peak:
        notes.append(f"- {result['peak_text']}, the median of samples between rounds")
    return with_notes(table(header, rows) if rows else "", notes)


def _microseconds(seconds: float) -> str:
    us = UNITS["µs"] * seconds
    return digits(us) if us >= 0.001 else "< 0.001"


def _ratios(result: Result, of: str, over: str) -> dict[str, float]:
    return {
        name: ratio(each[of], each[over])
        for name, each in result["seconds"].items()
        if of in each and over in each
    }


def _steps_figures(result: Result) -> Figures:
    return {
        "adam": _ratios(result, REFERENCE, "ours"),
        "adam_haswell": _ratios(result, HASWELL, "ours"),
        "share": dict(_shares(result)),
        "fastest": dict(_against_rivals(result)),
    }


def _shares(result: Result) -> Iterator[tuple[str, float]]:
    for name, each in result["seconds"].items():
        if "ours" in each:
            flop = flop_per_step(SHAPES[name])
            yield name, 100 * flop / (median(each["ours"]) * result["peak"])


def _against_rivals(result: Result) -> Iterator[tuple[str, float]]:
    for name, each in result["seconds"].items():
        rivals = [each[rival] for rival in RIVALS if rival in each]
        if rivals and "ours" in each:
            yield name, ratio(min(rivals, key=median), each["ours"])


def _measure_threads(options: Options) -> Result:
    """Return the steps, and how much of two cores there was."""
    if not has_n_jobs():
        absent = {TWO: "not available: this build of skbackprop has no n_jobs"}
        return {"seconds": {}, "absent": absent, "both_cores": None}
    both: list[float | None] = []
    result = _measure(
        options,
        _one_and_two,
        shapes=THREADED,
        between=lambda peak: both.append(peak.two_at_once()),
    )
    if not result["seconds"]:
        raise Unavailable(f"it needs one of the shapes {', '.join(THREADED)}")
    known = [value for value in both if value is not None]
    return {**result, "both_cores": median(known) if known else None}


def _measure_busy(options: Options) -> Result:
    """Return the steps while another process keeps one of the two cores busy."""
    if not has_n_jobs():
        raise Unavailable("this build of skbackprop has no n_jobs")
    burner = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        return _measure(options, _one_and_two, shapes=THREADED)
    finally:
        burner.kill()
        burner.wait()


def _tell_threads(result: Result) -> str:
    if not result["seconds"]:
        return _tell(result)
    both = result["both_cores"]
    if both is None:
        busy = "no compiler: whether both cores were free is not known"
    else:
        busy = (
            f"two loops of multiply-adds at once, one on each core, ran {both:.2f} "
            "times as fast as one after the other: "
            + ("both cores were free" if both >= 1.9 else "**the machine was busy**")
        )
    return f"{_tell(result, reference=ONE)}\n\n{busy[0].upper()}{busy[1:]}."


STEPS = Section(
    "steps",
    "Adam, float32, one thread",
    "A step is one mini-batch forward, backward and update, with its share of the "
    "epoch's shuffle and the gather of its rows; for the estimators also its share of "
    "`fit`'s validation. Compilation is outside the clock. `nothing` is a contender "
    "that does not train: the cost of the harness itself. The share of the peak counts "
    "the arithmetic of the three products per layer only. `sklearn_haswell` is "
    "scikit-learn with an OpenBLAS that is told to take the CPU for a Haswell, as it "
    "does by itself where it does not know the CPU.",
    measure=lambda options: _measure(options, _of(*(options.contenders or PEERS))),
    tell=_tell,
    figures=_steps_figures,
)
FLOAT64 = Section(
    "float64",
    "Adam, float64, one thread",
    "The same in double precision.",
    measure=lambda options: _measure(
        options,
        _of(*(options.contenders or ("ours", REFERENCE, HASWELL))),
        dtype="float64",
    ),
    tell=_tell,
    figures=lambda result: {
        "float64": _ratios(result, REFERENCE, "ours"),
        "float64_haswell": _ratios(result, HASWELL, "ours"),
    },
)
SOLVERS = Section(
    "sgd",
    "SGD with Nesterov's momentum, float32, one thread",
    "It does less than Adam and may not be slower; scikit-learn trains with SGD here.",
    measure=lambda options: _measure(options, _both_solvers),
    tell=_tell,
    figures=lambda result: {"sgd": _ratios(result, ADAM, SGD)},
)
LEVELS = Section(
    "levels",
    "Other levels of instructions, Adam, float32, one thread",
    "`ours_avx2` and `ours_portable` are forced to a level with `SKBACKPROP_SIMD`, "
    "each in a process of its own with its own clock, and take turns with the others. "
    "The share is that of this machine's peak, not of the level's.",
    measure=lambda options: _measure(
        options, _of("ours", "ours_avx2", "ours_portable", REFERENCE, HASWELL)
    ),
    tell=_tell,
    figures=lambda result: {
        "avx2": _ratios(result, REFERENCE, "ours_avx2"),
        "avx2_haswell": _ratios(result, HASWELL, "ours_avx2"),
    },
)
THREADS = Section(
    "threads",
    "Two threads on two cores, Adam, float32",
    "The estimator's `n_jobs=2` against its `n_jobs=1`.",
    measure=_measure_threads,
    tell=_tell_threads,
    figures=lambda result: {"two_threads": _ratios(result, ONE, TWO)},
    threads=2,
)
BUSY = Section(
    "busy",
    "Two threads where one of two cores is busy elsewhere",
    "The same while another process computes. A team that finds itself slower than one "
    "thread leaves the rest to one, and tries again now and then.",
    measure=_measure_busy,
    tell=lambda result: _tell(result, reference=ONE),
    figures=lambda result: {"busy": _ratios(result, TWO, ONE)},
    threads=2,
)
