"""What clients and backends are judged by, and what backends are shown, goes live when it has changed, is whole and fits."""

from __future__ import annotations

import os
import shutil
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from lbproxy.config.model import (
    Address,
    BackendConfig,
    CertificateConfig,
    Config,
    HealthConfig,
    JwtConfig,
    ListenConfig,
    ListenTlsConfig,
    PoolConfig,
    PoolTlsConfig,
    RouteConfig,
)
from lbproxy.ipc.codec import Decoder
from lbproxy.ipc.messages import NewKeyAuthorities, NewPoolFiles, Renewed
from lbproxy.master.files.looks import LOOK_EVERY
from lbproxy.master.fleet.child import Role
from lbproxy.master.resources import key_sets
from lbproxy.master.resources.generation import GenerationResources, Listening
from lbproxy.master.watches.trust import AGAIN_AFTER, TrustWatch
from lbproxy.tls import contexts, key_servers
from lbproxy.tls.keystore import KeyStore, Piece, digest
from lbproxy.tls.pool_files import context_of, heard
from lbproxy.tls.showcase import Showcase, arm
from tests.unit.master.files.inline import InlineWatch
from tests.unit.tls.handshakes import Issuer, Joined, serving

LATER = 60.0
"""Seconds after which whatever was written is settled."""


class World:
    """A generation, one worker of it as its listener shows itself, and what its children are told."""

    def __init__(
        self,
        folder: Path,
        store: KeyStore,
        tls: ListenTlsConfig | None = None,
        pool: PoolTlsConfig | None = None,
        jwts: Sequence[JwtConfig] = (),
    ) -> None:
        self.issuer = Issuer(folder, "site")
        pair = CertificateConfig(*self.issuer.issue("open.test"))
        listen = ListenConfig(Address("127.0.0.1", 443), (pair,), tls or ListenTlsConfig())
        pools = (
            ()
            if pool is None
            else (PoolConfig("app", (BackendConfig(Address("127.0.0.1", 9)),), tls=pool, health=HealthConfig(type="tls")),)
        )
        self.config = Config("", (listen,), tuple(RouteConfig("app", jwt=jwt) for jwt in jwts), pools)
        shown = contexts.credentials(listen, [contexts.read_pem(pair, store)])
        self.outer = contexts.outer_context(listen)
        pems = {each.name: contexts.read_pool(each, store) for each in pools}
        made = {each.name: contexts.client_context(each, pems[each.name]) for each in pools}
        sock: Any = None
        self.resources = GenerationResources(
            self.config, 1, (Listening(listen, sock, self.outer, shown),), {}, made, None, -1, {}, frozenset(), keys=store,
            pool_pems=pems, key_authorities=key_sets.authorities(self.config, store),
        )  # fmt: skip
        self.shows: Showcase = arm(self.outer, shown)
        self.renewed: list[Renewed] = []
        self.handed: list[tuple[Role, NewPoolFiles | NewKeyAuthorities, ssl.SSLContext]] = []
        self.forgotten: list[Piece] = []
        self.wall, self.now = time.time() + LATER, 0.0
        running = {row: SimpleNamespace(generation=1, role=role, pid=row) for row, role in enumerate(Role)}
        pipes: Any = SimpleNamespace(running=running, talk=self._talk, tell_workers=self._tell)
        self.judge = TrustWatch(pipes, self._forget, lambda: self.wall)
        self.watch = InlineWatch(lambda: self.resources, self.judge, lambda: self.now, lambda: self.wall)
        self.look()

    def _tell(self, number: int, message: Renewed) -> None:
        self.renewed.append(message)
        self.shows.renew(message.at, message.size)

    def _talk(self, running: Any, say: Callable[..., None]) -> None:
        def enqueue(frame: bytes, descriptor: int) -> None:
            [message] = Decoder().feed(frame)
            assert isinstance(message, NewPoolFiles | NewKeyAuthorities)
            with closing(KeyStore(descriptor)) as store:
                if isinstance(message, NewPoolFiles):
                    made = context_of(self.config.pool(message.pool), heard(message.pieces), store)
                else:
                    made = key_servers.trusting(store.text(0, message.size), Path())
            self.handed.append((running.role, message, made))

        cast(Any, say).func(SimpleNamespace(_enqueue=enqueue), **cast(Any, say).keywords)

    def _forget(self, store: KeyStore, piece: Piece, now: float) -> None:
        self.forgotten.append(piece)

    def look(self, after: float = LOOK_EVERY) -> None:
        self.now += after
        self.watch.look()

    def lets_in(self, shown: tuple[Path, Path], before: Joined | None = None) -> Joined | None:
        context = ssl.create_default_context(cafile=self.issuer.file)
        context.load_cert_chain(*shown)
        joined = Joined(before.client.context if before is not None else context, self.outer, "open.test")
        if before is not None:
            joined.client.session = before.client.session
        try:
            joined.shake()
        except ssl.SSLError:
            return None
        return joined


