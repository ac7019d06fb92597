"""Words for how streams and connections to backends are lost, and whose fault that is."""

from __future__ import annotations

import pytest

from lbproxy.errors import RefusedAnswer, Unprocessed
from lbproxy.http.h2.vocabulary import Failure, H2Code
from lbproxy.proxy.h2.losses import of_connection, of_stream

FLOOD = Failure(H2Code.ENHANCE_YOUR_CALM, "h2_pings")


@pytest.mark.parametrize(("code", "by_backend", "reason", "kind"), [
    (H2Code.REFUSED_STREAM, True, "h2_refused_stream", "connect"),
    (H2Code.INTERNAL_ERROR, True, "h2_reset", "closed"),
    (H2Code.NO_ERROR, True, "h2_reset", "closed"),
    (H2Code.CANCEL, True, "h2_reset_cancel", "closed"),
    (H2Code.ENHANCE_YOUR_CALM, True, "h2_reset_calm", "closed"),
    (H2Code.INADEQUATE_SECURITY, True, "h2_reset_security", "closed"),
    (H2Code.PROTOCOL_ERROR, False, "response_malformed", "refused"),
])  # fmt: skip
def test_streams(code: int, by_backend: bool, reason: str, kind: str) -> None:
    """Only what was refused is proved to be untouched."""
    lost = of_stream(code, by_backend=by_backend, either=False)
    assert (lost.reason, lost.kind, isinstance(lost, Unprocessed)) == (reason, kind, code == H2Code.REFUSED_STREAM)


@pytest.mark.parametrize(("how", "failure", "goaway", "ready", "reason", "kind"), [
    ("late", None, None, False, "connect_timeout", "connect"),
    ("ended", None, None, False, "h2_not_spoken", "connect"),
    ("closed", FLOOD, None, False, "h2_not_spoken", "connect"),
    ("closed", FLOOD, None, True, "h2_pings", "refused"),
    ("closed", FLOOD, (1, 11), True, "h2_goaway", "closed"),
    ("ended", None, (1, 0), True, "response_closed", "closed"),
    ("dead", None, None, True, "h2_ping_timeout", "closed"),
    ("stalled", None, None, True, "write_timeout", "timeout"),
])  # fmt: skip
def test_connections(
    how: str, failure: Failure | None, goaway: tuple[int, int] | None, ready: bool, reason: str, kind: str
) -> None:
    """Before it was ready nothing was sent; what we refuse it for is an answer that is refused."""
    lost = of_connection(how, failure, goaway, ready=ready)
    assert (lost.reason, lost.kind, lost.nothing_sent) == (reason, kind, not ready)
    assert isinstance(lost, RefusedAnswer) is (kind == "refused")
