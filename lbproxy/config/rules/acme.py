"""[acme]: what holds between its keys, and between it and the listeners and routes that it works for."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

from lbproxy.config.acme_names import wanted
from lbproxy.config.model import AcmeConfig, AuthorityConfig, Config
from lbproxy.config.model.acme import DNS, HTTP, MOST_NAMES
from lbproxy.config.read import Context
from lbproxy.config.tables import Report, Table
from lbproxy.errors import Complaint

LIBRARIES = ("acme", "josepy")
HINT = "pip install 'lbproxy[acme]'"


def authority(table: Table, authority: AuthorityConfig, context: Context) -> AuthorityConfig:
    """The keys of an authority, in [acme] and in [acme.fallback]."""
    for key, other in (("eab_key_id", "eab_key"), ("eab_key", "eab_key_id")):
        if key in table and other not in table:
            table.complain(key, f"an account is bound by {key} and {other} together", f'add {other} = "..."')
    return authority


def acme(table: Table, acme: AcmeConfig, context: Context) -> AcmeConfig:
    """[acme]"""
    if acme.challenge == DNS and not acme.dns_command:
        table.complain("challenge", "dns-01 needs a command that sets records", 'add dns_command = ["/usr/local/bin/acme-dns"]')
    if acme.dns_command and acme.challenge != DNS:
        table.complain("dns_command", f"means nothing with {acme.challenge}", 'say challenge = "dns-01"')
    if acme.dns_command and not acme.dns_command[0].startswith("/"):
        message = f'wanted the whole path of a program, got "{acme.dns_command[0]}"'
        table.complain("dns_command", message, "it is run without a shell, and searched for nowhere")
    for name in acme.names:
        if name.startswith("*.") and acme.challenge != DNS:
            table.complain("names", f"{name}: {acme.challenge} is for single names", 'wildcards need challenge = "dns-01"')
    if acme.fallback is not None and acme.fallback.directory == acme.authority.directory:
        table.complain("fallback", "is the same authority once more", "name another directory, or take it out")
    missing = [name for name in LIBRARIES if find_spec(name) is None]
    if missing:
        table.complain("", f"needs {' and '.join(missing)}, which are not installed here", HINT)
    return acme


def together(report: Report, config: Config) -> Iterator[Complaint]:
    """Listeners ask for [acme], which needs what stands elsewhere."""
    asking = [listen for listen in config.listen if listen.acme]
    line = report.lines.of(("acme",))
    if config.acme is None:
        refused = any(one.key.startswith("acme") for one in report.complaints)
        for listen in asking if not refused else ():
            yield Complaint(report.source, listen.line, "listen.acme", "there is no [acme]", "add it, with terms_agreed = true")
        return

    def complaint(key: str, message: str, hint: str) -> Complaint:
        return Complaint(report.source, line, key, message, hint)

    if not asking:
        yield complaint("acme", "no listener asks for its certificates", "say acme = true in [[listen]]")
    if config.proxy.state_dir is None:
        hint = 'add state_dir = "/var/lib/lbproxy" to [proxy]'
        yield complaint("acme", "there is nowhere to keep accounts and certificates", hint)
    plain = [listen for listen in config.listen if listen.plain and not listen.address.path]
    if config.acme.challenge == HTTP and not plain:
        hint = 'add [[listen]] with address = "0.0.0.0:80" and redirect_to_https = true, or take another challenge'
        yield complaint("acme.challenge", "http-01 is answered on a listener without TLS, and there is none", hint)
    names = wanted(config).names
    if asking and not names:
        hint = "give routes a host, or say names in [acme]"
        yield complaint("acme", "there is no name to have a certificate for", hint)
    if len(names) > MOST_NAMES:
        hint = "certificates in a folder have no such bound"
        yield complaint("acme", f"wanted at most {MOST_NAMES} names, got {len(names)}", hint)
