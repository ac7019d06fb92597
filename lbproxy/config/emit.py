"""A `Config` back to TOML: what is in effect, every key written out, defaults included.

Keys that have no value (a user not named, no control socket) have no spelling in TOML and are left out, as are keys that mean
nothing beside others (`path` for a health check that is no HTTP). Reading the text gives an equal `Config`, lines and source aside.
"""

from __future__ import annotations

from typing import Any

import toml

from lbproxy.config.environment import Reference, Variables, restore
from lbproxy.config.key import Key, KeyField, Nested, Shape, shape_of
from lbproxy.config.model import Config

TomlTable = dict[str, object]
_SHAPE = shape_of(Config)


def emit(config: Config) -> str:
    """TOML text of the effective configuration. File names are absolute in it, when load made them so; where environment variables
    came in, their names stand."""
    references = [Reference(*one) for one in config.written]
    return toml.dumps(restore(table_of(config, _SHAPE), references, Variables(config.variables)))


def table_of(value: Any, shape: Shape) -> TomlTable:
    """What a table says."""
    table: TomlTable = {}
    for item in shape.items:
        here = getattr(value, item.field)
        if here is None or (item.what.when is not None and not item.what.when(value)):
            continue
        if isinstance(item.what, Key):
            if item.what.written and (item.spelled or item.usual is None or here != item.usual()):
                table[item.name] = item.what.kind.write(here)
        else:
            table |= _nested(item, item.what, here)
    return {key: said for key, said in table.items() if said != {}}


def _nested(item: KeyField, what: Nested, value: Any) -> TomlTable:
    match what.how:
        case "part":
            return table_of(value, what.shape)
        case "table":
            return {item.name: table_of(value, what.shape)}
        case "tables":
            return {item.name: written} if (written := [table_of(each, what.shape) for each in value]) else {}
        case _:
            return {item.name: {each.name: table_of(each, what.shape) for each in value}}
