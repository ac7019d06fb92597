"""Dangers on the clients' side: what is spoken there, and who is believed."""

from __future__ import annotations

from collections.abc import Iterable

from lbproxy.audit.checks.networks import on_this_machine, too_wide
from lbproxy.audit.finding import Check, Evidence, Severity
from lbproxy.config.model import Config

_BROKEN = ("NULL", "EXP", "RC4", "MD5", "DES", "ADH", "AECDH", "LOW", "@SECLEVEL=0")
"""Words of OpenSSL's lists of suites that let in what is broken, unless they stand behind a "!" or "-"."""


def _old_tls(config: Config) -> Iterable[Evidence]:
    for index, listen in enumerate(config.listen):
        if listen.secure and listen.tls.profile == "old":
            yield Evidence(("listen", index, "tls", "profile"), "old", listen.line)
        elif listen.secure and (listen.tls.min_version or "1.2") < "1.2":
            yield Evidence(("listen", index, "tls", "min_version"), str(listen.tls.min_version), listen.line)


def _weak_ciphers(config: Config) -> Iterable[Evidence]:
    for index, listen in enumerate(config.listen):
        words = (listen.tls.ciphers or "").upper().replace(",", ":").replace(" ", ":").split(":")
        if any(broken in word for word in words if word[:1] not in ("!", "-") for broken in _BROKEN):
            yield Evidence(("listen", index, "tls", "ciphers"), listen.tls.ciphers or "", listen.line)


def _plain_beside_tls(config: Config) -> Iterable[Evidence]:
    if any(listen.secure for listen in config.listen):
        for index, listen in enumerate(config.listen):
            if listen.plain and listen.redirect_to_https is False and not on_this_machine(listen.address):
                yield Evidence(("listen", index, "address"), str(listen.address), listen.line)


def _without_hsts(config: Config) -> Iterable[Evidence]:
    if not any(listen.secure for listen in config.listen):
        return
    for index, route in enumerate(config.routes):
        for name in route.pools:
            said = [route.headers.hsts, config.pool(name).headers.hsts, config.proxy.headers.hsts]
            hsts = next((each for each in said if each is not None), None)
            if hsts is None or hsts.max_age <= 0:
                yield Evidence(("route", index, "hsts"), "not sent", route.line)
                break


def _trusts_many(config: Config) -> Iterable[Evidence]:
    return too_wide(config.proxy.trusted_proxies, ("proxy", "trusted_proxies"))


def _headers_of_many(config: Config) -> Iterable[Evidence]:
    for index, listen in enumerate(config.listen):
        yield from too_wide(listen.proxy_protocol, ("listen", index, "proxy_protocol"), listen.line)


def _telling(config: Config) -> Iterable[Evidence]:
    for pool in config.pools:
        if pool.headers.response.keep:
            yield Evidence(("pool", pool.name, "response_headers", "keep"), " ".join(pool.headers.response.keep), pool.line)
    for index, route in enumerate(config.routes):
        if route.headers.response.keep:
            yield Evidence(("route", index, "response_headers", "keep"), " ".join(route.headers.response.keep), route.line)


CHECKS = (
    Check(
        "tls-old",
        Severity.HIGH,
        "Versions of TLS that are broken are spoken with clients.",
        'Let profile be "intermediate", the default, which everything since 2014 speaks.',
        _old_tls,
    ),
    Check(
        "tls-weak-ciphers",
        Severity.HIGH,
        "The list of ciphers lets in some that can be broken, or that encrypt nothing.",
        "Take ciphers out: the profile has a list that is kept.",
        _weak_ciphers,
    ),
    Check(
        "plain-beside-https",
        Severity.MEDIUM,
        "The same routes are served without TLS: passwords and cookies can be read on the way.",
        "Add redirect_to_https = true to the listener.",
        _plain_beside_tls,
    ),
    Check(
        "hsts-missing",
        Severity.LOW,
        "A browser's first request can be kept on plain HTTP by whoever stands on the way, again and again.",
        'Add hsts = "365d" to [proxy], when all of the site is on HTTPS.',
        _without_hsts,
    ),
    Check(
        "trusted-proxies-wide",
        Severity.HIGH,
        "Strangers may say who they are: addresses in logs, limits, and rules of allow and deny are theirs to choose.",
        "Name the proxies in front of this one in trusted_proxies, and nobody else.",
        _trusts_many,
    ),
    Check(
        "proxy-protocol-wide",
        Severity.HIGH,
        "Strangers may say by a PROXY header who they are.",
        "Name the balancers in front of this one in proxy_protocol, and nobody else.",
        _headers_of_many,
    ),
    Check(
        "telling-headers",
        Severity.LOW,
        "Answers tell which software, in which version, is behind this proxy: what an attacker looks up first.",
        "Take keep out: these headers are removed unless it names them.",
        _telling,
    ),
)
