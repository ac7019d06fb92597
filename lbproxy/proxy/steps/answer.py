"""The last step of a route that has no pool: a redirect, a fixed answer, or the end of the connection.

What the route does to the fields of its backends' answers (response_headers, security_headers and their kin) holds for these
answers as well. Whatever the route refuses it refuses before: its other steps come first.
"""

from __future__ import annotations

from http import HTTPStatus

from lbproxy.config.model import RespondConfig, RouteConfig
from lbproxy.config.route_values import BODILESS
from lbproxy.http.prefix import Prefix
from lbproxy.http.redirect import RedirectTarget, Values
from lbproxy.proxy.replies import OwnAnswer
from lbproxy.proxy.steps.step import Answered, Course, Journey, Step


class FixedAnswer(Step):
    """Answers every request with the same."""

    def __init__(self, respond: RespondConfig) -> None:
        text = respond.body.encode()
        lines = f"\r\nContent-Type: {respond.type}".encode() if text else b""
        if respond.status not in BODILESS or respond.status == 205:
            lines += b"\r\nContent-Length: %d" % len(text)
        self._answer = OwnAnswer(respond.status, lines, text)

    def begin(self, journey: Journey) -> Course | None:
        """See Step."""
        raise Answered(self._answer, "respond", ruled=True)


class RedirectAnswer(Step):
    """Sends clients somewhere that depends on the request."""

    def __init__(self, target: RedirectTarget, status: int) -> None:
        self._target = target
        self._status = status
        self._text = f"{status} {HTTPStatus(status).phrase}\n".encode()
        self._lines = b"\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d" % len(self._text)

    def begin(self, journey: Journey) -> Course | None:
        """See Step."""
        head, forwarder = journey.head, journey.downstream.forwarder
        values = Values(
            scheme=b"https" if forwarder.secure(head) else b"http",
            host=head.host or forwarder.here().encode("ascii"),
            path=head.path,
            query=head.target.partition(b"?")[2],
        )
        lines = b"\r\nLocation: " + self._target.render(values) + self._lines
        raise Answered(OwnAnswer(self._status, lines, self._text), "redirect", ruled=True)


class CloseSilently(Step):
    """Closes the connection without a word."""

    def begin(self, journey: Journey) -> Course | None:
        """See Step."""
        raise Answered(None, "closed_by_route")


def answer_of(route: RouteConfig) -> Step | None:
    """None where its requests go to pools."""
    if route.redirect:
        prefix = Prefix(route.paths) if route.paths else None
        return RedirectAnswer(RedirectTarget(route.redirect, prefix), route.status)
    if route.respond is not None:
        return FixedAnswer(route.respond)
    return CloseSilently() if route.close else None
