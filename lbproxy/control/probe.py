"""One probe of one backend, from connect to verdict, within one time-out.

A probe goes through steps (connect, TLS, answer). Whatever goes wrong is judged by the step it happened in: the same reset means
"nobody listens" in the first and "the application crashed" in the last. What went wrong with *us* (out of descriptors or ports)
says nothing about the backend and is raised as OutOfMeans instead.
"""

from __future__ import annotations

import errno
import os
import ssl
from collections.abc import Callable
from typing import NamedTuple

import gevent
import gevent.socket

from lbproxy.config.model import UNIX
from lbproxy.config.vocabulary import SPOKEN
from lbproxy.control.h2_probe import ask
from lbproxy.control.probe_stream import READ_SIZE, ProbeStream, TlsClient
from lbproxy.control.target import ProbeTarget
from lbproxy.errors import LbproxyError
from lbproxy.health.outcome import BODY_MISSES, PASSED, ProbeFinding, ProbeOutcome
from lbproxy.http.h1 import health_check
from lbproxy.http.h1.health_check import BadHealthAnswer
from lbproxy.net.tls_failures import tls_failure
from lbproxy.net.unix_socket import connect_unix
from lbproxy.tls.backend_tls import WrongPin

OUR_TROUBLE = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL}
"""The machine is short of something; the backend may be fine."""

LINGER = 0.25
LINGER_BYTES = 64 * 1024
"""How long, and how much, we go on reading an answer whose status we know: hanging up at once would look like an error in the
backend's log."""


class OutOfMeans(LbproxyError):
    """We could not probe at all; the text says why."""


NOT_CHOSEN = ProbeFinding(ProbeOutcome.TLS_FAILURE, "h2 is not chosen by ALPN")


class ProbeStep(NamedTuple):
    late: ProbeFinding
    explain: Callable[[Exception], ProbeFinding]


def probe(target: ProbeTarget, heard: Callable[[int], None] = lambda minor: None) -> ProbeFinding:
    """Probe once; returns after `timeout` seconds at the latest (and LINGER). `heard` is told which HTTP/1 an answer is of. Raises
    OutOfMeans."""
    step = CONNECT
    timeout = gevent.Timeout(target.timeout)
    sock: gevent.socket.socket | None = None
    try:
        timeout.start()
        sock = _connect(target)
        _introduce(sock, target.introduction)
        if target.request is None and target.context is None:
            return PASSED
        stream: ProbeStream = sock
        h2 = target.protocol == "h2"
        if target.context is not None:
            step = TLS
            client = TlsClient(sock, target.context, target.server_name, SPOKEN[target.protocol])
            if target.encryption is not None:
                target.encryption.begin(client.session_object(), "")
            client.handshake()
            if target.encryption is not None:
                target.encryption.judge(client.session_object(), "")
            h2 = client.protocol() == "h2"
            if target.protocol == "h2" and not h2:
                return NOT_CHOSEN
            stream = client
            if target.request is None:
                timeout.close()
                _say_goodbye(client)
                return PASSED
        if target.request is None:
            return PASSED
        step = ANSWER
        if h2:
            return ask(stream, target, heard)
        stream.sendall(target.request)
        finding = _judge(stream, target, heard)
        timeout.close()
        _linger(stream)
        return finding
    except gevent.Timeout as expired:
        if expired is not timeout:
            raise
        return step.late
    except (OSError, ValueError) as error:  # BadHealthAnswer is a ValueError, ssl.SSLError an OSError
        if isinstance(error, OSError) and error.errno in OUR_TROUBLE and not isinstance(error, ssl.SSLError):
            raise OutOfMeans(os.strerror(error.errno)) from error
        return step.explain(error)
    finally:
        timeout.close()
        if sock is not None:
            sock.close()


def _say_goodbye(client: TlsClient) -> None:
    """With TLS 1.3 a backend tells only after our part of the handshake that it does not like our certificate, or that it wants
    one: in answer to the first request, or to this. Raises ssl.SSLError for an alert; what else it does is its own affair."""
    with gevent.Timeout(LINGER, False):  # type: ignore[arg-type]  # documented: False ends the block
        try:
            client.goodbye()
        except ssl.SSLError as error:
            if "ALERT" in (getattr(error, "reason", None) or ""):
                raise
        except OSError:
            pass


def _introduce(sock: gevent.socket.socket, introduction: bytes) -> None:
    if introduction:
        sock.sendall(introduction)


