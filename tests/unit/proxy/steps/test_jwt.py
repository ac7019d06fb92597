"""[route.jwt]: who has a token comes in, and what it says reaches the backend, from nobody else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lbproxy.config import model
from lbproxy.http.grammar import END
from tests.unit.http.heads import fields
from tests.unit.http.test_tokens import GOOD, OTHER_RSA, RSA, jwk, signed
from tests.unit.proxy.world import FakeStream, World, get, ok

KEYS = json.dumps({"keys": [jwk(RSA, "r")]}).encode()


def asked_for(contents: bytes = KEYS, **settings: Any) -> World:
    told: dict[str, Any] = {"jwks_file": Path("keys"), "algorithms": ("RS256",), "audience": ("shop",), "issuer": "idp", **settings}
    return World(1, route=model.RouteConfig("app", jwt=model.JwtConfig(**told)), contents=(contents,))


def through(world: World, client: FakeStream, *lines: str, path: str = "/") -> str:
    """What comes of a request: the head of what the backend got, or of what the client did."""
    client.feed(get(path, *lines))
    if client.sent:
        return client.take().partition(END)[0].decode()
    sent = world.upstream.take().decode()
    world.upstream.feed(ok())
    client.take()
    return sent


def bearer(token: str) -> str:
    return f"Authorization: Bearer {token}"


@pytest.mark.parametrize("pass_on", [False, True])
def test_a_token_lets_in_and_tells_who_it_is(pass_on: bool) -> None:
    """Claims become fields, which no client says."""
    claims = (("X-User", "sub"), ("X-Groups", "groups"), ("X-None", "none"))
    world = asked_for(claims=claims, pass_on=pass_on)
    client = world.connect()
    token = signed(said={**GOOD, "groups": ["a", "b"], "none": "x\r\nX-Admin: 1"})
    forged = ("X-User: root", "x_groups: root", "X.None: root", "Connection: X-User")
    sent = through(world, client, bearer(token), *forged)
    found = [field for field in fields(sent.encode()) if field[0].startswith("x-") and not field[0].startswith(("x-f", "x-r"))]
    assert found == [("x-user", b"alice"), ("x-groups", b"a"), ("x-groups", b"b")]
    assert (token in sent) is pass_on
    [line] = world.lines()
    assert (line["user"], line["inspected"]) == ("alice", "jwt=allowed")
    world.at_rest()


def test_a_token_in_a_cookie() -> None:
    """Where the route names one; two tokens that differ are none."""
    world = asked_for(cookie="token")
    client = world.connect()
    assert "GET" in through(world, client, f"Cookie: a=b; token={signed()}")
    assert through(world, client, f"Cookie: token={signed()}", bearer(signed(OTHER_RSA))).startswith("HTTP/1.1 401")
    world.at_rest()


@pytest.mark.parametrize("pass_on", [False, True])
@pytest.mark.parametrize(
    "lines",
    [
        (bearer("EVIL"),), ("Authorization: Bearer\tEVIL",), ("Authorization: Bearer,EVIL",), ("Authorization: BEARER",),
        ("Authorization: Basic YTpi, Bearer EVIL",), ("Authorization: Basic YTpi", bearer("GOOD")),
        (bearer("GOOD"), "Authorization: Token EVIL"), (bearer("GOOD"), bearer("GOOD")), ("Cookie: token=EVIL",),
        ("Cookie: token=GOOD; token=EVIL",), ("Cookie: a=b; token =EVIL",), ("Cookie: a=b token=EVIL",),
        ("Cookie: a=b,token= EVIL",), ('Cookie: a="b"token=EVIL',),
    ],
)  # fmt: skip
def test_a_second_token_that_only_a_backend_might_take(lines: tuple[str, ...], pass_on: bool) -> None:
    """A good one in front of it, or behind it, opens nothing: what is checked is what anybody reads."""
    world = asked_for(cookie="token", pass_on=pass_on)
    client = world.connect()
    words = {"GOOD": signed(), "EVIL": signed(OTHER_RSA)}
    said = []
    for line in lines:
        for word, token in words.items():
            line = line.replace(word, token)
        said.append(line)
    good = f"Cookie: token={signed()}"
    for each in ([*said, good], [good, *said]):
        assert through(world, client, *each).startswith("HTTP/1.1 401"), each
    world.at_rest()


def test_what_is_said_twice_is_said_once() -> None:
    """The same cookie again, and schemes that are no tokens, are nobody's attack."""
    world = asked_for(cookie="token", pass_on=True)
    client = world.connect()
    good = f"token={signed()}"
    basic = [f"Cookie: xtoken=1; {good}", "Authorization: Basic YTpi"]
    for lines in ([f"Cookie: {good}; {good}"], basic, [f"Cookie: {good}; token="]):
        assert through(world, client, *lines).startswith("GET "), lines
    world.at_rest()


