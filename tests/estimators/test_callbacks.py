"""Callbacks: what they are told, and when; that they stop; what a fit keeps of them.

All of this on scikit-learn before 1.9 too, and where its callbacks are missing.

Answers for: _callbacks.py, _callback_tasks.py, callbacks.py.
"""

import copy
import pickle
import tracemalloc
import warnings
import weakref

import numpy as np
import pandas as pd
import polars
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.base import clone

from skbackprop import (
    BackpropMLPClassifier,
    BackpropMLPRegressor,
    Checkpoint,
    TabularMLPClassifier,
    TabularMLPRegressor,
    _callbacks,
    load_model,
    save_model,
)
from skbackprop.callbacks import ValidationMonitor, on_epoch_end

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
RNG = np.random.default_rng(0)
X = pd.DataFrame(RNG.normal(size=(120, 4)), columns=list("abcd"))
Y = np.where(X["a"] + X["b"] ** 2 > 0.5, "yes", "no")
WEIGHTS = RNG.integers(1, 4, size=120).astype(float)
SMALL = {"hidden_layer_sizes": (5,), "batch_size": 30, "random_state": 0, "max_iter": 4}
FAST = {"preset": "fast", "n_folds": 3, "random_state": 0, "max_iter": 4}
FAMILIES = {
    BackpropMLPClassifier: SMALL,
    BackpropMLPRegressor: SMALL,
    TabularMLPClassifier: FAST,
    TabularMLPRegressor: FAST,
}
every_family = pytest.mark.parametrize("family", FAMILIES)


def is_bag(family):
    return "Tabular" in family.__name__


def model_of(family, *callbacks, **parameters):
    return family(**{**FAMILIES[family], **parameters}).set_callbacks(*callbacks)


def y_of(family):
    return X["a"] * X["b"] if "Regressor" in family.__name__ else Y


class Noting:
    """A callback of scikit-learn's protocol, which notes what it is told."""

    def __init__(self, stop_at=None, fail_at=None):
        self.told, self.rows, self.fitted = [], {}, {}
        self.stop_at, self.fail_at = stop_at, fail_at
        self.ends = []

    def setup(self, estimator, context):
        self.told.append(("setup", self.path(context)))

    def teardown(self, estimator, context):
        self.told.append(("teardown", self.path(context)))

    def on_fit_task_begin(self, estimator, context, *, X, y, metadata):
        self.told.append(("begin", self.path(context)))

    def on_fit_task_end(
        self, estimator, context, *, X, y, metadata, fitted_estimator=None
    ):
        path = self.path(context)
        self.told.append(("end", path))
        self.rows[path] = X, y, metadata
        self.fitted[path] = fitted_estimator
        self.ends.append(context)
        if path[-1] == self.fail_at:
            raise RuntimeError("of mine")
        return path[-1] == self.stop_at

    @staticmethod
    def path(context):
        """Names and numbers of a task, from the fit down."""
        path = []
        while context is not None:
            path.insert(0, (context.task_name, context.task_id))
            context = context.parent
        return tuple(path)


FIT = ("fit", 0)


def below(told, *parents):
    """What was told of the tasks directly below some task, in order."""
    depth = len(parents) + 1
    return [
        (what, path[-1])
        for what, path in told
        if len(path) == depth and path[:-1] == parents
    ]


def begin_and_end(name, count):
    tasks = [(name, number) for number in range(count)]
    return [(what, task) for task in tasks for what in ("begin", "end")]


# What is told ----------------------------------------------------------------


@every_family
def test_tasks_are_told_in_order(family):
    noting = Noting()
    model_of(family, noting).fit(X, y_of(family))
    assert noting.told[:2] == [("setup", (FIT,)), ("begin", (FIT,))]
    assert noting.told[-2:] == [("end", (FIT,)), ("teardown", (FIT,))]
    if not is_bag(family):
        assert below(noting.told[2:-2], FIT) == begin_and_end("epoch", 4)
        return
    networks = below(noting.told[2:-2], FIT)
    assert sorted(networks) == sorted(begin_and_end("network", 3))
    for network in range(3):
        epochs = below(noting.told, FIT, ("network", network))
        assert epochs == begin_and_end("epoch", 4)
        mine = [what for what in noting.told if ("network", network) in what[1]]
        assert mine[0][0] == "begin" and mine[-1][0] == "end"
        assert len(mine[0][1]) == len(mine[-1][1]) == 2


