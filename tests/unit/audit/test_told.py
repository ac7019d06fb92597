"""What a status answer tells, judged; whatever stands in it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.audit.told import Answer, judge, members

WALLS = ("memory", "calls")


def worker(**changes: object) -> dict[str, object]:
    return {"worker": 1, "pid": 11, "phase": "serving", "walls": ["memory", "calls"], **changes}


def generation(*workers: dict[str, object], **others: object) -> dict[str, object]:
    return {"number": 1, "workers": list(workers), **others}


GOOD: dict[str, Any] = {
    "version": "1.0",
    "digest": "abc",
    "config": "lb.toml",
    "generations": [generation(worker(), control={"pid": 12, "phase": "serving"}, acme=None)],
    "acme": [{"name": "a.test", "failures": 0, "self_signed": False}],
    "pools": [{"name": "app", "backends": [{"name": "b:1", "why": ""}]}],
    "totals": {"failed_handshakes": {"client_certificate": 0, "protocol": 9}, "backend_handshake_failures": 0},
    "last_reload": {"ok": True},
}


def ids(answer: Answer) -> list[tuple[str, str]]:
    return [(check.id, evidence.value) for check, evidence in judge(answer, "1.0", "abc", WALLS)]


@pytest.mark.parametrize(("changed", "expected"), [
    ({}, []),
    ({"digest": "abd"}, [("live-differs", "it runs what lb.toml said at its start or last reload")]),
    ({"version": "0.9", "digest": "abd"}, [("live-differs", "lbproxy 0.9 runs, and this is 1.0")]),
    ({"last_reload": {"ok": False, "error": "a:3: no\nmore"}}, [("live-differs", "the last reload was refused: a:3: no")]),
    ({"generations": [generation(worker(walls=["memory"]))]}, [("live-walls", "worker 1 is without calls")]),
    ({"generations": [generation(worker(walls=None))]}, [("live-walls", "worker 1 is without memory, calls")]),
    ({"generations": [generation(worker(walls=None, phase="starting"))]}, []),
    ({"acme": [{"name": "a.test", "self_signed": True}]}, [("live-certificate", "a.test: a self-signed one serves")]),
    ({"acme": [{"name": "a.test", "failures": 2, "why": "rate"}]}, [("live-certificate", "a.test: renewals failed: 2: rate")]),
    ({"pools": [{"name": "app", "backends": [{"name": "b", "why": "TLS failure"}]}]}, [("live-tls-failures", "b: TLS failure")]),
    ({"totals": {"failed_handshakes": {"client_certificate": 3}}}, [("live-tls-failures", "certificates of clients refused: 3")]),
    ({"totals": {"backend_handshake_failures": 4}}, [("live-tls-failures", "failed handshakes with backends: 4")]),
])  # fmt: skip
def test_each_kind(changed: dict[str, object], expected: list[tuple[str, str]]) -> None:
    assert ids({**GOOD, **changed}) == expected


def test_the_word_for_a_failed_handshake_is_that_of_the_checks() -> None:
    from lbproxy.health.outcome import ProbeFinding, ProbeOutcome

    why = str(ProbeFinding(ProbeOutcome.TLS_FAILURE, "certificate has expired"))
    assert ids({**GOOD, "pools": [{"name": "app", "backends": [{"name": "b", "why": why}]}]}) == [
        ("live-tls-failures", f"b: {why}")
    ]


def test_who_talks_to_strangers() -> None:
    """Not who is just starting, and has not let go of everything yet."""
    assert members(GOOD) == [("worker 1", 11), ("control", 12)]
    assert members({"generations": [generation(worker(phase="starting"), worker(pid="x"), worker(phase="draining", pid=13))]}) == [
        ("worker 1", 13)
    ]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from([*GOOD, "workers", "walls", "phase", "backends", "why"]), inner)
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(list(GOOD)), anything))
def test_nothing_that_is_told_is_a_fault(answer: dict[str, object]) -> None:
    ids(answer)
    members(answer)
