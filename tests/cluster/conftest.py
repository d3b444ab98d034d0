"""A cluster of real processes, one for all tests of a room."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from distributed import Client, LocalCluster


@contextmanager
def cluster(n_workers: int = 2, **options: Any) -> Iterator[Client]:
    """The client of a cluster of its own; each worker is a process of one thread."""
    with (
        LocalCluster(
            n_workers=n_workers,
            threads_per_worker=1,
            dashboard_address=":0",
            **options,
        ) as own,
        Client(own, set_as_default=False) as client,
    ):
        yield client


@pytest.fixture(scope="session")
def client() -> Iterator[Client]:
    with cluster() as client:
        yield client


@pytest.fixture
def own_cluster() -> Callable[..., Any]:
    """What makes a cluster that a test may harm."""
    return cluster
