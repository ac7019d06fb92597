"""PROXY headers as plain files. The first line is the verdict, behind "# "; then come bytes, as hex or as text in quotes."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent


class Case(NamedTuple):
    """One file of the corpus."""

    name: str
    verdict: str
    data: bytes


def cases(kind: str) -> list[Case]:
    """kind: accept | reject"""
    return [_case(path) for path in sorted((HERE / kind).glob("*.txt"))]


def _case(path: Path) -> Case:
    verdict, *lines = path.read_text(encoding="ascii").splitlines()
    data = b"".join(ast.literal_eval("b" + line) if line.startswith('"') else bytes.fromhex(line) for line in lines)
    return Case(path.stem, verdict.removeprefix("# "), data)
