"""The configuration as typed values, and the only home of defaults.

Durations are seconds (float), sizes are bytes (int), 0 where documented means "no limit". Every value is immutable: a reload makes
a new `Config` and compares it with the old one. Reading and checking live in load.py; this file imports nothing of ours.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import NamedTuple

Network = IPv4Network | IPv6Network

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


UNIX = "unix:"
"""What the host of a Unix socket's address begins with; no name and no IP address does."""


class Address(NamedTuple):
    """Host and port as written; the host is a literal IP ("::1" without brackets) or a DNS name (backends only). A Unix socket is
    its path behind UNIX, and has no port (0)."""

    host: str
    port: int

    @property
    def path(self) -> str:
        """Of the Unix socket's file; "" for an address of the network."""
        return self.host[len(UNIX) :] if self.host.startswith(UNIX) else ""

    def __str__(self) -> str:
        if self.host.startswith(UNIX):
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class NearTimeouts:
    """[pool.NAME.timeouts] or [route.timeouts], seconds; None: as the next wider table says. See Timeouts."""

    connect: float | None = None
    response_head: float | None = None
    body_idle: float | None = None
    write_stall: float | None = None
    tunnel: float | None = None
    request: float | None = None


@dataclass(frozen=True, slots=True)
class HeaderRules:
    """request_headers or response_headers: what comes loses the names of `remove` and `set`, what is left has the beginning of its
    values replaced by `replace`, then `set` and `add` are put on."""

    set: tuple[tuple[str, str], ...] = ()  # (name, value); the value may hold variables, "{client_ip}"
    add: tuple[tuple[str, str], ...] = ()  # the same name may stand here several times
    remove: tuple[str, ...] = ()  # "X-Internal-*" is all that begin so
    keep: tuple[str, ...] = ()  # of responses: of TELLTALES, what is passed on all the same
    replace: tuple[tuple[str, str, str], ...] = ()  # (name, what a value begins with, what it begins with then)


TELLTALES = ("Server", "X-Powered-By", "X-AspNet-Version", "X-AspNetMvc-Version")
"""What backends tell about their software, which is taken out of responses: it helps nobody but who looks for its holes."""

class Hsts(NamedTuple):
    """Strict-Transport-Security (RFC 6797)."""

    max_age: int = -1  # seconds; 0 makes browsers forget; -1: the field is not sent
    subdomains: bool = False
    preload: bool = False


@dataclass(frozen=True, slots=True)
class Headers:
    """What a route, a pool or [proxy] (which has no rules) wants of header fields. None: as the next wider table says."""

    request: HeaderRules = field(default_factory=HeaderRules)
    response: HeaderRules = field(default_factory=HeaderRules)
    security_headers: str | None = None  # off | basic | strict
    hsts: Hsts | None = None
    request_id: str | None = None  # off | make | pass
    trace: str | None = None  # off | make | pass

    def over(self, wider: Headers) -> Headers:
        """These, and where they say nothing the words of a wider table; the rules stay these."""
        words = {key: getattr(wider, key) for key in HEADER_WORDS if getattr(self, key) is None}
        return replace(self, **words)


HEADER_WORDS = ("security_headers", "hsts", "request_id", "trace")
"""Keys about header fields that a nearer table overrides."""


