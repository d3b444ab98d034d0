"""Members that are trained elsewhere, from a pickle: the bits of the local fit.

Answers for: tabular/_prepared.py, tabular/_folds.py.
"""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from helpers import fast_classifier as classifier
from helpers import fast_regressor as regressor
from helpers import thetas
from numpy.testing import assert_array_equal, assert_equal
from scipy import sparse

from skbackprop._evaluation import as_arrays, make_table
from skbackprop.tabular._folds import Part
from skbackprop.tabular._prepared import prepare

N = 90


def frame(n=N, seed=0):
    rng = np.random.default_rng(seed)
    gaps = np.where(rng.uniform(size=n) < 0.2, np.nan, rng.standard_normal(n))
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 99, n), "D")
    return pd.DataFrame(
        {
            "number": rng.standard_normal(n),
            "gaps": gaps,
            "kind": pd.Categorical(rng.choice(list("abc"), n)),
            "town": [None if v > 9 else f"t{v}" for v in rng.integers(0, 12, n)],
            "day": days,
        }
    )


X, X_VAL = frame(), frame(30, seed=1)
RNG = np.random.default_rng(2)
SIGNAL = X["number"].to_numpy() + RNG.standard_normal(N) / 4
TWO = np.where(SIGNAL > 0.3, "yes", "no")
THREE = np.digitize(SIGNAL, [-0.4, 0.4])
LABELS = np.column_stack([SIGNAL > 0, SIGNAL > 0.5, SIGNAL < -0.2]).astype(int)
SEVERAL = np.column_stack([SIGNAL, -2 * SIGNAL])
WEIGHTS = RNG.uniform(size=N) * (np.arange(N) % 7 > 0)
VAL = X_VAL, np.where(X_VAL["number"] > 0, "yes", "no"), None

CASES = {
    "two classes": (classifier, {}, TWO, None, None),
    "three classes": (classifier, {"class_weight": "balanced"}, THREE, None, None),
    "weights": (classifier, {"class_weight": {2: 3.0}}, THREE, WEIGHTS, None),
    "labels": (classifier, {}, LABELS, None, None),
    "calibrated": (classifier, {"calibrate": True}, TWO, WEIGHTS, None),
    "scorer": (classifier, {"scoring": "roc_auc", "n_folds": 2}, TWO, WEIGHTS, None),
    "folds": (classifier, {"n_folds": None}, THREE, None, None),
    "X_val": (classifier, {"calibrate": True}, TWO, None, VAL),
    "scorer of X_val": (classifier, {"scoring": "accuracy"}, TWO, None, VAL),
    "nothing held out": (regressor, {"n_folds": 1, "n_repeats": 2}, SIGNAL, None, None),
    "numbers": (regressor, {}, SIGNAL, WEIGHTS, None),
    "several": (regressor, {"dropout": 0.2}, SEVERAL, None, None),
    "quantiles": (
        regressor,
        {"loss": "quantile", "quantile": [0.1, 0.5, 0.9]},
        SIGNAL,
        None,
        None,
    ),
    "a scorer of numbers": (regressor, {"scoring": "r2"}, SIGNAL, WEIGHTS, None),
}


def elsewhere(prepared):
    """What arrives in another process: buffers anywhere, and nobody may write there."""
    buffers = []
    pickled = pickle.dumps(prepared, protocol=5, buffer_callback=buffers.append)
    moved = [memoryview(b"\0" + bytes(each.raw()))[1:] for each in buffers]
    return pickle.loads(pickled, buffers=moved)


def assert_same_fit(other, fitted):
    assert_array_equal(thetas(other), thetas(fitted))
    assert set(vars(other)) == set(vars(fitted))
    for name, value in vars(fitted).items():
        if name == "encoder_":
            for part, kept in vars(value).items():
                assert_equal(getattr(other.encoder_, part), kept)
        elif name != "_bag":
            assert_equal(getattr(other, name), value)
    for method in ("predict", "predict_proba"):
        if hasattr(fitted, method):
            assert_array_equal(getattr(other, method)(X), getattr(fitted, method)(X))


@pytest.mark.parametrize("name", CASES)
def test_members_of_a_pickle_make_the_local_fit(name):
    make, parameters, y, weights, validation = CASES[name]
    model = make(dates="numbers", max_iter=3, **parameters)
    given = dict(zip(("X_val", "y_val"), (validation or ())[:2], strict=False))
    fitted = make(**model.get_params()).fit(X, y, weights, **given)
    prepared = prepare(model, X, y, weights, validation or (None, None, None))
    assert "encoder_" not in vars(model)
    copy = elsewhere(prepared)
    members = [None] * prepared.n_members
    for number in reversed(range(prepared.n_members)):
        # Of two processes, neither of which has trained all of them.
        source = copy if number % 2 else prepared
        members[number] = pickle.loads(pickle.dumps(source.train(number)))
    for each in (elsewhere(copy), prepared):
        other, messages = each.finish(members)
        assert messages == []
        assert_same_fit(other, fitted)
    assert "_bag" not in vars(prepared.estimator)  # nothing was left behind


