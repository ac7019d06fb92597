"""Messages to bytes and back: a 4-byte big-endian length, then that many bytes of ASCII JSON, `{"kind": "Ready", "pid": 7}`.

The reader trusts nothing: a compromised child must gain nothing by what it writes here. Every field has a rule in RULES; unknown
kinds, unknown or missing fields, wrong types, numbers out of range, over-long text and frames over MAX_FRAME are a FrameError,
after which the decoder refuses to go on (where the next frame would start is not known any more).
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from lbproxy.errors import FrameError
from lbproxy.ipc.messages import (
    AcmeName,
    CertificateDates,
    ChallengeOver,
    ChallengeShown,
    Drain,
    Drained,
    Failed,
    HealthChanged,
    Heartbeat,
    KeySetState,
    KeysFetched,
    KeysSilent,
    KeysWanted,
    KeyWork,
    Message,
    NewDocument,
    NewKeyAuthorities,
    NewKeySocket,
    NewPoolFiles,
    NewTicketKeys,
    Placed,
    Quit,
    Ready,
    Renewed,
    ReopenLogs,
    Resolved,
    Serve,
    SetLogLevel,
    TapWork,
)
from lbproxy.ipc.strict_json import strict_object

HEADER = 4
MAX_FRAME = 64 * 1024
"""Bytes of JSON in one frame; the longest honest one (a Failed with its text full of escapes) needs 48 KiB."""


@dataclass(frozen=True, slots=True)
class Number:
    """An integer of 0 (or `low`) to `high`."""

    high: int
    low: int = 0

    def fault(self, value: object) -> str:
        """What is wrong with it; "" when nothing is."""
        if type(value) is not int:  # not isinstance: True is an int to Python and not to us
            return f"wanted an integer, came {type(value).__name__}"
        return "" if self.low <= value <= self.high else f"wanted {self.low} to {self.high}, came {value}"


@dataclass(frozen=True, slots=True)
class Text:
    """A string of at most `limit` characters; `free` text is cut to fit by the sender, a name never is."""

    limit: int
    free: bool = False
    one_of: tuple[str, ...] = ()

    def fault(self, value: object) -> str:
        """What is wrong with it; "" when nothing is."""
        if type(value) is not str:
            return f"wanted text, came {type(value).__name__}"
        if len(value) > self.limit:
            return f"wanted at most {self.limit} characters, came {len(value)}"
        if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
            return "wanted text, came a lone surrogate"  # cannot be written to any log
        if self.one_of and value not in self.one_of:
            return f"wanted one of {', '.join(self.one_of)}, came {value!r}"
        return ""

    def fit(self, value: str) -> str:
        """Free text as it may be sent."""
        return value.encode("utf-8", "backslashreplace").decode()[: self.limit]


Rule = Number | Text

COUNT = Number(2**31 - 1)
NAME = Text(512)  # a DNS name has at most 253 characters; pools are named by the operator

CHALLENGE = Text(16, one_of=("http-01", "tls-alpn-01"))

KEY_SET = Text(16)

KINDS: dict[str, type[Message]] = {
    kind.__name__: kind
    for kind in (
        Ready,
        Heartbeat,
        HealthChanged,
        Resolved,
        Drained,
        Failed,
        Serve,
        Drain,
        Placed,
        Renewed,
        NewPoolFiles,
        NewTicketKeys,
        NewDocument,
        KeysFetched,
        KeySetState,
        KeysWanted,
        NewKeyAuthorities,
        CertificateDates,
        AcmeName,
        ChallengeShown,
        ChallengeOver,
        KeysSilent,
        NewKeySocket,
        KeyWork,
        TapWork,
        Quit,
        ReopenLogs,
        SetLogLevel,
    )
}
RULES: dict[str, dict[str, Rule]] = {
    # PID_MAX_LIMIT of the kernel
    "Ready": {"pid": Number(2**22, low=1), "form": Text(160, free=True), "walls": Text(160, free=True)},
    "Heartbeat": {
        "lag_ms": COUNT,
        "rss_kib": Number(2**42),
        "connections": COUNT,
        "live_requests": COUNT,
        "requests": Number(2**59),
    },
    "HealthChanged": {
        "pool": NAME,
        "backend": NAME,
        "state": Text(8, one_of=("up", "down", "ejected", "trial")),
        "why": Text(1024, free=True),
    },
    "Resolved": {"name": NAME, "addresses": Text(4096)},  # 64 of 39 characters
    "Drained": {"cut": COUNT},
    "Failed": {"reason": Text(4096, free=True)},
    "Serve": {},
    "Drain": {"timeout_ms": COUNT, "idle_ms": COUNT, "tunnel_ms": COUNT, "closing": Text(4096)},
    "Placed": {"pool": NAME, "backend": NAME, "endpoints": Text(4096)},  # 64 of 39 characters, with four digits
    "NewPoolFiles": {"pool": NAME, "pieces": Text(512)},
    "Renewed": {"listener": Number(2**16), "at": Number(2**48), "size": Number(2**32)},
    "NewTicketKeys": {"at": Number(2**48), "size": Number(2**16)},
    "NewDocument": {"number": Number(2**16), "at": Number(2**48), "size": Number(2**32)},
    "KeysFetched": {"name": KEY_SET, "keys": Text(32 * 1024)},
    "KeySetState": {"name": KEY_SET, "keys": COUNT, "fetched": Number(2**40), "failures": COUNT, "why": Text(1024, free=True)},
    "KeysWanted": {"name": KEY_SET},
    "NewKeyAuthorities": {"name": KEY_SET, "size": Number(2**25)},
    "CertificateDates": {"told": Text(16 * 1024)},
    "AcmeName": {
        "name": NAME,
        "state": Text(8, one_of=("waiting", "ordering", "good")),
        "next": Number(2**40),
        "failures": COUNT,
        "why": Text(1024, free=True),
        "authority": NAME,
    },
    "ChallengeShown": {"challenge": CHALLENGE, "name": NAME, "token": NAME, "answer": Text(4096)},
    "ChallengeOver": {"challenge": CHALLENGE, "name": NAME, "token": NAME},
    "KeysSilent": {},
    "NewKeySocket": {},
    "KeyWork": {"signatures": Number(2**59), "refused": Number(2**59), "restarts": COUNT},
    "TapWork": {
        "tap": NAME,
        "sink": Text(9, one_of=("fifo", "listen", "interface")),
        **dict.fromkeys(("passed", "dropped", "lost", "unread", "readers", "refused"), Number(2**59)),
    },
    "Quit": {},
    "ReopenLogs": {},
    "SetLogLevel": {"level": Text(8, one_of=("debug", "info", "warning", "error"))},
}


def encode(message: Message) -> bytes:
    """One frame. Raises FrameError when a field breaks its rule; free text (`why`, `reason`) is cut to its limit instead."""
    kind = type(message).__name__
    rules = RULES[kind]
    fields = message._asdict()
    for name, rule in rules.items():
        value = fields[name]
        if isinstance(rule, Text) and rule.free and isinstance(value, str):
            fields[name] = value = rule.fit(value)
        if fault := rule.fault(value):
            raise FrameError(f"{kind}.{name}: {fault}")
    body = json.dumps({"kind": kind, **fields}, separators=(",", ":")).encode("ascii")
    return len(body).to_bytes(HEADER, "big") + body


class Decoder:
    """Bytes in, whole messages out, however they were cut on the way."""

    __slots__ = ("_broken", "_buffer")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._broken: FrameError | None = None

    @property
    def pending(self) -> int:
        """Bytes of a frame that has not arrived whole; never more than HEADER + MAX_FRAME."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[Message]:
        """Every message that `data` completes. Raises FrameError at the first bad frame, and at every call after it."""
        if self._broken is not None:
            raise self._broken
        self._buffer += data
        try:
            return self._take()
        except FrameError as error:
            self._broken = error
            self._buffer.clear()
            raise

    def _take(self) -> list[Message]:
        buffer = self._buffer
        messages: list[Message] = []
        at = 0
        while len(buffer) - at >= HEADER:
            length = int.from_bytes(buffer[at : at + HEADER], "big")
            if length > MAX_FRAME:
                raise FrameError(f"frame of {length} bytes, at most {MAX_FRAME} are allowed")
            end = at + HEADER + length
            if len(buffer) < end:
                break
            messages.append(_message(bytes(buffer[at + HEADER : end])))
            at = end
        del buffer[:at]
        return messages


def _message(body: bytes) -> Message:
    fields = _fields(body)
    kind = fields.pop("kind", None)
    if not isinstance(kind, str) or kind not in RULES:
        raise FrameError(f"unknown kind of message {kind!r:.40}")
    rules = RULES[kind]
    if fields.keys() != rules.keys():
        unknown, missing = sorted(fields.keys() - rules.keys()), sorted(rules.keys() - fields.keys())
        raise FrameError(f"{kind}: unknown fields {unknown!r:.80}, missing fields {missing}")
    for name, rule in rules.items():
        if fault := rule.fault(fields[name]):
            raise FrameError(f"{kind}.{name}: {fault:.200}")
    return KINDS[kind](**fields)  # type: ignore[arg-type]  # RULES has just told that every field has its type


def _fields(body: bytes) -> dict[str, object]:
    try:
        return strict_object(body.decode("ascii"))
    except ValueError as error:  # NotStrict, UnicodeDecodeError
        raise FrameError(f"not a frame: {error!s:.160}") from error
