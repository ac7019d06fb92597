"""HTTP/1 messages as plain files: `accept/*.http` and `reject/*.http` hold raw bytes, `index.toml` beside them the verdict.

`reject/index.toml`: `status` and `reason` of the answer. `accept/index.toml`, every key optional:

- `method`, `target`, `path`, `host`, `upgrade`: as in RequestHead; `keep_alive`, `expect_continue`: likewise
- `body`: a length or "chunked"; `payload`: the body; `rest`: what stands behind the message
- `present`, `absent`: names of fields (lower case) that a backend gets and does not get; `never`: bytes that do not reach it at all
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, NamedTuple

FOLDER = Path(__file__).resolve().parent


class Vector(NamedTuple):
    name: str
    raw: bytes
    expected: dict[str, Any]


def vectors(kind: str, folder: Path = FOLDER) -> list[Vector]:
    """All of "accept" or "reject", in the order of the index. A file without a verdict, or the reverse, is an error."""
    index = tomllib.loads((folder / kind / "index.toml").read_text(encoding="utf-8"))
    files = {path.stem: path for path in (folder / kind).glob("*.http")}
    if files.keys() != index.keys():
        raise ValueError(f"{kind}: files and index differ in {sorted(files.keys() ^ index.keys())}")
    return [Vector(name, files[name].read_bytes(), expected) for name, expected in index.items()]
