"""Facts about a client's TLS connection, for header rules that tell backends."""

from __future__ import annotations

from typing import NamedTuple

Name = tuple[tuple[tuple[str, str], ...], ...]
"""A certificate's subject or issuer as the ssl module has it: relative names in the certificate's order, as (attribute, value)s."""


class TlsFacts(NamedTuple):
    """What is known of a client's TLS connection."""

    version: str = ""
    cipher: str = ""
    certificate: bytes = b""
    """The client's, in DER, when it was asked for, shown and verified; else empty."""
    subject: Name = ()
    issuer: Name = ()
    serial: str = ""
    dns: tuple[str, ...] = ()
    """Its alternative names, by their kinds."""
    email: tuple[str, ...] = ()
    uri: tuple[str, ...] = ()


def listed(names: tuple[str, ...]) -> str:
    """Alternative names in one value, a comma between each two. What could be taken for the end of one, or is no visible ASCII, is
    written in percent: whoever has a certificate made chooses what stands in it."""
    return ",".join("".join(map(_plain, name)) for name in names)


def _plain(char: str) -> str:
    return char if "!" <= char <= "~" and char not in _APART else _percent(char)


_APART = ",;\"\\"


def _percent(char: str) -> str:
    return "".join(f"%{byte:02X}" for byte in char.encode("utf-8", "surrogateescape"))


def distinguished_name(name: Name) -> str:
    """RFC 4514: the last relative name first, by the short names that section 3 lists."""
    parts = ["+".join(f"{_SHORT.get(key, key)}={_escaped(value)}" for key, value in relative) for relative in reversed(name)]
    return ",".join(parts)


_SHORT = {
    "commonName": "CN", "localityName": "L", "stateOrProvinceName": "ST", "organizationName": "O", "organizationalUnitName": "OU",
    "countryName": "C", "streetAddress": "STREET", "domainComponent": "DC", "userId": "UID",
}  # fmt: skip


def _escaped(value: str) -> str:
    """RFC 4514 2.4; what is no visible ASCII becomes hexadecimal pairs of its UTF-8, so that nobody can hide a separator."""
    escaped = "".join(
        f"\\{char}" if char in '"+,;<>\\=' else char if " " <= char <= "~" else "".join(f"\\{byte:02X}" for byte in char.encode())
        for char in value
    )
    if escaped[:1] in ("#", " "):
        escaped = "\\" + escaped
    if len(value) > 1 and value[-1] == " ":
        escaped = escaped[:-1] + "\\ "
    return escaped
