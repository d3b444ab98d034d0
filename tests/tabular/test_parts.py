"""What TabularMLP* are made of: folds, bins, first parameters, factors, the recipe.

Answers for: tabular/_ensemble.py, tabular/_folds.py, tabular/_bins.py,
tabular/_member.py, tabular/_recipe.py, tabular/_initialization.py.
"""

import numpy as np
import pytest
from helpers import OF_OWN_KERNELS
from numpy.testing import assert_allclose, assert_array_equal
from threadpoolctl import threadpool_limits

from skbackprop._evaluation import make_table
from skbackprop._layers import make_topology
from skbackprop.core.embeddings import Embeddings
from skbackprop.tabular._bins import from_positions, quantile_edges, to_positions
from skbackprop.tabular._folds import fold_numbers
from skbackprop.tabular._initialization import (
    TargetTotals,
    best_constant,
    initialize,
)
from skbackprop.tabular._member import _BIAS_RATE, _EMBEDDING_RATE, group_factors
from skbackprop.tabular._recipe import COMMON, PRESETS, Recipe, make_recipe

RNG = np.random.default_rng(0)


# Folds -----------------------------------------------------------------------


@pytest.mark.parametrize("n_rows", [1, 7, 8, 64, 101])
@pytest.mark.parametrize("n_folds", [1, 2, 3, 8])
def test_folds_are_even(n_rows, n_folds):
    strata = RNG.integers(0, 3, n_rows)
    for given in None, strata, np.zeros(n_rows):
        folds = fold_numbers(n_rows, n_folds, given, np.random.RandomState(0))
        sizes = np.bincount(folds, minlength=n_folds)
        assert len(sizes) == n_folds and sizes.sum() == n_rows
        assert sizes.max() - sizes.min() <= 1
        for stratum in np.unique(strata) if given is strata else []:
            shares = np.bincount(folds[strata == stratum], minlength=n_folds)
            assert shares.max() - shares.min() <= 1


def test_folds_are_drawn():
    draws = [
        fold_numbers(50, 5, None, np.random.RandomState(seed)).tolist()
        for seed in (0, 0, 1)
    ]
    assert draws[0] == draws[1] != draws[2]
    assert draws[0] != sorted(draws[0])
    strata = np.arange(50) % 2
    one, other = (
        fold_numbers(50, 5, strata, np.random.RandomState(seed)) for seed in (0, 1)
    )
    assert not np.array_equal(one, other)


# Bins ------------------------------------------------------------------------


@pytest.mark.parametrize("n_bins", [1, 2, 7, 32])
def test_bins_hold_about_as_many_values_each(n_bins):
    x = np.exp(RNG.standard_normal(1000)).astype(np.float32)
    edges = quantile_edges(x, n_bins)
    assert edges.shape == (n_bins + 1,)
    assert edges[0] == x.min() and edges[-1] == x.max()
    counts = np.histogram(x, edges)[0]
    assert counts.max() - counts.min() <= 2
    gaps = x.copy()
    gaps[::3] = np.nan
    assert_array_equal(
        quantile_edges(gaps, n_bins), quantile_edges(x[x == gaps], n_bins)
    )


@pytest.mark.parametrize(
    ("column", "edges"),
    [
        ([2, 2, 2], [1.5, 2.5]),
        ([np.nan, 2, np.nan], [1.5, 2.5]),
        ([np.nan, np.nan], [-0.5, 0.5]),
        ([0, 0, 0, 0, 0, 0, 1, 1], [0, 1]),
        ([0, 1], [0, 1]),
        # One value of five is frequent: three bins are left for the others.
        ([7, 0, 3, 7, 6, 7, 9, 7], [0, 3, 6, 7, 9]),
        # The numbers between these two are not in float32.
        ([1, np.nextafter(np.float32(1), np.float32(2))], [1, 1 + 2.0**-23]),
    ],
)
def test_edges_of_few_values(column, edges):
    found = quantile_edges(np.array(column, dtype=np.float32), 4)
    assert found.dtype == np.float64
    assert_array_equal(found, edges)
    assert (np.diff(found.astype(np.float32)) > 0).all()


