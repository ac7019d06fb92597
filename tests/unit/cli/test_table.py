"""A status answer for the eyes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.cli.table import count, duration, overview, size, table

NOW = 10_000.0
ANSWER: dict[str, Any] = {
    "ok": True,
    "version": "0.1.0",
    "pid": 4242,
    "started": 1_000.0,
    "uptime": 9_000.0,
    "config": "/etc/lbproxy.toml",
    "log_level": "info",
    "listeners": ["0.0.0.0:443", "0.0.0.0:80"],
    "generations": [
        {
            "number": 2,
            "stage": "retiring",
            "age": 8_000.0,
            "workers": [
                {
                    "worker": 1,
                    "pid": 4243,
                    "phase": "draining",
                    "age": 8_000.0,
                    "connections": 1,
                    "live_requests": 1,
                    "rss_kib": 43_008,
                    "lag_ms": 0,
                }
            ],
            "control": None,
        },
        {
            "number": 3,
            "stage": "serving",
            "age": 30.0,
            "workers": [
                {
                    "worker": 1,
                    "pid": 5001,
                    "phase": "serving",
                    "age": 30.0,
                    "connections": 10_012,
                    "live_requests": 3,
                    "rss_kib": 0,
                    "form": "compiled: 18 modules",
                    "lag_ms": 12,
                }
            ],
            "control": {"pid": 5002, "phase": "serving"},
        },
    ],
    "pools": [
        {
            "name": "api",
            "usable": 1,
            "backends": [
                {
                    "name": "127.0.0.1:9001",
                    "health": "up",
                    "admin": "enabled",
                    "weight": 5,
                    "configured_weight": 1,
                    "in_flight": 4,
                    "queued": 0,
                    "requests": 1_234_567,
                    "failures": 0,
                },
                {
                    "name": "app.internal:8080",
                    "health": "down",
                    "admin": "drained",
                    "weight": 1,
                    "configured_weight": 1,
                    "in_flight": 0,
                    "queued": 0,
                    "requests": 7,
                    "failures": 2,
                },
            ],
        }
    ],
    "totals": {
        "requests": 1_234_574,
        "statuses": {"1xx": 0, "2xx": 1_234_572, "5xx": 2},
        "live_requests": 4,
        "connections": 10_013,
        "retries": 1,
        "client_aborts": 0,
    },
    "last_reload": {"at": 9_970.0, "ok": True, "generation": 3, "error": "", "changes": ["+ backend api/127.0.0.1:9001"]},
}

SHOWN = """\
lbproxy 0.1.0, pid 4242, up 2 h, log level info
/etc/lbproxy.toml
listening on 0.0.0.0:443, 0.0.0.0:80

generation 2: retiring, 2 h old
  process    pid  phase     age  connections  requests  memory   lag
  worker 1  4243  draining  2 h            1         1  42 MiB  0 ms

generation 3: serving, 30 s old, compiled: 18 modules
  process    pid  phase     age  connections  requests  memory    lag
  worker 1  5001  serving  30 s       10,012         3          12 ms
  control   5002  serving
