"""Keys of a [tap.NAME]: what was decrypted, as packets for an intrusion detection system."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from lbproxy.config import header_values as said
from lbproxy.config.atoms import GIB, KIB, MIB, Address, Network
from lbproxy.config.key import key
from lbproxy.config.kinds import FILE, NETWORK, Kind, ListOf, size, text_schema, whole
from lbproxy.config.units import ValueRefused, parse_network, parse_port_address, show

_name = said.name_for(True, "take")
_OF_ONE_HOP = ("proxy-authorization", "proxy-authenticate", "sec-websocket-protocol", "sec-websocket-key", "sec-websocket-accept")


def _blanked(value: object) -> str:
    """A name; also of fields that no rule may touch, since no message is changed here, and that credentials stand in."""
    return value if isinstance(value, str) and value.lower() in _OF_ONE_HOP else _name(value)


_BLANKED = Kind(
    "header", _blanked, text_schema("^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$"), examples=("Authorization", "X-Key")
)
_LOOPBACK = "127.0.0.1"


def _near(value: object) -> Address:
    """An address to listen on; a port alone is this machine's alone."""
    return parse_port_address(_LOOPBACK + value if isinstance(value, str) and value.startswith(":") else value)


def _interface(value: object) -> str:
    """A name as Linux has them (dev_valid_name), and that a shell shows as it is."""
    if isinstance(value, str) and re.fullmatch(r"[0-9A-Za-z_.-]{1,15}", value, re.ASCII) and value not in (".", ".."):
        return value
    hint = "ip -brief link shows those that are here"
    raise ValueRefused(f'wanted the name of a network interface such as "tap0", got {show(value)}', hint)


_LISTEN = Kind("IP address and port", _near, text_schema("^.*:[0-9]{1,5}$"), examples=("127.0.0.1:57012", "[::1]:57012"), write=str)
_INTERFACE = Kind("interface", _interface, text_schema("^[0-9A-Za-z_.-]{1,15}$"), examples=("tap0", "tap1"))
THIS_MACHINE = (parse_network("127.0.0.0/8"), parse_network("::1/128"))
SECRETS = ("Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie")


@dataclass(frozen=True, slots=True)
class TapConfig:
    """[tap.NAME]: conversations of the routes that name it, as if they had gone over TCP in the clear."""

    folder: Path | None = key(
        FILE,
        None,
        "where each worker writes its files, NAME-WORKER-NUMBER.pcap, readable for the owner alone. It must be there",
        example="/var/lib/lbproxy/tap",
    )
    files: int = key(whole(2, 64), 4, "of each worker: when one is full the oldest is begun anew")
    file_size: int = key(size(64 * KIB, 64 * GIB), 64 * MIB, "of each file at most")
    percent: int = key(whole(1, 100), 100, "of the requests, by turns, exact in each process")
    max_body: int = key(size(0, 16 * MIB), 64 * KIB, "of each body; what is more is left out, and the length that is told is that")
    blank: tuple[str, ...] = key(
        ListOf(_BLANKED, 'a list of names such as ["Authorization", "X-Key"]'),
        SECRETS,
        "fields whose values nobody reads there; an empty list: none",
    )
    queue: int = key(size(64 * KIB, GIB), 16 * MIB, "what waits in each worker; conversations beyond are dropped")
    fifo: Path | None = key(
        FILE,
        None,
        "a named pipe that one program reads as it happens, made where it is not there. Default: none",
        example="/run/lbproxy/tap.fifo",
    )
    listen: Address | None = key(
        _LISTEN,
        None,
        "PCAP over IP: where programs connect that read as it happens, each all of it, in the clear; a port alone is this "
        "machine's alone. Default: nowhere",
        example="127.0.0.1:57012",
    )
    allow: tuple[Network, ...] = key(
        ListOf(NETWORK, 'a list of networks such as ["10.0.0.0/8"]', empty=("network", "leave the key out for this machine alone")),
        THIS_MACHINE,
        "who may connect there",
        needs={"listen": "127.0.0.1:57012"},
    )
    readers: int = key(whole(1, 64), 8, "how many at once", needs={"listen": "127.0.0.1:57012"})
    interface: str | None = key(
        _INTERFACE, None, "a network interface that it goes out of as frames; it takes CAP_NET_RAW. Default: none", example="tap0"
    )
    reader_queue: int = key(
        size(64 * KIB, GIB), 16 * MIB, "what waits for each that reads as it happens; conversations beyond are left out there"
    )
    name: str = ""
    line: int = 0

    @property
    def sinks(self) -> tuple[str, ...]:
        """Where it goes as it happens, by their keys."""
        return tuple(sink for sink in ("fifo", "listen", "interface") if getattr(self, sink) is not None)
