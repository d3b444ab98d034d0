"""The report: what each section measured, beside what it must reach."""

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import imports
import instructions
import memory
import pictures
import predictions
import scaling
import searches
import sparse_rows
import steps
import whole_fits
from sections import Figures, Options, Result, Section
from shapes import SHAPES, Shape
from targets import TARGETS, Target
from timing import table

SECTIONS: dict[str, Section] = {
    section.name: section
    for section in (
        steps.STEPS,
        steps.FLOAT64,
        steps.SOLVERS,
        steps.LEVELS,
        steps.THREADS,
        steps.BUSY,
        predictions.SECTION,
        sparse_rows.SECTION,
        whole_fits.SMALL,
        imports.SECTION,
        whole_fits.TABLES,
        searches.SECTION,
        scaling.SECTION,
        memory.SECTION,
        instructions.SECTION,
    )
}
COMMAND = "python benchmarks/run.py"
INTRODUCTION = f"""\
<!-- Written by `{COMMAND}`: change benchmarks/, not this file. -->

# Benchmarks

How fast skbackprop is, beside its peers and beside what we ask of it. This command
measures all of it on your machine and writes this page:

    {COMMAND}

The contenders take turns (A B C, A B C, ...), so that a machine that slows down for a
while slows all of them. A time is the median of the rounds, and a ratio is the median
of the ratios within a round: "3.1 x scikit-learn" is 3.1 times its speed. Compare
ratios of one run, not times of two; a wide spread means that the machine was busy.

`ours` is skbackprop's `BackpropMLPClassifier`, `sklearn_mlp` scikit-learn's
`MLPClassifier`, `torch_eager` and `torch_compile` are PyTorch, `jax_jit` is JAX with a
whole epoch in one compiled function. `benchmarks/contenders/` holds them."""
SYMBOLS = {True: "yes", False: "**no**", None: ""}


@dataclass(frozen=True)
class Kept:
    """The result of a section and the circumstances."""

    day: str
    options: dict[str, object]
    machine: dict[str, str]
    result: Result


def keep(
    cache: Path,
    section: Section,
    options: Options,
    result: Result,
    machine: dict[str, str],
) -> None:
    """Write the result of a section into the cache."""
    cache.mkdir(parents=True, exist_ok=True)
    content = {
        "day": date.today().isoformat(),
        "options": {
            "rounds": options.rounds,
            "seconds": options.seconds,
            "quick": options.quick,
        },
        "machine": machine,
        "result": result,
    }
    path = cache / f"{section.name}.json"
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def write(cache: Path, output: Path) -> list[Path]:
    """Write the page and its picture of all results in the cache; return both."""
    results: dict[str, Kept] = {}
    for name in SECTIONS:
        path = cache / f"{name}.json"
        if path.exists():
            results[name] = Kept(**json.loads(path.read_text(encoding="utf-8")))
    if not results:
        print(f"there are no results in {cache}", file=sys.stderr)
        return []
    output.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    picture = output / "benchmarks.svg"
    if "steps" in results:
        try:
            pictures.draw_steps(results["steps"].result["seconds"], picture)
            written.append(picture)
        except ImportError as error:
            print(f"no picture: {error}", file=sys.stderr)
    page = output / "benchmarks.md"
    text = "\n\n".join(_parts(results, picture if written else None))
    page.write_text(text + "\n", encoding="utf-8")
    return [*written, page]


def _parts(results: Mapping[str, Kept], picture: Path | None) -> Iterable[str]:
    figures: Figures = {}
    for name, kept in results.items():
        figures |= SECTIONS[name].figures(kept.result)
    first = next(iter(results.values()))

    yield INTRODUCTION
    if any(kept.options["quick"] for kept in results.values()):
        yield (
            "**A quick run, which only tries the scripts:** sizes are smaller than the "
            "text says, and the figures mean nothing."
        )
    yield "## The machine"
    yield table(["", ""], [[name, fact] for name, fact in first.machine.items()])
    yield "## Targets"
    yield from _headline(figures)
    if picture is not None:
        yield "## A training step"
        yield f"![Microseconds per step of each contender]({picture.name})"
    yield table(
        ["shape", "rows", "network", "mini-batch"],
        [_shape_row(name, shape) for name, shape in SHAPES.items()],
    )
    for name, section in SECTIONS.items():
        yield f"## {section.title}"
        yield section.text
        if name not in results:
            yield "Not measured."
            continue
        kept = results[name]
        yield section.tell(kept.result)
        if verdicts := _verdicts(section.figures(kept.result)):
            yield verdicts
        yield _circumstances(name, kept, first)


