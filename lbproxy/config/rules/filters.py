"""Rules of what is refused before any backend is asked: files of networks; what holds between the keys of limits and of
[[route.refuse]]."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from lbproxy.config.model import AddressListConfig, ClientLimitConfig, Config, Network, RefuseConfig, RouteFiltersConfig
from lbproxy.config.model.filters import MOST_BURST
from lbproxy.config.read import Context, Passing
from lbproxy.config.tables import Table
from lbproxy.config.units import ValueRefused, did_you_mean, parse_network
from lbproxy.errors import Complaint

LIST_LIMIT = 16 * 1024 * 1024
"""Bytes of a file of networks."""
_FAULTS_TOLD = 20
"""Complaints about one file of networks; more is a file of something else."""


# ---------------------------------------------------------------- addresses


def addresses(table: Table, lists: AddressListConfig, context: Context) -> AddressListConfig:
    """allow, deny, allow_file and deny_file of a listener or a route. The files are read now."""
    allowed = _listed(table, "allow_file", lists.allow_file, context.passing)
    denied = _listed(table, "deny_file", lists.deny_file, context.passing)
    if lists.allow_file is not None and allowed == ():
        message = f"there is no network in {lists.allow_file}: nobody could come in"
        table.complain("allow_file", message, "leave the key out or list some")
    return replace(lists, allow_listed=allowed or (), deny_listed=denied or ())


def _listed(table: Table, key: str, path: Path | None, passing: Passing) -> tuple[Network, ...] | None:
    """What is in the file; None when it has its complaints."""
    if path is None:
        return ()
    passing(str(path))
    try:
        if path.exists() and not path.is_file():  # a FIFO would hold whoever reads it, a device feed us for ever
            table.complain(key, f"{path} is no regular file", "it should hold one network a line")
            return None
        with path.open("rb") as file:
            content = file.read(LIST_LIMIT + 1)
        if len(content) > LIST_LIMIT:
            table.complain(key, f"wanted a file of at most {LIST_LIMIT} bytes, {path} is longer")
            return None
        text = content.decode()
    except OSError as error:
        table.complain(key, f"{path} cannot be read: {error.strerror or error}")
        return None
    except UnicodeDecodeError:
        table.complain(key, f"{path} is no text", "it should hold one network a line")
        return None
    finally:
        passing("")
    networks, complaints = parse_list(str(path), text)
    table.report.complaints += complaints
    return None if complaints else networks


def parse_list(source: str, text: str) -> tuple[tuple[Network, ...], list[Complaint]]:
    """One network a line; what follows a "#" is a comment."""
    networks: list[Network] = []
    complaints: list[Complaint] = []
    for number, line in enumerate(text.split("\n"), 1):
        word = line.partition("#")[0].strip()
        if not word:
            continue
        try:
            networks.append(parse_network(word))
        except ValueRefused as refused:
            complaints.append(Complaint(source, number, "", str(refused), refused.hint))
            if len(complaints) == _FAULTS_TOLD:
                complaints.append(Complaint(source, number, "", "too many faults; the rest of the file was not looked at"))
                break
    return tuple(networks), complaints


# ---------------------------------------------------------------- clients


class _Words(NamedTuple):
    """How the keys of a limit are called where it stands."""

    rate: str = "rate"
    burst: str = "burst"


OF_LISTENERS = _Words("connection_rate", "connection_burst")
_OWN = _Words()


def client_limit(table: Table, limit: ClientLimitConfig, words: _Words = _OWN) -> None:
    """What each client may do."""
    if words.burst in table and words.rate not in table:
        table.complain(words.burst, f'means nothing without "{words.rate}"', f'add {words.rate} = "20/s"')
    if limit.rate is not None and not limit.burst and limit.rate.amount > MOST_BURST:
        table.complain(words.rate, f"so many at once are not offered, at most {MOST_BURST}", f"add {words.burst} = 1000")


def shared_limits(table: Table, config: Config, context: Context) -> Config:
    """All of [client_limit.NAME]."""
    for limit in config.client_limits:
        inner = table.inside("client_limit").inside(limit.name)
        client_limit(inner, limit)
        if "rate" not in inner and "concurrency" not in inner:
            inner.complain("", "limits nothing", 'add rate = "20/s" or concurrency = 10')
    return config


# ---------------------------------------------------------------- routes


def route_filters(table: Table, filters: RouteFiltersConfig, context: Context) -> RouteFiltersConfig:
    """What a route refuses."""
    client_limit(table, filters.limit)
    for name in filters.client_limits:
        if name not in context.limits:
            hint = did_you_mean(name, list(context.limits)) or f'add [client_limit.{name}] with rate = "20/s"'
            table.complain("client_limits", f'there is no client_limit "{name}"', hint)
    numbered = (replace(rule, name=rule.name or str(number)) for number, rule in enumerate(filters.refuse, 1))
    return replace(filters, refuse=tuple(numbered))


def refuse(table: Table, rule: RefuseConfig, context: Context) -> RefuseConfig:
    """[[route.refuse]]"""
    if "value" in table and "header" not in table:
        table.complain("value", 'means nothing without "header"', 'add header = "User-Agent"')
    if table.tables().keys() <= {"name"}:
        table.complain("", "every request would be refused", 'say which: methods, path, header with value, or without = "..."')
    return rule
