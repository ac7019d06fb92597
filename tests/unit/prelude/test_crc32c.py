"""CRC-32C by the values of RFC 3720 B.4."""

from __future__ import annotations

import pytest

from lbproxy.prelude.crc32c import crc32c


@pytest.mark.parametrize(
    ("data", "expected"),
    [(b"", 0), (b"123456789", 0xE3069283), (bytes(32), 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43), (bytes(range(32)), 0x46DD794E)],
)
def test_known_values(data: bytes, expected: int) -> None:
    assert crc32c(data) == expected
