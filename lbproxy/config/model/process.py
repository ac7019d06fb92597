"""The tables that hold for lbproxy as a whole: [proxy], [log], [limits], [metrics]."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lbproxy.config import values
from lbproxy.config.atoms import KIB, MIB, Address, Hsts, Network
from lbproxy.config.key import Changed, key, part
from lbproxy.config.kinds import (
    BOOLEAN,
    FILE,
    NETWORK,
    TEXT,
    VARIABLE,
    BesideFile,
    Kind,
    ListOf,
    ceiling,
    choice,
    duration,
    size,
    text_schema,
    whole,
)
from lbproxy.config.model.headers import HeadersConfig
from lbproxy.config.units import parse_port_address, parse_resolver

LEAST_MEMORY = 16 * MIB
"""A worker that has served nobody yet takes about 30 MiB: below that every worker would be replaced for ever."""

_WORKERS = Kind(
    "auto or a number",
    values.workers,
    {"anyOf": [{"const": "auto"}, {"type": "integer", "minimum": 1, "maximum": values.MAX_WORKERS}, VARIABLE]},
    examples=("auto", 4),
    write=lambda workers: workers or "auto",
)
_RESOLVER = Kind(
    "name server", parse_resolver, text_schema(r"^[0-9A-Fa-f.:\[\]]+$"), examples=("10.0.0.2", "127.0.0.1:8600"), write=str
)
_ACCESS: Kind[str] = BesideFile(
    '"stdout", "off" or a file', values.access_log, {"type": "string", "minLength": 1}, examples=("stdout", "/var/log/access.log")
)
_ADDRESS = Kind(
    "IP address and port", parse_port_address, text_schema("^.*:[0-9]{1,5}$"), examples=("127.0.0.1:9180", "[::1]:9180"), write=str
)
_HOST = Kind("host", values.route_host, {"type": "string", "minLength": 1}, examples=("lb1.example.com", "*.example.com"))


def _for_all() -> HeadersConfig:
    return HeadersConfig(security_headers="off", hsts=Hsts(), request_id="off", trace="off")


_HEADERS_FOR_ALL = {
    "security_headers": Changed(
        about='"basic": X-Content-Type-Options, X-Frame-Options = SAMEORIGIN, Referrer-Policy, where the answer has none; '
        '"strict": no frames at all, no referrer, and five more (http/presets.py). This and the next three hold for all pools '
        "and routes that do not say something else, and for lbproxy's own answers"
    ),
    "hsts": Changed(
        about='Strict-Transport-Security, over TLS only: "365d", "1y subdomains", "1y subdomains preload"; "0": forget it'
    ),
    "request_id": Changed(
        about='X-Request-Id to backend, client and log. "make": a new one, or the one of a trusted proxy; "pass": anybody\'s'
    ),
    "trace": Changed(
        about='traceparent: as it comes. "make", "pass": a span of the trace that came (from whom: as above), or a new one'
    ),
}


@dataclass(frozen=True, slots=True)
class ProcessConfig:
    """The table [proxy], about lbproxy as a whole."""

    workers: int = key(
        _WORKERS,
        0,
        f'"auto": one a core this process may use (a container\'s quota counts); or 1 to {values.MAX_WORKERS}',
        example=4,
    )
    user: str | None = key(
        TEXT,
        None,
        'who the children become when started as root. Default: "lbproxy" if there is one, else "nobody"',
        example="nobody",
        restart="the account of the processes is looked up once",
    )
    pid_file: Path | None = key(
        FILE,
        None,
        "where the master's process number stands. Default: none",
        example="/run/lbproxy/lbproxy.pid",
        restart="the master keeps its pid file for its life",
    )
    control: Path | None = key(
        FILE,
        None,
        "where `lbproxy reload`, `status` and the other verbs reach it. Default: none",
        example="/run/lbproxy/control.sock",
        restart="the master keeps its control socket for its life",
    )
    drain_timeout: float = key(duration(zero=True), 30.0, 'how long a stop or reload waits for requests in progress; "0" cuts them')
    trusted_proxies: tuple[Network, ...] = key(
        ListOf(NETWORK, 'a list of networks such as ["10.0.0.0/8"]'),
        (),
        "whose X-Forwarded-* are believed and added to; others' are replaced. The client is told by X-Forwarded-For, else "
        "Forwarded, else X-Real-IP; where they hold no address it is unknown",
    )
    worker_memory: int = key(
        ceiling(LEAST_MEMORY),
        0,
        'a worker that holds more memory is drained and replaced, one at a time; "0": never. E.g. "512MiB"',
        example="512MiB",
    )
    worker_memory_hard: int = key(
        ceiling(LEAST_MEMORY),
        0,
        'one that holds even more stops accepting at once and is replaced; "0": never; not below worker_memory',
        example="1GiB",
    )
    worker_requests: int = key(
        whole(0, 10**12), 0, "a worker is drained and replaced after about so many requests; 0: never", example=1_000_000
    )
    idle_grace: float = key(
        duration(zero=True),
        2.0,
        "how long at least a draining worker keeps idle connections, for requests on the wire; within drain_timeout",
        example="1s",
    )
    walls: bool = key(
        BOOLEAN,
        True,
        "what the kernel has to keep an intruder in a worker: no other programs, files, ports, memory (`lbproxy status`)",
        restart="the kernel takes none down again, and the master's own stand from the start",
    )
    headers: HeadersConfig = part(HeadersConfig, _for_all, changed=_HEADERS_FOR_ALL, without=("request", "response"))
    resolvers: tuple[Address, ...] = key(
        ListOf(_RESOLVER, 'a list of name servers such as ["10.0.0.2", "127.0.0.1:8600"]'),
        (),
        'name servers for backends\' names, "127.0.0.1:8600" with a port. Default: those of resolv.conf',
    )
    on_unknown_name: str = key(
        choice("refuse", "start"),
        "refuse",
        'a backend\'s name that nobody knows keeps lbproxy from starting; "start": it is down until it is known',
    )
    # What is there has no name that could be guessed. Not /tmp, which often is memory itself.
    temp_dir: Path = key(
        FILE,
        Path("/var/tmp"),  # noqa: S108
        "where bodies that are buffered go beyond memory: an unlinked file for each worker, opened as root. Bodies without a "
        "length are, for servers of HTTP/1.0, which would take them for none",
        example="/var/lib/lbproxy",
    )
    key_isolation: bool = key(
        BOOLEAN,
        False,
        "true: the private keys of listeners are in no worker; each asks a process of its own, which holds them and nothing else, "
        "for signatures. RSA and EC keys",
    )
    ticket_lifetime: float = key(
        duration(),
        12 * 3600.0,
        "how long a key makes session tickets, with which clients resume; it takes them for as long again",
        example="1h",
    )
    ticket_keys: tuple[Path, ...] = key(
        ListOf(FILE, 'a list of files such as ["ticket.key"]'),
        (),
        "files with a key each, 80 random bytes (openssl rand 80) or 48, as nginx has them, for machines that resume each other's "
        "sessions: the first makes tickets, the others are taken. Seen when they change. Default: keys of lbproxy's own",
        example=["ticket.key"],
    )
    state_dir: Path | None = key(
        FILE,
        None,
        "a folder for what outlives a restart: accounts and certificates of [acme]. Made, for its owner alone, where it is not "
        "there. Default: none",
        example="/var/lib/lbproxy",
        restart="what is served from there now would be looked for elsewhere",
    )


@dataclass(frozen=True, slots=True)
class LogConfig:
    """The table [log], about events and access lines."""

    level: str = key(choice("debug", "info", "warning", "error"), "info", '"debug", "info", "warning", "error": events on stderr')
    format: str = key(
        choice("auto", "console", "json"), "auto", '"console", "json", or "auto": console on a terminal', example="json"
    )
    access: str = key(_ACCESS, "stdout", '"stdout", "off" or a file: one JSON line a request')


_SERVED = {"address": "127.0.0.1:9180"}


@dataclass(frozen=True, slots=True)
class LimitsConfig:
    """The table [limits], about what a client may make a worker hold."""

    head: int = key(size(1024, MIB), 32 * KIB, "request line and headers", example="64KiB")
    request_line: int = key(size(256, MIB), 8 * KIB, "the request line alone", example="4KiB")
    fields: int = key(whole(8, 10_000), 100, "headers")
    body: int = key(size(0, values.MOST_BYTES), 0, 'of a request; "0": no limit', example="1GiB")
    connections_per_worker: int = key(whole(1, 1_000_000), 10_000, "of clients, open at a time")
    # Kestrel asks for 240 after 5 s, Apache for 500 after 20 s.
    body_rate: int = key(
        size(0, MIB), 240, 'of a request, a second, on average; less is given body_idle in all. "0": none', example="1KiB"
    )
    streams: int = key(whole(1, 10_000), 128, "requests of one HTTP/2 connection, under way at a time; more are refused")
    compressions_per_worker: int = key(
        whole(0, 100_000), 128, "answers that are compressed at a time, 30 to 600 KiB each; more are passed on as they are"
    )
    compression_cpu: int = key(
        whole(1, 100), 50, "percent of a worker's time, over a second; while it is spent, answers are passed on as they are"
    )


@dataclass(frozen=True, slots=True)
class MetricsConfig:
    """The table [metrics], about the port for scrapers and people."""

    address: Address | None = key(_ADDRESS, None, "default: not served")
    hosts: tuple[str, ...] = key(
        ListOf(_HOST, 'a list of hosts such as ["lb1.example.com"]'),
        (),
        'names it may be asked by, "*.example.com" as well. Addresses and localhost always may; any other Host is refused (421): '
        "it is a browser that was sent here by somebody else's page",
        needs=_SERVED,
    )
    connections: int = key(whole(2, 1000), 32, "at a time; then the oldest that has said nothing gives way", needs=_SERVED)
    # Shorter than any scraper's own.
    timeout: float = key(duration(60.0), 5.0, "for a connection, from the first to the last byte", needs=_SERVED)
