"""Displays: what their lines, bands, marks and labels are; not what they look like.

Answers for: plotting/__init__.py, plotting/_axes.py, plotting/_curves.py,
plotting/_rates.py, plotting/_quantiles.py, plotting/_importances.py.
"""

import subprocess
import sys

import matplotlib
import numpy as np
import pandas as pd
import polars
import pytest
from matplotlib import pyplot
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.exceptions import NotFittedError
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sources import TESTS

from skbackprop import (
    BackpropMLPClassifier,
    BackpropMLPRegressor,
    TabularMLPClassifier,
    TabularMLPRegressor,
    load_model,
    save_model,
)
from skbackprop._observers import Observer
from skbackprop.callbacks import ValidationMonitor, on_epoch_end
from skbackprop.plotting import (
    ImportanceDisplay,
    LearningRateDisplay,
    LossCurveDisplay,
    QuantileDisplay,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
RNG = np.random.default_rng(0)
X = pd.DataFrame(RNG.normal(size=(160, 3)), columns=["a", "b", "c"])
NUMBERS = (X["a"] + RNG.normal(size=160)).to_numpy()
LABELS = np.where(NUMBERS > 0, "yes", "no")
SMALL = {"hidden_layer_sizes": (5,), "random_state": 0, "max_iter": 30}
STOPS = {**SMALL, "early_stopping": True}
FAST = {"preset": "fast", "n_folds": 4, "random_state": 0, "max_iter": 6}


@pytest.fixture(autouse=True)
def _no_window():
    matplotlib.use("Agg")
    yield
    pyplot.close("all")


@pytest.fixture(scope="module")
def bag():
    return TabularMLPClassifier(**FAST).fit(X, LABELS)


@pytest.fixture(scope="module")
def fan():
    levels = [0.05, 0.25, 0.5, 0.75, 0.95]
    frame = X.assign(d=np.where(X["b"] > 0, "u", "v"))
    model = TabularMLPRegressor(loss="quantile", quantile=levels, **FAST)
    return model.fit(frame, NUMBERS), frame


def texts(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


# Loss curves -----------------------------------------------------------------


def test_both_losses_of_a_network():
    model = BackpropMLPClassifier(scoring="loss", **STOPS).fit(X, LABELS)
    display = LossCurveDisplay.from_estimator(model)
    epochs = np.arange(1, model.n_iter_ + 1)
    assert_array_equal(display.training_line_.get_xdata(), epochs)
    assert_array_equal(display.training_line_.get_ydata(), model.loss_curve_)
    validation = -np.array(model.validation_scores_)
    assert_array_equal(display.validation_line_.get_ydata(), validation)
    assert display.ax_validation_ is display.ax_
    best = int(validation.argmin())
    assert display.best_.get_xydata().tolist() == [[best + 1, validation[best]]]
    assert texts(display)[-1] == f"epoch kept: {best + 1}"
    assert display.ax_.get_ylabel() == "Loss"
    assert display.ax_.get_title() == "BackpropMLPClassifier"
    assert display.figure_ is display.ax_.figure
    assert display.training_band_ is display.validation_band_ is None


def test_scores_have_an_axis_of_their_own():
    model = BackpropMLPRegressor(scoring="r2", **STOPS).fit(X, NUMBERS)
    display = LossCurveDisplay.from_estimator(model)
    assert display.ax_validation_ is not display.ax_
    assert display.ax_validation_.get_ylabel() == "Validation r2"
    scores = display.validation_line_.get_ydata()
    assert_array_equal(scores, model.validation_scores_)
    assert display.best_.get_xdata() == [1 + np.argmax(scores)]
    default = LossCurveDisplay.from_estimator(BackpropMLPRegressor(**STOPS).fit(X, X))
    assert default.ax_validation_.get_ylabel() == "Validation score"


def test_a_network_without_validation():
    model = BackpropMLPRegressor(**SMALL).fit(X, NUMBERS)
    display = LossCurveDisplay.from_estimator(model, color="red")
    assert display.validation_line_ is display.best_ is None
    assert display.ax_.get_ylabel() == "Loss"
    assert display.training_line_.get_color() == "red"


def test_an_ensemble_has_bands(bag):
    display = LossCurveDisplay.from_estimator(bag)
    losses, scores = np.array(bag.loss_curves_), -np.array(bag.validation_scores_)
    assert losses.shape == scores.shape == (4, 6)
    for line, band, table in (
        (display.training_line_, display.training_band_, losses),
        (display.validation_line_, display.validation_band_, scores),
    ):
        assert_allclose(line.get_ydata(), np.median(table, axis=0))
        bottom, top = band.get_datalim(display.ax_.transData).intervaly
        assert_allclose([bottom, top], [table.min(), table.max()])
    marks = [scores[n, epoch - 1] for n, epoch in enumerate(bag.best_epochs_)]
    assert_array_equal(display.best_.get_xdata(), bag.best_epochs_)
    assert_allclose(display.best_.get_ydata(), marks)
    assert texts(display) == ["training loss", "validation loss", "epochs kept"]
    assert display.ax_.get_title() == "TabularMLPClassifier (4 networks)"
    assert len(display.ax_.lines) == 2 * 4 + 3


def test_medians_end_where_half_of_the_networks_have():
    losses = [[3.0, 2.0, 1.0], [3.0, 2.0], [4.0], [5.0, np.inf, 7.0]]
    display = LossCurveDisplay(losses, best_epochs=[0, 0, 0, 0]).plot()
    assert display.training_line_.get_xdata().tolist() == [1, 2, 3]
    assert display.training_line_.get_ydata().tolist() == [3.5, 2.0, 4.0]
    display = LossCurveDisplay([*losses[:3], [1.0]]).plot()
    assert display.training_line_.get_xdata().tolist() == [1, 2]
    assert display.best_ is None


def test_no_mark_for_the_best_constant():
    display = LossCurveDisplay(
        [[2.0, 1.0]] * 2, [[3.0, 4.0]] * 2, best_epochs=[0, 1]
    ).plot()
    assert display.best_.get_xydata().tolist() == [[1, 3.0]]


@pytest.mark.parametrize("n", [1, 3])
def test_one_epoch_is_a_point(n):
    display = LossCurveDisplay([[2.0]] * n, [[1.0]] * n, best_epochs=[1] * n).plot()
    assert display.training_line_.get_marker() == "o"
    assert display.validation_line_.get_marker() == "D"
    assert display.ax_.get_xlim() == (0, 2)


@pytest.mark.parametrize(
    ("losses", "yscale", "found"),
    [
        ([1.0, 0.02], "auto", "linear"),
        ([1.0, 0.001], "auto", "log"),
        ([1.0, -0.001], "auto", "linear"),
        ([1.0, 0.02], "log", "log"),
        ([1.0, 0.001], "linear", "linear"),
    ],
)
def test_scales(losses, yscale, found):
    display = LossCurveDisplay([losses]).plot(yscale=yscale)
    assert display.ax_.get_yscale() == found


def test_a_monitor_has_both_losses():
    monitor = ValidationMonitor()
    model = BackpropMLPClassifier(**STOPS).set_callbacks(monitor).fit(X, LABELS)
    TabularMLPClassifier(**FAST).set_callbacks(monitor).fit(X, LABELS)
    log = pd.DataFrame(monitor.get_log("all"))
    first = LossCurveDisplay.from_monitor(monitor, run=0)
    assert first.training_line_.get_ydata().tolist() == model.loss_curve_
    losses = log["validation_loss"][log["run"] == 0]
    assert first.validation_line_.get_ydata().tolist() == losses.tolist()
    assert first.best_.get_xdata() == [1 + np.argmax(model.validation_scores_)]
    last = LossCurveDisplay.from_monitor(monitor)
    assert last.ax_.get_ylabel() == "Loss" and len(last.losses) == 4
    for run in (2, -3):
        with pytest.raises(ValueError, match="run must be one of 2 fits"):
            LossCurveDisplay.from_monitor(monitor, run=run)


def test_losses_of_an_ensemble_are_kept(bag, tmp_path):
    told = []
    keep = on_epoch_end(lambda epoch: told.append((epoch.network, epoch.loss)))
    again = TabularMLPClassifier(n_jobs=1, **FAST).set_callbacks(keep).fit(X, LABELS)
    expected = [[loss for n, loss in told if n == network] for network in range(4)]
    assert again.loss_curves_ == bag.loss_curves_ == expected
    save_model(bag, tmp_path / "model")
    assert load_model(tmp_path / "model").loss_curves_ == bag.loss_curves_


def test_a_model_of_before_shows_what_it_has():
    before = TESTS / "model_files" / "format_1" / "tabular_classifier.safetensors"
    display = LossCurveDisplay.from_estimator(load_model(before))
    assert display.training_line_ is None and display.validation_line_ is not None
    assert display.ax_.get_ylabel() == "Validation loss"


# Learning rates --------------------------------------------------------------


class Rates(Observer):
    """Notes the rate of each epoch, as the optimiser has it."""

    def __init__(self, first):
        self.seen, self.next = [], first

    def epoch_ends(self, epoch):
        self.seen.append(self.next)
        self.next = epoch.state().optimizer.learning_rate


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("learning_rate", ["constant", "invscaling", "adaptive"])
def test_rates_are_those_of_the_optimiser(learning_rate, early_stopping):
    noting = Rates(0.05)

    class Watched(BackpropMLPClassifier):
        def _observers(self):
            return [noting]

    model = Watched(
        solver="sgd",
        learning_rate=learning_rate,
        learning_rate_init=0.05,
        early_stopping=early_stopping,
        n_iter_no_change=3,
        tol=0.01,
        warm_start=True,
        **{**SMALL, "max_iter": 40},
    )
    for _ in range(2):
        noting.__init__(0.05)
        model.fit(X, LABELS)
        display = LearningRateDisplay.from_estimator(model)
        assert_allclose(display.line_.get_ydata(), noting.seen, rtol=1e-12)
        assert (display.best_ is not None) == early_stopping
    if learning_rate == "adaptive":
        assert len(set(noting.seen)) > 2


def test_rates_of_schedules():
    model = BackpropMLPRegressor(learning_rate="cosine", **SMALL).fit(X, NUMBERS)
    display = LearningRateDisplay.from_estimator(model)
    middle = (np.arange(30) + 0.5) / 30
    assert_allclose(display.rates, 0.001 * (1 + np.cos(np.pi * middle)) / 2)
    assert display.ax_.get_yscale() == "log"  # to nearly nothing


def test_rates_of_an_ensemble(bag):
    display = LearningRateDisplay.from_estimator(bag)
    recipe, middle = bag.recipe_, (np.arange(bag.n_iter_) + 0.5) / 6
    expected = recipe["learning_rate_init"] * (1 + np.cos(np.pi * middle)) / 2
    assert_allclose(display.line_.get_ydata(), expected)
    best = bag.best_epochs_
    assert_array_equal(display.best_.get_xdata(), best)
    assert_allclose(display.best_.get_ydata(), expected[best - 1])


# What is drawn ---------------------------------------------------------------


@pytest.mark.parametrize("display", [LossCurveDisplay, LearningRateDisplay])
def test_which_estimators_are_drawn(display):
    model = BackpropMLPClassifier(**SMALL)
    pipeline = make_pipeline(StandardScaler(), model)
    with pytest.raises(NotFittedError):
        display.from_estimator(model)
    search = GridSearchCV(pipeline, {"backpropmlpclassifier__alpha": [0.1]}, cv=2)
    _, ax = pyplot.subplots()
    shown = display.from_estimator(search.fit(X, LABELS), ax=ax)
    assert shown.ax_ is ax and shown.plot(ax=ax) is shown
    with pytest.raises(TypeError, match="BackpropMLPClassifier, BackpropMLPRegressor"):
        display.from_estimator(LinearRegression().fit(X, NUMBERS))
    lbfgs = model.set_params(solver="lbfgs").fit(X, LABELS)
    with pytest.raises(ValueError, match="solver='lbfgs'"):
        display.from_estimator(lbfgs)
    with pytest.raises(ValueError, match="yscale must be one of auto, linear, log"):
        shown.plot(yscale="symlog")


def test_matplotlib_is_asked_for_when_it_is_needed():
    code = """
import sys, skbackprop.plotting as plotting
assert "matplotlib" not in sys.modules
sys.modules["matplotlib"] = None
plotting.LossCurveDisplay([[1.0]]).plot()
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120
    )
    last = done.stderr.splitlines()[-1]
    expected = "LossCurveDisplay needs matplotlib: pip install 'skbackprop[plot]'."
    assert last == f"ImportError: {expected}"


# Quantiles -------------------------------------------------------------------


def test_a_fan_is_sorted_and_says_what_it_covers(fan):
    model, frame = fan
    display = QuantileDisplay.from_estimator(model, frame, NUMBERS)
    outputs = model.predict(frame)
    order = np.argsort(outputs[:, 2], kind="stable")
    assert_array_equal(display.median_.get_ydata(), outputs[order, 2])
    assert_array_equal(display.points_.get_ydata(), NUMBERS[order])
    inside = [
        np.mean((outputs[:, i] <= NUMBERS) & (NUMBERS <= outputs[:, -1 - i]))
        for i in range(2)
    ]
    assert display.coverage_ == inside
    assert texts(display) == [
        f"90 % interval (covers {100 * inside[0]:.0f} %)",
        f"50 % interval (covers {100 * inside[1]:.0f} %)",
        "median",
        "observed",
    ]
    bottom, top = display.bands_[0].get_datalim(display.ax_.transData).intervaly
    assert_allclose([bottom, top], [outputs[:, 0].min(), outputs[:, 4].max()])
    assert display.ax_.get_ylabel() == "Target"


def test_a_fan_without_targets(fan):
    model, frame = fan
    display = QuantileDisplay.from_estimator(model, frame)
    assert display.points_ is None and display.coverage_ == []
    assert texts(display) == ["90 % interval", "50 % interval", "median"]
    assert display.ax_.get_ylabel() == "Prediction"


@pytest.mark.parametrize("feature", ["b", 1])
def test_against_a_feature_neighbours_are_averaged(fan, feature):
    model, frame = fan
    display = QuantileDisplay.from_estimator(model, frame, NUMBERS, feature=feature)
    assert display.ax_.get_xlabel() == "b"
    assert_array_equal(display.points_.get_xdata(), frame["b"])
    x = display.median_.get_xdata()
    assert len(x) == 160 // 15 and (np.diff(x) > 0).all()
    lowest = frame["b"].argsort()[:16]
    assert_allclose(x[0], frame["b"][lowest].mean())
    median = model.predict(frame)[lowest, 2].mean()
    assert_allclose(display.median_.get_ydata()[0], median)


def test_categories_are_bars(fan):
    model, frame = fan
    ordered = frame.assign(d=pd.Categorical(frame["d"], categories=["v", "u", "none"]))
    for table, names in ((frame, ["u", "v"]), (ordered, ["v", "u"])):
        display = QuantileDisplay.from_estimator(model, table, feature="d")
        labels = [text.get_text() for text in display.ax_.get_xticklabels()]
        assert labels == names
        outputs = model.predict(table)[table["d"] == names[0]].mean(axis=0)
        bar = display.bands_[1].patches[0]
        found = [bar.get_y(), bar.get_y() + bar.get_height()]
        assert_allclose(found, outputs[[1, 3]])


def test_columns_of_any_container():
    levels, n = [0.1, 0.9], len(X)
    model = BackpropMLPRegressor(loss="quantile", quantile=levels, **SMALL)
    array = X.to_numpy()
    model.fit(array, NUMBERS)
    for given in (array, array.tolist(), sparse.csr_array(array)):
        display = QuantileDisplay.from_estimator(model, given, feature=2)
        assert_allclose(display.x, X["c"])
        assert display.ax_.get_xlabel() == "column 2"
    table = polars.DataFrame(X.to_dict("list"))
    model.fit(table, NUMBERS)
    display = QuantileDisplay.from_estimator(model, table, feature="c")
    assert_allclose(display.x, X["c"])
    assert texts(display) == ["80 % interval", f"quantile {levels[0]}"]
    assert len(display.x) == n


def test_one_level_and_several_targets():
    both = np.column_stack([NUMBERS, -NUMBERS])
    model = BackpropMLPRegressor(loss="quantile", quantile=0.9, **SMALL).fit(X, both)
    display = QuantileDisplay.from_estimator(model, X, both, target=1)
    order = np.argsort(model.predict(X)[:, 1], kind="stable")
    assert_array_equal(display.points_.get_ydata(), -NUMBERS[order])
    below = 100 * np.mean(-NUMBERS <= model.predict(X)[:, 1])
    assert texts(display) == [f"quantile 0.9 ({below:.0f} % below)", "observed"]
    with pytest.raises(ValueError, match="target must be one of 2 targets"):
        QuantileDisplay.from_estimator(model, X, both, target=2)


def test_missing_values_and_one_row():
    x = np.array([np.nan, *range(9), np.inf])
    outputs = np.column_stack([np.arange(11.0), np.arange(11.0) + 1])
    display = QuantileDisplay.from_predictions([0.1, 0.9], outputs, x=x)
    found = display.median_.get_xdata()
    assert len(found) == 8 and np.isfinite(found).all()
    display = QuantileDisplay.from_predictions([0.1, 0.9], [[1.0, 2.0]], [1.5])
    assert display.coverage_ == [1.0]


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (([0.5, 0.1], [[1, 2]]), "quantiles must increase between 0 and 1"),
        (([0.1, 1.0], [[1, 2]]), "quantiles must increase between 0 and 1"),
        (([0.1, 0.5], [[1, 2, 3]]), "a column for each of 2 quantiles"),
        (([0.1, 0.5], np.empty((0, 2))), "y_pred must have a row at least"),
        (([0.1, 0.5], [[1, 2]], [1, 2]), "y_true must have 1 values"),
    ],
)
def test_predictions_that_do_not_fit(arguments, match):
    with pytest.raises(ValueError, match=match):
        QuantileDisplay.from_predictions(*arguments)


def test_estimators_without_quantiles(fan):
    model, frame = fan
    mean = BackpropMLPRegressor(**SMALL).fit(X, NUMBERS)
    with pytest.raises(ValueError, match="fit it with loss='quantile'"):
        QuantileDisplay.from_estimator(mean, X)
    for feature in ("e", 4, -1):
        with pytest.raises(ValueError, match="feature must be a number from 0 to 3"):
            QuantileDisplay.from_estimator(model, frame, feature=feature)


# Importances -----------------------------------------------------------------


def test_importances_are_those_of_sklearn(bag):
    settings = {"n_repeats": 3, "random_state": 0}
    expected = permutation_importance(bag, X, LABELS, **settings).importances
    display = ImportanceDisplay.from_estimator(bag, X, LABELS, **settings)
    assert_array_equal(display.importances, expected)
    order = np.argsort(-expected.mean(axis=1), kind="stable")
    assert_array_equal(display.order_, order)
    labels = [text.get_text() for text in display.ax_.get_yticklabels()]
    assert labels == list(X.columns[order][::-1])
    assert display.ax_.get_xlabel() == "Loss of accuracy when the column is shuffled"
    assert display.ax_.get_title() == "TabularMLPClassifier"
    medians = [line.get_xdata()[0] for line in display.boxes_]
    assert len(medians) == 3


def test_scores_have_names(bag, fan):
    model, frame = fan
    for estimator, table, y, scoring, name in (
        (bag, X, LABELS, "roc_auc", "roc_auc"),
        (bag, X, LABELS, lambda e, X, y: 1.0, "score"),
        (model, frame, NUMBERS, None, "D²"),
        (LinearRegression().fit(X, NUMBERS), X.to_numpy(), NUMBERS, None, "R²"),
    ):
        if isinstance(table, np.ndarray):
            estimator.fit(table, y)
        display = ImportanceDisplay.from_estimator(
            estimator, table, y, scoring=scoring, n_repeats=1
        )
        assert display.ax_.get_xlabel() == f"Loss of {name} when the column is shuffled"


def test_many_columns_and_long_names():
    names = [f"the {i}th of a hundred columns with long names" for i in range(100)]
    table = np.arange(100)[:, None] + np.zeros(5)
    display = ImportanceDisplay.from_importances(
        table, feature_names=names, estimator_name="Me", max_features=10
    )
    assert display.ax_.get_title() == "Me\n10 of 100 columns"
    labels = [text.get_text() for text in display.ax_.get_yticklabels()]
    assert labels[-1] == "the 99th of a …ith long names"
    assert display.order_.tolist() == list(range(99, 89, -1))
    numbered = ImportanceDisplay.from_importances([[0.1, 0.2]])
    assert [t.get_text() for t in numbered.ax_.get_yticklabels()] == ["column 0"]


def test_importances_that_do_not_fit():
    with pytest.raises(ValueError, match=r"shape \(n_features, n_repeats\)"):
        ImportanceDisplay.from_importances([0.1, 0.2])
    with pytest.raises(ValueError, match="feature_names must have 1 names"):
        ImportanceDisplay.from_importances([[0.1]], feature_names=["a", "b"])
    with pytest.raises(ValueError, match="max_features must be at least 1"):
        ImportanceDisplay.from_importances([[0.1]], max_features=0)
