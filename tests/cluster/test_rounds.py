"""Rounds: their formulas, by hand; which rows a round has; scores that are sums.

Answers for: dask/_rounds.py, dask/_cycles.py, dask/_scores.py, dask/_partitions.py.
"""

from __future__ import annotations

import pickle
import sys
from functools import partial
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import reference
import scipy.sparse as sp
from partitioned import InProcess
from sklearn.metrics import accuracy_score, r2_score

from skbackprop._layers import make_topology
from skbackprop._settings import Settings
from skbackprop._targets import Classes, Numbers
from skbackprop.core.optimizers import Solver, n_slots
from skbackprop.dask._cycles import cycle, visit
from skbackprop.dask._partitions import Partition
from skbackprop.dask._readings import Prepared
from skbackprop.dask._rounds import (
    Common,
    Method,
    Outer,
    averaged,
    begun,
    rows_of_stream,
    score_partition,
    stream,
    train_partition,
)
from skbackprop.dask._scores import Measure, r2, squares

N, P = 40, 3


def method(**changes):
    settings = {
        "solver": Solver.SGD,
        "learning_rate_init": 0.05,
        "batch_size": 5,
        "max_iter": 4,
        "tol": 0.0,
        "n_iter_no_change": np.inf,
        "momentum": 0.0,
        "nesterov": False,
    }
    topology = make_topology([P, 4, 1], ["tanh"], "identity", "squared_error")
    known = {
        "topology": topology,
        "settings": Settings(**settings | changes.pop("settings", {})),
        "measure": Measure(Numbers("squared_error"), "loss", np.zeros(1)),
        "local_epochs": 1.0,
        "seed": 7,
        "keeps_moments": False,
    }
    return Method(**known | changes)


def partition(rng, n=N, **more):
    X = rng.normal(size=(n, P))
    return Partition(X, X[:, :1] * 2 - X[:, 1:2], None, None, **more)


def common(method, rng, moments=None):
    theta = rng.normal(size=method.topology.n_parameters)
    return Common(0, theta, moments, 0, method.settings.learning_rate_init)


def loss_and_grad(topology, theta, X, Y):
    """(L1) and its gradient, by NumPy."""
    (W1, W2), (b1, b2) = topology.views(theta)
    A = np.tanh(X @ W1 + b1)
    d2 = (A @ W2 + b2 - Y) / len(X)
    d1 = d2 @ W2.T * (1 - A**2)
    grads = [X.T @ d1, d1.sum(0), A.T @ d2, d2.sum(0)]
    return np.concatenate([each.ravel() for each in grads])


def loss_of(topology, theta, X, Y):
    """(L1), by NumPy."""
    (W1, W2), (b1, b2) = topology.views(theta)
    return 0.5 * np.mean((np.tanh(X @ W1 + b1) @ W2 + b2 - Y) ** 2)


def test_a_round_by_hand(rng):
    given, round_ = method(), 2
    parts, begin = [partition(rng), partition(rng, 25)], common(given, rng)
    ends = []
    for number, part in enumerate(parts):
        theta, n = begin.theta.copy(), part.n_rows
        rows = rows_of_stream(np.arange(n), (7, 0, number), round_ * n, 3 * n)
        assert sorted(rows) == list(range(n))
        for start in range(0, n, 5):
            some = rows[start : start + 5]
            theta -= 0.05 * loss_and_grad(
                given.topology, theta, part.X[some], part.Y[some]
            )
        ends.append(theta)
    found = [
        train_partition(part, given, number, round_, [begin])
        for number, part in enumerate(parts)
    ]
    for change, end in zip(found, ends, strict=True):
        np.testing.assert_allclose(
            change[0].theta, end - begin.theta, rtol=1e-9, atol=1e-12
        )
    mean = averaged(found)[0]
    by_hand = reference.mean_change(begin.theta, ends, [N, 25])  # (Y1)
    np.testing.assert_allclose(mean.theta, by_hand, rtol=1e-9, atol=1e-12)
    assert mean.weight == N + 25 and mean.finite
    losses = [each[0].loss for each in found]
    assert mean.loss == pytest.approx((N * losses[0] + 25 * losses[1]) / (N + 25))


