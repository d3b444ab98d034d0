"""The picture of a comparison."""

from pathlib import Path
from statistics import geometric_mean

from peers.page import MEASURES
from peers.summary import Comparison

COLOURS = {"ours": "#0072b2", "peer": "#d55e00"}  # distinct for the colour-blind too


def draw(comparison: Comparison, path: Path) -> None:
    """Draw each model's scores over the reference's against the seconds of a fit."""
    import matplotlib

    matplotlib.use("Agg")
    # Text stays text, and the same numbers give the same file.
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "tabular"})
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(1, 2, figsize=(9.0, 4.2), layout="constrained")
    for axes, (measure, title) in zip(panels, MEASURES.items(), strict=True):
        axes.axhline(1.0, color="0.8", zorder=0)
        for i, each in enumerate(comparison.measured):
            ratios = comparison.ratios(each.name, measure)
            if not ratios:
                continue
            seconds = comparison.middle(each.name, "fit_seconds")
            middle = geometric_mean(ratios)
            colour = COLOURS["ours" if each.ours else "peer"]
            axes.vlines(seconds, min(ratios), max(ratios), color=colour)
            axes.plot(seconds, middle, "o" if each.ours else "s", color=colour)
            axes.annotate(
                each.label,
                (seconds, middle),
                xytext=(5, -11 if i % 2 else 5),  # neighbours overlap less
                textcoords="offset points",
                fontsize="small",
            )
        axes.set_xscale("log")
        axes.margins(x=0.35, y=0.15)  # room for the labels
        axes.set_xlabel("seconds of a fit, median, log scale")
        axes.set_ylabel(f"{title.lower()} / {comparison.reference.label}'s")
        axes.set_title(f"{title}: lower is better")
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
