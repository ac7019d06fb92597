"""Connections that were authenticated belong to one client."""

from __future__ import annotations

import pytest

from lbproxy.balance.ledger import HealthState, PerSlot, SlotState, state_at
from tests.unit.proxy.world import EOF, FakeStream, World, get, ok

SCHEMES = ["NTLM", "Negotiate", "negotiate", "Kerberos", "Nego2", "CredSSP"]


def refusal(*challenges: str) -> bytes:
    return ok(b"who?", *(f"WWW-Authenticate: {challenge}" for challenge in challenges), status="401 Unauthorized")


def log_in(world: World, client: FakeStream, scheme: str = "NTLM") -> FakeStream:
    """Two legs; the connection that they came over."""
    client.feed(get("/", f"Authorization: {scheme} one"))
    upstream = world.upstream
    upstream.feed(refusal(f"{scheme} two"))
    client.feed(get("/", f"Authorization: {scheme} three"))
    assert upstream.take().count(b"Authorization") == 2
    upstream.feed(ok(b"welcome"))
    assert client.take().endswith(b"welcome")
    return upstream


@pytest.mark.parametrize("scheme", SCHEMES)
def test_nobody_else_comes_over_it(scheme: str) -> None:
    """The client's own requests do, with credentials or without, also to where another backend would have less to do."""
    world = World(backends=2)
    client, other = world.connect(), world.connect()
    own = log_in(world, client, scheme)
    other.feed(get("/other"))
    assert world.upstream is not own
    assert not own.take()
    world.upstream.feed(ok(b"other"))
    for _ in range(4):
        client.feed(get("/mine"))
        assert b"GET /mine" in own.take()
        own.feed(ok(b"mine"))
        assert client.take().endswith(b"mine")
    assert len(world.dials) == 2
    client.feed(EOF)
    assert own.end == "close", "with the client's"
    assert other.is_open()
    world.at_rest()


@pytest.mark.parametrize("challenges", [
    ["NTLM"], ["Negotiate", "NTLM"], ["Basic realm=x, Negotiate"], ['Basic realm="a, b", ntlm'], ["Negotiate abc="],
])  # fmt: skip
def test_from_the_challenge_on(challenges: list[str]) -> None:
    """It may be a part of what follows; the client's next leg goes there."""
    world = World(backends=2)
    client = world.connect()
    client.feed(get())
    asked = world.upstream
    asked.feed(refusal(*challenges))
    assert len(world.service.idle) == 0
    client.feed(get("/", "Authorization: NTLM x"))
    assert b"Authorization" in asked.sent
    asked.feed(ok())
    client.feed(EOF)
    assert asked.end == "close"
    world.at_rest()


@pytest.mark.parametrize("fields", [
    ["Authorization: NTLM x"], ["Authorization:NTLM"], ["AUTHORIZATION: \t nTLM\tx"], ["Authorization: ,NTLM x"],
    ["Authorization: Basic eA==, NTLM x"], ["Authorization: Basic eA==", "Authorization: Negotiate x"],
    ["Connection: keep-alive, authorization", "Authorization: NTLM x"],
])  # fmt: skip
def test_from_the_credential_on(fields: list[str]) -> None:
    """In every spelling, and in a list of them, which somebody on the way may make of several fields, and a backend may read."""
    world = World(backends=1)
    client = world.connect()
    client.feed(get("/", *fields))
    world.upstream.feed(ok())
    assert len(world.service.idle) == 0
    assert world.upstream.is_open()
    client.feed(EOF)
    world.at_rest()


@pytest.mark.parametrize(("fields", "answer"), [
    (["Authorization: Basic bnRsbQ=="], ok()),
    (["Authorization: Bearer ntlm"], ok()),
    (["X-Authorization: NTLM x"], ok()),
    (["Authorization: NTLM2 x"], ok()),
    ([], refusal("Basic realm=ntlm")),
    ([], refusal("Digest realm=x, nonce=y")),
    ([], ok(b"", "WWW-Authenticate: NTLM")),
])  # fmt: skip
def test_what_authenticates_requests_is_shared(fields: list[str], answer: bytes) -> None:
    world = World(backends=1)
    client = world.connect()
    client.feed(get("/", *fields))
    world.upstream.feed(answer)
    assert len(world.service.idle) == 1
    world.at_rest()


def test_a_backend_that_closes_it_is_asked_anew() -> None:
    world = World(backends=1)
    client = world.connect()
    own = log_in(world, client)
    own.feed(EOF)
    assert own.end == "close"
    client.feed(get())
    assert len(world.dials) == 2
    world.upstream.feed(refusal("NTLM"))
    assert b" 401 " in client.take()
    client.feed(EOF)
    world.at_rest()


def test_a_backend_that_may_not_be_used_is_not() -> None:
    """The other one asks for credentials, and is the client's from then on; in flight is what is in flight."""
    world = World(backends=2)
    client = world.connect()
    own = log_in(world, client)
    assert world.ledger.slot_total(PerSlot.IN_FLIGHT, 0) == 0
    world.ledger.cells[state_at(SlotState.HEALTH, 0)] = HealthState.DOWN
    client.feed(get())
    assert world.dials == [9000, 9001]
    assert world.ledger.slot_total(PerSlot.IN_FLIGHT, 1) == 1
    world.upstream.feed(refusal("NTLM"))
    client.feed(EOF)
    assert own.end == world.upstream.end == "close"
    world.at_rest()
