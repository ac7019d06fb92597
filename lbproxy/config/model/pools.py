"""The backends' side: [pool.NAME]."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lbproxy.config import key as declared  # tables of keys have a key of that name
from lbproxy.config import values
from lbproxy.config.atoms import GIB, MIB, Address, Hash, Passphrase
from lbproxy.config.key import in_any_case, key, part, required, table, table_or_none, tables
from lbproxy.config.kinds import BOOLEAN, FILE, TEXT, Kind, ListOf, choice, duration, size, text_schema, whole
from lbproxy.config.model.headers import HeadersConfig
from lbproxy.config.model.health import HealthConfig, OutlierConfig
from lbproxy.config.model.listeners import KEY_MODE, KEY_MODE_ABOUT
from lbproxy.config.model.passphrase import PASSPHRASE
from lbproxy.config.model.timeouts import NearTimeoutsConfig
from lbproxy.config.units import parse_backend_address
from lbproxy.config.vocabulary import BALANCE, FAILURES, SPOKEN, TOLERABLE

MOST_IN_MEMORY = 256 * MIB
"""Of one body: each of thousands may take so much."""
_ADDRESS = Kind(
    "address",
    parse_backend_address,
    text_schema("^(unix:/.+|.*:[0-9]{1,5})$"),
    examples=("127.0.0.1:9000", "app.internal:80"),
    write=str,
)
_NAME = Kind("name", values.server_name, text_schema("^[^ ]+$"), examples=("api.internal", "app.internal"))
_COOKIE = Kind("name of a cookie", values.cookie_name, text_schema("^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$"), examples=("a", "b"))
_HASH = Kind(
    "source",
    values.hash_source,
    text_schema("^(address|(header|cookie) [!#$%&'*+.^_`|~0-9A-Za-z-]{1,128})$"),
    examples=("address", "cookie user"),
    write=str,
)


@dataclass(frozen=True, slots=True)
class BackendConfig:
    """One of a pool's backends."""

    address: Address = field(
        metadata=required(
            _ADDRESS,
            'a host and a port. A name ("app.internal:8080") is as many backends as it has addresses, and is asked for again '
            'when its time to live is over (1 to 60 seconds). "unix:/run/app.sock" is a Unix socket',
            'add address = "10.0.0.1:8080"',
        )
    )
    weight: int = key(whole(0, 1000), 1, "its share beside the others; 0 gives it no new requests", example=3)
    max_connections: int = key(whole(0, 1_000_000), 0, "requests in progress there, over all workers; 0: no limit")
    line: int = 0
    tier: int = key(whole(0, 9), 0, "one is used while nobody of a lower one is up; backup = true is tier 1")
    backup: bool = key(
        BOOLEAN, False, "true: used while none of the others is up; the same as tier = 1", written=False, never_with=("tier",)
    )


_PIN = Kind("pin", values.public_key_pin, {"type": "string", "minLength": 44},
            examples=("n5dNxwJIGyG2lBkxGcOVW0XqOmJ1ZQvT9gvhuCmOzh8=", "5kJvNEMw0KjrCAu7eXY5HZdvyCS13BbA0VJG1RSP91w="))  # fmt: skip
_SNI = Kind("name, or off", values.sni, text_schema("^[^ ]+$"), examples=("off", "api.internal"))


def _with_key(tls: Any) -> bool:
    return tls.key is not None


