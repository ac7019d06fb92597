"""Near networks, and those that strangers are in."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from lbproxy.audit.checks.networks import listens_to_everybody, on_this_machine, too_wide
from lbproxy.audit.finding import Severity
from lbproxy.config.atoms import Address


@pytest.mark.parametrize(("network", "wide"), [
    ("10.0.0.0/8", False), ("192.168.0.0/16", False), ("fd00::/8", False), ("8.8.8.0/24", False), ("8.8.0.0/16", False),
    ("8.0.0.0/8", True), ("2600::/12", True), ("2606:4700::/32", False),
])  # fmt: skip
def test_width(network: str, wide: bool) -> None:
    assert [evidence.severity for evidence in too_wide([ip_network(network)], ("a",))] == ([None] if wide else [])


@pytest.mark.parametrize("network", ["0.0.0.0/0", "::/0"])
def test_everybody_is_critical(network: str) -> None:
    assert [evidence.severity for evidence in too_wide([ip_network(network)], ("a",))] == [Severity.CRITICAL]


def test_addresses() -> None:
    assert not on_this_machine(Address("app.internal", 80))
    assert on_this_machine(Address("127.0.0.9", 80))
    assert listens_to_everybody(Address("::", 80))
    assert not listens_to_everybody(Address("192.168.0.1", 80))
