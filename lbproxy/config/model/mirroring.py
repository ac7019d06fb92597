"""Keys of a [route.mirror]: requests that go to a second pool as well, whose answers nobody gets."""

from __future__ import annotations

from dataclasses import dataclass

from lbproxy.config import header_values as said
from lbproxy.config import values
from lbproxy.config.atoms import KIB, MIB
from lbproxy.config.key import key
from lbproxy.config.kinds import BOOLEAN, TEXT, Kind, ListOf, duration, size, text_schema, whole

_METHOD = Kind("method", values.method, text_schema("^[A-Z][A-Z-]{0,31}$"), examples=("GET", "POST"))
_TAKEN_OFF = Kind(
    "header", said.name_for(True, "take"), text_schema("^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$"), examples=("Authorization", "Cookie")
)


@dataclass(frozen=True, slots=True)
class MirrorConfig:
    """[route.mirror]: a second pool gets a share of the requests, and nobody waits for it."""

    pool: str = key(TEXT, "", "who gets them as well: the name of a [pool.NAME]. It must be there", example="api")
    percent: int = key(whole(1, 100), 100, "of the requests, by turns, exact in each process")
    methods: tuple[str, ...] = key(
        ListOf(_METHOD, 'a list of methods such as ["GET", "POST"]', empty=("method", "leave the key out for GET and HEAD")),
        (),
        "these alone. Default: GET and HEAD: what changes something is done twice",
        example=["GET", "HEAD", "POST"],
    )
    remove: tuple[str, ...] = key(
        ListOf(_TAKEN_OFF, 'a list of names such as ["Authorization", "Cookie"]'),
        (),
        "fields that it does not get. All else is as the backend gets it, Host too",
        example=["Authorization", "Cookie"],
    )
    max_body: int = key(size(0, 16 * MIB), 64 * KIB, "of a request, which is kept for it; larger ones are skipped and counted")
    queue: int = key(whole(1, 10_000), 100, "requests that wait for it in each process; more are dropped and counted")
    concurrency: int = key(whole(1, 1000), 8, "requests under way to it at a time, from each process")
    timeout: float = key(duration(600.0), 10.0, "for each; then it is given up. Nothing is tried twice")
    compare: bool = key(
        BOOLEAN,
        False,
        "true: status, length and SHA-256 of both answers are compared; what differs is counted, and logged with its path",
    )
