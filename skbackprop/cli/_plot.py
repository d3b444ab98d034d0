"""The picture of a training: losses, what the predictions are worth, what matters."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from ._failure import Failure

_ENDINGS = (".png", ".svg", ".pdf", ".jpg")


def check_picture(path: str | None) -> None:
    """Raise Failure where no picture can be drawn, before a training begins."""
    if path is None:
        return
    if not path.lower().endswith(_ENDINGS):
        raise Failure(f"--plot {path!r} must end in {', '.join(_ENDINGS)}")
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise Failure(f"--plot {path!r}: there is no folder {folder!r}")
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        hint = 'pip install "skbackprop[plot]"'
        raise Failure(f"--plot needs matplotlib: {hint}") from None


def draw(
    path: str,
    model: Any,
    y: Any,
    outputs: Any,
    importances: Sequence[dict[str, Any]],
) -> None:
    """Draw three panels into a file.

    Parameters
    ----------
    y : ndarray of shape (n_rows,)
        The target of the rows held out, of classification the codes of ``classes_``.
    outputs : ndarray of shape (n_rows, n_outputs)
        What the model says of these rows: probabilities, quantiles or numbers.
    importances : of ``_scores.importances``
    """
    from io import BytesIO

    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from .._files import write_atomically
    from ..plotting import ImportanceDisplay, LossCurveDisplay

    n_axes = 3 if importances else 2
    figure = Figure(figsize=(5 * n_axes, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, n_axes)
    losses, worth = axes[:2]
    LossCurveDisplay.from_estimator(model, ax=losses)
    losses.set_title("Training")
    _draw_worth(worth, model, y, outputs)
    worth.set_title("Rows held out")
    if importances:
        ImportanceDisplay(
            np.array([each["costs"] for each in importances]),
            feature_names=[each["column"] for each in importances],
            score_name="loss",
        ).plot(ax=axes[2])
        axes[2].set_xlabel("rise of the loss when the column is shuffled")
        axes[2].set_title("What matters most")
    content = BytesIO()
    figure.savefig(content, format=path.rpartition(".")[2].lower(), dpi=120)
    write_atomically(path, [content.getvalue()])


def _draw_worth(ax: Any, model: Any, y: Any, outputs: Any) -> None:
    """How predictions and truth agree."""
    from sklearn.calibration import CalibrationDisplay
    from sklearn.metrics import ConfusionMatrixDisplay, PredictionErrorDisplay

    from ..plotting import QuantileDisplay

    if not hasattr(model, "classes_"):
        if model.quantiles_ is not None:
            QuantileDisplay.from_predictions(model.quantiles_, outputs, y, ax=ax)
        else:
            PredictionErrorDisplay.from_predictions(
                y, outputs[:, 0], kind="actual_vs_predicted", ax=ax
            )
    elif len(model.classes_) == 2:
        CalibrationDisplay.from_predictions(
            y, outputs[:, 1], n_bins=10, strategy="quantile", ax=ax
        )
        ax.set_xlabel(f"probability of {str(model.classes_[1])[:20]!r}")
        ax.set_ylabel("share of it in the rows")
        ax.get_legend().remove()
    else:
        labels = [str(each)[:12] for each in model.classes_]
        ConfusionMatrixDisplay.from_predictions(
            y,
            outputs.argmax(axis=1),
            labels=np.arange(len(labels)),
            display_labels=labels,
            normalize="true",
            include_values=len(labels) <= 10,
            values_format=".2f",
            colorbar=False,
            xticks_rotation="vertical",
            ax=ax,
        )
