from __future__ import annotations

import time
from dataclasses import replace

import gevent
import pytest

from lbproxy.balance.backend import Backend
from lbproxy.balance.ledger import HealthState, Ledger, SlotState, Spoken, state_at
from lbproxy.config import model
from lbproxy.control import prober as prober_module
from lbproxy.control.backend_health import BackendHealth
from lbproxy.control.probe import OutOfMeans
from lbproxy.control.prober import Prober, declare_up, target_of
from lbproxy.health.outcome import PASSED, ProbeFinding, ProbeOutcome
from lbproxy.health.schedule import Pace
from lbproxy.ipc.messages import HealthChanged
from tests.unit.control.backends import OK, answering, closed_port, new_ledger, pool_of, resolved

FAST = model.HealthConfig(type="tcp", interval=0.02, fast_interval=0.02, down_interval=0.02, timeout=1.0, rise=2, fall=3)


def run_until_told(pool: model.PoolConfig, ledger: Ledger, count: int = 1) -> list[HealthChanged]:
    """Probe the pool's first backend until `count` changes were reported."""
    told: list[HealthChanged] = []
    done = gevent.event.Event()

    def report(change: HealthChanged) -> None:
        told.append(change)
        if len(told) == count:
            done.set()

    greenlet = gevent.spawn(Prober(pool, resolved(pool)[0], None, BackendHealth(ledger, 0), report).run, 0.0)
    try:
        assert done.wait(60), told
    finally:
        greenlet.kill()
    return told


def test_a_backend_that_listens_is_up_after_the_first_probe() -> None:
    """In the ledger with its time, and reported once."""
    ledger = new_ledger()
    before = time.time() * 1000 - 1
    with answering(OK) as backend:
        pool = pool_of("api", backend.port, health=FAST)
        assert run_until_told(pool, ledger) == [HealthChanged("api", f"127.0.0.1:{backend.port}", "up", "the check passed")]
    assert ledger.health(0) is HealthState.UP
    assert before <= ledger.cells[state_at(SlotState.HEALTH_SINCE_MS, 0)] <= time.time() * 1000 + 1
    assert ledger.cells[state_at(SlotState.CHECKS, 0)] == 1
    assert ledger.cells[state_at(SlotState.CHECK_FAILURES, 0)] == 0


def test_a_backend_that_does_not_is_down() -> None:
    """With the reason."""
    ledger = new_ledger()
    pool = pool_of("api", closed_port(), health=FAST)
    change = run_until_told(pool, ledger)[0]
    assert (change.state, change.why) == ("down", "connection refused")
    assert ledger.health(0) is HealthState.DOWN
    assert ledger.cells[state_at(SlotState.CHECK_FAILURES, 0)] == 1


@pytest.mark.parametrize(("answer", "spoken"), [
    (OK, Spoken.CURRENT),
    (b"HTTP/1.0 503 No\r\n\r\n", Spoken.OLD),
    (b"HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", Spoken.CURRENT),
    (b"SSH-2.0-x\r\n", Spoken.UNHEARD),
])  # fmt: skip
@pytest.mark.parametrize("elsewhere", [False, True])
def test_which_http_a_backend_speaks(answer: bytes, spoken: Spoken, elsewhere: bool) -> None:
    """Is heard by its checks, unless they go to another port: that may be another server."""
    ledger = new_ledger()
    health = replace(FAST, type="http", path="/")
    with answering(answer) as backend:
        if elsewhere:
            pool = pool_of("api", closed_port(), health=replace(health, port=backend.port))
        else:
            pool = pool_of("api", backend.port, health=health)
        run_until_told(pool, ledger)
    assert ledger.spoken(0) == (Spoken.UNHEARD if elsewhere else spoken)


def scripted(monkeypatch: pytest.MonkeyPatch, findings: list[ProbeFinding | OutOfMeans]) -> None:
    """Replace the network by a list; when it ends, the last finding repeats."""

    def probe(_target: object, _heard: object) -> ProbeFinding:
        finding = findings.pop(0) if len(findings) > 1 else findings[0]
        if isinstance(finding, OutOfMeans):
            raise finding
        return finding

    monkeypatch.setattr(prober_module, "probe", probe)


