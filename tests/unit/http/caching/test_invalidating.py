"""What an unsafe request makes stale; the cases by section are in test_cases.py."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lbproxy.http.caching.invalidating import targets
from tests.unit.http.heads import response


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30))
def test_anything(said: str) -> None:
    """Whatever an answer names, what comes of it is a target in origin-form; its own always."""
    found = list(targets(response(b"Location: " + said.encode()), b"https", (b"a.example",), b"/x"))
    assert found[0] == b"/x"
    assert all(each.startswith(b"/") for each in found)


def test_both_names_of_an_origin() -> None:
    """What clients call it, and what the backend is told."""
    answer = response(b"Location: http://inner:8080/a", b"Content-Location: http://outer/b")
    assert list(targets(answer, b"http", (b"outer:80", b"inner:8080"), b"/x")) == [b"/x", b"/a", b"/b"]
