"""Passphrases from where they are: what is read, and in which words it is told that nothing can be."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lbproxy.config.model import Address, CertificateConfig, Config, ListenConfig, Passphrase
from lbproxy.tls import passphrase
from lbproxy.tls.passphrase import LONGEST, PassphraseUnknown, adopt, kept, read
from tests.unit.tls.files import write


def command(code: str) -> Passphrase:
    return Passphrase("command", (sys.executable, "-c", code))


def test_a_file_and_a_credential(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first line, without its end."""
    path = write(tmp_path / "word", b"open sesame\r\nmore\n")
    assert read(Passphrase("file", (str(path),))) == b"open sesame"
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(PassphraseUnknown, match="CREDENTIALS_DIRECTORY is not set") as caught:
        read(Passphrase("credential", ("word",)))
    assert "LoadCredential=word:" in caught.value.fault.hint
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert read(Passphrase("credential", ("word",))) == b"open sesame"


@pytest.mark.parametrize(("content", "mode", "says"), [
    (b"", 0o600, "is empty"), (b"\nx", 0o600, "is empty"), (b"x" * (LONGEST + 1), 0o600, "at most 1024"),
    (b"x", 0o640, "its group"), (b"x", 0o644, "everybody"),
])  # fmt: skip
def test_files_that_hold_none(tmp_path: Path, content: bytes, mode: int, says: str) -> None:
    """Or show it to others."""
    path = write(tmp_path / "word", content, mode)
    os.chown(path, os.getuid() or 1, -1)  # of root's a group may read, as keys
    with pytest.raises(PassphraseUnknown, match=says):
        read(Passphrase("file", (str(path),)))


def test_what_is_no_file(tmp_path: Path) -> None:
    """A FIFO holds up nobody."""
    os.mkfifo(tmp_path / "fifo", 0o600)
    with pytest.raises(PassphraseUnknown, match="no regular file"):
        read(Passphrase("file", (str(tmp_path / "fifo"),)))
    with pytest.raises(PassphraseUnknown, match="does not exist"):
        read(Passphrase("file", (str(tmp_path / "gone"),)))


def test_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it prints; bounded in time and size, and it has nothing of ours."""
    assert read(command("print('two words')")) == b"two words"
    with pytest.raises(PassphraseUnknown, match="ended with code 7"):
        read(command("raise SystemExit(7)"))
    with pytest.raises(PassphraseUnknown, match="signal 9"):
        read(command("import os; os.kill(os.getpid(), 9)"))
    with pytest.raises(PassphraseUnknown, match="cannot be started"):
        read(Passphrase("command", ("/nowhere/at/all",)))
    with pytest.raises(PassphraseUnknown, match="at most 1024"):
        read(command("import sys\nwhile True: sys.stdout.write('x' * 100)"))
    monkeypatch.setattr(passphrase, "WITHIN", 0.3)
    before = time.monotonic()
    with pytest.raises(PassphraseUnknown, match=r"did not end within 0\.3 s"):
        read(command("import time; print('x', flush=True); time.sleep(600)"))
    assert time.monotonic() - before < 60


@pytest.fixture
def descriptor() -> Iterator[int]:
    """A number that is free."""
    number = os.open("/dev/null", os.O_RDONLY)
    os.close(number)
    number += 20
    yield number
    try:
        os.close(number)
    except OSError:
        pass


def naming(number: int) -> tuple[Config, Passphrase]:
    source = Passphrase("fd", (str(number),))
    pair = CertificateConfig(Path("a"), Path("b"), passphrase=source)
    return Config("x.toml", (ListenConfig(Address("127.0.0.1", 1), (pair,)),), (), ()), source


def test_a_descriptor_is_read_once_and_kept(descriptor: int) -> None:
    """A pipe is empty after that; what was in it is there again and again, and outlives an execve."""
    config, source = naming(descriptor)
    heard, said = os.pipe()
    os.dup2(heard, descriptor, inheritable=True)
    os.write(said, b"from a pipe\n")  # and its writer lives on
    for _ in range(2):
        adopt(config)
        assert read(source) == b"from a pipe"
    assert kept() == [descriptor]
    assert os.get_inheritable(descriptor)
    os.close(heard)
    os.close(said)
    passphrase.close_copies()
    assert kept() == []
    with pytest.raises(PassphraseUnknown, match="is not open"):
        read(source)


def test_descriptors_that_are_none(descriptor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is not open, one of our own, a socket, a pipe in which nobody says anything."""
    config, source = naming(descriptor)
    adopt(config)
    with pytest.raises(PassphraseUnknown, match="has to be started with it"):
        read(source)
    heard, said = os.pipe()
    os.dup2(heard, descriptor, inheritable=False)
    adopt(config)
    with pytest.raises(PassphraseUnknown, match="has to be started with it"):
        read(source)
    monkeypatch.setattr(passphrase, "WITHIN", 0.05)
    os.dup2(heard, descriptor, inheritable=True)
    adopt(config)
    with pytest.raises(PassphraseUnknown, match="said nothing"):
        read(source)
    null = os.open("/dev/zero", os.O_RDONLY)
    os.dup2(null, descriptor, inheritable=True)
    adopt(config)
    with pytest.raises(PassphraseUnknown, match="neither a pipe nor a file"):
        read(source)
    for each in (heard, said, null):
        os.close(each)
