"""Header fields: what holds between the rules of one table, and variables that never have anything to say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from lbproxy.config.header_values import VARIABLE
from lbproxy.config.model import Config, HeaderRulesConfig, HeadersConfig
from lbproxy.config.read import Context
from lbproxy.config.tables import Report, Table
from lbproxy.errors import Complaint

CERTIFICATE_VARIABLES = {"client_cert", "client_fingerprint", "client_issuer", "client_serial", "client_subject",
                         "client_san_dns", "client_san_email", "client_san_uri", "client_verify"}  # fmt: skip


def header_rules(table: Table, rules: HeaderRulesConfig, context: Context) -> HeaderRulesConfig:
    """request_headers or response_headers"""
    set_names = {name.lower() for name, _ in rules.set}
    for index, name in enumerate(rules.remove):
        if name.lower() in set_names:
            hint = "set takes out what came: leave it out here"
            table.report.complain((*table.at("remove"), index), f"{name} is set as well", hint)
    return rules


def _texts(rules: HeaderRulesConfig) -> list[str]:
    return [*(value for _, value in (*rules.set, *rules.add)), *(new for _, _, new in rules.replace)]


class _Rules(NamedTuple):
    """Header rules of one table."""

    where: str
    line: int
    headers: HeadersConfig
    words: list[HeadersConfig]
    """What request_id and trace say wherever these rules hold; empty: nowhere."""
    inspects: bool
    """Steps of a route where they hold may find out who the client is."""


def _all_rules(report: Report, config: Config) -> Iterator[_Rules]:
    wider = {pool.name: pool.headers.over(config.proxy.headers) for pool in config.pools}
    for pool in config.pools:
        here = [route for route in config.routes if pool.name in route.pools]
        words = [route.headers.over(wider[pool.name]) for route in here]
        inspects = not here or any(route.inspects for route in here)
        yield _Rules(f"pool.{pool.name}", report.lines.of(("pool", pool.name)), pool.headers, words, inspects)
    for route in config.routes:
        around = [wider[name] for name in route.pools if name in wider] or [config.proxy.headers]
        yield _Rules("route", route.line, route.headers, [route.headers.over(each) for each in around], route.inspects)


def silent_variables(report: Report, config: Config) -> list[Complaint]:
    """Complaints about variables that never have anything to say, because what they tell of is switched off."""
    certificates = any(listen.tls.asks for listen in config.listen)
    complaints = []
    for where, line, headers, words, inspects in _all_rules(report, config):
        used = {name for table in (headers.request, headers.response) for value in _texts(table)
                for name in VARIABLE.findall(value)}  # fmt: skip
        for variable, key in (("request_id", "request_id"), ("trace_id", "trace")):
            if variable in used and words and all(getattr(said, key) == "off" for said in words):
                message = f"{{{variable}}} says nothing while {key} is off"
                complaints.append(Complaint(report.source, line, where, message, f'add {key} = "make"'))
        if "user" in used and not inspects:
            message = "{user} says nothing: no step of the route asks who the client is"
            hint = 'add authorize = { pool = "auth", user = "Remote-User" }'
            complaints.append(Complaint(report.source, line, where, message, hint))
        about = sorted(used & CERTIFICATE_VARIABLES)
        if about and not certificates:
            message = f"{{{about[0]}}} says nothing: no listener asks clients for certificates"
            hint = 'add tls = { client_ca = "ca.pem", client_auth = "optional" } to one'
            complaints.append(Complaint(report.source, line, where, message, hint))
    return complaints
