"""What a request says of where it goes, as its backend gets it."""

from __future__ import annotations

import pytest

from lbproxy.http.caching.addressing import has_capitals, host_of, places


def sent(*fields: str) -> bytes:
    return "\r\n".join(("GET /a HTTP/1.1", *fields, "", "")).encode()


def test_places() -> None:
    """All lines that say one; of Forwarded not whose request it is."""
    assert places(sent("Host: a", "X-Forwarded-Host: B", "x-original-url: /E", "X-Forwarded-For: 1.2.3.4")) == [
        b"\r\nX-Forwarded-Host: B", b"\r\nx-original-url: /E",
    ]  # fmt: skip
    one, two = (places(sent(f'Forwarded: for={who};host=e;by="_x", For="[::1]:5"')) for who in ("1.2.3.4", '"[::2]"'))
    assert one == two == [b"\r\nForwarded: ;host=e;, "]


@pytest.mark.parametrize(("field", "capitals"), [
    ("Host: a.example", False), ("host:  a.example ", False), ("Host: A.example", True), ("host:a.examplE", True),
    ("Host: B.example", False), ("X: 1", False),
])  # fmt: skip
def test_capitals(field: str, capitals: bool) -> None:
    """Told whatever the line looks like. A backend's own name in place of what came is no client's doing."""
    assert has_capitals(b"a.example", sent(field)) is capitals


def test_host() -> None:
    assert host_of(sent("X: 1", "hOST:\t Ab.c\t")) == b"Ab.c"
