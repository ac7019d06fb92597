"""What a request says of where it goes, as its backend gets it."""

from __future__ import annotations

import pytest

from lbproxy.http.caching.addressing import host_of, in_lower_case, places
from lbproxy.http.message import RequestHead
from tests.unit.http.heads import request


def sent(*fields: str) -> bytes:
    return "\r\n".join(("GET /a HTTP/1.1", *fields, "", "")).encode()


def test_places() -> None:
    """All lines that say one; of Forwarded not whose request it is."""
    assert places(sent("Host: a", "X-Forwarded-Host: B", "x-original-url: /E", "X-Forwarded-For: 1.2.3.4")) == [
        b"\r\nX-Forwarded-Host: B", b"\r\nx-original-url: /E",
    ]  # fmt: skip
    one, two = (places(sent(f'Forwarded: for={who};host=e;by="_x", For="[::1]:5"')) for who in ("1.2.3.4", '"[::2]"'))
    assert one == two == [b"\r\nForwarded: ;host=e;, "]


@pytest.mark.parametrize(("line", "lower"), [
    (b"Host: a.example", None), (b"host:  a.example ", None), (b"Host: A.example", b"Host: a.example"),
    (b"hOST:a.examplE:8080", b"Host:a.example:8080"),
])  # fmt: skip
@pytest.mark.parametrize("others", [((), ()), ((b"A: B",), ()), ((), (b"A: B", b"C: D")), ((b"X-Host: E",), (b"Y: Host: E",))])
def test_capitals(line: bytes, lower: bytes | None, others: tuple[tuple[bytes, ...], tuple[bytes, ...]]) -> None:
    """Told whatever the line looks like and wherever it stands; nothing else of the request changes."""

    def asked(host: bytes) -> RequestHead:
        lines = (*others[0], host, *others[1])
        return request(*lines[1:], host=lines[0])

    assert in_lower_case(asked(line)) == (None if lower is None else asked(lower))


def test_host() -> None:
    assert host_of(sent("X: 1", "hOST:\t Ab.c\t")) == b"Ab.c"
