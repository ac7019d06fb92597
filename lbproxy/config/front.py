"""The client's side: [[listen]] and [[route]]."""

from __future__ import annotations

from pathlib import Path

from lbproxy.config import values
from lbproxy.config.filtering import LISTENER, read_addresses, read_client_limit, read_route_filters
from lbproxy.config.headers import read_headers
from lbproxy.config.model import Address, Certificate, Listen, ListenTls, Route, SocketAccess
from lbproxy.config.sections import belongs_in, read_near_timeouts
from lbproxy.config.tables import Table, did_you_mean
from lbproxy.config.units import parse_listen_address
from lbproxy.config.values import KEY_MODE


def read_listeners(root: Table, base: Path) -> tuple[Listen, ...]:
    """All of [[listen]]; those without a usable address are left out."""
    items = root.items("listen", "a list of tables, each headed [[listen]]")
    listeners = [_listener(root.child(item.path, item.value, "a table headed [[listen]]"), base) for item in items]
    return tuple(listener for listener in listeners if listener is not None)


def _listener(table: Table, base: Path) -> Listen | None:
    address = table.need("address", parse_listen_address, 'add address = "0.0.0.0:443"')
    certificates = _certificates(table, base)
    tls = _listen_tls(table.table("tls", 'a table such as { profile = "intermediate" }'), base)
    redirect = table.take("redirect_to_https", values.redirect_port, None)
    most = table.take("max_connections", values.whole(0, 10_000_000), 0)
    access = _access(table, address)
    addresses = read_addresses(table, base)
    per_client = read_client_limit(table, LISTENER)
    has_certificates = "certificates" in table
    if redirect is not None and has_certificates:
        hint = "put it into the listener for port 80"
        table.complain("redirect_to_https", "a listener with certificates speaks HTTPS already", hint)
    if "tls" in table and not has_certificates:
        hint = 'add certificates = [{ cert = "...", key = "..." }]'
        table.complain("tls", "a listener without certificates speaks plain HTTP", hint)
    table.close(belongs_in)
    if address is None:
        return None
    line = table.report.lines.of(table.at("address"))
    return Listen(address, certificates, tls, redirect is not None, line, most, addresses, per_client, access, redirect or 0)


def _access(table: Table, address: Address | None) -> SocketAccess:
    default = SocketAccess()
    access = SocketAccess(
        mode=table.take("mode", values.file_mode, default.mode),
        owner=table.take("owner", values.text, default.owner),
        group=table.take("group", values.text, default.group),
    )
    if address is not None and not address.path:
        for key in ("mode", "owner", "group"):
            if key in table:
                table.complain(key, f"{address} has no file", 'it is for listeners such as "unix:/run/lbproxy/http.sock"')
    return access


def _certificates(table: Table, base: Path) -> tuple[Certificate, ...]:
    wanted = 'a list such as [{ cert = "a.crt", key = "a.key" }]'
    items = table.items("certificates", wanted)
    if table.value("certificates") == []:
        table.complain("certificates", f"wanted {wanted}, got an empty list", "leave the key out for plain HTTP")
    read = [_certificate(table.child(item.path, item.value, 'a table { cert = "a.crt", key = "a.key" }'), base) for item in items]
    return tuple(certificate for certificate in read if certificate is not None)


def _certificate(table: Table, base: Path) -> Certificate | None:
    is_table = bool(table.tables())
    cert = table.need("cert", values.file_below(base), 'add cert = "..."') if is_table else None
    key = table.need("key", values.file_below(base), 'add key = "..."') if is_table else None
    key_mode = table.take("key_mode", KEY_MODE, "private")
    table.close()
    return Certificate(cert, key, key_mode) if cert and key else None


def _listen_tls(table: Table, base: Path) -> ListenTls:
    default = ListenTls()
    tls = ListenTls(
        profile=table.take("profile", values.choice("modern", "intermediate"), default.profile),
        client_ca=table.take("client_ca", values.file_below(base), default.client_ca),
        client_auth=table.take("client_auth", values.choice("none", "optional", "required"), default.client_auth),
    )
    if tls.client_auth != "none" and "client_ca" not in table:
        table.complain("client_auth", "clients' certificates cannot be checked without client_ca", 'add client_ca = "ca.pem"')
    if "client_ca" in table and "client_auth" not in table:
        table.complain("client_ca", "without client_auth no client is asked for a certificate", 'add client_auth = "required"')
    table.close()
    return tls


def read_routes(root: Table, base: Path, pools: list[str], limits: list[str]) -> tuple[Route, ...]:
    """All of [[route]]; those with complaints are left out. `pools`, `limits`: the names of all of them, well-formed or not."""
    items = root.items("route", "a list of tables, each headed [[route]]")
    routes = [_route(root.child(item.path, item.value, "a table headed [[route]]"), base, pools, limits) for item in items]
    return tuple(route for route in routes if route is not None)


def _route(table: Table, base: Path, pools: list[str], limits: list[str]) -> Route | None:
    so_far = len(table.report.complaints)
    pool = table.need("pool", values.text, f'add pool = "{pools[0]}"' if pools else 'add pool = "..." and a [pool.NAME] for it')
    host = table.take("host", values.route_host, None)
    path = table.take("path", values.route_path, "/")
    encoded_slash = table.take("encoded_slash", values.choice("pass", "refuse"), "pass")
    merge_slashes = table.take("merge_slashes", values.boolean, False)
    raw_path = table.take("raw_path", values.boolean, False)
    encoded_backslash = table.take("encoded_backslash", values.choice("refuse", "pass"), "refuse")
    underscores = table.take("underscores", values.choice("drop", "pass"), "drop")
    client_close = table.take("client_close", values.choice("abort", "answer"), "abort")
    headers = read_headers(table)
    if merge_slashes and raw_path:
        table.complain("raw_path", "a path that is forwarded as it came cannot have its slashes merged", "take one of them out")
    if pool is not None and pool not in pools:
        known = ", ".join(pools)
        hint = did_you_mean(pool, pools) or (f"there are: {known}" if pools else f"add [pool.{pool}]")
        table.complain("pool", f'there is no pool "{pool}"', hint)
    filters = read_route_filters(table, base, limits)
    timeouts = read_near_timeouts(table.table("timeouts", 'a table such as { response_head = "5m" }'))
    table.close(belongs_in)
    if pool is None or len(table.report.complaints) > so_far:
        return None  # half a route would give rise to wrong complaints about its order
    line = table.report.lines.of(table.path)
    return Route(
        pool,
        host,
        path,
        line,
        encoded_slash,
        merge_slashes,
        raw_path,
        headers,
        filters,
        timeouts,
        encoded_backslash,
        underscores,
        client_close,
    )
