"""Every key that is declared: its example is read, written, and its change seen. Nobody lists them here."""

from __future__ import annotations

import tomllib
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import toml

from lbproxy.config.emit import emit
from lbproxy.config.key import Key, Nested, Stand, every_key, shape_of
from lbproxy.config.kinds import Place
from lbproxy.config.load import load_text
from lbproxy.config.model import Config
from lbproxy.config.plan import plan
from lbproxy.errors import ConfigError
from tests.unit.config.text import without_lines

KEYS = list(every_key(shape_of(Config)))

LEAST = tomllib.loads("""
[[listen]]
address = ":8443"
[[route]]
pool = "app"
[pool.app]
backends = [{ address = "10.0.0.1:80" }]
[pool.api]
backends = ["10.0.0.2:80"]
[pool.av]
backends = ["10.0.0.3:1344"]
[client_limit.site]
concurrency = 7
[tap.ids]
folder = "taps"

[cache]
memory = "8MiB"
""")
ACME = tomllib.loads("""
[proxy]
state_dir = "state"
[[listen]]
address = ":8443"
[[listen]]
address = ":9443"
acme = true
[[listen]]
address = ":9080"
[[route]]
pool = "app"
host = "a.example"
[acme]
terms_agreed = true
""")
"""What keys of [acme] are refused without."""
ASKING = tomllib.loads("""
[[listen]]
address = ":8443"
certificates = [{ cert = "c.pem", key = "k.pem" }]
tls = { client_ca = "ca.pem", client_auth = "optional" }
""")
"""What keys of [route.client_certificate] are refused without."""
NAMES = {"pool": "app", "client_limit": "site", "tap": "ids"}
FILLED: dict[str, dict[str, Any]] = {
    "accept": {"id": "hsts-missing", "reason": "no browsers come here"},
    "acme": {"terms_agreed": True},
    "authorize": {"pool": "app"},
    "basic_auth": {"file": "people"},
    "certificates": {"cert": "c.pem", "key": "k.pem"},
    "icap": {"pool": "av", "respmod": "/scan"},
    "jwt": {"jwks_file": "keys.json", "algorithms": ["RS256"]},
    "mirror": {"pool": "app"},
    "name": {"names": ["other.example.com"]},
    "refuse": {"path": "/a*"},
}
"""What these tables have at least."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the files are that examples name and that are read with the configuration."""
    for name in ("friends.txt", "blocked.txt"):
        (tmp_path / name).write_text("192.0.2.0/24\n")
    (tmp_path / "certs").mkdir()
    for name in ("a.crt", "a.key"):
        (tmp_path / "certs" / name).touch()
    return tmp_path


def table_of(tree: dict[str, Any], stand: Stand) -> dict[str, Any]:
    """The table of the tree where a key stands, made where it is not there, and what the tables around it need."""
    here = tree
    for item in stand.above:
        assert isinstance(item.what, Nested)
        here.update({key: value for key, value in item.what.needs.items() if key not in here})
        for other in item.what.never_with:
            here.pop(other, None)
        if item.what.how == "tables":
            here = here.setdefault(item.name, [dict(FILLED.get(item.name, {}))])[0]
        elif item.what.how == "named":
            here = here.setdefault(item.name, {}).setdefault(NAMES[item.name], {})
        else:
            here = here.setdefault(item.name, dict(FILLED.get(item.name, {})))
    return here


def load(tree: dict[str, Any], folder: Path) -> Config:
    return load_text(toml.dumps(tree), "", folder)


@pytest.mark.parametrize("stand", KEYS, ids=lambda stand: stand.path)
def test_a_key_is_read_written_and_seen(stand: Stand, folder: Path) -> None:
    """Its example is accepted and is no default; it is written as it reads; a reload tells of it by its name."""
    if stand.item.name == "regex":
        pytest.importorskip("re2", reason="google-re2 is not installed")
    acme = stand.path.startswith("acme") or stand.path == "listen.acme"
    tree = deepcopy(LEAST) | (deepcopy(ACME) if acme else {})
    if "client_certificate" in stand.path:
        tree |= deepcopy(ASKING)
    table = table_of(tree, stand)
    if stand.path.startswith("acme.fallback"):  # another than the first
        table["directory"] = "https://second.example/directory"
    before = deepcopy(tree)
    if stand.path in ("acme.terms_agreed", "acme.fallback.directory", "listen.acme"):
        before = deepcopy(LEAST)
    table_of(before, stand).update(stand.key.needs)
    table.update(stand.key.needs)
    for other in stand.key.never_with:
        table.pop(other, None)
    table[stand.item.name] = stand.item.example()
    config = load(tree, folder)
    assert without_lines(load_text(emit(config), "", folder)) == without_lines(config)
    try:
        was = load(before, folder)
    except ConfigError:  # what it needs, needs it: both are new
        was = load(LEAST, folder)
    alone = acme and was.acme is None  # the whole table is new
    assert without_lines(was) != without_lines(config), "the example is what there is without it"
    found = plan(was, config)
    told = [edit.key for change in found.changes for edit in change.edits]
    known_by = ("address", "path", "host", "cert", "key", "key_mode", "passphrase", "backup")
    apart = stand.item.name in known_by  # parts are known by some of these
    last = {key.rpartition(".")[2] for key in told}
    apart = apart or any(item.name in last for item in stand.above)  # a table of a list is told in a line
    apart = apart or any(item.name == "match" for item in stand.above)  # and a route is known by what it asks for
    assert any(stand.item.name in key for key in told) or found.restart or ((apart or alone) and found.changes)
    written = emit(config)
    assert stand.item.name in written or not stand.key.written


@pytest.mark.parametrize("stand", KEYS, ids=lambda stand: stand.path)
def test_a_key_says_what_it_does(stand: Stand) -> None:
    """In a sentence for the reference; its examples are of its kind; nonsense in its place has a complaint where it stands."""
    if stand.item.name == "regex":
        pytest.importorskip("re2", reason="google-re2 is not installed")
    assert len(stand.key.about) >= 6
    assert not stand.key.about.endswith(".")
    told: list[tuple[str | int, ...]] = []
    place = Place(("x",), Path("/"), lambda path, message, hint: told.append(path))
    for example in (*stand.key.kind.examples, stand.item.example()):
        stand.key.kind.read(example, place)
    assert not told
    assert stand.key.kind.read(1.5, place) in (None, ())
    assert told == [("x",)]


def test_names_are_words() -> None:
    """Small letters, and each once in its table."""
    seen = set()
    for stand in KEYS:
        assert stand.item.name.replace("_", "a").isalpha()
        assert stand.item.name.islower()
        assert stand.path not in seen
        seen.add(stand.path)
        assert isinstance(stand.item.what, Key)
