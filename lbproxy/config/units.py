"""The small words of a configuration: durations, sizes, addresses, networks. Text to value, and value back to text.

Every `parse_*` takes the value as TOML gave it (so that a bare number can be answered with "write the unit") and raises
`ValueRefused` with what was wanted, what came and, where there is one, the way out. Every `format_*` writes what its `parse_*`
reads back equal.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from difflib import get_close_matches
from fractions import Fraction
from ipaddress import AddressValueError, IPv4Address, IPv6Address, ip_address, ip_network
from posixpath import normpath
from typing import TypeVar

from lbproxy.config.atoms import UNIX, Address, Network, Rate

T = TypeVar("T")
Parse = Callable[[object], T]
"""Takes a value as TOML gave it; raises Refused."""


class ValueRefused(ValueError):
    """A value that cannot be accepted: what was wanted and what came, and a hint or ""."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def did_you_mean(wrong: str, known: list[str]) -> str:
    """The hint that names the nearest of `known`, or ""."""
    near = get_close_matches(wrong.lower(), known, 1, 0.6)
    return f'did you mean "{near[0]}"?' if near else ""


class FromEnvironment(str):
    """A text that an environment variable is a part of. See environment.py."""

    __slots__ = ()


def show(value: object) -> str:
    """A TOML value as the user may recognise it in a message, shortened."""
    if isinstance(value, FromEnvironment):
        return "what the environment holds"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        shown = json.dumps(value, ensure_ascii=False)
        return shown if len(shown) <= 80 else f'{shown[:76]}..."'
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, int | float):
        return f"the number {value}"
    return str(value)


