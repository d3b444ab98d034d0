"""Who watches a training, and going on from a state of it.

Answers for: _observers.py, _state.py, _settings.py, tabular/_ensemble.py.
"""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from skbackprop import (
    BackpropMLPClassifier,
    BackpropMLPRegressor,
    TabularMLPClassifier,
    TabularMLPRegressor,
    _base,
)
from skbackprop._observers import EpochPrinter, Observer, Several, together
from skbackprop._state import Ending
from skbackprop._training import train

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
RNG = np.random.default_rng(0)
X = RNG.normal(size=(150, 5))
Y = (X[:, 0] + X[:, 1] ** 2 > 0.5).astype(int)
FRAME = pd.DataFrame(X, columns=list("abcde")).assign(f=np.where(Y > 0, "u", "v"))


class Noting(Observer):
    """Notes what it is told, and the state of some epochs."""

    def __init__(self, states=(), stop=None):
        self.told, self.states, self.kept, self.stop = [], states, {}, stop
        self.fitted = {}

    def fit_begins(self, n_members):
        self.told.append(("fit begins", n_members))

    def member_begins(self, member):
        self.told.append(("member begins", member))

    def epoch_begins(self, member, number):
        self.told.append(("epoch begins", member, number))

    def epoch_ends(self, epoch):
        self.told.append(("epoch ends", epoch.member, epoch.number))
        assert np.isfinite(epoch.loss)
        if epoch.number in self.states:
            self.kept[epoch.member, epoch.number] = epoch.state()
            self.fitted[epoch.member, epoch.number] = epoch.fitted()
        return epoch.number == self.stop

    def member_ends(self, member, ending, result):
        self.told.append(("member ends", member, str(ending)))

    def fit_ends(self):
        self.told.append(("fit ends",))


def watched(family, observer, **parameters):
    """Return an estimator whose fit is watched."""

    class Watched(family):
        def _observers(self):
            return [observer]

    Watched.__name__ = family.__name__
    return Watched(**parameters)


SMALL = {"hidden_layer_sizes": (7,), "random_state": 0, "batch_size": 30}
FAST = {"preset": "fast", "n_folds": 3, "n_jobs": 1, "random_state": 0, "max_iter": 5}


def test_a_fit_of_one_network_is_told_in_order():
    observer = Noting()
    watched(BackpropMLPClassifier, observer, max_iter=2, **SMALL).fit(X, Y)
    assert observer.told == [
        ("fit begins", 1),
        ("member begins", 0),
        ("epoch begins", 0, 1),
        ("epoch ends", 0, 1),
        ("epoch begins", 0, 2),
        ("epoch ends", 0, 2),
        ("member ends", 0, "exhausted"),
        ("fit ends",),
    ]


def test_a_fit_of_several_networks_is_told_by_member():
    observer = Noting()
    watched(TabularMLPClassifier, observer, **FAST).fit(FRAME, Y)
    assert observer.told[0] == ("fit begins", 3)
    assert observer.told[-1] == ("fit ends",)
    for member in range(3):
        mine = [told for told in observer.told[1:-1] if told[1] == member]
        assert mine[0] == ("member begins", member)
        assert mine[-1] == ("member ends", member, "exhausted")
        ends = [told[2] for told in mine if told[0] == "epoch ends"]
        assert ends == [1, 2, 3, 4, 5]


def test_lbfgs_is_told_too():
    observer = Noting()
    model = watched(
        BackpropMLPRegressor, observer, solver="lbfgs", max_iter=4, random_state=0
    ).fit(X, X[:, 0])
    assert [told for told in observer.told if told[0] == "epoch ends"] == [
        ("epoch ends", 0, n) for n in range(1, model.n_iter_ + 1)
    ]


def test_the_end_is_told_where_a_fit_fails():
    class Failing(Noting):
        def epoch_ends(self, epoch):
            raise RuntimeError("of mine")

    observer = Failing()
    with pytest.raises(RuntimeError, match="of mine"):
        watched(BackpropMLPClassifier, observer, **SMALL).fit(X, Y)
    assert observer.told[-1] == ("fit ends",)


@pytest.mark.parametrize("family", [BackpropMLPClassifier, TabularMLPClassifier])
def test_a_true_answer_stops(family):
    parameters = FAST if family is TabularMLPClassifier else SMALL
    model = watched(family, Noting(stop=3), **{**parameters, "max_iter": 9})
    model.fit(FRAME if family is TabularMLPClassifier else X, Y)
    assert model.n_iter_ == 3
    assert model.predict_proba(FRAME if "preset" in parameters else X).shape == (150, 2)


