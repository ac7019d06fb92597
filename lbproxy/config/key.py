"""The declaration of a key of the configuration: a field of a dataclass in model/, with `key` or one of its kin as its default.

    body_idle: float = key(DURATION, 30.0, "the next piece of a body, either way")

From that the reader (read.py), the writer (emit.py), the plan of a reload (plan.py), conf/example.toml (example.py), the reference
(docs/generate.py) and the JSON Schema (schema.py) know everything about it: nobody else names it but who uses it. A field without
one is no key. What holds between keys stays code: rules.py.

A class of such fields is a table, or a part of one. `table` puts one table into another under a name, `part` puts its keys beside
those of the class around it, `tables` is a list of tables, `named` a table of tables with names of the user's choice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from lbproxy.config.kinds import Kind, Place
from lbproxy.config.units import Parse

T = TypeVar("T")
When = Callable[[Any], bool]
"""Whether a key means anything, asked with the value of the table around it."""
_METADATA = "lbproxy"
NOTHING: Mapping[str, object] = {}


@dataclass(frozen=True, slots=True)
class Key:
    """The declaration of one key of the configuration."""

    kind: Kind[Any]
    about: str
    """One sentence, or a few: what it does, what its special values mean. Begins small and has no full stop at its end."""
    example: object = None
    """As TOML has it; None: one of its kind's."""
    needs: Mapping[str, object] = field(default_factory=lambda: NOTHING)
    """Other keys of the same table without which it is refused, each with a value."""
    never_with: tuple[str, ...] = ()
    """Other keys of the same table that exclude it."""
    when: When | None = None
    """None: always."""
    called: str = ""
    """Its name, where it is not the field's."""
    hint: str = ""
    """What to write where it is missing and must be there."""
    restart: str = ""
    """Why a reload leaves it as it runs; "": it does not."""
    secret: bool = False
    """Whether a plan hides what it says."""
    written: bool = True
    """False: another key says the same, and is the one that is written."""
    or_list: bool = False
    """A list under this name is another item's: `or_text` of tables."""


@dataclass(frozen=True, slots=True)
class Nested:
    """A class of keys inside another."""

    how: str
    """part | table | tables | named"""
    shape: Shape
    about: str = ""
    header: str = ""
    """How it is written, for who wrote something else."""
    called: str = ""
    when: When | None = None
    optional: bool = False
    """Whether it is None where nobody wrote it."""
    short: str = ""
    """Of `tables`: the key that an item stands for which is no table."""
    complete: bool = False
    """Of `tables`: items with complaints are left out, since half of one would give rise to wrong ones."""
    wanted: str = ""
    """Of `tables`: how the list is written."""
    empty: str = ""
    """Of `tables`: what to do instead of an empty list; "": it may be empty."""
    or_text: bool = False
    """Of `tables`: a text under this name is another item's: `or_list` of a key."""
    names: Parse[str] = str
    """Of `named`: what names there may be."""
    needs: Mapping[str, object] = field(default_factory=lambda: NOTHING)
    never_with: tuple[str, ...] = ()
    """As of a Key."""


class KeyField(NamedTuple):
    """One field that is a key, or a class of them."""

    field: str
    name: str
    """In the file; "" for a part."""
    what: Key | Nested
    usual: Callable[[], Any] | None
    """Makes the default; None: it must be there."""
    spelled: bool
    """Whether the default can be written down."""

    def example(self) -> object:
        """A value as TOML has it that is not the default."""
        assert isinstance(self.what, Key)
        if self.what.example is not None:
            return self.what.example
        usual = self.what.kind.write(self.usual()) if self.spelled and self.usual is not None else None
        return next(each for each in self.what.kind.examples if each != usual)


class Shape(NamedTuple):
    """What a class has, as it stands in one place."""

    of: type[Any]
    items: tuple[KeyField, ...]

    def own_keys(self) -> list[KeyField]:
        """The keys of the table, those of its parts among them."""
        found: list[KeyField] = []
        for item in self.items:
            if isinstance(item.what, Key):
                found.append(item)
            elif item.what.how == "part":
                found += item.what.shape.own_keys()
        return found

    def tables(self) -> list[tuple[KeyField, Nested]]:
        """The tables inside it, those of its parts among them."""
        found: list[tuple[KeyField, Nested]] = []
        for item in self.items:
            if isinstance(item.what, Nested):
                found += item.what.shape.tables() if item.what.how == "part" else [(item, item.what)]
        return found

    def table(self, name: str) -> Nested:
        """A table inside it by its name in the file."""
        return next(what for item, what in self.tables() if item.name == name)

    def names(self) -> list[str]:
        """Of everything that may stand in the table, in the file's words."""
        return [item.name for item in (*self.own_keys(), *(item for item, _ in self.tables()))]


class Changed(NamedTuple):
    """What is different of a key where its class stands inside another; empty: as it was declared."""

    called: str = ""
    about: str = ""
    kind: Kind[Any] | None = None
    example: object = None
    needs: Mapping[str, object] | None = None
    secret: bool = False


def _field(what: Key | Nested, **default: Any) -> Any:
    """Typed as what it holds, as dataclasses.field is."""
    return field(metadata={_METADATA: what}, **default)


