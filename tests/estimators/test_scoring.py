"""Scorers of validation rows: all have every class they can, or one error says why.

Answers for: _scoring.py, _splits.py, _validation.py, tabular/_base.py, _metrics.py.
"""

import copy
import warnings

import numpy as np
import pytest
from helpers import QUICK
from numpy.testing import assert_array_equal
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import (
    get_scorer,
    get_scorer_names,
    log_loss,
    make_scorer,
    roc_auc_score,
)
from sklearn.model_selection import train_test_split

from skbackprop import (
    BackpropMLPClassifier,
    BackpropMLPRegressor,
    TabularMLPClassifier,
    TabularMLPRegressor,
    __version__,
    _base,
)
from skbackprop._scoring import _OF_PROBABILITIES, scorer_of
from skbackprop._splits import draw_split
from skbackprop.tabular import _ensemble

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    # Of scikit-learn's metrics, and of no account here.
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

N = 120
X = np.random.default_rng(0).normal(size=(N, 3))
THIRDS = np.digitize(X[:, 0], [-0.5, 0.5])


def backprop(**parameters):
    return BackpropMLPClassifier(early_stopping=True, **QUICK | parameters)


def tabular(**parameters):
    return TabularMLPClassifier(preset="fast", **QUICK | parameters)


CLASSIFIERS = pytest.mark.parametrize("make", [backprop, tabular])


def scores_of(model):
    curves = np.ravel(model.validation_scores_)
    return [float(score) for score in curves]


@pytest.fixture
def begun(monkeypatch):
    """The trainings that have begun."""
    calls = []
    for module, name in ((_base, "train"), (_ensemble, "train_member")):
        train = getattr(module, name)

        def noting(*args, train=train, **kwargs):
            calls.append(args)
            return train(*args, **kwargs)

        monkeypatch.setattr(module, name, noting)
    return calls


TARGETS = {
    "two": (THIRDS > 0).astype(int),
    "two of text": np.where(THIRDS > 0, "yes", "no"),
    "three": THIRDS,
    "three of text": np.array(["a", "b", "c"])[THIRDS],
    "labels": (X > 0).astype(int),
    "few of two": (np.arange(N) < 3).astype(int),
    "few of three": np.where(np.arange(N) < 3, 2, np.arange(N) % 2),
}
EVERYWHERE = {"accuracy", "f1_macro", "f1_micro", "neg_log_loss", "recall_weighted"}
ONE_LABEL = {"balanced_accuracy", "matthews_corrcoef", "top_k_accuracy", "rand_score"}
AREAS = {"roc_auc_ovr", "roc_auc_ovo", "roc_auc_ovr_weighted", "roc_auc_ovo_weighted"}
MUST = {
    "two": EVERYWHERE | ONE_LABEL | AREAS | {"roc_auc", "f1", "average_precision"},
    "two of text": EVERYWHERE | ONE_LABEL | AREAS | {"roc_auc"},
    "three": EVERYWHERE | ONE_LABEL | AREAS | {"neg_brier_score"},
    "three of text": EVERYWHERE | ONE_LABEL | AREAS | {"average_precision"},
    "labels": EVERYWHERE | {"roc_auc", "f1_samples", "average_precision"},
}
MUST |= {"few of two": MUST["two"], "few of three": MUST["three"]}


@CLASSIFIERS
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", TARGETS)
def test_every_name_scores_or_is_refused_before_training(make, kind, begun):
    refused = set()
    few_folds = {"n_folds": 2} if make is tabular and "few" not in kind else {}
    for name in get_scorer_names():
        model = make(scoring=name, max_iter=1, **few_folds)
        begun.clear()
        try:
            model.fit(X, TARGETS[kind])
        except ValueError as error:
            assert str(error).startswith(
                f"scoring={name!r} cannot score a {model.__class__.__name__}"
            )
            assert not begun and vars(model) == model.get_params()
            refused.add(name)
        else:
            # Positive likelihood ratios are infinite where nothing is wrong.
            assert np.isfinite(scores_of(model)).all() or "likelihood" in name
    wanted = MUST[kind] & set(get_scorer_names())
    assert not wanted & refused
    assert "f1_samples" in refused or kind == "labels"


