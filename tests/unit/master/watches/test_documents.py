"""A file that changed goes live in the workers when it has settled; what is refused leaves the old one, and is told once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from lbproxy.ipc.messages import Message, NewDocument
from lbproxy.master.files.looks import LOOK_EVERY
from lbproxy.master.resources.documents import take_all
from lbproxy.master.resources.generation import GenerationResources
from lbproxy.master.watches.documents import DocumentWatch
from lbproxy.tls.keystore import KeyStore, digest
from tests.unit.config.test_passwords import ARGON2, BCRYPT
from tests.unit.master.files.inline import InlineWatch
from tests.unit.master.resources.test_documents import config


class World:
    """A generation with one file, and what its workers are told."""

    def __init__(self, folder: Path, store: KeyStore) -> None:
        self.file = folder / "users"
        self.write(f"alice:{BCRYPT}\n", 1000)
        made = config(folder)
        taken = take_all(made, store)
        self.resources = cast(
            GenerationResources, SimpleNamespace(config=made, keys=store, documents=taken, digests={**store.digests})
        )
        self.told: list[Message] = []
        self.forgotten: list[object] = []
        self.wall = 5000.0
        self.now = 0.0
        pipes: Any = SimpleNamespace(tell_workers=lambda number, message: self.told.append(message))
        judge = DocumentWatch(pipes, lambda store, piece, now: self.forgotten.append(piece))
        self.watch = InlineWatch(lambda: self.resources, judge, lambda: self.now, lambda: self.wall)

    def write(self, text: str, at: float) -> None:
        self.file.write_text(text)
        os.utime(self.file, (at, at))

    def look(self) -> None:
        self.now += LOOK_EVERY
        self.watch.look()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with closing(KeyStore()) as store:
        yield World(tmp_path, store)


def test_a_change_goes_live(world: World) -> None:
    """Once; the old one is wiped when everybody has read the new one. The next reload tells nothing of it."""
    old = world.resources.documents
    assert world.resources.digests == {world.file: digest(world.file)}
    world.look()
    assert world.told == []
    world.write(f"bob:{ARGON2}\n", 2000)
    world.look()
    world.look()
    [told] = world.told
    assert isinstance(told, NewDocument)
    assert world.resources.keys is not None
    assert world.resources.keys.text(told.at, told.size) == f"bob:{ARGON2}\n".encode()
    assert world.resources.documents == ((told.at, told.size),)
    assert world.forgotten == [*old]
    assert world.resources.digests == {world.file: digest(world.file)}


def test_what_was_just_written_is_left_to_settle(world: World) -> None:
    """Somebody may be writing still."""
    world.write(f"bob:{ARGON2}\n", 4999.9)
    world.look()
    assert world.told == []
    world.wall += 1
    world.look()
    assert len(world.told) == 1


@pytest.mark.parametrize("text", ["bob:secret\n", None])
def test_what_is_refused_is_told_once(world: World, text: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    """And goes live when it was put right."""
    if text is None:
        world.file.unlink()
    else:
        world.write(text, 2000)
    for _ in range(3):
        world.look()
    assert world.told == []
    told = capsys.readouterr()
    assert (told.out + told.err).count("document.refused") == 1
    world.write(f"bob:{ARGON2}\n", 3000)
    world.look()
    assert len(world.told) == 1
