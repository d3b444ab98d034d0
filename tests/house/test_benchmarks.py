"""The ablation of the tabular recipe replaces parts of it that are there, and are used.

Answers for: benchmarks/ablation.py.
"""

import subprocess
import sys

import pytest
from sources import ROOT

#: A fit of which each patch must change the parameters.
PROGRAM = """
import sys
import warnings
import numpy as np
import pandas as pd
from skbackprop import TabularMLPClassifier

sys.path.insert(0, sys.argv[1])
from ablation import CHANGES

rng = np.random.default_rng(0)
frame = pd.DataFrame(rng.normal(size=(1100, 3)), columns=list("abc"))
frame["d"] = np.where(rng.random(1100) < 0.9, 0.0, frame["a"])
frame["e"] = rng.choice(list("xyz"), 1100)
y = (frame["a"] + (frame["e"] == "x") > 0.3).astype(int)


def fitted():
    model = TabularMLPClassifier(
        preset="fast", n_folds=2, max_iter=2, n_bins=4, n_jobs=1, random_state=0
    )
    return model.fit(frame, y)._bag[1]


before = fitted()
CHANGES[sys.argv[2]].patch()
after = fitted()
same = len(before) == len(after) and all(
    a.shape == b.shape and (a == b).all() for a, b in zip(before, after)
)
sys.exit(f"{sys.argv[2]} changes nothing" if same else 0)
"""
PATCHED = [
    "one_network", "one_input", "plain_quantiles", "full_rate", "unfitted",
    "constant_rate", "same_rate", "beta_2",
]  # fmt: skip


@pytest.mark.parametrize("change", PATCHED)
def test_a_patch_of_the_ablation_changes_the_fit(change):
    done = subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM, str(ROOT / "benchmarks"), change],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