def test_a_cycle_by_hand(rng):
    """From partition to partition; the score is of what the cycle began with."""
    given = method()
    parts, start = [partition(rng), partition(rng, 25)], common(given, rng)
    held = partition(rng, 10, folds=np.zeros((10, 1), np.int32))  # trains nobody
    theta, where, losses = start.theta.copy(), None, []
    for number, part in enumerate([parts[0], held, parts[1]]):
        where = visit(part, given, number, 2, [start], 0, where)
        if part is held:
            continue
        n = part.n_rows
        for first in range(0, n, 5):
            rows = rows_of_stream(np.arange(n), (7, 0, number), 2 * n, 3 * n)
            some = rows[first : first + 5]
            X, Y = part.X[some], part.Y[some]
            losses.append(loss_of(given.topology, theta, X, Y))
            theta -= 0.05 * loss_and_grad(given.topology, theta, X, Y)
    change = where.change()
    np.testing.assert_allclose(change.theta, theta, rtol=1e-9, atol=1e-12)
    assert change.loss == pytest.approx(np.mean(losses))
    assert change.weight == N + 25 and change.finite and change.score[1] == 10
    expected = -loss_of(given.topology, start.theta, held.X, held.Y)
    assert given.measure.score(change.score) == pytest.approx(expected)


def test_members_walk_at_the_same_time(rng):
    """In one order, which is drawn for the cycle; each begins elsewhere.  (Y3)"""
    given = method(settings={"solver": Solver.ADAM}, keeps_moments=True)
    parts = [partition(rng, 20 + k) for k in range(5)]
    zeros = np.zeros((n_slots(Solver.ADAM), given.topology.n_parameters))
    starts = [common(given, rng, zeros)._replace(member=m) for m in range(2)]
    visits = {
        number: partial(visit, part, given, number, 3, starts)
        for number, part in enumerate(parts)
    }
    prepared = [
        Prepared(k, lambda function, *args, part=part: function(part, *args))
        for k, part in enumerate(parts)
    ]
    members = [SimpleNamespace(common=lambda start=start: start) for start in starts]
    found = cycle(InProcess(), given, members, prepared, 3, seed=9)
    order = stream(9, 3).permutation(5)
    for place, first in ((0, 0), (1, 2)):
        walked = {k: partial(each, place) for k, each in visits.items()}
        expected = reference.cycle(walked, order.tolist(), first, None)
        np.testing.assert_array_equal(found[place].theta, expected.common.theta)
        np.testing.assert_array_equal(found[place].moments, expected.common.moments)


def test_moments_go_with_a_member(rng):
    given = method(settings={"solver": Solver.ADAM}, keeps_moments=True)
    zeros = np.zeros((n_slots(Solver.ADAM), given.topology.n_parameters))
    start = common(given, rng, zeros)
    part = partition(rng)
    first = visit(part, given, 0, 0, [start], 0, None)
    assert first.common.steps == 8 and first.common.moments.any()
    second = visit(part, given, 1, 0, [start], 0, first)
    fresh = first.common._replace(moments=zeros, steps=0)
    other = visit(part, given, 1, 0, [start], 0, first._replace(common=fresh))
    assert second.common.steps == 16
    assert not np.array_equal(second.common.theta, other.common.theta)


def test_batches_are_whole(rng):
    """A step by the few rows that are left over would count as much as the others."""
    given = method(local_epochs=0.5)
    part, begin, seen = partition(rng, 33), common(given, rng), []
    for round_ in range(8):
        state, _ = begun(given, part, 0, round_, begin)
        assert len(state.order) in (15, 20)  # half of 33 rows, in batches of 5
        seen.append(len(state.order))
    assert sum(seen) == 130  # of four passes over 33 rows
    few = partition(rng, 3)
    assert len(begun(given, few, 0, 0, begin)[0].order) == 3


