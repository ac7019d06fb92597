"""Listeners' certificate files that were renewed are shown at the look that finds them whole; looks are two seconds apart."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lbproxy.config.certificate_folder import pairs_in
from lbproxy.config.model import Address, CertificateConfig, Config, ListenConfig
from lbproxy.ipc.messages import Renewed
from lbproxy.master.files import looks
from lbproxy.master.files.looks import LOOK_EVERY
from lbproxy.master.resources.generation import GenerationResources, Listening, note_remarks
from lbproxy.master.watches.certificates import CertificateWatch
from lbproxy.tls import contexts
from lbproxy.tls.facts import FileFacts, facts_in
from lbproxy.tls.keystore import KeyStore
from lbproxy.tls.showcase import Showcase, arm
from tests.unit.master.files.inline import InlineWatch
from tests.unit.tls.handshakes import Issuer
from tests.unit.tls.test_showcase import der, shown

LATER = 60.0


class World:
    """A generation whose listeners one worker shows, and what that is told."""

    def __init__(self, store: KeyStore, *listens: ListenConfig) -> None:
        held = [contexts.credentials(each, contexts.read_pems(each.pairs, store)) for each in listens]
        self.outers = [contexts.outer_context(each) for each in listens]
        sock: Any = None
        self.resources = GenerationResources(
            Config("", listens, (), ()), 1,
            tuple(Listening(listen, sock, outer, one) for listen, outer, one in zip(listens, self.outers, held, strict=True)),
            {}, {}, None, -1, {}, frozenset(), keys=store,
        )  # fmt: skip
        self.shows: list[Showcase] = list(map(arm, self.outers, held))
        self.told: list[int] = []
        self.wall, self.now = time.time() + LATER, 100.0
        pipes: Any = SimpleNamespace(tell_workers=self._tell, control_of=lambda number: None)
        self.judge = CertificateWatch(lambda: (1, self.resources), pipes, lambda: self.wall)
        self.watch = InlineWatch(lambda: self.resources, self.judge, lambda: self.now, lambda: self.wall)
        self.look(0.0)

    def _tell(self, number: int, message: Renewed) -> None:
        self.told.append(message.listener)
        self.shows[message.listener].renew(message.at, message.size)

    def look(self, after: float = LOOK_EVERY) -> None:
        self.now += after
        self.watch.look()
        self.judge.look(self.now)


@pytest.fixture
def store() -> Iterator[KeyStore]:
    with closing(KeyStore()) as made:
        yield made


def renew(pair: CertificateConfig, issuer: Issuer, *names: str) -> CertificateConfig:
    """What is new of it, in files of its own."""
    fresh = issuer.issue(*names)
    shutil.copy(fresh[0], pair.cert)
    shutil.copy(fresh[1], pair.key)
    return CertificateConfig(*fresh)


def test_two_seconds_apart(tmp_path: Path, store: KeyStore) -> None:
    """With what settles first in between, a renewal is shown three seconds after it was written, at most."""
    issuer = Issuer(tmp_path)
    pair = CertificateConfig(*issuer.issue("a.test"))
    world = World(store, ListenConfig(Address("127.0.0.1", 443), (pair,)))
    assert world.watch.due - world.now == 2.0
    fresh = renew(pair, issuer, "a.test")
    world.look(1.9)
    assert world.told == []
    world.wall = os.stat(pair.key).st_mtime + 0.1  # it was written just before the look that finds it
    world.look(0.1)
    assert world.told == []
    assert world.watch.due - world.now == 0.5
    world.wall += 0.5
    world.look(0.5)
    assert world.told == [0]
    assert shown(world.outers[0], "a.test") == der(fresh)


def test_several_listeners_show_one_pair(tmp_path: Path, store: KeyStore) -> None:
    """All of them show what is new: IPv4 and IPv6, two ports, a name beside others."""
    issuer = Issuer(tmp_path)
    pair, other = CertificateConfig(*issuer.issue("a.test")), CertificateConfig(*issuer.issue("b.test"))
    listens = [ListenConfig(Address("127.0.0.1", port), pairs) for port, pairs in ((1, (pair,)), (2, (other, pair)), (3, (pair,)))]
    world = World(store, *listens)
    fresh = renew(pair, issuer, "a.test")
    world.look()
    assert world.told == [0, 1, 2]
    assert {shown(outer, "a.test") for outer in world.outers} == {der(fresh)}
    world.look()
    assert len(world.told) == 3
    again = renew(pair, issuer, "a.test")
    world.look()
    assert {shown(outer, "a.test") for outer in world.outers} == {der(again)}


def test_half_of_one_is_told_once_whoever_shows_it(
    tmp_path: Path, store: KeyStore, capsys: pytest.CaptureFixture[str]
) -> None:
    """And the old one stays with all of them, until the other half is there."""
    issuer = Issuer(tmp_path)
    pair = CertificateConfig(*issuer.issue("a.test"))
    world = World(store, *(ListenConfig(Address("127.0.0.1", port), (pair,)) for port in (1, 2)))
    before, fresh = der(pair), CertificateConfig(*issuer.issue("a.test"))
    shutil.copy(fresh.cert, pair.cert)
    world.look()
    world.look()
    captured = capsys.readouterr()
    assert (captured.out + captured.err).count("certificate.refused") == 1
    assert {shown(outer, "a.test") for outer in world.outers} == {before}
    assert [*world.resources.refused] == [pair]
    shutil.copy(fresh.key, pair.key)
    world.look()
    assert {shown(outer, "a.test") for outer in world.outers} == {der(fresh)}
    assert world.resources.refused == {}


@pytest.mark.parametrize("busy", [True, False])
def test_a_large_folder(busy: bool, tmp_path: Path, store: KeyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is listed every ten seconds, and at each look when something has just come into it."""
    monkeypatch.setattr(looks, "FEW", 0)
    issuer = Issuer(tmp_path)
    folder = tmp_path / "certs"
    folder.mkdir()
    for path, target in zip(issuer.issue("a.test"), ("a.crt", "a.key"), strict=True):
        shutil.copy(path, folder / target)
    world = World(store, ListenConfig(Address("127.0.0.1", 443), folder=folder, listed=tuple(pairs_in(folder, "private").pairs)))
    pair = issuer.issue("b.test")
    for path, target in zip(pair, ("b.crt", "b.key"), strict=True):
        shutil.copy(path, folder / target)
    world.wall = os.stat(folder).st_mtime + (1.0 if busy else 11.0)
    world.look()
    assert world.told == ([0] if busy else [])
    world.look(looks.LIST_EVERY)
    assert world.told == [0]
    assert shown(world.outers[0], "b.test") == der(CertificateConfig(*pair))


