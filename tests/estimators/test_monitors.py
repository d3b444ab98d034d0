"""Validation monitors, and callbacks of scikit-learn beside ours, in searches too.

Answers for: callbacks.py, _callbacks.py, _callback_tasks.py.
"""

import io
import pickle
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.metrics import accuracy_score, log_loss, make_scorer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sources import ROOT

from skbackprop import (
    BackpropMLPClassifier,
    BackpropMLPRegressor,
    TabularMLPClassifier,
    TabularMLPRegressor,
)
from skbackprop._callbacks import CallbackSupportMixin
from skbackprop.callbacks import ValidationMonitor, on_epoch_end

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
OF_SKLEARN = pytest.mark.skipif(
    not CallbackSupportMixin.__module__.startswith("sklearn"),
    reason="scikit-learn has callbacks of its own from 1.9 on",
)
RNG = np.random.default_rng(0)
X = pd.DataFrame(RNG.normal(size=(120, 4)), columns=list("abcd"))
Y = np.where(X["a"] + X["b"] ** 2 > 0.5, "yes", "no")
WEIGHTS = RNG.integers(0, 4, size=120).astype(float)
SMALL = {"hidden_layer_sizes": (5,), "batch_size": 30, "random_state": 0, "max_iter": 4}
STOPS = {**SMALL, "early_stopping": True}
FAST = {"preset": "fast", "n_folds": 3, "random_state": 0, "max_iter": 4}


