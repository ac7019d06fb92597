"""The access log: one JSON line a request, preformatted, handed over in batches.

A line is cheap because nothing is built but the line: names and punctuation are constant, the second of the time stamp is formatted
once a second, who asked for what once while a client repeats itself, and text is escaped only when it holds a byte that JSON
minds. Writing is somebody else's business (the worker's log writer), so this file stays pure and time comes in as an argument.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import NamedTuple

FIELDS = (
    "time",
    "client",
    "protocol",
    "method",
    "host",
    "path",
    "status",
    "reason",
    "bytes_in",
    "bytes_out",
    "backend",
    "tries",
    "tls_ms",
    "head_ms",
    "queue_ms",
    "backend_head_ms",
    "total_ms",
)
_MAX_TEXT = 2048
"""A longer path, as it is written, is cut (and ends in "..."): a line stays below PIPE_BUF, so that lines of several workers in one
pipe never mix."""
BATCH = 64 * 1024
"""Characters of lines that are handed over at once. Joining is a pause for everybody: at 57,000 requests a second the lines of 0.2
s were 11,000 strings and 3.8 MB, and 64 busy connections waited 5.2 ms (p99) where they wait 2.3 with batches of 20 ms."""
_HOSTS_KEPT = 512
# Pieces of a line with the punctuation around them: copying one costs a tenth of writing a number, and fewer pieces cost less.
_MILLISECONDS = [f'{number:03d}Z",' for number in range(1000)]
_STATUSES = [*(f',"status":{number},"reason":"' for number in range(1000)), ',"status":null,"reason":"']
NO_STATUS = 1000
"""Of what is no request."""
_NUMBERS = [str(number) for number in range(4096)]
_TENTHS = [f"{number // 10}.{number % 10}" for number in range(4096)]
_NO_WAITS = '"tls_ms":0.0,"head_ms":0.0,"queue_ms":0.0'
_BACKENDS_KEPT = 4096
_AWKWARD = re.compile(rb'["\\\x00-\x1f\x7f-\xff]')


class Timing(NamedTuple):
    """Monotonic seconds. A step that did not happen has the time of the one before it."""

    tls: float
    """Seconds the handshake took; 0 but for a connection's first request."""
    begun: float
    """When the first byte of the head was there."""
    parsed: float
    """When the head was whole."""
    leased: float
    """When a backend was chosen."""
    answered: float
    """When the backend's final head was there."""
    ended: float


