"""What follows from what a route says."""

from __future__ import annotations

import pytest

from lbproxy.config.model import ANYTHING, AS_THEY_ARE, Match, PathRules


def test_get_stands_for_head() -> None:
    """And nothing for nothing."""
    assert ANYTHING.all_methods == frozenset()
    assert Match(methods=("GET", "PUT")).all_methods == {"GET", "HEAD", "PUT"}
    assert Match(methods=("POST",)).all_methods == {"POST"}


@pytest.mark.parametrize(("rules", "front", "back"), [
    (AS_THEY_ARE, "", ""), (PathRules(strip="/app"), "/app", ""), (PathRules(add="/v1"), "", "/v1"),
    (PathRules(strip="/app", add="/v1"), "/app", "/v1"), (PathRules(replace=("/old", "/new")), "/old", "/new"),
])  # fmt: skip
def test_prefixes(rules: PathRules, front: str, back: str) -> None:
    """All three are one prefix in place of another."""
    assert (rules.front, rules.back) == (front, back)
    assert bool(rules) is (rules is not AS_THEY_ARE)
