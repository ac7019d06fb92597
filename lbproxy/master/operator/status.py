"""The traffic and the backends in a `status` answer: a Snapshot as plain values. Pure."""

from __future__ import annotations

from lbproxy.master.operator.requests import Answer
from lbproxy.observe import metrics
from lbproxy.observe.metrics import BackendFacts, Snapshot


def describe(snapshot: Snapshot) -> Answer:
    """ "totals" and "pools" of a status answer; pools and backends in the order of the configuration."""
    pools = [
        {"name": name, "usable": sum(facts.usable for facts in backends), "backends": [_backend(facts) for facts in backends]}
        for name, backends in snapshot.pools().items()
    ]
    return {"totals": metrics.totals(snapshot.totals), "pools": pools}


def _backend(facts: BackendFacts) -> dict[str, object]:
    return {
        "name": facts.name,
        "written": facts.written,
        "health": facts.health,
        "health_since": facts.health_since,
        "why": facts.why,
        "next_check": facts.next_check,
        "admin": "drained" if facts.drained else "enabled",
        "usable": facts.usable,
        "weight": facts.weight,
        "configured_weight": facts.configured_weight,
        "in_flight": facts.in_flight,
        "queued": facts.queued,
        "requests": facts.requests,
        "failures": facts.failures,
        "connects": facts.connects,
        "h2_connections": facts.h2_connections,
        "h2_streams": facts.h2_streams,
        "h2_connects": facts.h2_connects,
        "h2_requests": facts.h2_requests,
        "checks": facts.checks,
        "check_failures": facts.check_failures,
    }
