"""TOML text to a `Config`, with every complaint at once.

The way: `tomllib` reads the text; `locate` finds the lines; `tables` asks for keys one by one and collects complaints; sections,
front and pools know which keys there are; `check` looks at the parts together. Of the files that a configuration names only lists
of networks are read here, since they are a part of it; certificates are looked at by tls.audit.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from lbproxy.config import values
from lbproxy.config.acme_names import with_pairs
from lbproxy.config.check import check_together
from lbproxy.config.environment import Variables, expand
from lbproxy.config.key import shape_of
from lbproxy.config.locate import Lines
from lbproxy.config.locate import Path as TomlPath
from lbproxy.config.model import (
    AcmeConfig,
    AddressListConfig,
    AuthorityConfig,
    AuthorizeConfig,
    BackendConfig,
    CacheStoreConfig,
    CertificateConfig,
    CompressConfig,
    Config,
    HeaderRulesConfig,
    IcapConfig,
    LimitsConfig,
    ListenConfig,
    ListenTlsConfig,
    LogConfig,
    MatchConfig,
    MetricsConfig,
    MirrorConfig,
    NameTlsConfig,
    NearTimeoutsConfig,
    PoolConfig,
    PoolTlsConfig,
    ProcessConfig,
    RefuseConfig,
    RespondConfig,
    RouteConfig,
    RouteFiltersConfig,
    TimeoutsConfig,
)
from lbproxy.config.parts import INCLUDE, ConfigPart, Merged, matching, patterns_of
from lbproxy.config.read import Context, Passing, Rule, nobody, read
from lbproxy.config.rules import acme, filters, headers, inspection, listeners, pools, process, routes
from lbproxy.config.tables import Report, Table, dotted
from lbproxy.errors import Complaint, ConfigError, Line, by_place

_ELSEWHERE = {
    "server": "[[listen]]", "frontend": "[[listen]]", "bind": "[[listen]]", "listeners": "[[listen]]",
    "upstream": "[pool.NAME]", "upstreams": "[pool.NAME]", "backend": "[pool.NAME]", "backends": "[pool.NAME]",
    "location": "[[route]]", "http": "[[listen]]", "global": "[proxy]", "process": "[proxy]", "timeout": "[timeouts]",
}  # fmt: skip
"""What other proxies call it."""


MOST_BYTES = 16 * 2**20
"""Of one file; a device has no end."""

NOTHING_SET: Mapping[str, str] = MappingProxyType({})


def load_file(path: Path, named: str = "", environ: Mapping[str, str] = NOTHING_SET, passing: Passing = nobody) -> Config:
    """The configuration in a file. Complaints call it `named`, as the user did. Raises ConfigError, also for an unreadable file.

    `environ`: what "${NAME}" in it stands for; `passing`: told which path is about to be read, and "" when that has answered.
    """
    return locate_file(path, named, environ, passing).config


def locate_file(path: Path, named: str = "", environ: Mapping[str, str] = NOTHING_SET, passing: Passing = nobody) -> Located:
    """The same, with lines."""
    name = named or str(path)
    return locate_text(_read_file(path, name, passing), name, path.absolute().parent, environ, path, passing)


class Located(NamedTuple):
    """A configuration, and where its file, or one that it includes, says what."""

    config: Config
    line_of: Callable[[TomlPath], int]
    """Of a key, or of the nearest thing around it."""


def locate_bytes(content: bytes, source: str, base: Path, environ: Mapping[str, str] = NOTHING_SET) -> Located:
    """The configuration in what was read from somewhere. Raises ConfigError."""
    return locate_text(_decoded(content, source), source, base, environ)


def _read_file(path: Path, name: str, passing: Passing) -> str:
    passing(str(path))
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError([Complaint(name, 0, "", f"cannot be read: {reason}", _file_hint(error))]) from error
    finally:
        passing("")
    if len(content) > MOST_BYTES:
        raise ConfigError([Complaint(name, 0, "", f"is longer than {MOST_BYTES // 2**20} MiB", "is it the right file?")])
    return _decoded(content, name)


def _decoded(content: bytes, name: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        message = f"wanted UTF-8, got the byte {content[error.start]:#04x}"
        raise ConfigError([Complaint(name, line, "", message, "save the file as UTF-8")]) from error


def _file_hint(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "lbproxy init > FILE writes one to start from"
    if isinstance(error, IsADirectoryError):
        return "name the file in it"
    return ""


def load_text(text: str, source: str, base: Path, environ: Mapping[str, str] = NOTHING_SET, file: Path | None = None) -> Config:
    """The configuration in `text`. `source` stands in complaints; relative file names are relative to `base`; `file` is where the
    text stands, if it does: it does not include itself.

    Raises ConfigError.
    """
    return locate_text(text, source, base, environ, file).config


def locate_text(
    text: str, source: str, base: Path, environ: Mapping[str, str] = NOTHING_SET, file: Path | None = None,
    passing: Passing = nobody,
) -> Located:  # fmt: skip
    """The same, with lines."""
    main = _part(text, source)
    faults: list[Complaint] = []
    merged = Merged(main, _included(main, base, environ, file, faults, passing))

    def complain(path: TomlPath, message: str, hint: str) -> None:
        faults.append(Complaint(source, merged.of(path), dotted(merged.local(path)), message, hint))

    expanded = expand(merged.values, environ, complain)
    faults += merged.complaints
    if faults:
        raise ConfigError(by_place(faults))
    variables = Variables(tuple(expanded.used.items()))
    report = Report(source, merged, variables)
    config = _read(Table(report, (), expanded.values), source, base, passing)
    if report.complaints:
        raise ConfigError(report.in_file_order())
    references = tuple((one.path, one.written) for one in expanded.references)
    return Located(replace(config, written=references, variables=variables.used), merged.of)


def _part(text: str, source: str) -> ConfigPart:
    """One file's text. Raises ConfigError."""
    text = text.replace("\r\n", "\n")
    try:
        read = tomllib.loads(text)
        return ConfigPart(source, Lines(text), read)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([_syntax(source, text, str(error))]) from error
    except RecursionError as error:
        raise ConfigError([Complaint(source, 0, "", "nested too deeply")]) from error


