"""Networks and addresses as dangers have them: which are near, and which are everybody."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address

from lbproxy.audit.finding import Evidence, Path, Severity
from lbproxy.config.atoms import Address, Network

_WIDEST = {4: 16, 6: 32}
"""Prefixes: what is wider, and public, is more than anybody's own machines."""


def on_this_machine(address: Address) -> bool:
    """Nobody else can listen in on the way there."""
    if address.path or address.host == "localhost":
        return True
    try:
        return ip_address(address.host).is_loopback
    except ValueError:
        return False


def listens_to_everybody(address: Address) -> bool:
    """Machines that are not near may connect."""
    found = ip_address(address.host)
    return found.is_unspecified or found.is_global


def too_wide(networks: Iterable[Network], path: Path, line: int = 0) -> Iterable[Evidence]:
    """Those that strangers are in."""
    for network in networks:
        if network.prefixlen == 0:
            yield Evidence(path, str(network), line, Severity.CRITICAL)
        elif not network.is_private and network.prefixlen < _WIDEST[network.version]:
            yield Evidence(path, str(network), line)
