"""Durations, sizes, addresses, networks: what is read, what is refused and with which hint, and back to text."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.config import units
from lbproxy.config.model import Address
from lbproxy.config.units import ValueRefused


@pytest.mark.parametrize(("text", "seconds"), [
    ("30s", 30.0), ("250ms", 0.25), ("1m30s", 90.0), ("1h", 3600.0), ("1d", 86400.0), ("1.5s", 1.5), ("2h3m4s5ms", 7384.005),
    ("0", 0.0), (0, 0.0), ("0s", 0.0), ("0.1s", 0.1), ("1m0.5s", 60.5),
])  # fmt: skip
def test_durations_read(text: object, seconds: float) -> None:
    """Units may be combined, the larger first."""
    assert units.parse_duration(text) == seconds


@pytest.mark.parametrize(("value", "hint"), [
    (30, 'write the unit, e.g. "30s"'), ("30", 'write the unit, e.g. "30s"'), (1.5, 'write the unit, e.g. "1.5s"'), ("", ""),
    ("30 s", ""), ("s", ""), ("-1s", ""), ("1s1m", ""), ("1s1s", ""), ("30S", ""), ("1e3s", ""), ("½s", ""), (True, ""), ([], ""),
    ("1s\n", ""), ("inf", ""),
])  # fmt: skip
def test_durations_refused(value: object, hint: str) -> None:
    """A number without unit gets the unit suggested; anything else is refused plainly."""
    with pytest.raises(ValueRefused, match="wanted a duration such as") as refused:
        units.parse_duration(value)
    assert refused.value.hint == hint


@given(st.integers(0, 10**12))
def test_durations_survive_text_and_back(millis: int) -> None:
    """parse(format(x)) == x, for every millisecond."""
    assert units.parse_duration(units.format_duration(millis / 1000)) == millis / 1000


@given(st.integers(1, 10**9))
def test_fine_durations_survive_text_and_back(nanos: int) -> None:
    """Also for what has no whole milliseconds."""
    assert units.parse_duration(units.format_duration(nanos / 10**9)) == nanos / 10**9


def test_durations_are_written_short() -> None:
    """As a person would."""
    written = [units.format_duration(seconds) for seconds in (0.0, 0.25, 30.0, 60.0, 90.0, 3600.0, 86400.0, 0.0005)]
    assert written == ["0", "250ms", "30s", "1m", "1m30s", "1h", "24h", "0.0005s"]


@pytest.mark.parametrize(("text", "size"), [
    ("64KiB", 65536), ("32KB", 32000), ("1MiB", 2**20), ("2GiB", 2**31), ("1TiB", 2**40), ("5GB", 5 * 10**9), ("12B", 12),
    ("0", 0), (0, 0), ("64kib", 65536), ("64 KiB", 65536),
])  # fmt: skip
def test_sizes_read(text: object, size: int) -> None:
    """Binary and decimal units differ."""
    assert units.parse_size(text) == size


@pytest.mark.parametrize(("value", "hint"), [
    (65536, 'write the unit, e.g. "65536B"'), ("64k", 'write "64KiB" (1024) or "64KB" (1000)'),
    ("64M", 'write "64MiB" (1024) or "64MB" (1000)'), ("", ""), ("KiB", ""), ("-1KiB", ""), ("1.5MiB", ""), ("1iB", ""),
    (False, ""), ("1KiB\n", ""),
])  # fmt: skip
def test_sizes_refused(value: object, hint: str) -> None:
    """The half-written unit of other proxies is answered with the two it could mean."""
    with pytest.raises(ValueRefused, match="wanted a size such as") as refused:
        units.parse_size(value)
    assert refused.value.hint == hint


@given(st.integers(0, 2**50))
def test_sizes_survive_text_and_back(size: int) -> None:
    """parse(format(x)) == x."""
    assert units.parse_size(units.format_size(size)) == size


@pytest.mark.parametrize(("text", "address"), [
    ("0.0.0.0:443", Address("0.0.0.0", 443)), ("[::]:443", Address("::", 443)), (":8443", Address("0.0.0.0", 8443)),
    ("[0:0::1]:80", Address("::1", 80)), ("127.0.0.1:65535", Address("127.0.0.1", 65535)),
])  # fmt: skip
def test_listen_addresses_read(text: str, address: Address) -> None:
    """IPv4, IPv6 in its canonical form, and all of IPv4."""
    assert units.parse_listen_address(text) == address


@pytest.mark.parametrize(("value", "message", "hint"), [
    ("localhost:443", 'got "localhost"', 'e.g. "127.0.0.1:443"'),
    ("*:443", 'got "*"', 'e.g. "0.0.0.0:443"'),
    ("443", 'got "443"', 'e.g. "0.0.0.0:443"'),
    (443, "got the number 443", 'e.g. "0.0.0.0:443"'),
    ("0.0.0.0", 'got "0.0.0.0"', 'add the port, e.g. "0.0.0.0:8080"'),
    ("::", 'got "::"', 'an IPv6 address stands in brackets: "[::]:8080"'),
    ("[::]", 'got "[::]"', 'add the port, e.g. "[::]:8080"'),
    (":0", "port from 1 to 65535, got 0", ""),
    (":70000", "port from 1 to 65535, got 70000", ""),
    ("https://0.0.0.0:443", "got", 'leave out "https://"; TLS towards backends is the pool\'s tls = {}'),
    ("0.0.0.0:443\n", "got", ""),
    ("[127.0.0.1]:443", "got", ""),
    (None, "got None", ""),
])  # fmt: skip
def test_listen_addresses_refused(value: object, message: str, hint: str) -> None:
    """Each with what the writer probably meant."""
    with pytest.raises(ValueRefused) as refused:
        units.parse_listen_address(value)
    assert message in str(refused.value)
    assert refused.value.hint == hint


@pytest.mark.parametrize(("text", "address"), [
    ("10.0.0.1:8080", Address("10.0.0.1", 8080)), ("[fd00::1]:80", Address("fd00::1", 80)),
    ("App.Internal:80", Address("app.internal", 80)),
    ("my_app:3000", Address("my_app", 3000)), ("bücher.example:80", Address("xn--bcher-kva.example", 80)),
    ("App.Internal.:80", Address("app.internal.", 80)), ("straße.example.:80", Address("xn--strae-oqa.example.", 80)),
])  # fmt: skip
def test_backend_addresses_read(text: str, address: Address) -> None:
    """Names too, in ASCII and lower case; one that is absolute stays so."""
    assert units.parse_backend_address(text) == address


@pytest.mark.parametrize(("name", "spelled"), [
    ("straße.test", "xn--strae-oqa.test"), ("BÜCHER.test", "xn--bcher-kva.test"), ("faß。de", "xn--fa-hia.de"),
    ("my_app.bücher.test", "my_app.xn--bcher-kva.test"), ("xn--n3h.test", "xn--n3h.test"), ("App.Test.", "app.test"),
])  # fmt: skip
def test_international_names(name: str, spelled: str) -> None:
    """As browsers and certificates have them (IDNA 2008), not as Python's codec of 2003 does, to which "straße" is "strasse"."""
    assert units.parse_name(name) == spelled


