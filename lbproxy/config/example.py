"""The maker of conf/example.toml: every key there is, with its default or an example, and the sentence of its declaration.

`BLOCKS` are the tables in the order of the file. Each shows what it says itself and every key of its table that no block before it
showed and that fits in: what the key needs is there, what it excludes is not. A key that fits nowhere makes a test fail; it wants a
block of its own. `scripts/generate` writes the file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from textwrap import wrap
from typing import NamedTuple

from lbproxy.config.key import Key, KeyField, Nested, every_key, shape_of
from lbproxy.config.model import Config
from lbproxy.config.parts import INCLUDE, INCLUDE_ABOUT, INCLUDE_EXAMPLE

_COLUMN = 38
"""Where comments begin ..."""
_WIDTH = 150
"""... and end."""

HEAD = """\
# Every key there is. The value shown is the default unless the comment says "example"; keys without a default show an example.
# Durations: "250ms", "30s", "1m30s", "1h". Sizes: "64KiB" (1024), "64KB" (1000). Files are looked for beside this one.
# lbproxy check -c FILE tells what is wrong; unknown keys are refused. `lbproxy schema` is what editors want to know.
# "${NAME}" in any text is what the environment variable NAME holds, and refused when it is not set; "$${" is a plain "${".

"""


@dataclass(frozen=True, slots=True)
class Block:
    """One table of the file."""

    path: str
    """With names: "pool.api.health"."""
    says: Mapping[str, object] = field(default_factory=dict)
    """Values that are there in any case, as TOML has them."""
    note: str = ""
    """Instead of what the declaration says of the table."""
    aside: tuple[str, ...] = ()
    """Keys that are shown in comments: files that would have to be there."""
    above: str = ""
    """A line above it."""


_LISTS = ("allow_file", "deny_file")
_BOUND = ("ca", "eab_key_id", "eab_key")

BLOCKS = (
    Block("proxy"),
    Block("log"),
    Block("listen", {"address": "0.0.0.0:443"}, aside=(*_LISTS, "proxy_protocol"), above="the client's side"),
    Block("listen.certificates", aside=("passphrase",)),
    Block("listen.tls", {"client_auth": "required"}),
    Block("listen.tls.name", {"names": ["admin.example.com"], "client_auth": "required"}),
    Block("listen", {"address": "0.0.0.0:8443", "certificates": "certs"}, aside=("certificates", "key_mode", "passphrase")),
    Block("listen", {"address": "0.0.0.0:9443", "acme": True}),
    Block("listen", {"address": "0.0.0.0:80", "redirect_to_https": True}),
    Block("listen", {"address": "unix:/run/lbproxy/http.sock"}),
    Block("route", {"host": "*.example.com", "path": "/api/", "pool": "api"}, aside=_LISTS),
    Block("route.client_certificate"),
    Block("route.refuse"),
    Block("route.timeouts"),
    Block("route.request_headers", {"remove": ["X-Debug", "X-Internal-*"]}),
    Block("route.response_headers"),
    Block("route.match", aside=("regex",)),
    Block("route.authorize", {"pool": "api", "cache": "10s", "cache_by": ["Cookie", "Authorization"]}),
    Block("route.jwt", {"jwks_file": "jwks.json", "algorithms": ["ES256"]}),
    Block("route.mirror", {"pool": "api"}),
    Block("route.waf"),
    Block("route.basic_auth", {"file": "users"}),
    Block("route.compress"),
    Block("route.icap", {"pool": "antivirus", "respmod": "/avscan"}),
    Block("route.cache"),
    Block("route.cache.bypass", aside=("regex",)),
    Block("route", {"path": "/old", "pool": "app", "replace_prefix": {"from": "/old", "to": "/new"}}),
    Block("route", {"path": "/shop", "split": {"app": 95, "api": 5}}),
    Block("route.sticky", {"cookie": "shop"}),
    Block("route", {"path": "/tenant", "split": {"app": 1, "api": 1}}),
    Block("route.sticky", {"header": "X-Tenant"}),
    Block("route", {"path": "/moved", "redirect": "https://new.example{path}"}),
    Block("route", {"host": "closed.example"}),
    Block("route.respond", {"status": 503, "body": "back soon"}),
    Block("route", {"path": "/wp-admin", "close": True}),
    Block("route", {"path": "/v2", "pool": "api"}),
    Block("route.jwt", {"jwks_url": "https://idp.example.com/jwks", "algorithms": ["RS256"]}),
    Block("route", {"pool": "app"}),
    Block("route.match", {"exact": "/login"}),
    Block("route.cache"),
    Block("route.cache.bypass", {"exact": "/login"}),
    Block("route", {"pool": "app"}),
    Block("tap.ids", {"folder": "/var/lib/lbproxy/tap"}),
    Block("client_limit.site", {"rate": "100/s", "burst": 200, "concurrency": 50}),
    Block(
        "pool.api",
        {"buffer_requests": "64KiB", "buffer_responses": "64KiB", "backends": ["127.0.0.1:9000"]},
        above="the backends' side",
    ),
    Block("pool.api.request_headers"),
    Block("pool.api.response_headers"),
    Block("pool.api.tls"),
    Block("pool.api.health", {"type": "http"}, aside=("service",)),
    Block("pool.api.outlier"),
    Block("pool.api.connections"),
    Block("pool.api.timeouts"),
    Block("pool.api.sticky"),
    Block("pool.app"),
    Block("pool.app.backends", {"address": "127.0.0.1:9001"}, "the long form of a backend"),
    Block("pool.app.backends", {"address": "127.0.0.1:9002", "backup": True}),
    Block("pool.users", {"balance": "source_hash", "backends": ["127.0.0.1:9003"]}),
    Block("pool.orders", {"protocol": "h2", "backends": ["127.0.0.1:9004"]}),
    Block("pool.orders.health", {"type": "grpc"}),
    Block("pool.antivirus", {"backends": ["127.0.0.1:1344"]}),
    Block("timeouts", above="how long, how much"),
    Block("limits"),
    Block("metrics"),
    Block("cache", {"files": "/var/cache/lbproxy"}, aside=("files", "disk"), above="answers that are given out again"),
    Block("acme", {"challenge": "dns-01"}, aside=_BOUND, above="certificates that look after themselves"),
    Block("acme.fallback", {"directory": "https://acme.example.com/directory"}, aside=_BOUND),
    Block("audit", above="what lbproxy audit lets pass"),
    Block("audit.accept", {"id": "body-unlimited", "reason": "backends have limits of their own"}),
)


class _Shown(NamedTuple):
    """A key as a block shows it."""

    item: KeyField
    value: object
    mark: str
    """required | example | "": the default"""


def example() -> str:
    """The whole file."""
    told: set[str] = set()
    lines = [HEAD, *_commented(f"# {INCLUDE} = {toml_value(list(INCLUDE_EXAMPLE))}", INCLUDE_ABOUT)]
    for block, inner, header, shown in _blocks():
        lines += ["", f"# {'-' * 64} {block.above}"] if block.above else []
        lines += ["", *_commented(header, _once(block.note or inner.about, told))]
        for each in shown:
            assert isinstance(each.item.what, Key)
            comment = "; ".join(part for part in (each.mark, _once(each.item.what.about, told)) if part)
            sign = "# " if each.item.name in block.aside else ""
            lines += _commented(f"{sign}{each.item.name} = {toml_value(each.value)}", comment)
        for item, what in inner.shape.tables():
            if item.name in block.says and not what.or_text:  # in short
                comment = "; ".join(part for part in ("required", _once(what.about, told)) if part)
                lines += _commented(f"{item.name} = {toml_value(block.says[item.name])}", comment)
    return "\n".join(lines) + "\n"


def not_shown() -> list[str]:
    """Keys, as the file calls them, that fit into no block."""
    shown = {f"{general(block.path)}.{each.item.name}" for block, _, _, keys in _blocks() for each in keys}
    return [stand.path for stand in every_key(shape_of(Config)) if stand.path not in shown]


def _once(text: str, told: set[str]) -> str:
    """A sentence the first time, then nothing."""
    if text in told:
        return ""
    told.add(text)
    return text


def _commented(line: str, comment: str) -> list[str]:
    """A line with what there is to say of it, over as many as that takes."""
    if not comment:
        return [line]
    start = max(_COLUMN, len(line) + 1)
    first, *others = wrap(comment, _WIDTH - start, break_on_hyphens=False)
    more = wrap(" ".join(others), _WIDTH - _COLUMN, break_on_hyphens=False)
    return [f"{line:<{start}}# {first}", *(f"{'':<{_COLUMN}}# {each}" for each in more)]


# ---------------------------------------------------------------- what stands where


def _blocks() -> Iterator[tuple[Block, Nested, str, list[_Shown]]]:
    """Every block with its table, its header, and the keys that it shows."""
    seen: set[str] = set()
    for block in BLOCKS:
        inner, header = _table(block.path)
        shown = _fitting([one for item in inner.shape.own_keys() if (one := _candidate(block, item, seen)) is not None])
        seen |= {f"{general(block.path)}.{each.item.name}" for each in shown}
        yield block, inner, header, shown


def _table(path: str) -> tuple[Nested, str]:
    """What is declared of a table, and its header."""
    shape, words, inner = shape_of(Config), path.split("."), None
    while words:
        inner = shape.table(words.pop(0))
        if inner.how == "named":
            words.pop(0)
        shape = inner.shape
    assert inner is not None
    return inner, f"[[{path}]]" if inner.how == "tables" else f"[{path}]"


def general(path: str) -> str:
    """With NAME in place of the user's names: "pool.NAME.health"."""
    words = path.split(".")
    if shape_of(Config).table(words[0]).how == "named":
        words[1] = "NAME"
    return ".".join(words)


