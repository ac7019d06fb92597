"""Listeners looked at one after the other; a hostile one holds nothing up."""

from __future__ import annotations

import ssl
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from lbproxy.cli.live import listeners
from lbproxy.cli.live.listeners import Patience, look
from lbproxy.config.atoms import Address
from lbproxy.config.model import Config
from tests.support.waiting import PATIENCE
from tests.unit.audit.site import site
from tests.unit.cli.live.peer import Peer, Script, deaf, endless, says
from tests.unit.tls.files import pair

GOOD = b"HTTP/1.1 200 OK\r\nStrict-Transport-Security: max-age=31536000\r\n\r\n"
AWAY = b"HTTP/1.1 308 Permanent Redirect\r\nLocation: https://a.test/\r\n\r\n"
PATIENT = Patience(PATIENCE, 4 * PATIENCE)


def config_of(secure: Peer, plain: Peer, *, tls: str = "") -> Config:
    """A site whose listeners are these."""
    made = site(listen=tls, instead='[[route]]\n -> [[route]]\nhost = "a.test"\n')
    first, second = made.listen
    return replace(made, listen=(replace(first, address=secure.address), replace(second, address=plain.address)))


def ids(config: Config, machine: list[str] | None = None, patience: Patience = PATIENT) -> list[str]:
    return [check.id for check, _ in look(config, lambda: machine or [], patience)]


def test_a_good_one(tmp_path: Path) -> None:
    with Peer(says(GOOD), pair(tmp_path, "a.test")) as secure, Peer(says(AWAY)) as plain:
        assert ids(config_of(secure, plain)) == []


def test_a_bad_one(tmp_path: Path) -> None:
    """Expired, for another host, without HSTS, TLS 1.0 and 1.1, and content without TLS."""
    files = pair(tmp_path, "b.test", end=timedelta(minutes=-5))
    with Peer(says(b"HTTP/1.1 200 OK\r\n\r\n"), files, ssl.TLSVersion.TLSv1) as secure, Peer(says(GOOD)) as plain:
        assert ids(config_of(secure, plain)) == [
            "live-certificate", "live-certificate", "live-hsts-missing", "live-tls-old", "live-tls-old", "live-plain-content"
        ]  # fmt: skip


def test_what_the_configuration_rules_out_is_not_spoken(tmp_path: Path) -> None:
    with Peer(says(GOOD), pair(tmp_path, "a.test")) as secure, Peer(says(AWAY)) as plain:
        found = list(look(config_of(secure, plain, tls='tls = { profile = "modern" }'), list, PATIENT))
    assert [(check.id, evidence.value) for check, evidence in found] == [("live-tls-old", "TLS 1.2 is spoken")]


@pytest.mark.parametrize("script", [deaf, endless, says(b""), says(b"\x00" * 99)])
def test_who_is_deaf_or_hostile_holds_nothing_up(script: Script) -> None:
    """Instead of both listeners: told for each, within the time."""
    patience = Patience(0.3, 1.0)
    began = time.monotonic()
    with Peer(script) as secure, Peer(script) as plain:
        found = ids(config_of(secure, plain), patience=patience)
    assert set(found) == {"live-unseen"}
    assert len(found) >= 2
    assert time.monotonic() - began < PATIENCE


def test_no_time_is_left() -> None:
    with Peer(deaf) as peer:
        assert ids(config_of(peer, peer), patience=Patience(1, 0)) == ["live-unseen", "live-unseen"]
        assert peer.accepted == 0


def test_many_hosts_are_not_all_asked(tmp_path: Path) -> None:
    with Peer(says(GOOD), pair(tmp_path, "*.test")) as secure, Peer(says(AWAY)) as plain:
        made = config_of(secure, plain)
        routes = tuple(replace(made.routes[0], host=f"h{number}.test") for number in range(25))
        found = list(look(replace(made, listen=made.listen[:1], routes=routes), list, PATIENT))
        assert [evidence.value for _, evidence in found] == ["5 more hosts and paths of routes were not asked for"]
        assert secure.accepted == 22  # two of them for TLS 1.0 and 1.1


@pytest.mark.parametrize(("body", "expected"), [
    (b"# HELP lbproxy_up ...\n", ["live-metrics-public"]), (b"# HELP other_up ...\n", []), (b"", []),
])  # fmt: skip
def test_metrics_that_other_machines_reach(body: bytes, expected: list[str]) -> None:
    """Another program on that port of another address is none of ours; a port that is closed is good."""
    made = replace(site(), listen=())
    with Peer(says(b"HTTP/1.1 200 OK\r\n\r\n" + body)) as peer:
        made = replace(made, metrics=replace(made.metrics, address=peer.address))
        assert ids(made, ["127.0.0.1"]) == expected
    assert ids(made, ["127.0.0.1"]) == []


def test_which_addresses_others_reach() -> None:
    found = ["127.0.0.1", "10.0.0.1", "fe80::1%eth0", "fe80::1", "2001:db8::1", "02:42:ac:11:00:02", "::1"]
    assert list(listeners._beyond(found)) == ["10.0.0.1", "2001:db8::1"]
    assert "127.0.0.1" not in listeners.addresses_of_this_machine()


def test_a_listener_that_is_not_there() -> None:
    made = site()
    with Peer(deaf) as peer:
        gone: Address = peer.address
    made = replace(made, listen=(replace(made.listen[0], address=gone),))
    [(check, evidence)] = look(made, list, PATIENT)
    assert (check.id, evidence.value) == ("live-unseen", f"{gone}: Connection refused")