@dataclass(frozen=True, slots=True)
class Process:
    """[proxy]"""

    workers: int = 0
    """0 is "auto": the CPU cores this process may use, honouring a cgroup quota."""
    user: str | None = None
    """Account of the children when started as root; None is `lbproxy` if that account exists, else `nobody`."""
    pid_file: Path | None = None
    control: Path | None = None
    drain_timeout: float = 30.0
    trusted_proxies: tuple[Network, ...] = ()
    worker_memory: int = 0
    """Resident bytes above which a worker is drained and replaced, one at a time; 0: never."""
    worker_memory_hard: int = 0
    """Resident bytes above which a worker stops accepting at once and is replaced; 0: never. Not below `worker_memory`."""
    worker_requests: int = 0  # requests after about which a worker is drained and replaced; 0: never
    idle_grace: float = 2.0
    """How long at least a draining worker keeps idle keep-alive connections, for requests on the wire; load.py makes it no longer
    than `drain_timeout`."""
    walls: bool = True  # what the kernel has to keep an intruder in (sandbox/walls.py)
    headers: Headers = field(default_factory=lambda: Headers(security_headers="off", hsts=Hsts(), request_id="off", trace="off"))
    resolvers: tuple[Address, ...] = ()
    """Name servers to ask for backends' names; none: those of resolv.conf. Hosts files come first in any case."""
    on_unknown_name: str = "refuse"  # refuse | start
    """What becomes of a start or a reload when a backend's name is not known; "start": that backend is down until it is."""
    temp_dir: Path = Path("/var/tmp")  # noqa: S108  # what is there has no name that could be guessed
    """Where each worker has its one unlinked file for what pools buffer beyond memory. Not /tmp, which often is memory itself."""


@dataclass(frozen=True, slots=True)
class Log:
    """[log]"""

    level: str = "info"  # debug | info | warning | error
    format: str = "auto"  # auto | console | json
    access: str = "stdout"  # "stdout", "off" or a path


@dataclass(frozen=True, slots=True)
class Certificate:
    cert: Path
    key: Path
    key_mode: str = "private"  # private | any: others than its owner may be able to read the key, as container runtimes mount it


@dataclass(frozen=True, slots=True)
class ListenTls:
    profile: str = "intermediate"  # modern (1.3 only) | intermediate (1.2 and 1.3)
    client_ca: Path | None = None
    client_auth: str = "none"  # none | optional | required


class Rate(NamedTuple):
    """So many in so many seconds: "20/s", "5/m", "100/h"."""

    amount: int
    period: int  # 1 | 60 | 3600

    def __str__(self) -> str:
        return f"{self.amount}/{({1: 's', 60: 'm', 3600: 'h'})[self.period]}"


@dataclass(frozen=True, slots=True)
class ClientLimit:
    """What each client may do, over all workers; a client is an IPv4 address or an IPv6 /64."""

    rate: Rate | None = None
    burst: int = 0  # how many at once; 0: the `amount` of `rate`
    concurrency: int = 0  # how many under way; 0: no limit
    name: str = ""  # of a [client_limit.NAME], which several routes may share; "": a route's or listener's own


@dataclass(frozen=True, slots=True)
class AddressList:
    """Who may come in. What is denied stays out; if anything is allowed, only that comes in."""

    allow: tuple[Network, ...] = ()
    deny: tuple[Network, ...] = ()
    allow_file: Path | None = None  # more of them, one a line
    deny_file: Path | None = None
    allow_listed: tuple[Network, ...] = ()
    """What was in `allow_file` when the configuration was read."""
    deny_listed: tuple[Network, ...] = ()

    @property
    def restricts(self) -> bool:
        """Whether anybody may be kept out."""
        return bool(self.allow or self.deny or self.allow_file or self.deny_file)


@dataclass(frozen=True, slots=True)
class Refuse:
    """[[route.refuse]]: requests that all of it fits get 403."""

    name: str  # in the access log; its number in the route when it was given none
    methods: tuple[str, ...] = ()  # one of these; (): any
    path: str | None = None  # a text with stars
    header: str | None = None  # has this field ...
    value: str | None = None  # ... with this value, a text with stars
    without: str | None = None  # lacks this field


@dataclass(frozen=True, slots=True)
class RouteFilters:
    """What a route refuses before any backend is asked; by default nothing."""

    addresses: AddressList = field(default_factory=AddressList)
    methods: tuple[str, ...] = ()  # (): every method; GET stands for HEAD, too
    max_body: int | None = None  # None: that of [limits]; 0: no limit
    limit: ClientLimit = field(default_factory=ClientLimit)
    client_limits: tuple[str, ...] = ()
    """Names of [client_limit.NAME] that hold as well."""
    refuse: tuple[Refuse, ...] = ()