"""


def test_everything_at_a_glance() -> None:
    """Process, workers, pools, traffic, the last reload."""
    lines = overview(ANSWER, NOW)
    assert lines[:12] == SHOWN.splitlines()
    assert lines[13] == "pool api: 1 of 2 backends usable"
    assert [line.split() for line in lines[14:17]] == [
        ["backend", "health", "admin", "weight", "in", "flight", "queued", "requests", "failures"],
        ["127.0.0.1:9001", "up", "enabled", "5", "(file:", "1)", "4", "0", "1,234,567", "0"],
        ["app.internal:8080", "down", "drained", "1", "0", "0", "7", "2"],
    ]
    assert lines[17:] == [
        "",
        "1,234,574 requests answered (2xx: 1,234,572, 5xx: 2), 4 in flight, 10,013 connections, 1 retries, 0 given up by clients",
        "last reload: 30 s ago, generation 3",
        "  + backend api/127.0.0.1:9001",
    ]


def test_what_is_spoken() -> None:
    """HTTP/2 and gRPC, where they are; of what never was there is not a word."""
    totals = {
        **ANSWER["totals"], "h2_connections": 9, "h2_open": 2, "h2_live": 3, "h2_requests": 1200,
        "h2_ended": {"h2_resets": 1, "other": 0},
        "h2_backends_ended": {"h2_pings": 2}, "grpc": {"OK": 7, "UNAVAILABLE": 0, "unheard": 1},
    }  # fmt: skip
    backends = [{"name": "a:1", "h2_connects": 4, "h2_connections": 2, "h2_streams": 5}, {"name": "b:1", "h2_connections": 1}]
    lines = overview({"totals": totals, "pools": [{"name": "api", "backends": backends}]}, NOW)
    assert lines[-4:] == [
        "HTTP/2: clients 2 connections, 3 streams; backends 3 connections, 5 streams; 1,200 requests came over it",
        "HTTP/2 ended: resets: 1",
        "HTTP/2 of backends ended: pings: 2",
        "gRPC calls: OK: 7, unheard: 1",
    ]
    quiet = {**ANSWER["totals"], "h2_connections": 0, "h2_requests": 0, "h2_ended": {"h2_resets": 0}, "grpc": {"OK": 0}}
    lines = overview({"totals": quiet, "pools": [{"backends": [{"h2_connects": 0}]}]}, NOW)
    assert not [line for line in lines if "HTTP/2" in line or "gRPC" in line]


def test_why_a_backend_is_down() -> None:
    """Since when, and when it is asked next; what an older master does not tell is left out."""
    down = {"name": "b:80", "health": "down", "why": "bad status: 503", "health_since": NOW - 250.0, "next_check": NOW + 3.0}
    older = {"name": "c:80", "health": "down", "why": "connection refused"}
    lines = overview({"pools": [{"name": "api", "usable": 0, "backends": [down, older, {"name": "d:80", "why": ""}]}]}, NOW)
    assert "  b:80: bad status: 503, down for 4 min, asked again in 3 s" in lines
    assert "  c:80: connection refused" in lines
    assert not [line for line in lines if line.startswith("  d:80:")]


def test_warnings_are_shown_at_the_top() -> None:
    """Below what it is about: the configuration."""
    lines = overview({**ANSWER, "warnings": ["lb.toml:7: one", "lb.toml:9: two"]}, NOW)
    assert lines[3:6] == ["warning: lb.toml:7: one", "warning: lb.toml:9: two", ""]


def test_a_reload_that_was_refused() -> None:
    """With every line of its reason."""
    refused = {"at": NOW - 60, "ok": False, "generation": 4, "error": "a.toml:3: x\na.toml:4: y", "changes": []}
    assert overview({**ANSWER, "last_reload": refused}, NOW)[-3:] == [
        "last reload: 1 min ago, refused; what ran before runs on",
        "  a.toml:3: x",
        "  a.toml:4: y",
    ]
    assert "reload" not in "\n".join(overview({**ANSWER, "last_reload": None}, NOW))


def test_columns() -> None:
    """Names begin at the left, numbers end at the right, nothing trails."""
    assert list(table(("name", "n"), [("a", 1), ("longer", 12345)], left=(0,))) == [
        "  name        n",
        "  a           1",
        "  longer  12345",
    ]
    assert list(table(("name", "x"), [("a", "")], left=(0, 1))) == ["  name  x", "  a"]


@pytest.mark.parametrize(("seconds", "text"), [
    (0, "0 s"), (-1, "0 s"), (59.9, "59 s"), (60, "1 min"), (3_600, "1 h"), (86_400.0, "1 d"), (None, "?"), ("1", "?"),
])  # fmt: skip
def test_durations(seconds: object, text: str) -> None:
    assert duration(seconds) == text


def test_numbers() -> None:
    assert [count(1_234), count(None), size(2_048), size(0), size(None)] == ["1,234", "?", "2 MiB", "", "?"]


LEAVES = st.none() | st.integers() | st.text(max_size=5) | st.booleans()


@given(st.sets(st.sampled_from(sorted(ANSWER))), st.data())
def test_what_is_missing_hurts_nothing(without: set[str], data: st.DataObject) -> None:
    """The master may be older or newer than this program."""
    answer = {key: value for key, value in ANSWER.items() if key not in without}
    for part in ("generations", "pools"):
        rows = [{key: value for key, value in row.items() if data.draw(st.booleans())} for row in answer.get(part, [])]
        answer[part] = rows
    assert overview(answer, NOW)[0].startswith("lbproxy ")


def test_keys_that_are_fetched() -> None:
    """How old they are, and what is wrong with them."""
    sets = [
        {"url": "https://a.test/", "keys": 2, "fetched": NOW - 60.0, "failures": 1, "why": "answers 503"},
        {"url": "https://b.test/"},
    ]
    lines = overview({**ANSWER, "key_sets": sets}, NOW)
    assert "keys from https://a.test/: 2, fetched 1 min ago; answers 503" in lines
    assert "keys from https://b.test/: 0, never fetched" in lines


def test_the_cache_fares() -> None:
    """What became of requests, as far as there were any, and how full it is."""
    cache = {
        "requests": {"hit": 1200, "uri_miss": 30, "bypass": 0}, "usage": {"memory": 2**26, "main_bytes": 2**21, "entries": 28},
        "storage": {"evicted": 4},
    }  # fmt: skip
    lines = overview({**ANSWER, "totals": {**ANSWER["totals"], "cache": cache}}, NOW)
    assert "cache: hit: 1,200, uri miss: 30; 28 answers in 2 MiB, 4 evicted" in lines
    empty = {"requests": {"hit": 0}, "usage": {"memory": 0}}
    assert not any(line.startswith("cache") for line in overview({**ANSWER, "totals": {**ANSWER["totals"], "cache": empty}}, NOW))


def test_mirrors_that_differ() -> None:
    """By path, as far as there are any."""
    mirror = {"/users/*": {"status": 3, "length": 0, "digest": 1}, "/a": {"status": 0, "length": 0, "digest": 1200}}
    lines = overview({**ANSWER, "totals": {**ANSWER["totals"], "mirror": mirror}}, NOW)
    told = [line for line in lines if line.startswith("mirror")]
    assert told == ["mirror differs: /a (digest: 1,200)", "mirror differs: /users/* (status: 3, digest: 1)"]


def test_the_rule_engine_fares() -> None:
    """Its processes, and the rules that were met most; the others in a sum."""
    waf = {"alive": 4, "replaced": 3, "late": 2, "waiting": 1, "unanswered": 5, "other_rules": 7}
    rules = {str(rule): 20 - rule for rule in range(12)}
    lines = overview({**ANSWER, "totals": {**ANSWER["totals"], "waf": {**waf, "rules": rules}}}, NOW)
    assert "inspectors: 4, 3 replaced (2 took too long), 1 requests under way, 5 without an answer in time" in lines
    [told] = [line for line in lines if line.startswith("rules met: ")]
    assert told.startswith("rules met: 0: 20, 1: 19, ")
    assert told.endswith(f"9: 11, others: {10 + 9 + 7}")


def test_files_that_changed() -> None:
    """When they were looked at, and what became of what was seen; nothing where there are none."""
    changes = [
        {"file": "/c/a.crt", "seen": NOW - 5, "gone": False, "taken_over": True},
        {"file": "/c/b.crt", "seen": NOW - 70, "gone": False, "taken_over": False},
        {"file": "/c/c.crt", "seen": NOW - 7200, "gone": True, "taken_over": True},
    ]
    lines = overview({**ANSWER, "watched": {"files": 4, "folders": 1, "looked": NOW - 1, "changes": changes}}, NOW)
    begin = lines.index("files: 4, looked at 1 s ago")
    assert lines[begin + 1 : begin + 4] == [
        "  /c/a.crt: changed, seen 5 s ago",
        "  /c/b.crt: changed, seen 1 min ago, not taken over",
        "  /c/c.crt: gone, seen 2 h ago",
    ]
    assert "files: 4, not looked at yet" in overview({"watched": {"files": 4, "looked": None, "changes": []}}, NOW)
    assert not [line for line in overview({"watched": {"files": 0}}, NOW) if line.startswith("files:")]
