"""The conversation of a probe over HTTP/2, and of one that asks a server of gRPC by its own protocol for health."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from lbproxy.control.probe_stream import READ_SIZE, ProbeStream
from lbproxy.control.target import ProbeTarget
from lbproxy.health.outcome import BODY_MISSES, PASSED, ProbeFinding, ProbeOutcome
from lbproxy.http.h1.health_check import BODY_LIMIT, BadHealthAnswer
from lbproxy.http.h2 import grpc_health
from lbproxy.http.h2.backend_request import laid_out
from lbproxy.http.h2.grpc_health import ServingStatus
from lbproxy.http.h2.health_check import H2Check


def ask(stream: ProbeStream, target: ProbeTarget, heard: Callable[[int], None]) -> ProbeFinding:
    """Send the target's request and judge the answer. `heard`: see probe. Raises BadHealthAnswer, OSError."""
    assert target.request is not None
    fields = laid_out(target.request, b"http" if target.context is None else b"https").fields
    check = H2Check(fields, target.message or b"")
    judge = _of_http if target.message is None else _of_grpc
    while (finding := judge(check, target)) is None:
        stream.sendall(check.output())
        data = stream.recv(READ_SIZE)
        if not data:
            raise BadHealthAnswer("closed in the middle of the response" if check.status else "closed without a response")
        check.receive(data)
    heard(1)
    with suppress(OSError):
        stream.sendall(check.goodbye())
    return finding


def _of_http(check: H2Check, target: ProbeTarget) -> ProbeFinding | None:
    """None: more is needed."""
    if not check.status:
        return None
    low, high = target.expect
    if not low <= check.status <= high:
        return ProbeFinding(ProbeOutcome.BAD_STATUS, f"{check.status}")
    if target.body is None or target.body in check.body[:BODY_LIMIT]:
        return PASSED
    return BODY_MISSES if check.ended else None


def _of_grpc(check: H2Check, target: ProbeTarget) -> ProbeFinding | None:
    """None: more is needed."""
    if check.status not in (0, 200):
        return ProbeFinding(ProbeOutcome.BAD_STATUS, f"{check.status}")
    if not check.ended:
        return None
    status = check.fields.get(b"grpc-status", b"")
    if status != b"0":
        return ProbeFinding(ProbeOutcome.NOT_SERVING, f"grpc-status {status.decode('ascii', 'replace')[:8] or 'missing'}")
    said = grpc_health.answered(check.body)
    if said is None:
        raise BadHealthAnswer("no answer of grpc.health.v1.Health")
    return PASSED if said is ServingStatus.SERVING else ProbeFinding(ProbeOutcome.NOT_SERVING, said.name)
