"""Paths as figures are kept by them."""

from __future__ import annotations

import pytest

from lbproxy.balance import path_tally
from lbproxy.proxy.steps.folded_path import LONGEST, folded


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/", "/"), ("*", "*"), ("/a", "/a"), ("/a/", "/a/"), ("/api/v1/users", "/api/v1/users"),
        ("/api/v1/users/", "/api/v1/users"), ("/api/v1/users/x", "/api/v1/*"), ("/users/17", "/users/*"),
        ("/users/17/orders", "/users/*/orders"), ("/reset/3f29ab17c04e5d6f8a", "/reset/*"),
        ("/x/123e4567-e89b-12d3-a456-426614174000", "/x/*"), ("/a-page-that-has-a-long-name", "/a-page-that-has-a-long-name"),
        ("/x/aGVsbG8td29ybGQ5.eyJ4Ijo", "/x/*"), ("/caf\xe9", "/caf?"), ("/" + "x" * 100, "/" + "x" * 46 + "*"),
    ],
)  # fmt: skip
def test_folded(path: str, told: str) -> None:
    """No number, token or depth makes a new one."""
    assert folded(path) == told


def test_all_fit_where_they_are_counted() -> None:
    """The same limit."""
    assert LONGEST == path_tally.LONGEST
