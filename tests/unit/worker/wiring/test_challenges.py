"""The answers to challenges that a worker shows."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from lbproxy.ipc.messages import ChallengeOver, ChallengeShown
from lbproxy.worker.wiring.challenges import ShownChallenges


def test_by_token() -> None:
    """From when the master says so until it says so; nonsense of a certificate is told of, and ends nothing."""
    handover: Any = SimpleNamespace(listeners=[], config=SimpleNamespace(acme=object()))
    service: Any = SimpleNamespace(challenges=None)
    shown = ShownChallenges(handover, service)
    assert service.challenges is shown.by_token
    shown.obey(ChallengeShown("http-01", "a.test", "token", "token.thumb"))
    assert shown.by_token == {b"token": b"token.thumb"}
    shown.obey(ChallengeOver("http-01", "a.test", "token"))
    shown.obey(ChallengeOver("http-01", "a.test", "token"))
    assert shown.by_token == {}
    shown.obey(ChallengeShown("tls-alpn-01", "a.test", "token", "no certificate"))
    shown.obey(ChallengeOver("tls-alpn-01", "a.test", "token"))
