"""What tests share: certificate authorities, and lbproxy and its backends started and gone again."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
import trustme
from hypothesis import HealthCheck, settings

from tests.support.backends import App, Server
from tests.support.certificates import Authority
from tests.support.forms import touches_compiled
from tests.support.ports import free_port
from tests.support.process import ROOT, RUNNING, LbProxy
from tests.support.waiting import FOREVER
from tests.support.wire import Client

# A busy machine must not fail a property: how long an example takes says nothing about it.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of ours."""
    parser.addoption("--one-of-each", action="store_true", help="of most files the first test: every kind of scenario once")
    parser.addoption("--both-forms", action="store_true", help="only files in which compiled modules may have a part")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leaves out what says the same of both forms, if that is asked for."""
    if config.getoption("--both-forms") and collection_path.name.startswith("test_") and not touches_compiled(collection_path):
        return True
    return None


ALIKE = {
    "acme", "audit_live", "bad_config", "certificate_dates", "certificates", "closed_descriptors", "first_steps", "icap",
    "include", "key_files", "key_isolation", "lemonldap", "live_trust", "logrotate", "master_killed", "names", "operations",
    "operator", "package_replaced", "passphrases", "pid_one", "poor_machines", "popular_servers", "privileges",
    "reload_carries_over", "reload_refused", "reload_stop", "resolv_conf", "scanners", "secrets_in_memory", "slow_memory",
    "supervisord", "systemd", "taken_over", "tap", "waf", "walls", "worker_killed",
}  # fmt: skip
"""Kinds of scenarios that are about the master, its files and its machine, or about other programs: no compiled module has a part
in what they promise that another kind would not try."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves the first test of each file that may go otherwise in the other form, if that is asked for."""
    if config.getoption("--one-of-each"):
        first = {item.path: item for item in reversed(items) if item.path.stem.removeprefix("test_") not in ALIKE}
        config.hook.pytest_deselected(items=[item for item in items if first.get(item.path) is not item])
        items[:] = [item for item in items if first.get(item.path) is item]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tells scripts/test what was skipped, in the file TEST_SKIPPED."""
    if told := os.environ.get("TEST_SKIPPED"):
        reports = [report for report in terminalreporter.getreports("skipped") if isinstance(report.longrepr, tuple)]
        with open(told, "a", encoding="utf-8") as file:
            for report in reports:
                path, _, reason = report.longrepr
                file.write(f"{os.path.relpath(path, ROOT)}: {reason.removeprefix('Skipped: ')}\n")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Has every lbproxy on stage tell its side of a test that failed: what depends on luck is seldom seen twice."""
    report = yield
    if report.when == "call" and report.failed:
        for proxy in RUNNING:
            with suppress(Exception):  # the failure itself is told whatever becomes of this
                report.sections.append((f"lbproxy {proxy.pid}", proxy.testimony()))
    return report


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A certificate authority of this test run, with its root in a file."""
    return Authority(trustme.CA(), tmp_path_factory.mktemp("authority"))


PATIENT = dict.fromkeys(
    ("handshake", "request_head", "body_idle", "connect", "response_head", "write_stall", "proxy_header"), f"{FOREVER:.0f}s"
)
"""What a test is not about must not end it: on a machine that stands still for some seconds now and then, every one of the defaults
has run out under a test that never thought of it. What a test is about it says itself."""
PATIENT_HEALTH = {"timeout": f"{FOREVER:.0f}s"}
"""For a check of a backend, too."""


class Stage:
    """Puts backends and an lbproxy in front of them on stage for one test."""

    def __init__(self, directory: Path, authority: Authority, stack: ExitStack) -> None:
        self.directory, self.authority, self._stack = directory, authority, stack

    def app(self, name: str = "app") -> App:
        """A backend application."""
        return self._stack.enter_context(App(self.directory, name))

    def server(self, server: Server) -> Server:
        """Any other backend, started."""
        return self._stack.enter_context(server)

    def config(self, *backends: str, workers: int = 1, **tables: Any) -> dict[str, Any]:
        """One TLS listener, one pool with these backends. `tables` replace or add top-level tables (proxy, timeouts:
        merged); app: the pool."""
        certificate = self.authority.issue("localhost", "127.0.0.1", "::1")
        app = tables.pop("app", {})
        health = app.get("health", {})
        off = health.get("type") == "off"
        return {
            "proxy": {"workers": workers, **tables.pop("proxy", {})},
            "listen": [{"address": f"127.0.0.1:{free_port()}", "certificates": [certificate]}],
            "route": [{"pool": "app"}],
            "pool": {"app": {"backends": list(backends), **app, "health": health if off else {**PATIENT_HEALTH, **health}}},
            "timeouts": {**PATIENT, **tables.pop("timeouts", {})},
            **tables,
        }

    def proxy(self, *backends: str, workers: int = 1, **tables: Any) -> LbProxy:
        """A running lbproxy, see `config`."""
        return self.run(self.config(*backends, workers=workers, **tables))

    def run(
        self, config: dict[str, Any] | str, *, ready: bool = True, under: Sequence[str] = (), anew: bool = False
    ) -> LbProxy:
        """lbproxy started with this configuration, `under` a command if one is given; `anew`: executed, not forked."""
        number = len(list(self.directory.glob("lbproxy-*")))
        directory = self.directory / f"lbproxy-{number}"
        directory.mkdir()
        proxy = LbProxy(directory, config, under, anew=anew)
        self._stack.push(proxy)
        return proxy.start(ready=ready)

    def client(self, proxy: LbProxy, *, tls: bool = True, name: str = "localhost", listener: int = 0) -> Client:
        """A strict client connected to a listener of the proxy."""
        ca = self.authority.file if tls else None
        return self._stack.enter_context(Client(proxy.port(listener), ca=ca, name=name))


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Stage]:
    """What stays on stage for all tests of a file, since a start costs most of what a short scenario does: for those that neither
    change it nor look at what it counts. Whoever does puts something on `stage`."""
    with ExitStack() as stack:
        yield Stage(tmp_path_factory.mktemp("standing"), authority, stack)


@pytest.fixture(scope="module")
def proxy(standing: Stage) -> LbProxy:
    """A standing lbproxy with a TLS listener and an application behind it."""
    return standing.proxy(standing.app().address)


@pytest.fixture
def stage(tmp_path: Path, authority: Authority) -> Iterator[Stage]:
    """Everything put on stage is gone after the test, and what lbproxy left behind fails it."""
    with ExitStack() as stack:
        yield Stage(tmp_path, authority, stack)
