"""The table [acme]: certificates that are obtained, and renewed, by themselves (RFC 8555)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from lbproxy.config.key import key, part, required, table_or_none
from lbproxy.config.kinds import FILE, TEXT, VARIABLE, Kind, ListOf, choice, duration, text_schema
from lbproxy.config.units import ValueRefused, show
from lbproxy.config.values import boolean, route_host

_OTHER = "https://acme.example.com/directory"
LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"
HTTP, TLS_ALPN, DNS = "http-01", "tls-alpn-01", "dns-01"
MOST_NAMES = 500
"""A certificate each: more than one authority gives somebody in a week, and than one process renews in its time."""


def _directory(value: object) -> str:
    hint = f'such as "{LETS_ENCRYPT}"'
    if not isinstance(value, str):
        raise ValueRefused(f"wanted the address of a directory, got {show(value)}", hint)
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise ValueRefused(f"wanted the address of a directory, got {show(value)}", hint) from None
    if parts.scheme != "https" or not parts.hostname or parts.username is not None or parts.fragment or port == 0:
        raise ValueRefused(f"wanted an address with https and a host, got {show(value)}", hint)
    if len(value) > 500 or not value.isascii() or any(char <= " " for char in value):
        raise ValueRefused(f"wanted an address of at most 500 plain characters, got {show(value)}", hint)
    return value


def _email(value: object) -> str:
    if not isinstance(value, str) or not value.isascii() or len(value) > 254:
        raise ValueRefused(f'wanted a mail address such as "ops@example.com", got {show(value)}')
    name, at, domain = value.partition("@")
    if not name or not at or "." not in domain or "@" in domain or any(char <= " " or char in ',;?<>"' for char in value):
        raise ValueRefused(f'wanted a mail address such as "ops@example.com", got {show(value)}')
    return value


def _name(value: object) -> str:
    """A host as routes have it, and none of an address: authorities give certificates to names."""
    found = route_host(value)
    if not is_name(found):
        raise ValueRefused(f"wanted a DNS name, got {show(value)}", "certificates for addresses come from files")
    return found


def is_name(host: str) -> bool:
    """Whether it is a DNS name, maybe with a star, rather than an address."""
    return not host.startswith("[") and not host.rpartition(".")[2].isdigit()


def _agreed(value: object) -> bool:
    if not boolean(value):
        raise ValueRefused(
            "no authority gives certificates to who has not agreed to its terms of service", "read them, and say true"
        )
    return True


_AGREED = Kind("true", _agreed, {"anyOf": [{"const": True}, VARIABLE]}, examples=(True, True))
_DIRECTORY = Kind("https address", _directory, text_schema("^https://.+$"), examples=(LETS_ENCRYPT, _OTHER))
_EMAIL = Kind("mail address", _email, text_schema("^[^@]+@[^@]+$"), examples=("ops@example.com", "tls@example.com"))
_NAME = Kind("DNS name", _name, {"type": "string", "minLength": 1}, examples=("*.example.com", "www.example.com"))


@dataclass(frozen=True, slots=True)
class AuthorityConfig:
    """Whom certificates are asked of, and by what right."""

    directory: str = key(_DIRECTORY, LETS_ENCRYPT, "the authority, by the address of its ACME directory", example=_OTHER)
    ca: Path | None = key(
        FILE, None, "who signed the certificate of the authority's own server. Default: whom browsers trust", example="ca.pem"
    )
    profile: str | None = key(
        TEXT, None, "which of the kinds of certificates that the authority offers. Default: its own default", example="shortlived"
    )
    eab_key_id: str | None = key(
        TEXT,
        None,
        "of an account that you have there (external account binding)",
        example="kid-1",
        needs={"eab_key": "eab.key"},
    )
    eab_key: Path | None = key(
        FILE, None, "a file with its key, as the authority tells it (base64url)", example="eab.key", needs={"eab_key_id": "kid-1"}
    )


@dataclass(frozen=True, slots=True)
class AcmeConfig:
    """The table [acme], about certificates that are obtained."""

    terms_agreed: bool = field(
        metadata=required(
            _AGREED,
            "you have read the authority's terms of service, and agree; its directory names their address",
            "terms_agreed = true says that you have read the authority's terms of service, and agree",
        )
    )
    authority: AuthorityConfig = part(AuthorityConfig)
    email: str | None = key(
        _EMAIL, None, "where the authority warns you; some demand one. Default: none", example="ops@example.com"
    )
    challenge: str = key(
        choice(HTTP, TLS_ALPN, DNS),
        HTTP,
        'how the authority sees that a name is yours: "http-01", it asks on port 80, and workers answer on all listeners without '
        'TLS before any route; "tls-alpn-01", it asks on port 443; "dns-01", by a record that dns_command sets, also for wildcards',
    )
    names: tuple[str, ...] = key(
        ListOf(_NAME, 'a list of names such as ["www.example.com"]'),
        (),
        "names beside the exact hosts of routes; with dns-01 also wildcards, as those of routes",
        example=["www.example.com"],
    )
    key_type: str = key(choice("ec256", "ec384", "rsa2048", "rsa3072"), "ec256", "of the certificates' keys, made anew each time")
    challenge_wait: float = key(
        duration(3600.0, zero=True),
        2.0,
        "how long an answer has to reach everybody who may be asked, before the authority is: workers, machines that share "
        "state_dir, name servers",
        example="30s",
    )
    dns_command: tuple[str, ...] = key(
        ListOf(TEXT, 'a command and its arguments, such as ["/usr/local/bin/acme-dns"]', ordered=True),
        (),
        'sets and removes records: it is run without a shell, with "present" or "cleanup", the record\'s name and its text added. '
        "For dns-01",
        example=["/usr/local/bin/acme-dns"],
        needs={"challenge": DNS},
    )
    dns_timeout: float = key(duration(3600.0), 60.0, "for one run of dns_command, which is killed then")
    fallback: AuthorityConfig | None = table_or_none(
        AuthorityConfig, "a second authority, asked where the first refuses or does not answer", "a table headed [acme.fallback]"
    )

    @property
    def authorities(self) -> tuple[AuthorityConfig, ...]:
        """In the order in which they are asked."""
        return (self.authority,) if self.fallback is None else (self.authority, self.fallback)


class AcmeNames(NamedTuple):
    """The names that certificates are to be had for."""

    names: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    """Hosts of routes that this challenge is not good for."""
