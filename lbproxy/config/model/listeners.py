"""The client's side: [[listen]]."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lbproxy.config import key as declared  # tables of keys have a key of that name
from lbproxy.config import values
from lbproxy.config.atoms import Address, Network, Passphrase
from lbproxy.config.key import Changed, key, part, required, table, tables
from lbproxy.config.kinds import (
    BOOLEAN,
    FILE,
    NETWORK,
    TEXT,
    VARIABLE,
    Kind,
    ListOf,
    Place,
    as_table,
    choice,
    text_schema,
    whole,
)
from lbproxy.config.model.filters import AddressListConfig, ClientLimitConfig
from lbproxy.config.model.passphrase import ABOUT as PASSPHRASE_ABOUT
from lbproxy.config.model.passphrase import PASSPHRASE
from lbproxy.config.units import parse_listen_address

KEY_MODE = choice("private", "any")
KEY_MODE_ABOUT = 'refused where others than its owner can read the key; "any": as a container runtime mounts it (0444)'
_ADDRESS = Kind(
    "address to listen on",
    parse_listen_address,
    text_schema("^(unix:/.+|.*:[0-9]{1,5})$"),
    examples=("0.0.0.0:443", "unix:/run/lbproxy/http.sock"),
    write=str,
)
_VERSION = choice("1.0", "1.1", "1.2", "1.3")
_MODE = Kind(
    "file mode", values.file_mode, text_schema("^0?[0-7]{3}$"), examples=("0660", "0666"), write=lambda mode: f"{mode:04o}"
)
_REDIRECT: Kind[bool | int] = Kind(
    "true, false or a port",
    values.redirect,
    {"anyOf": [{"type": "boolean"}, {"type": "integer", "minimum": 1, "maximum": 65535}, VARIABLE]},
    examples=(True, 8443),
)


@dataclass(frozen=True, slots=True)
class CertificateConfig:
    """One of a listener's certificates."""

    cert: Path = field(
        metadata=required(
            FILE,
            "the certificate and its chain, PEM; or a PKCS #12 file (.p12, .pfx) with both, and no key beside it",
            'add cert = "..."',
            example="example.com.crt",
        )
    )
    key: Path = declared.key(
        FILE, Path(), "must be there but for a PKCS #12 file; readable for its owner only (chmod 600)", example="example.com.key"
    )
    key_mode: str = declared.key(KEY_MODE, "private", KEY_MODE_ABOUT)
    passphrase: Passphrase | None = declared.key(PASSPHRASE, None, PASSPHRASE_ABOUT)


_AUTH = choice("none", "optional", "required")
_CA_ABOUT = "who signs clients' certificates, and is named to them. Default: none"
_AUTH_ABOUT = '"none", "optional": who shows one shows a good one; or "required"; goes with client_ca'
_CRL_ABOUT = (
    "certificates of clients that were revoked, PEM or DER: the list of each authority in the chain. One that is missing or out of "
    "date lets nobody in. Default: none is looked at"
)
_DEPTH_ABOUT = "how many certificates may stand between a client's and its root"
MOST_DEPTH = 100
_ASKED = {"client_ca": "clients-ca.pem", "client_auth": "required"}


def _asks(tls: Any) -> bool:
    return bool(tls.client_auth != "none")


_NAME = Kind("name", values.route_host, {"type": "string", "minLength": 1}, examples=("admin.example.com", "*.example.com"))


