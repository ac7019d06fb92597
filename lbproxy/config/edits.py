"""Differences between two values of one table, key by key, in the words of the file: "health.interval 2s -> 5s"."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from lbproxy.config.emit import table_of
from lbproxy.config.key import Key, KeyField, Nested, Shape
from lbproxy.config.model import ListenConfig, PoolConfig

HIDDEN = "(hidden)"
"""In place of what may be a secret."""
TOLD_APART = {(ListenConfig, "certificates"), (PoolConfig, "backends")}
"""Lists of tables whose changes have words, or lines, of their own."""


class Edit(NamedTuple):
    """One key with its values in the words of the file; None: the key, or that item of its list, is not there."""

    key: str
    old: str | None
    new: str | None

    def __str__(self) -> str:
        if self.old is None:
            return f"{self.key} {self.new} added"
        if self.new is None:
            return f"{self.key} {self.old} removed"
        return f"{self.key} {self.old} -> {self.new}"


def edits(old: Any, new: Any, shape: Shape, above: str = "") -> Iterator[Edit]:
    """Every key of a table, and of those inside it, that says something else. `above`: the table's own place.

    Keys that mean nothing beside others are compared as well: when they begin to, only what is no default is worth a word.
    """
    for item, key, before, after in _keys(old, new, shape):
        words = told(above + item.name, _tell(item, key, before), _tell(item, key, after))
        yield from map(_hiding if key.secret else _plainly, words)
    for name, inner, before, after in _tables(old, new, shape):
        if inner.how == "table":
            if inner.optional:
                yield from told(above + name, _switch(before), _switch(after))
            yield from edits(before or inner.shape.of(), after or inner.shape.of(), inner.shape, f"{above}{name}.")
        else:
            items = ([_in_a_line(each, inner.shape) for each in side] for side in (before, after))
            yield from told(above + name, *items)


def _keys(old: Any, new: Any, shape: Shape) -> Iterator[tuple[KeyField, Key, Any, Any]]:
    """The keys of a table, those of its parts among them, each with both values."""
    for item in shape.items:
        before, after, what = getattr(old, item.field), getattr(new, item.field), item.what
        if isinstance(what, Nested):
            yield from _keys(before, after, what.shape) if what.how == "part" else ()
        elif what.written and not what.restart:
            yield item, what, before, after


def _tables(old: Any, new: Any, shape: Shape) -> Iterator[tuple[str, Nested, Any, Any]]:
    """The tables inside a table, those of its parts among them."""
    for item in shape.items:
        before, after, what = getattr(old, item.field), getattr(new, item.field), item.what
        if isinstance(what, Nested) and what.how == "part":
            yield from _tables(before, after, what.shape)
        elif isinstance(what, Nested) and (shape.of, item.field) not in TOLD_APART:
            yield item.name, what, before, after


def _plainly(edit: Edit) -> Edit:
    return edit


def _hiding(edit: Edit) -> Edit:
    """What may be a password is told by its name alone."""
    return Edit(edit.key, edit.old and HIDDEN, edit.new and HIDDEN)


def _switch(table: object) -> str:
    return "off" if table is None else "on"


def _tell(item: KeyField, key: Key, value: Any) -> object:
    """In words; None when it is not said."""
    if value is None or isinstance(value, tuple):
        return None if value is None else key.kind.tell(value)
    unsaid = not item.spelled and item.usual is not None and value == item.usual()
    return None if unsaid else key.kind.tell(value)


def told(name: str, old: object, new: object) -> Iterator[Edit]:
    """A word, the items of a list, or the words of a table that differ."""
    if isinstance(old, list) and isinstance(new, list):
        yield from (Edit(name, item, None) for item in dict.fromkeys(old) if item not in new)
        yield from (Edit(name, None, item) for item in dict.fromkeys(new) if item not in old)
    elif isinstance(old, dict) and isinstance(new, dict):
        for word in old | new:
            yield from told(f"{name}.{word}", old.get(word), new.get(word))
    elif _word(old) != _word(new):
        yield Edit(name, _word(old), _word(new))


def _in_a_line(value: Any, shape: Shape) -> str:
    """A table of a list: "bots (header User-Agent, value *curl*)"."""
    table = table_of(value, shape)
    said = {key: value for key, value in table.items() if value and key != "name"}
    words = [f"{key} {' '.join(value) if isinstance(value, list) else _word(value)}" for key, value in said.items()]
    return f"{table.get('name', '')} ({', '.join(words)})".lstrip()


def _word(value: object) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value)
