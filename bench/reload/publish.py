"""What a measurement of losses came to, told: on the terminal, and in a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench.macro.errors import BenchError


def publish(facts: Mapping[str, object], text: str, failures: Sequence[str], file: Path | None, as_json: Callable[[], str]) -> None:
    """`facts` by name, then `text`; every figure into `file`, if one is wanted. Raises BenchError when anything had no result."""
    for name, fact in facts.items():
        print(f"{name + ':':<13} {fact}")
    print(f"\n{text}")
    if file:
        file.write_text(as_json())
    if failures:
        raise BenchError("; ".join(failures))
