"""[[listen]]: what holds between its keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from lbproxy.config.model import Address, CertificateConfig, ListenConfig, ListenTlsConfig
from tests.unit.config.text import complaint, line_of, read

POOL = '[pool.app]\nbackends = ["10.0.0.1:80"]\n'
ROUTE = '[[route]]\npool = "app"\n'
PLAIN = 'address = ":1"\n'
TLS = 'certificates = [{ cert = "a.crt", key = "/k/a.key", key_mode = "any" }]\n'


def test_listeners() -> None:
    """TLS with everything, and plain."""
    text = (
        f'[[listen]]\naddress = "[::]:443"\n{TLS}tls = {{ profile = "modern", client_ca = "ca.pem", client_auth = "required" }}\n'
        f'[[listen]]\naddress = ":80"\nredirect_to_https = true\nmax_connections = 7\n{ROUTE}{POOL}'
    )
    tls, plain = read(text).listen
    pair = CertificateConfig(Path("/base/a.crt"), Path("/k/a.key"), "any")
    assert tls == ListenConfig(Address("::", 443), (pair,), ListenTlsConfig("modern", Path("/base/ca.pem"), "required"), False, 2)
    assert plain == ListenConfig(Address("0.0.0.0", 80), (), ListenTlsConfig(), True, line_of(text, '":80"'), 7)


@pytest.mark.parametrize(("written", "redirects", "port"), [("true", True, 0), ("false", False, 0), ("8443", True, 8443)])
def test_redirects(written: str, redirects: bool, port: int) -> None:
    [listen] = read(f'[[listen]]\naddress = ":80"\nredirect_to_https = {written}\n{ROUTE}{POOL}').listen
    assert (bool(listen.redirect_to_https), listen.redirect_port) == (redirects, port)


@pytest.mark.parametrize(("listener", "key", "message", "hint"), [
    ("", "listen[0]", '"address" is missing', 'add address = "0.0.0.0:443"'),
    ('address = ":1"\ncertificates = []', "listen[0].certificates", "got an empty list", "leave the key out for plain HTTP"),
    ('address = ":1"\ncertificates = "a.pem"', "listen[0].certificates", "wanted a folder that can be read, ", "NAME.crt and"),
    ('address = ":1"\ncertificates = ["a.pem"]', "listen[0].certificates[0]", 'got "a.pem"', ""),
    ('address = ":1"\ncertificates = [{ cert = "a" }]', "listen[0].certificates[0]", '"key" is missing', 'add key = "..."'),
    (f'{PLAIN}{TLS}redirect_to_https = true', "listen[0].redirect_to_https", "HTTPS already", "put it into"),
    ('address = ":1"\ntls = {}', "listen[0].tls", "plain HTTP", 'add certificates = [{ cert = "...", key = "..." }]'),
    (f'{PLAIN}{TLS}tls = {{ client_auth = "optional" }}', "listen[0].tls.client_auth", "without", 'add client_ca = "ca.pem"'),
    (f'{PLAIN}{TLS}tls = {{ client_ca = "c" }}', "listen[0].tls.client_ca", "no client is asked", 'add client_auth = "required"'),
    (f'{PLAIN}redirect_to_https = 0', "listen[0].redirect_to_https", "a port from 1 to 65535, got the number 0", ""),
    (f'{PLAIN}redirect_to_https = "443"', "listen[0].redirect_to_https", "a port from 1 to 65535", ""),
    (f'{PLAIN}max_connections = -1', "listen[0].max_connections", "wanted a whole number from 0", ""),
    ('address = ":1"\nadress = 1', "listen[0].adress", "unknown key", 'did you mean "address"?'),
])  # fmt: skip
def test_listeners_refused(listener: str, key: str, message: str, hint: str) -> None:
    """One complaint each, with what to do."""
    found = complaint(f"[[listen]]\n{listener}\n{ROUTE}{POOL}")
    assert found.key == key
    assert message in found.message
    assert found.hint.startswith(hint)
    assert bool(found.hint) == bool(hint)


def test_a_single_bracket_is_pointed_out() -> None:
    """[listen] where [[listen]] was meant."""
    found = complaint(f'[listen]\naddress = ":1"\n{ROUTE}{POOL}')
    assert (found.line, found.message) == (1, "wanted a list of tables, each headed [[listen]], got a table")


# ---------------------------------------------------------------- passthrough


@pytest.mark.parametrize(("written", "read_as"), [
    ('{ "DB.example." = "app" }', (("db.example", "app"),)),
    ('{ "*.Example.com" = "app", "*" = "app" }', (("*.example.com", "app"), ("*", "app"))),
    ('{ "b\u00fccher.example" = "app" }', (("xn--bcher-kva.example", "app"),)),
])  # fmt: skip
def test_names_that_are_passed_through(written: str, read_as: tuple[tuple[str, str], ...]) -> None:
    """As clients write them; nobody needs a route for them."""
    [listen] = read(f'[[listen]]\n{PLAIN}passthrough = {written}\n{POOL}').listen
    assert listen.passthrough == read_as
    assert (listen.plain, listen.secure) == (False, False)


@pytest.mark.parametrize(("listener", "key", "message", "hint"), [
    ("passthrough = {}", "", "wanted at least one name", "leave the key out"),
    ("passthrough = []", "", "wanted a table such as", ""),
    ('passthrough = { "db.test" = "apt" }', '."db.test"', 'there is no pool "apt"', 'did you mean "app"?'),
    ('passthrough = { "db.test" = 1 }', '."db.test"', "got the number 1", ""),
    ('passthrough = { "10.0.0.1" = "app" }', '."10.0.0.1"', "wanted a name that clients ask for by SNI", "no client asks"),
    ('passthrough = { "db.test:443" = "app" }', '."db.test:443"', "a host without port", 'write "db.test"'),
    ('passthrough = { "*.*.test" = "app" }', '."*.*.test"', 'wanted a host such as "*.example.com"', "one star"),
    ('passthrough = { "db.test" = "app", "DB.test" = "app" }', '."DB.test"', "stands here twice", "names know no"),
    ('passthrough = { "db.test" = "app" }\nredirect_to_https = true', None, "speaks TLS already", "put it into"),
    ('passthrough = { "db.test" = "app" }\nprotocols = ["h2"]', None, "decrypts nothing", "what clients and backends"),
    (f'{TLS}passthrough = {{ "*" = "app" }}', "", "shown to nobody", "name those"),
    ('passthrough = { "db.test" = "app" }\ntls = {}', None, "plain HTTP", "add certificates"),
])  # fmt: skip
def test_what_cannot_be_passed_through(listener: str, key: str | None, message: str, hint: str) -> None:
    """One complaint each, where it stands, with what to do."""
    found = complaint(f"[[listen]]\n{PLAIN}{listener}\n{ROUTE}{POOL}")
    assert key is None or found.key == f"listen[0].passthrough{key}"
    assert message in found.message
    assert found.hint.startswith(hint)


@pytest.mark.parametrize(("pool", "what"), [
    ('balance = "source_hash"\nhash = "header X-User"', "hash"), ("sticky = {}", "sticky"),
])  # fmt: skip
def test_what_nobody_here_can_read(pool: str, what: str) -> None:
    """A pool that goes by what stands in requests is no pool for bytes; one that goes by addresses is."""
    found = complaint(f'[[listen]]\n{PLAIN}passthrough = {{ "db.test" = "app" }}\n{POOL}{pool}\n')
    assert (found.line, found.key) == (3, 'listen[0].passthrough."db.test"')
    assert found.message.startswith(f"{what} of pool app goes by what stands in requests")
    read(f'[[listen]]\n{PLAIN}passthrough = {{ "db.test" = "app" }}\n{POOL}balance = "source_hash"\n')
