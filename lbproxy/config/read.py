"""Tables of the text to values of the model, by what is declared there (key.py).

Every key of a table is asked for in the order of its declarations, and then the table's rules are asked (rules/): what holds
between its keys is code. What nobody declared is complained of. A refused value is complained of and replaced by the default, so
the reading goes on and the rest of the file gets its complaints too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from lbproxy.config.key import Key, KeyField, Nested, Shape
from lbproxy.config.kinds import Place
from lbproxy.config.tables import ListItem as ListItem
from lbproxy.config.tables import Table

Rule = Callable[[Table, Any, "Context"], Any]
"""Complains of what does not go together, and gives back the value as it is meant; None: there is none that could be used. A key
that must be there and is not is None while it looks."""

Passing = Callable[[str], object]
"""Told of a path that is about to be read, and of "" when it has answered."""


def nobody(path: str) -> None:
    """Who is told of paths where nobody wants to know."""


class Context(NamedTuple):
    """What the reading of any table may have to know."""

    base: Path
    """Relative file names are relative to this."""
    rules: Mapping[type[Any], Rule]
    elsewhere: Mapping[type[Any], Callable[[str], str]]
    """Of a class: the hint for a key that is unknown there and known somewhere else, or ""."""
    pools: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    """The names of all of them, well-formed or not."""
    passing: Passing = nobody


def read(table: Table, shape: Shape, context: Context, usual: Any = None, **given: Any) -> Any:
    """A value of the shape's class; None, with complaints, when there is none that could be used. `usual`: has the defaults, where
    they are not those of the class. `given`: fields that are no keys."""
    value = _keys(table, shape, context, usual, **given)
    table.close(context.elsewhere.get(shape.of, _nowhere))
    missing = any(item.usual is None and getattr(value, item.field) is None for item in shape.items)
    return None if missing else value


def _nowhere(key: str) -> str:
    return ""


def _keys(table: Table, shape: Shape, context: Context, usual: Any = None, **given: Any) -> Any:
    taken = {
        item.field: _item(table, item, getattr(usual, item.field) if usual is not None else item.usual and item.usual(), context)
        for item in shape.items
    }
    if "line" in shape.of.__dataclass_fields__:
        taken["line"] = table.report.lines.of(table.path)
    value = shape.of(**taken | given)
    rule = context.rules.get(shape.of)
    return value if rule is None else rule(table, value, context)


def _item(table: Table, item: KeyField, usual: Any, context: Context) -> Any:
    what = item.what
    if isinstance(what, Key):
        return _key(table, item, what, usual, context)
    return _NESTED[what.how](table, item, what, usual, context)


def _key(table: Table, item: KeyField, what: Key, usual: Any, context: Context) -> Any:
    value = table.ask(item.name)
    if value is None:
        if item.usual is None:
            table.complain("", f'"{item.name}" is missing', what.hint)
        return usual
    if what.or_list and not isinstance(value, str):
        return usual
    read = what.kind.read(value, Place(table.at(item.name), context.base, table.report.complain))
    return usual if read is None else read


def _part(table: Table, item: KeyField, what: Nested, usual: Any, context: Context) -> Any:
    return _keys(table, what.shape, context, usual)


def _table(table: Table, item: KeyField, what: Nested, usual: Any, context: Context) -> Any:
    if what.optional and item.name not in table:  # which may have keys that must be there
        return None
    return read(table.table(item.name, what.header), what.shape, context, usual)


def _tables(table: Table, item: KeyField, what: Nested, usual: Any, context: Context) -> tuple[Any, ...]:
    found: list[Any] = []
    if what.or_text and isinstance(table.value(item.name), str):
        table.ask(item.name)
        return ()
    if what.empty and table.value(item.name) == []:
        table.complain(item.name, f"wanted {what.wanted}, got an empty list", what.empty)
    for each in table.items(item.name, what.wanted):
        so_far = len(table.report.complaints)
        if what.short and not isinstance(each.value, dict):
            value = _short(table, each, what, context)
        else:
            inner = table.child(each.path, each.value, what.header)
            value = read(inner, what.shape, context) if isinstance(each.value, dict) else None
        if value is not None and not (what.complete and len(table.report.complaints) > so_far):
            found.append(value)
    return tuple(found)


def _short(table: Table, item: ListItem, what: Nested, context: Context) -> Any:
    """What stands in place of a table for one key of it."""
    key = next(item for item in what.shape.own_keys() if item.name == what.short)
    assert isinstance(key.what, Key)
    value = key.what.kind.read(item.value, Place(item.path, context.base, table.report.complain))
    return None if value is None else what.shape.of(**{key.field: value, "line": table.report.lines.of(item.path)})


def _named(table: Table, item: KeyField, what: Nested, usual: Any, context: Context) -> tuple[Any, ...]:
    found = []
    inner = table.table(item.name, what.header)
    for name, value in inner.tables().items():
        table.report.parse(inner.at(name), name, what.names)
        one = inner.child(inner.at(name), value, f"a table headed [{item.name}.{name}]")
        if isinstance(value, dict):
            found.append(read(one, what.shape, context, name=name))
    return tuple(found)


_NESTED: Mapping[str, Callable[[Table, KeyField, Nested, Any, Context], Any]] = {
    "part": _part, "table": _table, "tables": _tables, "named": _named,
}  # fmt: skip