def _candidate(block: Block, item: KeyField, seen: set[str]) -> _Shown | None:
    """The key with its value; None when the block does not say it and one before did."""
    what = item.what
    assert isinstance(what, Key)
    usual = what.kind.write(item.usual()) if item.spelled and item.usual is not None else None
    said = block.says.get(item.name)
    if item.usual is None:
        return _Shown(item, said or item.example(), "required")
    if said is not None:
        return _Shown(item, said, "" if said == usual else "example")
    if f"{general(block.path)}.{item.name}" in seen or what.or_list:
        return None
    return _Shown(item, item.example(), "example") if usual in (None, [], {}) else _Shown(item, usual, "")


def _fitting(candidates: list[_Shown]) -> list[_Shown]:
    """Those whose needs are met, and that exclude none of those before them."""
    there = {each.item.name: each for each in candidates}
    kept: list[_Shown] = []
    for each in candidates:
        what = each.item.what
        assert isinstance(what, Key)
        needed = all(need in there and _meets(there[need], value) for need, value in what.needs.items())
        if needed and not any(other.item.name in what.never_with for other in kept):
            kept.append(each)
    return kept


def _meets(shown: _Shown, wanted: object) -> bool:
    """Whether it is shown with the value that another key needs, or with one that no default is."""
    return shown.value == wanted or shown.mark == "example"


_BARE = re.compile(r"[A-Za-z0-9_-]+\Z")


def toml_value(value: object) -> str:
    """On one line."""
    if isinstance(value, dict):
        inside = ", ".join(f"{key if _BARE.match(key) else json.dumps(key)} = {toml_value(each)}" for key, each in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(toml_value, value))}]"
    return json.dumps(value, ensure_ascii=False)  # texts, numbers, true and false are the same there
