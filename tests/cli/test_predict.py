"""A model's file at work: predictions, scores and what it says of itself.

Answers for: cli/_predict.py, cli/_evaluate.py, cli/_info.py, cli/_model.py,
cli/_output.py, cli/_scores.py.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command_line import refuse, run
from sklearn.datasets import load_iris
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score

from skbackprop import (
    BackpropMLPClassifier,
    BackpropMLPRegressor,
    TabularEncoder,
    TabularMLPClassifier,
    TabularMLPRegressor,
    _model_file,
    cli,
    load_model,
    save_model,
)
from skbackprop._model_file import read_model, write_model
from skbackprop.cli import _csv, _scores
from skbackprop.cli._report import class_table

LABEL = ("--target", "label", "--id", "name", "--ignore", "amount")
AMOUNT = ("--target", "amount", "--ignore", "label", "name")
QUANTILES = (*AMOUNT, "--quantiles", "0.1", "0.5", "0.9")


def predicted(capsys, *argv):
    """What predict writes to standard output, and its notes."""
    assert cli.main(["predict", *argv]) == 0
    out, err = capsys.readouterr()
    return pd.read_csv(io.StringIO(out)), err


def as_frame(data):
    table = pd.read_csv(data)
    table["day"] = pd.to_datetime(table["day"], format="%d.%m.%Y")
    table["flag"] = table["flag"].astype(str)
    return table


def test_predictions_are_those_of_the_estimator(capsys, trained):
    model, data = trained(*LABEL)
    out, err = predicted(capsys, model, data)
    assert err == ""
    table, estimator = as_frame(data), load_model(model)
    X = table[estimator.feature_names_in_]
    assert out.columns.tolist() == [
        "name",
        "prediction",
        "probability_no",
        "probability_yes",
    ]
    assert out["name"].tolist() == table["name"].tolist()
    assert out["prediction"].tolist() == estimator.predict(X).tolist()
    probabilities = estimator.predict_proba(X)
    np.testing.assert_array_equal(out.iloc[:, 2:].to_numpy(), probabilities)


def test_quantiles_and_numbers(capsys, trained):
    for options, names in (
        (AMOUNT, ["prediction"]),
        (QUANTILES, ["quantile_0.1", "quantile_0.5", "quantile_0.9"]),
    ):
        model, data = trained(*options)
        out, _ = predicted(capsys, model, data)
        assert out.columns.tolist() == names
        estimator = load_model(model)
        expected = estimator.predict(as_frame(data)[estimator.feature_names_in_])
        np.testing.assert_array_equal(out.to_numpy().reshape(expected.shape), expected)


def test_every_block_is_read_alike(capsys, trained, monkeypatch):
    model, data = trained(*LABEL)
    whole, _ = predicted(capsys, model, data)
    blocks = _csv.CsvTable.blocks
    monkeypatch.setattr(
        _csv.CsvTable, "blocks", lambda self, places: blocks(self, places, 7)
    )
    parts, _ = predicted(capsys, model, data)
    # Products of few rows are summed in another order.
    pd.testing.assert_frame_equal(whole, parts, rtol=1e-6)


def test_other_files_of_the_same_rows(capsys, trained, write, tmp_path):
    """Another order of columns, another separator, encoding and kind of file."""
    model, data = trained(*LABEL)
    expected, _ = predicted(capsys, model, data)
    table = pd.read_csv(data)
    table = table[table.columns[::-1]].drop(columns=["amount", "label"])
    table["new column"] = "ö"
    semicolons = write(table.to_csv(sep=";", index=False).encode("utf-16"), "a.txt")
    typed = as_frame(data).drop(columns="label")
    parquet = str(tmp_path / "table.parquet")
    typed.to_parquet(parquet)
    for name in (semicolons, parquet):
        out, _ = predicted(capsys, model, name)
        pd.testing.assert_frame_equal(out, expected, check_exact=True)


def test_files_that_are_written(capsys, trained, tmp_path):
    model, data = trained(*LABEL)
    expected, _ = predicted(capsys, model, data)
    for name, read in (("out.csv", pd.read_csv), ("out.parquet", pd.read_parquet)):
        path = str(tmp_path / name)
        assert cli.main(["predict", model, data, "-o", path]) == 0
        out, err = capsys.readouterr()
        assert (out, err) == ("", f"300 rows predicted: {path}\n")
        pd.testing.assert_frame_equal(
            read(path), expected, check_exact=True, check_dtype=False
        )


def test_columns_of_the_table_are_kept(capsys, trained, write):
    model, data = trained(*LABEL)
    table = pd.read_csv(data)
    table.insert(0, "prediction", 7)
    out, _ = predicted(capsys, model, write(table), "--keep")
    names = [*table.columns, "prediction_", "probability_no", "probability_yes"]
    assert out.columns.tolist() == names
    pd.testing.assert_frame_equal(out[table.columns], table)
    out, _ = predicted(capsys, model, write(table), "--id", "prediction")
    assert out.columns.tolist()[:2] == ["prediction", "prediction_"]
    out, _ = predicted(capsys, model, write(table.drop(columns="name")))
    assert out.columns.tolist()[0] == "prediction"


def test_what_is_odd_is_said_on_the_side(capsys, trained, write):
    model, data = trained(*LABEL)
    table = pd.read_csv(data).astype({"width": object})
    table.loc[5, "width"] = "wide"
    table.loc[[1, 2], "colour"] = "violet"
    table.loc[3, "day"] = "32.01.2024"
    table.loc[4, "colour"] = None
    out, err = predicted(capsys, model, write(table))
    assert len(out) == 300
    assert err.splitlines() == [
        "note: 'width' holds 1 cell that can be read as no number, missing therefore: "
        "'wide' (line 7)",
        "note: 'day' holds 1 cell that can be read as no date, missing therefore: "
        "'32.01.2024' (line 5)",
        "note: not seen in training: 'violet' (2 rows) of 'colour'",
    ]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            lambda table: table.drop(columns="width"),
            "lacks 1 column of the model: 'width'; the columns are",
        ),
        (
            lambda table: table.rename(columns={"colour": "color"}),
            "did 'color' mean 'colour'?",
        ),
        (lambda table: table.iloc[:0], "a header but no rows"),
    ],
)
def test_tables_that_do_not_fit(capsys, trained, write, change, expected):
    model, data = trained(*LABEL)
    name = write(change(pd.read_csv(data)))
    assert expected in refuse(capsys, "predict", model, name)


def test_all_columns_of_a_model_without_names(capsys, write, tmp_path):
    X, y = load_iris(return_X_y=True, as_frame=True)
    X /= X.max()
    network = BackpropMLPClassifier(solver="lbfgs", max_iter=5000)
    path = str(tmp_path / "model")
    save_model(network.fit(X.to_numpy(), y), path)
    out, _ = predicted(capsys, path, write(X), "--keep")
    assert out.columns[:4].tolist() == X.columns.tolist()
    assert out["prediction"].tolist() == network.predict(X.to_numpy()).tolist()
    named = write(X.assign(name=[f"n{i}" for i in range(len(X))]), "named.csv")
    out, _ = predicted(capsys, path, named, "--id", "name")
    assert out.columns.tolist()[:2] == ["name", "prediction"]


def test_standard_output_is_utf8(trained, write):
    model, data = trained(*LABEL)
    table = pd.read_csv(data)
    table.loc[0, "name"] = "größe ψ"
    process = subprocess.run(
        [sys.executable, "-m", "skbackprop.cli", "predict", model, write(table)],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        timeout=120,
    )
    assert process.stdout.splitlines()[1].startswith("größe ψ,".encode())


def test_a_bad_row_leaves_no_output(capsys, trained, write, tmp_path):
    model, data = trained(*LABEL)
    with open(data) as file:
        text = file.read()
    path = tmp_path / "out.csv"
    path.write_text("what was there")
    name = write(text * 80 + "1,2,3,4,5,6,7,8,9\n")
    line = refuse(capsys, "predict", model, name, "-o", str(path))
    assert "has 9 cells, the header has 7" in line
    assert path.read_text() == "what was there"
    assert sorted(os.listdir(tmp_path)) == ["out.csv", "table.csv"]


def test_an_output_that_cannot_be_written(capsys, trained, tmp_path):
    model, data = trained(*LABEL)
    path = str(tmp_path / "nowhere" / "out.csv")
    assert cli.main(["predict", model, data, "-o", path]) == 1
    assert "There is no such folder" in capsys.readouterr().err


def test_files_that_are_no_models(capsys, trained, write, tmp_path):
    model, data = trained(*LABEL)
    for content in (b"", b"x" * 100, Path(model).read_bytes()[:-5]):
        name = write(content, "model")
        for command in (["predict", name, data], ["info", name]):
            assert "'" + name + "'" in refuse(capsys, *command)
    encoder = TabularEncoder().fit([[1.0], [2.0]])
    save_model(encoder, tmp_path / "encoder")
    line = refuse(capsys, "predict", str(tmp_path / "encoder"), data)
    assert "holds a TabularEncoder" in line


@pytest.mark.parametrize(
    "table",
    [
        {"columns": {"x": 1}},
        {"columns": {"width": {"kind": "number", "mark": "."}}},
        {"target": 7},
        {"identifier": ["name"]},
        {"columns": "width"},
        {"columns": {"width": {"kind": [], "mark": ""}}},
        "kinds",
        {"scores": {"accuracy": "\x1b[31m"}},
        {"scores": {"quantiles": [{"quantile": 10**400}]}},
        {"target_reading": "as a number"},
        {"class_shares": [1.0, "x"]},
    ],
)
def test_what_a_file_says_of_its_table_is_not_believed(
    capsys, trained, tmp_path, table
):
    model, data = trained(*LABEL)
    file = read_model(model)
    path = str(tmp_path / "m")
    if table == "kinds":  # that the encoder does not have
        day = {"day": {"kind": "number", "mark": "."}}
        table = {"columns": file.table["columns"] | day}
    write_model(file.estimator, path, table=file.table | table)
    if "target_reading" in table:
        refuse(capsys, "evaluate", path, data)
    elif "scores" in table or "class_shares" in table:
        run(capsys, "evaluate", path, data)
        assert "\x1b" not in run(capsys, "info", path)
    else:
        refuse(capsys, "predict", path, data)


def test_control_characters_of_a_file_do_not_reach_the_terminal(
    capsys, trained, tmp_path, monkeypatch
):
    model, _ = trained(*LABEL)
    monkeypatch.setattr(_model_file, "__version__", "1\x1b[31m")
    path = str(tmp_path / "m")
    write_model(read_model(model).estimator, path, table={"target": "\x1b[31m"})
    assert "\x1b" not in run(capsys, "info", path)
    scores = {"classes": [{"class": "\x1b", "rows": 1, "precision": 1, "recall": 1}]}
    assert "\x1b" not in "".join(class_table(scores))


# Models that Python has trained


def test_models_without_a_word_on_their_table(capsys, write, tmp_path):
    X, y = load_iris(return_X_y=True, as_frame=True)
    X /= X.max()
    path = str(tmp_path / "model")
    for estimator in (
        BackpropMLPClassifier(solver="lbfgs", max_iter=5000, random_state=0).fit(X, y),
        BackpropMLPClassifier(solver="lbfgs", max_iter=5000, random_state=0).fit(
            X.to_numpy(), y
        ),
        BackpropMLPRegressor(solver="lbfgs", max_iter=5000, random_state=0).fit(X, y),
        TabularMLPRegressor(preset="fast", max_iter=2, random_state=0).fit(
            X, np.c_[y, -y]
        ),
    ):
        save_model(estimator, path)
        given = X if hasattr(estimator, "feature_names_in_") else X.to_numpy()
        expected = estimator.predict(given)
        out, err = predicted(capsys, path, write(X))
        assert err == ""
        out = out[[name for name in out if name.startswith("prediction")]]
        np.testing.assert_array_equal(out.to_numpy().reshape(expected.shape), expected)
    assert "prediction_0" in out


def test_categories_of_other_types(capsys, write, tmp_path):
    table = pd.DataFrame({"n": [1, 2, 3] * 20, "b": [True, False] * 30})
    y = (table["n"] == 2) ^ table["b"]
    estimator = TabularMLPClassifier(
        preset="fast", categorical_features=["n", "b"], random_state=0
    ).fit(table, y)
    path = str(tmp_path / "model")
    save_model(estimator, path)
    out, _ = predicted(capsys, path, write(table))
    np.testing.assert_array_equal(
        out["probability_True"], estimator.predict_proba(table)[:, 1]
    )


def test_how_numbers_and_dates_are_written_may_be_said(capsys, write, tmp_path):
    days = pd.date_range("2024-01-01", periods=60)
    table = pd.DataFrame({"x": np.arange(60) / 8, "day": days})
    estimator = TabularMLPRegressor(
        preset="fast", max_iter=3, dates="numbers", random_state=0
    ).fit(table, table["x"])
    path = str(tmp_path / "model")
    save_model(estimator, path)
    table["day"] = days.strftime("%d/%m/%Y")
    name = write(table.to_csv(index=False, sep=";", decimal=","))
    out, err = predicted(capsys, path, name, "--decimal", ",", "--date-order", "dmy")
    assert "missing" not in err
    expected = estimator.predict(table.assign(day=days))
    np.testing.assert_array_equal(out["prediction"], expected)
    _, err = predicted(capsys, path, name)
    assert "'x' holds" in err and "'day' holds 60 cells" in err


def test_missing_numbers_of_a_network(capsys, write, tmp_path):
    X, y = load_iris(return_X_y=True, as_frame=True)
    path = str(tmp_path / "model")
    save_model(BackpropMLPClassifier(solver="lbfgs", max_iter=5000).fit(X, y), path)
    X.iloc[3, 1] = np.nan
    line = refuse(capsys, "predict", path, write(X))
    assert "cannot predict: Input X contains NaN" in line
    line = refuse(capsys, "predict", path, write(X.iloc[:, :3]))
    assert "lacks 1 column" in line


# Scores


def test_scores_of_classes(capsys, trained, tmp_path):
    model, data = trained(*LABEL)
    said = str(tmp_path / "said.json")
    out = run(capsys, "evaluate", model, data, "--json", said)
    table, estimator = as_frame(data), load_model(model)
    probabilities = estimator.predict_proba(table[estimator.feature_names_in_])
    y = table["label"]
    with open(said) as file:
        scores = json.load(file)["scores"]
    labels = estimator.classes_[probabilities.argmax(axis=1)]
    assert scores["accuracy"] == accuracy_score(y, labels)
    assert scores["log_loss"] == pytest.approx(log_loss(y, probabilities), 1e-9)
    assert scores["roc_auc"] == pytest.approx(roc_auc_score(y, probabilities[:, 1]))
    assert scores["baseline_accuracy"] == np.mean(y == y.mode()[0])
    yes = scores["classes"][1]
    assert yes["class"] == "yes" and yes["rows"] == sum(y == "yes")
    assert yes["recall"] == np.mean(labels[y == "yes"] == "yes")
    assert yes["precision"] == np.mean(y[labels == "yes"] == "yes")
    assert "precision     recall" in out


def test_scores_of_numbers_and_quantiles(capsys, trained):
    for options in (AMOUNT, QUANTILES):
        model, data = trained(*options)
        assert cli.main(["evaluate", model, data, "--json", "-"]) == 0
        scores = json.loads(capsys.readouterr().out)["scores"]
        table, estimator = as_frame(data), load_model(model)
        outputs = estimator.predict(table[estimator.feature_names_in_])
        y = table["amount"].to_numpy()
        if options is AMOUNT:
            assert scores["rmse"] == pytest.approx(np.sqrt(np.mean((y - outputs) ** 2)))
            assert scores["r2"] == pytest.approx(
                estimator.score(table[estimator.feature_names_in_], y)
            )
        else:
            below = [each["below"] for each in scores["quantiles"]]
            assert below == np.mean(y[:, None] <= outputs, axis=0).tolist()


def test_the_target_is_read_as_in_training(capsys, write, tmp_path):
    """Although its own cells could be decimals or thousands."""
    rows = [f"{i % 7},5;{1 + i % 9}.{i % 1000:03}" for i in range(120)]
    name = write("\n".join(["x;y", *rows]))
    model = str(tmp_path / "m")
    options = ("--preset", "fast", "--max-iter", "2", "--model", model)
    out = run(capsys, "train", name, "--target", "y", *options)
    assert "(--decimal decides)" in out
    whole = write("\n".join(["x;y", *(f"{i % 7};{1 + i % 9}.500" for i in range(60))]))
    said = str(tmp_path / "said.json")
    for decimal, scale in (((), 1000), (("--decimal", "."), 1)):
        run(capsys, "evaluate", model, whole, "--json", said, *decimal)
        with open(said) as file:
            rmse = json.load(file)["scores"]["baseline_rmse"]
        y = scale * (1.5 + np.arange(60) % 9)
        mean = load_model(model).target_mean_[0]
        assert rmse == pytest.approx(np.sqrt(np.mean((y - mean) ** 2)))


def test_rows_that_cannot_be_compared(capsys, trained, write):
    model, data = trained(*LABEL)
    table = pd.read_csv(data)
    table.loc[[0, 1], "label"] = None
    table.loc[2, "label"] = "perhaps"
    out = run(capsys, "evaluate", model, write(table))
    assert "note      2 rows without a value in 'label'" in out
    assert "note      1 cell of 'label': 'perhaps' (line 4) is no class of the" in out
    table["label"] = "perhaps"
    line = refuse(capsys, "evaluate", model, write(table))
    assert "no cell of 'label' is a class of the model" in line
    line = refuse(capsys, "evaluate", model, write(table.drop(columns="label")))
    assert "no column 'label'" in line


@pytest.mark.parametrize("n_bins", [1, 10])
def test_calibration_error(monkeypatch, n_bins):
    monkeypatch.setattr(_scores, "_BINS", n_bins)
    confidence = np.array([0.6] * 50 + [0.9] * 50)
    correct = np.array([True] * 45 + [False] * 5 + [True] * 30 + [False] * 20)
    expected = 0.0 if n_bins == 1 else 0.38  # 4 * .4, .1, 3 * .1, 2 * .9, over 10
    assert _scores.calibration_error(confidence, correct) == pytest.approx(expected)


def test_importances():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(500, 60))).add_prefix("x")

    class Model:
        quantiles_ = None

        def fit(self, X, y):
            raise AssertionError("a model is fitted once")

        def predict(self, X):
            return (X["x7"] + 0.5 * X["x51"]).to_numpy()

    y = Model().predict(table).copy()
    y[250:] = np.nan  # rows that may not be looked at
    found = _scores.importances(Model(), table, y, np.arange(250), 0)
    assert [each["column"] for each in found[:2]] == ["x7", "x51"]
    assert len(found) == _scores.MOST_IMPORTANT and found[2]["cost"] == 0


# What a model says of itself


def test_info(capsys, trained):
    model, _ = trained(*LABEL)
    out = run(capsys, "info", model)
    estimator = load_model(model)
    assert "TabularMLPClassifier, written by skbackprop" in out
    assert f"networks  {estimator.n_networks_}, " in out
    assert "target    'label'" in out and "classes   2 ('no', 'yes')" in out
    assert "1 date: 'day' (day/month/year)" in out
    assert "rows      are named by 'name'" in out and "accuracy" in out
    assert cli.main(["info", model, "--json", "-"]) == 0
    said = json.loads(capsys.readouterr().out)
    topology, thetas = estimator._bag
    assert said["parameters"] == len(thetas) * topology.n_parameters
    assert said["columns"]["day"] == {"kind": "date", "mark": "dmy"}


def test_info_of_a_network(capsys, tmp_path):
    X, y = load_iris(return_X_y=True)
    save_model(
        BackpropMLPClassifier((5, 4), solver="lbfgs", max_iter=5000).fit(X, y),
        tmp_path / "m",
    )
    out = run(capsys, "info", str(tmp_path / "m"))
    assert "networks  1, 64 parameters, hidden layers 5, 4" in out
    assert "columns   4 without names" in out


def test_writing_parquet_needs_pyarrow(capsys, trained, tmp_path, monkeypatch):
    model, data = trained(*LABEL)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    path = str(tmp_path / "out.parquet")
    line = refuse(capsys, "predict", model, data, "-o", path)
    assert 'pip install "skbackprop[parquet]"' in line and not os.path.exists(path)
