"""Documents are read into the store of a generation; what is not good enough is refused with the reason."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from lbproxy.config.load import load_text
from lbproxy.config.model import Config, Document
from lbproxy.errors import ConfigError, StartError
from lbproxy.master.resources.documents import complaints, take, take_all
from lbproxy.tls.keystore import KeyStore
from tests.unit.config.test_passwords import BCRYPT
from tests.unit.config.text import LEAST


@pytest.fixture
def store() -> Iterator[KeyStore]:
    with closing(KeyStore()) as made:
        yield made


def config(folder: Path) -> Config:
    return load_text(LEAST.replace('pool = "app"', 'pool = "app"\nbasic_auth = { file = "users" }', 1), "a.toml", folder)


def test_what_a_file_holds_stands_in_the_store(store: KeyStore, tmp_path: Path) -> None:
    """As it is, by its number."""
    (tmp_path / "users").write_text(f"alice:{BCRYPT}\n")
    [piece] = take_all(config(tmp_path), store)
    assert store.text(*piece) == f"alice:{BCRYPT}\n".encode()
    assert tmp_path / "users" in store.stamps


def test_a_start_is_refused_with_the_line(store: KeyStore, tmp_path: Path) -> None:
    """As check tells it."""
    (tmp_path / "users").write_text("alice:secret\n")
    with pytest.raises(ConfigError) as refused:
        take_all(config(tmp_path), store)
    assert refused.value.complaints[0].line == 1


@pytest.mark.parametrize("content", [b"alice:secret\n", b"\xff\xfe", None])
def test_what_is_not_good_enough(store: KeyStore, tmp_path: Path, content: bytes | None) -> None:
    """Later as well, when it has changed."""
    path = tmp_path / "users"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StartError, match="users"):
        take(Document("htpasswd", path), store)


@pytest.mark.parametrize("content", [b"nonsense", b'{"keys": []}'])
def test_what_is_no_set_of_keys(store: KeyStore, tmp_path: Path, content: bytes) -> None:
    """With the reason."""
    (tmp_path / "jwks.json").write_bytes(content)
    with pytest.raises(StartError, match=r"jwks\.json"):
        take(Document("jwks", tmp_path / "jwks.json"), store)


@pytest.mark.parametrize("content", [None, b"nonsense", b'{"keys": []}'])
def test_check_tells_of_keys_that_are_none(tmp_path: Path, content: bytes | None) -> None:
    """By the line of the route, with a hint."""
    if content is not None:
        (tmp_path / "k").write_bytes(content)
    keys = 'pool = "app"\njwt = { jwks_file = "k", algorithms = ["RS256"] }'
    [told] = complaints(load_text(LEAST.replace('pool = "app"', keys, 1), "a.toml", tmp_path))
    assert (told.file, told.key) == ("a.toml", "route.jwt.jwks_file")
    assert told.hint
