"""Places and tags: the same for all workers that share a secret, of no use to anybody else."""

from __future__ import annotations

from lbproxy.filter.keys import SIZE, LimitKeys
from lbproxy.remembered import Budget

SECRET = bytes(range(32))
BUDGET = Budget(1000 * SIZE)


def test_a_key_depends_on_secret_limit_and_client_alone() -> None:
    key = LimitKeys(SECRET, "route /", BUDGET).of(b"\1\2\3\4")
    assert LimitKeys(SECRET, "route /", BUDGET).of(b"\1\2\3\4") == key
    client, other = b"\1\2\3\4", b"\1\2\3\5"
    others = [
        LimitKeys(SECRET, "route /x", BUDGET).of(client),
        LimitKeys(bytes(32), "route /", BUDGET).of(client),
        LimitKeys(SECRET, "route /", BUDGET).of(other),
    ]
    assert len({key, *others}) == 4
    assert all(0 < one.tag < 2**63 and one.place >= 0 for one in (key, *others))


def test_names_and_clients_are_kept_apart() -> None:
    assert LimitKeys(SECRET, "a", BUDGET).of(b"b\0\0\0") != LimitKeys(SECRET, "ab", BUDGET).of(b"\0\0\0")


def test_invented_clients_cannot_fill_the_memory() -> None:
    keys = LimitKeys(SECRET, "x", BUDGET)
    first = keys.of(b"\0\0\0\0")
    for number in range(3000):
        keys.of(number.to_bytes(4, "big"))
        assert len(keys._known) <= 1000
    assert keys.of(b"\0\0\0\0") == first
