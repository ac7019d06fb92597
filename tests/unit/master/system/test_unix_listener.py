"""A listener on a Unix socket: its file, who may connect, and when the file goes."""

from __future__ import annotations

import os
import socket
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from lbproxy.config.model import Address, ListenConfig, SocketAccessConfig
from lbproxy.errors import StartError
from lbproxy.master.system.socketfile import Occupied, listens
from lbproxy.master.system.sockets import explain_file, open_listeners
from lbproxy.master.system.unix_listener import UnixListener, UnknownAccount, account_of, discard
from tests.unit.master.system.test_sockets import config_of


def at(path: Path, **access: object) -> ListenConfig:
    """A listener there."""
    return ListenConfig(Address(f"unix:{path}", 0), access=SocketAccessConfig(**access))  # type: ignore[arg-type]  # spelled out by the tests


def test_who_may_connect(tmp_path: Path) -> None:
    """The mode that was asked for, whatever the umask; another one for the same file later."""
    path = tmp_path / "run" / "http.sock"
    before = os.umask(0o077)
    try:
        sock = UnixListener.open(at(path), 8)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.lstat().st_mode) == 0o660
    assert not sock.getblocking()
    assert not os.get_inheritable(sock.fileno())
    sock.grant(SocketAccessConfig(mode=0o606))
    assert stat.S_IMODE(path.lstat().st_mode) == 0o606
    assert listens(path)
    discard(sock)
    assert list(path.parent.iterdir()) == []


def test_a_strangers_file_in_its_place_is_not_granted(tmp_path: Path) -> None:
    """The folder's owner puts a link to a secret, the secret itself, or a socket of his where ours was: a reload changes none."""
    secret, theirs = tmp_path / "secret", tmp_path / "theirs"
    secret.touch(0o600)
    path = tmp_path / "s"
    with UnixListener.open(at(theirs, mode=0o600), 8), UnixListener.open(at(path), 8) as sock:
        for put, target in ((path.symlink_to, secret), (path.hardlink_to, secret), (path.hardlink_to, theirs)):
            path.unlink()
            put(target)
            with pytest.raises(FileExistsError):
                sock.grant(SocketAccessConfig(mode=0o666))
            with UnixListener.adopt(os.dup(sock.fileno()), path) as adopted, pytest.raises(FileExistsError):
                adopted.grant(SocketAccessConfig(mode=0o666))
            assert stat.S_IMODE(target.stat().st_mode) == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files away needs root")
def test_a_strangers_file_is_not_given_away_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor one that takes the place of the half made socket."""
    secret = tmp_path / "secret"
    secret.touch(0o600)
    with UnixListener.open(at(tmp_path / "other"), 8):
        for target in (secret, tmp_path / "other"):
            before = target.stat()

            def swap(sock: socket.socket, place: str, target: Path = target) -> None:
                Path(place).hardlink_to(target)

            monkeypatch.setattr(UnixListener, "bind", swap)
            with pytest.raises(FileExistsError):
                UnixListener.open(at(tmp_path / "s", owner="nobody"), 8)
            assert (target.stat().st_uid, target.stat().st_ino) == (before.st_uid, before.st_ino)


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files away needs root")
def test_whose_it_is(tmp_path: Path) -> None:
    """By name; before it can be found."""
    sock = UnixListener.open(at(tmp_path / "s", owner="nobody", group="daemon"), 8)
    found = (tmp_path / "s").lstat()
    assert (found.st_uid, found.st_gid) == account_of(SocketAccessConfig(owner="nobody", group="daemon"))
    discard(sock)


def test_closing_leaves_the_file(tmp_path: Path) -> None:
    """A child closes copies; only the master gives a listener up."""
    sock = UnixListener.open(at(tmp_path / "s"), 8)
    copy = sock.dup()
    sock.close()
    assert listens(tmp_path / "s")
    copy.close()
    assert (tmp_path / "s").exists()


def test_the_file_of_a_successor_stays(tmp_path: Path) -> None:
    """Somebody took our dead file's place meanwhile: it is his."""
    path = tmp_path / "s"
    ours = UnixListener.open(at(path), 8)
    path.unlink()
    theirs = UnixListener.open(at(path), 8)
    discard(ours)
    assert listens(path)
    discard(theirs)


def test_the_next_program_removes_what_it_took_over(tmp_path: Path) -> None:
    """Or finds that there is nothing to remove."""
    path = tmp_path / "s"
    for removed in (False, True):
        first = UnixListener.open(at(path), 8)
        adopted = UnixListener.adopt(first.detach(), path)
        assert listens(path)
        if removed:
            path.unlink()
        discard(adopted)
        assert not path.exists()


def test_a_dead_file_is_replaced_and_a_living_one_is_not(tmp_path: Path) -> None:
    """The file alone means nothing."""
    path = tmp_path / "s"
    UnixListener.open(at(path), 8).close()
    living = UnixListener.open(at(path), 8)
    with pytest.raises(StartError, match=r"another process listens there \(stop that process or choose another path\)"):
        open_listeners(config_of(at(path)), "python")
    assert listens(path)
    discard(living)


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        (lambda folder: (folder / "s").mkdir(), "a file that is no socket is in its place"),
        (lambda folder: (folder / "s").symlink_to("/dev/null"), "a file that is no socket is in its place"),
        (lambda folder: folder.rmdir() or folder.write_text(""), "cannot listen on unix:"),
    ],
    ids=["a folder", "a link", "no folder above it"],
)
def test_told_in_a_sentence(tmp_path: Path, prepare: object, said: str) -> None:
    """With the listener's line; what was opened before is given back."""
    folder = tmp_path / "f"
    folder.mkdir()
    prepare(folder)  # type: ignore[operator]
    good = tmp_path / "good"
    with pytest.raises(StartError) as caught:
        open_listeners(config_of(at(good), replace(at(folder / "s"), line=7)), "python")
    assert "proxy.toml:7: listen.address: " in str(caught.value)
    assert said in str(caught.value)
    assert not good.exists()


def test_explained() -> None:
    """The rest of what can go wrong."""
    listen = at(Path("/no/such/folder/s"))
    assert explain_file(Occupied(Path("s"), living=True), listen)[1]
    assert "no folder /no/such" in explain_file(FileNotFoundError(2, "No such file"), listen)[0]
    assert "permission denied" in explain_file(PermissionError(13, "Permission denied"), listen)[0]
    assert "strange" in explain_file(OSError(5, "strange"), listen)[0]
    for access, why in (
        (SocketAccessConfig(owner="nosuch"), 'there is no account "nosuch"'),
        (SocketAccessConfig(group="no-such-group"), 'there is no group "no-such-group"'),
        (SocketAccessConfig(group="4294967295"), 'there is no group "4294967295"'),
    ):
        with pytest.raises(UnknownAccount) as caught:
            account_of(access)
        assert explain_file(caught.value, listen)[0].endswith(why)


def test_accounts_by_number() -> None:
    """Containers often have no names."""
    assert account_of(SocketAccessConfig(owner="12345", group="54321")) == (12345, 54321)


def test_a_reload_finds_its_own(tmp_path: Path) -> None:
    """As with ports: the same socket, and the file untouched."""
    listen = at(tmp_path / "s")
    [first] = open_listeners(config_of(listen), "python")
    [again] = open_listeners(config_of(listen), "python", {listen.address: first})
    assert again is first
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "s"))
    discard(first)
