"""Early stopping: own validation data, scorers, and what is restored.

Answers for: _splits.py, _validation.py, _training.py.
"""

import pickle
import tracemalloc

import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skbackprop import BackpropMLPClassifier, BackpropMLPRegressor
from skbackprop._splits import draw_split

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = make_classification(
    200, 6, n_informative=4, n_classes=3, flip_y=0.1, random_state=0
)
TRAIN, VAL, Y_TRAIN, Y_VAL = train_test_split(X, Y, random_state=0)
SETTINGS = {
    "early_stopping": True,
    "max_iter": 15,
    "random_state": 0,
    "learning_rate_init": 0.01,
}


def test_own_validation_data_trains_on_all_rows():
    model = BackpropMLPClassifier(**SETTINGS).fit(
        TRAIN, Y_TRAIN, X_val=VAL, y_val=Y_VAL
    )
    assert model.t_ == model.n_iter_ * len(TRAIN)
    plain = BackpropMLPClassifier(**SETTINGS | {"early_stopping": False})
    best = int(np.argmax(model.validation_scores_)) + 1
    plain.set_params(max_iter=best).fit(TRAIN, Y_TRAIN)
    assert_array_equal(model.coefs_[0], plain.coefs_[0])
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert_allclose(model.score(VAL, Y_VAL), model.best_validation_score_)
    assert model.best_loss_ is None


def test_validation_weights():
    w = np.linspace(0, 5, len(VAL))
    model = BackpropMLPClassifier(**SETTINGS).fit(
        TRAIN, Y_TRAIN, X_val=VAL, y_val=Y_VAL, sample_weight_val=w
    )
    assert_allclose(model.score(VAL, Y_VAL, w), model.best_validation_score_)
    assert model.best_validation_score_ != model.score(VAL, Y_VAL)


def test_loss_as_score():
    model = BackpropMLPClassifier(scoring="loss", **SETTINGS).fit(
        TRAIN, Y_TRAIN, X_val=VAL, y_val=Y_VAL
    )
    expected = -log_loss(Y_VAL, model.predict_proba(VAL))
    assert_allclose(model.best_validation_score_, expected, rtol=1e-9)
    regressor = BackpropMLPRegressor(scoring="loss", **SETTINGS)
    regressor.fit(TRAIN, Y_TRAIN, X_val=VAL, y_val=Y_VAL)
    half = -0.5 * np.mean((regressor.predict(VAL) - Y_VAL) ** 2)
    assert_allclose(regressor.best_validation_score_, half, rtol=1e-9)


def test_a_scorer_by_name_or_as_a_callable():
    by_name = BackpropMLPClassifier(scoring="neg_log_loss", **SETTINGS)
    by_name.fit(TRAIN, Y_TRAIN, X_val=VAL, y_val=Y_VAL)

    def scorer(estimator, data, y):
        return -log_loss(y, estimator.predict_proba(data))

    by_call = BackpropMLPClassifier(scoring=scorer, **SETTINGS)
    by_call.fit(TRAIN, Y_TRAIN, X_val=VAL, y_val=Y_VAL)
    as_loss = BackpropMLPClassifier(scoring="loss", **SETTINGS)
    as_loss.fit(TRAIN, Y_TRAIN, X_val=VAL, y_val=Y_VAL)
    assert_allclose(by_name.validation_scores_, by_call.validation_scores_)
    assert_allclose(by_name.validation_scores_, as_loss.validation_scores_, rtol=1e-9)
    # The split that fit makes itself goes to a scorer too.
    split = BackpropMLPClassifier(scoring="accuracy", **SETTINGS).fit(X, Y > 0)
    default = BackpropMLPClassifier(**SETTINGS).fit(X, Y > 0)
    assert_allclose(split.validation_scores_, default.validation_scores_)


def test_string_labels_reach_the_scorer():
    labels = np.array(["x", "y", "y"])[Y]
    scores = [
        BackpropMLPClassifier(scoring=scoring, **SETTINGS)
        .fit(pd.DataFrame(X).add_prefix("c"), labels)
        .validation_scores_
        for scoring in (None, "accuracy")
    ]
    assert_allclose(*scores)


@pytest.mark.parametrize(
    ("parameters", "given", "words"),
    [
        ({"early_stopping": False}, {"X_val": VAL, "y_val": Y_VAL}, "early_stopping"),
        ({}, {"X_val": VAL}, "together"),
        ({}, {"y_val": Y_VAL}, "together"),
        ({}, {"sample_weight_val": np.ones(len(VAL))}, "together"),
        ({}, {"X_val": VAL[:, :2], "y_val": Y_VAL}, "features"),
        ({}, {"X_val": VAL, "y_val": Y_VAL[1:]}, "inconsistent"),
        ({}, {"X_val": VAL, "y_val": Y_VAL + 1}, "classes not in"),
        (
            {},
            {"X_val": VAL, "y_val": Y_VAL, "sample_weight_val": np.ones(3)},
            "sample_weight_val",
        ),
        ({"solver": "lbfgs"}, {"X_val": VAL, "y_val": Y_VAL}, "stochastic solver"),
        (
            {"class_weight": {0: 1.0, 1: 0.0, 2: 0.0}},
            {"X_val": VAL[Y_VAL > 0], "y_val": Y_VAL[Y_VAL > 0]},
            "validation rows sum to zero",
        ),
        ({"scoring": "nonsense"}, {}, "The 'scoring' parameter"),
        ({"validation_fraction": 0.001}, {}, "validation set is too small"),
    ],
)
def test_what_is_refused(parameters, given, words):
    model = BackpropMLPClassifier(**SETTINGS | parameters)
    with pytest.raises(ValueError, match=words):
        model.fit(TRAIN, Y_TRAIN, **given)
    assert not hasattr(model, "coefs_")


