"""Texts with stars: what fits them, what covers what, and at which cost."""

from __future__ import annotations

import re
from fnmatch import translate

from hypothesis import given
from hypothesis import strategies as st

from lbproxy.globs import Glob

few = st.text("ab*", max_size=8)


@given(few, st.text("ab", max_size=12))
def test_a_pattern_matches_what_its_stars_may_stand_for(pattern: str, text: str) -> None:
    wanted = re.match(translate(pattern), text) is not None
    assert Glob(pattern.encode()).matches(text.encode()) is wanted


class Counting(bytes):
    """Counts the searches in it."""

    searches = 0

    def find(self, *arguments: object) -> int:
        type(self).searches += 1
        return bytes.find(self, *arguments)  # type: ignore[arg-type]


def test_a_pattern_that_would_hold_up_a_regular_expression_is_a_few_searches() -> None:
    """ "(.*a){20}b" against many a's: `re` would try them in every combination."""
    assert not Glob(b"*a" * 20 + b"*b*").matches(Counting(b"a" * 10_000))
    assert Counting.searches == 21


@given(few, few, st.lists(st.text("ab", max_size=3), min_size=8, max_size=8))
def test_what_covers_another_takes_all_that_fits_it(pattern: str, other: str, stars: list[str]) -> None:
    """Whatever the other's stars stand for."""
    if Glob(pattern.encode()).covers(other.encode()):
        text = re.sub(r"\*", lambda _: stars.pop(), other)
        assert Glob(pattern.encode()).matches(text.encode())


def test_what_covers_what() -> None:
    """What can be seen is seen."""
    assert Glob(b"/img/*").covers(b"/img/*.png")
    assert Glob(b"*").covers(b"*a*")
    assert not Glob(b"/img/*.png").covers(b"/img/*")
    assert not Glob(b"/img/a*").covers(b"/img/*a")
