"""A page of docs/howto, as a test follows it: its configurations and commands, with other ports, files and certificates."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

import toml

from tests.conftest import PATIENT, PATIENT_HEALTH

_FOLDER = Path(__file__).resolve().parents[2] / "docs/howto"
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_POOL = re.compile(r"^\[pool\.(\w+)\]$", re.MULTILINE)


class Page:
    """A how-to, with some of its words replaced."""

    def __init__(self, name: str, words: Mapping[str, str] | None = None) -> None:
        text = (_FOLDER / name).read_text(encoding="utf-8")
        self._blocks = [(match[1], match[2]) for match in _BLOCK.finditer(text)]
        self.text = " ".join(text.split())
        words = words or {}
        missing = [word for word in words if word not in text]
        assert not missing, f"{name} does not say {missing}"
        self._words = dict(words)
        self._any = re.compile("|".join(map(re.escape, sorted(words, key=len, reverse=True))) or "(?!)")

    def said(self, text: str) -> str:
        """With the other words, all at once: what stands in the place of one is nobody's word."""
        return self._any.sub(lambda match: self._words[match[0]], text)

    def block(self, kind: str, containing: str = "", number: int = 0) -> str:
        """One of a kind: the first, or that of a `number`, of those that contain this."""
        return self.said([text for of, text in self._blocks if of == kind and containing in text][number])

    def command(self, beginning: str) -> list[str]:
        """The first one that begins so."""
        lines = [line for kind, text in self._blocks if kind == "sh" for line in text.splitlines()]
        return shlex.split(self.said(next(line for line in lines if line.startswith(beginning))), comments=True)

    def toml(self, control: Path, containing: str = "", number: int = 0, workers: int = 1) -> str:
        """A configuration. What a test needs stands around it: workers, a control socket, and patience, as elsewhere in tests."""
        text = self.block("toml", containing, number)
        extra = {"proxy": {"workers": workers, "control": str(control)}, "timeouts": PATIENT}
        health = {name: {"health": PATIENT_HEALTH} for name in _POOL.findall(text)}
        return toml.dumps(extra) + text + toml.dumps({"pool": health})
