"""Reading TOML tables key by key, collecting every complaint instead of stopping at the first.

A `Table` is asked for its keys one after another; what it was asked for is what it knows. `close` then complains of every key that
nobody asked for, and names the nearest one that somebody did. A refused value is complained of and replaced by the default, so the
reading goes on and the rest of the file gets its complaints too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from lbproxy.config.environment import Variables
from lbproxy.config.locate import Path
from lbproxy.config.parts import Merged
from lbproxy.config.units import Parse, ValueRefused, did_you_mean, show
from lbproxy.errors import Complaint, by_place

T = TypeVar("T")


NO_VARIABLES = Variables()
_BARE = re.compile(r"[A-Za-z0-9_-]+\Z")


class ListItem(NamedTuple):
    """One item of a list, with its place."""

    path: Path
    value: object


class Report:
    """The complaints about one text."""

    def __init__(self, source: str, lines: Merged, variables: Variables = NO_VARIABLES) -> None:
        """`variables`: whose values are told to nobody."""
        self.source = source
        self.lines = lines
        self.complaints: list[Complaint] = []
        self._variables = variables

    def complain(self, path: Path, message: str, hint: str = "") -> None:
        """Something is wrong with what stands at `path`."""
        self.complaints.append(Complaint(self.source, self.lines.of(path), dotted(self.lines.local(path)), message, hint))

    def parse(self, path: Path, value: object, parse: Parse[T]) -> T | None:
        """The parsed value, or None and a complaint."""
        try:
            return parse(value)
        except ValueRefused as refused:
            self.complain(path, str(refused), refused.hint)
            return None

    def in_file_order(self) -> list[Complaint]:
        """All complaints, sorted by line; those of one line in the order they were found."""
        hide = self._variables.hide
        return by_place(one._replace(message=hide(one.message), hint=hide(one.hint)) for one in self.complaints)


def dotted(path: Path) -> str:
    """("listen", 0, "tls") as "listen[0].tls"; keys that are no bare words stand in quotes."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + (part if _BARE.match(part) else json.dumps(part))
    return text


class Table:
    """One table of the text, being read."""

    def __init__(self, report: Report, path: Path, values: dict[str, object]) -> None:
        self.report = report
        self.path = path
        self._values = values
        self._asked: list[str] = []
        self._inside: dict[Path, Table] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def ask(self, key: str) -> object:
        """What stands there, unread; None when nothing does. The key is known from now on."""
        self._asked.append(key)
        return self._values.get(key)

    def inside(self, key: str) -> Table:
        """A table in this one that was asked for already."""
        return self._inside[(key,)]

    def value(self, key: str) -> object:
        """What stands there, unread; None when nothing does."""
        return self._values.get(key)

    def at(self, key: str) -> Path:
        """Where the key stands."""
        return (*self.path, key)

    def complain(self, key: str, message: str, hint: str = "") -> None:
        """Something is wrong with one key of this table ("" for the table itself)."""
        self.report.complain(self.at(key) if key else self.path, message, hint)

    def take(self, key: str, parse: Parse[T], default: T) -> T:
        """The key's value; `default` when it is absent or refused."""
        self._asked.append(key)
        if key not in self._values:
            return default
        parsed = self.report.parse(self.at(key), self._values[key], parse)
        return default if parsed is None else parsed

    def need(self, key: str, parse: Parse[T], hint: str) -> T | None:
        """The value of a key that must be there; None when it is absent or refused."""
        self._asked.append(key)
        if key not in self._values:
            self.complain("", f'"{key}" is missing', hint)
            return None
        return self.report.parse(self.at(key), self._values[key], parse)

    def items(self, key: str, wanted: str) -> list[ListItem]:
        """The items of a list; none when it is absent or no list (`wanted` says how it should look)."""
        self._asked.append(key)
        value = self._values.get(key, [])
        if not isinstance(value, list):
            self.complain(key, f"wanted {wanted}, got {show(value)}")
            return []
        return [ListItem((*self.path, key, index), item) for index, item in enumerate(value)]

    def each(self, key: str, parse: Parse[T], wanted: str) -> tuple[T, ...]:
        """The items of a list, each parsed; refused ones are left out."""
        parsed = [self.report.parse(item.path, item.value, parse) for item in self.items(key, wanted)]
        return tuple(value for value in parsed if value is not None)

    def table(self, key: str, header: str) -> Table:
        """A table inside this one, empty when it is absent; `header` is how it is written."""
        self._asked.append(key)
        return self.child(self.at(key), self._values.get(key, {}), header)

    def child(self, path: Path, value: object, header: str) -> Table:
        """The table that `value` should be; an empty one, and a complaint, when it is none."""
        if not isinstance(value, dict):
            self.report.complain(path, f"wanted {header}, got {show(value)}")
            value = {}
        inner = self._inside[path[len(self.path) :]] = Table(self.report, path, value)
        return inner

    def tables(self) -> dict[str, object]:
        """Everything in this table, for tables whose keys are names of the user's choice."""
        return self._values

    def close(self, elsewhere: Callable[[str], str] = lambda key: "") -> None:
        """Complain of every key that was not asked for; `elsewhere` may know where such a key belongs."""
        for key in self._values:
            if key in self._asked:
                continue
            known = ", ".join(self._asked)
            hint = elsewhere(key) or did_you_mean(key, self._asked) or f"known here: {known}"
            self.complain(key, "unknown key", hint)
