"""Networks and addresses: membership as ipaddress says it, and no spelling that passes by."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.filter.addresses import AddressRule, NetworkSet, parse_client

# Small numbers, so that networks overlap, touch and contain each other.
near4 = st.integers(0, 2**12).map(lambda low: IPv4Address(0x0A000000 + low))
near6 = st.integers(0, 2**12).map(lambda low: IPv6Address((0x20010DB8 << 96) + low))
networks4 = st.builds(lambda ip, bits: ip_network(f"{ip}/{bits}", strict=False), near4, st.integers(18, 32))
networks6 = st.builds(lambda ip, bits: ip_network(f"{ip}/{bits}", strict=False), near6, st.integers(114, 128))


@given(st.lists(networks4 | networks6, max_size=12), st.lists(near4 | near6, min_size=1, max_size=20))
def test_membership_is_what_the_networks_say(
    networks: list[IPv4Network | IPv6Network], addresses: list[IPv4Address | IPv6Address]
) -> None:
    found = NetworkSet(networks)
    assert len(found) <= len(networks)
    for address in addresses:
        wanted = any(address.version == network.version and address in network for network in networks)
        assert (parse_client(str(address)) in found) is wanted


@given(near4, st.lists(networks4, max_size=5))
def test_an_ipv4_address_in_ipv6_clothes_is_that_address(address: IPv4Address, networks: list[IPv4Network]) -> None:
    dressed = parse_client(f"::ffff:{address}")
    assert dressed == parse_client(str(address))
    assert (dressed in NetworkSet(networks)) is any(address in network for network in networks)
    mapped = [ip_network(f"::ffff:{network.network_address}/{96 + network.prefixlen}") for network in networks]
    assert (dressed in NetworkSet(mapped)) is any(address in network for network in networks)


def test_all_of_ipv6_is_not_all_of_ipv4() -> None:
    everything6 = NetworkSet([ip_network("::/0")])
    assert parse_client("2001:db8::1") in everything6
    assert parse_client("::ffff:192.0.2.1") not in everything6


def test_thousands_of_networks_are_few_steps() -> None:
    """Neighbours become one range; the others are found by bisection."""
    assert len(NetworkSet(ip_network(f"10.0.{number}.0/24") for number in range(256))) == 1
    many = NetworkSet(ip_network(f"{number >> 8}.{number & 255}.0.0/17") for number in range(1 << 8, 1 << 14))
    assert len(many) == (1 << 14) - (1 << 8)
    assert parse_client("33.7.127.255") in many
    assert parse_client("33.7.128.0") not in many


@pytest.mark.parametrize(("allow", "deny", "address", "admitted"), [
    ([], [], "192.0.2.1", True),
    (["192.0.2.0/24"], [], "192.0.2.1", True),
    (["192.0.2.0/24"], [], "192.0.3.1", False),
    (["192.0.2.0/24"], [], "2001:db8::1", False),
    ([], ["192.0.2.0/24"], "192.0.2.1", False),
    ([], ["192.0.2.0/24"], "::ffff:192.0.2.1", False),
    ([], ["192.0.2.0/24"], "192.0.3.1", True),
    (["192.0.2.0/24"], ["192.0.2.1"], "192.0.2.1", False),
    (["192.0.2.1"], ["192.0.2.0/24"], "192.0.2.1", False),
    (["192.0.2.0/24"], ["192.0.2.1"], "192.0.2.2", True),
])  # fmt: skip
def test_deny_wins_and_allow_is_exclusive(allow: list[str], deny: list[str], address: str, admitted: bool) -> None:
    rule = AddressRule(map(ip_network, allow), map(ip_network, deny))
    assert rule.admits(parse_client(address)) is admitted


def test_a_client_is_an_ipv4_address_or_a_site() -> None:
    assert parse_client("192.0.2.1").site() != parse_client("192.0.2.2").site()
    assert parse_client("2001:db8:1:2::1").site() == parse_client("2001:db8:1:2:ffff::9").site()
    assert parse_client("2001:db8:1:2::1").site() != parse_client("2001:db8:1:3::1").site()
    assert parse_client("fe80::1%eth0").site() == parse_client("fe80::2").site()
    assert parse_client("::ffff:192.0.2.1").site() == parse_client("192.0.2.1").site()
    with pytest.raises(ValueError, match="does not appear"):
        parse_client("unknown")