class AccessLog:
    """Formats requests and collects the lines until `take` fetches them."""

    __slots__ = ("_everyday", "_hosts", "_lines", "_offset", "_on_full", "_prefix", "_second", "_size", "_stamp")

    def __init__(
        self, wall_minus_monotonic: float, stamp: Callable[[int], str], on_full: Callable[[], object] | None = None
    ) -> None:
        """`stamp`: whole UNIX seconds -> "2026-11-23T12:00:00"; `on_full` is called when there is a BATCH, and should `take` it."""
        self._offset = wall_minus_monotonic
        self._on_full = on_full
        self._size = 0
        self._stamp = stamp
        self._second = -1
        self._prefix = ""
        self._lines: list[str] = []
        self._hosts: dict[bytes, str] = {}
        """Hosts as text: they repeat, and there are few of them unless somebody invents them."""
        self._everyday: dict[str, str] = {}
        """Backend -> what stands between bytes_out and backend_head_ms for its first tries that waited for nothing; "": for
        what was answered without one."""

    def add(
        self,
        client: str,
        method: bytes,
        host: bytes,
        path: bytes,
        status: int,
        reason: str,
        bytes_in: int,
        bytes_out: int,
        backend: str,
        tries: int,
        timing: Timing,
        protocol: str = "HTTP/1.1",
    ) -> None:
        """Format one request. Byte strings come from the wire and are escaped here.

        `reason`: why lbproxy answered by itself or gave up; "" when the backend's answer was passed on whole; `protocol`: what the
        client spoke, as far as that is known.
        """
        about = self.describe(client, method, host, path, protocol)
        self.record(about, status, reason, bytes_in, bytes_out, backend, tries, *timing)

    def describe(self, client: str, method: bytes, host: bytes, path: bytes, protocol: str) -> str:
        """The part of a line that is the same for every time a client asks for the same."""
        host_text = self._hosts.get(host)
        if host_text is None:
            if len(self._hosts) >= _HOSTS_KEPT:
                self._hosts.clear()
            host_text = self._hosts[host] = text(host)
        # A method is a token: nothing to escape.
        asked = f'"method":"{method.decode("latin-1")}","host":"{host_text}","path":"{text(path)}"'
        return f'"client":"{client}","protocol":"{protocol}",{asked}'

    def record(
        self,
        about: str,
        status: int,
        reason: str,
        bytes_in: int,
        bytes_out: int,
        backend: str,
        tries: int,
        tls: float,
        begun: float,
        parsed: float,
        leased: float,
        answered: float,
        ended: float,
    ) -> None:
        """`about` from `describe`; the rest as in `add` and Timing. Separate floats: making a tuple costs a tenth of the line."""
        now = ended + self._offset
        second = int(now)
        if second != self._second:
            self._second = second
            self._prefix = f'{{"time":"{self._stamp(second)}.'
        millisecond = int((now - second) * 1000)
        # Formatting a float costs thirty times an integer: times are written in tenths of a millisecond.
        if tries < 2 and tls == 0 and parsed == begun and leased == parsed:
            middle = self._everyday.get(backend)
            if middle is None:
                middle = self._remember(backend, tries)
        else:
            middle = _middle(
                backend, tries, f'"tls_ms":{_tenths(tls)},"head_ms":{_tenths(parsed - begun)},"queue_ms":{_tenths(leased - parsed)}'
            )
        line = (
            f"{self._prefix}{_MILLISECONDS[millisecond]}{about}{_STATUSES[status]}{reason}"
            f'","bytes_in":{_digits(bytes_in)},"bytes_out":{_digits(bytes_out)}{middle}{_tenths(answered - leased)}'
            f',"total_ms":{_tenths(ended - begun)}}}\n'
        )
        self._lines.append(line)
        self._size += len(line)
        if self._size >= BATCH and self._on_full is not None:
            self._on_full()

    def _remember(self, backend: str, tries: int) -> str:
        if len(self._everyday) >= _BACKENDS_KEPT:  # a reload makes a new log; nobody has so many
            self._everyday.clear()
        middle = self._everyday[backend] = _middle(backend, tries, _NO_WAITS)
        return middle

    def __len__(self) -> int:
        return len(self._lines)

    def take(self) -> bytes:
        """All lines since the last call."""
        lines, self._lines, self._size = self._lines, [], 0
        return "".join(lines).encode("ascii")


def _middle(backend: str, tries: int, waits: str) -> str:
    return f',"backend":"{backend}","tries":{tries},{waits},"backend_head_ms":'


def _digits(number: int) -> str:
    return _NUMBERS[number] if 0 <= number < 4096 else str(number)


def _tenths(seconds: float) -> str:
    """Seconds as milliseconds with one decimal."""
    tenths = int(seconds * 10_000)
    return _TENTHS[tenths] if 0 <= tenths < 4096 else f"{tenths // 10}.{tenths % 10}"


def text(raw: bytes) -> str:
    """Bytes from the wire as the inside of a JSON string: ASCII only, everything else escaped."""
    if len(raw) <= _MAX_TEXT and _AWKWARD.search(raw) is None:
        return raw.decode("ascii")
    escaped = json.dumps(raw[:_MAX_TEXT].decode("latin-1"))[1:-1]
    kept = min(len(raw), _MAX_TEXT)
    while len(escaped) > _MAX_TEXT:  # an escape takes up to six characters; rarely more than two rounds
        kept = kept * _MAX_TEXT // (len(escaped) + 1)
        escaped = json.dumps(raw[:kept].decode("latin-1"))[1:-1]
    return escaped + "..." if kept < len(raw) else escaped
