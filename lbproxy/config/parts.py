"""Several files as one: `include = ["sites/*.toml"]`, and which line of which file says what.

Patterns are relative to the file that has them, and matched in the order of their names. What the included files say comes before
what the main file says: `include` has to stand at its top, and its routes, the last of them the one for everything else, come last.
Listeners and routes are lists that grow; pools and client limits are tables of names, each of which one file alone may have; and so
it is with the tables that occur once. File names in them are relative to the main file's folder, as everywhere.
"""

from __future__ import annotations

import glob
import os.path
from collections.abc import Callable, Iterable
from pathlib import Path as File
from typing import NamedTuple

from lbproxy.config.locate import Lines, Path
from lbproxy.config.units import show
from lbproxy.errors import Complaint, Line

INCLUDE = "include"
"""The one key that is none of the model's: when the files are one, it is gone."""
INCLUDE_EXAMPLE = ("sites/*.toml",)
INCLUDE_ABOUT = (
    "more files, relative to this one, in the order of their names. Their listeners, routes and pools come before those of this "
    "file; a pool, or a table that occurs once, stands in one file. They include no others"
)
LISTS = ("listen", "route")
NAMED = ("pool", "client_limit", "tap")


class ConfigPart(NamedTuple):
    """One file that the configuration is made of."""

    source: str
    lines: Lines
    values: dict[str, object]


def matching(
    patterns: Iterable[str], base: File, main: File | None, complain: Callable[[int, str, str], None],
    passing: Callable[[str], object] = lambda path: None,
) -> list[File]:  # fmt: skip
    """The files that the patterns mean, each once; `main` is none of them. `complain` is told of a pattern, by its number, that
    means none, `passing` of each before it is looked for."""
    found: dict[File, None] = {}
    for number, pattern in enumerate(patterns):
        passing(str(base / pattern))
        names = sorted(glob.glob(pattern, root_dir=base))  # unlike Path.glob it leaves hidden files out
        if not names and not glob.has_magic(pattern):
            complain(number, f"{pattern} does not exist", "a name without a star has to be there")
        found |= dict.fromkeys(base / name for name in names)
    files = [file for file in found if main is None or os.path.realpath(file) != os.path.realpath(main)]
    last = {os.path.realpath(file): file for file in reversed(files)}
    passing("")
    return list(last.values())[::-1]


class Merged:
    """The values of all parts, and where each stands."""

    def __init__(self, main: ConfigPart, included: list[ConfigPart]) -> None:
        """What two parts may not both say is in `complaints`."""
        self.values: dict[str, object] = {}
        self.complaints: list[Complaint] = []
        self._main = main
        self._items: dict[str, list[tuple[ConfigPart, int]]] = {}
        """Of each of LISTS: the part of an item, and its number there."""
        self._owners: dict[Path, ConfigPart] = {}
        for part in [*included, main]:
            for key, value in part.values.items():
                self._take(part, key, value)

    def _take(self, part: ConfigPart, key: str, value: object) -> None:
        before = self.values.get(key)
        if key in LISTS and isinstance(value, list) and (before is None or isinstance(before, list)):
            self.values[key] = [*(before or ()), *value]
            self._items.setdefault(key, []).extend((part, number) for number in range(len(value)))
        elif key in NAMED and isinstance(value, dict) and (before is None or isinstance(before, dict)):
            mine = {name: item for name, item in value.items() if not self._taken(part, (key, name))}
            self.values[key] = {**(before or {}), **mine}
            self._owners.setdefault((key,), part)
        elif not self._taken(part, (key,)):
            self.values[key] = value

    def _taken(self, part: ConfigPart, path: Path) -> bool:
        owner = self._owners.setdefault(path, part)
        if owner is part:
            return False
        message = f"is in {owner.source}:{owner.lines.of(path)} already"
        key = ".".join(map(str, path))
        self.complaints.append(Complaint(part.source, self._line(part, path), key, message, "one file may have it"))
        return True

    def _line(self, part: ConfigPart, path: Path) -> int:
        line = part.lines.of(path)
        return line if part is self._main else Line(line, part.source)

    def of(self, path: Path) -> int:
        """The line where `path` is written; of an included file it knows that file."""
        return self._line(*self._place(path))

    def local(self, path: Path) -> Path:
        """What stands at `path`, as its own file counts it."""
        return self._place(path)[1]

    def _place(self, path: Path) -> tuple[ConfigPart, Path]:
        if len(path) > 1 and path[0] in self._items and isinstance(path[1], int) and path[1] < len(self._items[str(path[0])]):
            part, number = self._items[str(path[0])][path[1]]
            return part, (path[0], number, *path[2:])
        owner = self._owners.get(path[:2]) or self._owners.get(path[:1]) or self._main
        return owner, path


def patterns_of(value: object) -> tuple[str, ...] | str:
    """The patterns of `include`, or what is wrong with it."""
    if isinstance(value, list) and all(isinstance(item, str) and item and item.isprintable() for item in value):
        return tuple(map(str, value))
    return f'wanted a list of file names such as ["sites/*.toml"], got {show(value)}'
