"""Presets of security headers, and HSTS."""

from __future__ import annotations

import pytest

from lbproxy.config.model import Hsts
from lbproxy.http.presets import PRESETS, defaults, hsts_value


@pytest.mark.parametrize(("hsts", "expected"), [
    (Hsts(), ""), (Hsts(0), "max-age=0"), (Hsts(60, True), "max-age=60; includeSubDomains"),
    (Hsts(60, True, True), "max-age=60; includeSubDomains; preload"),
])  # fmt: skip
def test_the_field(hsts: Hsts, expected: str) -> None:
    """RFC 6797 6.1."""
    assert hsts_value(hsts) == expected


def test_hsts_goes_over_tls_only() -> None:
    """RFC 6797 7.2."""
    assert defaults("off", Hsts(60), secure=True) == (("Strict-Transport-Security", "max-age=60"),)
    assert defaults("off", Hsts(60), secure=False) == ()
    assert defaults("off", Hsts(), secure=True) == ()


def test_strict_says_all_that_basic_says() -> None:
    """And no field twice."""
    names = {preset: [name for name, _ in lines] for preset, lines in PRESETS.items()}
    assert set(names["basic"]) < set(names["strict"])
    assert all(len(set(found)) == len(found) for found in names.values())
