"""What happened between two looks: rates, waits, and nothing invented where there is nothing to compare with."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.cli.rates import per_second, screen


def look(requests: int, *, pid: int = 7, latency: list[int] | None = None, **more: Any) -> dict[str, Any]:
    buckets = [0.001, 0.002, None]
    return {
        "pid": pid,
        "started": 1000.0,
        "version": "0.1.0",
        "uptime": 60.0,
        "generations": [{"number": 2, "stage": "serving", "workers": [{"lag_ms": 3}, {"lag_ms": 8}]}],
        "totals": {
            "requests": requests,
            "statuses": {"2xx": requests, "5xx": 0},
            "bytes_in": requests * 100,
            "bytes_out": requests * 2048,
            "live_requests": 4,
            "connections": 1200,
            "retries": 0,
            "client_aborts": 0,
            "latency": [
                {"below_seconds": below, "requests": number} for below, number in zip(buckets, latency or [0, 0, 0], strict=True)
            ],
        },
        "pools": [
            {
                "name": "app",
                "usable": 1,
                "backends": [
                    {"name": "a:1", "health": "up", "admin": "enabled", "in_flight": 4, "queued": 0, "requests": requests},
                    {"name": "b:1", "health": "up", "admin": "drained", "in_flight": 0, "queued": 0, "requests": 5},
                ],
            }
        ],
        **more,
    }


def test_rates_between_two_looks() -> None:
    lines = screen(look(1000, latency=[0, 0, 0]), look(2000, latency=[600, 390, 10]), 2.0)
    assert lines[0] == "lbproxy 0.1.0, pid 7, up 1 min; generation 2 serving"
    assert lines[1] == "500 requests/s (2xx 500), p50 < 1 ms, p99 < 2 ms, 4 in flight, 1,200 connections"
    assert lines[2] == "48.8 KiB/s in, 1000.0 KiB/s out, 0 retries/s, 0 given up/s, 2 workers, lag at most 8 ms"
    assert lines[4] == "pool app: 1 of 2 backends usable"
    assert lines[6].split() == ["a:1", "up", "4", "0", "500", "-", "-"]
    assert lines[7].split() == ["b:1", "drained", "0", "0", "0", "-", "-"]


def test_what_is_spoken() -> None:
    """A line of HTTP/2, once somebody has spoken it."""
    before, now = look(1000), look(2000)
    before["totals"] |= {"h2_requests": 100}
    now["totals"] |= {"h2_connections": 9, "h2_open": 2, "h2_live": 3, "h2_requests": 300}
    assert screen(before, now, 2.0)[3] == "HTTP/2: clients 2 connections, 3 streams; 100 requests/s"


@pytest.mark.parametrize("before", [{}, look(1000, pid=8), look(3000)])
def test_no_rate_where_nothing_compares(before: dict[str, Any]) -> None:
    """The first look, a restarted lbproxy, counts that began anew."""
    assert screen(before, look(2000), 1.0)[1].startswith("- requests/s (2xx -), 4 in flight")


def test_a_master_of_another_version_may_leave_everything_out() -> None:
    assert screen({"ok": True}, {"ok": True}, 1.0)[0] == "lbproxy ?, pid ?, up ?; nothing serves"
    assert screen({"ok": True}, {"ok": True, "pools": [{"backends": [{}]}], "generations": [{}]}, 1.0)


def test_waits_beyond_the_last_bucket() -> None:
    assert "p99 over the scale" in screen(look(0), look(10, latency=[0, 5, 5]), 1.0)[1]


@given(st.integers(0, 2**40), st.integers(0, 2**40), st.floats(0.1, 3600))
def test_per_second_is_never_negative(old: int, new: int, elapsed: float) -> None:
    shown = per_second(old, new, elapsed)
    assert (shown == "-") == (new < old)
    assert shown == "-" or float(shown.replace(",", "")) >= 0