@CLASSIFIERS
def test_names_with_labels_are_the_names(make):
    for y in (THIRDS, THIRDS > 0):
        model = make().fit(X, y)
        for name in _OF_PROBABILITIES.keys() & set(get_scorer_names()):
            model.set_params(scoring=name)
            expected = get_scorer(name)(model, X, y.astype(int))
            assert scorer_of(model, model.scoring)(model, X, y) == expected, name


@pytest.mark.parametrize(
    "name", sorted(_OF_PROBABILITIES.keys() & set(get_scorer_names()))
)
def test_a_rare_class_is_held_out_for_any_seed(name):
    y = np.repeat(["a", "b", "rare"], [60, 55, 5])
    for seed in range(20):
        model = backprop(scoring=name, random_state=seed, max_iter=1).fit(X, y)
        assert np.isfinite(scores_of(model)).all()


@pytest.mark.parametrize("seed", range(40))
def test_a_split_with_every_class(seed):
    rng = np.random.RandomState(seed)
    counts = rng.geometric(rng.uniform(0.01, 0.2), size=rng.randint(3, 7))
    counts[0] += 20  # room for a row of every class
    labels = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    n = len(labels)
    fraction = rng.uniform(len(counts) / n, 0.6)
    n_test = int(np.ceil(fraction * n))
    train, test = draw_split(n, fraction, labels, np.random.RandomState(seed), True)
    assert len(test) == n_test
    assert_array_equal(np.sort(np.r_[train, test]), np.arange(n))
    ours = [np.bincount(labels[part], minlength=len(counts)) for part in (train, test)]
    assert (ours[0] > 0).all()
    assert (ours[1][counts > 1] > 0).all()
    if counts.min() < 2:
        return
    # It is scikit-learn's wherever that has every class on both sides.
    theirs = train_test_split(
        np.arange(n),
        test_size=fraction,
        stratify=labels,
        random_state=np.random.RandomState(seed),
    )
    if all(len(set(labels[part])) == len(counts) for part in theirs):
        assert_array_equal(train, theirs[0])
        assert_array_equal(test, theirs[1])


def held_out(model, y):
    """The rows that a fit sets aside."""
    seen = []

    class Noting(BackpropMLPClassifier):
        def _train(self, problem, state, *rest):
            seen.append(sorted(set(range(len(y))) - set(state.order)))
            return super()._train(problem, state, *rest)

    model.__class__ = Noting
    model.fit(X, y)
    model.__class__ = BackpropMLPClassifier
    return seen[0]


def test_without_scoring_three_classes_are_split_as_in_scikit_learn():
    drawn = held_out(backprop(), THIRDS)
    stratified = held_out(backprop(scoring="accuracy"), THIRDS)
    loss = held_out(backprop(scoring="loss"), THIRDS)
    assert drawn != stratified == loss
    for binary in (None, "loss", "roc_auc"):
        assert held_out(backprop(scoring=binary), THIRDS > 0) == held_out(
            backprop(), THIRDS > 0
        )


@pytest.mark.parametrize("first", [None, "loss"])
def test_a_warm_fit_keeps_its_split_under_another_scoring(first):
    """No training row may become one that validates."""
    model = backprop(scoring=first, warm_start=True)
    rows = held_out(model, THIRDS)
    model.set_params(scoring="accuracy" if first is None else None)
    assert held_out(model, THIRDS) == rows


def test_a_warm_fit_keeps_the_split_of_0_1_0():
    model = backprop(warm_start=True)
    rows = held_out(model, THIRDS)
    state = model.__getstate__()
    stream, every_class = state["_training_state"]["split_stream"]
    assert not every_class
    state["_training_state"]["split_stream"] = stream  # as 0.1.0 pickled it
    model.__setstate__(state | {"_skbackprop_version": __version__})
    model.set_params(scoring="accuracy")
    assert held_out(model, THIRDS) == rows


def auc(estimator, data, y):
    return roc_auc_score(y, estimator.predict_proba(data), multi_class="ovr")