@pytest.fixture
def store() -> Iterator[KeyStore]:
    with closing(KeyStore()) as made:
        yield made


def told(capsys: pytest.CaptureFixture[str]) -> str:
    captured = capsys.readouterr()
    return captured.out + captured.err


def reaches(context: ssl.SSLContext, server: ssl.SSLContext, name: str = "app.test") -> bool:
    try:
        Joined(context, server, name).shake()
    except ssl.SSLError:
        return False
    return True


# ---------------------------------------------------------------- clients


def test_a_revoked_client(tmp_path: Path, store: KeyStore, capsys: pytest.CaptureFixture[str]) -> None:
    """Is let in no more from the look on that sees the new list, by no ticket either; the others are. What stood there before is
    wiped, and a worker that is forked from now on has the new one."""
    clients = Issuer(tmp_path, "clients")
    good, bad = clients.issue("good.test"), clients.issue("bad.test")
    tls = ListenTlsConfig(client_ca=clients.file, client_auth="required", client_crl=clients.write_list())
    world = World(tmp_path, store, tls)
    before = world.lets_in(bad)
    assert before is not None
    assert world.renewed == []
    clients.revoke(bad[0])
    clients.write_list()
    world.look()
    [_] = world.renewed
    assert world.lets_in(bad) is None
    assert world.lets_in(bad, before) is None
    assert world.lets_in(good) is not None
    assert len(world.forgotten) == 3
    shown = world.resources.listeners[0].shown
    assert shown is not None
    late = contexts.outer_context(shown.listen)
    arm(late, shown)
    world.outer = late
    assert world.lets_in(bad) is None
    assert told(capsys).count("trust.renewed") == 1
    world.look()
    assert len(world.renewed) == 1


def test_another_authority(tmp_path: Path, store: KeyStore) -> None:
    """From then on; also where two names, or listeners, go by the same file."""
    old, new = Issuer(tmp_path, "old"), Issuer(tmp_path, "new")
    ca = tmp_path / "ca.pem"
    shutil.copy(old.file, ca)
    world = World(tmp_path, store, ListenTlsConfig(client_ca=ca, client_auth="required"))
    assert world.lets_in(old.issue("me.test")) is not None
    shutil.copy(new.file, ca)
    world.look()
    assert world.lets_in(old.issue("me.test")) is None
    assert world.lets_in(new.issue("me.test")) is not None