def test_the_fitted_copy_is_that_of_the_epoch():
    observer = Noting(states=[2])
    watched(BackpropMLPClassifier, observer, max_iter=5, **SMALL).fit(X, Y)
    alone = BackpropMLPClassifier(max_iter=2, **SMALL).fit(X, Y)
    copy = observer.fitted[0, 2]
    assert_array_equal(copy.predict_proba(X), alone.predict_proba(X))
    assert_array_equal(copy.predict(X), alone.predict(X))


@pytest.mark.parametrize("family", [TabularMLPClassifier, TabularMLPRegressor])
def test_the_fitted_copy_of_a_member_predicts_from_frames(family):
    observer = Noting(states=[5])
    y = Y if family is TabularMLPClassifier else X[:, 0]
    model = watched(family, observer, **{**FAST, "n_folds": 1}).fit(FRAME, y)
    assert model.best_epochs_.tolist() == [5]
    assert_array_equal(observer.fitted[0, 5].predict(FRAME), model.predict(FRAME))


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("solver", ["sgd", "adamw"])
def test_a_training_goes_on_from_a_state(solver, early_stopping, monkeypatch):
    """The same bits as without a break, through a pickle."""
    calls = []

    def noting(problem, state, table, validate, watch):
        calls.append((problem, table, validate))
        return train(problem, state, table, validate, watch)

    monkeypatch.setattr(_base, "train", noting)
    observer = Noting(states=[3])
    parameters = {"solver": solver, "early_stopping": early_stopping, "dropout": 0.2}
    model = watched(
        BackpropMLPClassifier,
        observer,
        max_iter=8,
        learning_rate="cosine",
        **parameters,
        **SMALL,
    ).fit(X, Y)
    ((problem, table, validate),) = calls
    problem = pickle.loads(pickle.dumps(problem))
    state = pickle.loads(pickle.dumps(observer.kept[0, 3]))
    assert train(problem, state, table, validate) == Ending.EXHAUSTED
    assert_array_equal(state.theta, model._theta.theta)
    assert state.history.loss_curve == model.loss_curve_
    assert state.history.n_iter == 8
    if early_stopping:
        assert state.history.validation_scores == model.validation_scores_


#: Of data to validate on.
NOTHING = (None, None, None)


def test_an_ensemble_goes_on_with_members_that_have_begun():
    observer = Noting(states=[2])
    whole = watched(TabularMLPClassifier, observer, **FAST).fit(FRAME, Y)
    heard = Noting()
    again = watched(TabularMLPClassifier, heard, **FAST)
    again._fit(FRAME, Y, None, NOTHING, begun={1: observer.kept[1, 2]})
    for a, b in zip(whole._bag[1], again._bag[1], strict=True):
        assert_array_equal(a, b)
    assert again.validation_scores_ == whole.validation_scores_
    assert ("epoch begins", 1, 3) in heard.told
    assert ("epoch begins", 1, 1) not in heard.told
    assert ("epoch begins", 0, 1) in heard.told


def test_an_ensemble_keeps_members_that_are_finished():
    results = {}

    class Keeping(Noting):
        def member_ends(self, member, ending, result):
            results[member] = result

    whole = watched(TabularMLPClassifier, Keeping(), **FAST).fit(FRAME, Y)
    heard = Noting()
    again = watched(TabularMLPClassifier, heard, **FAST)
    again._fit(FRAME, Y, None, NOTHING, begun={0: results[0], 2: results[2]})
    assert {told[1] for told in heard.told if told[0] == "member begins"} == {1}
    for a, b in zip(whole._bag[1], again._bag[1], strict=True):
        assert_array_equal(a, b)


def test_a_state_that_was_kept_does_not_change():
    observer = Noting(states=[1])
    watched(BackpropMLPClassifier, observer, max_iter=6, **SMALL).fit(X, Y)
    alone = BackpropMLPClassifier(max_iter=1, **SMALL).fit(X, Y)
    state = observer.kept[0, 1]
    assert_array_equal(state.theta, alone._theta.theta)
    assert state.history.loss_curve == alone.loss_curve_


def test_verbose_is_an_observer(capsys):
    BackpropMLPClassifier(max_iter=2, verbose=True, **SMALL).fit(X, Y)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in lines] == ["Iteration 1", "Iteration 2"]
    assert together([]) is None
    assert isinstance(together([EpochPrinter()]), EpochPrinter)
    assert isinstance(together([EpochPrinter(), Noting()]), Several)


def test_several_observers_all_hear_and_any_stops():
    first, second = Noting(stop=2), Noting()
    both = Several([first, second])
    watched(BackpropMLPClassifier, both, max_iter=5, **SMALL).fit(X, Y)
    assert first.told == second.told
    assert ("epoch begins", 0, 3) not in second.told
