"""A first look waits for what the master must not wait for, and tells where."""

from __future__ import annotations

import os
import select
import signal
import time
from pathlib import Path

import pytest

from lbproxy.config.model import Address, CertificateConfig, Config, ListenConfig, ListenTlsConfig, PoolConfig, PoolTlsConfig
from lbproxy.errors import ConfigError
from lbproxy.master.files.reading import FileReader, Passing, Work
from lbproxy.master.resources import first_look
from lbproxy.master.resources.first_look import FirstLook, look, paths_in
from tests.support.waiting import eventually

WITHIN = 30.0


def heard(one: FirstLook) -> bool:
    """Whether it comes to its end in time."""
    until = time.monotonic() + WITHIN
    while select.select([one], [], [], max(0.0, until - time.monotonic()))[0]:
        if one.hear():
            return True
    return False


def reaped(one: FirstLook) -> int:
    """How its process ended."""
    return os.waitstatus_to_exitcode(os.waitpid(one._reading.pid, 0)[1])


def test_every_file_of_a_configuration_is_met(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of listeners and pools, in tables and lists; what is none, or is not there, keeps nobody."""
    names = ("a.crt", "a.key", "b.crt", "b.key", "clients.pem", "pool.pem")
    cert, key, other, its, clients, pool = (tmp_path / name for name in names)
    listen = ListenConfig(
        Address("", 1), (CertificateConfig(cert, key),), ListenTlsConfig(client_ca=clients), listed=(CertificateConfig(other, its),)
    )
    config = Config("", (listen,), (), (PoolConfig("app", (), tls=PoolTlsConfig(ca=pool)),))
    assert {cert, key, other, its, clients, pool} <= set(paths_in(config))
    os.mkfifo(cert)
    key.mkdir()
    other.write_bytes(b"x")
    seen: list[str] = []
    (tmp_path / "lb.toml").touch()
    monkeypatch.setattr(first_look, "setproctitle", lambda title: None)
    assert look(tmp_path / "lb.toml", lambda passing: config, seen.append)
    assert seen[0] == str(tmp_path / "lb.toml")
    assert {str(path) for path in (cert, key, other, its, clients, pool)} <= set(seen)


def test_what_is_wrong_with_the_file_is_the_master_s_to_say(tmp_path: Path) -> None:
    def load(passing: Passing) -> Config:
        raise ConfigError([])

    (tmp_path / "lb.toml").touch()
    one = FirstLook(lambda passing: look(tmp_path / "lb.toml", load, passing))
    assert heard(one)
    one.close()
    assert reaped(one) == 0


def test_who_hangs_is_told_with_the_path_and_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path that never answers, here by a FIFO that nobody writes into."""
    monkeypatch.setattr(first_look, "PATIENCE", 0.05)
    fifo = tmp_path / "slow.key"
    os.mkfifo(fifo)

    def hang(passing: Passing) -> None:
        passing(str(fifo))
        fifo.read_bytes()

    one = FirstLook(hang)
    until = time.monotonic() + WITHIN
    while time.monotonic() < one.until or not one._place:
        assert time.monotonic() < until
        time.sleep(0.01)
    assert not one.hear()
    assert one.late == f"nothing is heard of the disk that {fifo} is on"
    one.close()
    assert reaped(one) < 0


def test_it_has_time_as_long_as_it_gets_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each path by itself."""
    monkeypatch.setattr(first_look, "PATIENCE", 1000.0)
    go = tmp_path / "go"

    def work(passing: Passing) -> bool:
        passing("/first")
        while not go.exists():
            time.sleep(0.01)
        return True

    one = FirstLook(work)
    before = one._until
    until = time.monotonic() + WITHIN
    while one.until == before:
        assert time.monotonic() < until
        time.sleep(0.01)
    go.touch()
    assert heard(one)
    one.close()
    assert reaped(one) == 0


def test_one_that_is_killed_has_hung_nowhere(tmp_path: Path) -> None:
    one = FirstLook(lambda passing: time.sleep(WITHIN))
    os.kill(one._reading.pid, signal.SIGKILL)
    assert heard(one)
    one.close()
    assert reaped(one) == -signal.SIGKILL


def test_where_a_disk_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is found out by another look, which has an end; where all of them answer nothing is blamed."""
    answers, hangs = tmp_path / "a.pem", tmp_path / "b.pem"
    answers.touch()
    os.mkfifo(hangs)
    pids: list[int] = []

    def begin(work: Work) -> FileReader:
        pids.append((made := FileReader(work)).pid)
        return made

    monkeypatch.setattr(first_look, "FileReader", begin)
    pools = [PoolConfig(path.name, (), tls=PoolTlsConfig(ca=path)) for path in (answers, hangs)]
    assert first_look.hanging(Config("", (), (), tuple(pools)), WITHIN) == ""
    monkeypatch.setattr(first_look, "_begin_to_read", Path.read_bytes)
    eventually(lambda: first_look.hanging(Config("", (), (), tuple(pools)), 0.2) == str(hangs), "it is found")
    for pid in pids:
        os.waitpid(pid, 0)


def test_no_text_of_a_file_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be a private key, and whoever starts is the master to be."""
    (tmp_path / "key.pem").write_text("-----BEGIN PRIVATE KEY-----\nMIGHAgEA\n")
    buffers: list[bytearray] = []
    lengths: list[int] = []

    def readv(file: int, pages: list[bytearray]) -> int:
        buffers.extend(pages)
        lengths.append(length := real(file, pages))
        return length

    real = os.readv
    monkeypatch.setattr(os, "readv", readv)
    pool = PoolConfig("a", (), tls=PoolTlsConfig(key=tmp_path / "key.pem"))
    first_look.look_at_all(Config("", (), (), (pool,)), lambda path: None)
    assert lengths == [37]
    assert [page.strip(b"\0") for page in buffers] == [b""]