@dataclass(frozen=True, slots=True)
class SocketAccess:
    """Who may connect to a listener's Unix socket; None: whoever starts lbproxy, and his group."""

    mode: int = 0o660
    owner: str | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Listen:
    """[[listen]]; without certificates it speaks plain HTTP."""

    address: Address
    certificates: tuple[Certificate, ...] = ()
    tls: ListenTls = field(default_factory=ListenTls)
    redirect_to_https: bool = False
    line: int = 0
    """Where the file declares it, for complaints that come later (port in use)."""
    max_connections: int = 0
    """Open at a time, over all workers; 0: no limit."""
    addresses: AddressList = field(default_factory=AddressList)
    per_client: ClientLimit = field(default_factory=ClientLimit)
    """connection_rate, connection_burst, connections_per_client."""
    access: SocketAccess = field(default_factory=SocketAccess)
    """mode, owner, group; of Unix sockets alone."""
    redirect_port: int = 0
    """The port that redirect_to_https names; 0: the one where HTTPS is for the client."""


@dataclass(frozen=True, slots=True)
class Route:
    """[[route]]; the first match wins."""

    pool: str
    host: str | None = None  # lower case, exact or "*.example.com" (one label); None matches every host
    path: str = "/"  # a prefix
    line: int = 0
    encoded_slash: str = "pass"  # pass | refuse
    merge_slashes: bool = False
    """"//" is forwarded, and matched, as "/"."""
    raw_path: bool = False
    """The path is forwarded as the client wrote it; matched is its normal form all the same."""
    headers: Headers = field(default_factory=Headers)
    filters: RouteFilters = field(default_factory=RouteFilters)
    timeouts: NearTimeouts = field(default_factory=NearTimeouts)
    encoded_backslash: str = "refuse"  # refuse | pass ("%5C" in a path); raw_path passes it as well
    underscores: str = "drop"  # drop | pass; of fields with "_" in their names
    client_close: str = "abort"  # abort | answer; of a client that ends its side while it waits


@dataclass(frozen=True, slots=True)
class Backend:
    address: Address
    weight: int = 1  # 0..1000; 0 takes no new requests
    max_connections: int = 0  # 0: no limit
    line: int = 0
    tier: int = 0  # used while nobody of a lower tier is up; 1 is what `backup` means


@dataclass(frozen=True, slots=True)
class PoolTls:
    """Re-encryption towards the backends; verified unless `verify` is false."""

    ca: Path | None = None  # None: the system's store
    server_name: str | None = None  # None: the backend's host
    cert: Path | None = None
    key: Path | None = None
    verify: bool = True
    key_mode: str = "private"  # as of a Certificate
    min_version: str = "1.2"  # 1.0 | 1.1 | 1.2 | 1.3
    ciphers: str | None = None  # of TLS 1.2 and below, as `openssl ciphers` has them; None: those that OpenSSL thinks good


@dataclass(frozen=True, slots=True)
class Health:
    """[pool.NAME.health]; on by default as a TCP check, or a TLS check where the pool re-encrypts."""

    type: str = "tcp"  # tcp | tls | http | off   (http goes over TLS when the pool re-encrypts)
    interval: float = 2.0
    timeout: float = 1.5
    rise: int = 2
    fall: int = 3
    method: str = "GET"
    path: str = "/"
    host: str | None = None  # None: the backend's address
    expect: tuple[int, int] = (200, 399)  # inclusive
    fast_interval: float = 1.0
    """While a verdict is changing: one more check of the other kind was seen, but not yet `rise` or `fall` of them."""
    down_interval: float = 5.0
    """While the backend is down."""
    body: str | None = None
    """What must stand in the first 64 KiB of the body; None: anything may."""
    port: int = 0
    """Where every backend of the pool is checked; 0: where its requests go."""
    headers: tuple[tuple[str, str], ...] = ()
    """Fields of the check's request: (name, value)."""


