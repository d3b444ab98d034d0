"""What happens when it goes wrong: divergence, Ctrl-C, failed fits.

Answers for: _training.py, _base.py, _threads.py, _lbfgs.py, _messages.py.
"""

import copy
import threading
import warnings

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
from helpers import Hooked, assert_unchanged, frozen
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_classification, make_regression
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from threadpoolctl import threadpool_info, threadpool_limits

from skbackprop import (
    BackpropMLPClassifier,
    BackpropMLPRegressor,
    _lbfgs,
    _training,
)
from skbackprop._evaluation import make_table, predict
from skbackprop._layers import make_topology
from skbackprop.core import OWN_KERNELS, engine_of
from skbackprop.core.embeddings import Embeddings

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = make_classification(150, 6, n_informative=4, n_classes=3, random_state=0)
NUMBERS = make_regression(150, 6, random_state=0)


class StopsAt(Hooked, BackpropMLPClassifier):
    """Raises in an epoch, as a user's Ctrl-C would."""

    def after_epoch(self, epoch, loss, score):
        if epoch == self.stop_epoch:
            raise self.error


def diverging(**parameters):
    return BackpropMLPRegressor(
        solver="sgd",
        learning_rate_init=1e3,
        batch_size=10,
        random_state=0,
        **parameters,
    )


def test_divergence_in_the_first_epoch_leaves_the_estimator_as_it_was():
    data, y = NUMBERS
    model = diverging()
    with pytest.raises(ValueError) as error:
        model.fit(data, y)
    said = str(error.value)
    assert said.startswith(
        "Solver produced non-finite parameter weights. The input data may contain "
        "large values and need to be preprocessed."
    )
    assert "learning_rate_init" in said and "1000.0" in said and "scale" in said.lower()
    assert not hasattr(model, "coefs_") and not hasattr(model, "n_features_in_")
    with pytest.raises(NotFittedError):
        model.predict(data)
    model = BackpropMLPRegressor(max_iter=2, random_state=0).fit(data, y)
    before = frozen(model)
    with pytest.raises(ValueError, match="non-finite"):
        model.set_params(**diverging().get_params()).fit(data, y)
    assert_unchanged(model, before)


def slowly_diverging(**parameters):
    """Finite for some epochs, then not."""
    return BackpropMLPRegressor(
        (),
        solver="sgd",
        momentum=0.0,
        alpha=0.0,
        batch_size=100,
        random_state=0,
        learning_rate_init=8.0,
        tol=0.0,
        max_iter=2000,
        n_iter_no_change=2000,
        **parameters,
    )


def test_divergence_later_keeps_the_last_finite_epoch():
    data, y = NUMBERS
    model = slowly_diverging()
    with pytest.raises(ValueError, match="non-finite"):
        model.fit(data, y)
    assert 1 < model.n_iter_ < 2000
    assert len(model.loss_curve_) == model.n_iter_
    assert np.isfinite(model.loss_curve_).all()
    assert all(np.isfinite(W).all() for W in model.coefs_ + model.intercepts_)
    upto = slowly_diverging().set_params(max_iter=model.n_iter_).fit(data, y)
    assert_array_equal(upto.coefs_[0], model.coefs_[0])


def test_divergence_with_early_stopping_restores_the_best_epoch():
    data, y = NUMBERS
    model = slowly_diverging(early_stopping=True)
    with pytest.warns(ConvergenceWarning, match="diverged in epoch"):
        model.fit(data, y)
    assert np.isfinite(model.predict(data)).all()
    best = np.argmax(model.validation_scores_) + 1
    upto = slowly_diverging(early_stopping=True).set_params(max_iter=best)
    assert_array_equal(upto.fit(data, y).coefs_[0], model.coefs_[0])


