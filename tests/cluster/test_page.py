"""The page about clusters runs as it is printed, and a grid search on one does.

Answers for: docs/distributed.md.
"""

from __future__ import annotations

import re

import numpy as np
import pytest
from sources import ROOT, read

from skbackprop import BackpropMLPClassifier

FENCED = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_page_of_clusters_runs():
    names = {}
    for block in FENCED.findall(read(ROOT / "docs/distributed.md")):
        exec(compile(block, "example", "exec"), names)
    with names["client"]:
        probabilities = names["probabilities"].compute()
        assert probabilities.shape == (20_000, 2) and 0.5 < names["accuracy"] <= 1
        here = names["local"].predict_proba(names["X"].compute())
        np.testing.assert_array_equal(here, probabilities)
    assert type(names["local"]) is BackpropMLPClassifier
    assert names["search"].best_params_["alpha"] in (1e-4, 1e-2)
    names["client"].cluster.close()