# Validation monitors ---------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "parameters", "scoring"),
    [
        (BackpropMLPClassifier, STOPS, "roc_auc"),
        (BackpropMLPRegressor, STOPS, "neg_mean_absolute_error"),
        (TabularMLPClassifier, FAST, "accuracy"),
        (TabularMLPRegressor, FAST, "r2"),
    ],
)
def test_a_monitor_keeps_what_training_saw(family, parameters, scoring):
    """The scores are those that chose the best epoch; a scorer has the same rows."""
    y = X["a"] if "Regressor" in family.__name__ else Y
    monitor = ValidationMonitor(scoring)
    model = family(scoring=scoring, **parameters).set_callbacks(monitor)
    model.fit(X, y, WEIGHTS)
    log = monitor.get_log(as_frame=True)
    assert_allclose(log[scoring], log["validation_score"], rtol=1e-12)
    scores = model.validation_scores_
    scores = np.ravel(scores)
    assert log["validation_score"].tolist() == scores.tolist()
    assert log["epoch"].tolist() == [1, 2, 3, 4] * (len(scores) // 4)
    assert log["network"].tolist() == np.repeat(range(len(scores) // 4), 4).tolist()
    if hasattr(model, "loss_curve_"):
        assert log["loss"].tolist() == model.loss_curve_
    assert (np.diff(log["seconds"][:4]) >= 0).all()
    assert (log["run"] == 0).all()


@pytest.mark.parametrize("family", [BackpropMLPClassifier, TabularMLPClassifier])
def test_the_validation_loss_is_the_loss_of_those_rows(family):
    parameters = STOPS if family is BackpropMLPClassifier else FAST
    told = []

    @on_epoch_end
    def compare(epoch):
        rows, y, weights = epoch.validation_data()
        assert (weights > 0).all()
        p = epoch.fitted_estimator().predict_proba(rows)
        expected = log_loss(y, p, sample_weight=weights)
        told.append((epoch.validation_loss(), expected, epoch.validation_score))

    model = family(scoring="loss", **parameters).set_callbacks(compare)
    model.fit(X, Y, WEIGHTS)
    found, expected, scores = np.transpose(told)
    assert_allclose(found, expected, rtol=1e-5)
    assert_allclose(found, -scores, rtol=1e-12)
    assert len(told) == 4 * getattr(model, "n_networks_", 1)


@pytest.mark.parametrize("family", [BackpropMLPClassifier, TabularMLPClassifier])
def test_own_rows_are_monitored(family):
    parameters = STOPS if family is BackpropMLPClassifier else FAST
    rows = []
    keep = on_epoch_end(lambda epoch: rows.append(epoch.validation_data()))
    monitor = ValidationMonitor({"mine": make_scorer(accuracy_score)})
    model = family(**parameters).set_callbacks(monitor, keep)
    model.fit(X[:90], Y[:90], X_val=X[90:], y_val=Y[90:])
    log = monitor.get_log(as_frame=True)
    assert all(each.X.equals(X[90:]) and (each.y == Y[90:]).all() for each in rows)
    assert all(each.sample_weight is None for each in rows)
    if family is BackpropMLPClassifier:  # whose own score is the accuracy too
        assert log["mine"].tolist() == log["validation_score"].tolist()
    assert log["validation_loss"].notna().all()


@pytest.mark.parametrize(
    ("scoring", "names"),
    [
        (None, []),
        ("accuracy", ["accuracy"]),
        (["accuracy", "neg_log_loss"], ["accuracy", "neg_log_loss"]),
        (lambda estimator, X, y: 0.5, ["score"]),
        ({"p": "neg_log_loss", "q": lambda e, X, y: len(y)}, ["p", "q"]),
    ],
)
def test_what_is_scored_has_a_column(scoring, names):
    monitor = ValidationMonitor(scoring)
    empty = monitor.get_log(as_frame=True)
    assert monitor.get_log() == [] and empty.empty
    BackpropMLPClassifier(**STOPS).set_callbacks(monitor).fit(X, Y)
    log = monitor.get_log(as_frame=True)
    assert list(log.columns) == list(empty.columns) == [*monitor_columns(), *names]
    assert log.notna().all(axis=None)
    again = pickle.loads(pickle.dumps(ValidationMonitor("accuracy")))
    assert repr(again) == "ValidationMonitor(scoring='accuracy')"


def monitor_columns():
    return [
        *("run", "network", "epoch", "seconds", "loss"),
        *("validation_loss", "validation_score"),
    ]


@pytest.mark.parametrize("scoring", [3, [], {}, {"a": 3}, {3: "r2"}, ["r2", 3]])
def test_wrong_scoring_is_refused(scoring):
    with pytest.raises(TypeError, match="scoring must be a name of scikit-learn's"):
        ValidationMonitor(scoring)


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="must not be called 'loss'"):
        ValidationMonitor({"loss": "r2"})
    with pytest.raises(ValueError, match="select must be 'most_recent' or 'all'"):
        ValidationMonitor().get_log("best")
    with pytest.raises(TypeError, match="function must be callable"):
        on_epoch_end(3)
    monitor = ValidationMonitor("no such score")
    with pytest.raises(ValueError, match="no such score"):
        BackpropMLPClassifier(**STOPS).set_callbacks(monitor).fit(X, Y)


@pytest.mark.parametrize(
    "parameters", [SMALL, {**SMALL, "solver": "lbfgs", "early_stopping": True}]
)
def test_a_monitor_without_rows_says_so(parameters):
    model = BackpropMLPClassifier(**parameters).set_callbacks(ValidationMonitor())
    with pytest.raises(ValueError, match="no rows to score: take early_stopping=True"):
        model.fit(X, Y)
    assert not hasattr(model, "coefs_")


def test_without_validation_an_epoch_has_none():
    seen = []
    keep = on_epoch_end(
        lambda epoch: seen.append((epoch.validation_loss(), epoch.validation_data()))
    )
    BackpropMLPClassifier(**SMALL).set_callbacks(keep).fit(X, Y)
    assert seen == [(None, None)] * 4


def test_a_report_is_shown():
    shown = []
    keep = on_epoch_end(lambda epoch: shown.append(repr(epoch)))
    BackpropMLPClassifier(**SMALL).set_callbacks(keep).fit(X, Y)
    assert shown[1].startswith("EpochReport(network=0, number=2, loss=0.")
    assert shown[1].endswith("validation_score=None)")


def test_a_decorated_function_is_still_a_function():
    @on_epoch_end
    def double(epoch):
        return 2 * epoch

    assert double(3) == 6 and "double" in repr(double)


def search(*callbacks, **parameters):
    mlp = BackpropMLPClassifier(**STOPS).set_callbacks(*callbacks)
    grid = {"backpropmlpclassifier__alpha": [1e-4, 1.0]}
    pipeline = make_pipeline(StandardScaler(), mlp)
    return GridSearchCV(pipeline, grid, cv=2, error_score="raise", **parameters)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_every_fit_of_a_search_is_a_run(n_jobs):
    monitor = ValidationMonitor("accuracy")
    with joblib.parallel_config("threading"):
        search(monitor, n_jobs=n_jobs).fit(X, Y)
    runs = monitor.get_log("all", as_frame=True)
    assert runs["run"].value_counts().to_dict() == dict.fromkeys(range(5), 4)
    last = monitor.get_log()
    assert {row["run"] for row in last} == {4} and len(last) == 4


@OF_SKLEARN
def test_ours_belong_on_estimators_of_ours():
    with pytest.raises(TypeError, match="set it on that one, not on a Pipeline"):
        pipeline = make_pipeline(StandardScaler(), BackpropMLPClassifier(**SMALL))
        pipeline.set_callbacks(on_epoch_end(print)).fit(X, Y)


# Callbacks of scikit-learn ---------------------------------------------------


@OF_SKLEARN
@pytest.mark.parametrize("family", [BackpropMLPClassifier, TabularMLPClassifier])
def test_scores_of_sklearn(family):
    """Of the rows that train, by network and epoch; without a warning of names."""
    from sklearn.callback import ScoringMonitor

    parameters = SMALL if family is BackpropMLPClassifier else FAST
    monitor = ScoringMonitor(scoring=["accuracy", "neg_log_loss"])
    model = family(**parameters).set_callbacks(monitor).fit(X, Y)
    data = monitor.get_logs().data_as_pandas.set_index("task_id_path")
    assert data.index.is_unique
    assert data["accuracy"][(0,)] == model.score(X, Y)
    levels = {"fit": 1, "epoch": 4}
    if family is TabularMLPClassifier:
        levels = {"fit": 1, "network": 3, "epoch": 12}
    assert data["task_name"].value_counts().to_dict() == levels
    assert data.notna().all(axis=None)


@OF_SKLEARN
def test_scores_of_sklearn_come_back_from_processes():
    from sklearn.callback import ScoringMonitor

    monitor, ours = ScoringMonitor(scoring="accuracy"), ValidationMonitor()
    found = search(monitor, ours, n_jobs=2).fit(X, Y)
    data = monitor.get_logs().data_as_pandas
    assert len(monitor.get_logs("all")) == 1
    epochs = data[data["task_name"] == "epoch"]
    assert len(epochs) == 5 * 4 and epochs["task_id_path"].is_unique
    assert len(ours.get_log()) == 4  # of the fit in this process
    mlp = found.best_estimator_[-1]
    assert not hasattr(mlp, "_parent_callback_ctx")


@OF_SKLEARN
@pytest.mark.parametrize("inside", [False, True])
def test_a_progress_bar_shows_networks(inside):
    from sklearn.callback import ProgressBar

    model = TabularMLPClassifier(**FAST)
    if inside:
        model = make_pipeline(StandardScaler(), model)
    written = io.StringIO()
    with redirect_stdout(written):
        model.set_callbacks(ProgressBar(max_propagation_depth=None)).fit(X, Y)
    shown = written.getvalue()
    assert "\x1b" not in shown and "\r" not in shown
    lines = shown.splitlines()
    networks = [line for line in lines if "network #" in line]
    assert len(networks) == 3 and all("100%" in line for line in networks)
    assert len(lines) == (6 if inside else 4)


# Where scikit-learn has none -------------------------------------------------

ABSENT = """
import sys, pytest, sklearn.pipeline, sklearn.model_selection, sklearn.callback
sys.modules["sklearn.callback"] = None
code = pytest.main(sys.argv[1:])
assert "skbackprop._callback_tasks" in sys.modules
sys.exit(code)
"""


@OF_SKLEARN
def test_the_same_where_sklearn_has_no_callbacks():
    """Tests of the other module, with scikit-learn's callbacks taken away."""
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-o", "addopts="]
    options += ["--import-mode=importlib", "-c", str(ROOT / "pyproject.toml")]
    options += ["-k", "not container and not memory and not file and not bit"]
    tests = Path(__file__).with_name("test_callbacks.py")
    done = subprocess.run(
        [sys.executable, "-c", ABSENT, *options, str(tests)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout and "skipped" not in done.stdout
