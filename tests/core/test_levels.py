"""Instruction sets: chosen at import, forced by the environment, one result.

Answers for: core/__init__.py, core/cpu.pyx, core/simd.pxd, core/blas.pxd,
core/blas_int.pxi.in, _versions.py.
"""

import os
import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose

import skbackprop
from skbackprop import BackpropMLPClassifier, core
from skbackprop.core.cpu import compiler, supports

LEVELS = [level for level in core.levels() if supports(level)]
PROGRAM = """
import sys
import warnings
import numpy as np
from skbackprop import BackpropMLPClassifier, core
warnings.simplefilter("ignore")
with np.load(sys.argv[1]) as data:
    X, y = data["X"], data["y"]
model = BackpropMLPClassifier((50, 19), max_iter=3, batch_size=70, random_state=0)
model.fit(X, y)
np.savez(sys.argv[2], level=core.level, *model.coefs_, p=model.predict_proba(X))
"""


def run(level, *arguments, program=PROGRAM):
    return subprocess.run(
        [sys.executable, "-P", "-c", program, *map(str, arguments)],
        env={**os.environ, "SKBACKPROP_SIMD": level},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_portable_is_always_built_and_the_highest_is_taken():
    assert LEVELS[0] == "portable"
    if not os.environ.get("SKBACKPROP_SIMD"):
        assert core.level == LEVELS[-1]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("level", LEVELS)
def test_a_forced_level_gives_the_same_model(level, dtype, tmp_path):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 37)).astype(dtype)
    y = rng.integers(0, 11, 300)
    np.savez(tmp_path / "data.npz", X=X, y=y)
    done = run(level, tmp_path / "data.npz", tmp_path / "out.npz")
    assert done.returncode == 0, done.stderr
    here = BackpropMLPClassifier((50, 19), max_iter=3, batch_size=70, random_state=0)
    with pytest.warns(match="Maximum iterations"):
        here.fit(X, y)
    tolerance = 1e-4 if dtype == "float32" else 1e-10
    with np.load(tmp_path / "out.npz") as out:
        assert str(out["level"]) == level
        for j, W in enumerate(here.coefs_):
            assert_allclose(out[f"arr_{j}"], W, rtol=tolerance, atol=tolerance)
        assert_allclose(out["p"], here.predict_proba(X), atol=tolerance)


@pytest.mark.parametrize("level", ["AVX9", "neon" if supports("avx2") else "avx2"])
def test_a_level_that_is_not_there_is_refused(level):
    done = run(level, program="import skbackprop")
    assert done.returncode == 1
    assert "SKBACKPROP_SIMD must be one of portable" in done.stderr
    assert repr(level.lower()) in done.stderr


def test_case_and_blanks_do_not_matter():
    program = "from skbackprop import core; print(core.level)"
    assert run(" Portable ", program=program).stdout.strip() == "portable"


def test_show_versions(capsys):
    skbackprop.show_versions()
    shown = capsys.readouterr().out
    for fact in skbackprop.__version__, core.level, compiler(), np.__version__:
        assert fact in shown
    assert "scikit-learn" in shown and "joblib" in shown