def test_rise_and_fall_and_the_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three failures down, two passes up; each probe counted."""
    refused = ProbeFinding(ProbeOutcome.REFUSED)
    scripted(monkeypatch, [PASSED, refused, refused, refused, PASSED, PASSED])
    ledger = new_ledger()
    told = run_until_told(pool_of("api", 80, health=FAST), ledger, 3)
    assert [change.state for change in told] == ["up", "down", "up"]
    assert ledger.cells[state_at(SlotState.CHECKS, 0)] == 6
    assert ledger.cells[state_at(SlotState.CHECK_FAILURES, 0)] == 3


def test_our_own_trouble_counts_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """No check counted, no verdict touched."""
    scripted(monkeypatch, [OutOfMeans("no descriptors")] * 5 + [PASSED])
    ledger = new_ledger()
    assert run_until_told(pool_of("api", 80, health=FAST), ledger)[0].state == "up"
    assert ledger.cells[state_at(SlotState.CHECKS, 0)] == 1


@pytest.mark.parametrize(
    ("known", "findings", "probes"),
    [
        (HealthState.UP, [ProbeFinding(ProbeOutcome.REFUSED)], 3),
        (HealthState.DOWN, [PASSED], 2),
    ],
)
def test_a_replaced_process_goes_on_from_the_ledger(
    monkeypatch: pytest.MonkeyPatch, known: HealthState, findings: list[ProbeFinding | OutOfMeans], probes: int
) -> None:
    """A known state is not decided by the first probe again, nor reported again."""
    scripted(monkeypatch, findings)
    ledger = new_ledger()
    ledger.cells[state_at(SlotState.HEALTH, 0)] = known
    told = run_until_told(pool_of("api", 80, health=FAST), ledger)
    assert len(told) == 1
    assert ledger.cells[state_at(SlotState.CHECKS, 0)] == probes


def test_without_checks_a_backend_is_up_once() -> None:
    """Reported only when it was not up already."""
    ledger = new_ledger()
    told: list[HealthChanged] = []
    backend = Backend("api", "a:80", "a", "127.0.0.1", 80, 1, 0, 5)
    declare_up(backend, BackendHealth(ledger, 5), told.append)
    declare_up(backend, BackendHealth(ledger, 5), told.append)
    assert told == [HealthChanged("api", "a:80", "up", "health checks are off")]
    assert ledger.health(5) is HealthState.UP


def test_targets() -> None:
    """What is probed follows the pool: tcp without a request, http with its settings, the name for TLS."""
    backend = Backend("api", "app.test:8443", "app.test", "10.0.0.1", 8443, 1, 0, 0)
    tcp = target_of(model.PoolConfig("api", (), health=model.HealthConfig(timeout=1.5)), backend, None)
    assert (tcp.ip, tcp.port, tcp.timeout, tcp.request) == ("10.0.0.1", 8443, 1.5, None)

    health = model.HealthConfig(type="http", method="HEAD", path="/up", expect=(204, 204))
    http = target_of(model.PoolConfig("api", (), health=health), backend, None)
    assert http.request is not None
    assert http.request.startswith(b"HEAD /up HTTP/1.1\r\nHost: app.test:8443\r\n")
    assert (http.expect, http.server_name) == ((204, 204), "app.test")

    named = model.HealthConfig(type="http", host="public.test")
    tls = target_of(model.PoolConfig("api", (), health=named, tls=model.PoolTlsConfig(server_name="inside.test")), backend, None)
    assert tls.request is not None
    assert b"\r\nHost: public.test\r\n" in tls.request
    assert tls.server_name == "inside.test"

    six = target_of(model.PoolConfig("api", (), health=health), Backend("api", "[::1]:80", "::1", "::1", 80, 1, 0, 0), None)
    assert six.request is not None
    assert b"\r\nHost: [::1]:80\r\n" in six.request
    assert http.body is None

    aside = target_of(model.PoolConfig("api", (), health=replace(health, port=81, headers=(("X-A", "b"),))), backend, None)
    assert aside.port == 81
    assert aside.request is not None
    assert b"\r\nX-A: b\r\n" in aside.request
    local = target_of(model.PoolConfig("api", (), health=health), Backend("api", "unix:/s", "unix:/s", "unix:/s", 0, 1, 0, 0), None)
    assert local.ip == "unix:/s"
    assert local.request is not None
    assert b"\r\nHost: localhost\r\n" in local.request
    handshake = target_of(
        model.PoolConfig("api", (), health=model.HealthConfig(type="tls"), tls=model.PoolTlsConfig()), backend, None
    )
    assert (handshake.request, handshake.server_name) == (None, "app.test")
    wanted = target_of(model.PoolConfig("api", (), health=model.HealthConfig(type="http", body="all up")), backend, None)
    assert wanted.body == b"all up"


def test_hurry_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """A probe at once, however long the interval."""
    scripted(monkeypatch, [PASSED])
    ledger = new_ledger()
    never = model.HealthConfig(interval=3600, fast_interval=3600, down_interval=3600)
    pool = pool_of("api", 80, health=never)
    monkeypatch.setattr(prober_module, "HURRY", 0.0)
    prober = Prober(pool, resolved(pool)[0], None, BackendHealth(ledger, 0), lambda change: None)
    greenlet = gevent.spawn(prober.run, 3600)
    try:
        for checks in (1, 2, 3):
            prober.hurry()
            with gevent.Timeout(60):
                while ledger.cells[state_at(SlotState.CHECKS, 0)] < checks:
                    gevent.sleep(0.001)
    finally:
        greenlet.kill()
    assert ledger.cells[state_at(SlotState.CHECKS, 0)] == 3


def test_the_pace_follows_the_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steady while up, fast while one failure is not enough yet, slow while down."""
    asked: list[tuple[bool, bool]] = []

    def interval(_pace: object, *, down: bool, changing: bool) -> float:
        asked.append((down, changing))
        return 0.001

    monkeypatch.setattr(Pace, "interval", interval)
    refused = ProbeFinding(ProbeOutcome.REFUSED)
    scripted(monkeypatch, [PASSED, refused, refused, refused, PASSED, PASSED])
    run_until_told(pool_of("api", 80, health=FAST), new_ledger(), 3)
    assert asked[:5] == [(False, False), (False, True), (False, True), (True, False), (True, True)]


