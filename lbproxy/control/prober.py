"""Probing one backend for as long as this process lives: schedule, probe, verdict, ledger.

One greenlet per backend in the one control process of the machine, so what a backend sees of probes does not grow with workers.
What it finds goes to the backend's BackendHealth.
"""

from __future__ import annotations

import random
import ssl
import time
from collections.abc import Callable
from typing import NoReturn

from gevent.event import Event

from lbproxy.balance.backend import Backend
from lbproxy.config.model import Address, PoolConfig
from lbproxy.control.backend_health import BackendHealth
from lbproxy.control.probe import OutOfMeans, probe
from lbproxy.control.target import ProbeTarget
from lbproxy.health import schedule
from lbproxy.health.outcome import PASSED, ProbeFinding, ProbeOutcome
from lbproxy.health.rise_and_fall import CheckState, RiseAndFall
from lbproxy.http.h1 import health_check
from lbproxy.http.h2 import grpc_health
from lbproxy.ipc.messages import HealthChanged
from lbproxy.observe.log import get_logger
from lbproxy.prelude.announce import LOCAL
from lbproxy.tls.backend_tls import BackendTls

STATE_WORDS = {CheckState.UP: "up", CheckState.DOWN: "down"}

HURRY = 0.25
"""Seconds from start to start of probes that failures of traffic bring about."""

UNIX_HOST = "localhost"
"""What a check of a Unix socket says as Host, as nginx does: it is this machine."""

Report = Callable[[HealthChanged], None]


class Prober:
    """One backend's health. `run` never returns; kill its greenlet."""

    def __init__(
        self,
        pool: PoolConfig,
        backend: Backend,
        context: ssl.SSLContext | None,
        health: BackendHealth,
        report: Report,
        on_up: Callable[[Prober], None] = lambda prober: None,
    ) -> None:
        """`on_up`: told when its verdict has turned to up."""
        self._on_up = on_up
        self._last = PASSED
        self._pool = pool
        self._backend = backend
        self._pace = schedule.Pace(pool.health.interval, pool.health.fast_interval, pool.health.down_interval)
        self._wake = Event()
        self._started = 0.0
        self._target = target_of(pool, backend, context)
        self._health = health
        # A replaced control process, or one of a new generation, goes on from what is known.
        self._checks = RiseAndFall(pool.health.rise, pool.health.fall, health.check_state)
        self._report = report

    def __repr__(self) -> str:
        return f"<Prober {self._backend.identity} {self._checks!r}>"

    def run(self, first_delay: float) -> NoReturn:
        """Probe for ever, the first time after `first_delay` seconds."""
        delay = first_delay
        while True:
            self._wake.wait(delay)
            self._wake.clear()
            self._started = started = time.monotonic()
            self._once()
            checks = self._checks
            interval = self._pace.interval(down=checks.state is CheckState.DOWN, changing=checks.changing)
            # Spreading load is no secret: any randomness will do.
            delay = schedule.following(started, time.monotonic(), interval, random.random())  # noqa: S311
            self._health.asked_next(time.time() + delay)

    def hurry(self) -> None:
        """Traffic met something: probe now, or right after the probe that is under way, but not more often than HURRY allows."""
        if time.monotonic() - self._started >= HURRY:
            self._wake.set()

    def renew(self, context: ssl.SSLContext) -> None:
        """Shake hands with this one from now on: what is known may be known no more."""
        self._target = target_of(self._pool, self._backend, context)
        self.hurry()

    @property
    def down(self) -> bool:
        """Its checks say so."""
        return self._checks.state is CheckState.DOWN

    def doubt(self) -> None:
        """One of the pool is up again after all of them were down: whether this one is, too, is asked at once.

        Until then it takes part, unless requests would hang there: who refuses costs nobody anything.
        """
        if self._checks.state is not CheckState.DOWN:
            return
        if self._last.outcome not in (ProbeOutcome.CONNECT_TIMEOUT, ProbeOutcome.UNREACHABLE):
            self._checks.doubt()
            self._health.doubted()
        self._wake.set()

    def _heard(self, minor: int) -> None:
        if self._target.port == self._backend.port:  # what answers checks at another port may be another server
            self._health.heard(minor)

    def _once(self) -> None:
        try:
            finding = probe(self._target, self._heard)
        except OutOfMeans as error:
            get_logger().warning("health check not possible", backend=self._backend.identity, why=str(error))
            return
        self._last = finding
        self._health.counted(finding)
        change = self._checks.observe(finding)
        if change is not None:
            self._health.set_check_state(change.state, finding)
            self._report(HealthChanged(self._backend.pool, self._backend.name, STATE_WORDS[change.state], change.why))
            if change.state is CheckState.UP:
                self._on_up(self)


def declare_up(backend: Backend, health: BackendHealth, report: Report) -> None:
    """The backend of a pool without checks counts as up, from now on."""
    if health.check_state is not CheckState.UP:
        health.set_check_state(CheckState.UP, PASSED)
        report(HealthChanged(backend.pool, backend.name, "up", "health checks are off"))


def declare_down(backend: Backend, health: BackendHealth, report: Report) -> None:
    """There is nothing to check as long as nobody knows where it is."""
    finding = ProbeFinding(ProbeOutcome.UNKNOWN_NAME)
    health.set_check_state(CheckState.DOWN, finding)
    report(HealthChanged(backend.pool, backend.name, "down", str(finding)))


def target_of(pool: PoolConfig, backend: Backend, context: ssl.SSLContext | None) -> ProbeTarget:
    """What a backend's probe looks like by its pool's settings."""
    made = _target_of(pool, backend, context)
    if pool.proxy_protocol is not None and not pool.health.port:  # at another port is another server, which expects no header
        made = made._replace(introduction=LOCAL[pool.proxy_protocol])
    settings = pool.tls
    if made.context is None or settings is None:
        return made
    # Every probe shakes hands in full: it asks whether a newcomer could.
    return made._replace(encryption=BackendTls(settings, made.context, resumes=False))


def _target_of(pool: PoolConfig, backend: Backend, context: ssl.SSLContext | None) -> ProbeTarget:
    health = pool.health
    port = health.port or backend.port
    if health.type == "tcp":
        return ProbeTarget(backend.ip, port, health.timeout)
    server_name = (pool.tls.server_name if pool.tls else None) or backend.host.removesuffix(".")
    protocol = pool.protocol if pool.tls is not None or pool.protocol == "h2" else "http/1.1"
    if health.type == "tls":
        return ProbeTarget(backend.ip, port, health.timeout, context=context, server_name=server_name, protocol=protocol)
    host = health.host or (UNIX_HOST if backend.written.path else str(Address(backend.host.removesuffix("."), port)))
    if health.type == "grpc":
        fields = (("Content-Type", "application/grpc"), ("TE", "trailers"))
        request = health_check.request("POST", grpc_health.PATH, host, fields)
        question = grpc_health.question(health.service or "")
        return ProbeTarget(
            backend.ip, port, health.timeout, request, context=context, server_name=server_name, protocol="h2", message=question
        )  # fmt: skip
    request = health_check.request(health.method, health.path, host, health.headers)
    body = None if health.body is None else health.body.encode()
    line_feeds = "bare_lf" in pool.tolerate
    return ProbeTarget(
        backend.ip, port, health.timeout, request, health.expect, context, server_name, body, line_feeds, protocol
    )  # fmt: skip
