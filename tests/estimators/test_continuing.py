"""warm_start and partial_fit: what is kept, and a fit in pieces is the fit in one.

Answers for: _base.py, _training.py.
"""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_classification

from skbackprop import BackpropMLPClassifier, BackpropMLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = make_classification(150, 6, n_informative=4, n_classes=3, random_state=0)
SETTINGS = {"random_state": 0, "batch_size": 32, "tol": 0.0}


def assert_same_model(a, b):
    layers = zip(a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_, strict=True)
    for left, right in layers:
        assert_array_equal(left, right)


@pytest.mark.parametrize("through_pickle", [False, True])
@pytest.mark.parametrize("solver", ["sgd", "adam", "adamw"])
def test_warm_fits_in_pieces_equal_one_fit(solver, through_pickle):
    whole = BackpropMLPClassifier(solver=solver, max_iter=7, **SETTINGS).fit(X, Y)
    pieces = BackpropMLPClassifier(solver=solver, warm_start=True, **SETTINGS)
    for epochs in (2, 4, 1):
        pieces.set_params(max_iter=epochs).fit(X, Y)
        assert pieces.n_iter_ == epochs
        if through_pickle:
            pieces = pickle.loads(pickle.dumps(pieces))
    assert_same_model(whole, pieces)
    assert pieces.loss_curve_ == whole.loss_curve_
    assert pieces.t_ == whole.t_ == 7 * 150


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_partial_fits_equal_one_fit(solver):
    whole = BackpropMLPClassifier(solver=solver, max_iter=5, **SETTINGS).fit(X, Y)
    pieces = BackpropMLPClassifier(solver=solver, **SETTINGS)
    for _ in range(5):
        pieces.partial_fit(X, Y, classes=[0, 1, 2])
        assert pieces.n_iter_ == 1
    assert_same_model(whole, pieces)
    assert pieces.loss_curve_ == whole.loss_curve_


def test_partial_fits_follow_invscaling():
    settings = {"solver": "sgd", "learning_rate": "invscaling", **SETTINGS}
    whole = BackpropMLPClassifier(max_iter=5, **settings).fit(X, Y)
    pieces = BackpropMLPClassifier(**settings)
    for _ in range(5):
        pieces.partial_fit(X, Y, classes=[0, 1, 2])
    assert_same_model(whole, pieces)


def test_a_warm_fit_starts_from_learning_rate_init():
    """An adaptive rate that had decayed away would make the second fit do nothing."""
    model = BackpropMLPClassifier(
        solver="sgd",
        learning_rate="adaptive",
        tol=10.0,
        n_iter_no_change=1,
        max_iter=60,
        warm_start=True,
        random_state=0,
    ).fit(X, Y)
    before = model.coefs_[0].copy()
    model.set_params(tol=0.0, max_iter=1).fit(X, Y)
    assert np.abs(model.coefs_[0] - before).max() > 1e-5


def test_set_params_applies_to_a_warm_fit():
    model = BackpropMLPClassifier(
        solver="sgd", warm_start=True, max_iter=1, momentum=0, **SETTINGS
    ).fit(X, Y)
    before = model.coefs_[0].copy()
    model.set_params(learning_rate_init=1e-12).fit(X, Y)
    assert_allclose(model.coefs_[0], before, atol=1e-9)


def test_a_changed_solver_resets_its_moments():
    model = BackpropMLPClassifier(warm_start=True, max_iter=2, **SETTINGS).fit(X, Y)
    model.set_params(solver="sgd", momentum=0.0).fit(X, Y)
    fresh = BackpropMLPClassifier(warm_start=True, max_iter=2, **SETTINGS).fit(X, Y)
    fresh._continuation = replace(fresh._continuation, solver="")
    fresh.set_params(solver="sgd", momentum=0.0).fit(X, Y)
    assert_same_model(model, fresh)