def test_positions():
    """p = k + r for x = (1 - r) t_k + r t_{k+1}; beyond, the nearest edge's."""
    edges = [np.array([0.0, 1.0, 5.0]), np.array([-2.0, 2.0])]
    numbers = [
        [0, -2, 9],
        [0.5, 2, 9],
        [1, 0, 9],
        [4, 1, 9],
        [-7, 7, 9],
        [7, -7, 9],
        [np.nan, np.nan, np.nan],
    ]
    matrix = np.array(numbers, dtype=np.float32)
    to_positions(matrix, edges)
    nan = np.nan
    assert_array_equal(matrix[:, 0], [0, 0.5, 1, 1.75, 0, 2, nan])
    assert_array_equal(matrix[:, 1], [0, 1, 0.5, 0.75, 1, 0, nan])
    assert_array_equal(matrix[:, 2], [9, 9, 9, 9, 9, 9, nan])
    back = from_positions(matrix, edges)
    assert_array_equal(back[:, 0], [0, 0.5, 1, 4, 0, 5, nan])
    assert_array_equal(back[:, 1], [-2, 2, 0, 1, 2, -2, nan])
    assert from_positions(matrix, []).shape == (7, 0)


@pytest.mark.parametrize("n_bins", [1, 5, 32])
def test_positions_and_back(n_bins):
    x = RNG.standard_normal((500, 2)).astype(np.float32)
    x[::9, 0] = 0  # ties
    x[::7, 1] = np.nan
    edges = [quantile_edges(x[:, f], n_bins) for f in range(2)]
    positions = x.copy()
    to_positions(positions, edges)
    assert np.nanmin(positions) == 0
    assert np.nanmax(positions[:, 0]) == len(edges[0]) - 1 <= n_bins
    assert_allclose(from_positions(positions, edges), x, rtol=1e-5, atol=1e-5)


# First parameters ------------------------------------------------------------


def topology_of(hidden=(40, 30), activation="relu", n_outputs=3):
    embeddings = Embeddings(
        [np.array([-3.0, -1.0, 0.0, 3.0]), np.array([0.0, 1.0, 2.0])], 2, [5, 4], 6, 3
    )
    return make_topology(
        [embeddings.n_outputs, *hidden, n_outputs],
        [activation] * len(hidden),
        "identity",
        "squared_error",
        embeddings=embeddings,
    )


def rows_of_the_table(n=300):
    return np.column_stack(
        [
            np.where(np.arange(n) % 10 == 0, np.nan, RNG.uniform(0, 3, n)),
            RNG.uniform(0, 2, n),
            RNG.integers(0, 2, (n, 2)),
            RNG.integers(0, 5, n),
            RNG.integers(0, 4, n),
        ]
    ).astype(np.float32)


def embedded(topology, theta, X):
    """(E1) and (E2), number by number."""
    embeddings = topology.embeddings
    V, b, u, m, tables = embeddings.views(theta)
    rows = []
    for row in X.astype(float):
        parts = []
        for f, t in enumerate(embeddings.edges):
            if np.isnan(row[f]):
                parts.append(m[f])
                continue
            assert (V[f] == 0).all()
            x = np.interp(row[f], np.arange(len(t)), t)
            parts.append(b[f] + x * u[f])
        parts.append(row[2:4])
        parts += [table[int(row[4 + c])] for c, table in enumerate(tables)]
        rows.append(np.concatenate(parts))
    return np.array(rows)