@dataclass(frozen=True, slots=True)
class PoolTlsConfig:
    """Re-encryption towards the backends; verified unless `verify` is false."""

    ca: Path | None = declared.key(
        FILE, None, "who signs their certificates. Default: the system's store", example="internal-ca.pem"
    )
    server_name: str | None = declared.key(
        _NAME, None, "whose certificate they show. Default: the host of each backend", example="api.internal"
    )
    cert: Path | None = declared.key(
        FILE, None, "shown to them when they ask. Default: none", example="lbproxy.crt", needs={"key": "lbproxy.key"}
    )
    key: Path | None = declared.key(FILE, None, "goes with cert", example="lbproxy.key", needs={"cert": "lbproxy.crt"})
    verify: bool = declared.key(BOOLEAN, True, "false accepts any certificate: only where the network itself is trusted")
    key_mode: str = declared.key(
        KEY_MODE, "private", KEY_MODE_ABOUT, needs={"cert": "lbproxy.crt", "key": "lbproxy.key"}, when=_with_key
    )
    min_version: str = declared.key(choice("1.0", "1.1", "1.2", "1.3"), "1.2", '"1.0" to "1.3"')
    ciphers: str | None = declared.key(
        TEXT, None, "of TLS 1.2 and below, as `openssl ciphers` has them. Default: OpenSSL's", example="ECDHE+AESGCM"
    )
    passphrase: Passphrase | None = declared.key(
        PASSPHRASE,
        None,
        "where that of an encrypted key comes from, as for a listener's",
        needs={"cert": "lbproxy.crt", "key": "lbproxy.key"},
        when=_with_key,
    )
    max_version: str | None = declared.key(
        choice("1.0", "1.1", "1.2", "1.3"), None, "the newest version. Default: 1.3", example="1.3"
    )
    crl: Path | None = declared.key(
        FILE,
        None,
        "certificates that were revoked, PEM or DER: the list of each authority in the chain. One that is missing or out of date "
        "lets nobody pass. Default: none is looked at",
        example="internal-ca.crl",
    )
    pins: tuple[str, ...] = declared.key(
        ListOf(_PIN, 'a list of pins such as ["n5dNxwJIGyG2lBkxGcOVW0XqOmJ1ZQvT9gvhuCmOzh8="]'),
        (),
        "SHA-256 of the public keys that a backend may show, in base64, beside all the rest; the next key's as well, or the day it "
        "changes nobody is reached. `lbproxy cert show` tells it",
    )
    sni: str | None = declared.key(
        _SNI, None, 'the name that is asked for in the handshake (SNI); "off": none. Default: that of server_name'
    )


@dataclass(frozen=True, slots=True)
class StickyConfig:
    """[pool.NAME.sticky]; the cookie that brings a client back to its backend."""

    cookie: str = key(_COOKIE, "lbproxy", "its name", example="backend")
    same_site: str = key(choice("strict", "lax", "none"), "lax", '"strict", "lax", "none"')
    max_age: float = key(duration(400 * 86400.0, zero=True), 0.0, 'how long the browser keeps it; "0": as long as it runs')


@dataclass(frozen=True, slots=True)
class ConnectionsConfig:
    """[pool.NAME.connections]: how connections to the backends are kept for the next request."""

    idle: int = key(whole(0, 100_000), 128, "per worker and backend; 0: each carries one request")
    # Below the 60-75 s after which nginx, Apache and most application servers close; those that close sooner are seen to close.
    idle_timeout: float = key(
        duration(86400.0), 30.0, "below the backends' own, which would otherwise close one as a request sets out on it"
    )
    # nginx's keepalive_time: backends that were added behind one address (a balancer, a service) get their share in the end.
    max_age: float = key(duration(zero=True), 3600.0, 'closed after so long, at the end of a response; "0": never')
    max_requests: int = key(whole(0, 10**12), 0, "closed after so many; 0: never")


def _hashes(pool: Any) -> bool:
    return bool(pool.balance == "source_hash")


def _buffers(pool: Any) -> bool:
    """Where nothing is buffered the file means nothing, and the reader says so."""
    return bool(pool.buffer_requests or pool.buffer_responses)