def test_changed_layer_sizes_are_refused():
    model = BackpropMLPClassifier((4,), warm_start=True, max_iter=1).fit(X, Y)
    before = model.coefs_
    with pytest.raises(ValueError, match=r"sizes \(6, 4, 3\).*\(6, 5, 3\)"):
        model.set_params(hidden_layer_sizes=(5,)).fit(X, Y)
    assert model.coefs_ is before


def test_classes_must_stay():
    model = BackpropMLPClassifier(warm_start=True, max_iter=1).fit(X, Y)
    with pytest.raises(ValueError, match="same classes as in the previous call"):
        model.fit(X, np.minimum(Y, 1))
    model = BackpropMLPClassifier().partial_fit(X, Y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="not the same as on last call"):
        model.partial_fit(X, Y, classes=[0, 1])
    with pytest.raises(ValueError, match="`y` has classes not in"):
        model.partial_fit(X, Y + 1)
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        BackpropMLPClassifier().partial_fit(X, Y)


def test_a_chunk_may_lack_classes():
    model = BackpropMLPClassifier(random_state=0)
    for label in (2, 0, 1):
        rows = label == Y
        model.partial_fit(X[rows], Y[rows], classes=[0, 1, 2])
    assert model.predict_proba(X).shape == (150, 3)


class Watched(BackpropMLPClassifier):
    """Notes which rows it is given to train on."""

    def _train(self, problem, state, *rest):
        self.seen_ = [*getattr(self, "seen_", []), np.sort(state.order)]
        return super()._train(problem, state, *rest)


def test_no_training_row_leaks_into_validation():
    """The split of a warm fit is that of the first, also through a pickle."""
    model = Watched(warm_start=True, early_stopping=True, max_iter=2, random_state=1)
    model.fit(X, Y).fit(X, Y)
    model = pickle.loads(pickle.dumps(model)).fit(X, Y)
    assert len(model.seen_[0]) == 135
    assert_array_equal(model.seen_[0], model.seen_[1])
    assert_array_equal(model.seen_[0], model.seen_[2])


def test_a_saved_order_is_dropped_where_the_rows_are_others():
    """101 and 100 rows both train on 90; an order of the first has a row too many."""
    settings = {"warm_start": True, "early_stopping": True, "max_iter": 2}
    model = Watched(random_state=0, **settings).fit(X[:101], Y[:101])
    model.fit(X[:100], Y[:100])
    assert len(model.seen_[0]) == len(model.seen_[1]) == 90
    assert model.seen_[1].max() < 100
    # Another y is split otherwise: no row that is held out may train.
    binary = Watched(random_state=0, **settings)
    binary.fit(X[:101], Y[:101] > 0).fit(X[:101], Y[100::-1] > 0)
    again = Watched(random_state=0, **settings).fit(X[:101], Y[100::-1] > 0)
    assert_array_equal(binary.seen_[1], again.seen_[0])


def test_a_failed_call_does_not_move_the_random_stream():
    model = BackpropMLPClassifier(random_state=0)
    same = BackpropMLPClassifier(random_state=0)
    for each in (model, same):
        each.partial_fit(X, Y, classes=[0, 1, 2])
    model.set_params(learning_rate_init=1e300, batch_size=10)
    with pytest.raises(ValueError, match="non-finite"):
        model.partial_fit(X, Y)
    model.set_params(learning_rate_init=0.001, batch_size="auto")
    assert_same_model(model.partial_fit(X, Y), same.partial_fit(X, Y))


