"""What is wrong only when the parts are seen together."""

from __future__ import annotations

import pytest

from lbproxy.balance.ledger import SLOTS
from lbproxy.config.check import MAX_COUNTED
from tests.unit.config.text import LEAST, complaint, read


def listening_on(*addresses: str) -> str:
    listeners = "".join(f'[[listen]]\naddress = "{address}"\n' for address in addresses)
    return f'{listeners}[[route]]\npool = "app"\n[pool.app]\nbackends = ["10.0.0.1:80"]\n'


@pytest.mark.parametrize("addresses", [
    (":80", ":81"), ("0.0.0.0:80", "[::]:80"), ("127.0.0.1:80", "127.0.0.2:80"), ("[::1]:80", "0.0.0.0:80"),
])  # fmt: skip
def test_listeners_side_by_side(addresses: tuple[str, ...]) -> None:
    """Different ports, families or addresses."""
    assert len(read(listening_on(*addresses)).listen) == 2


@pytest.mark.parametrize(("addresses", "message"), [
    ((":80", "0.0.0.0:80"), "0.0.0.0:80 is listened on already by line 2"),
    (("[::1]:80", "[0:0::1]:80"), "[::1]:80 is listened on already by line 2"),
    (("0.0.0.0:80", "127.0.0.1:80"), "127.0.0.1:80 cannot be had together with 0.0.0.0:80 of line 2"),
    (("[::1]:80", "[::]:80"), "[::]:80 cannot be had together with [::1]:80 of line 2"),
])  # fmt: skip
def test_listeners_in_each_others_way(addresses: tuple[str, ...], message: str) -> None:
    """The later one is complained of."""
    found = complaint(listening_on(*addresses))
    assert (found.line, found.message) == (4, message)


def test_metrics_take_an_address_too() -> None:
    """They cannot share a listener's."""
    found = complaint(listening_on(":80") + '[metrics]\naddress = "127.0.0.1:80"')
    assert (found.line, found.key) == (8, "metrics.address")


def routes(*pairs: tuple[str | None, str]) -> str:
    text = '[[listen]]\naddress = ":1"\n'
    for host, path in pairs:
        text += "[[route]]\n" + (f'host = "{host}"\n' if host else "") + f'path = "{path}"\npool = "app"\n'
    return text + '[pool.app]\nbackends = ["10.0.0.1:80"]\n'


@pytest.mark.parametrize(("earlier", "later"), [
    ((None, "/api"), (None, "/apis")), ((None, "/api/"), (None, "/api")), (("a.example.com", "/"), ("*.example.com", "/")),
    (("*.example.com", "/"), ("example.com", "/")), (("*.example.com", "/"), ("b.a.example.com", "/")), (("a", "/"), (None, "/")),
    (("a", "/"), ("b", "/")),
])  # fmt: skip
def test_routes_that_are_reached(earlier: tuple[str | None, str], later: tuple[str | None, str]) -> None:
    """Something is left for the later one."""
    assert len(read(routes(earlier, later)).routes) == 2


@pytest.mark.parametrize(("earlier", "later", "hint"), [
    ((None, "/"), (None, "/api"), "move this one above it"),
    ((None, "/"), ("a", "/"), "move this one above it"),
    ((None, "/api"), ("a", "/api/v1"), "move this one above it"),
    (("*.example.com", "/"), ("a.example.com", "/x"), "move this one above it"),
    (("*.example.com", "/"), ("*.example.com", "/x"), "move this one above it"),
    (("a", "/x"), ("A", "/x"), "take one of them out"),
])  # fmt: skip
def test_routes_never_reached(earlier: tuple[str | None, str], later: tuple[str | None, str], hint: str) -> None:
    """First match wins, so a general route before a particular one hides it."""
    found = complaint(routes(earlier, later))
    assert "never reached: the one on line 3 matches first" in found.message
    assert found.hint == hint


def test_a_backend_twice() -> None:
    """Whatever stands between the two; the later line is named, and what it was probably meant for."""
    backends = 'backends = ["b:1",\n"a:1",\n"10.0.0.1:1",\n"B:1"]'
    found = complaint(LEAST.replace('backends = ["10.0.0.1:80"]', backends))
    assert (found.line, found.message, found.hint) == (
        10,
        "b:1 is in this pool already, on line 7",
        "for a larger share set its weight",
    )


def test_not_more_backends_than_the_ledger_has_slots() -> None:
    """Over all pools; a listener takes one, too."""
    assert MAX_COUNTED == SLOTS
    many = ", ".join(f'"a:{port}"' for port in range(1, MAX_COUNTED))
    read(LEAST.replace('"10.0.0.1:80"', many))
    assert (
        f"wanted at most {MAX_COUNTED}" in complaint(LEAST.replace('"10.0.0.1:80"', many) + '[pool.b]\nbackends = ["a:1"]').message
    )


def test_routes_that_nobody_passes() -> None:
    """A route wants certificates, and no listener asks for any."""
    text = LEAST.replace("[[route]]", "[[route]]\nclient_certificate = {}", 1)
    assert "nobody passes" in complaint(text).message