def test_tasks_know_how_many_there_may_be():
    noting = Noting()
    model_of(TabularMLPClassifier, noting).fit(X, Y)
    sizes = {(c.task_name, c.max_subtasks, c.sequential_subtasks) for c in noting.ends}
    assert sizes == {("fit", 3, False), ("network", 4, True), ("epoch", 0, True)}
    assert len({c.root_uuid for c in noting.ends}) == 1


def test_lbfgs_tells_iterations():
    noting = Noting()
    model = model_of(BackpropMLPClassifier, noting, solver="lbfgs").fit(X, Y)
    assert model.n_iter_ == 4
    assert below(noting.told[2:-2], FIT) == begin_and_end("iteration", 4)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_rows_are_those_that_train(early_stopping):
    noting = Noting()
    model_of(BackpropMLPClassifier, noting, early_stopping=early_stopping).fit(
        X, Y, WEIGHTS
    )
    rows, y, metadata = noting.rows[FIT, ("epoch", 1)]
    assert len(rows) == len(y) == len(metadata["sample_weight"])
    assert len(rows) == (108 if early_stopping else 120)
    assert_array_equal(rows, X.loc[rows.index])
    assert_array_equal(y, Y[rows.index])
    assert_array_equal(metadata["sample_weight"], WEIGHTS[rows.index])
    assert noting.rows[(FIT,)][0] is X


@pytest.mark.parametrize(
    "container", ["frame", "array", "list", "csr", "bsr", "polars"]
)
def test_rows_of_any_container(container):
    given = {
        "frame": X,
        "array": X.to_numpy(),
        "list": X.to_numpy().tolist(),
        "csr": sparse.csr_array(X.to_numpy()),
        "bsr": sparse.bsr_array(X.to_numpy()),
        "polars": polars.DataFrame(X.to_dict("list")),
    }[container]
    noting = Noting()
    model = model_of(BackpropMLPClassifier, noting, early_stopping=True)
    model.fit(given, Y)
    rows, y, _ = noting.rows[FIT, ("epoch", 3)]
    assert np.shape(rows) == (108, 4)
    assert noting.fitted[FIT, ("epoch", 3)].score(rows, y) > 0


def test_members_have_rows_of_their_own():
    noting = Noting()
    model_of(TabularMLPClassifier, noting).fit(X, Y)
    seen = [
        set(noting.rows[FIT, ("network", n), ("epoch", 0)][0].index) for n in range(3)
    ]
    assert [len(rows) for rows in seen] == [80, 80, 80]
    assert set.union(*seen) == set(range(120)) and not set.intersection(*seen)


def test_rows_of_a_network_go_with_it():
    rows, alive = {}, []

    @on_epoch_end
    def look(epoch):
        rows[epoch.network] = weakref.ref(epoch.training_data().X)
        assert epoch.training_data().X is rows[epoch.network]()
        alive.append([number for number, ref in rows.items() if ref() is not None])

    model_of(TabularMLPClassifier, look, n_jobs=1).fit(X, Y)
    assert alive == [[0]] * 4 + [[1]] * 4 + [[2]] * 4


def test_an_unknown_keyword_is_refused():
    class Wrong(Noting):
        def on_fit_task_begin(self, estimator, context, *, loss):
            pass

    with pytest.raises(TypeError, match="loss"):
        model_of(BackpropMLPClassifier, Wrong()).fit(X, Y)


# Fitted copies ---------------------------------------------------------------


@every_family
def test_fitted_copies_are_those_of_their_epoch(family):
    noting, y = Noting(), y_of(family)
    alone = {"n_folds": 1} if is_bag(family) else {}
    model = model_of(family, noting, **alone).fit(X, y)
    network = [("network", 0)] if is_bag(family) else []
    ends = [noting.fitted[FIT, *network, ("epoch", n)].predict(X) for n in range(4)]
    best = model.best_epochs_[0] if is_bag(family) else 4
    assert_array_equal(ends[best - 1], model.predict(X))
    assert_array_equal(noting.fitted[(FIT,)].predict(X), model.predict(X))
    shorter = model_of(family, max_iter=1).fit(X, y)
    if not is_bag(family):
        assert_array_equal(ends[0], shorter.predict(X))


