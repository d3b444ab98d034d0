"""The page about understanding a model runs as it is printed, and says what is so.

Answers for: docs/understanding.md.
"""

import re

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sources import ROOT, read

FENCED = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_the_page_runs():
    pytest.importorskip("pandas")
    names = {}
    for block in FENCED.findall(read(ROOT / "docs/understanding.md")):
        if block.startswith("# with matplotlib"):
            matplotlib = pytest.importorskip("matplotlib")
            matplotlib.use("Agg")
        exec(compile(block, "example", "exec"), names)
    matter = names["importances"]
    assert min(matter["age"], matter["city"]) > 5 * abs(matter["noise"])
    ages = names["by_age"]["average"][0]
    assert ages[-1] - ages[0] > 0.3  # the older, the more
    cities = dict(
        zip(
            names["by_city"]["grid_values"][0],
            names["by_city"]["average"][0],
            strict=True,
        )
    )
    assert min(cities["Lima"], cities["Rome"]) > max(cities["Bern"], cities["Oslo"])
    Z, gradient = names["Z"][:5], names["gradient"]
    expected = np.stack([np.ones(5), Z[:, 2], Z[:, 1]], axis=1)
    assert_allclose(gradient, expected, atol=0.7)
    assert names["as_numbers"].shape == (600, names["towns"].shape[1])
