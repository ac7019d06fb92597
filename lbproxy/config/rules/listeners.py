"""[[listen]]: what holds between its keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lbproxy.config.certificate_folder import CONTAINERS, FolderContents, pairs_in
from lbproxy.config.model import CertificateConfig, ListenConfig, ListenTlsConfig, NameTlsConfig
from lbproxy.config.read import Context, Passing
from lbproxy.config.rules.filters import OF_LISTENERS, client_limit
from lbproxy.config.tables import Table
from lbproxy.config.units import did_you_mean


def listener(table: Table, listen: ListenConfig, context: Context) -> ListenConfig:
    """[[listen]]"""
    if listen.address is not None and not listen.address.path:  # None where it is missing
        for key in ("mode", "owner", "group"):
            if key in table:
                table.complain(key, f"{listen.address} has no file", 'it is for listeners such as "unix:/run/lbproxy/http.sock"')
    client_limit(table, listen.per_client, OF_LISTENERS)
    has_certificates = "certificates" in table or listen.acme
    if "certificates" in table and listen.acme:
        table.complain("acme", "a listener has its certificates from files or by acme", "take one of them out")
    if listen.redirect_to_https is not False and has_certificates:
        hint = "put it into the listener for port 80"
        table.complain("redirect_to_https", "a listener with certificates speaks HTTPS already", hint)
    if "tls" in table and not has_certificates:
        hint = 'add certificates = [{ cert = "...", key = "..." }]'
        table.complain("tls", "a listener without certificates speaks plain HTTP", hint)
    if listen.passthrough:
        _passed(table, listen, context.pools, has_certificates)
    line = table.report.lines.of(table.at("address"))
    found = _in_folder(table, listen, context.passing)
    return replace(listen, line=line, listed=found.pairs, left_out=found.odd)


def _passed(table: Table, listen: ListenConfig, pools: Sequence[str], has_certificates: bool) -> None:
    """Pools that there are; and what means nothing where nobody decrypts."""
    for name, pool in listen.passthrough:
        if pool not in pools:
            known = f"there are: {', '.join(pools)}" if pools else f"add [pool.{pool}]"
            hint = did_you_mean(pool, list(pools)) or known
            table.report.complain((*table.at("passthrough"), name), f'there is no pool "{pool}"', hint)
    if listen.redirect_to_https is not False:
        table.complain("redirect_to_https", "whoever is passed through speaks TLS already", "put it into the listener for port 80")
    if has_certificates and any(name == "*" for name, _ in listen.passthrough):
        message = "every client would be passed through, and the certificates shown to nobody"
        table.complain("passthrough", message, "name those that are passed through, or take certificates out")
    if not has_certificates and "protocols" in table:
        hint = "what clients and backends speak there is for them to agree on"
        table.complain("protocols", "a listener without certificates decrypts nothing", hint)


def certificate(table: Table, pair: CertificateConfig, context: Context) -> CertificateConfig:
    """One of a listener's certificates: a PKCS #12 file is both halves."""
    if "key" in table:
        return pair
    if pair.cert is not None and pair.cert.suffix in CONTAINERS:  # None where it is missing
        return replace(pair, key=pair.cert)
    table.complain("", '"key" is missing', 'add key = "..."')
    return pair


def _in_folder(table: Table, listen: ListenConfig, passing: Passing) -> FolderContents:
    """What is in the folder now."""
    folder = listen.folder
    if folder is None:
        return FolderContents()
    hint = "NAME.crt and NAME.key, NAME.pem or NAME.p12 with both, or NAME/fullchain.pem and NAME/privkey.pem"
    try:
        found = pairs_in(folder, listen.folder_key_mode, listen.folder_passphrase, passing)
    except NotADirectoryError:
        table.complain("certificates", f"{folder} is no folder", f'{hint}; a single pair is [{{ cert = "...", key = "..." }}]')
    except OSError as error:
        table.complain("certificates", f"wanted a folder that can be read, {folder}: {error.strerror or error}", hint)
    else:
        if not found.pairs:
            table.complain("certificates", f"there is no certificate with its key in {folder}", hint)
        return found
    return FolderContents()


def name_tls(table: Table, tls: NameTlsConfig, context: Context) -> NameTlsConfig:
    """What is different for some names."""
    _asked_of_clients(table, tls)
    return tls


def _asked_of_clients(table: Table, tls: ListenTlsConfig | NameTlsConfig) -> None:
    if tls.client_auth != "none" and "client_ca" not in table:
        table.complain("client_auth", "clients' certificates cannot be checked without client_ca", 'add client_ca = "ca.pem"')
    if "client_ca" in table and "client_auth" not in table:
        table.complain("client_ca", "without client_auth no client is asked for a certificate", 'add client_auth = "required"')
    for key in ("client_crl", "client_depth"):
        if key in table and tls.client_auth == "none":
            table.complain(key, "no client is asked for a certificate here", 'add client_auth = "required", and client_ca')


def tls(table: Table, tls: ListenTlsConfig, context: Context) -> ListenTlsConfig:
    """A listener's tls."""
    _asked_of_clients(table, tls)
    seen: set[str] = set()
    for one in tls.names:
        for name in one.names or ():
            if name in seen:
                table.complain("name", f"{name} stands in two of them", "which one is meant nobody knows: take it out of one")
            seen.add(name)
    least = tls.min_version or LEAST[tls.profile]
    if least < "1.2" and tls.profile != "old":
        table.complain("min_version", f"TLS {least} is spoken by nobody who is safe", 'say profile = "old", if it has to be')
    if tls.max_version is not None and tls.max_version < least:
        message = f"wanted {least}, the oldest version, or a newer one, got {tls.max_version}"
        table.complain("max_version", message, "" if tls.min_version else f'profile = "{tls.profile}" begins there')
    if tls.ciphers is not None and least == "1.3":
        table.complain("ciphers", "they are those of TLS 1.2, which is not spoken here", "take it out, or say min_version")
    return tls


LEAST = {"modern": "1.3", "intermediate": "1.2", "old": "1.0"}
"""By profile, the oldest version."""
