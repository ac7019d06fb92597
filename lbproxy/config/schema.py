"""A JSON Schema of the configuration (draft 2020-12), for editors and pipelines: names, kinds, limits and sentences of all keys.

It knows what is declared; what holds between keys only `lbproxy check` knows. A text that an environment variable is a part of
("${NAME}") passes wherever a text does, and in place of numbers, true and false.
"""

from __future__ import annotations

from lbproxy.config.key import Key, KeyField, Nested, Shape, shape_of
from lbproxy.config.kinds import Schema
from lbproxy.config.model import Config
from lbproxy.config.parts import INCLUDE, INCLUDE_ABOUT, INCLUDE_EXAMPLE

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_VARIABLE = {
    "type": "string",
    "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*\}",
    "description": "a text that an environment variable is a part of",
}


def schema() -> Schema:
    """All of it."""
    root = _table(shape_of(Config))
    files = {"type": "array", "items": {"type": "string", "minLength": 1}}
    include = {**files, "description": INCLUDE_ABOUT, "examples": [list(INCLUDE_EXAMPLE)]}
    properties = root["properties"]
    assert isinstance(properties, dict)
    return {
        "$schema": DIALECT,
        "title": "The configuration of lbproxy",
        "$defs": {"variable": _VARIABLE},
        **root,
        "properties": {INCLUDE: include, **properties},
    }


def _table(shape: Shape) -> Schema:
    """What may stand in a table, and what must."""
    properties = {item.name: _key(item, item.what) for item in shape.own_keys() if isinstance(item.what, Key)}
    for item, what in shape.tables():
        as_tables = _nested(item, what)
        properties[item.name] = {"anyOf": [properties[item.name], as_tables]} if item.name in properties else as_tables
    table: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    whole = shape.of is Config  # any part of it may stand in another file
    required = [
        item.name for item in (*shape.own_keys(), *(item for item, _ in shape.tables())) if item.usual is None and not whole
    ]
    return table | ({"required": required} if required else {})


def _key(item: KeyField, key: Key) -> Schema:
    found: Schema = {**key.kind.schema, "description": key.about}
    if item.spelled and item.usual is not None:
        found["default"] = key.kind.write(item.usual())
    return found | {"examples": [item.example()]}


def _nested(item: KeyField, what: Nested) -> Schema:
    inner = _table(what.shape)
    if what.how == "named":
        return {"type": "object", "additionalProperties": inner, "description": what.about}
    if what.how == "table":
        return inner | {"description": what.about}
    if what.short:
        short = next(each for each in what.shape.own_keys() if each.name == what.short).what
        assert isinstance(short, Key)
        inner = {"anyOf": [short.kind.schema, inner]}
    least: Schema = {"minItems": 1} if what.empty else {}
    return {"type": "array", "items": inner, "description": what.about, **least}
