"""exp, tanh, logistic and log(1 + x) of the core, against wider arithmetic.

Answers for: core/elementary.pxd, core/kernels.pxi.
"""

import numpy as np
import pytest
from mpmath import mp, mpf

from skbackprop.core import engine_of

DTYPES = [np.float32, np.float64]
#: The errors that core/elementary.pxd states, in units in the last place.
MOST = {
    "exp": 1.0,
    "tanh": 2.6,
    "logistic": 2.4,
    "log1p": 1.3,
    "expm1": 1.3,
    "normal_tail": 5.2,
}
WIDE = np.longdouble
# Where long double is double, only float32 can be measured.
MEASURABLE = [np.float32] + ([np.float64] if np.finfo(WIDE).nmant > 60 else [])


def wide(name, x):
    if name == "normal_tail":
        return exact_tail(x)
    x = x.astype(WIDE)
    with np.errstate(over="ignore", under="ignore"):
        if name == "logistic":
            return 1 / (1 + np.exp(-x))
        if name == "expm1":
            return np.expm1(x)
        return {"exp": np.exp, "tanh": np.tanh, "log1p": np.log1p}[name](x)


def exact_tail(x):
    """P(N > x), as sums of two doubles; NumPy has no such function."""
    with mp.workdps(50):
        exact = [mp.erfc(mpf(float(z)) / mp.sqrt(2)) / 2 for z in x]
        high = np.array([float(q) for q in exact])
        rest = [float(q - mpf(h)) for q, h in zip(exact, high, strict=True)]
    return high.astype(WIDE) + np.array(rest).astype(WIDE)


def ours(name, x):
    out = np.full_like(x, 7)
    engine_of(x.dtype).elementary(name, x, out)
    return out


def sample(name, dtype):
    """Numbers over all that a function can tell apart, dense where it bends."""
    rng = np.random.default_rng(0)
    info = np.finfo(dtype)
    if name == "exp":
        low, high = np.log(info.smallest_subnormal), np.log(info.max)
        parts = [rng.uniform(low, high, 400_000), rng.normal(size=200_000)]
    elif name == "normal_tail":  # as far as it is a normal number
        last = 12.8 if dtype == np.float32 else 37.4
        parts = [
            rng.uniform(0, last, 4000),
            np.abs(rng.normal(size=3000)),
            np.exp(rng.uniform(-40, 0, 300)),
        ]
    elif name == "expm1":
        size = np.exp(rng.uniform(-40, 4, 300_000))
        parts = [-np.abs(rng.normal(size=300_000)), -size]
    elif name == "log1p":
        parts = [
            np.exp(rng.uniform(-80, 60, 300_000)),
            rng.uniform(0, 3, 300_000),
            2.0 ** np.arange(-100, 99),
        ]
    else:
        size = np.exp(rng.uniform(-40, 3, 300_000))
        parts = [5 * rng.normal(size=300_000), size, -size]
    return np.concatenate(parts).astype(dtype)


@pytest.mark.parametrize("dtype", MEASURABLE)
@pytest.mark.parametrize("name", MOST)
def test_error_is_as_stated(name, dtype):
    x = sample(name, dtype)
    want, got = wide(name, x), ours(name, x)
    # One unit of a subnormal is the smallest number.
    unit = np.maximum(np.spacing(np.abs(want).astype(dtype)), 0).astype(WIDE)
    ulps = np.abs(got.astype(WIDE) - want) / unit
    worst = np.argmax(ulps)
    assert ulps[worst] <= MOST[name], (x[worst], got[worst])
    # Not only because there is nothing to see.
    assert ulps[worst] > 0.5


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("name", "x", "want"),
    [
        ("exp", [0.0, -0.0, np.inf, -np.inf, np.nan], [1, 1, np.inf, 0, np.nan]),
        ("exp", [1e30, -1e30, 710.0, -800.0], [np.inf, 0, np.inf, 0]),
        ("tanh", [np.inf, -np.inf, np.nan, 50.0, -50.0], [1, -1, np.nan, 1, -1]),
        ("logistic", [0.0, np.inf, -np.inf, np.nan], [0.5, 1, 0, np.nan]),
        ("logistic", [1e30, -1e30], [1, 0]),
        ("log1p", [0.0, np.inf, np.nan], [0, np.inf, np.nan]),
        ("expm1", [0.0, -1e30, -np.inf, np.nan], [0, -1, -1, np.nan]),
        ("normal_tail", [0.0, 40.0, 1e30, np.inf, np.nan], [0.5, 0, 0, 0, np.nan]),
    ],
)
def test_special_values(name, x, want, dtype):
    assert np.array_equal(ours(name, np.array(x, dtype)), np.array(want, dtype), True)


@pytest.mark.parametrize("dtype", DTYPES)
def test_tanh_is_odd_to_the_sign_of_zero(dtype):
    x = np.abs(sample("tanh", dtype))
    assert np.array_equal(ours("tanh", -x), -ours("tanh", x))
    zeros = ours("tanh", np.array([0.0, -0.0], dtype))
    assert np.array_equal(np.signbit(zeros), [False, True]) and not zeros.any()


@pytest.mark.parametrize("dtype", DTYPES)
def test_small_arguments_keep_their_digits(dtype):
    """Where 1 + x is 1, and where exp(x) - 1 would cancel."""
    x = np.array([1e-30, 3e-20, 1e-18], dtype)
    for name, sign in ("tanh", 1), ("log1p", 1), ("expm1", -1):
        near = {"rtol": 2 * np.finfo(dtype).eps, "atol": 0}
        assert np.allclose(ours(name, sign * x), sign * x, **near)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", MOST)
def test_every_length(name, dtype):
    """Vectors and what is left over give the same; nothing is written beyond."""
    x = np.abs(sample(name, dtype)[:70])
    whole = ours(name, x)
    for n in range(70):
        out = np.full(72, 7, dtype)
        engine_of(dtype).elementary(name, x[:n].copy(), out[:n])
        assert np.allclose(out[:n], whole[:n], rtol=4 * np.finfo(dtype).eps, atol=0)
        assert (out[n:] == 7).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_wrong_arguments_are_refused(dtype):
    engine, three, two = engine_of(dtype), np.ones(3, dtype), np.ones(2, dtype)
    with pytest.raises(ValueError, match="one length"):
        engine.elementary("exp", three, two)
    with pytest.raises(ValueError, match="'sin'"):
        engine.elementary("sin", three, three.copy())
    other = np.ones(3, np.float32 if dtype is np.float64 else np.float64)
    for wrong in (other, three), (three, other):
        with pytest.raises(ValueError, match="dtype"):
            engine.elementary("exp", *wrong)
    assert (three == 1).all() and (two == 1).all()
