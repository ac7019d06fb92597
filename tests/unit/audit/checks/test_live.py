"""Dangers of what runs: no file tells of them, and whoever sees them is heard like any other check."""

from __future__ import annotations

from datetime import date

from lbproxy.audit.audit import audit
from lbproxy.audit.checks.live import CHECKS, ROOT, UNSEEN
from lbproxy.audit.finding import Evidence
from lbproxy.config.model import AcceptedConfig
from tests.unit.audit.site import site

TODAY = date(2026, 12, 1)


def test_no_file_tells_of_them() -> None:
    config = site(instead='[limits] -> walls = false\nuser = "root"\n[limits]')
    assert all(not list(check.find(config)) for check in CHECKS)
    assert all(check.id.startswith("live-") for check in CHECKS)


def test_what_was_seen_is_judged_with_the_rest() -> None:
    """By severity, with lines, and with what somebody lives with."""
    seen = [(UNSEEN, Evidence(("listen", 0), "deaf")), (ROOT, Evidence(("proxy", "user"), "worker 1 is root"))]
    accepted = [AcceptedConfig("live-root", "a container")]
    first, second = audit(site(), (), accepted, today=TODAY, line_of=lambda path: len(path), seen=seen)
    assert (first.check, first.evidence.line, first.accepted) == (ROOT, 2, "a container")
    assert (second.check, second.accepted) == (UNSEEN, "")
