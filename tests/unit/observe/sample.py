"""A Snapshot with telling numbers."""

from __future__ import annotations

from typing import Any

from lbproxy.observe.metrics import BackendFacts, CertificateFacts, Snapshot, Totals


def backend(pool: str = "api", name: str = "10.0.0.1:80", **others: Any) -> BackendFacts:
    facts = BackendFacts(
        pool,
        name,
        "up",
        1_000.5,
        False,
        weight=1,
        configured_weight=1,
        in_flight=2,
        queued=0,
        requests=30,
        failures=4,
        connects=5,
        checks=6,
        check_failures=1,
        written=name,
    )
    return facts._replace(**others)


def snapshot(*backends: BackendFacts) -> Snapshot:
    latency = (5, 0, 3, *[0] * 20, 2)
    totals = Totals(
        accepting=2,
        connections=11,
        live_requests=2,
        accepted=100,
        handshakes=90,
        handshake_failures=3,
        requests=1234,
        statuses=(1, 1200, 20, 10, 2, 1),
        bytes_in=2**60 + 1,
        bytes_out=7,
        retries=8,
        access_dropped=0,
        client_aborts=9,
        latency=latency,
    )
    certificates = (CertificateFacts("127.0.0.1:443", "a.crt", "a.test", 1_060.0 + 86_400),)
    return Snapshot("0.1.0", 3, 1_000.25, 1_060.0, totals, backends, certificates)
