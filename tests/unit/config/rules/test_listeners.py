"""[[listen]]: what holds between its keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from lbproxy.config.model import Address, Certificate, Listen, ListenTls
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
    pair = Certificate(Path("/base/a.crt"), Path("/k/a.key"), "any")
    assert tls == Listen(Address("::", 443), (pair,), ListenTls("modern", Path("/base/ca.pem"), "required"), False, 2)
    assert plain == Listen(Address("0.0.0.0", 80), (), ListenTls(), True, line_of(text, '":80"'), 7)


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
