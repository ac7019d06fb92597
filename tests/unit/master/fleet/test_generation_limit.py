from __future__ import annotations

import pytest

from lbproxy.master.fleet.events import FleetTerms
from lbproxy.master.fleet.generation import Generation, GenerationStage
from lbproxy.master.fleet.generation_limit import ALL_HURRY_AFTER, GenerationLimit, Pressure


@pytest.fixture
def three() -> list[Generation]:
    """The first has been retiring for longest, the third serves."""
    generations = [Generation(number, FleetTerms(2), 0.0, number == 1) for number in (2, 1, 3)]
    generations[1].retire(10.0)
    generations[0].retire(20.0)
    generations[2].stage = GenerationStage.SERVING
    return generations


def test_in_three_steps(three: list[Generation]) -> None:
    """The oldest's idle connections, then everybody's, then the oldest's tunnels; each is told once."""
    second, first, _ = three
    crowding = GenerationLimit()
    assert crowding.press(three, 100.0) == [Pressure(first, 30.0, 0.0, 3600.0)]
    assert crowding.press(three, 101.0) == []
    assert crowding.press(three, 100.0 + ALL_HURRY_AFTER) == [Pressure(second, 30.0, 0.0, 3600.0)]
    assert crowding.press(three, 129.0) == []
    assert crowding.press(three, 130.0) == [Pressure(first, 0.0, 0.0, 0.0)]
    assert crowding.press(three, 131.0) == []


def test_a_late_look_catches_up(three: list[Generation]) -> None:
    """All that is due is told at once, the most pressing last."""
    second, first, _ = three
    crowding = GenerationLimit()
    crowding.press([first], 100.0)
    assert crowding.press(three, 130.0) == [Pressure(second, 30.0, 0.0, 3600.0), Pressure(first, 0.0, 0.0, 0.0)]


def test_the_next_reload_begins_anew(three: list[Generation]) -> None:
    """It has waited for nobody yet; who was told to hurry need not be told again."""
    second, first, _ = three
    crowding = GenerationLimit()
    crowding.press(three, 100.0)
    crowding.over()
    assert crowding.press(three, 200.0) == []
    assert crowding.press(three, 200.0 + ALL_HURRY_AFTER) == [Pressure(second, 30.0, 0.0, 3600.0)]
    assert crowding.press(three, 229.9) == []
    assert crowding.press(three, 230.0) == [Pressure(first, 0.0, 0.0, 0.0)]