@pytest.mark.parametrize(
    ("lines", "path", "error"),
    [
        ((bearer(signed()),), "/?access%5ftoken=x", 'error="invalid_request", error_description="in_query"'),
        ((bearer(signed()),), "/?a;%61ccess_token=x", 'error="invalid_request", error_description="in_query"'),
        ((), "/", ""), (("Authorization: Basic YTpi",), "/", ""), (("Cookie: token=x",), "/", ""),
        ((bearer("x"),), "/", 'error="invalid_token", error_description="malformed"'),
        ((bearer(signed(OTHER_RSA)),), "/", 'error="invalid_token", error_description="signature"'),
        ((bearer(signed()),), "/?access_token=x", 'error="invalid_request", error_description="in_query"'),
        ((), f"/?a=b&access_token={signed()}", 'error="invalid_request", error_description="in_query"'),
        ((bearer(signed()), bearer(signed(OTHER_RSA))), "/", 'error="invalid_request", error_description="several"'),
    ],
)  # fmt: skip
def test_who_has_none_is_asked_for_one(lines: tuple[str, ...], path: str, error: str) -> None:
    """RFC 6750 3: with what was wrong; the backend hears nothing."""
    world = asked_for(realm="shop")
    client = world.connect()
    got = through(world, client, *lines, path=path)
    assert got.startswith("HTTP/1.1 401 ")
    challenge = [line for line in got.split("\r\n") if line.startswith("WWW-Authenticate")]
    assert challenge == ['WWW-Authenticate: Bearer realm="shop"' + (f", {error}" if error else "")]
    assert world.dials == []
    assert world.inspected == ["jwt denied"]
    world.at_rest()


@pytest.mark.parametrize("on_failure", ["refuse", "pass"])
def test_as_long_as_there_are_no_keys(on_failure: str) -> None:
    """503, or as if nobody were asked, without what only tokens may say; keys that come later count at once."""
    world = asked_for(b"", on_failure=on_failure, claims=(("X-User", "sub"),))
    client = world.connect()
    got = through(world, client, bearer(signed()), "X-User: root")
    assert got.startswith("HTTP/1.1 503 ") if on_failure == "refuse" else ("GET" in got and "root" not in got)
    assert world.inspected == ["jwt failed"]
    world.documents.renew(0, KEYS)
    assert "X-User: alice" in through(world, client, bearer(signed()))
    world.documents.renew(0, b"nonsense")
    assert "X-User: alice" in through(world, client, bearer(signed())), "the old ones stay"
    world.documents.renew(0, json.dumps({"keys": [jwk(OTHER_RSA, "r")]}).encode())
    assert through(world, client, bearer(signed())).startswith("HTTP/1.1 401")
    world.at_rest()


def test_a_token_with_a_key_that_is_not_known_is_told() -> None:
    """So that a set that is fetched is looked at before the time; no other fault of a token asks for that."""
    world = asked_for(jwks_file=None, jwks_url="https://idp.test/jwks")
    client = world.connect()
    for token in (signed(), signed(OTHER_RSA), "x"):
        through(world, client, bearer(token))
    assert world.wanted == []
    assert through(world, client, bearer(signed(kid="new"))).startswith("HTTP/1.1 401")
    assert world.wanted == [world.config.key_sets[0].name]
    world.at_rest()
