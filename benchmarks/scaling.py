"""Whether time grows as the work does: rows, and width."""

from dataclasses import replace
from functools import partial
from statistics import median

from contenders import Training, setup_for
from contenders.ours import prepare
from machine import Peak
from sections import Figures, Options, Result, Section
from shapes import SHAPES, Shape, flop_per_step, make_data, steps
from timing import Call, Seconds, digits, epochs_for, in_turns, table

ROWS = (10_000, 100_000, 1_000_000)
WIDTHS = (256, 512, 1_024, 2_048, 4_096)
STEPS = 8  # of an epoch, while the width grows


def _measure(options: Options) -> Result:
    peak = Peak()
    return {
        "rows": _rows(options),
        "widths": _widths(options, peak),
        "peak": peak.typical("float32"),
    }


def _rows(options: Options) -> Seconds:
    """Return the seconds per row of fits of one epoch, by the number of rows."""
    counts = [options.size(rows, rows // 20) for rows in ROWS]
    trainings: dict[int, Training] = {}
    for seed, rows in enumerate(counts):
        shape = replace(SHAPES["medium"], rows=rows)
        trainings[rows] = prepare(*make_data(shape, "float32", seed), setup_for(shape))
    # As many rows in each timed call: else the shortest fit gets the noise.
    calls = {
        str(rows): partial(_repeat, train, counts[-1] // rows)
        for rows, train in trainings.items()
    }
    trainings[counts[0]](1)
    taken = in_turns(calls, options.rounds)
    return {
        rows: [seconds / counts[-1] for seconds in each] for rows, each in taken.items()
    }


def _repeat(train: Training, times: int) -> None:
    for _ in range(times):
        train(1)


def _widths(options: Options, peak: Peak) -> Seconds:
    """Return the seconds per FLOP, by the width of two hidden layers.

    Of the epochs after the first, so that drawing the parameters does not count.
    """
    flop: dict[int, float] = {}
    calls: dict[str, Call] = {}
    for width in WIDTHS[: options.size(len(WIDTHS), 2)]:
        shape = Shape(STEPS * 256, 512, (width, width), 10, 256)
        train = prepare(*make_data(shape, "float32", seed=0), setup_for(shape))
        epochs = epochs_for(train, options.seconds)
        flop[width] = epochs * steps(shape) * flop_per_step(shape)
        calls[f"{width}, one"] = partial(train, 1)
        calls[f"{width}, more"] = partial(train, 1 + epochs)
    seconds = in_turns(calls, options.rounds, peak.sample)
    return {
        str(width): [
            (more - one) / work
            for one, more in zip(
                seconds[f"{width}, one"], seconds[f"{width}, more"], strict=True
            )
        ]
        for width, work in flop.items()
    }


def _tell(result: Result) -> str:
    rows = [
        [f"{int(count):,}", *_three(each, 1e6)]
        for count, each in result["rows"].items()
    ]
    widths: list[list[str]] = []
    for width, each in result["widths"].items():
        rate = 1.0 / median(each)
        share = f"{rate / result['peak']:.1%}"
        widths.append(
            [f"{int(width):,}", *_three(each, 1e12), digits(rate / 1e9), share]
        )
    spread = "fastest to slowest"
    return "\n\n".join(
        [
            table(["rows", "µs per row", spread], rows),
            table(["width", "ps per FLOP", spread, "GFLOP/s", "of the peak"], widths),
        ]
    )


def _three(seconds: list[float], factor: float) -> list[str]:
    low, middle, high = (digits(factor * f(seconds)) for f in (min, median, max))
    return [middle, f"{low} to {high}"]


def _beyond(seconds: Seconds) -> float:
    """Return by how many percent the slowest median is above the fastest."""
    medians = [median(each) for each in seconds.values()]
    return 100.0 * (max(medians) / min(medians) - 1.0)


def _figures(result: Result) -> Figures:
    return {
        "per_row": {"": _beyond(result["rows"])},
        "per_flop": {"": _beyond(result["widths"])},
    }


SECTION = Section(
    "scaling",
    "Scaling of skbackprop, Adam, float32, one thread",
    "Time per row of a `fit` of one epoch on the medium network (54-128-128-7, "
    "mini-batches of 256), fresh data for each size; and time per FLOP of the three "
    "products for two hidden layers of one width, 512 features, mini-batches of 256, "
    "without the drawing of the parameters.",
    measure=_measure,
    tell=_tell,
    figures=_figures,
)
