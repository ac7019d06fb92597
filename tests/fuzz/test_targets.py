"""The fuzz targets hold for their seeds, for bent seeds, and for anything; bounded, so that every test run tries some."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS, seeds

SEEDS = {name: list(seeds(name)) for name in TARGETS}
HEAVY = ("client", "backend")


@pytest.mark.parametrize("name", TARGETS)
def test_seeds(name: str) -> None:
    """Where the fuzzer starts nothing is to be found."""
    for seed in SEEDS[name][:: 8 if name in HEAVY else 1]:
        TARGETS[name](seed)


@pytest.mark.parametrize("name", TARGETS)
def test_bent_seeds(name: str) -> None:
    """A seed with a few bytes cut out and others put in."""

    @settings(max_examples=20 if name in HEAVY else 60, deadline=None)
    @given(st.sampled_from(SEEDS[name]), st.data())
    def bend(seed: bytes, data: st.DataObject) -> None:
        at = data.draw(st.integers(0, len(seed)))
        gap = data.draw(st.integers(0, 8))
        TARGETS[name](seed[:at] + data.draw(st.binary(max_size=6)) + seed[at + gap :])

    bend()


@pytest.mark.parametrize("name", TARGETS)
def test_anything(name: str) -> None:
    """Bytes without any sense."""

    @settings(max_examples=20, deadline=None)
    @given(st.binary(max_size=64))
    def anything(raw: bytes) -> None:
        TARGETS[name](raw)

    anything()
