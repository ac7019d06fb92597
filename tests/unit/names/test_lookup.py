"""Asking, of a name server that is a script."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TypeAlias

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from lbproxy.config.model import Address
from lbproxy.errors import NameUnknown, Unresolved
from lbproxy.names import lookup as lookups
from lbproxy.names.answer import NEVER, NameAnswer
from lbproxy.names.lookup import attempt, lookup, lookup_all
from tests.support.process import ROOT

Reply: TypeAlias = dns.message.Message | bytes | None
Script = Callable[[dns.message.Message], Reply]


class Server:
    """Answers over UDP and TCP on one port; remembers what it was asked."""

    def __init__(self, script: Script, over_tcp: Script | None = None) -> None:
        self.asked: list[str] = []
        self._script, self._over_tcp = script, over_tcp or script
        self._udp, self._tcp = _same_port()
        self.address = Address(*self._udp.getsockname())
        self._threads = [threading.Thread(target=serve) for serve in (self._serve_udp, self._serve_tcp)]
        for thread in self._threads:
            thread.start()

    def _reply(self, data: bytes, script: Script) -> bytes | None:
        question = dns.message.from_wire(data)
        self.asked.append(f"{question.question[0].name} {question.question[0].rdtype.name}")
        reply = script(question)
        return bytes(reply.to_wire()) if isinstance(reply, dns.message.Message) else reply

    def _serve_udp(self) -> None:
        while (came := self._udp.recvfrom(4096))[0]:
            if (reply := self._reply(came[0], self._script)) is not None:
                self._udp.sendto(reply, came[1])

    def _serve_tcp(self) -> None:
        while True:
            connection, _ = self._tcp.accept()
            with connection:
                data = connection.recv(4096)
                if not data:
                    return
                if (reply := self._reply(data[2:], self._over_tcp)) is not None:
                    connection.sendall(len(reply).to_bytes(2, "big") + reply)

    def close(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", tuple(self.address))
        with socket.socket() as last:
            last.connect(tuple(self.address))
        for thread in self._threads:
            thread.join()
        self._udp.close()
        self._tcp.close()


def _same_port() -> tuple[socket.socket, socket.socket]:
    """The number that is free for UDP may be taken for TCP, by anybody's connection."""
    while True:
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", 0))
        try:
            return udp, socket.create_server(("127.0.0.1", udp.getsockname()[1]))
        except OSError:
            udp.close()


def saying(question: dns.message.Message, *records: str, code: int = dns.rcode.NOERROR) -> dns.message.Message:
    """A response; records as "NAME TTL TYPE DATA"."""
    reply = dns.message.make_response(question)
    reply.set_rcode(dns.rcode.Rcode(code))
    for record in records:
        name, ttl, kind, data = record.split()
        reply.answer.append(dns.rrset.from_text(name, int(ttl), "IN", kind, data))
    return reply


def is_a(question: dns.message.Message) -> bool:
    return bool(question.question[0].rdtype.name == "A")


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Its files; it speaks IPv6, and whoever answers late is waited for."""
    (tmp_path / "hosts").write_text("127.0.0.1 localhost\n::1 localhost\n10.1.1.1 listed\nfd00::1 listed\n")
    (tmp_path / "if_inet6").write_text("fd000000000000000000000000000002 04 40 00 82 eth0\n")
    (tmp_path / "resolv.conf").write_text("nameserver 192.0.2.1\nsearch corp.test\noptions ndots:1\n")
    monkeypatch.setattr(lookups, "HOSTS", tmp_path / "hosts")
    monkeypatch.setattr(lookups, "INTERFACES", tmp_path / "if_inet6")
    monkeypatch.setattr(lookups, "RESOLV_CONF", tmp_path / "resolv.conf")
    monkeypatch.setattr(lookups, "LIFETIME", 60.0)
    return tmp_path


@pytest.fixture
def serving() -> Iterator[Callable[..., Server]]:
    with ExitStack() as stack:

        def start(script: Script, over_tcp: Script | None = None) -> Server:
            server = Server(script, over_tcp)
            stack.callback(server.close)
            return server

        yield start


Serving = Callable[..., Server]


def test_what_the_hosts_file_knows_nobody_is_asked_about(machine: Path) -> None:
    assert lookup("listed") == NameAnswer(("10.1.1.1", "fd00::1"), NEVER)
    assert lookup("localhost") == NameAnswer(("127.0.0.1",), NEVER)  # no ::1 on this machine
    assert lookup("app.localhost") == NameAnswer(("127.0.0.1",), NEVER)
    (machine / "if_inet6").write_text("00000000000000000000000000000001 01 80 10 80 lo\n")
    assert lookup("listed") == NameAnswer(("10.1.1.1",), NEVER)
    assert lookup("localhost") == NameAnswer(("127.0.0.1", "::1"), NEVER)
    with pytest.raises(Unresolved, match=r"\.invalid is nobody"):
        lookup("anything.invalid")


def test_both_families_and_the_least_time_to_live(serving: Serving) -> None:
    """Of all that led to the addresses: the alias, too."""

    def script(question: dns.message.Message) -> dns.message.Message:
        alias = "app.test. 9 CNAME real.test."
        if is_a(question):
            return saying(question, alias, "real.test. 30 A 10.0.0.2", "real.test. 30 A 10.0.0.1")
        return saying(question, alias, "real.test. 40 AAAA fd00::7")

    server = serving(script)
    assert lookup("app.test", [server.address]) == NameAnswer(("10.0.0.1", "10.0.0.2", "fd00::7"), 9.0)
    assert server.asked == ["app.test. A", "app.test. AAAA"]


def test_without_ipv6_nobody_asks_for_it(serving: Serving, machine: Path) -> None:
    (machine / "if_inet6").write_text("")
    server = serving(lambda question: saying(question, "app.test. 30 A 10.0.0.1"))
    assert lookup("app.test", [server.address]).addresses == ("10.0.0.1",)
    assert server.asked == ["app.test. A"]


class Clock:
    """The module's own, to be put forward."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead


