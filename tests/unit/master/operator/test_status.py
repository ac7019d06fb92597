"""A snapshot as the control socket tells it."""

from __future__ import annotations

import json

from lbproxy.master.operator.status import describe
from tests.unit.observe.sample import backend, snapshot


def test_pools_and_backends_keep_their_order_and_their_numbers() -> None:
    """Everything that the ledger knows, under the names that scripts rely on."""
    told = json.loads(json.dumps(describe(snapshot(backend("web"), backend("api"), backend("web", "b:1", drained=True, weight=9)))))
    assert [(pool["name"], pool["usable"], [one["name"] for one in pool["backends"]]) for pool in told["pools"]] == [
        ("web", 1, ["10.0.0.1:80", "b:1"]),
        ("api", 1, ["10.0.0.1:80"]),
    ]
    assert told["pools"][0]["backends"][1] == {
        "name": "b:1",
        "written": "b:1",
        "health": "up",
        "health_since": 1_000.5,
        "why": "",
        "next_check": 0.0,
        "admin": "drained",
        "usable": False,
        "weight": 9,
        "configured_weight": 1,
        "in_flight": 2,
        "queued": 0,
        "requests": 30,
        "failures": 4,
        "connects": 5,
        "h2_connections": 0,
        "h2_streams": 0,
        "h2_connects": 0,
        "h2_requests": 0,
        "checks": 6,
        "check_failures": 1,
    }
    assert told["pools"][0]["backends"][0]["admin"] == "enabled"


def test_totals_are_those_of_the_status_page() -> None:
    totals = json.loads(json.dumps(describe(snapshot())))["totals"]
    assert totals["requests"] == 1234
    assert totals["bytes_in"] == 2**60 + 1
    assert totals["statuses"] == {"1xx": 1, "2xx": 1200, "3xx": 20, "4xx": 10, "5xx": 2, "other": 1}
    assert totals["latency"][0] == {"below_seconds": 0.0001, "requests": 5}
    assert totals["latency"][-1] == {"below_seconds": None, "requests": 2}


def test_no_backends_no_pools() -> None:
    assert describe(snapshot())["pools"] == []
