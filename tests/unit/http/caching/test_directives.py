"""Cache-Control however it is written; the cases by section are in test_cases.py."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.http.caching.directives import MOST_SECONDS, CacheControl, counted, of_request
from tests.unit.http.heads import request
from tests.unit.http.work import growth


@given(st.lists(st.binary(max_size=40), max_size=4), st.integers(0, 2**40))
def test_nothing_hides_what_forbids(noise: list[bytes], seconds: int) -> None:
    """Whatever stands in fields beside it, a field that says no-store says it, and a lifetime is never longer than the one said."""
    said = CacheControl([*noise, b"no-store, max-age=%d" % seconds, *noise])
    assert said.has(b"no-store")
    found = said.seconds(b"max-age")
    assert found is not None
    assert found <= min(seconds, MOST_SECONDS)


@given(st.integers(0, 10**30), st.integers(0, 9))
def test_counted(number: int, zeros: int) -> None:
    """Digits of any number."""
    assert counted(b"0" * zeros + b"%d" % number) == min(number, MOST_SECONDS)


def test_pragma() -> None:
    """It counts where there is no Cache-Control."""
    assert of_request(request(b"Pragma: no-cache")).has(b"no-cache")
    assert not of_request(request(b"Pragma: no-cache", b"Cache-Control: max-age=1")).has(b"no-cache")


@pytest.mark.parametrize("piece", [b"a,", b'a="', b'a="\\', b"a ", b" ", b"a=b=", b'"', b'a=",'])
def test_the_work_is_linear(piece: bytes) -> None:
    """A long field costs what its bytes cost."""
    assert growth(lambda text: CacheControl([text]), piece * 1000, piece * 8000) < 24
