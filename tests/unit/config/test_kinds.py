"""Kinds of values, whatever their limits: their examples are within them, what is written is read back, schemas say the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.config.kinds import DURATION_PATTERN, SIZE_PATTERN, Kind, Place, ceiling, choice, duration, size, whole
from lbproxy.config.units import ValueRefused, parse_duration, parse_size


def read(kind: Kind[Any], value: object) -> tuple[Any, list[str]]:
    complaints: list[str] = []
    return kind.read(value, Place((), Path("/"), lambda path, message, hint: complaints.append(message))), complaints


@pytest.mark.parametrize("kind", [
    duration(0.01), duration(1.0, zero=True), duration(10.0), duration(60.0), duration(), whole(0, 1), whole(5, 6), whole(1, 9**9),
    size(0, 1024), size(0, 2**62), size(256, 2**20), size(1000, 1001), size(2**20, 2**21), ceiling(2**24), choice("a", "b"),
], ids=repr)  # fmt: skip
def test_examples_are_two_and_within_the_limits(kind: Kind[Any]) -> None:
    """One of them is no default; both are read, and written as they read."""
    assert len(set(map(str, kind.examples))) == 2
    for example in kind.examples:
        value, complaints = read(kind, example)
        assert complaints == []
        assert read(kind, kind.write(value)) == (value, [])


@given(st.from_regex(r"\A[0-9.]{0,3}(d|h|m|s|ms)?[0-9]{0,2}(h|m|s|ms)?\Z") | st.from_regex(DURATION_PATTERN, fullmatch=True))
def test_durations_by_schema_and_by_reader(text: str) -> None:
    """What one takes the other takes."""
    try:
        parse_duration(text)
        taken = True
    except ValueRefused:
        taken = False
    assert bool(re.search(DURATION_PATTERN, text)) is taken or text.endswith("\n")


@given(st.one_of(st.from_regex(r"\A[0-9]{0,4} ?[KkMmBbi]{0,3}\Z"), st.from_regex(SIZE_PATTERN, fullmatch=True)))
def test_sizes_by_schema_and_by_reader(text: str) -> None:
    """What one takes the other takes."""
    try:
        parse_size(text)
        taken = True
    except ValueRefused:
        taken = False
    assert bool(re.search(SIZE_PATTERN, text)) is taken or text.endswith("\n")