def test_weights_of_rows_are_weights_of_partitions(rng):
    """A row of weight 3 in one partition is three rows, to the mean and to its loss."""
    given = method(settings={"batch_size": N})
    part, other, begin = partition(rng), partition(rng), common(given, rng)
    heavy = Partition(part.X, part.Y, None, np.full(N, 3.0))
    rows = np.tile(np.arange(N), 3)
    thrice = Partition(part.X[rows], part.Y[rows], None, None)
    given3 = method(settings={"batch_size": 3 * N})
    one, two, three = (
        train_partition(each, how, 0, 0, [begin])
        for each, how in [(heavy, given), (other, given), (thrice, given3)]
    )
    mean, expected = averaged([one, two])[0], averaged([three, two])[0]
    np.testing.assert_allclose(mean.theta, expected.theta, rtol=1e-9, atol=1e-12)
    assert mean.loss == pytest.approx(expected.loss) and mean.weight == 4 * N


def test_parameters_that_lie_anywhere_in_memory(rng):
    """As a message brings them."""
    given = method()
    begin = common(given, rng)
    raw = np.zeros(begin.theta.nbytes + 1, np.uint8)[1:]
    raw[...] = begin.theta.view(np.uint8)
    odd = begin._replace(theta=raw.view(np.float64))
    assert not odd.theta.flags.aligned
    part = partition(rng, folds=np.arange(N)[:, None] % 2)  # with rows held out
    for function, args in ((train_partition, (0, 0)), (score_partition, (0,))):
        one, two = (function(part, given, *args, [each])[0] for each in (begin, odd))
        np.testing.assert_array_equal(one.theta, two.theta)


def test_outer_steps_by_hand(rng):
    theta, d1, d2 = rng.normal(size=(3, 4))
    outer = Outer(0.5, 0.9)
    first = outer.step(theta, d1)
    second = outer.step(first, d2)
    by_hand, v = reference.outer_step(theta, np.zeros(4), d1, 0.5, 0.9)  # (Y2)
    np.testing.assert_allclose(first, by_hand)
    by_hand, v = reference.outer_step(by_hand, v, d2, 0.5, 0.9)
    np.testing.assert_allclose(second, by_hand)
    plain = Outer(1.0, 0.0)
    np.testing.assert_array_equal(plain.step(theta, d1), theta + d1)
    assert outer.step(theta.astype(np.float32), d1.astype(np.float32)).dtype == "f4"


def test_one_batch_of_all_partitions_is_one_step(rng):
    """Equal partitions, a step of each: the mean change is the step of the union."""
    given = method(settings={"batch_size": N})
    parts, begin = [partition(rng), partition(rng)], common(given, rng)
    found = [train_partition(p, given, k, 0, [begin]) for k, p in enumerate(parts)]
    union = [
        np.concatenate(each) for each in zip(*[(p.X, p.Y) for p in parts], strict=True)
    ]
    step = -0.05 * loss_and_grad(given.topology, begin.theta, *union)
    change = averaged(found)[0].theta
    np.testing.assert_allclose(change, step, rtol=1e-9, atol=1e-12)


def test_a_tree_of_means_is_the_mean(rng):
    given = method()
    begin = common(given, rng)
    found = [
        train_partition(partition(rng, 10 + 3 * k), given, k, 0, [begin])
        for k in range(5)
    ]
    whole = averaged(found)[0]
    tree = averaged([averaged(found[:2]), averaged(found[2:])])[0]
    np.testing.assert_allclose(tree.theta, whole.theta, rtol=1e-12)
    assert tree.loss == pytest.approx(whole.loss) and tree.weight == whole.weight


@pytest.mark.parametrize("passes", [0.25, 0.3, 1.0, 2.5])
def test_rounds_walk_through_all_rows(passes):
    """The rounds together are whole passes: no row is seen before all others were."""
    rows, key, n = np.arange(3, 43), (1, 2, 3), 40
    ends = [int(passes * k * n) for k in range(21)]
    walked = np.concatenate(
        [rows_of_stream(rows, key, a, b) for a, b in pairwise(ends)]
    )
    for start in range(0, len(walked) - n + 1, n):
        assert sorted(walked[start : start + n]) == rows.tolist()
    if len(walked) >= 2 * n:
        assert walked[:n].tolist() != walked[n : 2 * n].tolist()
    straight = rows_of_stream(rows, key, 0, 60, shuffled=False)
    assert straight.tolist() == [*rows, *rows[:20]]