def test_a_server_that_is_mute_about_ipv6(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(lookups, "time", clock)

    def script(question: dns.message.Message) -> Reply:
        clock.ahead = lookups.LIFETIME  # what follows has no time left
        return saying(question, "app.test. 30 A 10.0.0.1") if is_a(question) else None

    server = serving(script)
    assert lookup("app.test", [server.address]) == NameAnswer(("10.0.0.1",), 30.0, "", 6)
    server = serving(lambda question: saying(question, code=dns.rcode.SERVFAIL if not is_a(question) else 0))
    with pytest.raises(Unresolved, match="no IPv4 address, and asked for IPv6: "):
        lookup("app.test", [server.address])


def test_ipv6_alone(serving: Serving) -> None:
    server = serving(lambda question: saying(question) if is_a(question) else saying(question, "app.test. 30 AAAA fd00::7"))
    assert lookup("app.test", [server.address]) == NameAnswer(("fd00::7",), 30.0)


def test_the_search_list(serving: Serving) -> None:
    def script(question: dns.message.Message) -> dns.message.Message:
        if str(question.question[0].name) != "app.corp.test.":
            return saying(question, code=dns.rcode.NXDOMAIN)
        return saying(question, "app.corp.test. 30 A 10.0.0.1") if is_a(question) else saying(question)

    assert lookup("app", [serving(script).address]).addresses == ("10.0.0.1",)


@pytest.mark.parametrize("code", [dns.rcode.SERVFAIL, dns.rcode.REFUSED, dns.rcode.NXDOMAIN, dns.rcode.NOERROR])
def test_a_search_domain_whose_servers_fail_is_passed_over(serving: Serving, machine: Path, code: int) -> None:
    """As getaddrinfo does: one that fails, refuses, does not know, or knows no address, is no end."""
    (machine / "resolv.conf").write_text("nameserver 127.0.0.1#53\nsearch broken.test a..b corp.test\n# caf\xe9\n", "latin-1")

    def script(question: dns.message.Message) -> dns.message.Message:
        if str(question.question[0].name) == "app.broken.test.":
            return saying(question, code=code)
        if str(question.question[0].name) != "app.corp.test.":
            return saying(question, code=dns.rcode.NXDOMAIN)
        return saying(question, "app.corp.test. 30 A 10.0.0.1") if is_a(question) else saying(question)

    server = serving(script)
    assert lookup("app", [server.address]).addresses == ("10.0.0.1",)
    assert server.asked[0] == "app.broken.test. A"


def test_a_failure_on_the_way_weighs_more_than_not_known(serving: Serving, machine: Path) -> None:
    """The next question may have another answer: a spelling mistake it need not be."""
    (machine / "resolv.conf").write_text("nameserver 192.0.2.1\nsearch broken.test corp.test\n")

    def script(question: dns.message.Message) -> dns.message.Message:
        broken = str(question.question[0].name) == "app.broken.test."
        return saying(question, code=dns.rcode.SERVFAIL if broken else dns.rcode.NXDOMAIN)

    with pytest.raises(Unresolved, match="SERVFAIL") as caught:
        lookup("app", [serving(script).address])
    assert not isinstance(caught.value, NameUnknown)
    with pytest.raises(NameUnknown, match="NXDOMAIN"):
        lookup("app.", [serving(script).address])


def test_an_absolute_name_is_asked_for_as_it_stands(serving: Serving) -> None:
    """Nothing of the search list behind it; in the hosts file the dot means nothing."""

    def script(question: dns.message.Message) -> dns.message.Message:
        if str(question.question[0].name) != "app.":
            return saying(question, code=dns.rcode.NXDOMAIN)
        return saying(question, "app. 30 A 10.0.0.1") if is_a(question) else saying(question)

    server = serving(script)
    assert lookup("app.", [server.address]).addresses == ("10.0.0.1",)
    assert server.asked[0] == "app. A"
    assert lookup("listed.").addresses == ("10.1.1.1", "fd00::1")
    assert lookup("localhost.").addresses == ("127.0.0.1",)


def test_a_long_answer_comes_over_tcp(serving: Serving) -> None:
    def cut(question: dns.message.Message) -> dns.message.Message:
        reply = saying(question)
        reply.flags |= dns.flags.TC
        return reply

    def whole(question: dns.message.Message) -> dns.message.Message:
        return saying(question, *(f"app.test. 30 A 10.0.0.{number}" for number in range(1, 60) if is_a(question)))

    assert len(lookup("app.test", [serving(cut, whole).address]).addresses) == 59


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (lambda question: saying(question, code=dns.rcode.NXDOMAIN), r"no such name \(NXDOMAIN\)"),
        (lambda question: saying(question), "the name has no address"),
        (lambda question: saying(question, code=dns.rcode.REFUSED), "REFUSED"),
        (
            lambda question: saying(question, "app.test. 30 A 0.0.0.0") if is_a(question) else saying(question),
            "no usable address: 0.0.0.0",
        ),
        (lambda _: None, "no answer within 0.4 s from 127.0.0.1:"),
        (lambda _: b"\xff" * 40, "no answer within 0.4 s from 127.0.0.1:"),
        (lambda question: saying(question).to_wire()[:12] + b"\xc0\x0c" * 30, r"."),
    ],
)
def test_no_answer(serving: Serving, script: Script, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if "within" in why or why == ".":  # what is no answer is waited for in vain, too
        monkeypatch.setattr(lookups, "LIFETIME", 0.4)
    server = serving(script)
    with pytest.raises(Unresolved, match=why):
        lookup("app.test", [server.address])
    assert isinstance(attempt("app.test", [server.address]), Unresolved)


def test_an_answer_to_another_question_is_none(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serving(
        lambda question: saying(dns.message.make_query("other.test.", "A", id=question.id), "other.test. 1 A 10.6.6.6")
    )
    monkeypatch.setattr(lookups, "LIFETIME", 0.4)
    with pytest.raises(Unresolved):
        lookup("app.test", [server.address])


def test_names_that_are_none() -> None:
    with pytest.raises(Unresolved, match="LabelTooLong"):
        lookup("a" * 64 + ".test", [Address("127.0.0.1", 1)])


def test_a_machine_without_name_servers_has_its_own_ways(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (machine / "resolv.conf").unlink()
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.2.2.2", 0)),
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fe80::1%3", 0)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    assert lookup("printer.local") == NameAnswer(("10.2.2.2",), NEVER, "no backend can have fe80::1")

    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(Unresolved, match="names none"):
        lookup("printer.local")


def test_given_servers_are_the_only_ones(machine: Path, serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever names them wants to hear them, also without a resolv.conf."""
    (machine / "resolv.conf").unlink()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("asked the system"))
    server = serving(lambda question: saying(question, code=dns.rcode.NXDOMAIN))
    with pytest.raises(Unresolved, match="no such name"):
        lookup("app.test", [server.address])


def test_several_side_by_side() -> None:
    found = lookup_all(["listed", "localhost", "x.invalid", "listed"])
    assert list(found) == ["listed", "localhost", "x.invalid"]
    assert found["listed"] == NameAnswer(("10.1.1.1", "fd00::1"), NEVER)
    assert isinstance(found["x.invalid"], Unresolved)
    assert lookup_all([]) == {}


LATER = """
import sys
from lbproxy.names.lookup import preload
from lbproxy.config.model import Address
from lbproxy.names import lookup
preload()
before = set(sys.modules)
import dns.message, dns.rrset
import socket, threading
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 0))

def answer(data, peer):
    question = dns.message.from_wire(data)
    reply = dns.message.make_response(question)
    for kind, what in (("CNAME", "b.test."), ("A", "10.0.0.1"), ("AAAA", "fd00::1")):
        if kind in ("CNAME", question.question[0].rdtype.name):
            reply.answer.append(dns.rrset.from_text("a.test." if kind == "CNAME" else "b.test.", 5, "IN", kind, what))
    server.sendto(reply.to_wire(), peer)

thread = threading.Thread(target=lambda: [answer(*server.recvfrom(4096)) for _ in range(2)])
thread.start()
lookup.has_ipv6 = lambda *_, **__: True
print(lookup.lookup("a.test", [Address(*server.getsockname())]).addresses)
thread.join()
print(sorted(name for name in set(sys.modules) - before if name.startswith(("dns", "encodings"))))
"""


def test_nothing_is_loaded_once_it_may_be_out_of_reach() -> None:
    """The account that children drop to cannot always read the interpreter's files."""
    done = subprocess.run([sys.executable, "-c", LATER], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("('10.0.0.1', 'fd00::1')\n[]\n", "")