def test_an_interrupted_warm_fit_goes_on_from_the_epoch_it_kept():
    class Interrupted(BackpropMLPClassifier):
        def _train(self, problem, state, *rest):
            calls = []
            stream = np.random.RandomState()
            stream.set_state(state.random_state.get_state())

            class Stream:
                """A stream whose fourth shuffle is cut short."""

                get_state, set_state = stream.get_state, stream.set_state

                def shuffle(self, order):
                    stream.shuffle(order)
                    calls.append(1)
                    if len(calls) == 4:
                        raise KeyboardInterrupt

            state.random_state = Stream()
            try:
                return super()._train(problem, state, *rest)
            finally:
                state.random_state = stream

    model = Interrupted(warm_start=True, max_iter=10, **SETTINGS)
    with pytest.warns(UserWarning, match="interrupted"):
        model.fit(X, Y)
    assert model.n_iter_ == 3
    model.__class__ = BackpropMLPClassifier
    model.set_params(max_iter=4).fit(X, Y)
    whole = BackpropMLPClassifier(max_iter=7, **SETTINGS).fit(X, Y)
    assert_same_model(model, whole)


def test_the_best_epoch_restores_its_moments():
    model = BackpropMLPClassifier(
        warm_start=True,
        early_stopping=True,
        max_iter=12,
        learning_rate_init=0.05,
        random_state=0,
    ).fit(X, Y)
    best = int(np.argmax(model.validation_scores_)) + 1
    assert best < 12
    upto = BackpropMLPClassifier(
        warm_start=True,
        early_stopping=True,
        max_iter=best,
        learning_rate_init=0.05,
        random_state=0,
    ).fit(X, Y)
    assert_same_model(model, upto)
    kept, expected = model._continuation.state, upto._continuation.state
    assert kept.optimizer.t == expected.optimizer.t
    assert_array_equal(kept.moments, expected.moments)


def test_partial_fit_is_there_for_stochastic_solvers_only():
    for cls in (BackpropMLPClassifier, BackpropMLPRegressor):
        assert hasattr(cls(), "partial_fit")
        assert not hasattr(cls(solver="lbfgs"), "partial_fit")
    with pytest.raises(AttributeError) as error:
        BackpropMLPRegressor(solver="lbfgs").partial_fit(X, Y)
    cause = error.value.__cause__ or error.value
    assert "only available for stochastic" in str(cause)
    with pytest.raises(ValueError, match="does not support early_stopping"):
        BackpropMLPRegressor(early_stopping=True).partial_fit(X, Y)


def test_partial_fit_goes_on_after_fit():
    model = BackpropMLPRegressor(max_iter=3, **SETTINGS).fit(X, Y)
    steps = model._continuation.state.optimizer.t
    assert steps == 3 * 5
    model.partial_fit(X, Y)
    assert model._continuation.state.optimizer.t == 4 * 5
    assert len(model.loss_curve_) == 4 and model.t_ == 4 * 150


def test_the_optimizer_is_pickled_only_where_it_is_needed():
    rng = np.random.RandomState(0)
    data, y = rng.randn(300, 200).astype(np.float32), rng.randn(300)
    model = BackpropMLPRegressor((300,), max_iter=2).fit(data, y)
    parameters = sum(a.nbytes for a in model.coefs_ + model.intercepts_)
    assert len(pickle.dumps(model)) < 1.1 * parameters + 4096
    warm = BackpropMLPRegressor((300,), max_iter=2, warm_start=True).fit(data, y)
    assert len(pickle.dumps(warm)) > 3 * parameters
    model.partial_fit(data, y)
    assert len(pickle.dumps(model)) > 3 * parameters


def test_a_warm_lbfgs_goes_on():
    model = BackpropMLPClassifier(
        solver="lbfgs", warm_start=True, max_iter=3, random_state=0
    ).fit(X, Y)
    first = model.loss_
    model.fit(X, Y)
    assert model.loss_ < first


def test_a_stream_of_another_bit_generator():
    """RandomState may draw from any; its state is then not MT19937's."""
    settings = {"warm_start": True, "early_stopping": True, "max_iter": 3}
    model, same = (
        BackpropMLPClassifier(
            random_state=np.random.RandomState(np.random.PCG64(0)), **settings
        )
        for _ in range(2)
    )
    assert_same_model(model.fit(X, Y).fit(X, Y), same.fit(X, Y).fit(X, Y))
