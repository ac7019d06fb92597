"""The TLS contexts of listeners and pools, built by the master *before* it forks.

Before, because a context makes up its session-ticket key when it is created: forked afterwards, all workers share it, and a client
that comes back to another worker still resumes. And because only the master can read the keys.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from lbproxy.config.model import Certificate, Listen, Pool
from lbproxy.errors import StartError
from lbproxy.tls import profiles
from lbproxy.tls.sni import CertificateChooser, install, names_of

ALPN = ["http/1.1"]

CLIENT_AUTH = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}

TICKETS = 2
"""TLS 1.3 tickets per full handshake. Browsers open several connections side by side and use each ticket once (RFC 8446 C.4).
Server's CPU, measured 2026-11-23 with OpenSSL 3.0: a ticket costs 30 us; resuming instead of a full handshake saves 900 us with an
RSA 2048 certificate and 50 us with EC P-256, the cheaper one from the start."""


def server_context(listen: Listen) -> ssl.SSLContext:
    """The context of a TLS listener (one with certificates). Raises StartError when a file cannot be used; tls.audit says more.

    With one certificate no SNI callback is set: a handshake then never enters Python.
    """
    default, *others = listen.certificates
    outer = _listener_context(listen, default)
    if others:
        chosen = [(_names(default), outer)]
        chosen += [(_names(certificate), _listener_context(listen, certificate)) for certificate in others]
        install(outer, CertificateChooser(chosen))
    return outer


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
        _trust(context, settings.ca)
        # What stands in a file of one's own is trusted as such: an intermediate or a single server's certificate will do.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    else:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if settings.cert is not None and settings.key is not None:
        load_pair(context, Certificate(settings.cert, settings.key))
    return context


def load_pair(context: ssl.SSLContext, certificate: Certificate) -> None:
    """Put a certificate chain and its key into `context`. Raises StartError."""
    try:
        # With no password at all OpenSSL would ask the terminal for the one of an encrypted key, and start would hang.
        context.load_cert_chain(certificate.cert, certificate.key, password="")
    except ssl.SSLError as error:
        raise StartError(f"certificate {certificate.cert} with key {certificate.key}: {error.reason or error}") from error
    except OSError as error:
        raise StartError(f"certificate {certificate.cert} with key {certificate.key}: {error.strerror or error}") from error


def _listener_context(listen: Listen, certificate: Certificate) -> ssl.SSLContext:
    """One certificate's context.

    All of a listener's contexts are made alike: after SNI, ALPN and the client's chain are judged by the chosen one, while
    versions, ciphers, tickets and whether a client certificate is asked for stay those of the outer one.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    profiles.apply(context, listen.tls.profile)
    context.set_alpn_protocols(ALPN)
    context.num_tickets = TICKETS
    load_pair(context, certificate)
    if listen.tls.client_ca is not None:
        _trust(context, listen.tls.client_ca)
    context.verify_mode = CLIENT_AUTH[listen.tls.client_auth]
    return context


def _trust(context: ssl.SSLContext, ca: Path) -> None:
    try:
        context.load_verify_locations(cafile=ca)
    except ssl.SSLError as error:
        raise StartError(f"certificate authority {ca}: {error.reason or error}") from error
    except OSError as error:
        raise StartError(f"certificate authority {ca}: {error.strerror or error}") from error


def _names(certificate: Certificate) -> tuple[str, ...]:
    try:
        return names_of(certificate.cert)
    except (ValueError, OSError) as error:
        raise StartError(f"certificate {certificate.cert}: {error}") from error
