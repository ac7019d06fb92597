"""Keys of a [tap.NAME]: what was decrypted, as packets for an intrusion detection system."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lbproxy.config import header_values as said
from lbproxy.config.atoms import GIB, KIB, MIB
from lbproxy.config.key import key
from lbproxy.config.kinds import FILE, Kind, ListOf, size, text_schema, whole

_BLANKED = Kind(
    "header", said.name_for(True, "take"), text_schema("^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$"), examples=("Authorization", "X-Key")
)
SECRETS = ("Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie")


@dataclass(frozen=True, slots=True)
class Tap:
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
    queue: int = key(size(64 * KIB, GIB), 16 * MIB, "what waits for the disk in each process; conversations beyond are dropped")
    name: str = ""
