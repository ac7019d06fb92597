"""Connections spread over the workers: the busiest holds at most twice as many as the idlest."""

from __future__ import annotations

import psutil
import pytest

from tests.conftest import Stage
from tests.support.waiting import eventually


@pytest.mark.parametrize("workers", [2, 4])
def test_held_connections_spread(stage: Stage, workers: int) -> None:
    """200 connections that are opened and kept are shared within 2:1."""
    proxy = stage.proxy(stage.app().address, workers=workers)
    pids = proxy.wait_workers(workers)
    clients = [stage.client(proxy) for _ in range(200)]
    for client in clients:
        assert client.request("GET", "/echo").status == 200

    def held(pid: int) -> int:
        found = psutil.Process(pid).net_connections("tcp")
        return sum(1 for one in found if one.status == psutil.CONN_ESTABLISHED and one.laddr.port == proxy.port())

    counts = eventually(lambda: spread if sum(spread := [held(pid) for pid in pids]) == 200 else None, "200 held connections") or []
    assert max(counts) <= 2 * min(counts), counts
