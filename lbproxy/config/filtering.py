"""What is refused before any backend is asked: addresses, rates and counts per client, methods, sizes, [[route.refuse]]."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from lbproxy.config import values
from lbproxy.config.model import AddressList, ClientLimit, Network, Refuse, RouteFilters
from lbproxy.config.tables import Table, did_you_mean
from lbproxy.config.units import Refused, parse_network, parse_rate, show
from lbproxy.errors import Complaint

MOST_BURST = 100_000
MOST_AT_ONCE = 1_000_000
LIST_LIMIT = 16 * 1024 * 1024
"""Bytes of a file of networks."""
_FAULTS_TOLD = 20
"""Complaints about one file of networks; more is a file of something else."""

_NETWORKS = 'a list of networks such as ["10.0.0.0/8", "2001:db8::/32"]'
_METHOD = re.compile(r"[A-Z][A-Z-]{0,31}\Z")
_FIELD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}\Z")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_PATTERN_PATH = re.compile(r"[/*][!-~]*\Z")
_NEVER_THERE = re.compile(r"%(?![0-9A-F]{2})|%(?:2D|2E|3[0-9]|4[1-9A-F]|5[0-9AF]|6[1-9A-F]|7[0-9AE]|00|5C)")
"""RFC 3986 6.2.2: escapes that no path has when routes look at it (http/target.py)."""
_REFUSED_BEFORE = ("CONNECT", "TRACE")


# ---------------------------------------------------------------- addresses


def read_addresses(table: Table, base: Path) -> AddressList:
    """allow, deny, allow_file and deny_file of a listener or a route. The files are read now."""
    if table.value("allow") == []:
        table.complain("allow", "wanted at least one network, got an empty list", "leave the key out to let everybody in")
    allow_file, allowed = _listed(table, "allow_file", base)
    deny_file, denied = _listed(table, "deny_file", base)
    if allow_file is not None and allowed == ():
        table.complain("allow_file", f"there is no network in {allow_file}: nobody could come in", "leave the key out or list some")
    return AddressList(
        table.each("allow", parse_network, _NETWORKS),
        table.each("deny", parse_network, _NETWORKS),
        allow_file,
        deny_file,
        allowed or (),
        denied or (),
    )


def _listed(table: Table, key: str, base: Path) -> tuple[Path | None, tuple[Network, ...] | None]:
    """The file and what is in it; None for what has its complaints."""
    path = table.take(key, values.file_below(base), None)
    if path is None:
        return None, ()
    try:
        if path.stat().st_size > LIST_LIMIT:
            table.complain(key, f"wanted a file of at most {LIST_LIMIT} bytes, got {path.stat().st_size}")
            return path, None
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        table.complain(key, f"{path} cannot be read: {error.strerror or error}")
        return path, None
    except UnicodeDecodeError:
        table.complain(key, f"{path} is no text", "it should hold one network a line")
        return path, None
    networks, complaints = parse_list(str(path), text)
    table.report.complaints += complaints
    return path, None if complaints else networks


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
        except Refused as refused:
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
    concurrency: str = "concurrency"


LISTENER = _Words("connection_rate", "connection_burst", "connections_per_client")
_ROUTE = _Words()


def read_client_limit(table: Table, words: _Words = _ROUTE, name: str = "") -> ClientLimit:
    """What each client may do."""
    default = ClientLimit()
    limit = ClientLimit(
        table.take(words.rate, parse_rate, default.rate),
        table.take(words.burst, values.whole(1, MOST_BURST), default.burst),
        table.take(words.concurrency, values.whole(1, MOST_AT_ONCE), default.concurrency),
        name,
    )
    if words.burst in table and words.rate not in table:
        table.complain(words.burst, f'means nothing without "{words.rate}"', f'add {words.rate} = "20/s"')
    if limit.rate is not None and not limit.burst and limit.rate.amount > MOST_BURST:
        table.complain(words.rate, f"so many at once are not offered, at most {MOST_BURST}", f"add {words.burst} = 1000")
    return limit


def read_client_limits(table: Table) -> tuple[ClientLimit, ...]:
    """All of [client_limit.NAME]."""
    limits = []
    for name, value in table.tables().items():
        table.report.parse(table.at(name), name, _name)
        inner = table.child(table.at(name), value, f"a table headed [client_limit.{name}]")
        limit = read_client_limit(inner, name=name)
        inner.close()
        if isinstance(value, dict) and "rate" not in inner and "concurrency" not in inner:
            inner.complain("", "limits nothing", 'add rate = "20/s" or concurrency = 10')
        limits.append(limit)
    return tuple(limits)


# ---------------------------------------------------------------- routes


def read_route_filters(table: Table, base: Path, limits: list[str]) -> RouteFilters:
    """From a route's table. `limits`: the names of all [client_limit.NAME]."""
    default = RouteFilters()
    methods = table.each("methods", _method, 'a list of methods such as ["GET", "POST"]')
    if table.value("methods") == []:
        table.complain("methods", "wanted at least one method, got an empty list", "leave the key out to let all of them in")
    shared = table.each("client_limits", values.text, 'a list of names such as ["site"]')
    for name in shared:
        if name not in limits:
            hint = did_you_mean(name, limits) or f'add [client_limit.{name}] with rate = "20/s"'
            table.complain("client_limits", f'there is no client_limit "{name}"', hint)
    return RouteFilters(
        read_addresses(table, base),
        methods,
        table.take("max_body", values.size(0, values.MOST_BYTES), default.max_body),
        read_client_limit(table),
        shared,
        _refuse(table),
    )