@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
def test_no_burnt_epochs(solver):
    """A loss that is not finite ends the training in that epoch."""
    data, y = NUMBERS
    model = BackpropMLPRegressor(
        loss="poisson", solver=solver, learning_rate_init=1e6, max_iter=10**6
    )
    with pytest.raises(ValueError, match="non-finite"):
        model.fit(1e4 * data, np.abs(y))


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("a bug")])
def test_interrupt_and_errors_in_an_epoch(error):
    model = StopsAt(max_iter=10, random_state=0)
    model.stop_epoch, model.error = 4, error
    if isinstance(error, KeyboardInterrupt):
        with pytest.warns(UserWarning, match=r"^Training interrupted by user\.$"):
            model.fit(X, Y)
        upto = BackpropMLPClassifier(max_iter=4, random_state=0).fit(X, Y)
        assert model.n_iter_ == 4 and len(model.loss_curve_) == 4
        assert_array_equal(model.coefs_[0], upto.coefs_[0])
    else:
        with pytest.raises(RuntimeError, match="a bug"):
            model.fit(X, Y)
        assert not hasattr(model, "coefs_")


def interrupt_soon(seconds):
    main = threading.main_thread().ident
    import signal

    timer = threading.Timer(seconds, signal.pthread_kill, (main, signal.SIGINT))
    timer.start()
    return timer


def long_problem():
    rng = np.random.RandomState(0)
    return rng.randn(200_000, 50).astype(np.float32), rng.randint(0, 5, 200_000)


def interrupt_in_run(monkeypatch, number):
    """Send Ctrl-C a little after that run of mini-batches has begun."""
    runs, run_in_team = [], _training.run_in_team

    def counting(*arguments, **keywords):
        runs.append(len(runs))
        if len(runs) == number:
            interrupt_soon(0.01)
        return run_in_team(*arguments, **keywords)

    monkeypatch.setattr(_training, "run_in_team", counting)


def test_ctrl_c_in_mid_epoch_of_the_first_is_raised(monkeypatch):
    """Answered although an epoch takes much longer; nothing is left behind."""
    data, y = long_problem()
    finished = []
    interrupt_in_run(monkeypatch, 2)

    class Looking(Hooked, BackpropMLPClassifier):
        def after_epoch(self, epoch, loss, score):
            finished.append(epoch)

    # Few epochs: a process that a shell started in the background ignores Ctrl-C, and
    # fails within the minute.
    model = Looking((500, 500), max_iter=2, random_state=0)
    with pytest.raises(KeyboardInterrupt):
        model.fit(data, y)
    assert not finished
    assert not hasattr(model, "coefs_")


def test_ctrl_c_later_keeps_the_last_complete_epoch():
    data, y = (a[:20_000] for a in long_problem())
    settings = {"random_state": 0, "n_iter_no_change": np.inf}

    class Interrupted(Hooked, BackpropMLPClassifier):
        def after_epoch(self, epoch, loss, score):
            if epoch == 3:
                interrupt_soon(0.01)

    model = Interrupted((20,), max_iter=1000, **settings)
    with pytest.warns(UserWarning, match="interrupted by user"):
        model.fit(data, y)
    assert 3 <= model.n_iter_ == len(model.loss_curve_) < 1000
    upto = BackpropMLPClassifier((20,), max_iter=model.n_iter_, **settings)
    assert_array_equal(model.coefs_[0], upto.fit(data, y).coefs_[0])


def test_ctrl_c_in_lbfgs_keeps_the_last_iterate():
    model = StopsAt(solver="lbfgs", max_iter=10, random_state=0)
    model.stop_epoch, model.error = 3, KeyboardInterrupt()
    with pytest.warns(UserWarning, match="interrupted by user"):
        model.fit(X, Y)
    upto = BackpropMLPClassifier(solver="lbfgs", max_iter=3, random_state=0).fit(X, Y)
    assert model.n_iter_ == 3
    assert_array_equal(model.coefs_[0], upto.coefs_[0])


