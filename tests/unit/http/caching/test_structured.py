"""Dictionaries of structured fields; the cases by section are in test_cases.py."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lbproxy.http.caching.structured import dictionary


def test_values() -> None:
    """Each kind of value; parameters are read past."""
    found = dictionary(b'a=1;x=2, b=-1.5, c="x", d=tok, e=?0, f, g=(1 "b";y c), a=7')
    assert found == {b"b": -1.5, b"c": b'"x"', b"d": b"tok", b"e": False, b"f": True, b"g": (1, b'"b"', b"c"), b"a": 7}


@given(st.binary(max_size=60))
def test_anything(text: bytes) -> None:
    """Whatever is said, it is a dictionary or it is none."""
    found = dictionary(text)
    assert found is None or all(isinstance(key, bytes) for key in found)
