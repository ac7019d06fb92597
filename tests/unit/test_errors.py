"""Complaints read well wherever they come from."""

from __future__ import annotations

import pytest

from lbproxy.errors import Complaint


@pytest.mark.parametrize(
    ("complaint", "shown"),
    [
        (Complaint("a.toml", 3, "proxy.workers", "wanted a number", "try 4"), "a.toml:3: proxy.workers: wanted a number (try 4)"),
        (Complaint("a.toml", 0, "proxy.workers", "wanted a number"), "a.toml: proxy.workers: wanted a number"),
        (Complaint("a.toml", 0, "", "is empty"), "a.toml: is empty"),
        (Complaint("", 0, "listen.address", "in use"), "listen.address: in use"),
        (Complaint("", 0, "", "no backends"), "no backends"),
    ],
)
def test_a_complaint_names_what_it_can(complaint: Complaint, shown: str) -> None:
    assert str(complaint) == shown