FAILURES = {
    "parameter": (lambda: (X, Y), {"alpha": -1.0}),
    "nan": (lambda: (np.where(X > 2, np.nan, X), Y), {}),
    "lengths": (lambda: (X, Y[:-1]), {}),
    "regression target": (lambda: (X, X[:, 0]), {}),
    "validation too small": (
        lambda: (X, Y),
        {"early_stopping": True, "validation_fraction": 0.001},
    ),
    "scorer": (lambda: (X, Y), {"early_stopping": True, "scoring": lambda *_: 1 / 0}),
    "activation list": (lambda: (X, Y), {"activation": ["relu", "tanh"]}),
    "fewer features": (lambda: (X[:, :3], Y), {"warm_start": True}),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failed_fit_leaves_a_fitted_estimator_untouched(failure):
    model = BackpropMLPClassifier(max_iter=3, random_state=0).fit(X, Y)
    before, predicted = frozen(model), model.predict_proba(X)
    data, parameters = FAILURES[failure]
    model.set_params(**parameters)
    with pytest.raises((ValueError, ZeroDivisionError)):
        model.fit(*data())
    assert_unchanged(model, before)
    assert_array_equal(model.predict_proba(X), predicted)


def test_a_failed_partial_fit_leaves_everything_as_it_was():
    model = BackpropMLPClassifier()
    with pytest.raises(ValueError, match="NaN"):
        model.partial_fit(np.full((3, 2), np.nan), [0, 1, 2], classes=[0, 1, 2])
    assert not [name for name in vars(model) if name.endswith("_")]
    model.partial_fit(X, Y, classes=[0, 1, 2])
    before = frozen(model)
    with pytest.raises(ValueError, match="features"):
        model.partial_fit(X[:, :2], Y)
    assert_unchanged(model, before)


def test_a_warning_as_an_error_comes_after_the_model_is_kept():
    model = BackpropMLPClassifier(max_iter=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        with pytest.raises(ConvergenceWarning):
            model.fit(X, Y)
    assert model.n_iter_ == 2 and model.predict(X).shape == (150,)


def test_assigned_parameters_are_the_truth_and_are_checked():
    model = BackpropMLPClassifier((4,), max_iter=2, random_state=0).fit(X, Y)
    other = BackpropMLPClassifier((7,), max_iter=2, random_state=1).fit(X, Y)
    model.coefs_, model.intercepts_ = other.coefs_, list(other.intercepts_)
    assert_array_equal(model.predict_proba(X), other.predict_proba(X))
    model.coefs_ = [np.asfortranarray(W)[:, ::1] for W in other.coefs_]
    assert_array_equal(model.predict_proba(X), other.predict_proba(X))
    model.intercepts_[1] = other.intercepts_[1] + [5.0, 0.0, 0.0]
    assert model.predict_proba(X)[:, 0].min() > other.predict_proba(X)[:, 0].min()
    for broken in (
        [other.coefs_[0]],
        [other.coefs_[0], other.coefs_[1].T],
        [other.coefs_[0][:3], other.coefs_[1]],
        [other.coefs_[0].ravel(), other.coefs_[1]],
    ):
        model.coefs_ = broken
        with pytest.raises(ValueError, match=r"coefs_|intercepts_"):
            model.predict(X)
    model.coefs_ = other.coefs_
    model.intercepts_ = [np.zeros(7), np.zeros(2)]
    with pytest.raises(ValueError, match=r"intercepts_\[1\] must be .* shape \(3,\)"):
        model.predict(X)


def test_a_change_in_place_takes_effect():
    model = BackpropMLPRegressor((), max_iter=2).fit(X, Y)
    model.coefs_[0][...] = 0
    model.intercepts_[0][...] = 4.0
    assert_array_equal(model.predict(X), np.full(150, 4.0))


def test_a_moment_that_overflows_is_a_divergence():
    """It would hold its parameter for ever, with finite weights and loss."""
    data, y = (a.astype(np.float32) for a in NUMBERS)
    model = BackpropMLPRegressor(random_state=0).partial_fit(data, y)
    before = frozen(model)
    y = y.copy()
    y[0] = 1e23
    with pytest.raises(ValueError, match="non-finite"):
        model.partial_fit(data, y)
    assert_unchanged(model, before)


@pytest.mark.parametrize("dtype", [int, bool, np.float16, np.longdouble, ">f8", list])
def test_assigned_parameters_of_other_types_go_on_training(dtype):
    model = BackpropMLPRegressor((4,), random_state=0).fit(X, Y)
    if dtype is list:
        model.coefs_ = [W.tolist() for W in model.coefs_]
    else:
        model.coefs_ = [W.astype(dtype) for W in model.coefs_]
    expected = BackpropMLPRegressor((4,), random_state=0).fit(X, Y)
    expected.coefs_ = [np.array(W, dtype=float) for W in model.coefs_]
    assert_array_equal(model.predict(X), expected.predict(X))
    assert_array_equal(
        model.partial_fit(X, Y).coefs_[0], expected.partial_fit(X, Y).coefs_[0]
    )


@pytest.mark.parametrize("broken", [None, 3.0, [], [np.ones((6, 4)), np.ones((4, 7))]])
def test_broken_parameters_are_named(broken):
    model = BackpropMLPClassifier((4,), max_iter=2).fit(X, Y)
    model.coefs_ = broken
    model.intercepts_ = [np.zeros(4), np.zeros(7)] if broken else model.intercepts_
    for call in (model.predict, lambda data: model.partial_fit(data, Y)):
        with pytest.raises(ValueError, match="coefs_ must be a list"):
            call(X)


def test_a_model_with_a_broken_parameter_can_be_copied():
    model = BackpropMLPClassifier(max_iter=2).fit(X, Y)
    model.coefs_[0] = model.coefs_[0].copy()
    model.coefs_[0][0, 0] = np.nan
    other = copy.deepcopy(model)
    with pytest.raises(ValueError, match=r"coefs_\[0\] must be finite"):
        other.predict(X)


def test_lbfgs_that_diverges_keeps_the_loss_of_its_iterate(monkeypatch):
    calls, value = [], _lbfgs.value_and_gradient

    def failing(*args, **kwargs):
        calls.append(1)
        return np.nan if len(calls) > 9 else value(*args, **kwargs)

    monkeypatch.setattr(_lbfgs, "value_and_gradient", failing)
    model = BackpropMLPClassifier(solver="lbfgs", random_state=0)
    with pytest.raises(ValueError, match="non-finite"):
        model.fit(X, Y)
    monkeypatch.undo()
    assert np.isfinite(model.loss_)
    upto = BackpropMLPClassifier(
        solver="lbfgs", random_state=0, max_iter=model.n_iter_
    ).fit(X, Y)
    assert model.loss_ == upto.loss_


def test_batches_of_many_blocks_are_the_same_steps(monkeypatch):
    data, y = np.random.RandomState(0).randn(300, 6), np.arange(300) % 3
    w = np.linspace(0.1, 2, 300)
    for cls in (BackpropMLPClassifier, BackpropMLPRegressor):
        settings = {"batch_size": 140, "max_iter": 4, "random_state": 0, "alpha": 0.5}
        short = cls(**settings).fit(data, y, sample_weight=w)
        monkeypatch.setattr(_training, "block_rows", lambda *_: 20)
        long = cls(**settings).fit(data, y, sample_weight=w)
        monkeypatch.undo()
        assert_allclose(long.coefs_[0], short.coefs_[0], rtol=1e-10)
        assert_allclose(long.loss_curve_, short.loss_curve_, rtol=1e-10)


def blas_threads():
    return [
        each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"
    ]


def test_threads_of_blas_are_given_back():
    """One while a short fit runs, then what was set, also after a failure."""

    class Looking(Hooked, BackpropMLPClassifier):
        def after_epoch(self, epoch, loss, score):
            during.append(max(blas_threads()))
            if self.alpha:
                raise RuntimeError("in an epoch")

    during = []
    with threadpool_limits(3, user_api="blas"):
        before = blas_threads()
        Looking(max_iter=2, alpha=0.0).fit(X, Y)
        assert blas_threads() == before
        with pytest.raises(RuntimeError, match="in an epoch"):
            Looking().fit(X, Y)
        assert blas_threads() == before
        # Threads leave it alone: they could restore each other's.
        with joblib.parallel_config(backend="threading", n_jobs=4):
            joblib.Parallel()(
                joblib.delayed(BackpropMLPClassifier(max_iter=5).fit)(X, Y)
                for _ in range(8)
            )
        assert blas_threads() == before
        # Own kernels have no use for BLAS, and leave it alone altogether.
        assert set(during) == ({3} if OWN_KERNELS else {1})
        Looking((300, 300), batch_size=4000, max_iter=1, alpha=0.0).fit(
            np.zeros((4000, 6)), np.arange(4000) % 2
        )
        assert during[-1] == 3


# Parameters are finite, and what they say is not ------------------------------


def enormous(dtype, kind="dense"):
    """Rows with which one step of SGD makes parameters as large as they are."""
    size = 1e150 if dtype is np.float64 else 1e18
    data = (np.random.RandomState(0).randn(20, 3) * size).astype(dtype)
    return sp.csr_array(data) if kind == "sparse" else data


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("kind", ["dense", "sparse"])
@pytest.mark.parametrize("call", ["fit", "partial_fit"])
def test_parameters_that_would_predict_nan_are_a_divergence(call, kind, dtype):
    y = np.arange(20) % 3
    model = BackpropMLPClassifier((5,), solver="sgd", max_iter=1, random_state=0)
    arguments = {"classes": [0, 1, 2]} if call == "partial_fit" else {}
    with pytest.raises(ValueError, match=r"^Solver produced non-finite"):
        getattr(model, call)(enormous(dtype, kind), y, **arguments)
    assert not [name for name in vars(model) if name.endswith("_")]
    model.set_params(warm_start=True).fit(np.eye(3, dtype=dtype)[y], y)
    before, moments = frozen(model), model._continuation.state.moments.copy()
    with pytest.raises(ValueError, match=r"^Solver produced non-finite"):
        getattr(model, call)(enormous(dtype, kind), y, **arguments)
    assert_unchanged(model, before)
    assert_array_equal(model._continuation.state.moments, moments)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("solver", ["lbfgs", "adam", "sgd"])
@pytest.mark.parametrize("exponent", [0.3, 0.45, 0.5, 0.7, 0.9, 0.99])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_fit_that_ends_well_predicts_numbers(n_classes, exponent, solver, dtype):
    data = np.random.RandomState(0).randn(20, 3)
    data *= float(np.finfo(dtype).max) ** exponent / 4
    y = np.arange(20) % n_classes
    model = BackpropMLPClassifier((5,), solver=solver, max_iter=2, random_state=0)
    data = data.astype(dtype)
    try:
        model.fit(data, y)
    except ValueError as error:
        assert str(error).startswith("Solver produced non-finite")
    if hasattr(model, "coefs_"):  # those of the last finite epoch after an error
        assert np.isfinite(model.predict_proba(data)).all()
        assert np.isfinite(model.predict_log_proba(data)).all()


@pytest.mark.parametrize("max_iter", [2, 5])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_the_last_epoch_that_predicts_numbers_is_kept(early_stopping, max_iter):
    """The second ends with a loss and parameters that are finite, but not outputs."""
    data, y = np.random.RandomState(0).randn(30, 3) * 1e75, np.arange(30) % 3
    model = BackpropMLPClassifier(
        (5,), solver="sgd", random_state=0, early_stopping=early_stopping
    )
    one = copy.deepcopy(model.set_params(max_iter=1).fit(data, y))
    model.set_params(max_iter=max_iter)
    if early_stopping:
        with pytest.warns(ConvergenceWarning, match="Training diverged in epoch 2"):
            model.fit(data, y)
    else:
        with pytest.raises(ValueError, match=r"^Solver produced non-finite"):
            model.fit(data, y)
    assert model.n_iter_ == 1 and len(model.loss_curve_) == 1
    assert np.isfinite(model.predict_proba(data)).all()
    assert_array_equal(model.coefs_[0], one.coefs_[0])


def test_scorers_never_see_nan():
    def scorer(model, X, y):
        assert np.isfinite(model.predict_proba(X)).all()
        seen.append(1)
        return float(len(seen))

    seen = []
    model = BackpropMLPClassifier(
        (5,), solver="sgd", early_stopping=True, scoring=scorer, random_state=0
    )
    with pytest.raises(ValueError, match="non-finite"):
        model.fit(enormous(np.float64), np.arange(20) % 2)
    assert not seen and not hasattr(model, "coefs_")


ACTIVATIONS = ["identity", "relu", "sigmoid", "tanh", "selu", "silu", "gelu", "mish"]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("hidden", [(), (3,), (2, 5, 1), (4,) * 12])
@pytest.mark.parametrize("size", [1e-3, 1.0, 1e6])
def test_below_the_bound_no_output_overflows(size, hidden, activation, dtype):
    """However the parameters share the sum of squares: the widest, the largest."""
    rng = np.random.RandomState(0)
    data = (rng.uniform(0.5, 1, (6, 3)) * size).astype(dtype)
    topology = make_topology(
        [3, *hidden, 2], [activation] * len(hidden), "identity", "squared_error"
    )
    table = make_table(data, Y=np.zeros((6, 2)), dtype=dtype)
    limit = _training.harmless_square(topology, table, np.dtype(dtype))
    square_sum = engine_of(dtype).square_sum
    assert limit > 10 * (len(hidden) + 1)  # of use for parameters of usual sizes
    for trial in range(20):
        theta = rng.uniform(0, 1, topology.n_parameters) ** (1 + trial)
        theta = (theta * np.sqrt(0.99 * limit / np.square(theta).sum())).astype(dtype)
        if not np.isfinite(square_sum(theta[None])):
            continue  # so large that no bound is asked
        assert square_sum(theta[None]) <= limit
        assert np.isfinite(predict(topology, theta, table, raw=True)).all()


def test_the_bound_with_embeddings():
    rng = np.random.RandomState(0)
    embeddings = Embeddings([[-3.0, 0.5, 4e12], [0.0, 1.0]], 1, [3], 4, 2)
    topology = make_topology(
        [embeddings.n_outputs, 3, 1], ["relu"], "identity", "squared_error",
        embeddings=embeddings,
    )  # fmt: skip
    data = np.array([[2, 1, 7, 2], [np.nan, 0, -9, 0], [0, np.nan, 0, 1]], np.float32)
    table = make_table(data, Y=np.zeros((3, 1)), dtype=np.float32)
    limit = _training.harmless_square(topology, table, np.dtype(np.float32))
    assert limit > 1e6
    for trial in range(50):
        theta = rng.uniform(0, 1, topology.n_parameters) ** (1 + trial)
        theta *= np.sqrt(0.99 * limit / np.square(theta).sum())
        theta = theta.astype(np.float32)
        assert np.isfinite(predict(topology, theta, table, raw=True)).all()


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"solver": "sgd"},
        {"dtype": "float32"},
        {"dtype": "float32", "hidden_layer_sizes": (60,) * 8},
        {"early_stopping": True},
    ],
    ids=str,
)
def test_usual_fits_are_not_looked_at_row_by_row(settings, monkeypatch):
    def fails(*_):
        raise AssertionError("a pass over the rows")

    monkeypatch.setattr(_training, "outputs_are_finite", fails)
    BackpropMLPClassifier(max_iter=3, random_state=0, **settings).fit(X, Y)
