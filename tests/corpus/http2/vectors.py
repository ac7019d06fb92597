"""Requests of HTTP/2 as plain files: a line for each field, name and value with a tab between, bytes beyond ASCII and control bytes
as in a Python literal. `index.toml` beside them has the verdict.

`reject/index.toml`: `reason` of the answer, `status` unless it is 400. `accept/index.toml`, every key optional:

- `method`, `target`, `path`, `host`, `upgrade`: as in RequestHead
- `body`: a length or "chunked" (a body follows unless it is 0)
- `lines`: those that a backend's head has; `absent`: names of fields that it has not
"""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

FOLDER = Path(__file__).resolve().parent

Field = tuple[bytes, bytes]


class Vector(NamedTuple):
    name: str
    fields: tuple[Field, ...]
    expected: dict[str, Any]


def vectors(kind: str) -> list[Vector]:
    """All of "accept" or "reject", in the order of the index. A file without a verdict, or the reverse, is an error."""
    index = tomllib.loads((FOLDER / kind / "index.toml").read_text(encoding="utf-8"))
    files = {path.stem: path for path in (FOLDER / kind).glob("*.fields")}
    if files.keys() != index.keys():
        raise ValueError(f"{kind}: files and index differ in {sorted(files.keys() ^ index.keys())}")
    return [Vector(name, tuple(_fields(files[name])), expected) for name, expected in index.items()]


def _fields(path: Path) -> list[Field]:
    found = []
    for line in path.read_text(encoding="ascii").splitlines():
        name, value = line.split("\t", 1)
        found.append((_bytes(name), _bytes(value)))
    return found


def _bytes(text: str) -> bytes:
    value = ast.literal_eval('b"' + text.replace('"', r"\"") + '"')
    assert isinstance(value, bytes)
    return value
