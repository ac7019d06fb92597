"""Keys of a [route.icap]: servers that look at requests and answers before anybody gets them (RFC 3507)."""

from __future__ import annotations

from dataclasses import dataclass

from lbproxy.config import values
from lbproxy.config.atoms import KIB, MIB
from lbproxy.config.key import key
from lbproxy.config.kinds import BOOLEAN, TEXT, Kind, choice, duration, size, text_schema, whole

_SERVICE = Kind("path", values.url_path, text_schema("^/[!-~]*$"), examples=("/avscan", "/reqmod"))


@dataclass(frozen=True, slots=True)
class IcapConfig:
    """[route.icap]: antivirus, data loss prevention and their kin, asked by ICAP."""

    pool: str = key(
        TEXT,
        "",
        "who is asked: the name of a [pool.NAME] of ICAP servers, whose port is 1344 as a rule, and to which no requests go. It "
        "must be there. Checks of type tcp or tls find out whether they are up",
        example="api",
    )
    reqmod: str = key(_SERVICE, "", "the service that looks at requests. Default: none", example="/avscan")
    respmod: str = key(
        _SERVICE, "", "the service that looks at answers. Default: none. One of the two must be there", example="/avscan"
    )
    timeout: float = key(
        duration(3600.0),
        30.0,
        "how long a server may say nothing, or not end a head, when it is its turn, or take nothing. Less than 1 KiB "
        "of a body a second is as good as nothing",
    )
    on_failure: str = key(
        choice("refuse", "pass"), "refuse", 'no verdict: 503; "pass": as if nobody were asked, counted and logged as failed'
    )
    preview: int = key(
        size(0, 64 * KIB), 4 * KIB, "bytes of a body that a server gets first at most, if it wants a preview. It may be content"
    )
    max_body: int = key(size(KIB, 1024 * MIB), 64 * MIB, "of a message, and of what a server makes of it")
    over_cap: str = key(
        choice("refuse", "pass"),
        "refuse",
        'larger ones, and answers without an end: 413, 502; "pass": nobody looks at them, which is counted and logged as skipped',
    )
    memory: int = key(size(0, 16 * MIB), 256 * KIB, "of each body until the verdict; the rest is in a file in proxy.temp_dir")
    stream_after: int = key(
        size(0, 1024 * MIB),
        0,
        "bytes of a message behind which it goes on while it is looked at, all but its end; a verdict against an answer cuts the "
        'connection, one against a request ends it with a 403. "0": nothing reaches anybody before the verdict',
        example="8MiB",
    )
    failure_limit: int = key(
        whole(0, 100_000), 10, "failures in a row in each process, behind which servers are left alone for a while. 0: never"
    )
    revival: float = key(duration(86400.0), 180.0, "how long; then one message tries it")
    tell_client: bool = key(BOOLEAN, False, "true: servers are told the client's address (X-Client-IP)")
