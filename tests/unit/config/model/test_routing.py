"""What follows from what a route says."""

from __future__ import annotations

import pytest

from lbproxy.config.model import ANYTHING, AS_THEY_ARE, MatchConfig, PathRulesConfig


def test_get_stands_for_head() -> None:
    """And nothing for nothing."""
    assert ANYTHING.all_methods == frozenset()
    assert MatchConfig(methods=("GET", "PUT")).all_methods == {"GET", "HEAD", "PUT"}
    assert MatchConfig(methods=("POST",)).all_methods == {"POST"}


@pytest.mark.parametrize(("rules", "front", "back"), [
    (AS_THEY_ARE, "", ""), (PathRulesConfig(strip="/app"), "/app", ""), (PathRulesConfig(add="/v1"), "", "/v1"),
    (PathRulesConfig(strip="/app", add="/v1"), "/app", "/v1"), (PathRulesConfig(replace=("/old", "/new")), "/old", "/new"),
])  # fmt: skip
def test_prefixes(rules: PathRulesConfig, front: str, back: str) -> None:
    """All three are one prefix in place of another."""
    assert (rules.front, rules.back) == (front, back)
    assert bool(rules) is (rules is not AS_THEY_ARE)