def _included(
    main: ConfigPart, base: Path, environ: Mapping[str, str], file: Path | None, faults: list[Complaint], passing: Passing
) -> list[ConfigPart]:
    """The other files, each read; what is wrong with any of them goes to `faults`."""

    def complain(path: TomlPath, message: str, hint: str = "") -> None:
        faults.append(Complaint(main.source, main.lines.of(path), dotted(path), message, hint))

    if INCLUDE not in main.values:
        return []
    written = expand({INCLUDE: main.values.pop(INCLUDE)}, environ, complain).values
    patterns = patterns_of(written[INCLUDE])
    if isinstance(patterns, str):
        complain((INCLUDE,), patterns)
        return []
    parts = []
    beside = Path(main.source).parent if file is not None else base
    for found in matching(patterns, base, file, lambda number, *why: complain((INCLUDE, number), *why), passing):
        name = str(beside / found.relative_to(base)) if found.is_relative_to(base) else str(found)
        passing(str(found))
        try:
            if found.exists() and not found.is_file():
                raise ConfigError([Complaint(name, 0, "", "is no regular file", "name the files in it")])
            part = _part(_read_file(found, name, passing), name)
        except ConfigError as error:
            faults += [one._replace(line=Line(one.line, name)) for one in error.complaints]
            continue
        if part.values.pop(INCLUDE, None) is not None:
            line = Line(part.lines.of((INCLUDE,)), name)
            faults.append(Complaint(name, line, INCLUDE, "an included file includes no others", "name them in the main file"))
        parts.append(part)
    return parts


