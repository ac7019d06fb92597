"""What a name server says, made fit for use."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.errors import Unresolved
from lbproxy.names.answer import MOST_ADDRESSES, NameAnswer, literal_addresses, sift


def test_in_one_order_however_it_rotates() -> None:
    one = sift(["10.0.0.10", "fd00::2", "10.0.0.9", "fd00::1", "10.0.0.9"], 30.0)
    assert one == sift(["fd00::1", "fd00::2", "10.0.0.9", "10.0.0.10"], 30.0)
    assert one == NameAnswer(("10.0.0.9", "10.0.0.10", "fd00::1", "fd00::2"), 30.0)


@pytest.mark.parametrize(
    "nobody",
    [
        "0.0.0.0",
        "0.1.2.3",
        "255.255.255.255",
        "240.0.0.1",
        "224.0.0.1",
        "::",
        "ff02::1",
        "fd00::1%eth0",
        "fe80::1",
        "::ffff:0.0.0.0",
        "::ffff:224.0.0.1",
    ],
)
def test_no_backend_has_that(nobody: str) -> None:
    with pytest.raises(Unresolved, match="no usable address: "):
        sift([nobody], 1.0)
    answer = sift([nobody, "10.0.0.1"], 1.0)
    assert answer.addresses == ("10.0.0.1",)
    assert answer.note.startswith("no backend can have ")


@pytest.mark.parametrize(
    "somebody", ["127.0.0.1", "10.0.0.1", "169.254.171.1", "192.168.0.255", "::1", "fd00::1", "2001:db8::1", "8.8.8.8"]
)
def test_private_and_loopback_addresses_are_where_backends_are(somebody: str) -> None:
    assert sift([somebody], 1.0) == ((somebody,), 1.0, "", 0)


def test_ipv4_in_ipv6_clothes_is_ipv4() -> None:
    assert sift(["::ffff:10.0.0.1", "10.0.0.1"], 1.0).addresses == ("10.0.0.1",)


def test_nothing_is_no_answer() -> None:
    with pytest.raises(Unresolved, match="no address"):
        sift([], 1.0)


def test_not_too_many() -> None:
    crowd = [f"10.0.{number // 250}.{number % 250}" for number in range(MOST_ADDRESSES + 6)]
    answer = sift(reversed(crowd), 1.0)
    assert list(answer.addresses) == crowd[:MOST_ADDRESSES]
    assert answer.note == f"{MOST_ADDRESSES + 6} addresses, the first {MOST_ADDRESSES} are used"


@given(st.lists(st.one_of(st.ip_addresses(), st.ip_addresses(v=4, network="10.0.0.0/24")), min_size=1, max_size=80))
def test_what_is_told_is_what_arrives(found: list[object]) -> None:
    try:
        answer = sift(map(str, found), 1.0)
    except Unresolved:
        return
    assert literal_addresses(",".join(answer.addresses)) == answer.addresses
    assert len(answer.addresses) <= MOST_ADDRESSES


@pytest.mark.parametrize(
    "told",
    [
        "",
        "app",
        "10.0.0.1,",
        "10.0.0.2,10.0.0.1",
        "10.0.0.1,10.0.0.1",
        "0.0.0.0",
        "10.0.0.1, 10.0.0.2",
        "fd00::1%x",
        "fd00::0:1",
        "10.0.0.1:80",
    ],
)
def test_what_a_process_of_ours_does_not_tell_another(told: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        literal_addresses(told)
