"""Environment variables in the texts of a configuration: "${NAME}", for what differs between machines and for secrets.

Each stands in any text, alone or among others ("${HOST}:8080"), and is replaced before anything is read; "$${" is a plain "${". A
variable that is not set is refused: an empty password would be worse. Where a number or true and false are wanted, a text that came
from a variable is taken for one.

What a variable holds may be a secret. So it is told nowhere: complaints and --effective show "${NAME}" in its place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from lbproxy.config.locate import Path
from lbproxy.config.units import FromEnvironment

_REFERENCE = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)\}|\$\{")
TELLING = 4
"""Characters from which on a value is recognised wherever it stands; shorter ones only as a whole text, or a part of an address."""


class Reference(NamedTuple):
    """A text that names variables."""

    path: Path
    written: str


class Variables(NamedTuple):
    """Those that a configuration used: names and values."""

    used: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        return f"Variables({', '.join(name for name, _ in self.used)})"  # values must not reach any log

    def hide(self, text: str) -> str:
        """`text` with names in place of values."""
        for name, value in sorted(self.used, key=lambda pair: -len(pair[1])):
            shown = f"${{{name}}}"
            if len(value) >= TELLING:
                text = text.replace(value, shown)
            elif value:
                text = text.replace(json.dumps(value, ensure_ascii=False), f'"{shown}"')
                text = re.sub(rf'(?<=["\[:]){re.escape(value)}(?=["\]:])', shown, text)  # in an address
        return text


class Expanded(NamedTuple):
    """What became of a tree of values."""

    values: dict[str, object]
    references: list[Reference]
    used: dict[str, str]


def expand(values: Mapping[str, object], environ: Mapping[str, str], complain: Callable[[Path, str, str], None]) -> Expanded:
    """`values` as TOML gave them, with variables in place of their names. `complain` is told what is wrong, and where: that stays
    as it is written."""
    references: list[Reference] = []
    used: dict[str, str] = {}

    def text(path: Path, written: str) -> str:
        def value_of(match: re.Match[str]) -> str:
            name = match[1]
            if match[0] == "$${":
                return "${"
            if name is None:
                complain(path, 'wanted the name of a variable in "${...}"', 'a plain "${" is written "$${"')
            elif name in environ:
                used[name] = environ[name]
                return environ[name]
            else:
                complain(path, f"the environment variable {name} is not set", 'a plain "${" is written "$${"')
            return match[0]

        expanded = _REFERENCE.sub(value_of, written)
        if expanded == written and "${" not in written:
            return written
        if not any(match[1] for match in _REFERENCE.finditer(written)):
            return expanded  # escapes alone
        references.append(Reference(path, written))
        return FromEnvironment(expanded)

    def walk(path: Path, value: object) -> object:
        if isinstance(value, str):
            return text(path, value) if "$" in value else value
        if isinstance(value, list):
            return [walk((*path, index), item) for index, item in enumerate(value)]
        if isinstance(value, dict):
            return {key: walk((*path, key), item) for key, item in value.items()}
        return value

    return Expanded({key: walk((key,), value) for key, value in values.items()}, references, used)


def restore(tree: dict[str, object], references: Iterable[Reference], variables: Variables) -> dict[str, object]:
    """A tree of what is in effect, with the texts as they were written where variables came in, and "${" escaped elsewhere."""
    written = {reference.path: reference.written for reference in references}

    def walk(path: Path, value: object) -> object:
        if path in written and not isinstance(value, dict | list):
            return written[path]
        if isinstance(value, str):
            return variables.hide(value.replace("${", "$${"))
        if isinstance(value, list):
            return [walk((*path, index), item) for index, item in enumerate(value)]
        if isinstance(value, dict):
            if path in written and "address" in value:  # a backend's short form
                value = {**value, "address": _Written(written[path])}
            return {key: item.text if isinstance(item, _Written) else walk((*path, key), item) for key, item in value.items()}
        return value

    return {key: walk((key,), value) for key, value in tree.items()}


class _Written(NamedTuple):
    text: str
