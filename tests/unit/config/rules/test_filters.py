"""Keys of listeners and routes that refuse: what they mean, and what is said about those that are wrong."""

from __future__ import annotations

import os
from ipaddress import ip_network
from pathlib import Path

import pytest

from lbproxy.config.emit import emit
from lbproxy.config.load import load_text
from lbproxy.config.model import AddressListConfig, ClientLimitConfig, Config, Rate, RefuseConfig, RouteFiltersConfig
from lbproxy.config.plan import lines, plan
from lbproxy.config.rules.filters import parse_list
from lbproxy.errors import Complaint, ConfigError
from tests.unit.config.text import complaint, line_of, read, refused

LISTEN = '[[listen]]\naddress = ":8443"\n'
ROUTE = '[[route]]\npool = "app"\n'
POOL = '[pool.app]\nbackends = ["10.0.0.1:80"]\n'


def route(keys: str, rest: str = "") -> str:
    return f"{LISTEN}{ROUTE}{keys}\n{POOL}{rest}"


def test_everything_there_is() -> None:
    text = (
        f'{LISTEN}allow = ["10.0.0.0/8"]\ndeny = ["10.6.6.6"]\nconnection_rate = "10/s"\nconnection_burst = 30\n'
        f'connections_per_client = 7\n{ROUTE}allow = ["2001:db8::/32"]\nmethods = ["GET", "M-SEARCH"]\nmax_body = "1MiB"\n'
        'rate = "5/m"\nburst = 2\nconcurrency = 3\nclient_limits = ["site"]\n'
        '[[route.refuse]]\nname = "bots"\nheader = "User-Agent"\nvalue = "*bot*"\n'
        '[[route.refuse]]\nmethods = ["POST"]\npath = "*.php"\nwithout = "Cookie"\n'
        f'[client_limit.site]\nrate = "100/h"\n{POOL}'
    )
    config = read(text)
    assert config.listen[0].addresses == AddressListConfig((ip_network("10.0.0.0/8"),), (ip_network("10.6.6.6/32"),))
    assert config.listen[0].per_client == ClientLimitConfig(Rate(10, 1), 30, 7)
    assert config.client_limits == (ClientLimitConfig(Rate(100, 3600), name="site"),)
    assert config.routes[0].filters == RouteFiltersConfig(
        AddressListConfig((ip_network("2001:db8::/32"),)),
        ("GET", "M-SEARCH"),
        1024 * 1024,
        ClientLimitConfig(Rate(5, 60), 2, 3),
        ("site",),
        (
            RefuseConfig("bots", header="User-Agent", value="*bot*"),
            RefuseConfig("2", ("POST",), "*.php", without="Cookie"),
        ),
    )


@pytest.mark.parametrize(("keys", "key", "message", "hint"), [
    ('allow = "10.0.0.0/8"', "allow", "wanted a list of networks", ""),
    ("allow = []", "allow", "got an empty list", "leave the key out"),
    ('deny = ["10.1.2.3/8"]', "deny[0]", "wanted a network", 'did you mean "10.0.0.0/8"?'),
    ('methods = ["get"]', "methods[0]", 'wanted a method such as "GET"', 'write "GET"'),
    ('methods = ["TRACE"]', "methods[0]", "never comes as far as a route", "it is refused for everybody"),
    ("methods = []", "methods", "got an empty list", "leave the key out"),
    ("max_body = 5", "max_body", "wanted a size", "write the unit"),
    ("rate = 20", "rate", "wanted a rate", 'write "20/s"'),
    ('rate = "0/s"', "rate", "wanted a rate", ""),
    ('rate = "20/d"', "rate", "wanted a rate", ""),
    ('rate = "200000/s"', "rate", "at most 100000", "add burst"),
    ("burst = 5", "burst", 'means nothing without "rate"', "add rate"),
    ("concurrency = 0", "concurrency", "wanted a whole number from 1", ""),
    ('client_limits = ["sit"]', "client_limits", 'there is no client_limit "sit"', 'did you mean "site"?'),
    ('refuse = [{ name = "x" }]', "refuse[0]", "every request would be refused", "say which"),
    ("refuse = [{}]", "refuse[0]", "every request would be refused", "say which"),
    ('refuse = [{ name = "a b", path = "/" }]', "refuse[0].name", "wanted a name of letters", ""),
    ('refuse = [{ path = "wp" }]', "refuse[0].path", "wanted a path with stars", 'write "*wp"'),
    ('refuse = [{ path = "/a?b" }]', "refuse[0].path", "wanted a path", "the query is not looked at"),
    ('refuse = [{ path = "/%2f" }]', "refuse[0].path", "normal form", "escapes in upper case"),
    ('refuse = [{ path = "/%61" }]', "refuse[0].path", "normal form", "escapes in upper case"),
    ('refuse = [{ header = "a b" }]', "refuse[0].header", "wanted the name of a header", ""),
    ('refuse = [{ value = "x" }]', "refuse[0].value", 'means nothing without "header"', "add header"),
    ('refuse = [{ header = "A", value = "\\u0001" }]', "refuse[0].value", "wanted a text with stars", "regular expressions"),
    ('refuse = [{ header = "A", value = "\\u20ac" }]', "refuse[0].value", "Latin-1", ""),
    ('refuse = [{ method = "GET", path = "/" }]', "refuse[0].method", "unknown key", 'did you mean "methods"?'),
    ('deny_file = "nowhere.txt"', "deny_file", "/base/nowhere.txt cannot be read: No such file", ""),
])  # fmt: skip
def test_refused(keys: str, key: str, message: str, hint: str) -> None:
    found = complaint(route(keys, '[client_limit.site]\nrate = "1/s"\n'))
    assert found.key == f"route[0].{key}"
    assert message in found.message
    assert found.hint.startswith(hint)
    assert bool(found.hint) == bool(hint)