def key(kind: Kind[T], default: T, about: str, **more: Any) -> T:
    """A key with its default; `more`: other attributes of Key."""
    found: T = _field(Key(kind, about, **more), default=default)
    return found


def required(kind: Kind[Any], about: str, hint: str, **more: Any) -> dict[str, Any]:
    """The metadata of a field without default: `field(metadata=required(...))`."""
    return {_METADATA: Key(kind, about, hint=hint, **more)}


def part(
    of: type[T],
    default: Callable[[], T] | None = None,
    *,
    changed: Mapping[str, Changed] | None = None,
    without: tuple[str, ...] = (),
    when: When | None = None,
) -> T:
    """Keys of another class, beside those of this one. `changed`, `without`: by the names of its fields."""
    shape = shape_of(of, changed or {}, without)
    if default is not None:
        shape = shape._replace(items=tuple(_as_in(item, default()) for item in shape.items))
    nested = Nested("part", shape, when=when)
    found: T = _field(nested, default_factory=default or of)
    return found


def table(
    of: type[T],
    about: str,
    header: str,
    *,
    called: str = "",
    changed: Mapping[str, Changed] | None = None,
    without: tuple[str, ...] = (),
    when: When | None = None,
    needs: Mapping[str, object] = NOTHING,
) -> T:
    """A table inside this one; where nobody wrote it, it has its defaults."""
    nested = Nested("table", shape_of(of, changed or {}, without), about, header, called, when, needs=needs)
    found: T = _field(nested, default_factory=of)
    return found


def table_or_none(of: type[T], about: str, header: str, **more: Any) -> T | None:
    """A table inside this one; where nobody wrote it, there is none. `more`: other attributes of Nested."""
    found: T | None = _field(Nested("table", shape_of(of), about, header, optional=True, **more), default=None)
    return found


def tables(of: type[T], about: str, header: str, **more: Any) -> tuple[T, ...]:
    """A list of tables; `more`: other attributes of Nested."""
    found: tuple[T, ...] = _field(Nested("tables", shape_of(of), about, header, **more), default=())
    return found


def in_any_case(nested: Any) -> dict[str, Any]:
    """The metadata of `tables` or `named` for a field without default: `field(metadata=in_any_case(tables(...)))`."""
    return dict(nested.metadata)


def named(of: type[T], about: str, header: str, **more: Any) -> tuple[T, ...]:
    """A table of tables, by names that the user chooses; `more`: other attributes of Nested."""
    found: tuple[T, ...] = _field(Nested("named", shape_of(of), about, header, **more), default=())
    return found


def shape_of(of: type[Any], changed: Mapping[str, Changed] = {}, without: tuple[str, ...] = ()) -> Shape:  # only read
    """Everything that is declared in a class, with what is different where it stands."""
    found = []
    for each in fields(of):
        what = each.metadata.get(_METADATA)
        if what is None or each.name in without:
            continue
        if each.name in changed:
            what = _altered(what, changed[each.name])
        found.append(_item(each, what))
    return Shape(of, tuple(found))


def _altered(what: Key, by: Changed) -> Key:
    said = {name: value for name, value in by._asdict().items() if value not in ("", None, False)}
    return replace(what, **said)


def _item(of: Field[Any], what: Key | Nested) -> KeyField:
    usual: Callable[[], Any] | None = None
    if of.default is not MISSING:
        usual = _giving(of.default)
    elif of.default_factory is not MISSING:
        usual = of.default_factory
    spelled = isinstance(what, Key) and usual is not None and reads_back(what.kind, usual())
    name = "" if isinstance(what, Nested) and what.how == "part" else what.called or of.name
    return KeyField(of.name, name, what, usual, spelled)


def _as_in(item: KeyField, usual: Any) -> KeyField:
    """With the default that stands in a value of its class."""
    value = getattr(usual, item.field)
    return item._replace(usual=_giving(value), spelled=isinstance(item.what, Key) and reads_back(item.what.kind, value))


def _giving(value: Any) -> Callable[[], Any]:
    return lambda: value


def reads_back(kind: Kind[Any], value: Any) -> bool:
    """Whether a value has a form that the reader takes for it: None has none, nor has a 0 that means "not said"."""
    if value is None:
        return False
    complaints: list[str] = []
    read = kind.read(kind.write(value), Place((), Path("/"), lambda path, message, hint: complaints.append(message)))
    return not complaints and bool(read == value)


class Stand(NamedTuple):
    """A key where it stands: weight of one of the backends of a pool."""

    above: tuple[KeyField, ...]
    """The tables around it, the outermost first."""
    item: KeyField
    key: Key

    @property
    def path(self) -> str:
        """In the words of the file: "pool.NAME.backends.weight"."""
        words: list[str] = []
        for item in self.above:
            words += [item.name, "NAME"] if isinstance(item.what, Nested) and item.what.how == "named" else [item.name]
        return ".".join([*words, self.item.name])


def every_key(shape: Shape, above: tuple[KeyField, ...] = ()) -> Iterator[Stand]:
    """All keys that may stand in a table and in those inside it."""
    for item in shape.items:
        if isinstance(item.what, Key):
            yield Stand(above, item, item.what)
        else:
            yield from every_key(item.what.shape, (*above, item) if item.name else above)
