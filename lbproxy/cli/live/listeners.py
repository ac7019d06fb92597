"""The listeners of a configuration, asked one after the other as a client would, and the metrics port as another machine would."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import NamedTuple

from lbproxy.audit import answers
from lbproxy.audit.answers import AuditHead, AuditQuestion, Judged
from lbproxy.audit.checks.live import CERTIFICATE, METRICS, UNSEEN
from lbproxy.audit.finding import Check, Evidence, Severity
from lbproxy.cli.live import probe
from lbproxy.config.atoms import Address
from lbproxy.config.model import Config, ListenConfig

PATIENCE = 10.0
"""Seconds for one connection, whatever becomes of it."""
ALTOGETHER = 60.0
"""For all of them."""
MOST_ADDRESSES = 8
_OURS = b"lbproxy_"
"""What the names of all metrics begin with: on another address of the machine another program may have the port."""


class Patience(NamedTuple):
    """How long things may take, in seconds."""

    each: float = PATIENCE
    altogether: float = ALTOGETHER


class _Clock:
    """Deadlines of connections, none later than that of all."""

    def __init__(self, patience: Patience) -> None:
        self._each = patience.each
        self._end = time.monotonic() + patience.altogether

    def next(self) -> float:
        """Of a connection that begins now."""
        return min(time.monotonic() + self._each, self._end)

    def is_up(self) -> bool:
        """Nothing more is begun."""
        return time.monotonic() >= self._end


def look(config: Config, machine: Callable[[], list[str]], patience: Patience | None = None) -> Judged:
    """All findings. `machine`: the addresses of this machine that others may reach. Raises nothing of the network."""
    clock = _Clock(patience or Patience())
    for index, listen in enumerate(config.listen):
        if clock.is_up():
            yield UNSEEN, Evidence(("listen", index), "no time was left to look at it")
        elif listen.secure or answers.https_is_meant(config, listen):
            yield from _listener(config, index, listen, clock)
    if config.metrics.address is not None:
        yield from _metrics(config.metrics.address, machine(), clock)


def _listener(config: Config, index: int, listen: ListenConfig, clock: _Clock) -> Judged:
    """One that does not answer is not asked again."""
    asked = answers.questions(config, listen)
    if more := asked[answers.MOST_QUESTIONS :]:
        yield UNSEEN, Evidence(("listen", index), f"{len(more)} more hosts and paths of routes were not asked for")
    one = _secure if listen.secure else _plain
    try:
        for question in asked[: answers.MOST_QUESTIONS]:
            yield from one(index, listen, question, clock)
        if listen.secure:
            yield from _old_versions(index, listen, asked[0].host if asked else "", clock)
    except probe.Stranger as error:
        yield UNSEEN, Evidence(("listen", index), str(error))
    except OSError as error:
        yield UNSEEN, Evidence(("listen", index, "address"), f"{listen.address}: {_why(error)}", 0, Severity.LOW)


def _secure(index: int, listen: ListenConfig, question: AuditQuestion, clock: _Clock) -> Judged:
    until, speaks = clock.next(), listen.speaks
    protocol = "http/1.1" if "http/1.1" in speaks else speaks[0]
    try:
        sock = probe.connect(listen.address, until, listen.proxy_protocol)
        connection = probe.handshake(sock, question.host, until, protocol=protocol)
    except ssl.SSLError as error:
        if not listen.tls.asks:  # with TLS 1.2 who has no certificate gets no further
            yield UNSEEN, Evidence(("listen", index), f"{question.host or 'no name'}: {_why(error)}", 0, Severity.LOW)
        return
    with closing(connection):
        shown = probe.leaf(connection)
        if shown is None:
            name = question.host or "no name"
            yield CERTIFICATE, Evidence(("listen", index, "certificates"), f"what is shown for {name} cannot be read")
        else:
            yield from answers.judge_leaf(index, question.host, shown, datetime.now(UTC))
        if protocol != "http/1.1":
            return
        head = yield from _head(index, listen, question, connection, until)
        if head is not None:
            yield from answers.judge_secure(index, question, head)


def _plain(index: int, listen: ListenConfig, question: AuditQuestion, clock: _Clock) -> Judged:
    until = clock.next()
    if "http/1.1" not in listen.speaks:
        return
    with closing(probe.connect(listen.address, until, listen.proxy_protocol)) as connection:
        head = yield from _head(index, listen, question, connection, until)
    if head is not None:
        yield from answers.judge_plain(index, question, head)


def _head(
    index: int, listen: ListenConfig, question: AuditQuestion, connection: socket.socket, until: float
) -> Generator[tuple[Check, Evidence], None, AuditHead | None]:
    """None: there is none, which may be a slow backend's affair, and no reason to ask nothing else."""
    try:
        return probe.ask(connection, question, str(listen.address), until)
    except OSError as error:
        if not (isinstance(error, ssl.SSLError) and listen.tls.asks):  # with TLS 1.3 who has no certificate hears of it here
            yield UNSEEN, Evidence(("listen", index), f"{question.host}{question.path}: {_why(error)}")
        return None


def _old_versions(index: int, listen: ListenConfig, host: str, clock: _Clock) -> Judged:
    for version in answers.versions_below(listen):
        until = clock.next()
        sock = probe.connect(listen.address, until, listen.proxy_protocol)
        try:
            probe.handshake(sock, host, until, version=version, protocol=listen.speaks[-1]).close()
        except (ssl.SSLError, ConnectionError):
            continue  # refused, as it should be
        yield from answers.judge_version(index, version)


def _metrics(address: Address, machine: list[str], clock: _Clock) -> Judged:
    for host in machine[:MOST_ADDRESSES]:
        there = Address(host, address.port)
        if clock.is_up():
            yield UNSEEN, Evidence(("metrics", "address"), "no time was left to look at it")
            return
        request = f"GET /metrics HTTP/1.1\r\nHost: {there}\r\nConnection: close\r\n\r\n".encode()
        try:
            until = clock.next()
            with closing(probe.connect(there, until)) as connection:
                head, rest = probe.read_head(connection, request, until)
                while head.status == 200 and _OURS not in rest and len(rest) < probe.LONGEST_HEAD:
                    connection.settimeout(probe.left(until))
                    more = connection.recv(16_384)
                    if not more:
                        break
                    rest += more
        except OSError:
            continue  # nobody listens, or somebody else
        if head.status == 200 and _OURS in rest:
            bad = Severity.HIGH if ip_address(host).is_global else None
            yield METRICS, Evidence(("metrics", "address"), f"{there} answers", 0, bad)


def addresses_of_this_machine() -> list[str]:
    """Those that other machines may reach."""
    import psutil

    return list(_beyond(each.address for found in psutil.net_if_addrs().values() for each in found))


def _beyond(addresses: Iterable[str]) -> Iterator[str]:
    for written in addresses:
        try:
            address = ip_address(written)
        except ValueError:
            continue  # of hardware, or with the name of a link
        if not address.is_loopback and not address.is_link_local:
            yield written


def _why(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "does not answer in time"
    if isinstance(error, ssl.SSLError):
        return f"the handshake failed: {error.reason or error.strerror or error}"
    return str(error.strerror or error)