def test_partitions_shuffle_and_drop_by_themselves(rng):
    """The same rows elsewhere, in another round or member, train in another way."""
    given = method(settings={"dropout": 0.5})
    part, begin = partition(rng), common(given, rng)
    seen = [
        train_partition(part, given, number, round_, [begin])[0].theta
        for number, round_ in [(0, 0), (0, 0), (1, 0), (0, 1)]
    ]
    np.testing.assert_array_equal(seen[0], seen[1])
    assert not np.array_equal(seen[0], seen[2])
    assert not np.array_equal(seen[0], seen[3])
    # Masks alone: with one order of the rows, rounds still drop others.
    given = method(settings={"dropout": 0.5, "shuffle": False})
    first, second = (
        train_partition(part, given, 0, k, [begin])[0].theta for k in (0, 1)
    )
    assert not np.array_equal(first, second)


def test_members_shuffle_by_themselves(rng):
    given, part, begin = method(), partition(rng), common(method(), rng)
    both = [begin, begin._replace(member=1)]
    one, two = train_partition(part, given, 0, 0, both)
    assert not np.array_equal(one.theta, two.theta)


def test_the_rate_of_a_round_and_its_schedule(rng):
    """A step is as long as the rate; a cosine ends at 0 with the last round."""
    given, part = method(settings={"batch_size": N}), partition(rng)
    begin = common(given, rng)
    fast = begin._replace(learning_rate=3 * begin.learning_rate)
    one, three = train_partition(part, given, 0, 0, [begin, fast])
    np.testing.assert_allclose(three.theta, 3 * one.theta, rtol=1e-9, atol=1e-12)
    given = method(settings={"batch_size": N, "learning_rate": "cosine"})
    for round_ in range(4):
        change = train_partition(part, given, 0, round_, [begin])[0]
        factor = (1 + np.cos(np.pi * (round_ + 0.5) / 4)) / 2  # (S0)
        np.testing.assert_allclose(
            change.theta, factor * one.theta, rtol=1e-9, atol=1e-12
        )


def test_partitions_of_a_few_rows_take_a_step_in_every_round(rng):
    given = method(local_epochs=0.1)
    begin = common(given, rng)
    for round_ in range(3):
        change = train_partition(partition(rng, 3), given, 0, round_, [begin])[0]
        assert change.theta.any() and change.weight == 3


def test_moments_go_from_round_to_round_where_they_are_kept(rng):
    given = method(settings={"solver": Solver.ADAM}, keeps_moments=True)
    part = partition(rng)
    n_parameters = given.topology.n_parameters
    zeros = np.zeros((n_slots(Solver.ADAM), n_parameters))
    begin = common(given, rng, zeros)
    change = train_partition(part, given, 0, 0, [begin])[0]
    assert change.steps == 8 and np.any(change.moments)
    kept = begin._replace(moments=change.moments, steps=change.steps)
    again = train_partition(part, given, 0, 0, [kept])[0]
    assert again.steps == 16 and not np.array_equal(again.theta, change.theta)
    both = averaged([[change], [again]])[0]
    assert both.steps == 16 == averaged([[again], [change]])[0].steps
    np.testing.assert_allclose(both.moments, (change.moments + again.moments) / 2)


def test_what_has_no_weight_changes_nothing(rng):
    given = method()
    begin = common(given, rng)
    none = partition(rng, folds=np.zeros((N, 1), int))  # all held out
    change = train_partition(none, given, 0, 0, [begin])[0]
    assert change.weight == 0 and change.theta is None and change.score[1] == N
    real = train_partition(partition(rng), given, 1, 0, [begin])
    both, alone = averaged([[change], real])[0], real[0]
    np.testing.assert_array_equal(both.theta, alone.theta)
    assert both.score[1] == N == averaged([[change], [change]])[0].score[1] / 2
    assert averaged([[change]])[0].theta is None