@pytest.mark.skipif(
    tuple(map(int, sklearn.__version__.split(".")[:2])) < (1, 6),
    reason="transform_input is new in 1.6",
)
def test_validation_data_through_a_pipeline():
    with sklearn.config_context(enable_metadata_routing=True):
        mlp = BackpropMLPClassifier(**SETTINGS).set_fit_request(X_val=True, y_val=True)
        pipeline = make_pipeline(StandardScaler(), mlp, transform_input=["X_val"])
        pipeline.fit(TRAIN, Y_TRAIN, X_val=VAL, y_val=Y_VAL)
    scaler = StandardScaler().fit(TRAIN)
    alone = BackpropMLPClassifier(**SETTINGS).fit(
        scaler.transform(TRAIN), Y_TRAIN, X_val=scaler.transform(VAL), y_val=Y_VAL
    )
    assert pipeline[-1].validation_scores_ == alone.validation_scores_


def test_scores_that_are_no_numbers():
    """They are no improvement, and the last epoch is kept, with a warning."""
    model = BackpropMLPClassifier(
        **SETTINGS | {"scoring": lambda *_: np.nan, "n_iter_no_change": 3}
    )
    with pytest.warns(ConvergenceWarning, match="No validation score was a finite"):
        model.fit(TRAIN, Y_TRAIN, X_val=VAL, y_val=Y_VAL)
    assert model.n_iter_ == 4
    plain = BackpropMLPClassifier(**SETTINGS | {"early_stopping": False, "max_iter": 4})
    assert_array_equal(plain.fit(TRAIN, Y_TRAIN).coefs_[0], model.coefs_[0])


def test_class_weights_weigh_the_validation_score():
    model = BackpropMLPClassifier(class_weight={0: 5.0, 1: 1.0, 2: 0.0}, **SETTINGS)
    model.fit(TRAIN, Y_TRAIN, X_val=VAL, y_val=Y_VAL)
    w = np.array([5.0, 1.0, 0.0])[Y_VAL]
    assert_allclose(model.score(VAL, Y_VAL, w), model.best_validation_score_)
    assert model.best_validation_score_ != model.score(VAL, Y_VAL)


@pytest.mark.parametrize("seed", range(20))
def test_the_split_is_scikit_learn_s(seed):
    """The same rows in the same order, and the stream left at the same place."""
    rng = np.random.RandomState(seed)
    n, fraction = rng.randint(4, 400), rng.uniform(0.05, 0.5)
    for labels in (None, rng.uniform(size=n) < rng.uniform(), np.zeros(n, dtype=bool)):
        expected = []
        for draw in (
            lambda stream, y=labels: train_test_split(
                np.arange(n), test_size=fraction, stratify=y, random_state=stream
            ),
            lambda stream, y=labels: draw_split(n, fraction, y, stream),
        ):
            stream = np.random.RandomState(seed)
            try:
                drawn = [rows.tolist() for rows in draw(stream)]
            except ValueError as error:
                drawn = [str(error)]
            expected.append([*drawn, stream.randint(1 << 30)])
        assert expected[0] == expected[1]


def test_the_split_needs_little_memory():
    labels = np.random.RandomState(0).uniform(size=200_000) < 0.4
    tracemalloc.start()
    draw_split(200_000, 0.1, labels, np.random.RandomState(0))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 24 * 200_000


def test_a_single_class_is_always_right():
    model = BackpropMLPClassifier(**SETTINGS).fit(X, np.full(200, 7))
    assert set(model.validation_scores_) == {1.0}


def test_a_scorer_that_takes_no_weights():
    def scorer(estimator, data, y):
        return estimator.score(data, y)

    model = BackpropMLPClassifier(scoring=scorer, class_weight="balanced", **SETTINGS)
    model.fit(TRAIN, Y_TRAIN, sample_weight=np.ones(len(TRAIN)))
    assert model.best_validation_score_ > 0.4
    model.set_params(scoring=lambda *_: None)
    with pytest.raises(ValueError, match="must return a number"):
        model.fit(TRAIN, Y_TRAIN)


def test_a_warm_fit_improves_on_its_start_by_its_own_scoring():
    """An accuracy of the past must not be the bar for a negated loss."""
    model = BackpropMLPClassifier(warm_start=True, **SETTINGS).fit(TRAIN, Y_TRAIN)
    before = model.coefs_[0].copy()
    model.set_params(scoring="loss").fit(TRAIN, Y_TRAIN)
    assert model.best_validation_score_ < 0
    assert not np.array_equal(model.coefs_[0], before)


def test_a_warm_fit_after_convergence_trains_again():
    model = BackpropMLPClassifier(**SETTINGS | {"warm_start": True, "max_iter": 500})
    model.fit(TRAIN, Y_TRAIN)
    assert model.n_iter_ < 500
    model.fit(TRAIN, (Y_TRAIN + 1) % 3)
    assert model.n_iter_ > 2
    assert model.score(TRAIN, (Y_TRAIN + 1) % 3) > 0.5


def test_the_split_outlives_a_pickle():
    model = BackpropMLPClassifier(**SETTINGS).fit(X, Y)
    other = pickle.loads(pickle.dumps(model))
    held_out = []

    class Noting(BackpropMLPClassifier):
        def _train(self, problem, state, *rest):
            held_out.append(sorted(set(range(200)) - set(state.order)))
            return super()._train(problem, state, *rest)

    for each in (BackpropMLPClassifier(**SETTINGS), model, other):
        each.__class__ = Noting
        each.set_params(warm_start=True).fit(X, Y)
    assert held_out[0] == held_out[1] == held_out[2]
