"""Folders as people's tools leave them."""

from __future__ import annotations

from pathlib import Path

import pytest

from lbproxy.config.certificate_folder import FolderContents, pairs_in
from lbproxy.config.load import load_text
from lbproxy.config.model import CertificateConfig
from lbproxy.errors import ConfigError


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def found(folder: Path) -> list[tuple[str, str]]:
    return [(str(one.cert.relative_to(folder)), str(one.key.relative_to(folder))) for one in pairs_in(folder).pairs]


def test_pairs_beside_each_other(tmp_path: Path) -> None:
    """In the order of their names, whatever the certificate's file ends with; the key beside a .pem is its key."""
    touch(tmp_path, "c.pem", "b.cer", "b.key", "a.example.crt", "a.example.key", "d.pem", "d.key")
    assert found(tmp_path) == [("a.example.crt", "a.example.key"), ("b.cer", "b.key"), ("c.pem", "c.pem"), ("d.pem", "d.key")]


def test_folders_of_certbot_and_acme_sh(tmp_path: Path) -> None:
    """Both kinds of key of the same name, and certbot's symlinks."""
    touch(tmp_path, "archive/x/fullchain1.pem", "archive/x/privkey1.pem", "live/README", "live/b.example/README")
    for name in ("fullchain", "privkey"):
        (tmp_path / f"live/b.example/{name}.pem").symlink_to(f"../../archive/x/{name}1.pem")
    assert found(tmp_path / "live") == [("b.example/fullchain.pem", "b.example/privkey.pem")]
    touch(tmp_path, "acme/ca/acme/account.key", "acme/http.header", "acme/account.conf")
    for name in ("a.example", "a.example_ecc"):
        touch(tmp_path / "acme" / name, "a.example.cer", "fullchain.cer", "a.example.key", "ca.cer")
    assert found(tmp_path / "acme") == [
        ("a.example/fullchain.cer", "a.example/a.example.key"),
        ("a.example_ecc/fullchain.cer", "a.example_ecc/a.example.key"),
    ]


def test_halves_are_told(tmp_path: Path) -> None:
    """A certificate without its key. Keys alone, hidden files and what editors leave are nobody's."""
    touch(tmp_path, "a.crt", "b.key", ".c.crt", ".c.key", "d.crt~", "notes.txt", "..data/x")
    assert pairs_in(tmp_path) == FolderContents((), (f"{tmp_path / 'a.crt'} has no key beside it",))


def test_how_the_keys_are_kept_goes_for_all(tmp_path: Path) -> None:
    touch(tmp_path, "a.crt", "a.key")
    assert pairs_in(tmp_path, "any").pairs == (CertificateConfig(tmp_path / "a.crt", tmp_path / "a.key", "any"),)


LEAST = '[[route]]\npool = "a"\n[pool.a]\nbackends = ["127.0.0.1:1"]\n'


def test_a_listener_names_one(tmp_path: Path) -> None:
    """In place of the list; what is in it is found beside the file, and it makes the listener one that speaks TLS."""
    touch(tmp_path, "certs/a.crt", "certs/a.key", "certs/b.crt")
    text = '[[listen]]\naddress = ":1"\ncertificates = "certs/"\nkey_mode = "any"\ntls = { unknown_name = "refuse" }\n' + LEAST
    listen = load_text(text, "", tmp_path).listen[0]
    assert listen.folder == tmp_path / "certs"
    assert listen.pairs == (CertificateConfig(tmp_path / "certs/a.crt", tmp_path / "certs/a.key", "any"),)
    assert listen.left_out == (f"{tmp_path / 'certs/b.crt'} has no key beside it",)
    assert listen.secure
    assert listen.speaks == ("h2", "http/1.1")


@pytest.mark.parametrize(("written", "message"), [
    ("gone", "gone: No such file or directory"), ("file", "file is no folder"),
    ("empty", "there is no certificate with its key in"),
])  # fmt: skip
def test_a_folder_that_is_none(tmp_path: Path, written: str, message: str) -> None:
    """Or has nothing in it: a complaint at its line."""
    touch(tmp_path, "file", "empty/a.crt")
    with pytest.raises(ConfigError) as caught:
        load_text(f'[[listen]]\naddress = ":1"\ncertificates = "{written}"\n{LEAST}', "lb.toml", tmp_path)
    [complaint] = caught.value.complaints
    assert (complaint.line, complaint.key) == (3, "listen[0].certificates")
    assert message in complaint.message
