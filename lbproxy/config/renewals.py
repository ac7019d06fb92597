"""Files that a configuration goes on naming, and that hold something else: what a reload tells of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from lbproxy.config.model import AcmeConfig, ListenConfig, PoolTlsConfig, ProcessConfig, RouteConfig, WafConfig

RenewedRules = Mapping[WafConfig, Sequence[str]]
"""By a route's table: files that its rules are made of, and that hold something else, have come or gone."""
MOST_RULES = 5
"""Files of rules, one by one."""


def of_listener(old: ListenConfig, new: ListenConfig, touched: Collection[Path]) -> Iterator[str]:
    """Certificates, authorities, lists of what they have revoked."""
    before = set(old.pairs)
    for pair in new.pairs:
        if pair in before:
            yield from _pair(pair.cert, pair.key, touched)
    for key in ("client_ca", "client_crl"):
        known = {getattr(policy, key) for policy in old.tls.policies}
        renewed = {getattr(policy, key) for policy in new.tls.policies} & known & {*touched}
        yield from (f"{key} {path} renewed" for path in sorted(renewed))


def of_route(old: RouteConfig, new: RouteConfig, touched: Collection[Path], rules: RenewedRules) -> Iterator[str]:
    """Users, sets of keys, rules."""
    if old.basic_auth is not None and new.basic_auth is not None:
        yield from _same("basic_auth.file", old.basic_auth.file, new.basic_auth.file, touched)
    if old.jwt is not None and new.jwt is not None:
        yield from _same("jwt.jwks_file", old.jwt.jwks_file, new.jwt.jwks_file, touched)
        yield from _same("jwt.jwks_ca", old.jwt.jwks_ca, new.jwt.jwks_ca, touched)
    if old.waf is not None and new.waf is not None and old.waf.rules == new.waf.rules:
        told = rules.get(new.waf, ())
        more = f" and {len(told) - MOST_RULES} more" if len(told) > MOST_RULES else ""
        if told:
            yield f"waf.rules {', '.join(told[:MOST_RULES])}{more} renewed"


def of_pool(old: PoolTlsConfig | None, new: PoolTlsConfig | None, touched: Collection[Path]) -> Iterator[str]:
    """Authorities, lists of what they have revoked, the certificate that is shown."""
    if old is None or new is None:
        return
    yield from _same("ca", old.ca, new.ca, touched)
    yield from _same("crl", old.crl, new.crl, touched)
    if (old.cert, old.key) == (new.cert, new.key):
        yield from _pair(new.cert, new.key, touched)


def of_proxy(old: ProcessConfig, new: ProcessConfig, touched: Collection[Path]) -> Iterator[str]:
    """Keys of tickets."""
    return _named("ticket_keys", old.ticket_keys, new.ticket_keys, touched)


def of_acme(old: AcmeConfig, new: AcmeConfig, touched: Collection[Path]) -> Iterator[str]:
    """What its authorities are known and entered by."""
    for key in ("ca", "eab_key"):
        before, after = ([getattr(one, key) for one in side.authorities] for side in (old, new))
        yield from _named(key, before, after, touched)


def _named(key: str, old: Iterable[Path | None], new: Iterable[Path | None], touched: Collection[Path]) -> Iterator[str]:
    both = {*old} & {*new} & {*touched}
    return (f"{key} {path} renewed" for path in sorted(path for path in both if path is not None))


def _same(key: str, old: Path | None, new: Path | None, touched: Collection[Path]) -> Iterator[str]:
    return _named(key, (old,), (new,), touched)


def _pair(cert: Path | None, key: Path | None, touched: Collection[Path]) -> Iterator[str]:
    """A certificate mostly comes with a new key, which goes without saying."""
    if cert in touched:
        yield f"certificate {cert} renewed"
    elif key in touched:
        yield f"key {key} renewed"
