"""Sample and class weights: a row of weight 2 is two rows, whatever the batch.

Answers for: _inputs.py, _targets.py, _evaluation.py, _training.py.
"""

import pickle

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
    model = BackpropMLPClassifier(class_weight={0: 1.7e308, 1: 1.0})
    with pytest.raises(ValueError, match="sum to infinity"):
        model.fit(np.eye(2), [0, 1], sample_weight=[1.9, 1.9])


# A common factor --------------------------------------------------------------

SCALES = [2.0**-990, 2.0**-140, 2.0**140, 2.0**990]
ROUNDING = {np.float32: 1e-5, np.float64: 1e-12}


def weighted_problem(dtype):
    rng = np.random.RandomState(0)
    X = rng.randn(90, 4).astype(dtype)
    return X, np.argmax(X[:, :3], axis=1), rng.lognormal(0, 2, 90)


def parameters(model):
    return [*model.coefs_, *model.intercepts_, model.loss_]


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"solver": "sgd"},
        {"solver": "lbfgs"},
        {"early_stopping": True},
        {"early_stopping": True, "scoring": "loss"},
        {"early_stopping": True, "scoring": "neg_log_loss"},
        {"class_weight": "balanced"},
        {"class_weight": {0: 1e30, 1: 1e-30}},
    ],
    ids=str,
)
def test_a_power_of_two_changes_no_bit(settings, dtype, scale):
    """X of float32 too, which has no number for such weights."""
    X, y, w = weighted_problem(dtype)
    model = BackpropMLPClassifier((5,), alpha=0, max_iter=4, random_state=0, **settings)
    expected = parameters(model.fit(X, y, w))
    scores = getattr(model, "validation_scores_", None)
    found = parameters(model.fit(X, y, w * scale))
    for a, b in zip(found, expected, strict=True):
        assert_array_equal(a, b)
    assert getattr(model, "validation_scores_", None) == scores


@pytest.mark.parametrize("scale", [1e-300, 1e-38, 1e38, 1e300])
@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_another_factor_changes_roundings_only(solver, dtype, scale):
    X, y, w = weighted_problem(dtype)
    model = BackpropMLPClassifier(
        (5,), alpha=0, max_iter=4, random_state=0, solver=solver
    )
    expected = parameters(model.fit(X, y, w))
    for a, b in zip(parameters(model.fit(X, y, w * scale)), expected, strict=True):
        assert_allclose(a, b, rtol=ROUNDING[dtype], atol=ROUNDING[dtype])


@pytest.mark.parametrize("scale", SCALES)
def test_weights_of_classes_have_a_factor_too(scale):
    X, y, w = weighted_problem(np.float32)
    each = {0: 3.0, 1: 0.1, 2: 1.0}
    model = BackpropMLPClassifier((5,), alpha=0, max_iter=3, random_state=0)
    expected = parameters(model.set_params(class_weight=each).fit(X, y, w))
    each = {label: weight * scale for label, weight in each.items()}
    found = parameters(model.set_params(class_weight=each).fit(X, y, w * scale))
    for a, b in zip(found, expected, strict=True):
        assert_array_equal(a, b)


@pytest.mark.parametrize("k", [-60, -3, 5, 60])
def test_the_penalty_is_relative_to_the_weights(k):
    """alpha and weights by one factor: the same objective, bit for bit."""
    X, y, w = weighted_problem(np.float64)
    settings = {"max_iter": 4, "random_state": 0}
    one = BackpropMLPClassifier((5,), alpha=0.5, **settings).fit(X, y, w)
    other = BackpropMLPClassifier((5,), alpha=0.5 * 2.0**k, **settings)
    other.fit(X, y, w * 2.0**k)
    for a, b in zip(parameters(one), parameters(other), strict=True):
        assert_array_equal(a, b)


@pytest.mark.parametrize("scale", [1.0, 2.0**-900, 2.0**-140, 2.0**140, 2.0**900])
@pytest.mark.parametrize("through_pickle", [False, True])
@pytest.mark.parametrize("dtype", ROUNDING)
def test_calls_keep_their_relation(dtype, scale, through_pickle):
    """Chunks of other weights, heavier, lighter and of 1, as if none were scaled."""
    X, y, w = weighted_problem(dtype)
    settings = {"solver": "sgd", "momentum": 0, "alpha": 0, "random_state": 0}
    factors = [1.0, 8.0, 0.25, 2.0**-20, 2.0**20]

    def moves(scale):
        model = BackpropMLPClassifier((5,), shuffle=False, **settings)
        found = []
        for factor in factors:
            model.partial_fit(X, y, w * factor * scale, classes=[0, 1, 2])
            found += parameters(model)
            if through_pickle:
                model = pickle.loads(pickle.dumps(model))
        return found

    # What the running mean of the weights makes of a step.
    for a, b in zip(moves(scale), moves(1.0), strict=True):
        assert_array_equal(a, b)