def _syntax(source: str, text: str, message: str) -> Complaint:
    """tomllib says "Expected '=' after a key in a key/value pair (at line 3, column 5)" or "(at end of document)"."""
    match = re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)\Z", message)
    if match is None:
        return Complaint(source, 0, "", f"not valid TOML: {message}")
    what = message[: match.start()]
    if match[1] is None:
        message = f"not valid TOML: {what} at the end of the file"
        return Complaint(source, text.count("\n") + 1, "", message, "a quote or bracket left open?")
    hint = 'texts stand in quotes, e.g. key = "value"' if what == "Invalid value" else ""
    return Complaint(source, int(match[1]), "", f"not valid TOML: {what} at column {match[2]}", hint)


_RULES: dict[type[object], Rule] = {
    AcmeConfig: acme.acme,
    AddressListConfig: filters.addresses,
    AuthorityConfig: acme.authority,
    AuthorizeConfig: inspection.authorize,
    BackendConfig: pools.backend,
    CertificateConfig: listeners.certificate,
    CompressConfig: routes.compress,
    Config: filters.shared_limits,
    HeaderRulesConfig: headers.header_rules,
    LimitsConfig: process.limits,
    ListenConfig: listeners.listener,
    ListenTlsConfig: listeners.tls,
    NameTlsConfig: listeners.name_tls,
    PoolConfig: pools.pool,
    PoolTlsConfig: pools.tls,
    ProcessConfig: process.proxy,
    MatchConfig: routes.match,
    IcapConfig: inspection.icap,
    MirrorConfig: inspection.mirror,
    RefuseConfig: filters.refuse,
    RespondConfig: routes.respond,
    RouteConfig: routes.route,
    RouteFiltersConfig: filters.route_filters,
}
"""What holds between the keys of a class; what no key of it can say is in check.py."""


def _not_ours(key: str) -> str:
    return f"{_ELSEWHERE[key]} is what it is called here" if key in _ELSEWHERE else process.belongs_in(key)


_BELONGS = {
    Config: _not_ours,
    NearTimeoutsConfig: process.over_before,
    **dict.fromkeys(
        (
            ProcessConfig,
            LogConfig,
            TimeoutsConfig,
            LimitsConfig,
            MetricsConfig,
            AcmeConfig,
            CacheStoreConfig,
            ListenConfig,
            RouteConfig,
            PoolConfig,
        ),
        process.belongs_in,
    ),
}
_SHAPE = shape_of(Config)


def _read(root: Table, source: str, base: Path, passing: Passing) -> Config:
    """Every table in turn. The result is meant only when no complaint came up."""
    root.take(INCLUDE, values.text, "")  # known, and gone: see _included
    context = Context(base, _RULES, _BELONGS, _names(root, "pool"), _names(root, "client_limit"), passing)
    config: Config = read(root, _SHAPE, context, source=source)
    _nothing_missing(root, config)
    check_together(root.report, config)
    return with_pairs(config)


def _names(root: Table, key: str) -> tuple[str, ...]:
    value = root.value(key)
    return tuple(value) if isinstance(value, dict) else ()


def _nothing_missing(root: Table, config: Config) -> None:
    """Without a listener nobody comes in, without a route nobody gets anywhere; redirects and what is passed through need none."""
    if "listen" not in root or root.value("listen") == []:
        root.complain("", "nothing to listen on", 'add [[listen]] with address = "0.0.0.0:443"')
    unrouted = (listener.redirect_to_https or (listener.passthrough and not listener.secure) for listener in config.listen)
    if ("route" not in root or root.value("route") == []) and not (config.listen and all(unrouted)):
        pool = config.pools[0].name if config.pools else "NAME"
        hint = f'add [[route]] with pool = "{pool}"' + ("" if config.pools else " and [pool.NAME] with its backends")
        root.complain("", "no route leads to a pool", hint)