@pytest.mark.parametrize(("name", "hint"), [
    ("☃.test", 'if it is meant, write "xn--n3h.test"'), ("ä_b.test", 'if it is meant, write "xn--_b-uia.test"'),
    (" ü.test", ""), ("ü" * 100, ""), ("ü..test", ""), ("1א.test", 'if it is meant, write "xn--1-0hc.test"'),
])  # fmt: skip
def test_international_names_refused(name: str, hint: str) -> None:
    """With the spelling that is taken as it stands, where there is one."""
    with pytest.raises(ValueRefused) as refused:
        units.parse_name(name)
    assert refused.value.hint == hint


@given(st.text(max_size=80))
def test_whatever_is_written_as_a_name(text: str) -> None:
    """It is refused, or a name that stays what it is."""
    try:
        name = units.parse_name(text)
    except ValueRefused:
        return
    assert units.parse_name(name) == name

@pytest.mark.parametrize(
    "text",
    ["10.0.0.256:80", "10.0.1:80", "010.0.0.1:80", "-a:80", "a-:80", "a..b:80", "a b:80", "a:80/", "[x:y]:80", "a" * 64 + ":80"],
)
def test_backend_addresses_refused(text: str) -> None:
    """What is neither an address nor a name."""
    with pytest.raises(ValueRefused):
        units.parse_backend_address(text)


