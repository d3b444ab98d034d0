"""The engine's shuffle draws what NumPy's does.

Answers for: core/shuffle.pyx.
"""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skbackprop.core.shuffle import shuffle

STREAMS = {
    "MT19937": lambda seed: np.random.RandomState(seed),
    "PCG64": lambda seed: np.random.RandomState(np.random.PCG64(seed)),
}


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize(
    "n", [0, 1, 2, 3, 4, 5, 8, 9, 17, 511, 512, 513, 514, 1024, 1025, 5000, 70_000]
)
def test_same_order_and_same_stream(stream, n):
    theirs, ours = STREAMS[stream](n), STREAMS[stream](n)
    expected, order = np.arange(n), np.arange(n)
    for _ in range(3):
        theirs.shuffle(expected)
        shuffle(ours, order)
        assert_array_equal(order, expected)
    assert ours.randint(2**31) == theirs.randint(2**31)


def test_a_stream_in_mid_block():
    """MT19937 makes its numbers by the 624; normals are drawn in pairs."""
    theirs, ours = np.random.RandomState(0), np.random.RandomState(0)
    theirs.standard_normal(301), ours.standard_normal(301)
    expected, order = np.arange(1000), np.arange(1000)
    theirs.shuffle(expected), shuffle(ours, order)
    assert_array_equal(order, expected)
    assert ours.standard_normal() == theirs.standard_normal()


def test_a_stream_of_another_class():
    class Reversing:
        def shuffle(self, order):
            order[:] = order[::-1].copy()

    order = np.arange(4)
    shuffle(Reversing(), order)
    assert_array_equal(order, [3, 2, 1, 0])
