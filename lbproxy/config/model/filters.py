"""All that is refused before any backend is asked: addresses, rates and counts per client, methods, sizes, [[route.refuse]]."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lbproxy.config import certificate_patterns, values
from lbproxy.config.atoms import Network, Rate
from lbproxy.config.key import key, part, table_or_none, tables
from lbproxy.config.kinds import FILE, NETWORK, RATE, TEXT, Kind, ListOf, size, text_schema, whole

MOST_BURST = 100_000
MOST_AT_ONCE = 1_000_000

_NETWORKS = 'a list of networks such as ["10.0.0.0/8", "2001:db8::/32"]'
_METHOD = Kind("method", values.method, text_schema("^[A-Z][A-Z-]{0,31}$"), examples=("GET", "POST"))
_NAME = Kind("name", values.short_name, text_schema("^[A-Za-z0-9_-]{1,64}$"), examples=("scanners", "bots"))
_FIELD = Kind(
    "header", values.field_name, text_schema("^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$"), examples=("User-Agent", "Authorization")
)
_PATH = Kind("path with stars", values.path_pattern, text_schema("^[/*][!-~]*$"), examples=("/api/*.php", "/wp-*"))
_VALUE = Kind("text with stars", values.value_pattern, {"type": "string"}, examples=("*scan*", "*curl*"))


@dataclass(frozen=True, slots=True)
class ClientLimitConfig:
    """What each client may do, over all workers; a client is an IPv4 address or an IPv6 /64."""

    rate: Rate | None = key(
        RATE, None, 'requests of each client, over all workers; also "5/m", "100/h"; more get 429. Default: any'
    )
    burst: int = key(
        whole(1, MOST_BURST), 0, "how many at once. Default: as many as rate names", needs={"rate": "20/s"}, example=40
    )
    concurrency: int = key(
        whole(1, MOST_AT_ONCE),
        0,
        "requests of each client under way (WebSockets while open); more get 429. Default: any",
        example=10,
    )
    name: str = ""
    """Of a [client_limit.NAME], which several routes may share; "": a route's or listener's own."""


@dataclass(frozen=True, slots=True)
class AddressListConfig:
    """Who may come in. What is denied stays out; if anything is allowed, only that comes in."""

    allow: tuple[Network, ...] = key(
        ListOf(NETWORK, _NETWORKS, empty=("network", "leave the key out to let everybody in")),
        (),
        "who may ask here, others get 403. Behind trusted_proxies counts whom they speak for; one who is unknown gets 403 wherever "
        "there is an allow or a deny. Default: everybody",
        example=["0.0.0.0/0", "::/0"],
    )
    deny: tuple[Network, ...] = key(ListOf(NETWORK, _NETWORKS), (), "who may not, whatever allow says", example=["192.0.2.0/24"])
    allow_file: Path | None = key(
        FILE,
        None,
        'more of allow from a file, a network a line ("#" begins a comment), read again at each reload',
        example="friends.txt",
    )
    deny_file: Path | None = key(FILE, None, "more of deny, as allow_file", example="blocked.txt")
    allow_listed: tuple[Network, ...] = ()
    """What was in `allow_file` when the configuration was read."""
    deny_listed: tuple[Network, ...] = ()

    @property
    def restricts(self) -> bool:
        """Whether anybody may be kept out."""
        return bool(self.allow or self.deny or self.allow_file or self.deny_file)


@dataclass(frozen=True, slots=True)
class RefuseConfig:
    """[[route.refuse]]: requests that all of it fits get 403."""

    name: str = key(_NAME, "", 'in the access log: "denied:scanners". Default: its number in the route', needs={"path": "/a*"})
    methods: tuple[str, ...] = key(ListOf(_METHOD, 'a list of methods such as ["POST"]'), (), "one of these. Default: any")
    path: str | None = key(_PATH, None, "the whole path, in normal form")
    header: str | None = key(_FIELD, None, "has this header")
    value: str | None = key(_VALUE, None, "the header has this value; capitals mean nothing", needs={"header": "User-Agent"})
    without: str | None = key(_FIELD, None, "lacks this header", example="Authorization")


_DNS = Kind(
    "DNS name", certificate_patterns.dns_name, {"type": "string", "minLength": 1}, examples=("web.example", "*.svc.example")
)
_MAILBOX = Kind("mailbox", certificate_patterns.mailbox, text_schema("^.+@.+$"), examples=("ops@example.com", "*@example.com"))
_URI = Kind("URI", certificate_patterns.uri, text_schema("^.+:.+$"), examples=("urn:device:7", "https://ca.example/clients/*"))
_SPIFFE = Kind(
    "SPIFFE ID", certificate_patterns.spiffe_id, text_schema("^spiffe://.+$"),
    examples=("spiffe://example.org/ns/*/sa/web", "spiffe://example.org/ns/a/**"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ClientNamesConfig:
    """[route.client_certificate]: whose certificates may come in, by their alternative names; any entry of any list will do."""

    dns: tuple[str, ...] = key(
        ListOf(_DNS, 'a list of names such as ["web.example", "*.svc.example"]'), (), 'exact, or "*.svc.example": all below it'
    )
    email: tuple[str, ...] = key(
        ListOf(_MAILBOX, 'a list of mailboxes such as ["ops@example.com"]'), (), 'exact, or "*@example.com": all of a domain'
    )
    uri: tuple[str, ...] = key(
        ListOf(_URI, 'a list of URIs such as ["urn:device:7"]'),
        (),
        'a star stands for some of one segment, "/**" at the end for all below',
    )
    spiffe: tuple[str, ...] = key(
        ListOf(_SPIFFE, 'a list of SPIFFE IDs such as ["spiffe://example.org/ns/*/sa/web"]'),
        (),
        "the same of SPIFFE IDs: the certificate has this one URI, in the form that it must have",
    )


@dataclass(frozen=True, slots=True)
class RouteFiltersConfig:
    """What a route refuses before any backend is asked; by default nothing."""

    addresses: AddressListConfig = part(AddressListConfig)
    methods: tuple[str, ...] = key(
        ListOf(_METHOD, 'a list of methods such as ["GET", "POST"]', empty=("method", "leave the key out to let all of them in")),
        (),
        "others get 405; GET includes HEAD. Default: all of them",
        example=["GET", "POST"],
    )
    max_body: int | None = key(
        size(0, values.MOST_BYTES), None, 'larger ones get 413; "0": no limit. Default: that of [limits]', example="1MiB"
    )
    limit: ClientLimitConfig = part(ClientLimitConfig)
    client_limits: tuple[str, ...] = key(
        ListOf(TEXT, 'a list of names such as ["site"]'),
        (),
        "limits shared with other routes, names of [client_limit.NAME]",
        example=["site"],
    )
    refuse: tuple[RefuseConfig, ...] = tables(
        RefuseConfig,
        '403 for requests that all of it fits; "*" stands for any text. As many as you like',
        "a table headed [[route.refuse]]",
        wanted="a list of tables, each headed [[route.refuse]]",
    )
    client_certificate: ClientNamesConfig | None = table_or_none(
        ClientNamesConfig,
        "without this table: nothing is asked. With it: others get 403, and who has shown no certificate as well; of listeners "
        "with client_auth. Empty: any that was verified",
        'a table such as { spiffe = ["spiffe://example.org/ns/*/sa/web"] } or {}',
    )
