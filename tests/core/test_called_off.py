"""A team that is called off ends its call wherever it is: in a batch and between two.

Nothing is timed: a call is called off when it has begun, and must not have come to its
end. Where another thread may have slept for as long, it gets another chance.

Answers for: core/team.pxd, core/team.pyx, core/trainer.pxi, core/passes.pxd,
core/updates.pxd, core/products.pxd, core/panels.pxd.
"""

import threading
import time

import numpy as np
import pytest
import scipy.sparse as sp
from helpers import OF_OWN_KERNELS, make_trainer
from numpy.testing import assert_array_equal

from skbackprop._evaluation import make_table
from skbackprop._layers import make_topology
from skbackprop.core import engine_of
from skbackprop.core.optimizers import Optimizer, Solver
from skbackprop.core.team import ThreadTeam

pytestmark = OF_OWN_KERNELS
CHANCES = 5


class Long:
    """A trainer, of one batch unless it is told, and what calls off its run."""

    def __init__(self, sizes, n, batch_size=None, sparse=False, max_norm=0.0):
        rng = np.random.default_rng(0)
        hidden = ["relu"] * (len(sizes) - 2)
        topology = make_topology(sizes, hidden, "identity", "squared_error")
        self.theta = rng.normal(scale=0.05, size=topology.n_parameters)
        self.theta = self.theta.astype(np.float32)
        self.first = self.theta.copy()
        X = rng.standard_normal((n, sizes[0]), dtype=np.float32)
        self.X = sp.csr_array(X) if sparse else X
        self.Y = np.ones((n, sizes[-1]), np.float32)
        table = make_table(self.X, Y=self.Y, dtype=np.float32)
        self.optimizer = Optimizer(Solver.SGD, 1e-3)
        self.optimizer.max_norm = max_norm
        self.trainer = make_trainer(
            topology, self.theta, table, self.optimizer, batch_size=batch_size
        )
        self.grad = self.trainer.grad
        self.weights, _ = topology.views(self.theta)
        self.grads, _ = topology.views(self.grad)
        self.order = np.arange(n)

    def run(self, n_threads=1, when=None):
        """The loss of a run from the start, called off ``when`` that is true."""
        self.theta[:], self.grad[:], self.optimizer.t = self.first, 0, 0
        team, losses = ThreadTeam(n_threads), [0.0] * n_threads

        def call(thread):
            arguments = self.order, 0, len(self.order), 0.0, thread, team
            losses[thread] = self.trainer.run(*arguments)

        threads = [
            threading.Thread(target=call, args=(k,), daemon=True)
            for k in range(n_threads)
        ]
        for thread in threads:
            thread.start()
        if when is not None:
            while not when() and any(thread.is_alive() for thread in threads):
                pass
            team.call_off()
        for thread in threads:
            thread.join(120)
            assert not thread.is_alive()
        return losses[0]


def some_chance(attempt):
    assert any(attempt() for _ in range(CHANCES))


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("sparse", [False, True])
def test_on_the_way_forward_and_back(n_threads, sparse):
    """Rows that nobody has come to have no loss, or none that is a number."""
    long = Long((20, 500, 500, 1), 30_000, sparse=sparse)
    long.first[:] = 0  # so that every row's loss is known
    whole = len(long.order) / 2

    def soon():
        time.sleep(0.02)
        return True

    assert not long.run(n_threads, when=soon) >= 0.9 * whole
    for W in long.weights:
        assert not W.any()


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("sparse", [False, True])
def test_in_a_gradient(n_threads, sparse):
    """One that is limited, and so complete before the step."""
    sizes = (300, 600, 1) if sparse else (20, 800, 800, 1)
    long = Long(sizes, 10_000, sparse=sparse, max_norm=1e9)
    layer = 0 if sparse else 1
    long.run()
    whole = long.grads[layer].copy()

    def cut():
        long.run(n_threads, when=long.grads[layer].any)
        return (long.grads[layer] != whole).any()

    some_chance(cut)


def test_in_a_step():
    """Layers after the first have no step, or none of their last rows."""
    long = Long((20, 800, 800, 1), 10_000)
    before = long.weights[1].copy()

    def cut():
        long.run(when=lambda: long.weights[0][0, 0] != long.first[0])
        return (long.weights[1][-1] == before[-1]).all()

    some_chance(cut)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_between_two_batches(n_threads):
    long = Long((3, 4, 1), 300_000, batch_size=1)

    def cut():
        long.run(n_threads, when=lambda: long.weights[0][0, 0] != long.first[0])
        return 0 < long.optimizer.t < len(long.order)

    some_chance(cut)


def test_a_team_that_stays_changes_nothing():
    long = Long((5, 9, 2), 100, batch_size=30)
    loss = long.run()
    with_team = long.theta.copy()
    long.theta[:], long.optimizer.t = long.first, 0
    assert long.trainer.run(long.order, 0, 100, 0.0) == loss
    assert_array_equal(long.theta, with_team)


def test_a_prediction():
    """Memory that nobody has written to is zero, since it is much, or no number."""
    long = Long((4, 50, 1), 300_000)
    topology, engine = long.trainer.workspace.topology, engine_of(np.float32)
    table = make_table(long.X, dtype=np.float32)
    out = np.empty(len(long.order), np.float32)
    for called_off in True, False:
        workspace = engine.Workspace(topology, long.theta, len(out), backward=False)
        team = ThreadTeam(1)
        if called_off:
            team.call_off()
        engine.predict(workspace, table, long.order, 0, len(out), out, False, team)
        assert (out[-1] == 0 or np.isnan(out[-1])) == called_off
