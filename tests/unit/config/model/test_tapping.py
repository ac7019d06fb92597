"""Keys of [tap.NAME]: where it listens and what it goes out of, as people write that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lbproxy.config.load import load_text
from lbproxy.config.model import Address, TapConfig
from lbproxy.config.model.tapping import SECRETS
from lbproxy.errors import ConfigError

SITE = """
[[listen]]
address = "0.0.0.0:80"
[[route]]
pool = "app"
tap = "ids"
[pool.app]
backends = ["127.0.0.1:9000"]
[tap.ids]
"""


def tap(more: str) -> TapConfig:
    return load_text(SITE + more, "f.toml", Path("/")).taps[0]


@pytest.mark.parametrize(("key", "written", "value"), [
    ("listen", ":57012", Address("127.0.0.1", 57012)),
    ("listen", "0.0.0.0:57012", Address("0.0.0.0", 57012)),
    ("listen", "[::1]:57012", Address("::1", 57012)),
    ("interface", "tap0.5", "tap0.5"),
])  # fmt: skip
def test_what_is_meant(key: str, written: str, value: Any) -> None:
    """A port alone is this machine's alone; wider is what says so."""
    found = tap(f'{key} = "{written}"')
    assert getattr(found, key) == value
    assert found.sinks == (key,)
    assert all(network.is_loopback for network in found.allow)


@pytest.mark.parametrize(("more", "says"), [
    ('interface = "a b"', "f.toml:10: tap.ids.interface: wanted the name of a network interface"),
    ('interface = ".."', "wanted the name of a network interface"),
    ('interface = "averylongname123"', "wanted the name of a network interface"),
    ("listen = 57012", "f.toml:10: tap.ids.listen: wanted"),
    ('listen = "localhost:57012"', 'e.g. "127.0.0.1:57012"'),
    ('listen = "0.0.0.0:80"', "listened on already by line 3"),
    ('readers = 3\nfolder = "/a"', 'f.toml:9: tap.ids: nobody can connect to it (add listen = ":57012")'),
    ('listen = ":57012"\nallow = []', "at least one network"),
    ('fifo = "/a"\n[tap.other]\nfifo = "/a"', "/a is tap.ids's already"),
    ("percent = 5", "f.toml:9: tap.ids: there is nowhere for it to go (add fifo, listen or interface"),
])  # fmt: skip
def test_what_is_refused(more: str, says: str) -> None:
    """With the line, and what to write."""
    with pytest.raises(ConfigError) as caught:
        tap(more)
    assert says in str(caught.value)


@pytest.mark.parametrize("name", [*SECRETS, "proxy-authorization", "Proxy-Authenticate", "Sec-WebSocket-Protocol", "X-Key", "X-*"])
def test_what_may_be_blanked(name: str) -> None:
    """All that is by default can be written down, since whoever adds one name says the others again; so can what no rule may touch
    and credentials stand in."""
    assert tap(f'listen = ":57012"\nblank = ["{name}"]').blank == (name,)


@pytest.mark.parametrize("name", ["Content-Length", "Host", "Upgrade", "a b", ""])
def test_what_may_not(name: str) -> None:
    """What packets could not be read without, and what is no name."""
    with pytest.raises(ConfigError, match="blank"):
        tap(f'listen = ":57012"\nblank = ["{name}"]')
