"""Which answers are stored; the cases by section are in test_cases.py."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lbproxy.http.caching.lifetime import Arrival, Defaults
from lbproxy.http.caching.storing import StorableAnswer, judge
from tests.unit.http.heads import request, response

_LINES = st.lists(
    st.sampled_from([
        b"Cache-Control: max-age=60", b"Cache-Control: public", b"Cache-Control: s-maxage=9", b"CDN-Cache-Control: max-age=60",
        b"Expires: 0", b"Vary: a", b'ETag: "a"', b"Cache-Control: must-understand", b"Cache-Control: immutable", b"Age: 3",
    ]),
    max_size=6,
)  # fmt: skip
AT = Arrival(100.0, 100.0, 1_700_000_000.0)


@given(_LINES, _LINES, st.sampled_from([200, 203, 301, 404, 410]))
def test_whose_cookie_it_is(before: list[bytes], behind: list[bytes], status: int) -> None:
    """Nothing makes an answer that sets a cookie everybody's."""
    answer = response(*before, b"Set-Cookie: a=b", *behind, line=b"HTTP/1.1 %d X" % status)
    assert judge(request(), False, answer, AT, Defaults(60, 60, 60)) == "set_cookie"


@given(_LINES, st.sampled_from([302, 307, 400, 403, 500, 502, 503, 504]))
def test_errors_last_by_their_own_word(lines: list[bytes], status: int) -> None:
    """No default makes one last."""
    verdict = judge(request(), False, response(*lines, line=b"HTTP/1.1 %d X" % status), AT, Defaults(60))
    if isinstance(verdict, StorableAnswer):
        assert any(word in line for line in lines for word in (b"max-age", b"s-maxage", b"Expires"))