@dataclass(frozen=True, slots=True)
class Hash:
    """What balance = "source_hash" goes by: "address", "header NAME" or "cookie NAME"."""

    kind: str = "address"  # address | header | cookie
    name: str = ""  # of a header, in lower case, or of a cookie

    def __str__(self) -> str:
        return f"{self.kind} {self.name}" if self.name else self.kind


@dataclass(frozen=True, slots=True)
class Sticky:
    """[pool.NAME.sticky]; the cookie that brings a client back to its backend."""

    cookie: str = "lbproxy"
    same_site: str = "lax"  # strict | lax | none
    max_age: float = 0.0  # seconds; 0: as long as the browser runs


@dataclass(frozen=True, slots=True)
class Outlier:
    """[pool.NAME.outlier]: backends where requests fail are left out for a while. See health/outlier.py."""

    enabled: bool = True
    consecutive: int = 5  # failures in a row: no answer, or 502, 503, 504; 0: no matter how many
    rate: int = 50  # percent of answers in the window that fail, other 5xx included; 0: no matter how many
    requests: int = 20  # fewer in the window say nothing
    window: float = 10.0
    ejection: float = 30.0  # the first time; twice as long the second, three times the third
    longest: float = 300.0
    share: int = 50  # percent of the pool that may be left out at once


@dataclass(frozen=True, slots=True)
class Connections:
    """[pool.NAME.connections]: how connections to the backends are kept for the next request."""

    idle: int = 128
    """Kept per worker and backend; 0: each carries one request."""
    idle_timeout: float = 30.0
    """Below the 60-75 s after which nginx, Apache and most application servers close; those that close sooner are seen to close."""
    max_age: float = 3600.0
    """Closed after so long, at the end of a response; 0: never. nginx's keepalive_time: backends that were added behind one address
    (a balancer, a service of a cluster) get their share in the end."""
    max_requests: int = 0  # closed after so many; 0: never


@dataclass(frozen=True, slots=True)
class Pool:
    """[pool.NAME]"""

    name: str
    backends: tuple[Backend, ...]
    balance: str = "least_conn"
    tls: PoolTls | None = None
    health: Health = field(default_factory=Health)
    line: int = 0
    hash: Hash = field(default_factory=Hash)
    sticky: Sticky | None = None
    queue: int = 100
    """Requests that may wait for room, over all workers, when every backend is at its `max_connections`; 0: none."""
    queue_timeout: float = 5.0
    outlier: Outlier = field(default_factory=Outlier)
    fail_open: int = 50
    """Percent of backends up below which those that are not, but can be reached, are used as well; 0: never."""
    slow_start: float = 0.0
    """Seconds over which a backend that was down gets its share back; 0: at once."""
    idempotency_key: bool = False
    """A request with an Idempotency-Key may be sent twice, whatever its method: the backends recognise the second."""
    headers: Headers = field(default_factory=Headers)
    connections: Connections = field(default_factory=Connections)
    retries: int = 1
    """Further tries of a request, each elsewhere; one more while nothing of it was sent; 0: no request is ever sent twice."""
    retry_on: tuple[str, ...] = ("connect", "closed")
    """Kinds of failure after which there may be a further try; of errors.FAILURES."""
    retry_budget: int = 20
    """Percent of the pool's requests in progress that may be on a further try, over all workers; always a few."""
    tolerate: tuple[str, ...] = ()
    """Faults of its answers' form that are read past; of vocabulary.TOLERABLE."""
    timeouts: NearTimeouts = field(default_factory=NearTimeouts)
    buffer_requests: int = 0
    """Bytes of a request's body that are kept in memory while it comes, the rest in a file: a backend hears of the request when all
    of it is here. 0: at once, and then the body as it comes."""
    buffer_responses: int = 0
    """The same for answers: the backend is free as soon as it has said everything, whatever time the client takes."""
    buffer_file: int = GIB
    """Bytes of one body that may go into the file; what is longer is passed on as it comes from there on. nginx's
    proxy_max_temp_file_size."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """[timeouts], seconds. The precedents are nginx's and HAProxy's documented examples; nothing waits without a limit."""

    handshake: float = 5.0
    request_head: float = 10.0  # from the first byte of a head to its last
    body_idle: float = 30.0
    keepalive: float = 60.0
    connect: float = 4.0
    response_head: float = 60.0
    write_stall: float = 60.0
    """nginx's send_timeout: a reader that pauses (a player, a tab in the background, a shell that was stopped) gets a minute."""
    tunnel: float = 3600.0
    """Silence of an upgraded connection, and of a stream of events in a response (proxy/relay.py)."""
    request: float = 0.0
    """From a request's first byte to the last of its answer, further tries included; 0: only the parts are limited. What has become
    a tunnel or a stream of events is as long as it is."""

    def nearer(self, near: NearTimeouts) -> Timeouts:
        """These, and what a nearer table says in place of them."""
        said = {name: seconds for name in NEAR_TIMEOUTS if (seconds := getattr(near, name)) is not None}
        return replace(self, **said)


