"""Backends by name: a real name server whose answers change, go away and come back, while requests go on."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
import toml

from tests.conftest import Stage
from tests.support.backends import App
from tests.support.load import Load, faults_in
from tests.support.nameserver import NameServer
from tests.support.ports import free_port
from tests.support.process import LbProxy, run_cli
from tests.support.reloads import Reloads
from tests.support.waiting import eventually

NAME = "app.test"
HEALTH = {"health": {"interval": "300ms", "timeout": "200ms", "fast_interval": "100ms"}}


class World:
    """A name server, applications on loopback addresses of their own with one port, and an lbproxy that knows their name."""

    def __init__(self, stage: Stage, stack: ExitStack, apps: int) -> None:
        self.server = stack.enter_context(NameServer(stage.directory))
        self.port = free_port()
        hosts = [f"127.0.{os.getpid() % 200 + 1}.{number + 1}" for number in range(apps)]
        self.apps = [App(stage.directory, host, host, self.port) for host in hosts]
        for app in self.apps:
            stack.callback(app.kill)
        with ThreadPoolExecutor() as threads:
            list(threads.map(App.start, self.apps))
        self.written = f"{NAME}:{self.port}"
        self._stage = stage

    def start(self, *numbers: int, **tables: Any) -> LbProxy:
        """With these addresses in the beginning."""
        self.point(*numbers)
        proxy = {"resolvers": [self.server.address], "control": "c.sock", "drain_timeout": "2s", **tables.pop("proxy", {})}
        return self._stage.proxy(self.written, workers=2, proxy=proxy, app={**HEALTH, **tables.pop("app", {})}, **tables)

    def point(self, *numbers: int) -> None:
        """The name has these addresses from now on."""
        self.server.say(NAME, [self.apps[number].host for number in numbers])

    def called(self, number: int) -> str:
        """What the backend is called in logs and commands."""
        return f"{NAME}@{self.apps[number].host}:{self.port}"


@pytest.fixture
def world(stage: Stage, request: pytest.FixtureRequest) -> Iterator[World]:
    """With as many applications as the test says, or two."""
    with ExitStack() as stack:
        yield World(stage, stack, getattr(request, "param", 2))


def status(proxy: LbProxy) -> dict[str, Any]:
    ended = run_cli("status", "--json", "--verify", "-c", str(proxy.file))
    assert ended.returncode == 0, ended
    answer: dict[str, Any] = json.loads(ended.stdout)
    return answer


def backends(proxy: LbProxy) -> dict[str, dict[str, Any]]:
    return {backend["name"]: backend for backend in status(proxy)["pools"][0]["backends"]}


def asked(stage: Stage, proxy: LbProxy, times: int = 8) -> set[str]:
    """Who answers, on connections of their own."""
    return {json.loads(stage.client(proxy).request("GET", "/echo").body)["name"] for _ in range(times)}


@pytest.mark.parametrize("world", [3], indirect=True)
def test_addresses_come_and_go_under_load(stage: Stage, world: World) -> None:
    """No request is lost, the newcomer gets its share, who left gets nothing. Workers and programs that come later know it, and
    what was ordered for the name holds for addresses to come."""
    proxy = world.start(0, 1)
    _, second, third = (app.host for app in world.apps)
    proxy.wait_up(world.called(0), world.called(1))
    with Load(proxy.port(), stage.authority.file, connections=8) as load:
        proxy.wait_access(count=50, backend=world.called(0))
        world.point(1, 2)
        changed = proxy.wait_event("names.changed", within=60)
        assert (changed["pool"], changed["name"]) == ("app", world.written)
        assert (changed["added"], changed["removed"]) == ([world.called(2)], [world.called(0)])
        proxy.wait_access(count=50, backend=world.called(2))
        before = world.apps[0].state()["requests"]
        proxy.wait_access(count=len(proxy.access()) + 200)
        assert world.apps[0].state()["requests"] == before + 1  # this question
        world.apps[0].kill()  # nobody notices
        proxy.wait_access(count=len(proxy.access()) + 100)
        outcomes = load.stop()
    assert not faults_in(outcomes), (outcomes, load.faults[:5])
    idle = dict.fromkeys(map(world.called, (1, 2)), 0)
    eventually(lambda: {name: one["in_flight"] for name, one in backends(proxy).items()} == idle, "none is left")

    os.kill(proxy.workers()[0], signal.SIGKILL)
    proxy.wait_event("worker.ready", skip=2)
    assert asked(stage, proxy, 12) == {second, third}
    proxy.signal(signal.SIGUSR2)
    proxy.wait_event("reloaded", generation=2, within=60)
    assert set(backends(proxy)) == {world.called(1), world.called(2)}
    world.point(2)
    proxy.wait_event("names.changed", skip=1, within=60)
    assert asked(stage, proxy, 4) == {third}

    drained = run_cli("backend", "drain", world.written, "-c", str(proxy.file))
    assert drained.stdout.startswith(f"app/{world.written} is drained"), drained
    world.point(1, 2)
    proxy.wait_event("names.changed", skip=2, within=60)
    assert {name: one["admin"] for name, one in backends(proxy).items()} == dict.fromkeys(map(world.called, (1, 2)), "drained")


def test_an_outage_of_the_name_server_is_none_of_ours(stage: Stage, world: World) -> None:
    """Names that are gone, and servers that are, keep what was known, over a reload and in a new control process."""
    proxy = world.start(0)
    proxy.wait_up(world.called(0))
    world.point()
    failed = proxy.wait_event("names.failed", within=60)
    assert (failed["name"], failed["why"], failed["kept"]) == (NAME, "no such name (NXDOMAIN)", [world.apps[0].host])
    world.server.kill()
    Reloads(proxy).reload()
    assert asked(stage, proxy, 2) == {world.apps[0].host}
    failed = proxy.wait_event("names.failed", within=60, generation=2)
    assert failed["why"] == f"no answer within 5 s from {world.server.address}"
    world.point(0, 1)
    world.server.start()
    assert proxy.wait_event("names.recovered", within=60)["addresses"] == [app.host for app in world.apps[:2]]
    proxy.wait_up(world.called(1))
    assert asked(stage, proxy) == {app.host for app in world.apps[:2]}


def test_a_name_of_the_hosts_file_and_one_that_nobody_knows(stage: Stage) -> None:
    """The first needs no server; the second is no backend."""
    app = stage.app()
    proxy = stage.proxy(f"localhost:{app.port}")
    proxy.wait_up(f"localhost@127.0.0.1:{app.port}")
    assert asked(stage, proxy, 1) == {"app"}
    proxy.config["pool"]["app"]["backends"].append("no-such-name.invalid:80")
    why = Reloads(proxy)
    why.write(proxy.config)
    proxy.signal(signal.SIGHUP)
    assert 'cannot resolve "no-such-name.invalid": no such name' in why.fail()


def test_a_name_that_comes_after_the_start(stage: Stage, world: World) -> None:
    """on_unknown_name = "start": it serves, that backend is down and says why, and takes part without a reload once it is known;
    the others serve from the beginning."""
    fixed = stage.app("fixed")
    world.server.say("other.test", ["127.0.0.1"])
    proxy = {"resolvers": [world.server.address], "control": "c.sock", "on_unknown_name": "start"}
    running = stage.proxy(world.written, fixed.address, proxy=proxy, app=HEALTH)
    assert f'cannot resolve "{NAME}": no such name' in running.wait_event("config.warning")["why"]
    running.wait_event("backend.down", backend=world.written)
    assert asked(stage, running, 4) == {"fixed"}
    assert backends(running)[world.written]["health"] == "down"
    assert run_cli("check", "-c", str(running.file)).returncode == 0
    world.point(0)
    running.wait_up(world.called(0))
    assert world.apps[0].host in asked(stage, running, 8)
    assert world.written not in backends(running)


@pytest.mark.parametrize(("server", "code"), [("known", 1), ("silent", 75)])
def test_a_start_that_may_succeed_in_a_moment_says_so(stage: Stage, world: World, server: str, code: int) -> None:
    """Name servers that do not answer are worth another try (the shipped systemd unit makes it), a name that they do not know is
    not; in the foreground and as a daemon."""
    resolvers = [world.server.address if server == "known" else f"127.0.0.1:{free_port()}"]
    config = stage.config(world.written, proxy={"resolvers": resolvers})
    file = stage.directory / "refused.toml"
    file.write_text(toml.dumps(config))
    for how in ([], ["--daemon"]):
        ended = run_cli("start", "-c", str(file), *how)
        assert (ended.returncode, f'cannot resolve "{NAME}"' in ended.stderr) == (code, True), ended


def test_name_servers_that_do_not_answer_hold_nobody(stage: Stage) -> None:
    """A reload with new names waits for them, and the master goes on meanwhile: it replaces a worker, answers, and stops."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        control = str(stage.directory / "c.sock")
        resolvers = [f"127.0.0.1:{deaf.getsockname()[1]}"]
        proxies = {"control": control, "resolvers": resolvers, "on_unknown_name": "start"}
        config = stage.config(stage.app().address, proxy=proxies)
        proxy = stage.run(config)
        config["pool"]["app"]["backends"] += [f"new-{number}.test:80" for number in range(10)]
        proxy.file.write_text(toml.dumps(config))
        [worker] = proxy.wait_workers(1)
        proxy.signal(signal.SIGHUP)
        proxy.wait_event("reload.begun")
        os.kill(worker, signal.SIGKILL)
        eventually(lambda: proxy.workers() not in ([], [worker]), "another worker")
        assert run_cli("status", "--control", control).returncode == 0
        assert stage.client(proxy).request("GET", "/echo").status == 200
        assert not proxy.events("reloaded"), "that was in the middle of it"
        proxy.wait_event("reloaded")
        assert [one["why"] for one in proxy.events("config.warning") if "new-9.test" in one["why"]]
        config["pool"]["app"]["backends"].append("newer.test:80")
        proxy.file.write_text(toml.dumps(config))
        proxy.signal(signal.SIGHUP)
        proxy.wait_event("reload.begun", skip=1)
        assert proxy.stop() == 0
        assert len(proxy.events("reloaded")) == 1
