"""The text of hosts files."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lbproxy.names.hosts import addresses_in, has_ipv6

TEXT = """
127.0.0.1\tlocalhost localhost.localdomain
::1       LocalHost ip6-localhost   # 10.9.9.9 app
10.0.0.1  app.internal app
10.0.0.2  app
10.0.0.1  app
fe80::1%lo0 app
rubbish app
10.0.0.3
#10.0.0.4 app
"""


def test_all_lines_of_a_name_in_order_and_once() -> None:
    assert addresses_in(TEXT, "app") == ["10.0.0.1", "10.0.0.2", "fe80::1"]
    assert addresses_in(TEXT, "App.Internal") == ["10.0.0.1"]
    assert addresses_in(TEXT, "localhost") == ["127.0.0.1", "::1"]
    assert addresses_in(TEXT, "10.0.0.3") == addresses_in(TEXT, "ap") == addresses_in("", "app") == []


def test_bytes_of_other_encodings_are_no_blanks_and_no_line_ends() -> None:
    """NEL, a no-break space and their like stand in comments and names of old files."""
    text = "10.0.0.1 other # caf\xe9\x85 10.9.9.9 app\n10.0.0.2\xa0app\n10.0.0.3\x1capp\n10.0.0.4\fapp\r\n10.0.0.5 app."
    assert addresses_in(text, "app") == addresses_in(text, "app.") == ["10.0.0.4", "10.0.0.5"]


@given(st.text(max_size=200), st.text(max_size=10))
def test_whatever_stands_there(text: str, name: str) -> None:
    assert all(addresses_in(text, name))


def test_ipv6_is_spoken_where_an_address_of_global_scope_is() -> None:
    loopback = "00000000000000000000000000000001 01 80 10 80       lo\n"
    link = "fe8000000000000000fc00fffe000001 04 40 20 80     eth0\n"
    private = "fd000000000000000000000000000002 04 40 00 82     eth0\n"
    assert has_ipv6(loopback + link + private)
    assert not has_ipv6(loopback + link)
    assert has_ipv6(loopback, loopback=True)
    assert not has_ipv6(link + private, loopback=True)
    assert not has_ipv6("")
    assert not has_ipv6("rubbish\n")