def _refuse(table: Table) -> tuple[Refuse, ...]:
    header = "a table headed [[route.refuse]]"
    items = table.items("refuse", f"a list of tables, each {header.removeprefix('a table ')}")
    return tuple(_rule(table.child(item.path, item.value, header), index) for index, item in enumerate(items, 1))


def _rule(table: Table, number: int) -> Refuse:
    default = Refuse("")
    rule = Refuse(
        table.take("name", _name, str(number)),
        table.each("methods", _method, 'a list of methods such as ["POST"]'),
        table.take("path", _path_pattern, default.path),
        table.take("header", _field, default.header),
        table.take("value", _value_pattern, default.value),
        table.take("without", _field, default.without),
    )
    if "value" in table and "header" not in table:
        table.complain("value", 'means nothing without "header"', 'add header = "User-Agent"')
    if table.tables().keys() <= {"name"}:
        table.complain("", "every request would be refused", 'say which: methods, path, header with value, or without = "..."')
    table.close()
    return rule


def _name(value: object) -> str:
    if not isinstance(value, str) or not _NAME.match(value):
        raise Refused(f'wanted a name of letters, digits, "_" and "-", at most 64, got {show(value)}')
    return value


def _method(value: object) -> str:
    if not isinstance(value, str) or not _METHOD.match(value):
        upper = value.upper() if isinstance(value, str) else ""
        raise Refused(f'wanted a method such as "GET", got {show(value)}', f'write "{upper}"' if _METHOD.match(upper) else "")
    if value in _REFUSED_BEFORE:
        raise Refused(f"{value} never comes as far as a route", "it is refused for everybody; leave it out")
    return value


def _field(value: object) -> str:
    if not isinstance(value, str) or not _FIELD.match(value):
        raise Refused(f'wanted the name of a header, such as "User-Agent", got {show(value)}')
    return value


def _path_pattern(value: object) -> str:
    """What a normal path can be like; a pattern that never matches is a hole that looks closed."""
    if not isinstance(value, str) or not _PATTERN_PATH.match(value):
        hint = f'write "*{value}"' if isinstance(value, str) and re.fullmatch(r"[!-~]+", value) else ""
        raise Refused(f'wanted a path with stars, such as "/wp-*" or "*.php", got {show(value)}', hint)
    if "?" in value or "#" in value:
        raise Refused(f"wanted a path, got {show(value)}", "the query is not looked at")
    if _NEVER_THERE.search(value):
        raise Refused(f"wanted a path in normal form, got {show(value)}", "escapes in upper case; letters, digits, - . _ ~ without")
    return value


def _value_pattern(value: object) -> str:
    if not isinstance(value, str) or not value.isprintable():
        raise Refused(f'wanted a text with stars, such as "*curl*", got {show(value)}', "regular expressions are not offered")
    try:
        value.encode("latin-1")
    except UnicodeEncodeError as error:
        raise Refused(f"wanted a text of Latin-1 characters, got {show(value)}") from error
    return value