def is_number(value: object) -> bool:
    """Whether TOML gave a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_zero(value: object) -> bool:
    """Zero needs no unit."""
    return value == "0" or (is_number(value) and value == 0)


# ---------------------------------------------------------------- durations

_SECONDS = {"d": Fraction(86400), "h": Fraction(3600), "m": Fraction(60), "s": Fraction(1), "ms": Fraction(1, 1000)}
_DURATION = re.compile(r"(?:{0}d)?(?:{0}h)?(?:{0}m)?(?:{0}s)?(?:{0}ms)?\Z".format(r"[0-9]{1,9}(?:\.[0-9]{1,9})?"))
_DURATION_PART = re.compile(r"([0-9.]+)([a-z]+)")
_DURATION_WANTED = 'wanted a duration such as "30s", "250ms" or "1m30s"'


def parse_duration(value: object) -> float:
    """Seconds. Units d, h, m, s, ms, each once and in this order; 0 needs none."""
    if is_zero(value):
        return 0.0
    if isinstance(value, str) and value and _DURATION.match(value):
        return float(sum(Fraction(number) * _SECONDS[unit] for number, unit in _DURATION_PART.findall(value)))
    raise ValueRefused(f"{_DURATION_WANTED}, got {show(value)}", _unit_hint(value, "s"))


def _unit_hint(value: object, unit: str) -> str:
    """For a number without its unit."""
    number = value.strip() if isinstance(value, str) else str(value)
    if (isinstance(value, str) or is_number(value)) and re.fullmatch(r"[0-9]+(\.[0-9]+)?", number):
        return f'write the unit, e.g. "{number}{unit}"'
    return ""


def format_duration(seconds: float) -> str:
    """The shortest exact form: 90.0 is "1m30s", 0.25 is "250ms"."""
    exact = Fraction(repr(seconds))
    if not exact:
        return "0"
    millis = exact * 1000
    if millis.denominator != 1:
        return f"{_decimal(exact)}s"
    left = millis.numerator
    parts = []
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)


def _decimal(value: Fraction) -> str:
    """A finite decimal fraction without an exponent, to the nanosecond."""
    nanos = round(value * 10**9)
    return f"{nanos // 10**9}.{nanos % 10**9:09d}".rstrip("0")


# ---------------------------------------------------------------- sizes

_BYTES = {
    "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
    "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40,
}  # fmt: skip
_SIZE = re.compile(r"([0-9]{1,19}) ?([kmgt]?i?b)\Z", re.IGNORECASE)
_SIZE_WANTED = 'wanted a size such as "64KiB", "32KB" or "1MiB"'


def parse_size(value: object) -> int:
    """Bytes. KiB, MiB, GiB, TiB count by 1024; KB, MB, GB, TB by 1000; B is one byte; 0 needs no unit."""
    if is_zero(value):
        return 0
    if isinstance(value, str) and (match := _SIZE.match(value)) and (unit := match[2].lower()) in _BYTES:
        return int(match[1]) * _BYTES[unit]
    hint = _unit_hint(value, "B")
    if isinstance(value, str) and (short := re.fullmatch(r"([0-9]{1,15}) ?([kmgtKMGT])", value)):
        hint = f'write "{short[1]}{short[2].upper()}iB" (1024) or "{short[1]}{short[2].upper()}B" (1000)'
    raise ValueRefused(f"{_SIZE_WANTED}, got {show(value)}", hint)


def format_size(size: int) -> str:
    """The largest power of 1024 that divides it: 65536 is "64KiB", 1000 is "1000B", 0 is "0"."""
    if size == 0:
        return "0"
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if size % _BYTES[unit.lower()] == 0:
            return f"{size // _BYTES[unit.lower()]}{unit}"
    return f"{size}B"


# ---------------------------------------------------------------- rates

_PERIODS = {"s": 1, "m": 60, "h": 3600}
_RATE = re.compile(r"([0-9]{1,7})/([smh])\Z")


def parse_rate(value: object) -> Rate:
    """So many a second, minute or hour."""
    match = _RATE.match(value) if isinstance(value, str) else None
    if match is None or int(match[1]) == 0:
        hint = f'write "{value}/s"' if re.fullmatch(r"[1-9][0-9]{0,6}", str(value)) else ""
        raise ValueRefused(f'wanted a rate such as "20/s", "100/m" or "10/h", got {show(value)}', hint)
    return Rate(int(match[1]), _PERIODS[match[2]])


# ---------------------------------------------------------------- addresses

DNS_PORT = 53
_LABEL = "[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*\Z")
_ADDRESS = re.compile(r"(?:\[(?P<ipv6>[^\[\]/]*:[^\[\]/]*)\]|(?P<host>[^:\[\]/]*)):(?P<port>[0-9]{1,5})\Z")


def parse_listen_address(value: object) -> Address:
    """Where to listen: as `parse_port_address`, or a Unix socket ("unix:/run/lbproxy/http.sock")."""
    if isinstance(value, str) and value.startswith(UNIX):
        return _unix_address(value, LONGEST_PATH - len(ASIDE))
    return parse_port_address(value)


def parse_port_address(value: object) -> Address:
    """A literal IP and a port to listen on; ":8443" is all IPv4 addresses."""
    address = _split_address(value, "0.0.0.0", 'wanted an address such as "0.0.0.0:443", "[::]:443" or ":8443"')
    host = literal_ip(address.host)
    if host is None:
        instead = {"localhost": "127.0.0.1"}.get(address.host, "0.0.0.0")
        message = f"wanted the IP address to listen on, got {show(address.host)}"
        raise ValueRefused(message, f'e.g. "{instead}:{address.port}"')
    return Address(host, address.port)


def parse_backend_address(value: object, default_host: str | None = None) -> Address:
    """Where a backend is: an IP or a DNS name, and a port, or a Unix socket ("unix:/run/app.sock"). `default_host` completes
    ":9000"; without it the host must be there."""
    if isinstance(value, str) and value.startswith(UNIX):
        return _unix_address(value)
    address = _split_address(value, default_host, 'wanted an address such as "10.0.0.1:8080" or "app.internal:8080"')
    host = literal_ip(address.host)
    if host is None:
        absolute = address.host.endswith(".")  # nothing of resolv.conf's search list is to be put behind it
        host = parse_name(address.host) + ("." if absolute else "")
    return Address(host, address.port)


LONGEST_PATH = 107
"""Bytes of a Unix socket's path: sun_path of unix(7) has 108, with the zero at the end."""


ASIDE = ".4194304"
"""What is put behind the path of a listener's socket while it is made: a process number."""


def _unix_address(value: str, longest: int = LONGEST_PATH) -> Address:
    """ "unix:" and the whole path of the socket's file."""
    path = value.removeprefix(UNIX)
    if path.startswith("@"):
        raise ValueRefused(f"wanted the path of a Unix socket, got {show(value)}", "names without a file are not supported")
    if not path.startswith("/") or path.endswith("/") or not path.isprintable():
        raise ValueRefused(f'wanted the whole path of a Unix socket such as "{UNIX}/run/app.sock", got {show(value)}')
    if len(path.encode()) > longest:
        raise ValueRefused(
            f"wanted a path of at most {longest} bytes, which is what a Unix socket can have, got {len(path.encode())}"
        )
    return Address(UNIX + normpath("/" + path.lstrip("/")), 0)  # "unix:///run/app.sock" is how URLs write it


def _split_address(value: object, default_host: str | None, wanted: str) -> Address:
    """Host and port apart, brackets off; the host not yet looked at."""
    match = _ADDRESS.match(value) if isinstance(value, str) else None
    if match is not None:
        port = int(match["port"])
        if not 1 <= port <= 65535:
            raise ValueRefused(f"wanted a port from 1 to 65535, got {port}")
        host = match["ipv6"] or match["host"] or default_host
        if host:
            return Address(host, port)
    raise ValueRefused(f"{wanted}, got {show(value)}", _address_hint(value, default_host))


