"""The lines of a TOML text, and what each says.

`tomllib` gives values without places, and a complaint without its line makes a person search. So after `tomllib` has accepted a
text, this scanner walks over it a second time and notes where every table, key, list item and key of an inline table begins.

It only has to be right on *valid* TOML, which makes it small: a statement starts with "[[", "[" or a key; a value is a string (four
kinds), a list, an inline table, or a bare word that ends at a comma, bracket, brace, comment or line end. Strings are jumped over
whole, so brackets and hashes in them mean nothing. A table under a list of tables ([[listen]], then [listen.tls]) belongs to the
list's last item, as TOML 1.0 says.
"""

from __future__ import annotations

import re
from bisect import bisect_right

Path = tuple[str | int, ...]
"""Where a value stands: ("pool", "api", "backends", 0, "weight")."""

_SPACE = re.compile(r"[ \t]*")
_BLANK = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BARE_VALUE = re.compile(r"[^,\]}#\n]+")
_STRINGS = (
    # A run of one or two quotes is content, three to five end the string (the first ones of four or five are content again).
    re.compile(r'"""(?:[^\\"]|\\[^\x00]|"{1,2}(?!"))*"{3,5}'),
    re.compile(r"'''(?:[^']|'{1,2}(?!'))*'{3,5}"),
    re.compile(r'"(?:[^\\"\n]|\\.)*"'),
    re.compile(r"'[^'\n]*'"),
)
_ESCAPE = re.compile(r'\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(["\\bfnrt]))')
_ESCAPED = {'"': '"', "\\": "\\", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class Lines:
    """The lines of one valid TOML text, by path."""

    def __init__(self, text: str) -> None:
        """`text` must be what tomllib accepted, with "\\n" as the only line end."""
        self._text = text
        self._starts = [match.end() for match in re.finditer("\n", text)]
        self._found: dict[Path, int] = {}
        self._items: dict[Path, int] = {}  # how many [[...]] of that path came so far
        _Scan(self).document()

    def of(self, path: Path) -> int:
        """The line where `path` is written, or that of the nearest thing around it; 1 for the text as a whole."""
        while path:
            if (line := self._found.get(path)) is not None:
                return line
            path = path[:-1]
        return 1

    def note(self, path: Path, at: int, *, exactly: bool = False) -> None:
        """What `path` names is first written at offset `at`; `exactly`: that place is better than any noted before."""
        line = bisect_right(self._starts, at) + 1
        if exactly:
            self._found[path] = line
        else:
            self._found.setdefault(path, line)

    def open_item(self, path: Path) -> Path:
        """A [[path]] header begins the next item of that list."""
        index = self._items.get(path, 0)
        self._items[path] = index + 1
        return (*path, index)

    def resolve(self, keys: list[str]) -> Path:
        """A header's keys with the indexes of the lists of tables on their way put in."""
        path: Path = ()
        for key in keys:
            path = (*path, key)
            if count := self._items.get(path):
                path = (*path, count - 1)
        return path

    @property
    def text(self) -> str:
        """The scanned text."""
        return self._text


class _Scan:
    """One walk over the text; `at` is the offset of the next character to look at."""

    def __init__(self, lines: Lines) -> None:
        self.lines = lines
        self.text = lines.text
        self.at = 0

    def document(self) -> None:
        """Statements to the end of the text."""
        table: Path = ()
        self.skip(_BLANK)
        while self.at < len(self.text):
            if self.text[self.at] == "[":
                table = self.header()
            else:
                self.key_value(table)
            self.skip(_BLANK)

    def header(self) -> Path:
        """[a.b] or [[a.b]]; the path of the table that it opens."""
        start = self.at
        is_item = self.text.startswith("[[", start)
        self.at += 2 if is_item else 1
        keys = self.keys()
        self.at += 2 if is_item else 1
        if is_item:
            owner = (*self.lines.resolve(keys[:-1]), keys[-1])
            self.lines.note(owner, start)
            path = self.lines.open_item(owner)
        else:
            for count in range(1, len(keys)):
                self.lines.note(self.lines.resolve(keys[:count]), start)  # [pool.api.health] may come without [pool.api]
            path = self.lines.resolve(keys)
        self.lines.note(path, start, exactly=True)
        return path

    def keys(self) -> list[str]:
        """A dotted key, e.g. a."b c".d; ends behind the blanks that follow it."""
        found = []
        while True:
            self.skip(_SPACE)
            found.append(self.key())
            self.skip(_SPACE)
            if not self.text.startswith(".", self.at):
                return found
            self.at += 1

    def key(self) -> str:
        """One part of a key, unquoted."""
        if match := _BARE_KEY.match(self.text, self.at):
            self.at = match.end()
            return match[0]
        quoted = self.text[self.at]
        start = self.at + 1
        self.string()
        inner = self.text[start : self.at - 1]
        return _ESCAPE.sub(_unescape, inner) if quoted == '"' else inner

    def key_value(self, table: Path) -> None:
        """key = value."""
        start = self.at
        path = table
        for key in self.keys():
            path = (*path, key)
            self.lines.note(path, start)
        self.at += 1  # "="
        self.skip(_SPACE)
        self.value(path)

    def value(self, path: Path) -> None:
        """Any value; ends right behind it."""
        first = self.text[self.at]
        if first == "[":
            self.list(path)
        elif first == "{":
            self.inline_table(path)
        elif first in "\"'":
            self.string()
        else:
            self.skip(_BARE_VALUE)

    def list(self, path: Path) -> None:
        """[a, b, c], over as many lines as it likes."""
        self.at += 1
        index = 0
        self.skip(_BLANK)
        while self.text[self.at] != "]":
            self.lines.note((*path, index), self.at)
            self.value((*path, index))
            index += 1
            self.comma()
        self.at += 1

    def inline_table(self, path: Path) -> None:
        """{a = 1, b = 2}."""
        self.at += 1
        self.skip(_BLANK)
        while self.text[self.at] != "}":
            self.key_value(path)
            self.comma()
        self.at += 1

    def comma(self) -> None:
        """Between items, or nothing before the closing bracket."""
        self.skip(_BLANK)
        if self.text[self.at] == ",":
            self.at += 1
            self.skip(_BLANK)

    def string(self) -> None:
        """Jump over a string of any of the four kinds."""
        for kind in _STRINGS:
            if match := kind.match(self.text, self.at):
                self.at = match.end()
                return
        raise ValueError(f"no string ends what begins at offset {self.at}")

    def skip(self, what: re.Pattern[str]) -> None:
        """Jump over what may be there."""
        if match := what.match(self.text, self.at):
            self.at = match.end()


def _unescape(match: re.Match[str]) -> str:
    short, long, simple = match.groups()
    return chr(int(short or long, 16)) if simple is None else _ESCAPED[simple]
