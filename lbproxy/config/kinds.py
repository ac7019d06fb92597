"""Kinds of values that a key can have: how they are read, written, told in a plan, and described to editors.

A `Kind` turns what TOML gave into the value that the program goes by, complaining at the value's own place; `write` gives back what
reads equal; `tell` is the same in words for the plan of a reload; `schema` is what a JSON Schema says of it. Those that several
tables use stand here, the others beside their table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar, cast

from lbproxy.config import values
from lbproxy.config.units import (
    Parse,
    ValueRefused,
    format_duration,
    format_network,
    format_size,
    parse_network,
    parse_rate,
    show,
)

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Schema = dict[str, object]

VARIABLE: Schema = {"$ref": "#/$defs/variable"}
"""A text that an environment variable is a part of; it may stand wherever a text may, and for numbers, true and false."""


class Place(NamedTuple):
    """Where a value stands, and who is told what is wrong with it."""

    path: tuple[str | int, ...]
    base: Path
    """Relative file names are relative to this."""
    tell: Callable[[tuple[str | int, ...], str, str], None]

    def inside(self, part: str | int) -> Place:
        """A part of the value."""
        return self._replace(path=(*self.path, part))

    def complain(self, message: str, hint: str = "") -> None:
        """Something is wrong with what stands here."""
        self.tell(self.path, message, hint)

    def parse(self, value: object, parse: Parse[T]) -> T | None:
        """The parsed value, or None and a complaint."""
        try:
            return parse(value)
        except ValueRefused as refused:
            self.complain(str(refused), refused.hint)
            return None


class Kind(Generic[T_co]):
    """One kind: a word or number that `parse` understands."""

    def __init__(
        self,
        name: str,
        parse: Parse[T_co],
        schema: Schema,
        *,
        examples: tuple[object, ...],
        write: Callable[[Any], object] = lambda value: value,
    ) -> None:
        """`name`: what the reference calls it. `examples`: as TOML has them; two, so that one of them is no default."""
        self.name = name
        self.schema = schema
        self.examples = examples
        self._parse = parse
        self._write = write

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name})"

    def read(self, value: object, place: Place) -> T_co | None:
        """The value, or None and a complaint."""
        return place.parse(value, self._parse)

    def write(self, value: Any) -> object:
        """What TOML shows for it."""
        return self._write(value)

    def tell(self, value: Any) -> object:
        """The same for the plan of a reload: a word, a list whose order means nothing, or a table of words."""
        return self.write(value)


class BesideFile(Kind[T_co]):
    """What depends on where the configuration stands: names of files."""

    def __init__(self, name: str, below: Callable[[Path], Parse[T_co]], schema: Schema, *, examples: tuple[object, ...]) -> None:
        super().__init__(name, below(Path()), schema, examples=examples, write=str)
        self._below = below

    def read(self, value: object, place: Place) -> T_co | None:
        """The value, or None and a complaint."""
        return place.parse(value, self._below(place.base))


class ListOf(Kind[tuple[T, ...]]):
    """A list of one kind."""

    def __init__(self, item: Kind[T], wanted: str, *, empty: tuple[str, str] | None = None, ordered: bool = False) -> None:
        """`wanted`: how it should look. `empty`: what there is none of in an empty list, and what to do instead; None: it may be.
        `ordered`: the order of the items means something."""
        name = f"list of {item.name}s" if item.name.isalpha() else f"list, each {item.name}"
        super().__init__(name, lambda value: (), {"type": "array", "items": item.schema}, examples=())
        if empty:
            self.schema["minItems"] = 1
        self.examples = ([item.examples[0]], [item.examples[1]])
        self._item = item
        self._wanted = wanted
        self._empty = empty
        self._ordered = ordered

    def read(self, value: object, place: Place) -> tuple[T, ...] | None:
        """Refused items are left out."""
        if not isinstance(value, list):
            place.complain(f"wanted {self._wanted}, got {show(value)}")
            return None
        if self._empty and not value:
            place.complain(f"wanted at least one {self._empty[0]}, got an empty list", self._empty[1])
        found = [self._item.read(each, place.inside(index)) for index, each in enumerate(value)]
        return tuple(each for each in found if each is not None)

    def write(self, value: Any) -> object:
        """A list."""
        return [self._item.write(each) for each in value]

    def tell(self, value: Any) -> object:
        """Where the order means something, one word."""
        written = [str(self._item.tell(each)) for each in value]
        return " ".join(written) if self._ordered else written


# ---------------------------------------------------------------- words


def text_schema(pattern: str, **more: object) -> Schema:
    """A text of a certain form, or one that a variable is a part of."""
    return {"anyOf": [{"type": "string", "pattern": pattern, **more}, VARIABLE]}


def _numeric(schema: Schema) -> Schema:
    return {"anyOf": [schema, VARIABLE]}


BOOLEAN: Kind[bool] = Kind("true or false", values.boolean, _numeric({"type": "boolean"}), examples=(True, False))
TEXT: Kind[str] = Kind("text", values.text, {"type": "string", "minLength": 1}, examples=("a", "b"))
FILE: Kind[Path] = BesideFile("file", values.file_below, {"type": "string", "minLength": 1}, examples=("a.pem", "b.pem"))
NETWORK = Kind(
    "network",
    parse_network,
    text_schema(r"^[0-9A-Fa-f.:]+(/[0-9]{1,3})?$"),
    examples=("10.0.0.0/8", "192.0.2.0/24"),
    write=format_network,
)
RATE = Kind("rate", parse_rate, text_schema("^[0-9]{1,7}/[smh]$"), examples=("20/s", "5/m"), write=str)


def text_within(most: int) -> Kind[str]:
    """Such a text of at most so many characters."""
    return Kind("text", values.text_within(most), {"type": "string", "minLength": 1, "maxLength": most}, examples=("a", "b"))


def choice(*known: str) -> Kind[str]:
    """One of some words."""
    schema: Schema = {"anyOf": [{"enum": list(known)}, VARIABLE]}
    return Kind(" or ".join(f'"{word}"' for word in known), values.choice(*known), schema, examples=(known[0], known[1]))


def whole(least: int, most: int) -> Kind[int]:
    """A whole number within bounds."""
    schema = _numeric({"type": "integer", "minimum": least, "maximum": most})
    examples = (least + 1, least + 2) if least + 2 <= most else (most, least)
    return Kind(f"number from {least} to {most}", values.whole(least, most), schema, examples=examples)


# ---------------------------------------------------------------- units

_PART = r"[0-9]{1,9}(\.[0-9]{1,9})?"
DURATION_PATTERN = rf"^(0|(?=.)({_PART}d)?({_PART}h)?({_PART}m)?({_PART}s)?({_PART}ms)?)$"
SIZE_PATTERN = "^(0|[0-9]{1,19} ?([KMGTkmgt][Ii]?)?[Bb])$"


def _or_zero(pattern: str) -> Schema:
    """Zero needs no unit, nor quotes."""
    return {"anyOf": [{"type": "string", "pattern": pattern}, {"const": 0}, VARIABLE]}


def duration(most: float = 30 * 86400.0, *, zero: bool = False) -> Kind[float]:
    """Seconds, more than none unless `zero`, within a month unless told otherwise."""
    schema = _or_zero(DURATION_PATTERN) if zero else text_schema(DURATION_PATTERN)
    least = "0" if zero else "1ms"
    name = f"duration from {least} to {format_duration(most)}"
    examples = ("10s", "20s") if most >= 20.0 else (format_duration(most), format_duration(most / 2))
    return Kind(name, values.duration(most, zero=zero), schema, examples=examples, write=format_duration)


def size(least: int, most: int) -> Kind[int]:
    """Bytes within bounds."""
    bounds = f" from {format_size(least)}" + (f" to {format_size(most)}" if most < values.MOST_BYTES else "")
    examples = (format_size(most), format_size(least))
    if least + 2048 <= most:
        examples = (format_size(least + (1024 if not least % 1024 else 1)), format_size(least * 2 or 2048))
    return Kind(f"size{bounds}", values.size(least, most), _or_zero(SIZE_PATTERN), examples=examples, write=format_size)


def ceiling(least: int) -> Kind[int]:
    """Bytes that something may grow to, `least` or more; 0 is no ceiling."""
    name = f'size from {format_size(least)}, or "0"'
    examples = (format_size(2 * least), format_size(3 * least))
    return Kind(name, values.ceiling(least), _or_zero(SIZE_PATTERN), examples=examples, write=format_size)


# ---------------------------------------------------------------- tables of names that the user chooses


class Pairs(Kind[tuple[tuple[str, str], ...]]):
    """A table of names of headers and what they say, one (name, value) for each line that is sent."""

    def __init__(
        self,
        name: Parse[str],
        value: Parse[tuple[str, ...]],
        *,
        several: bool = False,
        whole: Callable[[str, tuple[str, ...]], None] = lambda name, values: None,
    ) -> None:
        """`several`: a name may have a list of values. `whole`: raises Refused where a name and its values do not go together."""
        one: Schema = {"type": "string", "minLength": 1}
        more: Schema = {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]} if several else one
        schema: Schema = {"type": "object", "additionalProperties": more}
        super().__init__("table of headers", lambda value: (), schema, examples=({"X-Team": "blue"}, {"X-Team": "red"}))
        self._name = name
        self._value = value
        self._whole = whole

    def read(self, value: object, place: Place) -> tuple[tuple[str, str], ...] | None:
        """What has complaints is left out."""
        table = as_table(value, 'a table such as { "X-Team" = "blue" }', place)
        found: list[tuple[str, str]] = []
        for written, raw in table.items():
            here = place.inside(written)
            name, said = here.parse(written, self._name), here.parse(raw, self._value)
            if name is None or said is None:
                continue
            twice(name, (earlier for earlier, _ in found), here)
            here.parse(name, lambda name, said=said: self._whole(cast(str, name), said))  # type: ignore[misc]
            found += [(name, each) for each in said]
        return tuple(found)

    def write(self, value: Any) -> object:
        """A name's values as a list when there are several."""
        table = _by_name(value)
        return {name: found if len(found) > 1 else found[0] for name, found in table.items()}

    def tell(self, value: Any) -> object:
        """Several values in one text, since their order means something."""
        return {name: " | ".join(found) for name, found in _by_name(value).items()}


def _by_name(pairs: tuple[tuple[str, str], ...]) -> Mapping[str, list[str]]:
    table: dict[str, list[str]] = {}
    for name, value in pairs:
        table.setdefault(name, []).append(value)
    return table


def as_table(value: object, wanted: str, place: Place) -> dict[str, object]:
    """The table that `value` should be; an empty one, and a complaint, when it is none."""
    if isinstance(value, dict):
        return value
    place.complain(f"wanted {wanted}, got {show(value)}")
    return {}


def twice(name: str, earlier: Any, place: Place) -> None:
    """Complain when a header's name stands there already."""
    if any(each.lower() == name.lower() for each in earlier):
        place.complain("stands here twice, in two spellings", "names of headers know no upper and lower case")