def _address_hint(value: object, default_host: str | None) -> str:
    """What the writer of a wrong address may have meant."""
    if re.fullmatch(r"[0-9]{1,5}", str(value)):
        return f'e.g. "{default_host or "10.0.0.1"}:{value}"'
    if not isinstance(value, str):
        return ""
    if value.startswith("/"):
        return f'a Unix socket is written "{UNIX}{value}"'
    scheme, separator, _ = value.partition("://")
    if separator:
        return f'leave out "{scheme}://"' + ("; TLS towards backends is the pool's tls = {}" if scheme == "https" else "")
    if literal_ip(value) and ":" in value:
        return f'an IPv6 address stands in brackets: "[{value}]:8080"'
    if value.startswith(":"):
        return f'say the host, e.g. "127.0.0.1{value}"' if _ADDRESS.match(value) else ""
    return f'add the port, e.g. "{value}:8080"' if ":" not in value.rpartition("]")[2] and value else ""


def parse_resolver(value: object) -> Address:
    """A name server: an IP address, and a port where it is not 53."""
    wanted = 'wanted a name server such as "10.0.0.2", "127.0.0.1:8600" or "[fd00::53]:53"'
    host = literal_ip(value) if isinstance(value, str) else None
    if host is not None:
        return Address(host, DNS_PORT)
    if not isinstance(value, str) or not _ADDRESS.match(value):
        raise ValueRefused(f"{wanted}, got {show(value)}")
    address = _split_address(value, None, wanted)
    host = literal_ip(address.host)
    if host is None:
        raise ValueRefused(f"{wanted}, got {show(value)}", "say its address: a name would have to be asked for")
    return Address(host, address.port)


def literal_ip(host: str) -> str | None:
    """The canonical text of a literal IP address ("::1" for "0::1"), or None when it is none."""
    try:
        return str(ip_address(host))
    except ValueError:
        return None


def parse_name(value: object) -> str:
    """A host name in ASCII (IDNA 2008 where needed), lower case, without the root's dot; underscores pass, container networks use
    them."""
    if not isinstance(value, str):
        raise ValueRefused(f"wanted a host name, got {show(value)}")
    name = (value if value.isascii() else _in_ascii(value)).removesuffix(".")
    if not _NAME.match(name) or name.rpartition(".")[2].isdigit():
        raise ValueRefused(f"wanted a host name or an IP address, got {show(value)}")
    return name.lower()


def _in_ascii(name: str) -> str:
    """As browsers and certificates have it (UTS 46, non-transitional: "stra\u00dfe" is no "strasse"). What IDNA 2008 does not allow
    (symbols, mixed directions) is refused, and may be meant all the same."""
    import idna  # not at the top: 20 ms, and nearly everybody's names are ASCII

    try:
        mapped = idna.uts46_remap(name, std3_rules=False, transitional=False)
        return ".".join(label if label.isascii() else idna.alabel(label).decode("ascii") for label in mapped.split("."))
    except (idna.IDNAError, UnicodeError) as error:
        spelled = ".".join(map(_spelled, name.lower().split(".")))
        hint = f'if it is meant, write "{spelled}"' if _NAME.match(spelled) else ""
        raise ValueRefused(f"wanted a host name, got {show(name)}: not a valid international name ({error})", hint) from error


def _spelled(label: str) -> str:
    return label if label.isascii() else f"xn--{label.encode('punycode').decode('ascii')}"


# ---------------------------------------------------------------- networks


def parse_network(value: object) -> Network:
    """A CIDR network; a single address is a network of one."""
    wanted = 'wanted a network such as "10.0.0.0/8" or "fd00::/8"'
    if not isinstance(value, str):
        raise ValueRefused(f"{wanted}, got {show(value)}")
    try:
        return ip_network(value)
    except (AddressValueError, ValueError) as error:
        raise ValueRefused(f"{wanted}, got {show(value)}", _network_hint(value)) from error


def _network_hint(value: str) -> str:
    """For an address inside a network where the network was wanted: "10.1.2.3/8" was "10.0.0.0/8"."""
    try:
        network = ip_network(value, strict=False)
    except ValueError:
        return ""
    return f'did you mean "{network}"?'


def format_network(network: Network) -> str:
    """A network of one is written as its address."""
    lone = network.prefixlen == network.max_prefixlen
    address: IPv4Address | IPv6Address = network.network_address
    return str(address) if lone else str(network)