@pytest.mark.parametrize(("table", "message"), [
    ("[client_limit.a]\n", "limits nothing"),
    ("[client_limit.a]\nburst = 3\n", 'means nothing without "rate"'),
    ('[client_limit."a b"]\nrate = "1/s"\n', "wanted a name of letters"),
    ('[client_limit.a]\nrate = "1/s"\nrats = 1\n', "unknown key"),
    ("[client_limit]\na = 5\n", "wanted a table headed [client_limit.a]"),
])  # fmt: skip
def test_shared_limits_refused(table: str, message: str) -> None:
    assert any(message in found.message for found in refused(route("", table)))


def test_listeners_have_their_own_words() -> None:
    assert "connection_rate" in complaint(f'{LISTEN}rate = "1/s"\n{ROUTE}{POOL}').hint
    assert complaint(f"{LISTEN}connection_burst = 3\n{ROUTE}{POOL}").hint == 'add connection_rate = "20/s"'


# ---------------------------------------------------------------- files of networks


def test_a_list_line_by_line() -> None:
    text = "# friends\n10.0.0.0/8\r\n\n  2001:db8::/32  # office\n192.0.2.1\n"
    networks, complaints = parse_list("f", text)
    assert networks == (ip_network("10.0.0.0/8"), ip_network("2001:db8::/32"), ip_network("192.0.2.1/32"))
    assert complaints == []
    _, complaints = parse_list("f", "10.0.0.0/8\n10.1.2.3/8\nx\n")
    assert [(found.file, found.line) for found in complaints] == [("f", 2), ("f", 3)]
    assert complaints[0].hint == 'did you mean "10.0.0.0/8"?'
    _, complaints = parse_list("f", "x\n" * 1000)
    assert len(complaints) == 21


def loaded(folder: Path, text: str) -> Config:
    return load_text(text, "test.toml", folder)


def faults(folder: Path, text: str) -> list[Complaint]:
    with pytest.raises(ConfigError) as error:
        loaded(folder, text)
    return error.value.complaints


def test_files_are_read_with_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "good.txt").write_text("10.0.0.0/8\n")
    (tmp_path / "bad.txt").write_text("10.0.0.0/8\nnonsense\n")
    (tmp_path / "empty.txt").write_text("# nobody yet\n")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe")
    config = loaded(tmp_path, route('deny_file = "empty.txt"\nallow_file = "good.txt"'))
    lists = config.routes[0].filters.addresses
    assert (lists.allow_listed, lists.deny_listed) == ((ip_network("10.0.0.0/8"),), ())
    assert loaded(tmp_path, emit(config)).routes[0].filters == config.routes[0].filters
    [found] = faults(tmp_path, route('deny_file = "bad.txt"'))
    assert (found.file, found.line) == (str(tmp_path / "bad.txt"), 2)
    [found] = faults(tmp_path, route('allow_file = "empty.txt"'))
    assert "nobody could come in" in found.message
    [found] = faults(tmp_path, route('deny_file = "binary.txt"'))
    assert "is no text" in found.message


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    """A pipe that nobody writes into would hold a start, and the master at a reload; a device would never end."""
    os.mkfifo(tmp_path / "pipe")
    for path in ("pipe", "/dev/zero", "/dev/null", "."):
        [found] = faults(tmp_path, route(f'deny_file = "{path}"'))
        assert "is no regular file" in found.message


def test_a_list_that_grew_while_it_was_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is read up to the limit."""
    monkeypatch.setattr("lbproxy.config.rules.filters.LIST_LIMIT", 100)
    (tmp_path / "long.txt").write_text("10.0.0.1\n" * 100)
    [found] = faults(tmp_path, route('deny_file = "long.txt"'))
    assert "wanted a file of at most 100 bytes" in found.message


# ---------------------------------------------------------------- what a reload tells


def test_a_plan_tells_each_key() -> None:
    limit = '[client_limit.a]\nrate = "1/s"\n'
    old = route('deny = ["10.0.0.0/8"]\nrate = "5/s"\nmethods = ["GET"]\nrefuse = [{ path = "/x" }]', limit)
    new = route('deny = ["10.0.0.0/8", "fd00::/8"]\nrate = "6/s"\nburst = 9\nrefuse = [{ header = "A", value = "b" }]',
                '[client_limit.a]\nrate = "2/s"\n[client_limit.b]\nconcurrency = 1\n')  # fmt: skip
    assert lines(plan(read(old), read(new))) == [
        "~ route /: deny fd00::/8 added, methods GET removed, rate 5/s -> 6/s, burst 9 added, "
        "refuse 1 (path /x) removed, refuse 1 (header A, value b) added",
        "~ client_limit a: rate 1/s -> 2/s",
        "+ client_limit b",
    ]
    listener = f'{LISTEN}deny = ["10.0.0.0/8"]\nconnections_per_client = 3\n{ROUTE}{POOL}'
    assert lines(plan(read(f"{LISTEN}{ROUTE}{POOL}"), read(listener))) == [
        "~ listener 0.0.0.0:8443: deny 10.0.0.0/8 added, connections_per_client 3 added"
    ]


def test_a_plan_counts_what_files_hold(tmp_path: Path) -> None:
    file, text = tmp_path / "deny.txt", route('deny_file = "deny.txt"')
    file.write_text("10.0.0.0/8\n10.1.0.0/16\n")
    old = loaded(tmp_path, text)
    file.write_text("10.0.0.0/8\n192.0.2.1\n192.0.2.2\n")
    assert lines(plan(old, loaded(tmp_path, text))) == [f"~ route /: deny_file {file}: 2 added, 1 removed"]
    assert line_of(text, "deny_file") > 0