@pytest.mark.parametrize(
    ("outcome", "health"), [(ProbeOutcome.REFUSED, HealthState.UNKNOWN), (ProbeOutcome.CONNECT_TIMEOUT, HealthState.DOWN)]
)
def test_who_is_doubted_takes_part_and_is_asked_at_once(
    monkeypatch: pytest.MonkeyPatch, outcome: ProbeOutcome, health: HealthState
) -> None:
    """But for where requests would hang. When it is asked next, and what it said, stands in the ledger."""
    scripted(monkeypatch, [ProbeFinding(outcome)])
    ledger = new_ledger()
    pool = pool_of("api", 80, health=model.HealthConfig(interval=3600, fast_interval=3600, down_interval=3600))
    told: list[HealthChanged] = []
    prober = Prober(pool, resolved(pool)[0], None, BackendHealth(ledger, 0), told.append)
    greenlet = gevent.spawn(prober.run, 0.0)
    try:
        with gevent.Timeout(60):
            while not ledger.cells[state_at(SlotState.NEXT_CHECK_MS, 0)]:
                gevent.sleep(0.001)
        assert prober.down
        assert ledger.cells[state_at(SlotState.NEXT_CHECK_MS, 0)] > (time.time() + 3000) * 1000
        assert ledger.cells[state_at(SlotState.WHY, 0)] > 0
        prober.doubt()
        assert ledger.health(0) is health
        with gevent.Timeout(60):
            while ledger.cells[state_at(SlotState.CHECKS, 0)] < 2:
                gevent.sleep(0.001)
        assert ledger.health(0) is HealthState.DOWN
    finally:
        greenlet.kill()