@dataclass(frozen=True, slots=True)
class NameTlsConfig:
    """A [[listen.tls.name]] asks other clients than its listener does, by the name that they ask for (SNI)."""

    names: tuple[str, ...] = field(
        metadata=required(
            ListOf(_NAME, 'a list of names such as ["admin.example.com"]', empty=("name", "it is for names that clients ask for")),
            'exact, or "*.example.com" for exactly one label more; an exact one wins',
            'add names = ["admin.example.com"]',
        )
    )
    client_ca: Path | None = key(FILE, None, _CA_ABOUT, example="clients-ca.pem", needs={"client_auth": "required"})
    client_auth: str = key(_AUTH, "none", _AUTH_ABOUT, needs={"client_ca": "clients-ca.pem"}, example="required")
    client_crl: Path | None = key(FILE, None, _CRL_ABOUT, example="clients.crl", needs=_ASKED)
    client_depth: int = key(whole(0, MOST_DEPTH), 10, _DEPTH_ABOUT, example=1, needs=_ASKED, when=_asks)
    line: int = 0


@dataclass(frozen=True, slots=True)
class ListenTlsConfig:
    """What a listener with certificates speaks, and asks of its clients."""

    profile: str = key(
        choice("modern", "intermediate", "old"),
        "intermediate",
        '"intermediate": TLS 1.2 and 1.3; "modern": 1.3 only; "old": from 1.0 on, with what clients of before 2014 speak',
    )
    client_ca: Path | None = key(FILE, None, _CA_ABOUT, example="clients-ca.pem", needs={"client_auth": "required"})
    client_auth: str = key(
        _AUTH,
        "none",
        _AUTH_ABOUT,
        needs={"client_ca": "clients-ca.pem"},
        example="required",
    )
    unknown_name: str = key(
        choice("first", "refuse"),
        "first",
        "what a client gets that asks for a name of which there is no certificate, or for none: the first; "
        '"refuse": the alert unrecognized_name',
    )
    min_version: str | None = key(
        _VERSION, None, 'the oldest version of TLS; "1.0" and "1.1" with profile = "old". Default: the profile\'s', example="1.2"
    )
    max_version: str | None = key(_VERSION, None, "the newest version. Default: 1.3", example="1.3")
    ciphers: str | None = key(
        TEXT,
        None,
        "suites of TLS 1.2 and before, as OpenSSL names them, best first; those of 1.3 are all good. Default: the profile's",
        example="ECDHE+AESGCM:ECDHE+CHACHA20",
    )
    groups: tuple[str, ...] = key(
        ListOf(TEXT, 'a list of groups such as ["X25519", "P-256"]', ordered=True),
        (),
        'groups of the key exchange, best first: "X25519", "P-256", "P-384"; "X25519MLKEM768" (against quantum computers) from '
        "OpenSSL 3.5 on. Default: these",
        example=["X25519", "P-256"],
    )
    client_crl: Path | None = key(FILE, None, _CRL_ABOUT, example="clients.crl", needs=_ASKED)
    client_depth: int = key(whole(0, MOST_DEPTH), 10, _DEPTH_ABOUT, example=1, needs=_ASKED, when=_asks)
    names: tuple[NameTlsConfig, ...] = tables(
        NameTlsConfig,
        "what is different for some of the names that clients ask for: whether they are asked for certificates, and whose",
        "a table headed [[listen.tls.name]]",
        wanted="a list of tables, each headed [[listen.tls.name]]",
        called="name",
    )

    @property
    def policies(self) -> tuple[ListenTlsConfig | NameTlsConfig, ...]:
        """What is asked of clients: of all, then of those with other names."""
        return (self, *self.names)

    @property
    def asks(self) -> bool:
        """Whether any client is asked for a certificate."""
        return any(policy.client_auth != "none" for policy in self.policies)


