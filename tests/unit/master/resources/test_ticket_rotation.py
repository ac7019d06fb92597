"""When secrets of tickets change."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lbproxy.config.model import ProcessConfig
from lbproxy.errors import StartError
from lbproxy.ipc.messages import NewTicketKeys
from lbproxy.master.resources.ticket_rotation import TicketRotation
from lbproxy.master.watches.tickets import TicketWatch
from lbproxy.tls import tickets
from lbproxy.tls.keystore import KeyStore, digest
from tests.unit.master.files.inline import InlineWatch

HOUR = 3600.0


class Told(list[tuple[bytes, ...]]):
    """What workers were told."""


def test_a_secret_is_taken_for_a_lifetime_after_its_own() -> None:
    """And a machine that slept for longer takes none of before."""
    rotation, told, proxy = TicketRotation(0.0), Told(), ProcessConfig(ticket_lifetime=HOUR)
    [first] = rotation.secrets(proxy)
    for now in (10.0, HOUR - 1, HOUR, HOUR + 10, 2 * HOUR, 2 * HOUR + 10):
        rotation.look(proxy, now, told.append)
    assert [len(each) for each in told] == [2, 2]
    assert told[0][1] == first
    assert told[1][1] == told[0][0]
    assert first not in told[1]
    rotation.look(proxy, 9 * HOUR, told.append)
    assert len(told[2]) == 1
    assert rotation.secrets(proxy) == told[2]


def test_they_go_over_to_the_next_program() -> None:
    """With their age."""
    rotation, proxy = TicketRotation(100.0), ProcessConfig(ticket_lifetime=HOUR)
    heir = TicketRotation.from_dict(rotation.as_dict(200.0), 50.0)
    assert heir.secrets(proxy) == rotation.secrets(proxy)
    told = Told()
    heir.look(proxy, 50.0 + HOUR - 100.0, told.append)
    assert len(told) == 1
    assert TicketRotation.from_dict({}, 0.0).secrets(proxy) != rotation.secrets(proxy)
    assert all(secret.hex() not in repr(rotation) for secret in rotation.secrets(proxy))


@pytest.mark.skipif(not tickets.available(), reason="OpenSSL is older than 3.0")
def test_files_are_looked_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Told when they hold something else, and not, but once, when they hold half of it."""
    file = tmp_path / "ticket.key"
    proxy = ProcessConfig(ticket_keys=(file,))
    rotation = TicketRotation(0.0)
    with pytest.raises(StartError, match="No such file"):
        rotation.secrets(proxy)
    file.write_bytes(b"a" * 80)
    assert rotation.secrets(proxy) == (b"a" * 80,)
    told: list[NewTicketKeys] = []
    pipes: Any = SimpleNamespace(tell_workers=lambda number, message: told.append(message))
    now = 10.0
    with closing(KeyStore()) as store:
        resources: Any = SimpleNamespace(keys=store, ticket_secrets=(), config=SimpleNamespace(proxy=proxy), digests={})
        judge = TicketWatch(lambda: (1, resources), {1: resources}, rotation, pipes, lambda store, piece, now: None)
        watch = InlineWatch(lambda: resources, judge, lambda: now, lambda: 1e12)
        for content in (b"a" * 80, b"b" * 79, None, b"b" * 80):
            if content is not None:
                file.write_bytes(content)
            watch.look()
            now += 10
        assert resources.ticket_secrets == (b"b" * 80,)
        assert resources.digests == {file: digest(file)}  # the next reload tells nothing of it
        [one] = told
        assert tickets.unpacked(store.text(one.at, one.size)) == (b"b" * 80,)
    captured = capsys.readouterr()
    assert (captured.out + captured.err).count("tickets.refused") == 1