def test_arrays_are_not_copied():
    prepared = prepare(classifier(dates="numbers"), X, TWO)
    buffers = []
    pickle.dumps(prepared, protocol=5, buffer_callback=buffers.append)
    table = prepared.ensemble.table
    raw = [np.frombuffer(each.raw(), np.uint8) for each in buffers]
    addresses = [each.ctypes.data for each in raw if len(each)]
    assert len(set(addresses)) == len(addresses)
    assert {table.X.ctypes.data, table.Y.ctypes.data} <= set(addresses)
    # Rows as the user gave them are not among them, but where a scorer asks them.
    rows = prepared.read.scoring
    assert rows.given.X is X
    assert elsewhere(prepared).read.scoring.source.X is None
    asked = prepare(classifier(dates="numbers", scoring="roc_auc"), X, TWO)
    assert elsewhere(asked).read.scoring.source.X.equals(X)


def test_what_is_one_stays_one():
    """Else it would travel, or lie in memory, more than once."""
    copy = elsewhere(prepare(classifier(dates="numbers"), X, TWO))
    scoring = copy.read.scoring
    assert copy.ensemble.scoring is scoring
    assert scoring.source is scoring.given
    val = elsewhere(prepare(classifier(dates="numbers"), X, TWO, validation=VAL))
    assert val.read.scoring.source is not val.read.scoring.given
    assert val.read.scoring.given.X is None


def test_streams_are_drawn_from_as_by_a_fit():
    ours, theirs = np.random.RandomState(3), np.random.RandomState(3)
    classifier(random_state=ours, dates="numbers").fit(X, TWO)
    prepared = prepare(classifier(dates="numbers"), X, TWO, random_state=theirs)
    assert theirs.randint(2**31) == ours.randint(2**31)
    assert len(set(prepared.ensemble.seeds)) == 3


def test_some_members_are_enough():
    prepared = prepare(classifier(dates="numbers"), X, TWO)
    member = prepared.train(1)
    model, _ = prepared.finish([None, member, None])
    assert model.n_networks_ == 1
    assert_array_equal(thetas(model)[0], member.theta)
    for members in ([member], [None] * 3):
        with pytest.raises(ValueError, match=r"3 members.*Got"):
            prepared.finish(members)


def test_what_a_fit_would_say():
    """Warnings of data come when they are read, those of the training at its end."""
    odd = X[["number"]].assign(odd=["?"] + ["1"] * (N - 1))
    with pytest.warns(UserWarning, match="'odd'"):
        prepared = prepare(classifier(), odd, TWO)
    with pytest.raises(ValueError, match="preset"):
        prepare(classifier(preset="huge"), X, TWO)

    def blind(estimator, X, y):
        return np.nan

    prepared = prepare(classifier(scoring=blind), X[["number"]], TWO)
    members = [prepared.train(number) for number in range(3)]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        classifier(scoring=blind).fit(X[["number"]], TWO)
    _, messages = prepared.finish(members)
    assert messages == [(str(each.message), each.category) for each in caught]
    assert "finite" in messages[0][0]


def test_tables_are_made_again_of_their_arrays():
    matrix = sparse.random(12, 5, 0.4, "csr", np.float64, random_state=0)
    w = np.arange(12.0)
    for X, dtype in ((matrix, np.float64), (matrix.toarray(), np.float32)):
        table = make_table(X, labels=np.arange(12), sample_weight=w, dtype=dtype)
        again = make_table(**pickle.loads(pickle.dumps(as_arrays(table))))
        for name in "X data indices indptr Y labels sample_weight".split():
            one, other = getattr(table, name), getattr(again, name)
            assert one.dtype == other.dtype
            assert_array_equal(one, other)
        assert (again.n_rows, again.n_columns) == (12, 5)
        assert again.sparse == table.sparse


def test_rows_are_aligned_where_they_are_read():
    rows = np.frombuffer(b"\0" + np.arange(4).tobytes(), np.intp, offset=1)
    assert not rows.flags.aligned
    part = Part.of_rows(rows, rows)
    assert part.training().flags.aligned and part.validating().flags.aligned
    assert_array_equal(part.training(), np.arange(4))
    own = np.arange(4)
    assert Part.of_rows(own, own).training() is own


def test_training_changes_nothing_that_others_read():
    prepared = prepare(classifier(dates="numbers", scoring="roc_auc"), X, TWO)
    before = pickle.dumps(prepared)
    one, other = prepared.train(2), prepared.train(2)
    assert_equal(one._asdict(), other._asdict())
    assert pickle.dumps(prepared) == before