@pytest.mark.parametrize("how", ["cut", "stranger", "forged", "past", "gone", "nothing"])
def test_lists_that_nobody_could_pass_with(
    how: str, tmp_path: Path, store: KeyStore, capsys: pytest.CaptureFixture[str]
) -> None:
    """Leave the old ones in place, which is told once; put right, they go live."""
    clients = Issuer(tmp_path, "clients")
    good = clients.issue("good.test")
    crl = clients.write_list()
    world = World(tmp_path, store, ListenTlsConfig(client_ca=clients.file, client_auth="required", client_crl=crl))
    whole = crl.read_bytes()
    if how == "cut":
        crl.write_bytes(whole + whole[:100])
    elif how == "stranger":
        Issuer(tmp_path, "stranger").write_list(name=crl.name)
    elif how == "forged":
        other = tmp_path / "other"
        other.mkdir()
        shutil.copy(Issuer(other, "clients").write_list(), crl)
    elif how == "past":
        clients.write_list(end=timedelta(days=-1))
    elif how == "gone":
        crl.unlink()
    else:
        crl.write_bytes(b"")
    for _ in range(3):
        world.look()
    said = told(capsys)
    assert said.count("trust.refused") == 1, said
    assert world.renewed == []
    assert world.lets_in(good) is not None
    clients.revoke(good[0])
    clients.write_list()
    world.look()
    assert world.lets_in(good) is None


def test_what_is_good_at_another_time_goes_live_then(tmp_path: Path, store: KeyStore) -> None:
    """What was refused is judged again now and then, though its file stays as it is."""
    clients = Issuer(tmp_path, "clients")
    crl = clients.write_list()
    world = World(tmp_path, store, ListenTlsConfig(client_ca=clients.file, client_auth="required", client_crl=crl))
    clients.write_list()
    world.wall += timedelta(days=8).total_seconds()  # it is out of date by this clock
    world.look()
    assert world.renewed == []
    world.wall = os.stat(crl).st_mtime + LATER
    world.look()
    assert world.renewed == []
    world.look(AGAIN_AFTER)
    assert len(world.renewed) == 1


def test_what_was_just_written_is_left_to_settle(tmp_path: Path, store: KeyStore) -> None:
    clients = Issuer(tmp_path, "clients")
    ca = tmp_path / "ca.pem"
    shutil.copy(clients.file, ca)
    world = World(tmp_path, store, ListenTlsConfig(client_ca=ca, client_auth="required"))
    shutil.copy(Issuer(tmp_path, "new").file, ca)
    world.wall = os.stat(ca).st_mtime + 0.1
    world.look()
    assert world.renewed == []
    world.wall += 1
    world.look()
    assert len(world.renewed) == 1


# ---------------------------------------------------------------- backends


def test_another_authority_of_backends(tmp_path: Path, store: KeyStore) -> None:
    """Workers and control get it, nobody else; who is forked from now on has it."""
    old, new = Issuer(tmp_path, "old"), Issuer(tmp_path, "new")
    ca = tmp_path / "ca.pem"
    shutil.copy(old.file, ca)
    world = World(tmp_path, store, pool=PoolTlsConfig(ca=ca))
    shutil.copy(new.file, ca)
    world.look()
    assert [role for role, _, _ in world.handed] == [Role.WORKER, Role.CONTROL]
    servers = serving(*old.issue("app.test")), serving(*new.issue("app.test"))
    for context in (*(each for _, _, each in world.handed), world.resources.pool_contexts["app"]):
        assert [reaches(context, server) for server in servers] == [False, True]
    world.look()
    assert len(world.handed) == 2


def test_what_backends_are_shown(tmp_path: Path, store: KeyStore, capsys: pytest.CaptureFixture[str]) -> None:
    """Goes live when certificate and key are both there, and does not wait for anything else; with authorities of the machine,
    which nobody behind walls could read, going along."""
    inside = Issuer(tmp_path, "inside")
    server = serving(*inside.issue("app.test"))
    server.load_verify_locations(inside.file)
    server.verify_mode = ssl.CERT_REQUIRED
    shown, fresh = Issuer(tmp_path, "nobody").issue("me"), inside.issue("me")
    world = World(tmp_path, store, pool=PoolTlsConfig(ca=inside.file, cert=shown[0], key=shown[1]))
    assert not reaches(world.resources.pool_contexts["app"], server)
    shutil.copy(fresh[0], shown[0])
    world.look()
    world.look()
    assert told(capsys).count("certificate.refused") == 1
    assert world.handed == []
    shutil.copy(fresh[1], shown[1])
    world.look()
    assert [reaches(each, server) for _, _, each in world.handed] == [True, True]


