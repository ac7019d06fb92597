"""Which test files compiled modules have a part in. All others say the same of both forms of lbproxy, and need not be run in each.

A file counts as one of the first kind in case of doubt: any mention of a module is taken for an import, also inside strings and
comments, and whoever starts a Python may load anything.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from lbproxy import compiled

ROOT = Path(__file__).resolve().parents[2]
_DOTTED = re.compile(r"\b(?:lbproxy|tests|bench)(?:\.\w+)+")
_FROM = re.compile(r"\bfrom ((?:lbproxy|tests|bench)[\w.]*) import (\([^)]*\)|[^\n]*)")
_STARTS = re.compile(r"sys\.executable|\bscripts/|\bbin/python")
_EVERYTHING = "lbproxy.compiled"
"""Who asks it, asks for the form."""


@cache
def _files() -> dict[str, Path]:
    """Module -> file."""
    found = {}
    for folder in ("lbproxy", "tests", "bench"):
        for path in (ROOT / folder).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def _module(name: str) -> str:
    """The longest beginning of a dotted name that is a module of ours; "" when there is none."""
    while name and name not in _files():
        name = name.rpartition(".")[0]
    return name


@cache
def _mentioned(module: str) -> frozenset[str]:
    text = _files()[module].read_text(encoding="utf-8")
    names = _DOTTED.findall(text)
    for folder, said in _FROM.findall(text):
        names += [f"{folder}.{name}" for name in re.findall(r"\w+", said)]
    if module.startswith("tests.") and _STARTS.search(text):
        names.append(_EVERYTHING)
    return frozenset(map(_module, names)) - {"", "lbproxy"}  # which is imported in any case, and decides nothing by itself


def touches_compiled(path: Path) -> bool:
    """Whether what this test file tries may be a compiled module."""
    seen: set[str] = set()
    wanted = {".".join(path.resolve().relative_to(ROOT).with_suffix("").parts)}
    while wanted:
        module = wanted.pop()
        if module == _EVERYTHING or module in compiled.HOT:
            return True
        seen.add(module)
        wanted |= _mentioned(module) - seen
    return False
