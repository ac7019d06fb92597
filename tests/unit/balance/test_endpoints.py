"""Written backends, and where they stand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.balance import endpoints
from lbproxy.balance.endpoints import Endpoint
from lbproxy.balance.ledger import SLOTS
from lbproxy.config.model import Address, BackendConfig, Config, PoolConfig

APP, FIXED, V6 = Address("app.test", 80), Address("10.9.9.9", 81), Address("::1", 82)
WEB = PoolConfig("web", (BackendConfig(APP, weight=3, max_connections=7, tier=1), BackendConfig(FIXED), BackendConfig(V6)))
API = PoolConfig("api", (BackendConfig(FIXED),))
CONFIG = Config("", (), (), (WEB, API))


def test_an_address_stands_for_itself_and_a_name_for_all_it_has() -> None:
    pools = endpoints.unplaced(CONFIG, {"app.test": ("10.0.0.1", "fd00::1")})
    first, second, fixed, last = pools["web"]
    assert first == ("web", "app.test@10.0.0.1:80", "app.test", "10.0.0.1", 80, 3, 7, -1, 1, -1)
    assert (second.name, second.ip, second.weight, second.max_connections) == ("app.test@[fd00::1]:80", "fd00::1", 3, 7)
    assert (fixed.name, fixed.ip, last.name, last.ip) == ("10.9.9.9:81", "10.9.9.9", "[::1]:82", "::1")
    assert first.written == second.written == APP
    assert endpoints.identity_at("web", APP, "fd00::1") == second.identity
    assert endpoints.names_in(CONFIG) == ["app.test"]


def test_a_name_that_nobody_knows_yet_has_a_backend_that_is_called_as_it_is_written() -> None:
    """So that `status` and the operator's orders have something to go by."""
    [nowhere, *_] = endpoints.unplaced(CONFIG, {"app.test": (endpoints.NOWHERE,)})["web"]
    assert (nowhere.name, nowhere.identity, nowhere.ip) == ("app.test:80", "web/app.test:80", endpoints.NOWHERE)
    told = endpoints.endpoints_as_text([Endpoint(endpoints.NOWHERE, 7)])
    assert endpoints.endpoints_of_text(told) == (Endpoint(endpoints.NOWHERE, 7),)


def test_slots_by_identity_and_one_for_a_pool_that_moves() -> None:
    """A pool whose backends stay has its queue where it always was."""
    pools = endpoints.unplaced(CONFIG, {"app.test": ("10.0.0.1",)})
    needed = endpoints.identities(CONFIG, pools)
    assert needed == ["web/app.test@10.0.0.1:80", "web/10.9.9.9:81", "web/[::1]:82", "api/10.9.9.9:81", "web/"]
    placed = endpoints.placed(pools, {identity: 10 + number for number, identity in enumerate(needed)})
    assert [(one.slot, one.pool_slot) for one in placed["web"]] == [(10, 14), (11, 14), (12, 14)]
    assert [(one.slot, one.pool_slot) for one in placed["api"]] == [(13, -1)]


def test_a_name_moves_and_the_others_stay() -> None:
    """In the order of the configuration, however many there were."""
    pools = endpoints.placed(endpoints.unplaced(CONFIG, {"app.test": ("10.0.0.1",)}), dict.fromkeys(
        ["web/app.test@10.0.0.1:80", "web/10.9.9.9:81", "web/[::1]:82", "api/10.9.9.9:81", "web/"], 5))  # fmt: skip
    more = endpoints.relocate(WEB, pools["web"], APP, [Endpoint("10.0.0.1", 5), Endpoint("10.0.0.2", 6)])
    assert [(one.name, one.slot, one.pool_slot) for one in more] == [
        ("app.test@10.0.0.1:80", 5, 5),
        ("app.test@10.0.0.2:80", 6, 5),
        ("10.9.9.9:81", 5, 5),
        ("[::1]:82", 5, 5),
    ]
    assert endpoints.relocate(WEB, more, APP, [Endpoint("10.0.0.1", 5)]) == pools["web"]
    [fewer, *_] = endpoints.relocate(WEB, more, APP, [Endpoint("10.0.0.9", 9)])
    assert (fewer.ip, fewer.weight, fewer.max_connections, fewer.tier) == ("10.0.0.9", 3, 7, 1)


def test_what_is_a_name() -> None:
    assert [endpoints.is_name(host) for host in ("app", "localhost", "10.0.0.1", "::1")] == [True, True, False, False]
    assert endpoints.moves(WEB)
    assert not endpoints.moves(API)


@given(st.lists(st.builds(Endpoint, st.ip_addresses().map(str), st.integers(0, SLOTS - 1)), min_size=1))
def test_what_is_told_arrives(there: list[Endpoint]) -> None:
    assert list(endpoints.endpoints_of_text(endpoints.endpoints_as_text(there))) == there


@pytest.mark.parametrize(
    "text", ["", "10.0.0.1", "10.0.0.1=", "app=1", "10.0.0.1=-1", "10.0.0.1=1024", "10.0.0.1=1,", "10.0.0.1=\u0661"]
)
def test_what_no_master_says(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        endpoints.endpoints_of_text(text)