def test_authorities_of_the_machine_go_along(tmp_path: Path, store: KeyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """To processes behind walls, which could not read them."""
    machine = Issuer(tmp_path, "machine")
    monkeypatch.setenv("SSL_CERT_FILE", str(machine.file))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "nowhere"))
    shown, fresh = machine.issue("me"), machine.issue("me")
    world = World(tmp_path, store, pool=PoolTlsConfig(cert=shown[0], key=shown[1]))
    for old, new in zip(shown, fresh, strict=True):
        shutil.copy(new, old)
    talk = world.judge._pipes.talk

    def walled(*args: Any) -> None:
        with monkeypatch.context() as inside:
            inside.setenv("SSL_CERT_FILE", str(tmp_path / "nothing"))
            talk(*args)

    monkeypatch.setattr(world.judge._pipes, "talk", walled)
    world.look()
    server = serving(*machine.issue("app.test"))
    assert [reaches(each, server) for _, _, each in world.handed] == [True, True]


def test_a_backend_that_was_revoked(tmp_path: Path, store: KeyStore) -> None:
    """Also while the pair beside it is broken: a revocation waits for nothing."""
    inside = Issuer(tmp_path, "inside")
    pair, ours = inside.issue("app.test"), inside.issue("me")
    world = World(tmp_path, store, pool=PoolTlsConfig(ca=inside.file, crl=inside.write_list(), cert=ours[0], key=ours[1]))
    server = serving(*pair)
    assert reaches(world.resources.pool_contexts["app"], server)
    ours[1].write_text("")
    inside.revoke(pair[0])
    inside.write_list()
    world.look()
    assert [reaches(each, server) for _, _, each in world.handed] == [False, False]


# ---------------------------------------------------------------- servers of sets of keys


def test_another_authority_of_a_key_server(tmp_path: Path, store: KeyStore, capsys: pytest.CaptureFixture[str]) -> None:
    """Control gets it, for each set that goes by that file, and has it when it is forked again; what is cut short or
    none leaves the old one in place, which is told once."""
    old, new = Issuer(tmp_path, "old"), Issuer(tmp_path, "new")
    ca = tmp_path / "ca.pem"
    shutil.copy(old.file, ca)
    urls = ("https://a.test/keys", "https://b.test/keys")
    world = World(tmp_path, store, jwts=[JwtConfig(jwks_url=url, jwks_ca=ca) for url in urls])
    before = dict(world.resources.key_authorities)
    for broken in (ca.read_bytes()[:-40], b"none"):
        ca.write_bytes(broken)
        world.look()
        world.look()
        assert told(capsys).count("trust.refused") == 1
    assert (world.handed, world.resources.key_authorities) == ([], before)
    shutil.copy(new.file, ca)
    world.look()
    assert told(capsys).count("trust.renewed") == 1
    assert [(role, message[0]) for role, message, _ in world.handed] == [
        (Role.CONTROL, keys.name) for keys in world.config.key_sets
    ]
    late = key_servers.contexts(world.config, world.resources.key_authorities)
    servers = serving(*old.issue("app.test")), serving(*new.issue("app.test"))
    for context in (*(each for _, _, each in world.handed), *late.values()):
        assert [reaches(context, server) for server in servers] == [False, True]
    assert world.resources.digests[ca] == digest(ca)
    world.look()
    assert len(world.handed) == len(urls)


def test_nobody_is_asked_where_nothing_is_configured(tmp_path: Path, store: KeyStore) -> None:
    world = World(tmp_path, store, pool=PoolTlsConfig(verify=False, ca=tmp_path / "gone.pem"), jwts=[JwtConfig(jwks_url="https://a.test/")])
    world.look()
    assert (world.renewed, world.handed) == ([], [])
    assert cast(Any, world.judge)._watched == ()
