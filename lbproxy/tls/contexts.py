"""The TLS contexts of listeners and pools.

A context makes up its session-ticket key when it is created, and cannot be told another. So a listener's *outer* context is created
by the master, before any fork, and lives as long as the listener: all workers of all generations have it by inheritance, and a
client that comes back resumes with whichever of them, before and after a reload.

Certificates change with reloads, and a reload may fail. So the master never loads one into an outer context: it reads the files
into memory (a `Pem`), tries them on a scratch context, and each child *arms* its own copy of the outer context with those of its
generation, before it drops its privileges. What another generation shows does not change with that, nor does a child that is
replaced a week later depend on files that somebody is editing.
"""

from __future__ import annotations

import hashlib
import os
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from lbproxy.config.model import Certificate, Listen, Pool
from lbproxy.errors import StartError
from lbproxy.tls import pem, profiles
from lbproxy.tls.sni import NO_NAMES, Candidate, CertificateChooser, Names, candidate, install, preferred

ALPN = ["http/1.1"]

CLIENT_AUTH = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}

TICKETS = 2
"""TLS 1.3 tickets per full handshake. Browsers open several connections side by side and use each ticket once (RFC 8446 C.4).
Server's CPU, measured 2026-11-23 with OpenSSL 3.0: a ticket costs 30 us; resuming instead of a full handshake saves 900 us with an
RSA 2048 certificate and 50 us with EC P-256, the cheaper one from the start."""


class Pem(NamedTuple):
    """A certificate chain and its key, as they were when they were read."""

    files: Certificate
    cert: bytes
    key: bytes

    def __repr__(self) -> str:
        return f"Pem({self.files})"  # a key must not reach any log


class OuterKey(NamedTuple):
    """What makes up an outer context. Another value needs another context, and ends what was resumed with the old one: who could
    not get in by a full handshake any more must not get in by a ticket."""

    address: str
    profile: str
    client_auth: str
    client_ca: bytes  # a digest of the file's content


def read_pem(files: Certificate) -> Pem:
    """Raises StartError."""
    try:
        return Pem(files, pem.chain(files.cert.read_bytes()), pem.tidy(files.key.read_bytes()))
    except OSError as error:
        raise StartError(f"certificate {files.cert} with key {files.key}: {error.strerror or error}") from error
    except ValueError as error:
        raise StartError(f"certificate {files.cert}: {error}") from error


def outer_key(listen: Listen) -> OuterKey:
    """Of a TLS listener, by what its files hold now. Raises StartError."""
    ca = listen.tls.client_ca
    try:
        digest = hashlib.sha256(ca.read_bytes()).digest() if ca is not None else b""
    except OSError as error:
        raise StartError(f"certificate authority {ca}: {error.strerror or error}") from error
    return OuterKey(str(listen.address), listen.tls.profile, listen.tls.client_auth, digest)


