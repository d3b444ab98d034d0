"""The page of a comparison."""

from collections.abc import Callable, Iterable, Mapping
from statistics import geometric_mean
from textwrap import fill
from typing import Any

from timing import digits, table

from peers.summary import Comparison, Contender

MEASURES = {"error": "Error", "log_loss": "Log-loss"}
PROTOCOL = """\
Each data set is split once (seed 0, classes keep their shares): at most {train:,} rows
to train on, which is 80 % where there are fewer, and at most {test:,} rows to test on.
Every model has its defaults and one thread, and each fit is a process of its own.
skbackprop is fitted with the seeds {seeds}, the peers with seed 0.

The error is the share of wrong rows, for regression the root mean squared error over
the standard deviation of the test targets. Log-loss exists for classification only,
with probabilities of {least:g} or more. A figure of the summary is the geometric mean,
over the data sets, of a model's score divided by {reference}'s: below 1 is better than
{reference}. Seconds and memory are medians over the data sets; the memory is by how
much the process grows during `fit`. What turns a frame into what a peer takes (names
for missing categories) is outside the clock, encoding is inside."""
WITHOUT_CATBOOST = """\
**CatBoost was not measured: {reference} takes its place in all ratios.**"""
WHOLE = """\
80 % of all rows to train on, the rest to test on (seed 0, classes keep their shares),
two threads, seed 0. The memory is by how much the process grows during `fit`, beside
that of the frame of the training rows (`memory_usage(deep=True)`)."""


def write(
    command: str,
    machine: Mapping[str, str],
    comparison: Comparison,
    whole: Comparison,
    protocol: Mapping[str, Any],
    picture: str | None,
) -> str:
    """Return the page as markdown; both comparisons may be empty."""
    return "\n\n".join(_parts(command, machine, comparison, whole, protocol, picture))


def _parts(
    command: str,
    machine: Mapping[str, str],
    comparison: Comparison,
    whole: Comparison,
    protocol: Mapping[str, Any],
    picture: str | None,
) -> Iterable[str]:
    yield "<!-- Written by benchmarks/tabular.py: change that, not this file. -->"
    yield "# skbackprop and its peers on real tables"
    yield f"Measured and written by\n\n    {command}"
    yield (
        "where FOLDER holds the data sets, each a `NAME.csv.gz` with a header and a "
        "`NAME.json` with its `task`, its `target` and its `categorical` columns."
    )
    if comparison.measured:
        yield from _capped(comparison, protocol, picture)
    if whole.measured:
        yield "## All rows"
        yield WHOLE
        yield _whole_table(whole)
        yield from _failures(whole)
    yield "## The machine"
    # BLAS has the threads of a fit there, not those of this process.
    facts = {name: fact for name, fact in machine.items() if "BLAS" not in name}
    for each in (*comparison.contenders, *whole.contenders):
        if each.ours:
            facts["tag or hash of skbackprop's files"] = each.version
    yield table(["", ""], [[name, fact] for name, fact in facts.items()])
    results = [*comparison.each(), *whole.each()]
    days = sorted({each["day"] for each in results})
    others = {each["machine"] for each in results} - {machine["CPU"]}
    on_others = f", in part on {'; '.join(sorted(others))}" if others else ""
    yield f"Measured from {days[0]} to {days[-1]}{on_others}."


def _capped(
    comparison: Comparison, protocol: Mapping[str, Any], picture: str | None
) -> Iterable[str]:
    reference = comparison.reference
    text = PROTOCOL.format(reference=reference.label, **protocol)
    yield from (fill(paragraph, width=88) for paragraph in text.split("\n\n"))
    if reference.name != "catboost":
        yield WITHOUT_CATBOOST.format(reference=reference.label)
    yield "## Summary"
    yield _summary(comparison)
    variants = [each for each in comparison.contenders if each.parameters]
    if variants:
        yield "\n".join(
            f"- {each.label}: `{_arguments(each.parameters)}`" for each in variants
        )
    if picture is not None:
        yield f"![Error and log-loss against the seconds of a fit]({picture})"
    for measure, title in MEASURES.items():
        yield f"## {title} of each data set"
        if any(each.ours for each in comparison.measured):
            yield (
                "The mean over the seeds. Bold: skbackprop is worse than "
                f"{reference.label}."
            )
        yield _scores(comparison, measure)
    yield from _spreads(comparison)
    yield "## Seconds of each fit"
    yield _by_data(comparison, lambda each, data: _seconds(comparison, each.name, data))
    yield from _failures(comparison)