@pytest.mark.parametrize("order", ["light first", "heavy first"])
def test_a_light_call_moves_little(order):
    X, y, w = weighted_problem(np.float32)
    settings = {"solver": "sgd", "momentum": 0, "alpha": 0, "random_state": 0}
    weights = [w * 1e-200, w * 1e150]
    weights = weights if order == "light first" else weights[::-1]
    model = BackpropMLPClassifier((5,), shuffle=False, **settings)
    model.partial_fit(X, y, weights[0], classes=[0, 1, 2])
    before = model.coefs_[0].copy()
    model.partial_fit(X, y, weights[1])
    moved = model.coefs_[0] - before
    if order == "heavy first":
        assert_array_equal(moved, 0)
    else:  # wbar is half of what the second call alone would have
        alone = BackpropMLPClassifier((5,), shuffle=False, **settings)
        alone.partial_fit(X, y, w * 1e150, classes=[0, 1, 2])
        start = alone.coefs_[0].copy()
        alone.partial_fit(X, y, w * 1e150)
        assert_allclose(moved, 2 * (alone.coefs_[0] - start), rtol=0.2, atol=1e-5)
        assert np.abs(moved).max() > 1e-4


def test_calls_without_weights_weigh_one():
    X, y, _ = weighted_problem(np.float64)
    settings = {"max_iter": 3, "random_state": 0}

    def model(*weights):
        one = BackpropMLPClassifier((5,), **settings)
        for w in weights:
            one.partial_fit(X, y, w, classes=[0, 1, 2])
        return parameters(one)

    heavy = np.full(90, 2.0**40)
    huge = np.full(90, 2.0**1020)  # whose sum is no double
    light = heavy * 2.0**-80
    for weights in [heavy, None], [None, heavy], [light, None], [huge, None]:
        given = [np.ones(90) if w is None else w for w in weights]
        for a, b in zip(model(*weights), model(*given), strict=True):
            assert_array_equal(a, b)


@pytest.mark.parametrize("settings", [{}, {"solver": "sgd"}, {"solver": "lbfgs"}])
@pytest.mark.parametrize("scale", [1e-300, 1e-320])
def test_a_penalty_that_outweighs_the_data_is_named(settings, scale):
    X, y, w = weighted_problem(np.float64)
    model = BackpropMLPClassifier(random_state=0, **settings)
    message = (
        r"^Solver produced non-finite parameter weights. The penalty outweighs the "
        r"data: alpha=0.0001 is divided by weights that sum to .*e-\d+ in a batch. "
        r"Lower alpha.* sample_weight"
    )
    with pytest.raises(ValueError, match=message) as caught:
        model.fit(X, y, w * scale)
    assert "large values" not in str(caught.value)
    assert ("learning_rate_init" in str(caught.value)) == (model.solver != "lbfgs")
    assert not hasattr(model, "coefs_")
    model.set_params(alpha=1e9, solver="sgd", n_iter_no_change=1000)
    with pytest.raises(ValueError, match=r"alpha=1000000000.0 is divided by 90 rows"):
        model.fit(X, y)


def test_a_scorer_gets_the_weights_as_they_were_given():
    X, y, w = weighted_problem(np.float64)
    seen = []

    def scorer(model, X, y, sample_weight=None):
        seen.append(sample_weight)
        return 1.0

    settings = {"early_stopping": True, "scoring": scorer, "max_iter": 1}
    model = BackpropMLPClassifier(**settings)
    model.fit(X, y, w, X_val=X, y_val=y, sample_weight_val=w * 37)
    assert_array_equal(seen.pop(), w * 37)
    model.fit(X, y, w)
    assert set(seen.pop()) <= set(w)
    # But for sizes that its sums might not bear.
    model.fit(X, y, w, X_val=X, y_val=y, sample_weight_val=w * 2.0**900)
    assert 1 <= seen.pop().max() < 2
