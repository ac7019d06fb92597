"""Words for how a stream to a backend, or the connection under it, was lost: for the log, and for the rules of second tries."""

from __future__ import annotations

from lbproxy.errors import RefusedAnswer, Unprocessed, UpstreamError, WantsOtherProtocol
from lbproxy.http.h2.vocabulary import Failure, H2Code

_RESETS: dict[int, str] = {
    H2Code.CANCEL: "h2_reset_cancel",
    H2Code.ENHANCE_YOUR_CALM: "h2_reset_calm",
    H2Code.INADEQUATE_SECURITY: "h2_reset_security",
}
"""Codes that mean something of their own to a client of gRPC (http/grpc.py)."""


def of_stream(code: int, *, by_backend: bool, either: bool) -> UpstreamError:
    """A stream has ended that has not said so itself; `by_backend`: it was reset there, and not given up here; `either`: the
    backend may be spoken to in HTTP/1.1 as well."""
    if code == H2Code.REFUSED_STREAM:
        return Unprocessed("h2_refused_stream", "the backend has refused the stream", leaving=False)
    if not by_backend:  # libnghttp2 gave it up: lengths that disagree, fields that do not belong there
        return RefusedAnswer("response_malformed", f"the backend's answer breaks the rules of HTTP/2 (code {code})")
    if code == H2Code.HTTP_1_1_REQUIRED:
        return _requires_http_1(either)
    return UpstreamError(502, _RESETS.get(code, "h2_reset"), f"the backend has reset the stream with code {code}")


def of_goaway(code: int, *, either: bool) -> UpstreamError:
    """A GOAWAY has said that a stream will not be looked at."""
    if code == H2Code.HTTP_1_1_REQUIRED:
        return _requires_http_1(either)
    return Unprocessed("h2_goaway", "the backend will not look at the request", leaving=True)


def _requires_http_1(either: bool) -> UpstreamError:
    """The backend wants to be asked over HTTP/1.1, perhaps for a login of the connection."""
    if either:
        return WantsOtherProtocol("the backend wants HTTP/1.1 for this request")
    return UpstreamError(502, "h2_http_1_required", 'the backend wants HTTP/1.1, which its pool forbids (protocol = "h2")')


def of_connection(how: str, failure: Failure | None, goaway: tuple[int, int] | None, *, ready: bool) -> UpstreamError:
    """A connection has ended. `how`: see BackendWire._end; `failure`: what it was given up for; `goaway`: the backend's, last
    stream and code; `ready`: requests could begin on it."""
    if not ready:
        if how == "late":
            return UpstreamError(504, "connect_timeout", "no SETTINGS in time", nothing_sent=True)
        return UpstreamError(502, "h2_not_spoken", "the backend does not speak HTTP/2", nothing_sent=True)
    if goaway is not None and goaway[1]:
        return UpstreamError(502, "h2_goaway", f"the backend ended the connection with code {goaway[1]}")
    if failure is not None:
        return RefusedAnswer(failure.reason, "what the backend sends on its connection is refused")
    if how == "dead":
        return UpstreamError(502, "h2_ping_timeout", "the backend does not answer any more")
    if how == "stalled":
        return UpstreamError(504, "write_timeout", "the backend takes no data")
    return UpstreamError(502, "response_closed", "the connection ended")