CALLABLES = {
    "function": auc,
    "scorer": make_scorer(
        log_loss, greater_is_better=False, response_method="predict_proba"
    ),
    "nan": lambda estimator, data, y: float(len(set(y)) > 2) or np.nan,
}
RARE = np.repeat(["a", "b", "rare"], [60, 59, 1])
FEW = np.repeat(["a", "b", "few"], [60, 56, 4])


@pytest.mark.parametrize("kind", CALLABLES)
def test_a_callable_that_cannot_do_without_a_class(kind, begun):
    words = r"cannot score validation rows without class 'rare', which 1 of 120 rows "
    for make in (backprop, tabular):
        model = make().fit(X, THIRDS)
        before = dict(vars(model))
        model.set_params(scoring=CALLABLES[kind])
        begun.clear()
        with pytest.raises(ValueError, match=words + "of y have: pass X_val and y_val"):
            model.fit(X, RARE)
        assert not begun
        assert vars(model) == before | {"scoring": CALLABLES[kind]}


def test_a_callable_that_can_do_without_a_class():
    calls = []

    def accuracy(estimator, data, y):
        calls.append(len(y))
        return np.mean(estimator.predict(data) == y)

    # A part that lacks the class is tried once: of eight all but two, since there are
    # four folds dealt twice.
    for make, lacking in ((backprop, 1), (tabular, 6)):
        calls.clear()
        model = make(scoring=accuracy).fit(X, RARE)
        assert len(calls) == len(scores_of(model)) + lacking
        calls.clear()
        model.fit(X, THIRDS)
        assert len(calls) == len(scores_of(model))


@pytest.mark.parametrize("few", ["few", "A few"])  # dealt to the last folds, the first
@pytest.mark.parametrize("name", ["roc_auc_ovr", "average_precision"])
def test_no_more_folds_than_rows_of_the_rarest_class(name, few, monkeypatch):
    y = np.where(FEW == "few", few, FEW)
    parts = []
    train = _ensemble.train_member

    def noting(topology, recipe, table, rows, *rest):
        parts.append(np.setdiff1d(np.arange(N), rows))
        return train(topology, recipe, table, rows, *rest)

    monkeypatch.setattr(_ensemble, "train_member", noting)
    model = tabular(scoring=name, n_repeats=2).fit(X, y)
    assert model.n_networks_ == len(parts) == 8
    assert model.recipe_["n_folds"] == 4
    assert all(set(y[part]) == set(y) for part in parts)
    with pytest.raises(ValueError, match=rf"'{few}', .* take n_folds=4 or fewer, pass"):
        tabular(scoring=name, n_folds=8).fit(X, y)
    assert tabular(scoring=name, n_folds=4).fit(X, y).n_networks_ == 4


def test_folds_stay_where_the_scorer_can_do_without_a_class():
    for name in ("loss", "accuracy", "neg_log_loss", "f1_macro"):
        model = tabular(scoring=name).fit(X, FEW)
        assert model.n_networks_ == 2 * model.recipe_["n_folds"] == 8


def test_rows_of_weight_0_are_no_rows():
    w = np.ones(N)
    w[np.flatnonzero(FEW == "few")[:2]] = 0
    model = tabular(scoring="roc_auc_ovr").fit(X, FEW, w)
    assert model.recipe_["n_folds"] == 2
    w[FEW == "few"] = 0
    model = tabular(scoring="roc_auc", random_state=1)
    with pytest.raises(ValueError, match="roc_auc"):
        model.fit(X, FEW, w)
    with pytest.raises(ValueError, match=r"without class 'few', which 4 of 120 rows"):
        tabular(scoring="roc_auc_ovr").fit(
            X, FEW, X_val=X, y_val=FEW, sample_weight_val=w
        )


def test_rows_to_validate_on_of_weight_0_are_not_scored():
    seen = []

    def counting(estimator, data, y):
        seen.append(len(data) == len(y) == 70)
        return 0.5

    w = np.r_[np.zeros(50), np.ones(70)]
    tabular(scoring=counting).fit(X, THIRDS, X_val=X, y_val=THIRDS, sample_weight_val=w)
    assert seen and all(seen)