NEAR_TIMEOUTS = ("connect", "response_head", "body_idle", "write_stall", "tunnel", "request")
"""Those that pools and routes may have of their own: the others are over before a request has a route."""


@dataclass(frozen=True, slots=True)
class Limits:
    """[limits]"""

    head: int = 32 * KIB
    request_line: int = 8 * KIB
    fields: int = 100
    body: int = 0  # 0: no limit
    connections_per_worker: int = 10_000
    body_rate: int = 240
    """Bytes per second that a client's body must reach on average, once it has been waited for `body_idle` seconds in all; 0: none.
    Kestrel asks for 240 after 5 s, Apache for 500 after 20 s."""


@dataclass(frozen=True, slots=True)
class Metrics:
    """[metrics]"""

    address: Address | None = None
    """None: not served."""
    hosts: tuple[str, ...] = ()
    """What a Host field may say beside addresses and "localhost": as a route's host."""
    connections: int = 32
    """At a time."""
    timeout: float = 5.0
    """Seconds for a connection, from accept to the last byte: shorter than any scraper's own."""


@dataclass(frozen=True, slots=True)
class Config:
    """Everything, checked: names that one part uses of another exist."""

    source: str
    """The file it came from, as the user named it; "" when made by `quick`."""
    listen: tuple[Listen, ...]
    routes: tuple[Route, ...]
    pools: tuple[Pool, ...]
    proxy: Process = field(default_factory=Process)
    log: Log = field(default_factory=Log)
    timeouts: Timeouts = field(default_factory=Timeouts)
    limits: Limits = field(default_factory=Limits)
    metrics: Metrics = field(default_factory=Metrics)
    client_limits: tuple[ClientLimit, ...] = ()
    """[client_limit.NAME]"""
    written: tuple[tuple[tuple[str | int, ...], str], ...] = field(default=(), compare=False, repr=False)
    """Texts that name environment variables, by path, and what these hold, by name: told to nobody."""
    variables: tuple[tuple[str, str], ...] = field(default=(), compare=False, repr=False)

    def pool(self, name: str) -> Pool:
        """The pool of that name; every route's pool exists (load.py checks)."""
        return next(pool for pool in self.pools if pool.name == name)

    def timeouts_of(self, route: Route) -> Timeouts:
        """What holds for its requests: the nearest table that says something wins, route before pool before [timeouts]."""
        return self.timeouts.nearer(self.pool(route.pool).timeouts).nearer(route.timeouts)

    @property
    def buffers_on_disk(self) -> bool:
        """Whether any pool may need the file."""
        return any(pool.buffer_file and (pool.buffer_requests or pool.buffer_responses) for pool in self.pools)

    def longest_tunnel(self) -> float:
        """Seconds that a tunnel of any route may be silent."""
        return max([self.timeouts.tunnel, *(self.timeouts_of(route).tunnel for route in self.routes)])
