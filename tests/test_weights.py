"""Sample and class weights: a row of weight 2 is two rows, whatever the batch."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_classification

from skbackprop import BackpropMLPClassifier, BackpropMLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def one_parameter_problem():
    """Constant features: the only thing to learn is the weighted mean of y."""
    rng = np.random.RandomState(0)
    y = rng.uniform(0, 1, 200)
    w = np.where(y > 0.6, 10.0, 0.2) * rng.uniform(0.5, 1.5, 200)
    return np.zeros((200, 1)), y, w


@pytest.mark.parametrize("batch_size", [5, 10, 50, 200])
def test_weighted_mean_in_mini_batches(batch_size):
    X, y, w = one_parameter_problem()
    model = BackpropMLPRegressor(
        (),
        solver="sgd",
        momentum=0.0,
        learning_rate="invscaling",
        learning_rate_init=0.5,
        power_t=0.4,
        batch_size=batch_size,
        max_iter=400,
        tol=0.0,
        n_iter_no_change=1000,
        alpha=0.0,
        random_state=0,
    ).fit(X, y, sample_weight=w)
    mean = np.average(y, weights=w)
    assert abs(mean - y.mean()) > 0.1  # so that an unweighted fit would fail
    assert abs(model.predict(X[:1])[0] - mean) < 0.01


def test_batches_of_zero_weight_change_nothing_but_the_scale():
    rng = np.random.RandomState(0)
    X, y = rng.randn(40, 3), rng.randn(40)
    w = np.r_[np.ones(20), np.zeros(20)]
    model = BackpropMLPRegressor(
        (4,),
        batch_size=10,
        shuffle=False,
        solver="sgd",
        momentum=0,
        alpha=0,
        max_iter=3,
        random_state=0,
    ).fit(X, y, sample_weight=w)
    # wbar is 1/2: the first 20 rows train with twice the rate, the others not at all.
    alone = BackpropMLPRegressor(
        (4,),
        batch_size=10,
        shuffle=False,
        solver="sgd",
        momentum=0,
        alpha=0,
        max_iter=3,
        random_state=0,
        learning_rate_init=0.002,
    ).fit(X[:20], y[:20])
    for a, b in zip(model.coefs_, alone.coefs_, strict=True):
        assert_allclose(a, b, rtol=1e-12)


@pytest.mark.parametrize("solver", ["lbfgs", "sgd", "adam", "adamw"])
@pytest.mark.parametrize("classifier", [False, True])
def test_weight_two_is_the_row_twice_at_full_batch(solver, classifier):
    rng = np.random.RandomState(1)
    X = rng.randn(40, 4)
    y = rng.randint(0, 3, 40) if classifier else rng.randn(40)
    counts = rng.randint(0, 4, 40)
    cls = BackpropMLPClassifier if classifier else BackpropMLPRegressor
    settings = {"solver": solver, "max_iter": 20, "random_state": 0, "shuffle": False}
    weighted = cls((5,), batch_size=40, **settings).fit(X, y, sample_weight=counts)
    rows = np.repeat(np.arange(40), counts)
    repeated = cls((5,), batch_size=len(rows), **settings).fit(X[rows], y[rows])
    for a, b in zip(weighted.coefs_, repeated.coefs_, strict=True):
        assert_allclose(a, b, rtol=1e-10, atol=1e-10)
    assert_allclose(weighted.loss_, repeated.loss_, rtol=1e-10)


def test_the_scale_of_weights_does_not_matter_without_a_penalty():
    X, y, w = one_parameter_problem()
    X = np.random.RandomState(0).randn(200, 3)
    fits = [
        BackpropMLPRegressor((4,), alpha=0, max_iter=5, random_state=0, batch_size=32)
        .fit(X, y, sample_weight=scale * w)
        .predict(X)
        for scale in (1.0, 1000.0)
    ]
    assert_allclose(*fits, rtol=1e-9)


@pytest.mark.parametrize(
    ("weight", "words"),
    [
        (np.zeros(200), "at least one non-zero"),
        (-np.ones(200), "Negative values"),
        (np.ones(199), "expected"),
        (np.ones((200, 2)), "1D array or scalar"),
        (np.full(200, np.nan), "NaN"),
        (np.full(200, np.inf), "infinity"),
    ],
)
def test_weights_that_are_refused(weight, words):
    X, y, _ = one_parameter_problem()
    model = BackpropMLPRegressor()
    with pytest.raises(ValueError, match=words):
        model.fit(X, y, sample_weight=weight)
    assert not hasattr(model, "coefs_") and not hasattr(model, "n_features_in_")


def test_partial_fit_weighs_chunks_by_their_weights():
    """wbar is the running mean: a light chunk moves the model less than a heavy one."""
    rng = np.random.RandomState(0)
    X, y = rng.randn(20, 3), rng.randn(20)
    settings = {"solver": "sgd", "momentum": 0, "alpha": 0, "random_state": 0}

    def moved(second_weight):
        model = BackpropMLPRegressor((4,), shuffle=False, **settings)
        model.partial_fit(X, y, np.full(20, 1.0))
        before = model.coefs_[0].copy()
        model.partial_fit(X, y, np.full(20, second_weight))
        return model.coefs_[0] - before

    # Weights 1 then w: wbar = (1 + w) / 2, so a step is w / wbar times the plain one.
    plain = moved(1.0)
    assert_allclose(moved(0.5), plain * 0.5 / 0.75, rtol=1e-9)
    assert_allclose(moved(3.0), plain * 3.0 / 2.0, rtol=1e-9)


@pytest.mark.parametrize("weight", ["balanced", {"a": 3.0, "b": 1.0, "c": 0.5}])
def test_class_weight_is_a_sample_weight(weight):
    X, y = make_classification(
        120, 6, n_informative=4, n_classes=3, weights=[0.7, 0.2], random_state=0
    )
    y = np.array(["a", "b", "c"])[y]
    settings = {"max_iter": 5, "random_state": 0, "batch_size": 16}
    model = BackpropMLPClassifier(class_weight=weight, **settings).fit(X, y)
    counts = {label: np.sum(y == label) for label in "abc"}
    each = (
        {label: 120 / (3 * count) for label, count in counts.items()}
        if weight == "balanced"
        else weight
    )
    by_row = np.array([each[label] for label in y])
    same = BackpropMLPClassifier(**settings).fit(X, y, sample_weight=by_row)
    assert_array_equal(model.coefs_[0], same.coefs_[0])
    w = np.random.RandomState(0).uniform(size=120)
    model.fit(X, y, sample_weight=w)
    same.fit(X, y, sample_weight=w * by_row)
    assert_array_equal(model.coefs_[0], same.coefs_[0])


def test_class_weight_moves_the_decision():
    X, y = make_classification(400, 5, weights=[0.95], flip_y=0.1, random_state=0)
    plain = BackpropMLPClassifier(max_iter=50, random_state=0).fit(X, y)
    balanced = BackpropMLPClassifier(
        max_iter=50, random_state=0, class_weight="balanced"
    ).fit(X, y)
    assert balanced.predict(X).mean() > plain.predict(X).mean() + 0.1


def test_balanced_in_partial_fit_is_refused_with_the_remedy():
    model = BackpropMLPClassifier(class_weight="balanced")
    with pytest.raises(ValueError, match="compute_class_weight"):
        model.partial_fit(np.eye(4), [0, 1, 0, 1], classes=[0, 1])


def test_class_weight_of_several_labels():
    rng = np.random.RandomState(0)
    X, Y = rng.randn(30, 3), rng.randint(0, 2, (30, 2))
    weights = [{0: 1.0, 1: 2.0}, {0: 3.0, 1: 1.0}]
    model = BackpropMLPClassifier(class_weight=weights, max_iter=3, random_state=0)
    by_row = np.where(Y[:, 0], 2.0, 1.0) * np.where(Y[:, 1], 1.0, 3.0)
    same = BackpropMLPClassifier(max_iter=3, random_state=0)
    same.fit(X, Y, sample_weight=by_row)
    assert_array_equal(model.fit(X, Y).coefs_[0], same.coefs_[0])


def test_zero_class_weights_are_refused():
    with pytest.raises(ValueError, match="training rows sum to zero"):
        BackpropMLPClassifier(class_weight={0: 0.0, 1: 0.0}).fit(np.eye(2), [0, 1])
    with pytest.raises(ValueError, match="class_weight must hold no negative"):
        BackpropMLPClassifier(class_weight={0: -1.0, 1: 1.0}).fit(np.eye(2), [0, 1])


def test_scoring_of_validation_rows_uses_the_sample_weights():
    X, y = make_classification(200, 5, flip_y=0.3, random_state=0)
    w = np.where(np.arange(200) % 2, 5.0, 0.1)
    scores = [
        BackpropMLPClassifier(max_iter=3, random_state=0, early_stopping=True)
        .fit(X, y, sample_weight=weight)
        .validation_scores_
        for weight in (None, np.ones(200), w)
    ]
    assert scores[0] == scores[1] != scores[2]


def test_class_weights_where_a_chunk_lacks_the_class():
    X, y = np.random.RandomState(0).randn(30, 2), np.arange(30) % 3
    model = BackpropMLPClassifier(class_weight={2: 5.0}, random_state=0)
    model.partial_fit(X, y, classes=[0, 1, 2])
    model.partial_fit(X[y < 2], y[y < 2])
    assert model.t_ == 50


def test_class_weights_for_unknown_classes_are_refused():
    with pytest.raises(ValueError, match=r"names classes that y has not: \['Yes'\]"):
        BackpropMLPClassifier(class_weight={"Yes": 5.0}).fit(np.eye(2), ["yes", "no"])


def test_weights_that_are_too_large_are_named():
    with pytest.raises(ValueError, match="sum to infinity"):
        BackpropMLPRegressor().fit(np.eye(2), [0.0, 1.0], sample_weight=[1e308, 1e308])