def outer_context(listen: Listen) -> ssl.SSLContext:
    """Everything of a TLS listener but its certificates. Raises StartError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    profiles.apply(context, listen.tls.profile)
    context.set_alpn_protocols(ALPN)
    context.num_tickets = TICKETS
    if listen.tls.client_ca is not None:
        trust(context, listen.tls.client_ca)
    context.verify_mode = CLIENT_AUTH[listen.tls.client_auth]
    return context


class Credentials(NamedTuple):
    """What a listener shows, of one generation."""

    default: Pem
    names: Names
    """Of the default; only read when there are others."""
    others: tuple[tuple[Names, ssl.SSLContext], ...]
    """More certificates: the names of each, and a context that lends it to the handshake. Of two with the same name the first."""


def credentials(listen: Listen, pems: Sequence[Pem], now: datetime | None = None) -> Credentials:
    """`pems`: of listen.certificates, in order. Raises StartError.

    All of a listener's contexts are made alike: after SNI, ALPN and the client's chain are judged by the chosen one, while
    versions, ciphers, tickets and whether a client certificate is asked for stay those of the outer one.

    `now`: an aware time to judge dates by; None is the system's clock. What is out of date is shown all the same where nothing
    better can be: a person sees why, and who does not care about dates is served.
    """
    if len(pems) == 1:
        _load(outer_context(listen), pems[0])  # a trial: children could only die of it
        return Credentials(pems[0], NO_NAMES, ())
    candidates = list(map(_candidate, pems))
    default, *more = preferred(candidates, now or datetime.now(UTC))
    _load(outer_context(listen), pems[default])
    others = []
    for index in more:
        inner = outer_context(listen)
        _load(inner, pems[index])
        others.append((candidates[index].names, inner))
    return Credentials(pems[default], candidates[default].names, tuple(others))


def arm(outer: ssl.SSLContext, shown: Credentials) -> None:
    """Let this process's copy of a listener's outer context show these certificates. Raises StartError.

    With one certificate no SNI callback is set: a handshake then never enters Python.
    """
    _load(outer, shown.default)
    if shown.others:
        install(outer, CertificateChooser([(shown.names, outer), *shown.others]))


def server_context(listen: Listen) -> ssl.SSLContext:
    """An armed context of its own, with what the files hold now. Raises StartError; tls.audit says more."""
    context = outer_context(listen)
    arm(context, credentials(listen, [read_pem(files) for files in listen.certificates]))
    return context


def client_context(pool: Pool) -> ssl.SSLContext:
    """The context for connections to the backends of a pool that re-encrypts. Raises StartError as above.

    Chain and name are verified unless the pool says `verify = false`; the caller gives the name (`server_hostname`) with each
    connection: the pool's server_name, or else the backend's host.
    """
    settings = pool.tls
    if settings is None:
        raise ValueError(f"pool {pool.name} does not re-encrypt")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    profiles.harden(context)
    context.set_alpn_protocols(ALPN)
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif settings.ca is not None:
        trust(context, settings.ca)
        # What stands in a file of one's own is trusted as such: an intermediate or a single server's certificate will do.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    else:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if settings.cert is not None and settings.key is not None:
        load_pair(context, Certificate(settings.cert, settings.key))
    return context


def load_pair(context: ssl.SSLContext, certificate: Certificate) -> None:
    """Put a certificate chain and its key into `context`. Raises StartError."""
    _load(context, read_pem(certificate))


def _load(context: ssl.SSLContext, pem: Pem) -> None:
    files = pem.files
    try:
        with _as_file(pem.cert) as cert, _as_file(pem.key) as key:
            # With no password at all OpenSSL would ask the terminal for the one of an encrypted key, and start would hang.
            context.load_cert_chain(cert, key, password="")
    except ssl.SSLError as error:
        raise StartError(f"certificate {files.cert} with key {files.key}: {error.reason or error}") from error
    except OSError as error:
        raise StartError(f"certificate {files.cert} with key {files.key}: {error.strerror or error}") from error


@contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    """A path that holds `content`, in memory only: OpenSSL's Python face takes nothing but paths."""
    memory = os.memfd_create("lbproxy-pem", os.MFD_CLOEXEC)
    try:
        with open(memory, "wb", closefd=False) as file:
            file.write(content)
        yield f"/proc/self/fd/{memory}"
    finally:
        os.close(memory)


def trust(context: ssl.SSLContext, ca: Path) -> None:
    """Let `context` verify by the authorities in a file. Raises StartError."""
    try:
        with _as_file(pem.tidy(ca.read_bytes())) as file:
            context.load_verify_locations(cafile=file)
    except ssl.SSLError as error:
        raise StartError(f"certificate authority {ca}: {error.reason or error}") from error
    except OSError as error:
        raise StartError(f"certificate authority {ca}: {error.strerror or error}") from error


def _candidate(read: Pem) -> Candidate:
    try:
        return candidate(read.cert)
    except ValueError as error:
        raise StartError(f"certificate {read.files.cert}: {error}") from error
