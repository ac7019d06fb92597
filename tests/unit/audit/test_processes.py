"""What /proc tells of a process, judged: each fault by itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.audit.processes import Proc, judge, ours

STATUS = """\
Name:\tlbproxy
Uid:\t65534\t65534\t65534\t65534
Gid:\t65534\t65534\t65534\t65534
Groups:\t65534
NSpid:\t4242
CapPrm:\t0000000000000000
CapEff:\t0000000000000000
NoNewPrivs:\t1
"""
LIMITS = """\
Limit                     Soft Limit           Hard Limit           Units
Max cpu time              unlimited            unlimited            seconds
Max core file size        0                    0                    bytes
"""
GOOD = Proc("worker 1", 4242, STATUS, LIMITS, 0)


@pytest.mark.parametrize(("old", "new", "expected"), [
    ("", "", []),
    ("Uid:\t65534\t65534\t65534", "Uid:\t65534\t65534\t0", ["live-root"]),  # saved: it can be taken back
    ("Groups:\t65534", "Groups:\t0 65534", ["live-privileges"]),
    ("CapPrm:\t0000000000000000", "CapPrm:\t0000000000200000", ["live-privileges"]),  # CAP_SYS_ADMIN
    ("CapPrm:\t0000000000000000", "CapPrm:\t0000000000000400", ["live-privileges"]),  # CAP_NET_BIND_SERVICE is the master's alone
    ("NoNewPrivs:\t1", "NoNewPrivs:\t0", ["live-privileges"]),
    (STATUS, "", ["live-unseen"]),
    (STATUS, "Uid:\nCapPrm:\tx\n", ["live-unseen"]),
])  # fmt: skip
def test_privileges(old: str, new: str, expected: list[str]) -> None:
    found = list(judge([GOOD._replace(status=STATUS.replace(old, new))]))
    assert [check.id for check, _ in found] == expected
    assert all("worker 1" in evidence.value for _, evidence in found)


@pytest.mark.parametrize(("changed", "expected"), [
    ({"owner": 65534}, ["live-memory"]),  # its account may look into it
    ({"owner": -1}, []),
    ({"limits": LIMITS.replace("0                    bytes", "unlimited            bytes")}, ["live-memory"]),
    ({"limits": ""}, []),
    ({"limits": "Max core file size"}, ["live-memory"]),
])  # fmt: skip
def test_memory(changed: dict[str, str | int], expected: list[str]) -> None:
    found = judge([GOOD._replace(**changed)])  # type: ignore[arg-type]
    assert [check.id for check, _ in found] == expected


def test_numbers_of_another_namespace_are_not_ours() -> None:
    assert ours(STATUS)
    assert not ours(STATUS.replace("NSpid:\t4242", "NSpid:\t4242\t1"))


@given(st.text(), st.text())
def test_nothing_that_is_read_is_a_fault(status: str, limits: str) -> None:
    list(judge([Proc("worker", 1, status, limits, 0), Proc("worker", 1, STATUS + status, "Max core file size" + limits, 0)]))
    ours(status)
