"""Pipes and interfaces of taps are opened by the master, or it is said why they cannot be."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from lbproxy.config import model
from lbproxy.errors import StartError
from lbproxy.master.system import tap_openings
from lbproxy.master.system.tap_openings import fifo, interface, try_out


def config(**settings: object) -> model.Config:
    tap = model.TapConfig(name="ids", line=7, **settings)  # type: ignore[arg-type]
    return model.Config(source="f.toml", listen=(), routes=(), pools=(), taps=(tap,))


def test_a_pipe_is_made(tmp_path: Path) -> None:
    """For nobody else to read, where there is none; one that is there stays as it is."""
    path = tmp_path / "pipe"
    try_out(config(fifo=path))
    assert path.is_fifo()
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o640)
    try_out(config(fifo=path))
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("what", ["file", "link", "folder"])
def test_others_files_are_left_alone(tmp_path: Path, what: str) -> None:
    """What is no pipe is not written to, and no link is followed; file, line and what to do."""
    path, target = tmp_path / "pipe", tmp_path / "target"
    if what == "link":
        os.mkfifo(target)
        path.symlink_to(target)
    elif what == "file":
        path.write_text("mine")
    place = path if what != "folder" else tmp_path / "none" / "pipe"
    with pytest.raises(StartError, match=rf"f\.toml:7: tap\.ids\.fifo: cannot .*\({'install -d' if what == 'folder' else 'move'}"):
        try_out(config(fifo=place))
    assert what != "file" or path.read_text() == "mine"


def test_one_writer(tmp_path: Path) -> None:
    """Two would tear each other's records, also of two programs."""
    os.mkfifo(tmp_path / "pipe")
    reading = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    first = fifo(tmp_path / "pipe")
    assert first >= 0
    assert fifo(tmp_path / "pipe") == -1
    assert not os.get_blocking(first)
    os.close(first)
    again = fifo(tmp_path / "pipe")
    assert again >= 0
    os.close(again)
    os.close(reading)
    assert fifo(tmp_path / "pipe") == fifo(None) == -1


def test_no_such_interface() -> None:
    """Refused with those that there are; not where one that serves has it already, and it went away."""
    if os.geteuid() != 0:
        pytest.skip("the socket wants CAP_NET_RAW")
    wanted = config(interface="none0")
    with pytest.raises(StartError, match=r"f\.toml:7: tap\.ids\.interface: cannot send frames on none0: .*\(here are .*lo"):
        try_out(wanted)
    try_out(wanted, [wanted])


def test_without_the_capability(monkeypatch: pytest.MonkeyPatch) -> None:
    """What gives it is said."""

    def refused(name: str) -> tuple[int, int]:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(tap_openings, "interface", refused)
    with pytest.raises(StartError, match=r"Operation not permitted \(.*CAP_NET_RAW"):
        try_out(config(interface="tap0"), [config(interface="tap0")])


def test_an_interface() -> None:
    """A socket that does not block and gets nothing, and how large a packet may be."""
    if os.geteuid() != 0:
        pytest.skip("the socket wants CAP_NET_RAW")
    descriptor, mtu = interface("lo")
    with socket.socket(fileno=descriptor) as sock:
        assert not os.get_blocking(sock.fileno())
        assert mtu > 1500
        assert sock.getsockname()[1] == 0, "no protocol: nothing is received"
