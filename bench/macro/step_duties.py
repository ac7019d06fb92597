"""Does each route with a step take it? Asked of each proxy that takes part, before it is measured."""

from __future__ import annotations

import base64
import fcntl
import http.client
import json
import os
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

from bench.macro import steps
from bench.macro.errors import BenchError

SETTLE = 10.0
_ASLEEP: list[int] = []
"""Readers of taps, until the bench has ended."""


class Proof:
    """One proxy, asked over one connection."""

    def __init__(self, connection: http.client.HTTPConnection, folder: Path, count: Callable[[], int]) -> None:
        """`folder`: with its access log and its standard error; `count`: requests that the backends have got."""
        self._connection = connection
        self._folder = folder
        self._count = count

    def check(self, name: str) -> None:
        """Raises BenchError."""
        self._answers(name, 200)
        PROOFS[name](self, name)

    def _status(self, name: str, query: str = "", **fields: str) -> int:
        known = {"Authorization": password(), "Cookie": f"token={steps.TOKEN}"}
        headers = {**steps.HEADERS, **known, **{key.replace("_", "-"): value for key, value in fields.items()}}
        self._connection.request("GET", f"{steps.PREFIX}{name}{query}", headers=headers)
        response = self._connection.getresponse()
        response.read()
        return response.status

    def _answers(self, name: str, status: int, query: str = "", **fields: str) -> None:
        """A backend, or whoever is asked, may be known a moment later."""
        if (got := self._eventually(lambda: self._status(name, query, **fields), lambda got: got == status)) != status:
            raise BenchError(f"{steps.PREFIX}{name}{query} {fields or ''}: {got} instead of {status}")

    def _eventually(self, look: Callable[[], int], met: Callable[[int], bool]) -> int:
        until = time.monotonic() + SETTLE
        while not met(got := look()) and time.monotonic() < until:
            time.sleep(0.05)
        return got

    def authorize(self, name: str) -> None:
        """Whom the other server denies is denied."""
        self._answers(name, 401, Cookie=steps.DENIED)

    def basic_auth(self, name: str) -> None:
        """Another password is none."""
        self._answers(name, 401, Authorization="Basic " + base64.b64encode(b"bench:nobody").decode())

    def jwt(self, name: str) -> None:
        """Whose token is changed stays out."""
        self._answers(name, 401, Cookie=f"token={steps.TOKEN[:-4]}AAAA")

    def waf(self, name: str) -> None:
        """An attack is refused."""
        self._answers(name, 403, steps.ATTACK)

    def waf_detect(self, name: str) -> None:
        """An attack passes, and is told."""
        self._answers(name, 200, steps.ATTACK)
        path = f"{steps.PREFIX}{name}"
        self._told(self._folder / "stderr", lambda line: "waf.found" in line and path in line, f"an attack on {path}")

    def icap(self, name: str) -> None:
        """The server was asked."""
        log = self._folder / "access.log"
        self._told(log, lambda line: json.loads(line).get("inspected") == "icap=passed", "a verdict")

    def mirror(self, name: str) -> None:
        """Backends get each request twice."""
        before = self._count()
        self._answers(name, 200)
        got = self._eventually(lambda: self._count() - before, lambda got: got >= 4)  # each look is a request of its own
        if got < 4:
            raise BenchError("no second request")

    def tap(self, name: str) -> None:
        """A reader has got something, and sleeps from then on."""
        reader = os.open(self._folder / steps.TAP, os.O_RDONLY | os.O_NONBLOCK)
        _ASLEEP.append(reader)

        def came() -> int:
            self._status(name)
            return int.from_bytes(fcntl.ioctl(reader, termios.FIONREAD, bytes(4)), sys.byteorder)

        if not self._eventually(came, lambda got: got > 0):
            raise BenchError("a tap's reader gets nothing")

    def none(self, name: str) -> None:
        """It answers, and that is all."""

    def _told(self, file: Path, fits: Callable[[str], bool], what: str) -> None:
        def look() -> int:
            lines = file.read_text(errors="replace").splitlines() if file.exists() else []
            return sum(fits(line) for line in lines)

        if not self._eventually(look, lambda got: got > 0):
            raise BenchError(f"{file.name} does not tell of {what}")


def password() -> str:
    """The field by which a client says it."""
    return "Basic " + base64.b64encode(steps.PASSWORD.encode()).decode()


PROOFS: dict[str, Callable[[Proof, str], None]] = {
    "none": Proof.none,
    "authorize": Proof.authorize,
    "basic_auth": Proof.basic_auth,
    "jwt": Proof.jwt,
    "waf": Proof.waf,
    "waf-detect": Proof.waf_detect,
    "icap": Proof.icap,
    "mirror": Proof.mirror,
    "tap": Proof.tap,
}