def test_a_fitted_copy_neither_shares_nor_loses_parameters():
    """Also where the estimator had been fitted before."""
    noting = Noting()
    model = model_of(BackpropMLPClassifier, noting).fit(X, Y)
    model.fit(X, Y)
    fitted = noting.fitted[FIT, ("epoch", 3)]
    assert fitted.coefs_[0].base is fitted._theta.theta
    assert fitted._known() is not None
    expected = model.predict_proba(X)
    fitted.coefs_[0][:] = 0
    assert_array_equal(model.predict_proba(X), expected)
    assert not np.array_equal(fitted.predict_proba(X), expected)


def test_a_shallow_copy_has_parameters_of_its_own():
    model = model_of(BackpropMLPClassifier).fit(X, Y)
    expected, twin = model.predict_proba(X), copy.copy(model)
    twin.coefs_[0][:] = 0
    assert twin.coefs_[0].base is twin._theta.theta
    assert_array_equal(model.predict_proba(X), expected)
    assert not np.array_equal(twin.predict_proba(X), expected)


# Stopping and failing --------------------------------------------------------


@every_family
@pytest.mark.parametrize("ours", [False, True])
def test_a_true_answer_stops(family, ours):
    callback = on_epoch_end(lambda epoch: epoch.number == 2)
    if not ours:
        callback = Noting(stop_at=("epoch", 1))
    model = model_of(family, callback, n_jobs=1) if is_bag(family) else None
    model = model or model_of(family, callback)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a ConvergenceWarning too
        model.fit(X, y_of(family))
    assert model.n_iter_ == 2
    if is_bag(family):
        assert [len(scores) for scores in model.validation_scores_] == [2, 2, 2]


def test_stopping_keeps_the_best_epoch():
    seen = {}

    @on_epoch_end
    def after_three_worse(epoch):
        seen[epoch.number] = epoch.validation_score, epoch.fitted_estimator()
        best = max(seen, key=lambda number: seen[number][0])
        return epoch.number >= best + 3

    model = BackpropMLPClassifier(
        early_stopping=True, n_iter_no_change=100, random_state=1, max_iter=200
    ).set_callbacks(after_three_worse)
    model.fit(X, Y)
    best = max(seen, key=lambda number: seen[number][0])
    assert model.n_iter_ == best + 3 < 200
    assert model.best_validation_score_ == seen[best][0]
    assert_array_equal(model.predict_proba(X), seen[best][1].predict_proba(X))


@pytest.mark.parametrize("verbose", [False, True])
def test_a_network_may_be_the_last(verbose):
    noting = Noting(stop_at=("network", 0))
    model = model_of(TabularMLPClassifier, noting, n_jobs=1, verbose=verbose).fit(X, Y)
    assert model.n_networks_ == 1
    assert model.predict_proba(X).shape == (120, 2)


@every_family
@pytest.mark.parametrize("place", ["setup", "epoch", "fit", "ours"])
def test_an_exception_leaves_the_estimator_as_it_was(family, place):
    def fail(*_, **__):
        raise RuntimeError("of mine")

    noting = Noting(fail_at={"epoch": ("epoch", 1), "fit": FIT}.get(place))
    others = [on_epoch_end(fail)] if place == "ours" else []
    model = model_of(family).fit(X, y_of(family))
    before = dict(model.__dict__)
    model.set_callbacks(noting, *others)
    if place == "setup":
        noting.setup = fail
    with pytest.raises(RuntimeError, match="of mine"):
        model.fit(X, y_of(family))
    after = dict(model.__dict__)
    assert after.pop("_skl_callbacks") == [noting, *others]
    assert after == before or all(after[name] is before[name] for name in before)
    assert noting.told[-1] == ("teardown", (FIT,))
    assert sum(what == "teardown" for what, _ in noting.told) == 1


@every_family
def test_nothing_of_a_fit_is_left(family):
    fitted, y = [], y_of(family)
    keep = on_epoch_end(lambda epoch: fitted.append(epoch.fitted_estimator()))
    model = model_of(family, Noting(), keep).fit(X, y)
    plain = model_of(family).fit(X, y)
    assert {*model.__dict__} - {*plain.__dict__} == {"_skl_callbacks"}
    assert {*fitted[0].__dict__} <= {*plain.__dict__}


def test_partial_fit_tells_nobody():
    noting = Noting()
    model_of(BackpropMLPClassifier, noting).partial_fit(X, Y, classes=["no", "yes"])
    assert noting.told == []


# Setting, clones, pickles, files ---------------------------------------------


