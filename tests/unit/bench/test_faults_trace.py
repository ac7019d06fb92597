"""Three ways to write the same down."""

from __future__ import annotations

from bench.faults import trace
from bench.faults.trace import NOBODY, Record

BACKENDS = ("127.0.0.1:9000", "127.0.0.1:9001", "127.0.0.1:9002")
NAMED = ("127.0.0.1:9000", "127.0.0.2:9000", "127.0.0.3:9000")
"""One port for all."""


def test_nginx() -> None:
    lines = [
        "1795546330.750 0.250 GET 200 127.0.0.1:9001",
        "1795546330.250 1.250 GET 200 127.0.0.1:9000, 127.0.0.1:9002",
        "1795546331.000 0.000 POST 502 pool",
    ]
    assert trace.read("nginx", lines, BACKENDS) == [
        Record(1795546329.0, "GET", 200, 2, 2),
        Record(1795546330.5, "GET", 200, 1, 1),
        Record(1795546331.0, "POST", 502, NOBODY, 1),
    ]


def test_haproxy() -> None:
    """With what it says of servers in between; times of day are local there."""
    lines = [
        "23/Nov/2026:18:40:12.500 1004 GET 200 s2 127.0.0.1:9002 +1",
        "Server pool/s1 is DOWN, reason: Layer7 timeout, check duration: 501ms.",
        "[NOTICE] (7) : New worker (8) forked",
        "23/Nov/2026:18:40:12.250 0 POST 503 <NOSRV> -:- 2",
        "23/Nov/2026:18:40:13.000 3 GET 504 s0 -:- 0",
    ]
    records = trace.read("haproxy", lines, BACKENDS)
    assert [record[1:] for record in records] == [("POST", 503, NOBODY, 3), ("GET", 200, 2, 2), ("GET", 504, 0, 1)]
    assert [record.began - records[0].began for record in records] == [0.0, 0.25, 0.75]


def test_lbproxy() -> None:
    line = (
        '{"time":"2026-11-23T12:49:39.500Z","client":"127.0.0.1","method":"GET","host":"localhost","path":"/","status":200,'
        '"reason":"","bytes_in":79,"bytes_out":647,"backend":"127.0.0.1:9001","tries":2,"tls_ms":2.1,"head_ms":0.0,"queue_ms":0.2,'
        '"backend_head_ms":1.4,"total_ms":250.0}'
    )
    none = line.replace("127.0.0.1:9001", "").replace('"tries":2', '"tries":0')
    assert [record[1:] for record in trace.read("lbproxy", [line, none, ""], BACKENDS)] == [
        ("GET", 200, NOBODY, 0),
        ("GET", 200, 1, 2),
    ]
    assert trace.read("lbproxy@v1", [line], BACKENDS)[0].began == 1795438179.25


def test_backends_of_a_name() -> None:
    """Told apart by their addresses; HAProxy's servers of a template have numbers that mean nothing."""
    nginx = "1795546330.250 1.250 GET 200 127.0.0.3:9000, 127.0.0.2:9000"
    assert trace.read("nginx", [nginx], NAMED)[0][3:] == (1, 2)
    haproxy = [
        "23/Nov/2026:18:40:12.250 3 GET 200 app1 127.0.0.3:9000 0",
        "23/Nov/2026:18:40:12.500 3 GET 503 app2 -:- 1",
    ]
    assert [record[3:] for record in trace.read("haproxy", haproxy, NAMED)] == [(2, 1), (NOBODY, 2)]
    lbproxy = (
        '{"time":"2026-11-23T12:49:39.500Z","method":"GET","status":200,"backend":"app.test@127.0.0.2:9000","tries":1,"total_ms":2}'
    )
    assert trace.read("lbproxy", [lbproxy], NAMED)[0].backend == 1
