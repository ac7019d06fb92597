"""[route.basic_auth]: names and passwords, checked elsewhere, remembered for a while, never for free."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from lbproxy.config import model
from lbproxy.http.grammar import END
from lbproxy.proxy.steps.basic_auth import LONGEST, credentials
from tests.unit.config.test_passwords import ARGON2, BCRYPT
from tests.unit.http.heads import asking, fields
from tests.unit.proxy.world import EOF, FakeStream, World, get, ok

USERS = f"alice:{BCRYPT}\nbob:{ARGON2}\n".encode()


class Checks:
    """Whoever checks passwords: right is the name of the kind of hash."""

    def __init__(self) -> None:
        self.asked: list[tuple[bytes, str]] = []

    def __call__(self, password: bytes, hashed: str) -> bool:
        self.asked.append((password, hashed))
        return password == (b"argon2" if "argon2" in hashed else b"bcrypt")


def asked_for(checks: Checks, contents: bytes = USERS, **settings: Any) -> World:
    route = model.RouteConfig("app", basic_auth=model.BasicAuthConfig(file=Path("users"), **settings))
    return World(1, route=route, contents=(contents,), verify=checks)


def said(name: str, password: str) -> str:
    return "Authorization: Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def through(world: World, client: FakeStream, *lines: str) -> str:
    """What comes of a request: the head of what the backend got, or of what the client did."""
    client.feed(get("/", *lines))
    if client.sent:
        return client.take().partition(END)[0].decode()
    sent = world.upstream.take().decode()
    world.upstream.feed(ok())
    client.take()
    return sent


def test_who_logs_in_comes_in() -> None:
    """The backend does not get the password; the log has the name."""
    checks = Checks()
    world = asked_for(checks, header="Remote-User")
    client = world.connect()
    sent = through(world, client, said("alice", "bcrypt"), "Remote-User: root", "Remote_User: root")
    assert "Authorization" not in sent
    assert dict(fields(sent.encode()))["remote-user"] == b"alice"
    assert "root" not in sent
    [line] = world.lines()
    assert (line["user"], line["inspected"]) == ("alice", "basic_auth=allowed")
    through(world, client, said("alice", "bcrypt"))
    assert [line["inspected"] for line in world.lines()] == ["basic_auth=allowed_known"]
    assert len(checks.asked) == 1, "it is remembered"
    world.pass_time(61)
    client = world.connect()
    through(world, client, said("alice", "bcrypt"))
    assert len(checks.asked) == 2, "for a while"
    world.at_rest()


def test_the_password_is_passed_on_where_that_is_wanted() -> None:
    """And a rule may tell who it is."""
    rules = model.HeadersConfig(request=model.HeaderRulesConfig(set=(("X-Who", "<{user}>"),)))
    route = model.RouteConfig("app", headers=rules, basic_auth=model.BasicAuthConfig(file=Path("users"), pass_on=True))
    world = World(1, route=route, contents=(USERS,), verify=Checks())
    client = world.connect()
    for name, password in (("alice", "bcrypt"), ("bob", "argon2"), ("alice", "bcrypt")):
        sent = through(world, client, said(name, password))
        assert said(name, password) in sent
        assert f"X-Who: <{name}>" in sent
    world.at_rest()


@pytest.mark.parametrize(
    "lines",
    [
        (), (said("alice", "wrong"),), (said("nobody", "bcrypt"),), (said("", "bcrypt"),), ("Authorization: Bearer x",),
        ("Authorization: Basic",), ("Authorization: Basic ====",), ("Authorization: Basic !!!!",),
        ("Authorization: Basic " + base64.b64encode(b"alice").decode(),), (said("alice", "bcrypt"), said("bob", "argon2")),
        (said("alice", "x" * LONGEST),), ("Authorization: Basic " + base64.b64encode(b"\xff\xfe:\x00").decode(),),
        ("Proxy-Authorization" + said("alice", "bcrypt")[13:],),
    ],
)  # fmt: skip
def test_who_does_not_is_asked_to(lines: tuple[str, ...]) -> None:
    """The backend hears nothing."""
    world = asked_for(Checks(), realm="staff only")
    client = world.connect()
    got = through(world, client, *lines)
    assert got.startswith("HTTP/1.1 401 ")
    assert '\r\nWWW-Authenticate: Basic realm="staff only", charset="UTF-8"' in got
    assert world.dials == []
    assert world.outcomes() == [(401, "auth_required")]
    assert world.inspected == ["basic_auth denied"]
    assert client.is_open()
    world.at_rest()


def test_who_is_not_there_costs_the_same() -> None:
    """One check, of a hash of the usual cost, whatever comes out of it."""
    checks = Checks()
    world = asked_for(checks)
    client = world.connect()
    for name, password in (("nobody", "bcrypt"), ("alice", "wrong"), ("nobody", "argon2")):
        assert through(world, client, said(name, password)).startswith("HTTP/1.1 401")
    assert [hashed for _, hashed in checks.asked] == [BCRYPT] * 3


def test_a_file_that_changes_counts_at_once() -> None:
    """Who is remembered is out, too, when his password is another one."""
    checks = Checks()
    world = asked_for(checks)
    client = world.connect()
    assert "GET" in through(world, client, said("alice", "bcrypt"))
    world.documents.renew(0, f"alice:{ARGON2}\n".encode())
    assert through(world, client, said("alice", "bcrypt")).startswith("HTTP/1.1 401")
    assert "GET" in through(world, client, said("alice", "argon2"))
    world.documents.renew(0, b"")
    assert through(world, client, said("alice", "argon2")).startswith("HTTP/1.1 401")
    world.documents.renew(7, b"")  # of another configuration
    world.at_rest()


def test_guessing_is_limited_and_locks_nobody_out_who_is_in() -> None:
    """By address, and by user from wherever; only what does not fit counts."""
    world = asked_for(Checks(), rate=model.Rate(3, 60), user_rate=model.Rate(5, 60))
    client = world.connect()
    assert "GET" in through(world, client, said("alice", "bcrypt"))
    for _ in range(3):
        assert through(world, client, said("alice", "wrong")).startswith("HTTP/1.1 401")
    got = through(world, client, said("alice", "wrong"))
    assert got.startswith("HTTP/1.1 429")
    assert "\r\nRetry-After: " in got
    assert "GET" in through(world, client, said("alice", "bcrypt")), "who is remembered"
    statuses = []
    for number in range(5):
        other = world.connect(peer=f"192.0.2.{10 + number}")
        statuses.append(through(world, other, said("alice", "wrong"))[9:12])
        other.feed(EOF)
    assert statuses == ["401", "401", "429", "429", "429"], "by user"
    assert world.inspected.count("basic_auth limited") == 4
    world.at_rest()


def test_whoever_has_the_password_is_not_limited() -> None:
    """An office behind one address, and browsers whose connections end at several workers, are checked often: what fits is given
    back. Guesses beside that count as ever, and so they do where every request is checked."""
    world = asked_for(Checks(), rate=model.Rate(3, 60), user_rate=model.Rate(5, 60), remember=0.0)
    client = world.connect()
    for _ in range(10):
        assert "GET" in through(world, client, said("alice", "bcrypt"))
    assert [through(world, client, said("alice", f"{number}"))[9:12] for number in range(4)] == ["401", "401", "401", "429"]
    assert through(world, client, said("alice", "bcrypt")).startswith("HTTP/1.1 429")


class SlowChecks(Checks):
    """They are over when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.world: World
        self.under_way: list[Any] = []

    def __call__(self, password: bytes, hashed: str) -> bool:
        self.under_way.append(self.world.current())
        self.world.park()
        return super().__call__(password, hashed)

    def end(self) -> None:
        self.under_way.pop(0).switch()
        self.world.settle()


