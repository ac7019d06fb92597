"""Everything that is opened before the first fork, and that nothing stays open when it fails."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lbproxy.balance.ledger import RETIRED, SLOTS, HealthState, PerSlot, SlotState, cell_at, state_at
from lbproxy.config.model import (
    Address,
    BackendConfig,
    CertificateConfig,
    Config,
    LimitsConfig,
    ListenConfig,
    ListenTlsConfig,
    LogConfig,
    MetricsConfig,
    PoolConfig,
    ProcessConfig,
    RouteConfig,
)
from lbproxy.errors import StartError
from lbproxy.http.h2 import offered as h2
from lbproxy.master.fleet.events import FleetTerms
from lbproxy.master.resources.generation import GenerationResources
from lbproxy.master.resources.prepare import MOST_WORKERS, count_workers, prepare, provide
from lbproxy.master.resources.shared import MasterResources
from tests.support.ports import free_port
from tests.unit.tls.files import pair

Resources = tuple[MasterResources, GenerationResources]


def config_of(tmp_path: Path) -> Config:
    pool = PoolConfig("web", (BackendConfig(Address("127.0.0.1", 9001)), BackendConfig(Address("127.0.0.1", 9002))))
    return Config(
        "proxy.toml",
        listen=(ListenConfig(Address("127.0.0.1", free_port())),),
        routes=(RouteConfig("web"),),
        pools=(pool,),
        proxy=ProcessConfig(workers=3, pid_file=tmp_path / "pid"),
        log=LogConfig(access=str(tmp_path / "access.log")),
        metrics=MetricsConfig(Address("127.0.0.1", free_port())),
        limits=LimitsConfig(connections_per_worker=100),
    )


def tls_listen(certificate: CertificateConfig) -> ListenConfig:
    return ListenConfig(Address("127.0.0.1", free_port()), (certificate,))


def descriptors() -> set[str]:
    found = set()
    for fd in os.listdir("/proc/self/fd"):
        try:
            found.add(f"{fd} {os.readlink(f'/proc/self/fd/{fd}')}")
        except FileNotFoundError:
            continue  # the listing's own
    return found


def test_all_of_it(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    shared, resources = prepare(config)
    try:
        [listener] = resources.listeners
        assert listener.listen is config.listen[0]
        assert listener.socket.getsockname() == tuple(config.listen[0].address)
        assert (listener.outer, listener.shown) == (None, None)  # no certificates: plain
        assert resources.workers == 3
        assert [backend.slot for backend in resources.backends["web"]] == [0, 1]
        assert os.readlink(f"/proc/self/fd/{resources.access_fd}") == config.log.access
        assert resources.metrics_socket is not None
        assert resources.slots == {0, 1, *(listening.slot for listening in resources.listeners)}
        assert resources.terms == FleetTerms(3, 30.0, 3600.0)
        assert shared.sockets == {config.listen[0].address: listener.socket, config.metrics.address: resources.metrics_socket}
        assert shared.warnings == []
        assert shared.pid_file is not None
        assert (tmp_path / "pid").exists()
    finally:
        resources.close()
        resources.close()  # twice is fine
        shared.close()
    assert not (tmp_path / "pid").exists()
    assert listener.socket.fileno() < 0


@pytest.mark.parametrize("fault", ["listen", "metrics", "log", "pid", "backend"])
def test_a_failure_leaves_nothing_open_and_no_pid_file(tmp_path: Path, fault: str) -> None:
    config = config_of(tmp_path)
    nowhere = Address("192.0.2.1", 9)  # RFC 5737: nobody's address
    faulty = {
        "listen": replace(config, listen=(*config.listen, ListenConfig(nowhere))),
        "metrics": replace(config, metrics=MetricsConfig(nowhere)),
        "log": replace(config, log=LogConfig(access=str(tmp_path / "no" / "access.log"))),
        "pid": replace(config, proxy=ProcessConfig(workers=1, pid_file=Path("/proc/lbproxy.pid"))),
        "backend": replace(config, pools=(PoolConfig("web", (BackendConfig(Address("gone.invalid", 1)),)),)),
    }[fault]
    before = descriptors()
    with pytest.raises(StartError):
        prepare(faulty)
    assert descriptors() == before
    assert not (tmp_path / "pid").exists()


def test_too_many_workers_are_refused_with_the_number(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    with pytest.raises(StartError, match=rf"^proxy\.toml: proxy\.workers: wanted at most {MOST_WORKERS}, came {RETIRED}$"):
        count_workers(replace(config, proxy=ProcessConfig(workers=RETIRED)))
    assert 1 <= count_workers(replace(config, proxy=ProcessConfig(workers=0))) <= MOST_WORKERS


def test_too_few_descriptors_are_a_warning(tmp_path: Path) -> None:
    config = replace(config_of(tmp_path), limits=LimitsConfig(connections_per_worker=2**40))
    shared, resources = prepare(config)
    resources.close()
    shared.close()
    [(event, why)] = shared.warnings
    assert event == "limits.files"
    assert "open files" in why


@pytest.mark.parametrize(("missing", "warned"), [("HTTP/2 is not offered: No module named 'ngh2'", ["h2.missing"]), ("", [])])
def test_without_its_library_http2_is_not_offered_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str, warned: list[str]
) -> None:
    """Where a listener would have offered it."""
    monkeypatch.setattr(h2, "MISSING", missing)
    certificate, port = pair(tmp_path, "a.test"), free_port()
    config = replace(config_of(tmp_path), listen=(ListenConfig(Address("127.0.0.1", port), (certificate,)),))
    shared, resources = prepare(config)
    resources.close()
    shared.close()
    assert [event for event, _ in shared.warnings] == warned


# ---------------------------------------------------------------- the next generation


@pytest.fixture
def first(tmp_path: Path) -> Iterator[tuple[MasterResources, GenerationResources]]:
    """An lbproxy that runs."""
    shared, resources = prepare(config_of(tmp_path))
    yield shared, resources
    resources.close()
    shared.close()


def test_a_second_generation_listens_on_the_same_sockets(first: Resources) -> None:
    """All its connections wait in one queue; the log is its own."""
    shared, old = first
    new = provide(shared, old.config, [old])
    assert new.listeners[0].socket is old.listeners[0].socket
    assert new.metrics_socket is old.metrics_socket
    assert new.backends == old.backends
    assert new.access_fd != old.access_fd
    new.close()
    os.fstat(old.access_fd)  # the old one's log is open
    assert old.listeners[0].socket.fileno() >= 0


def test_new_listeners_are_bound_and_old_ones_stay_until_they_are_dropped(first: Resources) -> None:
    shared, old = first
    kept, added = old.config.listen[0].address, Address("127.0.0.1", free_port())
    moved = MetricsConfig(Address("127.0.0.1", free_port()))
    new = provide(shared, replace(old.config, listen=(*old.config.listen, ListenConfig(added)), metrics=moved), [old])
    assert [one.listen.address for one in new.listeners] == [kept, added]
    assert new.addresses == {kept, added, moved.address}
    assert set(shared.sockets) == new.addresses | old.addresses  # both generations are served until one is not any more
    with socket.create_connection(added, 60):
        pass
    shared.stop_listening(keep=new.addresses)
    assert set(shared.sockets) == new.addresses
    assert old.metrics_socket is not None
    assert old.metrics_socket.fileno() < 0
    assert new.listeners[0].socket.fileno() >= 0
    new.close()


@pytest.mark.parametrize("fault", ["listen", "metrics", "log", "backend", "certificate", "slots", "workers"])
def test_what_cannot_be_had_leaves_the_estate_as_it_was(first: Resources, fault: str, tmp_path: Path) -> None:
    """What was opened on the way is closed; what runs is not."""
    shared, old = first
    nowhere = Address("192.0.2.1", 9)  # RFC 5737: nobody's address
    here = ListenConfig(Address("127.0.0.1", free_port()))  # this one could be had
    wanted = replace(old.config, listen=(*old.config.listen, here), metrics=MetricsConfig(Address("127.0.0.1", free_port())))
    crowd = tuple(BackendConfig(Address("127.0.0.1", 1 + number)) for number in range(SLOTS - 1))
    faulty = {
        "listen": replace(wanted, listen=(*wanted.listen, ListenConfig(nowhere))),
        "metrics": replace(wanted, metrics=MetricsConfig(nowhere)),
        "log": replace(wanted, log=LogConfig(access=str(tmp_path / "no" / "access.log"))),
        "backend": replace(wanted, pools=(PoolConfig("web", (BackendConfig(Address("gone.invalid", 1)),)),)),
        "certificate": replace(
            wanted, listen=(*wanted.listen, tls_listen(CertificateConfig(tmp_path / "no.crt", tmp_path / "no.key")))
        ),
        "slots": replace(wanted, pools=(PoolConfig("other", crowd),)),
        "workers": replace(wanted, proxy=ProcessConfig(workers=RETIRED)),
    }[fault]
    before = (descriptors(), dict(shared.sockets), dict(shared.outers), shared.slot_table.as_dict())
    with pytest.raises(StartError):
        provide(shared, faulty, [old])
    assert (descriptors(), dict(shared.sockets), dict(shared.outers), shared.slot_table.as_dict()) == before
    with socket.create_connection(old.config.listen[0].address, 60):
        pass


def with_backends(config: Config, *ports: int) -> Config:
    return replace(config, pools=(PoolConfig("web", tuple(BackendConfig(Address("127.0.0.1", port)) for port in ports)),))


def test_backends_that_stay_keep_their_counts_and_new_ones_begin_at_zero(first: Resources) -> None:
    shared, old = first
    cells = shared.ledger.cells
    shared.ledger.open_row(0)
    for slot in (0, 1, 2, 3):  # the third is the listener's
        cells[cell_at(0, PerSlot.REQUESTS, slot)] = 7 + slot
        cells[state_at(SlotState.HEALTH, slot)] = HealthState.UP
    new = provide(shared, with_backends(old.config, 9002, 9003), [old], old)
    assert {backend.port: backend.slot for backend in new.backends["web"]} == {9002: 1, 9003: 3}
    assert [shared.ledger.slot_total(PerSlot.REQUESTS, slot) for slot in (0, 1, 3)] == [7, 8, 0]
    assert [listening.slot for listening in (*old.listeners, *new.listeners)] == [2, 2]
    assert [shared.ledger.health(slot) for slot in (0, 1, 3)] == [HealthState.UP, HealthState.UP, HealthState.UNKNOWN]
    new.close()


def test_a_backend_that_comes_back_has_its_counts_and_is_looked_at_again(first: Resources) -> None:
    shared, old = first
    shared.ledger.open_row(0)
    shared.ledger.cells[cell_at(0, PerSlot.REQUESTS, 0)] = 7
    shared.ledger.cells[state_at(SlotState.HEALTH, 0)] = HealthState.UP
    without = provide(shared, with_backends(old.config, 9002), [old], old)
    assert shared.ledger.health(0) is HealthState.UP  # the old generation goes by it yet
    again = provide(shared, old.config, [without], without)
    assert {backend.port: backend.slot for backend in again.backends["web"]} == {9001: 0, 9002: 1}
    assert shared.ledger.slot_total(PerSlot.REQUESTS, 0) == 7
    assert shared.ledger.health(0) is HealthState.UNKNOWN
    without.close()
    again.close()


def test_places_in_the_ledger_of_living_generations_are_not_given_away(first: Resources) -> None:
    """Until the last worker that counts there is gone."""
    shared, old = first
    crowd = with_backends(old.config, *range(10_000, 10_000 + SLOTS - 2))
    with pytest.raises(StartError, match=r"1023 backends and listeners need more than the 1024 places"):
        provide(shared, crowd, [old])
    new = provide(shared, crowd)
    assert len(new.slots) == SLOTS - 1
    new.close()


def test_a_tls_listener_keeps_its_context_while_its_certificate_changes(first: Resources, tmp_path: Path) -> None:
    """The context is what old tickets resume with. Another profile or authority makes another one."""
    shared, old = first
    listen = tls_listen(pair(tmp_path, "a.test"))
    one = provide(shared, replace(old.config, listen=(listen,)), [old])
    renewed = replace(listen, certificates=(pair(tmp_path, "b.test"),))
    two = provide(shared, replace(old.config, listen=(renewed,)), [old, one])
    assert one.listeners[0].outer is two.listeners[0].outer is not None
    assert one.listeners[0].shown != two.listeners[0].shown
    stricter = replace(renewed, tls=ListenTlsConfig(profile="modern"))
    three = provide(shared, replace(old.config, listen=(stricter,)), [old, two])
    assert three.listeners[0].outer is not two.listeners[0].outer
    assert set(one.digests) == {one.config.listen[0].certificates[0].cert, one.config.listen[0].certificates[0].key}
    for resources in (one, two, three):
        resources.close()


def test_contexts_that_no_generation_has_any_more_are_let_go(first: Resources, tmp_path: Path) -> None:
    """An authority that is renewed each night must not leave a context each night."""
    shared, old = first
    ca = tmp_path / "ca.pem"
    config = replace(old.config, listen=(replace(tls_listen(pair(tmp_path, "a.test")), tls=ListenTlsConfig(client_ca=ca)),))
    living = [old]
    for night in range(4):
        ca.write_bytes(pair(tmp_path, f"{night}.test").cert.read_bytes())
        living.append(provide(shared, config, living))
        assert set(shared.outers.values()) == {one.outer for each in living for one in each.listeners} - {None}
        assert len(shared.outers) <= 3
        if len(living) == 3:
            living.pop(0).close()
    for resources in living:
        resources.close()


# ---------------------------------------------------------------- names


def test_names_in_use_keep_their_addresses_over_a_reload_and_are_forgotten_after_it(first: Resources) -> None:
    """What was learned last counts; no server is asked about it."""
    shared, old = first
    assert shared.name_state.addresses == {}
    shared.name_state.addresses["app.invalid"] = ("10.0.0.1", "10.0.0.2")  # a name that no server knows
    named = replace(
        old.config,
        pools=(PoolConfig("web", (BackendConfig(Address("app.invalid", 80)), BackendConfig(Address("127.0.0.1", 9002)))),),
    )
    new = provide(shared, named, [old], old)
    assert [(one.name, one.slot) for one in new.backends["web"]] == [
        ("app.invalid@10.0.0.1:80", 3),
        ("app.invalid@10.0.0.2:80", 4),
        ("127.0.0.1:9002", 1),
    ]
    assert {one.pool_slot for one in new.backends["web"]} == {5}
    assert new.slots == {1, 2, 3, 4, 5}  # the third is the listener's
    assert set(shared.name_state.addresses) == {"app.invalid"}
    without = provide(shared, old.config, [new], new)
    assert set(shared.name_state.addresses) == {"app.invalid"}  # a generation that drains has it yet
    provide(shared, old.config, [without], without).close()
    assert shared.name_state.addresses == {}
    new.close()
    without.close()


def test_a_name_of_the_hosts_file(tmp_path: Path) -> None:
    config = replace(config_of(tmp_path), pools=(PoolConfig("web", (BackendConfig(Address("localhost", 80)),)),))
    shared, resources = prepare(config)
    assert "localhost@127.0.0.1:80" in [backend.name for backend in resources.backends["web"]]
    assert "127.0.0.1" in shared.name_state.addresses["localhost"]
    resources.close()
    shared.close()