def _summary(comparison: Comparison) -> str:
    over = comparison.reference.label
    header = ["model", f"error / {over}'s", "over seeds", f"log-loss / {over}'s"]
    header += ["over seeds", "better error", "better log-loss", "fit, s", "memory, MB"]
    rows: list[list[str]] = []
    for each in comparison.measured:
        row = [each.label]
        for measure in MEASURES:
            ratios = comparison.ratios(each.name, measure)
            row.append(f"{geometric_mean(ratios):.3f}" if ratios else "")
            row.append(_range(ratios, 3))
        for measure in MEASURES:
            better, of = comparison.better(each.name, measure)
            is_reference = each.name == comparison.reference.name
            row.append("" if is_reference else f"{better} of {of}")
        row.append(digits(comparison.middle(each.name, "fit_seconds")))
        row.append(f"{comparison.middle(each.name, 'fit_bytes') / 1e6:.0f}")
        rows.append(row)
    return table(header, rows)


def _scores(comparison: Comparison, measure: str) -> str:
    def cell(contender: Contender, data: str) -> str:
        score = comparison.score(contender.name, data, measure)
        if score is None:
            return ""
        over = comparison.score(comparison.reference.name, data, measure)
        worse = contender.ours and over is not None and score > over
        return f"**{score:.4f}**" if worse else f"{score:.4f}"

    return _by_data(comparison, cell)


def _by_data(comparison: Comparison, cell: Callable[[Contender, str], str]) -> str:
    """Return a table with a row per data set, without rows that have nothing."""
    header = ["data set", "rows", *(each.label for each in comparison.measured)]
    rows: list[list[str]] = []
    for data in comparison.datasets:
        cells = [cell(each, data) for each in comparison.measured]
        if any(cells):
            rows.append([data, f"{_training_rows(comparison, data):,}", *cells])
    return table(header, rows)


def _spreads(comparison: Comparison) -> Iterable[str]:
    """Return the lowest and the highest error over the seeds, of ours."""
    ours = [each for each in comparison.measured if each.ours]
    rows: list[list[str]] = []
    for data in comparison.datasets:
        row = [data]
        for each in ours:
            seeds = comparison.results[each.name].get(data, [])
            for measure in MEASURES:
                values = [one[measure] for one in seeds if measure in one]
                row.append(_range(values, 4))
        rows.append(row)
    if any(cell for row in rows for cell in row[1:]):
        yield "## Spread over the seeds"
        header = [
            f"{each.label}, {name}" for each in ours for name in ("error", "loss")
        ]
        yield table(["data set", *header], rows)


def _whole_table(whole: Comparison) -> str:
    header = ["data set", "rows", "model", "error", "log-loss", "fit, s", "predict, s"]
    header += ["memory, MB", "frame, MB", "memory / frame"]
    rows: list[list[str]] = []
    for data in whole.datasets:
        for each in whole.measured:
            for result in whole.results[each.name].get(data, []):
                loss = result.get("log_loss")
                rows.append(
                    [
                        data,
                        f"{result['train']:,}",
                        each.label,
                        f"{result['error']:.4f}",
                        "" if loss is None else f"{loss:.4f}",
                        digits(result["fit_seconds"]),
                        digits(result["predict_seconds"]),
                        f"{result['fit_bytes'] / 1e6:.0f}",
                        f"{result['frame_bytes'] / 1e6:.1f}",
                        digits(result["fit_bytes"] / result["frame_bytes"]),
                    ]
                )
    return table(header, rows)


def _failures(comparison: Comparison) -> Iterable[str]:
    if comparison.failed:
        labels = {each.name: each.label for each in comparison.contenders}
        yield "Not measured:"
        yield "\n".join(
            f"- {labels[name]} on {data}: {why}"
            for (name, data), why in comparison.failed.items()
        )


def _training_rows(comparison: Comparison, data: str) -> int:
    each = next(each[data] for each in comparison.results.values() if data in each)
    return int(each[0]["train"])


def _seconds(comparison: Comparison, contender: str, data: str) -> str:
    seconds = comparison.score(contender, data, "fit_seconds")
    return "" if seconds is None else digits(seconds)


def _range(values: list[float], decimals: int) -> str:
    if len(values) < 2:
        return ""
    return f"{min(values):.{decimals}f} to {max(values):.{decimals}f}"


def _arguments(parameters: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in parameters.items())
