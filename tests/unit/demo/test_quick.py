"""A proxy without a file: its configuration, where its certificate is kept, what is told."""

from __future__ import annotations

import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lbproxy.config.emit import emit
from lbproxy.config.load import load_text
from lbproxy.config.model import Address
from lbproxy.demo import quick
from lbproxy.errors import StartError
from lbproxy.tls.selfsigned import SelfSigned
from tests.unit.config.text import BASE, without_lines

MADE = SelfSigned(Path("/s/quick.crt"), Path("/s/quick.key"), "AB:CD", datetime(2027, 1, 2, tzinfo=UTC), True)
BACKENDS = [Address("127.0.0.1", 9000), Address("app.internal", 9001)]


def test_the_configuration_is_one_that_a_file_could_say() -> None:
    """Written and read again it is the same, so every check of load holds for it."""
    config = quick.quick_config(Address("0.0.0.0", 8443), BACKENDS, MADE, 3)
    assert without_lines(load_text(emit(config), "", BASE)) == config
    assert config.proxy.workers == 3
    assert [backend.address for backend in config.pool(config.routes[0].pool).backends] == BACKENDS


def test_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that this machine is called, and the address listened on; a host name that is no DNS name is left out."""
    monkeypatch.setattr("socket.gethostname", lambda: "Box")
    assert quick.certificate_names(Address("0.0.0.0", 1)) == ["localhost", "127.0.0.1", "::1", "box"]
    assert quick.certificate_names(Address("10.0.0.9", 1))[-1] == "10.0.0.9"
    assert quick.certificate_names(Address("127.0.0.1", 1)) == ["localhost", "127.0.0.1", "::1", "box"]
    monkeypatch.setattr("socket.gethostname", lambda: "my box!")
    assert quick.certificate_names(Address("::", 1)) == ["localhost", "127.0.0.1", "::1"]


@pytest.mark.parametrize(("listen", "url"), [
    (Address("0.0.0.0", 8443), "https://localhost:8443/"), (Address("127.0.0.1", 443), "https://localhost/"),
    (Address("::", 8443), "https://[::1]:8443/"), (Address("10.0.0.9", 8443), "https://10.0.0.9:8443/"),
    (Address("fd00::1", 1), "https://[fd00::1]:1/"),
])  # fmt: skip
def test_urls_are_names_of_the_certificate(listen: Address, url: str) -> None:
    """Or verification would fail."""
    assert quick.url(listen) == url
    host = url.removeprefix("https://").rstrip("/").removesuffix(f":{listen.port}").strip("[]")
    assert host in quick.certificate_names(listen)


def test_banner() -> None:
    """Everything a newcomer needs; paths with spaces survive the shell."""
    told = quick.banner(Address("0.0.0.0", 8443), ["a:1", "b:2"], MADE)
    for part in (
        "https://localhost:8443/",
        "a:1",
        "b:2",
        "AB:CD",
        "curl --cacert /s/quick.crt https://localhost:8443/",
        str(os.getpid()),
    ):
        assert part in told
    spaced = SelfSigned(Path("/my s/quick.crt"), MADE.key, MADE.fingerprint, MADE.expires, False)
    assert "--cacert '/my s/quick.crt'" in quick.banner(Address("0.0.0.0", 1), ["a:1"], spaced)


# ---------------------------------------------------------------- where the certificate is kept


def test_home(tmp_path: Path) -> None:
    """Made where missing, private."""
    directory = quick.state_directory(None, {"HOME": str(tmp_path)})
    assert directory == tmp_path / ".local/state/lbproxy"
    assert directory.stat().st_mode & 0o777 == 0o700
    assert quick.state_directory(None, {"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "x")}) == tmp_path / "x/lbproxy"
    assert quick.state_directory(None, {"HOME": str(tmp_path), "XDG_STATE_HOME": "relative"}) == directory


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory for temporary files, shared with everybody, as this test sees it."""
    shared = tmp_path / "tmp"
    shared.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(shared))
    return shared


def test_no_home(temporary: Path) -> None:
    """One of this user's own among the temporary files, the same at the next run."""
    expected = temporary / f"lbproxy-{os.getuid()}"
    for environ in ({}, {"HOME": ""}, {"HOME": "/proc/nowhere"}):
        assert quick.state_directory(None, environ) == expected
    assert expected.stat().st_mode & 0o777 == 0o700


def test_a_trap_among_the_temporary_files(temporary: Path) -> None:
    """Somebody was there first: a link, or a directory that others may write to. A fresh one is taken instead."""
    trap = temporary / f"lbproxy-{os.getuid()}"
    elsewhere = temporary / "elsewhere"
    elsewhere.mkdir()
    trap.symlink_to(elsewhere)
    assert quick.state_directory(None, {}) not in (trap, elsewhere)
    trap.unlink()
    trap.mkdir()
    trap.chmod(0o777)
    found = quick.state_directory(None, {})
    assert found != trap
    assert found.parent == temporary
    assert found.stat().st_mode & 0o777 == 0o700


def test_the_given_directory(tmp_path: Path) -> None:
    """Is used or refused, never replaced by another."""
    assert quick.state_directory(tmp_path / "mine", {}) == tmp_path / "mine"
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    with pytest.raises(StartError, match=r"others may write there \(chmod go-w\)"):
        quick.state_directory(open_to_all, {})
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError, match=r"cannot keep a certificate in .*file"):
        quick.state_directory(tmp_path / "file", {})


@pytest.mark.parametrize("umask", [0, 0o777])
def test_folders_are_private_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    """All that are made on the way, too: who may write to one of them may put another in its place."""
    before = os.umask(umask)
    try:
        directory = quick.state_directory(None, {"HOME": str(tmp_path)})
    finally:
        os.umask(before)
    made = [directory, *list(directory.parents)[: len(directory.relative_to(tmp_path).parts) - 1]]
    assert [one.stat().st_mode & 0o777 for one in made] == [0o700] * 3