def test_divergence_is_told(rng):
    given = method(settings={"learning_rate_init": 1e300})
    with np.errstate(all="ignore"):
        change = train_partition(partition(rng), given, 0, 0, [common(given, rng)])
    assert not averaged([change])[0].finite


# Scores


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_outputs", [1, 2])
def test_r2_of_sums(rng, weighted, n_outputs):
    y = rng.normal(size=(60, n_outputs)) + 1e6  # far from 0 beside their spread
    f = y + rng.normal(size=y.shape) / 2
    w = rng.uniform(size=60) if weighted else np.ones(60)
    parts = np.split(np.arange(60), [7, 8, 30])
    sums = np.sum([squares(f[k], y[k], w[k], y[0]) for k in parts], axis=0)
    assert r2(sums) == pytest.approx(r2_score(y, f, sample_weight=w), rel=1e-9)


def test_r2_of_constants():
    one = np.ones((3, 1))
    w, zero = np.ones(3), np.zeros(1)
    assert r2(squares(one, one, w, zero)) == r2_score(one, one) == 1
    assert r2(squares(one + 1, one, w, zero)) == r2_score(one, one + 1) == 0
    assert np.isnan(r2(np.zeros((4, 1))))


def test_accuracy_and_loss_of_sums(rng):
    topology = make_topology([P, 1], [], "logistic", "binary_cross_entropy")
    theta = rng.normal(size=topology.n_parameters)
    X = rng.normal(size=(50, P))
    Y, w = (X[:, :1] > 0).astype(float), rng.uniform(0.5, 2, size=50)
    folds = (np.arange(50) % 3 - 1)[:, None]
    z = X @ theta[:P] + theta[P]
    held = folds[:, 0] == 0
    kind = Classes(np.array([0, 1]), "binary", False)
    for scoring, expected in {
        None: accuracy_score(Y[held, 0], z[held] > 0, sample_weight=w[held]),
        "loss": -np.average(np.logaddexp(0, z) - Y[:, 0] * z, weights=w * held),
    }.items():
        given = method(topology=topology, measure=Measure(kind, scoring, np.zeros(1)))
        parts = [
            Partition(X[k], Y[k], None, w[k], folds[k])
            for k in np.split(np.arange(50), [20, 21])
        ]
        begin = Common(0, theta, None, 0, 0.1)
        found = [score_partition(p, given, k, [begin]) for k, p in enumerate(parts)]
        score = given.measure.score(averaged(found)[0].score)
        assert score == pytest.approx(expected, rel=1e-12)
        before = train_partition(parts[0], given, 0, 0, [begin])[0].score
        np.testing.assert_array_equal(before, found[0][0].score)


# Partitions


@pytest.mark.parametrize("sparse", [False, True])
def test_partitions_travel(rng, sparse):
    part = partition(rng, folds=np.arange(N)[:, None] % 4, n_folds=4)
    if sparse:
        part = Partition(sp.csr_matrix(part.X), part.Y, None, None, part.folds, 4)
    given, n_before = method(), len(pickle.dumps(part))
    begin = [common(given, rng)._replace(member=m) for m in range(4)]
    found = train_partition(part, given, 0, 0, begin)  # makes a table
    copy = pickle.loads(pickle.dumps(part))
    assert len(pickle.dumps(part)) == n_before  # without the table
    again = train_partition(copy, given, 0, 0, begin)
    for one, other in zip(found, again, strict=True):
        np.testing.assert_array_equal(one.theta, other.theta)
    assert sys.getsizeof(part) > part.Y.nbytes + part.folds.nbytes
    for member in range(4):
        train, held = part.rows(member)
        assert held.tolist() == list(range(member, N, 4))
        assert sorted([*train, *held]) == list(range(N))
    twice = partition(rng, folds=np.array([[0, 1], [1, 0]]).repeat(20, 0), n_folds=2)
    firsts = [int(twice.rows(member)[1][0]) for member in range(4)]
    assert firsts == [0, 20, 20, 0]  # of the first dealing, and of the second