class PassedNames(Kind[tuple[tuple[str, str], ...]]):
    """A table of names that clients ask for, and the pools that their bytes go to."""

    def __init__(self) -> None:
        text: dict[str, object] = {"type": "string", "minLength": 1}
        schema: dict[str, object] = {"type": "object", "additionalProperties": text, "minProperties": 1}
        examples = ({"db.example.com": "app"}, {"*.example.com": "app", "*": "app"})
        super().__init__("table of names and pools", lambda value: (), schema, examples=examples)

    def read(self, value: object, place: Place) -> tuple[tuple[str, str], ...] | None:
        """What has complaints is left out."""
        table = as_table(value, 'a table such as { "db.example.com" = "db" }', place)
        if value == {}:
            place.complain("wanted at least one name, got an empty table", "leave the key out where nothing is passed through")
        found: dict[str, str] = {}
        for written, raw in table.items():
            here = place.inside(written)
            name, pool = here.parse(written, values.passed_name), here.parse(raw, values.text)
            if name is None or pool is None:
                continue
            if name in found:
                here.complain(f"{name} stands here twice, in two spellings", "names know no upper and lower case")
            found[name] = pool
        return tuple(found.items())

    def write(self, value: Any) -> object:
        """A table."""
        return dict(value)


_UNIX = {"address": "unix:/run/lbproxy/http.sock"}


@dataclass(frozen=True, slots=True)
class SocketAccessConfig:
    """Who may connect to a listener's Unix socket; None: whoever starts lbproxy, and his group."""

    mode: int = key(_MODE, 0o660, "who may connect to a Unix socket", example="0666", needs=_UNIX)
    owner: str | None = key(TEXT, None, "of a Unix socket. Default: whoever starts lbproxy", example="www-data", needs=_UNIX)
    group: str | None = key(TEXT, None, "of a Unix socket. Default: his", example="www-data", needs=_UNIX)


def _of_unix(listen: Any) -> bool:
    return bool(listen.address.path)


def _with_certificates(listen: Any) -> bool:
    return bool(listen.certificates or listen.folder or listen.acme)


def _with_folder(listen: Any) -> bool:
    return listen.folder is not None


PROTOCOLS = ("h2", "http/1.1")
"""By the names that ALPN has for them."""

_OF_CONNECTIONS = {
    "rate": Changed(
        "connection_rate",
        "new connections of each client (an IPv4 address, an IPv6 /64), over all workers; more are cut off. trusted_proxies are "
        "not counted: they speak for many. Default: no limit",
        example="50/s",
    ),
    "burst": Changed(
        "connection_burst",
        "how many at once. Default: as many as connection_rate names",
        needs={"connection_rate": "50/s"},
        example=100,
    ),
    "concurrency": Changed("connections_per_client", "open at a time. Default: no limit", example=200),
}
_OF_LISTENERS = {
    "allow": Changed(about="who may connect; others are cut off at once. Default: everybody"),
}