def _connect(target: ProbeTarget) -> gevent.socket.socket:
    if target.ip.startswith(UNIX):
        plain = connect_unix(target.ip, target.timeout, gevent.sleep)
        return gevent.socket.socket(fileno=plain.detach())
    sock = gevent.socket.socket(gevent.socket.AF_INET6 if ":" in target.ip else gevent.socket.AF_INET)
    try:
        sock.connect((target.ip, target.port))
    except BaseException:  # the time-out above all
        sock.close()
        raise
    return sock


def _judge(stream: ProbeStream, target: ProbeTarget, heard: Callable[[int], None]) -> ProbeFinding:
    """Read as much of the answer as the target cares for. Raises BadHealthAnswer, OSError."""
    answer, status = _read_status(stream, target.line_feeds)
    heard(health_check.minor(answer))
    low, high = target.expect
    if not low <= status <= high:
        return ProbeFinding(ProbeOutcome.BAD_STATUS, f"{status}")
    return PASSED if target.body is None or _has(stream, answer, target.body, target.line_feeds) else BODY_MISSES


def _read_status(stream: ProbeStream, line_feeds: bool) -> tuple[bytes, int]:
    """(what was read, the final status in it). Raises BadHealthAnswer, OSError."""
    answer = b""
    while True:
        data = stream.recv(READ_SIZE)
        if not data:
            raise BadHealthAnswer("closed in the middle of the response head" if answer else "closed without a response")
        answer += data
        if line_feeds:
            answer, whole = health_check.with_crlf(answer)
            if not whole:
                continue
        status = health_check.final_status(answer)
        if status is not None:
            return answer, status


def _has(stream: ProbeStream, answer: bytes, wanted: bytes, line_feeds: bool) -> bool:
    """Whether `wanted` stands in the body. Raises BadHealthAnswer, OSError."""
    search = health_check.BodySearch(wanted, line_feeds=line_feeds)
    while (found := search.feed(answer)) is None:
        answer = stream.recv(READ_SIZE)
        if not answer:
            return search.ended()
    return found


def _linger(stream: ProbeStream) -> None:
    read = 0
    with gevent.Timeout(LINGER, False):  # type: ignore[arg-type]  # documented: False ends the block
        try:
            while read < LINGER_BYTES and (data := stream.recv(READ_SIZE)):
                read += len(data)
        except OSError:
            pass  # the status was all we wanted; how the backend hangs up is its own affair


# ---------------------------------------------------------------- what went wrong, by step


def _connect_failed(error: Exception) -> ProbeFinding:
    if isinstance(error, ConnectionRefusedError | ConnectionResetError):
        return ProbeFinding(ProbeOutcome.REFUSED)
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.ETIMEDOUT:  # the kernel lost patience before we did
        return ProbeFinding(ProbeOutcome.CONNECT_TIMEOUT)
    return ProbeFinding(ProbeOutcome.UNREACHABLE, os.strerror(number) if number else str(error))


def _tls_failed(error: Exception) -> ProbeFinding:
    if isinstance(error, ssl.SSLEOFError):
        return ProbeFinding(ProbeOutcome.TLS_FAILURE, "closed during the handshake")
    if isinstance(error, ssl.SSLError):
        return ProbeFinding(ProbeOutcome.TLS_FAILURE, tls_failure(error).words)
    if isinstance(error, OSError):
        return ProbeFinding(ProbeOutcome.TLS_FAILURE, "reset during the handshake")
    if isinstance(error, WrongPin):
        return ProbeFinding(ProbeOutcome.TLS_FAILURE, str(error))
    return ProbeFinding(ProbeOutcome.TLS_FAILURE, f"unusable server name: {error}")


def _answer_failed(error: Exception) -> ProbeFinding:
    if isinstance(error, BadHealthAnswer):
        return ProbeFinding(ProbeOutcome.BAD_RESPONSE, str(error))
    if isinstance(error, ssl.SSLEOFError):
        return ProbeFinding(ProbeOutcome.BAD_RESPONSE, "closed without a response")
    if isinstance(error, ssl.SSLError):  # TLS 1.3 tells only now that it does not like our certificate
        return _tls_failed(error)
    return ProbeFinding(ProbeOutcome.BAD_RESPONSE, "connection reset")


CONNECT = ProbeStep(ProbeFinding(ProbeOutcome.CONNECT_TIMEOUT), _connect_failed)
TLS = ProbeStep(ProbeFinding(ProbeOutcome.TLS_FAILURE, "timed out during the handshake"), _tls_failed)
ANSWER = ProbeStep(ProbeFinding(ProbeOutcome.RESPONSE_TIMEOUT), _answer_failed)
