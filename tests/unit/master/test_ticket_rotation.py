"""When secrets of tickets change."""

from __future__ import annotations

from pathlib import Path

import pytest

from lbproxy.config.model import Process
from lbproxy.errors import StartError
from lbproxy.master.ticket_rotation import TicketRotation
from lbproxy.tls import tickets

HOUR = 3600.0


class Told(list[tuple[bytes, ...]]):
    """What workers were told."""


def test_a_secret_is_taken_for_a_lifetime_after_its_own() -> None:
    """And a machine that slept for longer takes none of before."""
    rotation, told, proxy = TicketRotation(0.0), Told(), Process(ticket_lifetime=HOUR)
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
    rotation, proxy = TicketRotation(100.0), Process(ticket_lifetime=HOUR)
    heir = TicketRotation.from_dict(rotation.as_dict(200.0), 50.0)
    assert heir.secrets(proxy) == rotation.secrets(proxy)
    told = Told()
    heir.look(proxy, 50.0 + HOUR - 100.0, told.append)
    assert len(told) == 1
    assert TicketRotation.from_dict({}, 0.0).secrets(proxy) != rotation.secrets(proxy)
    assert all(secret.hex() not in repr(rotation) for secret in rotation.secrets(proxy))


@pytest.mark.skipif(not tickets.available(), reason="OpenSSL is older than 3.0")
def test_files_are_looked_at(tmp_path: Path) -> None:
    """Told when they hold something else, and not when they hold half of it."""
    file, told = tmp_path / "ticket.key", Told()
    proxy = Process(ticket_keys=(file,))
    rotation = TicketRotation(0.0)
    with pytest.raises(StartError, match="No such file"):
        rotation.secrets(proxy)
    file.write_bytes(b"a" * 80)
    assert rotation.secrets(proxy) == (b"a" * 80,)
    rotation.look(proxy, 10.0, told.append)
    file.write_bytes(b"b" * 79)
    rotation.look(proxy, 20.0, told.append)
    assert told == []
    file.write_bytes(b"b" * 80)
    rotation.look(proxy, 30.0, told.append)
    assert told == [(b"b" * 80,)]