@pytest.mark.parametrize("hidden", [(), (40,), (40, 30)])
def test_pre_activations_have_unit_size(hidden):
    """Those of the outputs have the size that is asked for, beside the constant."""
    topology, X = topology_of(hidden), rows_of_the_table()
    for scale in 0.0, 0.5, 1.0:
        theta = initialize(topology, X, 0.7, scale, np.random.RandomState(0))
        assert theta.dtype == np.float32 and np.isfinite(theta).all()
        A = embedded(topology, theta, X)
        weights, biases = topology.views(theta)
        for W, bias in zip(weights[:-1], biases[:-1], strict=True):
            Z = A @ W
            assert_allclose(np.sqrt((Z**2).mean()), 1, rtol=1e-4)
            assert (bias == 0).all()
            A = np.maximum(Z, 0)
        Z = A @ weights[-1]
        assert_allclose(np.sqrt((Z**2).mean()), scale, rtol=1e-4)
        assert (biases[-1] == np.float32(0.7)).all()


@OF_OWN_KERNELS
@pytest.mark.parametrize("n_threads", [1, 2])
def test_first_parameters_are_no_matter_of_blas(n_threads):
    """Whose sums have other bits for other threads: our own kernels make them."""
    topology, X = topology_of((300, 300)), rows_of_the_table(1024)
    seeds = np.random.RandomState(0), np.random.RandomState(0)
    want = initialize(topology, X, 0.0, 1.0, seeds[0])
    with threadpool_limits(n_threads, user_api="blas"):
        found = initialize(topology, X, 0.0, 1.0, seeds[1])
    assert_array_equal(found, want)


@pytest.mark.parametrize("weighted", [False, True])
def test_outputs_begin_at_the_best_constant(weighted):
    """The constant of the smallest loss, with half a row more for each class."""
    rng = np.random.default_rng(1)
    rows = np.arange(5, 60)
    w = rng.integers(1, 4, 60).astype(np.float32) if weighted else None
    x = np.zeros((60, 1), np.float32)
    of_rows = np.ones(len(rows)) if w is None else w[rows].astype(float)
    of_rows *= len(rows) / of_rows.sum()

    def constant(loss, output, n_outputs, parameters=(), **given):
        t = make_topology([1, n_outputs], [], output, loss, None, parameters)
        table = make_table(x, sample_weight=w, dtype=np.float32, **given)
        return best_constant(t, TargetTotals.of(t, table, rows))

    labels = rng.integers(0, 3, 60)
    logs = constant("categorical_cross_entropy", "softmax", 3, labels=labels)
    shares = [of_rows[labels[rows] == k].sum() + 0.5 for k in range(3)]
    assert_allclose(np.exp(logs), shares / np.sum(shares), rtol=1e-6)

    Y = (rng.random((60, 2)) < [0.1, 0.7]).astype(np.float32)
    odds = constant("binary_cross_entropy", "sigmoid", 2, Y=Y)
    ones = of_rows @ Y[rows]
    assert_allclose(np.exp(odds), (ones + 0.5) / (55 - ones + 0.5), rtol=1e-6)

    Y = np.repeat(rng.normal(size=(60, 1)), 2, axis=1).astype(np.float32)
    levels = constant("quantile", "identity", 2, (0.1, 0.8), Y=Y)
    assert_allclose(levels, np.quantile(Y[rows, 0], [0.1, 0.8]), rtol=1e-6)
    assert_array_equal(constant("squared_error", "identity", 2, Y=Y), [0, 0])


def test_curves_begin_as_straight_lines():
    topology, X = topology_of(), rows_of_the_table()
    theta = initialize(topology, X, 0.0, 1.0, np.random.RandomState(0))
    V, b, u, m, tables = topology.embeddings.views(theta)
    assert all((curve == 0).all() for curve in V)
    for each in (b, u, m, *tables):
        assert (each != 0).all()
    assert np.abs(b).max() <= 1


def test_first_parameters_of_one_row_and_of_constant_columns():
    topology = topology_of()
    row = rows_of_the_table()[:1]
    for X in row, np.repeat(row, 51, axis=0), np.zeros((50, 6), dtype=np.float32):
        for seed in range(20):
            theta = initialize(topology, X, 0.0, 1.0, np.random.RandomState(seed))
            assert np.isfinite(theta).all()
            A = embedded(topology, theta, X)
            for W in topology.views(theta)[0]:
                # Draws of one normal distribution: no unit has exploded.
                assert np.abs(W).max() < 5 * W.std()
                A = np.maximum(A @ W, 0)
                assert np.abs(A).max() < 6


