"""resolv.conf as the C library reads it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.names.resolv_conf import MOST_SEARCH, ResolvConf, parse

ODD = """\
# caf\xe9: a comment of another time
; another
nameserver 127.0.0.1#5353
nameserver 10.0.0.256
nameserver
nameserver dns.example.com
 nameserver 10.0.0.9
nameserver 10.0.0.1  # the office
nameserver\t fd00::53
nameserver fe80::1%eth0
nameserver 10.0.0.4
search corp.test a..b caf\xe9.test . east.test.
options ndots:2 timeout:1 attempts:x ndots rotate edns0 trust-ad nonsense: :3
rubbish \x85 line
"""


def test_what_makes_no_sense_is_passed_over() -> None:
    """Comments in any encoding, servers with a port or a name, empty labels; three servers, as the system has it."""
    assert parse(ODD) == ResolvConf(
        ("10.0.0.1", "fd00::53", "fe80::1%eth0"), ("corp.test", "", "east.test"), 2, 1, rotate=True, edns0=True
    )
    assert parse("") == ResolvConf()
    assert parse("nameserver 10.0.0.1\r\nsearch a.test\r\n") == ResolvConf(("10.0.0.1",), ("a.test",))


@pytest.mark.parametrize(
    ("word", "server"),
    [("127.1", "127.0.0.1"), ("0x7f.0.0.1", "127.0.0.1"), ("010.0.0.1", "8.0.0.1"), ("2130706433", "127.0.0.1"),
     ("1.2.3.4.5", None), ("1.2.3.", None), ("08.0.0.1", None), ("1.2.3.4%eth0", None), ("::ffff:10.0.0.1", "::ffff:a00:1"),
     ("300", "0.0.1.44")],
)  # fmt: skip
def test_addresses_as_inet_aton_has_them(word: str, server: str | None) -> None:
    """All its forms, and nothing else."""
    assert parse(f"nameserver {word}\n").servers == (() if server is None else (parse(f"nameserver {server}\n").servers[0],))


def test_the_last_search_list_counts() -> None:
    """`domain` and `search` are one setting; without either it is the machine's own domain."""
    assert parse("search a.test b.test\ndomain c.test d.test\n", "host.e.test").search == ("c.test",)
    assert parse("domain c.test\nsearch a.test b.test\n").search == ("a.test", "b.test")
    assert parse("", "host.e.test").search == ("e.test",)
    assert parse("", "host").search == ()
    assert len(parse("search " + " ".join(f"{number}.test" for number in range(1000))).search) == MOST_SEARCH


def test_options() -> None:
    """Bounded as the system bounds them."""
    conf = parse("options ndots:99 use-vc\noptions no-aaaa timeout:700\n")
    assert (conf.ndots, conf.tcp, conf.ipv6, conf.timeout) == (15, True, False, 700)
    assert parse("options ndots:-1 ndots:\xb2 timeout:99999999999\n") == ResolvConf()


@pytest.mark.parametrize(
    ("host", "ndots", "expected"),
    [
        ("app", 1, ["app.a.test", "app.b.test", "app"]),
        ("app.x", 1, ["app.x", "app.x.a.test", "app.x.b.test"]),
        ("app.x", 2, ["app.x.a.test", "app.x.b.test", "app.x"]),
        ("app", 0, ["app", "app.a.test", "app.b.test"]),
        ("app.x.", 2, ["app.x"]),
        ("app.", 1, ["app"]),
    ],
)
def test_what_is_asked_for_and_in_which_order(host: str, ndots: int, expected: list[str]) -> None:
    """The dot at the end means that nothing is to be put behind it."""
    assert ResolvConf(search=("a.test", "b.test"), ndots=ndots).candidates(host) == expected


def test_the_root_in_the_search_list_is_the_name_itself() -> None:
    """Asked for once."""
    assert ResolvConf(search=("", "a.test")).candidates("app") == ["app", "app.a.test"]


@given(st.text(max_size=300), st.text(max_size=10))
def test_whatever_stands_there(text: str, hostname: str) -> None:
    """Nothing is raised, and what comes out can be asked."""
    conf = parse(text, hostname)
    assert all(conf.candidates("app"))
