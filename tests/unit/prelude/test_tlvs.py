"""Fields of PROXY headers of version 2; the corpus of test_proxy_header.py has one of each kind."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.prelude.bad import BadHeader
from lbproxy.prelude.tlvs import Told, read


def test_nothing_is_told_by_no_fields() -> None:
    assert read(b"front", 5) == Told()


@given(st.lists(st.tuples(st.sampled_from([4, 0xE0, 0xEA, 0x30]), st.binary(max_size=20)), max_size=6))
def test_fields_that_mean_nothing_here_are_passed_over(fields: list[tuple[int, bytes]]) -> None:
    """However many, and however often."""
    data = b"".join(bytes([kind]) + len(value).to_bytes(2, "big") + value for kind, value in fields)
    assert read(data, 0) == Told()


@given(st.binary(max_size=60))
def test_anything(data: bytes) -> None:
    try:
        assert isinstance(read(data, 0), Told)
    except BadHeader:
        pass


@pytest.mark.parametrize("value", [b"a b", b"a\tb", b"caf\xc3\xa9", b"a\x7f"])
def test_names_are_visible_ascii(value: bytes) -> None:
    """They come into logs and header fields."""
    with pytest.raises(BadHeader):
        read(b"\x02" + len(value).to_bytes(2, "big") + value, 0)