def slowly(**settings: Any) -> tuple[World, SlowChecks]:
    checks = SlowChecks()
    checks.world = asked_for(checks, **settings)
    return checks.world, checks


@pytest.mark.parametrize("password", ["bcrypt", "wrong"])
@pytest.mark.parametrize("remember", [60.0, 0.0])
def test_requests_that_come_together_are_checked_once(password: str, remember: float) -> None:
    """A browser that loads a page says the same in thirty of them; whoever sends other passwords meanwhile is checked."""
    world, checks = slowly(rate=model.Rate(2, 60), remember=remember)
    clients = [world.connect() for _ in range(5)]
    for client in clients:
        client.feed(get("/", said("alice", password)))
    other = world.connect(peer="192.0.2.77")
    other.feed(get("/", said("alice", "another")))
    assert len(checks.under_way) == 2
    checks.end()
    statuses = [client.take()[9:12] if client.sent else b"" for client in clients]
    assert statuses == [b"" if password == "bcrypt" else b"401"] * 5  # on its way to the backend
    assert len(world.dials) == (5 if password == "bcrypt" else 0)
    checks.end()
    assert other.take().startswith(b"HTTP/1.1 401")
    assert len(checks.asked) == 2


def test_whoever_is_checked_and_leaves_leaves_it_to_another() -> None:
    """Who asks for himself, then; and so on, as long as there are some."""
    world, checks = slowly()
    clients = [world.connect() for _ in range(3)]
    for client in clients:
        client.feed(get("/", said("alice", "bcrypt")))
    clients[0].feed(EOF)
    world.settle()
    assert len(checks.under_way) == 2, "another one is checked"
    checks.under_way.pop(0)
    checks.end()
    assert len(checks.asked) == 1
    assert len(world.dials) == 2


def test_an_empty_file_lets_nobody_in() -> None:
    """Nor does one that is not there."""
    for contents in (b"", b"nonsense\n"):
        checks = Checks()
        world = asked_for(checks, contents)
        assert through(world, world.connect(), said("alice", "bcrypt")).startswith("HTTP/1.1 401")
        assert checks.asked == []


@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC", "Basic  "])
def test_credentials(scheme: str) -> None:
    """The scheme in any case; a password may have colons and bytes of any kind."""
    raw = base64.b64encode(b"a b:c:\xff").decode()
    assert credentials(asking(b"h", b"/", f"Authorization: {scheme} {raw}".encode())) == (b"a b", b"c:\xff")