@dataclass(frozen=True, slots=True)
class PoolConfig:
    """The table [pool.NAME]: backends that serve the same."""

    name: str
    backends: tuple[BackendConfig, ...] = field(
        metadata=in_any_case(
            tables(
                BackendConfig,
                "an address, or a table where there is more to say. All of it is said of each address that a name has",
                "a backend",
                short="address",
                wanted='a list such as ["10.0.0.1:8080", "10.0.0.2:8080"]',
            )
        )
    )
    balance: str = key(
        choice(*BALANCE),
        "least_conn",
        "; ".join(f"{name}: {policy.about}" for name, policy in BALANCE.items()),
        example="random_two",
    )
    tls: PoolTlsConfig | None = table_or_none(
        PoolTlsConfig,
        "without this table: plain HTTP to the backends. With it: TLS, verified",
        'a table such as { ca = "ca.pem" } or {}',
    )
    health: HealthConfig = table(
        HealthConfig, "a backend that fails is left out until it is back", 'a table such as { type = "http", path = "/healthz" }'
    )
    line: int = 0
    hash: Hash = key(
        _HASH,
        Hash(),
        '"address" (the client\'s), "header NAME" or "cookie NAME"; only with balance = "source_hash"',
        needs={"balance": "source_hash"},
        when=_hashes,
    )
    sticky: StickyConfig | None = table_or_none(
        StickyConfig,
        "without this table: none. With it: a cookie brings a client back to the backend it had",
        'a table such as { cookie = "lbproxy" } or {}',
    )
    queue: int = key(
        whole(0, 1_000_000), 100, "requests that may wait, first come, first served, when every backend is at its max_connections"
    )
    queue_timeout: float = key(duration(3600.0), 5.0, "who waited so long gets 503")
    outlier: OutlierConfig = table(
        OutlierConfig,
        "a backend where requests fail, and not at the others, is left out for a while, then tried",
        "a table such as { consecutive = 5 }",
    )
    fail_open: int = key(
        whole(0, 100), 50, "with less than so many percent of the backends up, others that can be reached are used, too; 0: never"
    )
    slow_start: float = key(
        duration(3600.0, zero=True), 0.0, 'over how long a backend that was down gets its share back, from a tenth on; "0": at once'
    )
    idempotency_key: bool = key(
        BOOLEAN, False, "true: a request with an Idempotency-Key may be sent twice, the backends recognise the second"
    )
    headers: HeadersConfig = part(HeadersConfig)
    connections: ConnectionsConfig = table(
        ConnectionsConfig, "kept for the next request", 'a table such as { idle = 128, idle_timeout = "30s" }'
    )
    retries: int = key(
        whole(0, 10),
        1,
        "further tries of a request, each elsewhere; one more while nothing was sent; 0: never sent twice. What is not idempotent "
        "(POST, PATCH) only with proof that the backend got nothing of it",
    )
    retry_on: tuple[str, ...] = key(
        ListOf(choice(*FAILURES), 'a list such as ["connect", "closed"]'),
        ("connect", "closed"),
        f"after what: {'; '.join(f'{word} ({what})' for word, what in FAILURES.items())}. The last two only where a request may be "
        "carried out twice",
        example=["connect", "timeout"],
    )
    retry_budget: int = key(
        whole(0, 100), 20, "percent of the requests in progress that may be on a further try, over all workers; always 3"
    )
    tolerate: tuple[str, ...] = key(
        ListOf(choice(*TOLERABLE), 'a list such as ["bare_lf"]'),
        (),
        "faults in the form of answers that are read past, for devices that cannot be mended: "
        + "; ".join(f"{word} ({what})" for word, what in TOLERABLE.items())
        + ". Clients get them clean, and the connection to the backend closes behind them",
        example=["bare_lf"],
    )
    timeouts: NearTimeoutsConfig = table(
        NearTimeoutsConfig,
        "of [timeouts]: those that may differ from pool to pool; each wins over that of [timeouts]",
        'a table such as { response_head = "5m" }',
    )
    buffer_requests: int = key(
        size(0, MOST_IN_MEMORY),
        0,
        "a request's body is taken in whole before a backend hears of it: so much in memory, the rest in a file in temp_dir. For "
        'backends with a process or a thread a request. "0": passed on as it comes',
        example="64KiB",
    )
    buffer_responses: int = key(
        size(0, MOST_IN_MEMORY),
        0,
        "the same for answers: the backend is free once it has said everything, however slow the client is. Not streams of "
        "events, nor answers with X-Accel-Buffering: no",
        example="64KiB",
    )
    # nginx's proxy_max_temp_file_size.
    buffer_file: int = key(
        size(0, values.MOST_BYTES),
        GIB,
        "of one body, in the file; what is longer is passed on as it comes. Only with one of the two",
        needs={"buffer_requests": "64KiB"},
        when=_buffers,
    )
    protocol: str = key(
        choice(*SPOKEN),
        "http/1.1",
        'how its backends are spoken to: "http/1.1"; "h2": HTTP/2 on connections that requests share, chosen by ALPN with tls, '
        'without it as they begin (h2c); "auto": what each chooses by ALPN, which wants tls',
        example="h2",
    )
    proxy_protocol: str | None = key(
        choice("v1", "v2"),
        None,
        'its backends expect a PROXY header of that version in front of each connection: "v2" (with the names and ids that there '
        'are), "v1" (a line). It names one client, so a connection belongs to one client connection, and http/1.1 is spoken on it. '
        "Health checks say that they are nobody's. Default: none",
        example="v2",
    )
