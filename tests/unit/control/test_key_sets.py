"""Sets of keys are fetched again and again; what cannot be had changes nothing."""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent.pool import Group

from lbproxy.config import model
from lbproxy.control.key_sets import KeySets
from lbproxy.errors import Unresolved
from lbproxy.http.tokens import TokenKeys
from lbproxy.ipc.messages import KeySetState, KeysFetched, NewKeyAuthorities
from lbproxy.names.answer import NameAnswer, sift
from lbproxy.tls import key_servers
from lbproxy.tls.keystore import KeyStore
from tests.unit.control.backends import answering, handover, new_ledger
from tests.unit.http.test_tokens import EC, RSA, jwk
from tests.unit.tls.handshakes import Issuer, serving

SETS = [json.dumps({"keys": [jwk(RSA, "r", x5c=["chain"]), jwk(EC, kid), {"kty": "oct", "k": "AAAA"}]}) for kid in ("e", "f")]


def ok(text: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(text)}\r\nConnection: close\r\n\r\n{text}".encode()


class Scene:
    """A provider that answers what the test says, and what is told of it."""

    def __init__(self, refresh: float = 3600.0, tls: ssl.SSLContext | None = None, ca: Path | None = None) -> None:
        self.server = answering(ok(SETS[0]), tls)
        url = f"{'http' if tls is None else 'https'}://idp.test:{self.server.port}/jwks"
        keys = model.JwtConfig(jwks_url=url, jwks_refresh=refresh, jwks_timeout=60.0, jwks_ca=ca)
        route = model.RouteConfig("app", jwt=keys)
        pool = model.PoolConfig("app", ())
        given: Any = handover(pool, ledger=new_ledger(), pipe=None)  # type: ignore[arg-type]  # nobody speaks to the master
        given.config = model.Config("", (), (route,), (pool,))
        self.name = given.config.key_sets[0].name
        if ca is not None:
            with closing(KeyStore()) as store:
                held = key_servers.certificates(store, key_servers.take(ca, store))
            given.key_set_contexts = key_servers.contexts(given.config, {ca: held})
        self.told: list[KeysFetched | KeySetState] = []
        self.names: NameAnswer | Unresolved = sift(["127.0.0.1"], 30.0)
        self.group = Group()
        self.sets = KeySets(given, self.group, self.told.append, lambda host, resolvers: self.names)

    def says(self, answer: bytes) -> None:
        self.server.script = self.server.answer(answer)

    def wait(self, condition: Callable[[], object]) -> None:
        with gevent.Timeout(60):
            while not condition():
                gevent.sleep(0.002)

    def fetched(self) -> list[str]:
        return [one.keys for one in self.told if isinstance(one, KeysFetched)]

    def state(self) -> KeySetState:
        return [one for one in self.told if isinstance(one, KeySetState)][-1]


@pytest.fixture
def scene() -> Iterator[Scene]:
    made = Scene(refresh=0.05)
    with made.server:
        yield made
        made.group.kill()


def test_it_is_told_when_it_changes(scene: Scene) -> None:
    """Without what nobody needs of it, secrets above all."""
    scene.sets.start()
    scene.wait(lambda: len(scene.server.seen) > 2)
    [first] = scene.fetched()
    assert len(TokenKeys.parse(first.encode())) == 2
    assert "chain" not in first
    assert "oct" not in first
    scene.says(ok(SETS[1]))
    scene.wait(lambda: len(scene.fetched()) == 2)
    assert '"f"' in scene.fetched()[1]
    assert (scene.state().keys, scene.state().failures) == (2, 0)


@pytest.mark.parametrize("answer", [b"", ok("no keys"), ok('{"keys": [{"kty": "oct", "k": "AAAA"}]}'), ok("[" * 100_000)])
def test_what_is_no_set_changes_nothing(scene: Scene, answer: bytes) -> None:
    """It is told how often that happened, and that it is over."""
    scene.sets.start()
    scene.wait(scene.fetched)
    scene.says(answer)
    scene.wait(lambda: scene.state().failures > 1)
    assert scene.state().keys == 2, "the last good one stays"
    scene.says(ok(SETS[0]))
    scene.wait(lambda: not scene.state().failures)
    assert len(scene.fetched()) == 1


def test_other_authorities(tmp_path: Path) -> None:
    """Of the server are gone by as soon as the master says them, and the set is fetched at once; what is none changes nothing."""
    old, new = Issuer(tmp_path, "old"), Issuer(tmp_path, "new")
    scene = Scene(tls=serving(*new.issue("idp.test")), ca=old.file)
    with scene.server, closing(KeyStore()) as store:
        try:
            scene.sets.start()
            scene.wait(lambda: scene.told)
            assert "nobody who is trusted" in scene.state().why
            held = key_servers.certificates(store, key_servers.take(new.file, store))
            for content in (b"nonsense", held):
                with closing(KeyStore()) as others:
                    others.note(content)
                    scene.sets.renew(NewKeyAuthorities(scene.name, len(content)), os.dup(others.fileno()))
            scene.sets.renew(NewKeyAuthorities(scene.name, 1), -1)
            scene.wait(scene.fetched)
            assert (scene.state().failures, scene.state().keys) == (0, 2)
        finally:
            scene.group.kill()


def test_a_name_that_nobody_knows_is_asked_for_again(scene: Scene) -> None:
    """Before the first keys are here it is said that there are none."""
    scene.names = Unresolved("no such name")
    scene.sets.start()
    scene.wait(lambda: scene.told and scene.state().failures > 1)
    assert (scene.state().keys, scene.state().why) == (0, "no such name")
    scene.names = sift(["127.0.0.1"], 30.0)
    scene.wait(scene.fetched)


def test_a_wish_brings_the_next_look_forward() -> None:
    """Once: a thousand wishes are one look, and not before a tenth of the usual time is over."""
    scene = Scene(refresh=2.0)
    with scene.server:
        scene.sets.start()
        scene.wait(scene.fetched)
        for _ in range(1000):
            scene.sets.hurry(scene.name)
        scene.sets.hurry("another")
        assert len(scene.server.seen) == 1
        scene.says(ok(SETS[1]))
        scene.wait(lambda: len(scene.fetched()) == 2)
        assert len(scene.server.seen) == 2
        scene.group.kill()