def test_first_parameters_follow_the_stream():
    topology, X = topology_of(), rows_of_the_table()
    one, same, other = (
        initialize(topology, X, 0.0, 1.0, np.random.RandomState(seed))
        for seed in (0, 0, 1)
    )
    assert_array_equal(one, same)
    assert (one != other).mean() > 0.8


@pytest.mark.parametrize("hidden", [(), (40,), (40, 30)])
def test_group_factors(hidden):
    """1 / sqrt(fan_in) for a matrix, and as much more decay: their product is 1."""
    topology = topology_of(hidden)
    rates, decays = group_factors(topology)
    assert rates.shape == decays.shape == (len(topology.groups),)
    # V, b, u, m, tables: offsets are like biases, and what is missing does not decay.
    expected = _EMBEDDING_RATE * np.array([1, _BIAS_RATE, 1, 1, 1])
    assert_allclose(rates[:5], expected)
    assert decays[:5].tolist() == [1, 0, 1, 0, 1]
    fan_in = np.array(topology.sizes[:-1], dtype=float)
    assert_allclose(rates[5::2], fan_in**-0.5)
    assert_allclose(rates[5::2] * decays[5::2], 1)
    assert (rates[6::2] == _BIAS_RATE).all()
    assert (decays[6::2] == 0).all()
    assert len(rates[5::2]) == len(rates[6::2]) == topology.n_layers


# The recipe ------------------------------------------------------------------


def by_rows(value):
    return isinstance(value, tuple) and bool(value) and isinstance(value[0], tuple)


@pytest.mark.parametrize("preset", PRESETS)
def test_the_recipe_follows_its_table(preset):
    numbers = COMMON | PRESETS[preset]
    assert numbers.keys() == set(Recipe.__dataclass_fields__)
    for name, value in numbers.items():
        if not by_rows(value):
            for n in 1, 10**9:
                assert getattr(make_recipe(preset, {}, n), name) == value
            continue
        limits = [most for most, _ in value]
        assert limits[-1] is None and limits[:-1] == sorted(limits[:-1])
        for place, (most, number) in enumerate(value[:-1]):
            number = number(most) if callable(number) else number
            assert getattr(make_recipe(preset, {}, most), name) == number
            more = value[place + 1][1]
            assert getattr(make_recipe(preset, {}, most + 1), name) == more
        assert getattr(make_recipe(preset, {}, 10**12), name) == value[-1][1]


def test_labels_are_smoothed_by_the_share_of_a_row():
    found = [make_recipe("fast", {}, n).label_smoothing for n in (1, 20, 1000, 1001)]
    assert found == [0.5, 1 / 20, 1 / 1000, 0]
    assert make_recipe("fast", {"label_smoothing": 0.0}, 20).label_smoothing == 0


def test_folds_of_ones_own_are_dealt_once():
    assert make_recipe("balanced", {}, 250).n_members == 15
    assert make_recipe("balanced", {"n_folds": 4}, 250).n_members == 4
    assert make_recipe("balanced", {"n_repeats": 2}, 250).n_members == 10


def test_what_is_given_overrides_the_table():
    given = {
        "hidden_layer_sizes": (5, 4),
        "max_iter": 3,
        "dropout": 0.0,
        "n_bins": None,
    }
    recipe = make_recipe("fast", given, 50)
    plain = make_recipe("fast", {}, 50)
    assert recipe.hidden_layer_sizes == (5, 4)
    assert recipe.max_iter == 3 and recipe.dropout == 0
    assert recipe.n_bins == plain.n_bins and recipe.batch_size == plain.batch_size
    assert make_recipe("fast", {"hidden_layer_sizes": ()}, 9).hidden_layer_sizes == ()
    several = make_recipe("fast", {"n_folds": 3, "n_repeats": 5}, 50)
    assert several.n_members == 15
