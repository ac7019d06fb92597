"""What is asked of inspectors is bounded, and so is what is kept to ask."""

from __future__ import annotations

import pytest

from lbproxy.proxy.steps.waf_asking import BodyCopy, Copies
from tests.unit.proxy.steps.test_waf import guarded
from tests.unit.proxy.world import get, ok


def test_room_for_copies_comes_back() -> None:
    """All copies of a worker share it; dropping one twice gives nothing back twice."""
    copies = Copies(10)
    one, other = BodyCopy(copies), BodyCopy(copies)
    assert one.add(b"seven..")
    assert not other.add(b"four")
    assert other.add(b"3..")
    assert (len(one), len(other), copies.left) == (7, 3, 0)
    assert one.drop() == b"seven.."
    assert one.drop() == b""
    assert other.add(b"four")
    assert other.drop() == b"3..four"
    assert copies.left == 10


@pytest.mark.parametrize(("target", "asked"), [("/?a&b&c", b"/?a&b&c"), ("/?a&b&c&d", b"/")])
def test_an_answer_is_asked_about_without_a_query_of_too_many_arguments(target: str, asked: bytes) -> None:
    """Each rule looks at each of them."""
    world, inspectors, client = guarded(responses=True, max_arguments=3)
    client.feed(get(target))
    world.upstream.take()
    world.upstream.feed(ok())
    client.take()
    assert inspectors.asked[-1].target == asked