@every_family
def test_callbacks_are_set_and_cleared(family):
    noting = Noting()
    model = model_of(family, noting)
    assert model.set_callbacks() is model
    model.fit(X, y_of(family))
    assert noting.told == []
    assert "callbacks" not in model.get_params() and "allback" not in repr(model)


@pytest.mark.parametrize("wrong", [print, 3, Noting, "ProgressBar"])
def test_what_is_no_callback_is_refused(wrong):
    with pytest.raises(TypeError, match="callbacks must be instances"):
        BackpropMLPClassifier().set_callbacks(wrong)


@every_family
def test_clones_and_pickles_keep_callbacks(family):
    noting = Noting()
    model = model_of(family, noting)
    clone(model).fit(X, y_of(family))
    assert noting.told
    model.fit(X, y_of(family))
    again = pickle.loads(pickle.dumps(model))
    count = len(again._skl_callbacks[0].told)
    again.fit(X, y_of(family))
    assert len(again._skl_callbacks[0].told) == 2 * count - count // 2
    assert not hasattr(clone(model_of(family)), "_skl_callbacks")


@every_family
def test_no_file_has_callbacks(family, tmp_path):
    """A callback may hold secrets: scikit-learn's hold the key of a socket."""
    secret = Noting()
    secret.secret = "a secret of mine"
    y, path = y_of(family), tmp_path / "checkpoint"
    model = model_of(family, secret, ValidationMonitor() if is_bag(family) else secret)
    model.fit(X, y, checkpoint=Checkpoint(path, every=1))
    save_model(model, tmp_path / "model")
    for file in ("checkpoint", "model"):
        data = (tmp_path / file).read_bytes()
        assert b"a secret" not in data and b"callback" not in data
    assert not hasattr(load_model(tmp_path / "model"), "_skl_callbacks")
    # The same fit, whoever watches it.
    again = model_of(family).fit(X, y, checkpoint=Checkpoint(path))
    assert_array_equal(again.predict(X), model.predict(X))


@every_family
def test_callbacks_change_no_bit(family):
    y = y_of(family)
    told = []
    ours = on_epoch_end(lambda epoch: told.append(epoch.validation_data()))
    watched = model_of(family, Noting(), ours)
    assert_array_equal(
        watched.fit(X, y).predict(X), model_of(family).fit(X, y).predict(X)
    )


# Where nobody watches --------------------------------------------------------


def test_nobody_costs_nothing():
    model = BackpropMLPClassifier()
    assert model._reporter(X, Y, None) is None
    assert model.set_callbacks(Noting())._reporter(X, Y, None) is not None
    assert model.set_callbacks()._reporter(X, Y, None) is None


def traced(*callbacks):
    """The memory that an epoch of a fit leaves behind, where callbacks are made."""
    files = ["*callback*"]
    filters = [tracemalloc.Filter(True, file) for file in files]
    found = []

    @on_epoch_end
    def look(epoch):
        if epoch.number in (50, 450):
            taken = tracemalloc.take_snapshot().filter_traces(filters)
            found.append(sum(each.size for each in taken.statistics("filename")))

    model = BackpropMLPRegressor(
        hidden_layer_sizes=2, max_iter=450, tol=0, n_iter_no_change=500, random_state=0
    )
    tracemalloc.start()
    try:
        model.set_callbacks(look, *callbacks).fit(X[:20], X["a"][:20])
    finally:
        tracemalloc.stop()
    return (found[1] - found[0]) / 400


def test_no_memory_for_an_epoch():
    """Ours keep none, and scikit-learn is not asked for tasks that nobody looks at."""
    assert traced() < 1
    assert traced(on_epoch_end(lambda epoch: None)) < 1


def test_the_private_name_is_known():
    """If this fails, _PLACE of _callbacks.py has another name in this scikit-learn."""
    _callbacks._place_is_known.cache_clear()
    assert _callbacks._place_is_known()


def test_without_the_private_name_callbacks_are_told(monkeypatch):
    monkeypatch.setattr(_callbacks, "_PLACE", "_another_name")
    _callbacks._place_is_known.cache_clear()
    try:
        noting, epochs = Noting(), []
        model = model_of(TabularMLPClassifier, noting, on_epoch_end(epochs.append))
        model.fit(X, Y)
        assert below(noting.told, FIT, ("network", 1)) == begin_and_end("epoch", 4)
        assert len(epochs) == 12
        assert model_of(BackpropMLPClassifier).fit(X, Y).n_iter_ == 4
    finally:
        _callbacks._place_is_known.cache_clear()
