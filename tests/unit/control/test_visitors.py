"""Who gives way at the metrics port."""

from __future__ import annotations

from lbproxy.control.visitors import Visitors, VisitorStage


def test_the_oldest_of_those_that_lose_least_gives_way() -> None:
    """Who has had the answer, then who has asked nothing, and only then who is being answered."""
    visitors: Visitors[str] = Visitors(4)
    there = {name: visitors.enter(name)[0] for name in "abcd"}
    there["a"].stage = there["d"].stage = VisitorStage.ASKING
    there["c"].stage = VisitorStage.ANSWERED
    assert visitors.enter("e")[1] == "c"
    newest, gives_way = visitors.enter("f")
    assert gives_way == "b"
    assert repr(newest) == "<Visitor silent>"
    newest.stage = VisitorStage.ASKING
    assert visitors.enter("g")[1] == "e"
    assert visitors.enter("h")[1] == "g"
    assert list(visitors.tasks()) == ["a", "d", "f", "h"]


def test_who_leaves_makes_room() -> None:
    """Once, however often it is said."""
    visitors: Visitors[str] = Visitors(2)
    first, _ = visitors.enter("a")
    visitors.leave(first)
    visitors.leave(first)
    visitors.enter("b")
    assert visitors.enter("c")[1] is None
    assert visitors.enter("d")[1] == "b"


def test_all_that_are_being_answered() -> None:
    """Then the one that has been for longest."""
    visitors: Visitors[str] = Visitors(2)
    for name in "ab":
        visitors.enter(name)[0].stage = VisitorStage.ASKING
    assert visitors.enter("c")[1] == "a"
