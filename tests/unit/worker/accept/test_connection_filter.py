"""Who may connect, and what is given back when."""

from __future__ import annotations

import mmap
import multiprocessing
import socket
from ipaddress import ip_network

import pytest

from lbproxy.balance.ledger import WHOLE_SIZE, Ledger, Scalar
from lbproxy.config.model import Address, AddressListConfig, ClientLimitConfig, Config, ListenConfig, ProcessConfig, Rate
from lbproxy.ipc.handover import Handover
from lbproxy.worker.accept.connection_filter import ConnectionFilter, CountedConnection, Denied, counted_by, make_connection_filter
from lbproxy.worker.wiring.filtering import limit_memory


class Threshold:
    """A limit that counts who left."""

    def __init__(self) -> None:
        self.left = 0

    def release(self) -> None:
        self.left += 1


class Entrance:
    def __init__(self, **keys: object) -> None:
        self.now = 0.0
        self.limit = Threshold()
        trusted = ProcessConfig(trusted_proxies=(ip_network("10.0.0.0/8"),))
        self.ledger = Ledger(mmap.mmap(-1, WHOLE_SIZE))
        self.ledger.open_row(0)
        one, other = socket.socketpair()
        one.close()
        other.close()
        handover = Handover(
            Config("", (), (), (), trusted), 1, 0, 0, self.ledger, multiprocessing.Lock(), (), {}, {}, -1, None, one
        )
        listen = ListenConfig(Address("0.0.0.0", 443), **keys)  # type: ignore[arg-type]
        self.made = make_connection_filter(listen, handover, limit_memory(handover), self.limit, lambda: self.now)

    @property
    def filter(self) -> ConnectionFilter:
        assert self.made is not None
        return self.made


def test_nothing_asked_for() -> None:
    assert Entrance().made is None


@pytest.mark.parametrize(("peer", "admitted"), [
    ("192.0.2.1", True),
    ("192.0.2.66", False),
    ("::ffff:192.0.2.66", False),
    ("198.51.100.1", False),
    ("fe80::1%eth0", False),
])  # fmt: skip
def test_addresses(peer: str, admitted: bool) -> None:
    near, far, bad = map(ip_network, ("192.0.2.0/24", "203.0.113.0/24", "192.0.2.66"))
    lists = AddressListConfig(allow=(near,), deny=(far,), deny_listed=(bad,))
    entrance = Entrance(addresses=lists)
    found = entrance.filter.ask(peer)
    assert found == (entrance.limit if admitted else Denied("address_denied"))
    assert entrance.limit.left == (not admitted)
    assert entrance.ledger.total(Scalar.DENIED_ADDRESS) == (not admitted)


def test_rates_and_those_who_speak_for_many() -> None:
    entrance = Entrance(per_client=ClientLimitConfig(Rate(1, 1), 2))
    answers = [entrance.filter.ask("192.0.2.1") for _ in range(3)]
    assert answers == [entrance.limit, entrance.limit, Denied("connection_rate")]
    assert [entrance.filter.ask("10.0.0.1") for _ in range(9)] == [entrance.limit] * 9
    entrance.now = 1.0
    assert entrance.filter.ask("192.0.2.1") is entrance.limit
    assert (entrance.limit.left, entrance.ledger.total(Scalar.DENIED_RATE)) == (1, 1)


def test_open_connections_of_a_client() -> None:
    """An IPv6 /64 is one client; a counted gives back both."""
    entrance = Entrance(per_client=ClientLimitConfig(concurrency=1))
    counted = entrance.filter.ask("2001:db8::1")
    assert isinstance(counted, CountedConnection)
    assert counted_by(counted, entrance.limit)
    assert not counted_by(counted, Threshold())
    assert entrance.filter.ask("2001:db8::2") == Denied("connections_per_client")
    assert isinstance(entrance.filter.ask("2001:db8:0:1::1"), CountedConnection)
    assert entrance.limit.left == 1
    counted.release()
    assert entrance.limit.left == 2
    assert isinstance(entrance.filter.ask("2001:db8::3"), CountedConnection)
    assert entrance.ledger.total(Scalar.DENIED_CONCURRENCY) == 1