def test_a_folder(tmp_path: Path, store: KeyStore) -> None:
    """What comes is shown, what goes is not, and what comes again is new."""
    issuer = Issuer(tmp_path)
    folder = tmp_path / "certs"
    folder.mkdir()

    def put(name: str) -> bytes:
        cert, key = issuer.issue(f"{name}.test")
        shutil.copy(cert, folder / f"{name}.crt")
        shutil.copy(key, folder / f"{name}.key")
        return der(CertificateConfig(cert, key))

    first = put("a")
    listen = ListenConfig(Address("127.0.0.1", 443), folder=folder)
    world = World(store, replace(listen, listed=tuple(pairs_in(folder, "private").pairs)))
    second = put("b")
    world.look()
    assert shown(world.outers[0], "b.test") == second
    (folder / "b.crt").unlink()
    (folder / "b.key").unlink()
    world.look()
    assert world.watch.due - world.now == 0.5  # whoever takes things out may not be done
    world.look(0.5)
    assert shown(world.outers[0], "b.test") == first
    third = put("b")
    world.look()
    assert shown(world.outers[0], "b.test") == third


def test_what_is_told_follows_without_looking_at_all_others(
    tmp_path: Path, store: KeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many there are: of a renewed pair what is odd about it is known anew, and nobody takes the others apart for that."""
    issuer = Issuer(tmp_path)
    late = issuer.issue("a.test", start=timedelta(days=-9), end=timedelta(days=-1))
    pairs = (CertificateConfig(*late), *(CertificateConfig(*issuer.issue(f"{number}.test")) for number in range(3)))
    world = World(store, ListenConfig(Address("127.0.0.1", 443), pairs))
    note_remarks(world.resources)
    assert [one.message.split()[4] for one in world.resources.remarks.at()] == ["expired"]
    taken: list[Path] = []

    def counting(path: Path, content: bytes) -> FileFacts:
        taken.append(path)
        return facts_in(path, content)

    monkeypatch.setattr("lbproxy.tls.contexts.facts_in", counting)
    renew(pairs[0], issuer, "a.test")
    world.look()
    assert world.resources.remarks.at() == []
    assert taken == [pairs[0].cert]
