"""A fit changes an estimator all at once, and a prediction reads it all at once.

Both are shown without a race: a scorer predicts in the middle of a fit, and an array
fits the estimator again in the middle of a prediction.

Answers for: _snapshot.py.
"""

import numpy as np
import pytest

from skbackprop import (
    BackpropMLPClassifier,
    BackpropMLPRegressor,
    TabularEncoder,
    TabularMLPClassifier,
    TabularMLPRegressor,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 3))
FAR = X[:, ::-1] * 1000 + 5e4
THIRDS = np.array(["low", "middle", "high"])[np.searchsorted([-0.4, 0.4], X[:, 0])]
HALVES = np.where(X[:, 0] > 0, "yes", "no")
NUMBERS = X[:, 0] - X[:, 1]

BACKPROP = {
    "hidden_layer_sizes": (4,),
    "early_stopping": True,
    "max_iter": 2,
    "random_state": 0,
}
TABULAR = {
    "hidden_layer_sizes": (4,),
    "n_folds": 2,
    "max_iter": 2,
    "n_jobs": 1,
    "random_state": 0,
}
#: An estimator, the data of its first fit and those of its second.
CASES = {
    "BackpropMLPClassifier": (
        BackpropMLPClassifier(**BACKPROP),
        (X, THIRDS),
        (X * 3, HALVES),
    ),
    "BackpropMLPRegressor": (
        BackpropMLPRegressor(**BACKPROP),
        (X, NUMBERS),
        (X * 3, np.c_[NUMBERS, NUMBERS]),
    ),
    "TabularMLPClassifier": (
        TabularMLPClassifier(calibrate=True, **TABULAR),
        (X, THIRDS),
        (FAR, HALVES),
    ),
    "TabularMLPRegressor": (
        TabularMLPRegressor(**TABULAR),
        (X, NUMBERS),
        (FAR, 1e6 + 1000 * NUMBERS),
    ),
}
METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function")
pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")


def answers(model, rows=X):
    return {m: getattr(model, m)(rows) for m in METHODS if hasattr(model, m)}


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for method, answer in expected.items():
        np.testing.assert_array_equal(found[method], answer, err_msg=method)


@pytest.mark.parametrize("name", CASES)
def test_predictions_in_the_middle_of_a_fit_are_the_old_models(name):
    model, first, second = CASES[name]
    model.set_params(scoring=None if name.startswith("Backprop") else "loss")
    model.fit(*first)
    before, seen = answers(model), []

    def scorer(estimator, X_held, y_held):
        seen.append(answers(model))
        return 1.0

    model.set_params(scoring=scorer).fit(*second)
    assert len(seen) >= 2
    for found in seen:
        assert_same(found, before)
    after = answers(model)
    assert any(not np.array_equal(after[m], before[m]) for m in before)


class FitsAgain:
    """An array whose first conversion fits a model again."""

    def __init__(self, array, model, data):
        self.array, self.model, self.data = array, model, data
        self.shape = array.shape

    def __len__(self):
        return len(self.array)

    def __array__(self, dtype=None, copy=None):
        if self.data is not None:
            data, self.data = self.data, None
            self.model.fit(*data)
        return np.array(self.array, dtype=dtype)


@pytest.mark.parametrize(
    ("name", "method"),
    [(name, m) for name, case in CASES.items() for m in METHODS if hasattr(case[0], m)],
)
def test_a_prediction_in_which_a_fit_ends_is_the_old_models(name, method):
    model, first, second = CASES[name]
    model.set_params(scoring=None if name.startswith("Backprop") else "loss")
    model.fit(*first)
    before = getattr(model, method)(X)
    rows = FitsAgain(X, model, second)
    found = getattr(model, method)(rows)
    assert rows.data is None  # it was fitted
    np.testing.assert_array_equal(found, before)
    assert not np.array_equal(getattr(model, method)(X), before)


@pytest.mark.parametrize("method", ["transform", "get_feature_names_out"])
def test_an_encoder_that_is_fitted_again_in_the_middle(method):
    encoder = TabularEncoder(categorical_features=[0]).fit(np.round(X))
    names = np.array(["a", "b", "c"], dtype=object)
    given = X if method == "transform" else names
    before = getattr(encoder, method)(given)
    rows = FitsAgain(given, encoder, (np.round(FAR[:, :2]),))
    np.testing.assert_array_equal(getattr(encoder, method)(rows), before)
    assert rows.data is None and encoder.n_features_in_ == 2


@pytest.mark.parametrize("name", CASES)
def test_a_fit_that_fails_late_changes_nothing(name):
    model, first, second = CASES[name]
    model.set_params(scoring=None if name.startswith("Backprop") else "loss")
    model.fit(*first)
    before, state = answers(model), dict(vars(model))

    def scorer(estimator, X_held, y_held):
        raise RuntimeError("no score")

    model.set_params(scoring=scorer)
    state["scoring"] = scorer
    with pytest.raises(RuntimeError, match="no score"):
        model.fit(*second)
    assert vars(model).keys() == state.keys()
    assert all(vars(model)[key] is state[key] for key in state)
    assert_same(answers(model), before)
