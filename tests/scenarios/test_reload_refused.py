"""A reload that cannot be: the reason is told, nothing is lost, and who served serves on."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from dataclasses import replace

from bench.reload.load import Load, told
from tests.conftest import Stage
from tests.support.moving_site import MovingSite
from tests.support.ports import free_port
from tests.support.process import run_cli
from tests.support.reloads import Ambush, Config, Reloads
from tests.support.waiting import eventually

NOT_READY = 20.0
"""Seconds that a new worker has to say Ready."""


def _quiet(site: MovingSite) -> Load:
    """For as long as something takes that is refused in the end: what counts is who is under way, and not how much they do."""
    return Load(replace(site.job(), busy=4, idle=8, downloads=1, busy_pause=0.05, fresh_pause=0.2))


def _refused(site: MovingSite, wanted: Config | str | Callable[[Config], object]) -> str:
    """What `lbproxy reload` says, which is what the log says, too; the file is right again afterwards."""
    good, generation = site.proxy.config, site.reloads.generation
    if callable(wanted):
        site.reloads.change(wanted)
    else:
        site.reloads.write(wanted)
    try:
        ended = run_cli("reload", "--control", good["proxy"]["control"])
    finally:
        site.reloads.write(good)
    assert ended.returncode == 1, ended
    reason = site.reloads.failed(generation)
    assert all(line in ended.stderr for line in reason.splitlines()), (reason, ended.stderr)
    assert f"generation {generation} serves on" in ended.stderr
    return ended.stderr


def test_bad_configurations(stage: Stage) -> None:
    """Broken TOML, a missing certificate, another certificate's key, a port in use; one after the other, under load."""
    site = MovingSite(stage, control=str(stage.directory / "control.sock"))
    listen = site.proxy.config["listen"][0]
    [mine] = listen["certificates"]
    other = stage.authority.issue("localhost", "other.test")
    busy_port = free_port()
    with _quiet(site) as load, socket.create_server(("127.0.0.1", busy_port)):
        before = site.proxy.settled()

        assert f"{site.proxy.file}:1" in _refused(site, "[proxy\nworkers = 2\n")
        assert "/nowhere.pem" in _refused(site, lambda c: c["listen"][0].update(certificates=[{**mine, "cert": "/nowhere.pem"}]))
        assert "key" in _refused(site, lambda c: c["listen"][0].update(certificates=[{**mine, "key": other["key"]}]))
        assert str(busy_port) in _refused(site, lambda c: c["listen"].append({**listen, "address": f"127.0.0.1:{busy_port}"}))
        assert "wrokers" in _refused(site, lambda c: c["proxy"].update(wrokers=3))

        assert sorted(process.pid for process in site.proxy.members()) == before
        site.next_change()  # and a good one is taken as ever
        tally = load.stop()
    assert not tally.lost, told(tally)
    assert site.reloads.generation == 2
    site.reloads.only_the_newest()


def test_what_is_no_file(stage: Stage) -> None:
    """A master that waits for the writer of a FIFO hears no signal, and sees no worker die."""
    proxy = stage.proxy(stage.app().address, workers=1)
    reloads = Reloads(proxy)
    proxy.file.unlink()
    os.mkfifo(proxy.file)
    assert "no regular file" in reloads.fail()
    proxy.file.unlink()
    proxy.file.mkdir()
    assert str(proxy.file) in reloads.fail()
    with stage.client(proxy) as client:
        assert client.request("GET", "/echo").status == 200


def test_worker_dies_at_start(stage: Stage) -> None:
    """A new worker that dies before it is Ready ends the reload at once; one that strangers keep killing, after a few times."""
    site = MovingSite(stage)
    with _quiet(site) as load:
        before = set(site.reloads.workers())

        ambush = Ambush(site.proxy.pid)
        site.proxy.signal(signal.SIGHUP)
        victim = ambush.next()
        os.kill(victim, signal.SIGSYS)  # what a sandbox sends that does not like a system call; nothing of ours catches it
        os.kill(victim, signal.SIGCONT)
        assert "signal 31" in site.reloads.failed(1)
        eventually(lambda: set(site.proxy.workers()) == before, "only the old workers are left")

        ambush = Ambush(site.proxy.pid)
        site.proxy.signal(signal.SIGHUP)
        deaths = 0
        while len(site.proxy.events("reload.failed")) < 2:
            assert deaths < 20, "it is killed again and again, and the reload goes on for ever"
            if (fresh := ambush.next_if_any()) is not None:
                os.kill(fresh, signal.SIGKILL)
                deaths += 1
        assert "signal 9" in site.reloads.failed(1)
        eventually(lambda: set(site.proxy.workers()) == before, "only the old workers are left")

        site.next_change()
        tally = load.stop()
    assert not tally.lost, told(tally)
    site.reloads.only_the_newest()


def test_never_ready(stage: Stage) -> None:
    """New workers that hang before they are Ready: after twenty seconds the reload is given up."""
    site = MovingSite(stage)
    with _quiet(site) as load:
        before = set(site.reloads.workers())
        ambush = Ambush(site.proxy.pid)
        site.proxy.signal(signal.SIGHUP)
        ambush.next()
        assert "not ready" in site.reloads.failed(1, within=NOT_READY + 15.0)
        eventually(lambda: set(site.proxy.workers()) == before, "only the old workers are left")
        site.next_change()
        tally = load.stop()
    assert not tally.lost, told(tally)
    site.reloads.only_the_newest()
