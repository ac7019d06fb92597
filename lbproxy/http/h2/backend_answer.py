"""The fields of an answer, as a backend of HTTP/2 sends them, to the bytes of a head that HTTP/1 would have: steps behind this
one (http/heads.py) know answers by their bytes, and read, check, edit and remember them as such.

That is safe only if laying out cannot make something else of a field: names are matched before they are used, and the block must
have as many lines as were laid out. libnghttp2 has looked at that as well, which is nothing to rely on.

A backend repeats itself, so the same fields are looked up: they are compared in C, and the bytes are the same object, of which
the next step knows the hash.
"""

from __future__ import annotations

import re
from http import HTTPStatus

from lbproxy.errors import RefusedAnswer
from lbproxy.http.grammar import TCHAR, count_fields
from lbproxy.http.h2.vocabulary import Fields
from lbproxy.http.message import FIELDS_KEPT
from lbproxy.remembered import Budget

KEPT = 1024 * 1024
"""Bytes; then all are forgotten."""
COPIES, OBJECTS, FIELD = 3, 1024, 192
"""As of response_fields.py."""

_STATUS = re.compile(rb"[1-5][0-9]{2}\Z")
_NAME = re.compile(rb"[" + TCHAR.replace(b"A-Z", b"") + rb"]++\Z")
_OF_A_CONNECTION = (b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade")
"""RFC 9113 8.2.2: with any of them a message is malformed. To a client of HTTP/1 they would frame it."""
_PHRASES = {int(status): status.phrase.encode() for status in HTTPStatus}
_NAMES_KEPT = 512
_LONGEST_KEPT = 64
_lines: dict[bytes, bytes] = {}
"""Names that were found sound in this process, and how a line of theirs begins."""

PLAIN, ENDED, TO_HEAD = range(3)
"""A body follows; none does; the answer is to HEAD, whose fields tell of a body that never comes."""


class BackendAnswers:
    """Makes heads of the fields of answers that a process gets from backends."""

    __slots__ = ("_budget", "_known")

    def __init__(self, kept: int = KEPT) -> None:
        self._budget = Budget(kept)
        self._known: dict[tuple[int, Fields], bytes] = self._budget.draws({})

    def of(self, fields: Fields, how: int) -> bytes:
        """The head, from the status line to the empty line, both included; `how`: PLAIN, ENDED or TO_HEAD. Raises
        RefusedAnswer."""
        head = self._known.get((how, fields))
        if head is None:
            head = laid_out(fields, how)
            if len(head) <= FIELDS_KEPT:
                self._budget.keep(self._known, (how, fields), head, COPIES * len(head) + FIELD * len(fields) + OBJECTS)
        return head


class LastAnswer:
    """The last head of one connection: a backend that says the same again has the engine tell of the very same fields, which are
    then neither hashed nor compared."""

    __slots__ = ("_answers", "_fields", "_head", "_how")

    def __init__(self, answers: BackendAnswers) -> None:
        self._answers = answers
        self.forget()

    def forget(self) -> None:
        """The connection is idle."""
        self._fields: Fields = ()
        self._how = PLAIN
        self._head = b""

    def of(self, fields: Fields, how: int) -> bytes:
        """See `BackendAnswers.of`."""
        if fields is not self._fields or how != self._how or not self._head:
            head = self._answers.of(fields, how)
            if len(head) > FIELDS_KEPT:
                return head
            self._fields, self._how, self._head = fields, how, head
        return self._head


def laid_out(fields: Fields, how: int) -> bytes:
    """See `BackendAnswers.of`."""
    status, block, known = _read(fields)
    if status == 101:  # RFC 9113 8.6
        raise RefusedAnswer("response_unexpected_101", "HTTP/2 has no 101")
    if not known and how != TO_HEAD and status >= 200 and status not in (204, 304):
        block += b"\r\ncontent-length: 0" if how == ENDED else b"\r\ntransfer-encoding: chunked"
    return b"HTTP/1.1 %d %b%b\r\n\r\n" % (status, _PHRASES.get(status, b""), block)


def switched(fields: Fields, accept: bytes) -> bytes:
    """The 101 that a client of HTTP/1 waits for, of the answer that has opened a WebSocket over HTTP/2 (RFC 8441 5.1). Raises
    RefusedAnswer."""
    _, block, _ = _read(tuple(field for field in fields if field[0] not in (b"content-length", b"sec-websocket-accept")))
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: "
        + accept + block + b"\r\n\r\n"
    )  # fmt: skip


def status_of(fields: Fields) -> int:
    """Raises RefusedAnswer."""
    value = fields[0][1] if fields and fields[0][0] == b":status" else b""
    if _STATUS.match(value) is None:
        raise RefusedAnswer("response_malformed", "no :status, or one that is none")
    return int(value)


def _read(fields: Fields) -> tuple[int, bytes, bool]:
    """(status; all lines, each with its CRLF in front; a length is among them)"""
    status = status_of(fields)
    laid: list[bytes] = []
    known = False
    for name, value in fields[1:]:
        laid.append(_lines.get(name) or _begin_of_line(name))
        laid.append(value)
        known = known or name == b"content-length"
    block = b"".join(laid)
    if count_fields(block) != len(laid) // 2:
        raise RefusedAnswer("response_malformed", "a control byte in a field value")
    return status, block, known


def _begin_of_line(name: bytes) -> bytes:
    if _NAME.match(name) is None:
        raise RefusedAnswer("response_malformed", "a field name that is empty, not a token, not in lower case, or a pseudo-field's")
    if name in _OF_A_CONNECTION:
        raise RefusedAnswer("response_connection_field", "a field of HTTP/1's connections")
    begin = b"\r\n" + name + b": "
    if len(name) <= _LONGEST_KEPT:
        if len(_lines) >= _NAMES_KEPT:
            _lines.clear()
        _lines[name] = begin
    return begin
