"""Clients and workers that do not fit: errors before anything is trained.

Answers for: dask/_cluster.py, dask/_collections.py.
"""

from __future__ import annotations

import os
import subprocess
import sys

import dask.array as da
import numpy as np
import pytest
from dask import delayed
from distributed import Client, Status
from partitioned import fitted, in_chunks, table

from skbackprop import core
from skbackprop.core.cpu import supports
from skbackprop.dask import DaskBackpropMLPClassifier, DaskFitError, _cluster
from skbackprop.dask._cluster import Cluster, Sealed, Stamp, at_work, client_of
from skbackprop.dask._collections import is_collection, sources_of


def test_no_client():
    model = DaskBackpropMLPClassifier()
    with pytest.raises(ValueError, match=r"There is no Dask client\. Make one first"):
        model.fit(*in_chunks(*table()))
    with pytest.raises(TypeError, match=r"client must be a distributed\.Client"):
        client_of("tcp://127.0.0.1:8786")


def test_the_current_client(client):
    with client.as_current():
        model = fitted(DaskBackpropMLPClassifier(max_iter=1), *in_chunks(*table()))
        assert model.client_ is client


def test_an_asynchronous_client(client):
    async def refused():
        async with Client(client.scheduler.address, asynchronous=True) as other:
            with pytest.raises(ValueError, match="must not be asynchronous"):
                client_of(other)

    client.sync(refused)


def test_a_client_that_is_closed(client):
    other = Client(client.scheduler.address, set_as_default=False)
    other.close()
    with pytest.raises(ValueError, match="not connected"):
        client_of(other)


def test_an_old_version_of_dask(client, monkeypatch):
    monkeypatch.setattr(_cluster.distributed, "__version__", "2023.12.1")
    with pytest.raises(ImportError, match=r"needs distributed 20.* Got 2023\.12\.1"):
        client_of(client)


def test_workers_of_another_instruction_set(own_cluster):
    """One error before any training: bits would depend on who worked."""
    others = [name for name in core.levels() if name != core.level and supports(name)]
    if not others:
        pytest.skip("there is one level of instructions only")
    with own_cluster(1) as own:
        address = own.scheduler.address
        worker = subprocess.Popen(
            [sys.executable, "-m", "distributed.cli.dask_worker", address, *WORKER],
            env=os.environ | {"SKBACKPROP_SIMD": others[0]},
            stderr=subprocess.DEVNULL,
        )
        try:
            own.wait_for_workers(2, timeout=60)
            model = DaskBackpropMLPClassifier(client=own)
            match = rf"have instruction set \w+ and \w+\. The bits .* {SIMD} set"
            with pytest.raises(ValueError, match=match):
                model.fit(*in_chunks(*table()))
        finally:
            worker.terminate()
            worker.wait()


WORKER = ["--nthreads", "1", "--no-dashboard", "--no-nanny"]
SIMD = "SKBACKPROP_SIMD"


def test_a_worker_that_comes_later_and_is_not_alike():
    stamp = Stamp.here()
    assert at_work(Sealed((stamp, max)), 1, 2) == 2
    other = stamp._replace(numpy="1.0", skbackprop="0.0.1")
    with pytest.raises(DaskFitError, match=r"skbackprop 0\.0\.1 and .*numpy 1\.0 and"):
        at_work(Sealed((other, max)), 1, 2)


def test_a_task_that_kills_workers(own_cluster):
    """Again and again: what a partition that is too large does."""
    with own_cluster(1) as own:
        far = Cluster(own, 30.0)
        with pytest.raises(DaskFitError, match="died of one task"):
            far.result(far.submit(os._exit, 1))


def test_workers_that_are_paused(own_cluster):
    """Where memory is short, which may last for ever."""

    def pause(dask_worker):
        dask_worker.status = Status.paused

    with own_cluster(1, memory_limit=0) as own:  # else it would see that there is some
        far = Cluster(own, 1.0)
        own.run(pause)
        with pytest.raises(DaskFitError, match="All 1 workers have been paused for 1"):
            far.result(far.submit(max, 1, 2))


def test_collections_of_other_kinds():
    assert not is_collection([]) and not is_collection(np.zeros(3))
    assert is_collection([delayed(1)]) and is_collection(da.zeros(3))
    with pytest.raises(ValueError, match=r"X must have 2 dimensions\. Got 1"):
        sources_of(da.zeros(3))
    X = da.zeros((6, 2), chunks=(3, 1))
    y = da.zeros((6, 2), chunks=(2, 1))
    assert [len(source) for source in sources_of(X, y)] == [3, 3]
