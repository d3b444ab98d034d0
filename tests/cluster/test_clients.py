"""Clients and workers that do not fit: errors before anything is trained.

Answers for: dask/_cluster.py, dask/_collections.py.
"""

from __future__ import annotations

import pytest
from distributed import Client
from partitioned import fitted, in_chunks, table

from skbackprop.dask import DaskBackpropMLPClassifier, _cluster
from skbackprop.dask._cluster import client_of


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
