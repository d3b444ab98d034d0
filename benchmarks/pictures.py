"""The picture of the report."""

from collections.abc import Mapping
from pathlib import Path
from statistics import median

from timing import UNITS, Seconds, digits

COLOURS = {  # distinct for the colour-blind too
    "ours": "#0072b2",
    "sklearn_mlp": "#e69f00",
    "torch_eager": "#cc79a7",
    "torch_compile": "#d55e00",
    "jax_jit": "#009e73",
}
NAMES = {
    "ours": "skbackprop",
    "sklearn_mlp": "scikit-learn",
    "torch_eager": "PyTorch eager",
    "torch_compile": "torch.compile",
    "jax_jit": "JAX jit",
}


def draw_steps(seconds: Mapping[str, Seconds], path: Path) -> None:
    """Draw the median time of a step: a group of bars per shape."""
    import matplotlib

    matplotlib.use("Agg")
    # Text stays text, and the same numbers give the same file.
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "benchmarks"})
    from matplotlib import pyplot as plt

    present = [
        name for name in COLOURS if any(name in each for each in seconds.values())
    ]
    width = 0.8 / max(len(present), 1)
    figure, axes = plt.subplots(figsize=(9.0, 4.2), layout="constrained")
    for i, name in enumerate(present):
        places = [
            group + (i - (len(present) - 1) / 2) * width
            for group, each in enumerate(seconds.values())
            if name in each
        ]
        times = [
            UNITS["µs"] * median(each[name])
            for each in seconds.values()
            if name in each
        ]
        bars = axes.bar(places, times, width, color=COLOURS[name], label=NAMES[name])
        axes.bar_label(bars, [digits(time) for time in times], rotation=90, padding=3)
    axes.set_yscale("log")
    axes.set_ylim(top=6 * axes.get_ylim()[1])  # room for the labels
    axes.set_xticks(range(len(seconds)), list(seconds))
    axes.set_ylabel("µs per step, log scale")
    axes.set_title("Adam, float32, one thread: lower is faster")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, ncols=len(present), loc="upper left", fontsize="small")
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
