"""What leaves the command: models for other runtimes, and the picture of a training.

Answers for: cli/_export.py, cli/_plot.py.
"""

from __future__ import annotations

import sys

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from command_line import refuse, run
from sklearn.datasets import load_wine

from skbackprop import cli, load_model
from skbackprop.onnx import make_inputs, to_onnx

LABEL = ("--target", "label", "--id", "name", "--ignore", "amount", "day")


def test_onnx_answers_as_predict_does(capsys, trained, tmp_path):
    model, data = trained(*LABEL)
    path = str(tmp_path / "model.onnx")
    assert f"written   {path} (" in run(capsys, "export", model, "-o", path)
    estimator = load_model(model)
    X = pd.read_csv(data).astype({"flag": str})[estimator.feature_names_in_]
    session = onnxruntime.InferenceSession(path)
    label, probabilities = session.run(None, make_inputs(to_onnx(estimator), X))
    assert label.tolist() == estimator.predict(X).tolist()
    np.testing.assert_allclose(probabilities, estimator.predict_proba(X), atol=1e-6)


def test_a_header_of_c(capsys, trained, tmp_path):
    model, _ = trained(*LABEL)
    path = tmp_path / "2 models.h"
    run(capsys, "export", model, "-o", str(path), "--dtype", "float64")
    text = path.read_text()
    assert "model_2_models_predict" in text and "double" in text


def test_exports_that_cannot_be(capsys, trained, tmp_path, monkeypatch):
    model, data = trained(*LABEL)
    path = str(tmp_path / "model")
    line = refuse(capsys, "export", model, "-o", path)
    assert "must end in .onnx or .h" in line
    assert "is required" not in refuse(capsys, "export", data, "-o", f"{path}.h")
    assert "-o/--output" in refuse(capsys, "export", model)
    monkeypatch.setitem(sys.modules, "onnx", None)
    line = refuse(capsys, "export", model, "-o", f"{path}.onnx")
    assert 'pip install "skbackprop[onnx]"' in line
    assert [each.name for each in tmp_path.iterdir()] == []


FAST = ("--preset", "fast", "--max-iter", "2")


@pytest.mark.parametrize(
    "options",
    [[], ["--task", "regression"], ["--task", "regression", "--quantiles", ".1", ".9"]],
)
def test_pictures(capsys, tmp_path, options):
    path = tmp_path / "training.png"
    out = run(capsys, "train", *options, *FAST, "--plot", str(path))
    assert f"picture   {path}" in out
    assert path.read_bytes().startswith(b"\x89PNG")


def test_a_picture_of_many_classes(capsys, write, tmp_path):
    X, y = load_wine(return_X_y=True, as_frame=True)
    path, model = tmp_path / "training.SVG", str(tmp_path / "m")
    argv = ["--target", "target", "--plot", str(path), "--model", model]
    run(capsys, "train", write(X.assign(target=y)), *argv, *FAST)
    assert b"<svg" in path.read_bytes()


def test_pictures_that_cannot_be(capsys, tmp_path, monkeypatch):
    """They are refused before the training begins."""
    line = refuse(capsys, "train", "--plot", "picture")
    assert "--plot 'picture' must end in .png" in line
    line = refuse(capsys, "train", "--plot", str(tmp_path / "nowhere" / "a.png"))
    assert "there is no folder" in line
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    line = refuse(capsys, "train", "--plot", str(tmp_path / "a.png"))
    assert 'pip install "skbackprop[plot]"' in line
    assert cli.main(["train", *FAST]) == 0