@dataclass(frozen=True, slots=True)
class ListenConfig:
    """[[listen]]; without certificates it speaks plain HTTP."""

    address: Address = field(
        metadata=required(
            _ADDRESS,
            'an IP address and a port; "[::]:443" is all of IPv6, ":443" all of IPv4; or a Unix socket, '
            '"unix:/run/lbproxy/http.sock", for another proxy on this machine; who connects counts as 127.0.0.1',
            'add address = "0.0.0.0:443"',
        )
    )
    certificates: tuple[CertificateConfig, ...] = tables(
        CertificateConfig,
        "none at all: plain HTTP. Several: chosen by the name the client asks for (SNI), else the first",
        'a table { cert = "a.crt", key = "a.key" }',
        wanted='a list such as [{ cert = "a.crt", key = "a.key" }], or a folder',
        empty="leave the key out for plain HTTP",
        or_text=True,
    )
    tls: ListenTlsConfig = table(
        ListenTlsConfig,
        "with certificates, or acme, only",
        'a table such as { profile = "intermediate" }',
        when=_with_certificates,
        needs={"certificates": [{"cert": "a.crt", "key": "a.key"}]},
    )
    redirect_to_https: bool | int = key(
        _REDIRECT,
        False,
        "only for listeners without certificates: answer 308 with the same place on https. true: on 443, or where we listen for "
        "a client that names our own port; 8443: on that one. Who comes over https already, as one of trusted_proxies says in "
        "X-Forwarded-Proto, is served",
    )
    line: int = 0
    """Where the file declares it, for complaints that come later (port in use)."""
    max_connections: int = key(
        whole(0, 10_000_000), 0, "open at a time, over all workers; more wait in the kernel's queue; 0: no limit"
    )
    addresses: AddressListConfig = part(AddressListConfig, changed=_OF_LISTENERS)
    per_client: ClientLimitConfig = part(ClientLimitConfig, changed=_OF_CONNECTIONS)
    access: SocketAccessConfig = part(SocketAccessConfig, when=_of_unix)
    protocols: tuple[str, ...] | None = key(
        ListOf(
            choice(*PROTOCOLS),
            'a list such as ["h2", "http/1.1"]',
            empty=("protocol", 'leave the key out for all of them, or take ["http/1.1"]'),
            ordered=True,
        ),
        None,
        'what clients may speak, best first: "h2" (HTTP/2), "http/1.1" (and 1.0). Default: both with certificates, where TLS tells '
        "which one it is (ALPN), and http/1.1 without. Without certificates h2 is for clients that know (h2c by prior knowledge)",
    )
    folder: Path | None = key(
        FILE,
        None,
        "a folder of pairs instead of a list: NAME.crt and NAME.key, NAME.pem or NAME.p12 with both, certbot's live/, acme.sh's. "
        "What cannot be used is left out, and told",
        called="certificates",
        example="certs",
        or_list=True,
    )
    folder_key_mode: str = key(
        KEY_MODE,
        "private",
        "of the keys in a folder, as that of a pair",
        called="key_mode",
        when=_with_folder,
        needs={"certificates": "certs"},
    )
    folder_passphrase: Passphrase | None = key(
        PASSPHRASE,
        None,
        "of the encrypted keys in a folder, as that of a pair",
        called="passphrase",
        when=_with_folder,
        needs={"certificates": "certs"},
    )
    listed: tuple[CertificateConfig, ...] = ()
    """What is in the folder and can be used, in the order of the names; with acme, where the certificates of its names stand."""
    left_out: tuple[str, ...] = ()
    """What is in the folder and cannot, and why."""
    proxy_protocol: tuple[Network, ...] = key(
        ListOf(
            NETWORK,
            'a list of networks such as ["10.0.0.0/8"]',
            empty=("network", "leave the key out where no proxy in front of us sends PROXY headers"),
        ),
        (),
        "whose connections begin with a PROXY header (version 1 or 2), which says who the client is: the address in it counts "
        "wherever a client's does. Every connection must have one, and others than these are cut off. A Unix socket's clients are "
        "127.0.0.1. Default: no headers",
        example=["10.0.0.0/8"],
    )
    acme: bool = key(
        BOOLEAN,
        False,
        "certificates that [acme] obtains for the hosts of routes, instead of files",
        example=True,
        never_with=("certificates",),
    )
    passthrough: tuple[tuple[str, str], ...] = key(
        PassedNames(),
        (),
        "clients that ask for these names (SNI) are not decrypted: their bytes go to a backend of the pool, and its own come back. "
        'An exact name, "*.example.com" for exactly one label more, or "*" for whatever else there is, without certificates only. '
        "Default: none",
        example={"db.example.com": "app"},
        never_with=("redirect_to_https",),
    )

    @property
    def pairs(self) -> tuple[CertificateConfig, ...]:
        """All that it may show, in order."""
        return self.certificates or self.listed

    @property
    def secure(self) -> bool:
        """It speaks TLS."""
        return bool(self.certificates or self.folder or self.acme)

    @property
    def plain(self) -> bool:
        """It speaks HTTP without TLS."""
        return not self.secure and not self.passthrough

    @property
    def speaks(self) -> tuple[str, ...]:
        """What clients may speak here, best first."""
        return self.protocols or (PROTOCOLS if self.secure else ("http/1.1",))

    @property
    def redirect_port(self) -> int:
        """The port that redirect_to_https names; 0: the one where HTTPS is for the client."""
        return 0 if isinstance(self.redirect_to_https, bool) else self.redirect_to_https
