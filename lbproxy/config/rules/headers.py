"""Header fields: what holds between the rules of one table, and variables that never have anything to say."""

from __future__ import annotations

from lbproxy.config.header_values import VARIABLE
from lbproxy.config.model import Config, HeaderRules
from lbproxy.config.read import Context
from lbproxy.config.tables import Report, Table
from lbproxy.errors import Complaint

CERTIFICATE_VARIABLES = {"client_cert", "client_fingerprint", "client_issuer", "client_serial", "client_subject"}


def header_rules(table: Table, rules: HeaderRules, context: Context) -> HeaderRules:
    """request_headers or response_headers"""
    set_names = {name.lower() for name, _ in rules.set}
    for index, name in enumerate(rules.remove):
        if name.lower() in set_names:
            hint = "set takes out what came: leave it out here"
            table.report.complain((*table.at("remove"), index), f"{name} is set as well", hint)
    return rules


def _texts(rules: HeaderRules) -> list[str]:
    return [*(value for _, value in (*rules.set, *rules.add)), *(new for _, _, new in rules.replace)]


def silent_variables(report: Report, config: Config) -> list[Complaint]:
    """Complaints about variables that never have anything to say, because what they tell of is switched off."""
    certificates = any(listen.tls.client_auth != "none" for listen in config.listen)
    complaints = []
    for pool in config.pools:
        routes = [route for route in config.routes if route.pool == pool.name]
        words = [route.headers.over(pool.headers.over(config.proxy.headers)) for route in routes]
        for where, line, rules, heard in (
            (f"pool.{pool.name}", report.lines.of(("pool", pool.name)), pool.headers, words),
            *(("route", route.line, route.headers, [said]) for route, said in zip(routes, words, strict=True)),
        ):
            used = {name for table in (rules.request, rules.response) for value in _texts(table)
                    for name in VARIABLE.findall(value)}  # fmt: skip
            for variable, key in (("request_id", "request_id"), ("trace_id", "trace")):
                if variable in used and heard and all(getattr(said, key) == "off" for said in heard):
                    message = f"{{{variable}}} says nothing while {key} is off"
                    complaints.append(Complaint(report.source, line, where, message, f'add {key} = "make"'))
            about = sorted(used & CERTIFICATE_VARIABLES)
            if about and not certificates:
                message = f"{{{about[0]}}} says nothing: no listener asks clients for certificates"
                hint = 'add tls = { client_ca = "ca.pem", client_auth = "optional" } to one'
                complaints.append(Complaint(report.source, line, where, message, hint))
    return complaints