@CLASSIFIERS
def test_validation_data_that_lack_a_class(make):
    some = THIRDS < 2
    data = {"X_val": X[some], "y_val": THIRDS[some]}
    for name in ("neg_log_loss", "roc_auc_ovo", "top_k_accuracy", "accuracy"):
        assert np.isfinite(scores_of(make(scoring=name).fit(X, THIRDS, **data))).all()
    for scoring in ("roc_auc_ovr", auc):
        with pytest.raises(
            ValueError,
            match=r"without class 2, which \d+ of 120 .*give X_val and y_val",
        ):
            make(scoring=scoring).fit(X, THIRDS, **data)
    labels = (X > 0).astype(int)
    few = labels[:, 1] == 0
    with pytest.raises(ValueError, match=r"without 1 in column 1, which \d+ of 120"):
        make(scoring="roc_auc").fit(X, labels, X_val=X[few], y_val=labels[few])
    with pytest.raises(ValueError, match=r"without 0 in column 1, which \d+ of 120"):
        make(scoring="roc_auc").fit(X, labels, X_val=X[~few], y_val=labels[~few])


def test_warnings_that_the_user_makes_errors():
    """They end no trial, but a score of an epoch."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Only one class is present")
        with pytest.raises(ValueError, match="without class 2"):
            tabular(scoring="roc_auc_ovr", n_folds=8).fit(X, TARGETS["few of three"])
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Precision is ill-defined")
        with pytest.raises(UndefinedMetricWarning):  # from the first epoch, not before
            backprop(scoring="precision_macro", learning_rate_init=1e-9).fit(X, THIRDS)


@pytest.mark.parametrize("seed", range(8))
def test_a_metric_may_mind_what_is_not_learnt_yet(seed):
    """Half of all first networks predict negative numbers for these."""
    y = 50 + X[:, 0]
    model = BackpropMLPRegressor(
        scoring="neg_mean_poisson_deviance",
        early_stopping=True,
        max_iter=20,
        batch_size=5,
        learning_rate_init=0.05,
        random_state=seed,
    )
    assert model.fit(np.abs(X), y).best_validation_score_ > -5


def test_a_regressor_has_no_metric_of_classes():
    for model, words in (
        (BackpropMLPRegressor(early_stopping=True), "continuous is not supported"),
        (TabularMLPRegressor(), "continuous is not supported"),
    ):
        with pytest.raises(ValueError, match=words):
            model.set_params(scoring="accuracy").fit(X, X[:, 0])
        assert vars(model) == model.get_params()


SPLITS = {
    "one row": (
        np.array(["rare", *["common"] * 59]),
        {},
        r"only one row of class 'rare'. Pass X_val",
    ),
    "two rows": (
        np.arange(60) % 2,
        {"validation_fraction": 0.01},
        r"0\.01 of n_samples=60 is 1",
    ),
    "nothing": (
        np.arange(60) % 3,
        {"validation_fraction": 0},
        r"Increase 'validation_f.*: 0 of",
    ),
    "all": (
        np.arange(60) % 3,
        {"validation_fraction": 0.999},
        "leaves none to train on",
    ),
    "all but one": (
        np.arange(60) % 2,
        {"validation_fraction": 0.98},
        "is 59 to validate on and 1 to train on",
    ),
}


@pytest.mark.parametrize("kind", SPLITS)
def test_splits_that_cannot_be(kind):
    y, parameters, words = SPLITS[kind]
    for scoring in (None, "accuracy"):
        with pytest.raises(ValueError, match=words):
            backprop(scoring=scoring, **parameters).fit(X[:60], y)


def test_the_estimator_of_a_trial_is_another():
    """The scorer of a member does not see the theta of the trial."""
    model = tabular(scoring="accuracy", n_folds=2)
    other = copy.deepcopy(model).fit(X, THIRDS)
    again = model.fit(X, THIRDS)
    assert_array_equal(other.predict_proba(X), again.predict_proba(X))