def _shape_row(name: str, shape: Shape) -> list[str]:
    sizes = (shape.features, *shape.hidden, shape.classes)
    return [name, f"{shape.rows:,}", "-".join(map(str, sizes)), str(shape.batch)]


def _headline(figures: Figures) -> Iterable[str]:
    """Return the targets by shape, the other targets, and what was missed."""
    by_shape = {key: each for key, each in TARGETS.items() if "" not in each.columns}
    rows: list[list[str]] = []
    for key, target in by_shape.items():
        measured = figures.get(key, {})
        rows.append([target.name, *(_cell(target, measured, name) for name in SHAPES)])
    yield (
        "In each cell: measured / must / want. What misses its `must` is bold. "
        "Elsewhere, `met` refers to `must`, and to `want` where there is no `must`."
    )
    yield table(["target", *SHAPES], rows)
    rows = [
        _verdict(target, "", figures.get(key, {}))
        for key, target in TARGETS.items()
        if key not in by_shape
    ]
    yield table(["target", "measured", "must", "met"], rows)

    judged = [
        (target.must.get(column) is not None, target.met(column, value))
        for key, target in TARGETS.items()
        for column, value in figures.get(key, {}).items()
    ]
    must = [met for has_must, met in judged if has_must]
    yield f"{sum(map(bool, must))} of {len(must)} figures that have a `must` meet it."


def _cell(target: Target, measured: Mapping[str, float], column: str) -> str:
    if column not in target.columns:
        return ""
    value = measured.get(column)
    shown = target.show(value)
    if value is not None and column in target.must and not target.met(column, value):
        shown = f"**{shown} missed**"
    bounds = (target.bound(target.must, column), target.bound(target.want, column))
    return " / ".join([shown, *bounds])


def _verdict(target: Target, column: str, measured: Mapping[str, float]) -> list[str]:
    """Return the line of one bound: name, measured, must, met."""
    value = measured.get(column)
    met = "not measured" if value is None else SYMBOLS[target.met(column, value)]
    return [target.name, target.show(value), target.bound(target.must, column), met]


def _verdicts(figures: Figures) -> str:
    """Return the table of a section's figures beside their bounds."""
    rows: list[list[str]] = []
    for key, measured in figures.items():
        target = TARGETS[key]
        for column in target.columns:
            if column in measured:
                name, value, must, met = _verdict(target, column, measured)
                want = target.bound(target.want, column)
                rows.append([name, column, value, must, want, met])
    if not rows:
        return ""
    header = ["target", "shape", "measured", "must", "want", "met"]
    wanted = any(TARGETS[key].want for key in figures)
    shaped = any(row[1] for row in rows)
    shown = [True, shaped, True, True, wanted, True]
    return table(
        [text for text, show in zip(header, shown, strict=True) if show],
        [[text for text, show in zip(row, shown, strict=True) if show] for row in rows],
    )


def _circumstances(name: str, kept: Kept, first: Kept) -> str:
    """Return when this was measured, and where the machine was another one."""
    protocol = SECTIONS[name].protocol.format(**kept.options)
    others = [
        f"{fact}: {value}"
        for fact, value in kept.machine.items()
        # Sections differ in the threads of BLAS, which their titles say.
        if not fact.startswith("BLAS") and first.machine.get(fact) != value
    ]
    other = f" With another machine or version: {'; '.join(others)}." if others else ""
    when = f"{kept.day}, {protocol}" if protocol else kept.day
    return f"Measured by `{COMMAND} --only {name}` on {when}.{other}"