def test_backends_need_a_host_unless_one_is_implied() -> None:
    """ ":9000" says nothing in a file; on the command line of `quick` it is this machine."""
    with pytest.raises(ValueRefused) as refused:
        units.parse_backend_address(":9000")
    assert refused.value.hint == 'say the host, e.g. "127.0.0.1:9000"'
    assert units.parse_backend_address(":9000", "127.0.0.1") == Address("127.0.0.1", 9000)


@pytest.mark.parametrize(
    ("text", "path"),
    [("unix:/run/app.sock", "/run/app.sock"), ("unix:///run/app.sock", "/run/app.sock"), ("unix:/run/../x/./a b", "/x/a b")],
)
def test_unix_sockets_read(text: str, path: str) -> None:
    """A path in one spelling, so that no socket has two identities."""
    address = units.parse_backend_address(text)
    assert address == units.parse_listen_address(text) == Address(f"unix:{path}", 0)
    assert (address.path, str(address)) == (path, f"unix:{path}")
    assert Address("10.0.0.1", 80).path == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("unix:run/app.sock", "the whole path"),
        ("unix:", "the whole path"),
        ("unix:/run/", "the whole path"),
        ("unix:/a\0b", "the whole path"),
        ("unix:@app", "the path of a Unix socket"),
        (f"unix:/{'x' * 107}", "a Unix socket can have"),
        (f"unix:/{'ä' * 54}", "a Unix socket can have"),
        ("/run/app.sock", 'a Unix socket is written "unix:/run/app.sock"'),
    ],
)
def test_unix_sockets_refused(text: str, said: str) -> None:
    """With what was wanted, or how it is written."""
    for parse in (units.parse_backend_address, units.parse_listen_address):
        with pytest.raises(units.ValueRefused) as caught:
            parse(text)
        assert said in f"{caught.value} {caught.value.hint}"


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)), st.integers(1, 65535))
def test_addresses_survive_text_and_back(ip: object, port: int) -> None:
    """parse(str(x)) == x, on both sides."""
    address = Address(str(ip), port)
    assert units.parse_listen_address(str(address)) == address
    assert units.parse_backend_address(str(address)) == address


@pytest.mark.parametrize(("text", "address"), [
    ("10.0.0.2", Address("10.0.0.2", 53)), ("::1", Address("::1", 53)), ("127.0.0.1:8600", Address("127.0.0.1", 8600)),
    ("[fd00::0:53]:53", Address("fd00::53", 53)),
])  # fmt: skip
def test_name_servers_read(text: str, address: Address) -> None:
    """The port is the usual one where none is said."""
    assert units.parse_resolver(text) == address
    assert units.parse_resolver(str(address)) == address


@pytest.mark.parametrize("value", ["", "dns", "dns:53", "10.0.0.2:0", "10.0.0.2:65536", "https://10.0.0.2", 53, ["10.0.0.2"]])
def test_name_servers_refused(value: object) -> None:
    """By name above all."""
    with pytest.raises(ValueRefused):
        units.parse_resolver(value)


def test_networks() -> None:
    """CIDR; a lone address is a network of one; an address inside a network is answered with the network."""
    assert units.parse_network("10.0.0.0/8") == ip_network("10.0.0.0/8")
    assert units.parse_network("::1") == ip_network("::1/128")
    with pytest.raises(ValueRefused) as refused:
        units.parse_network("10.1.2.3/8")
    assert refused.value.hint == 'did you mean "10.0.0.0/8"?'
    for wrong in ("", "10", 10, "10.0.0.0/33", "example.com"):
        with pytest.raises(ValueRefused, match="wanted a network"):
            units.parse_network(wrong)


@given(st.ip_addresses(), st.integers(0, 32))
def test_networks_survive_text_and_back(ip: object, prefix: int) -> None:
    """parse(format(x)) == x."""
    network = ip_network(f"{ip}/{prefix}", strict=False)
    assert units.parse_network(units.format_network(network)) == network


@pytest.mark.parametrize(("value", "shown"), [
    ("a\n\x1b", '"a\\n\\u001b"'), ("x" * 200, '"' + "x" * 75 + '..."'), (True, "true"),
    ({}, "a table"), ([], "a list"), (3, "the number 3"),
])  # fmt: skip
def test_values_are_shown_safely(value: object, shown: str) -> None:
    """Messages go to a terminal: no control characters, no endless lines."""
    assert units.show(value) == shown
