"""What differs between two values of a table."""

from __future__ import annotations

import pytest

from lbproxy.config.edits import HIDDEN, Edit, edits, told
from lbproxy.config.key import shape_of
from lbproxy.config.model import (
    HeaderRulesConfig,
    HeadersConfig,
    NearTimeoutsConfig,
    PoolConfig,
    RefuseConfig,
    RouteConfig,
    RouteFiltersConfig,
    StickyConfig,
)


@pytest.mark.parametrize(("old", "new", "expected"), [
    ("a", "a", []), (None, None, []),
    (True, 1, [Edit("x", "true", "1")]),
    (None, "a", [Edit("x", None, "a")]), (5, None, [Edit("x", "5", None)]),
    (["a", "b"], ["b", "c"], [Edit("x", "a", None), Edit("x", None, "c")]),
    ({"k": "a", "l": "b"}, {"k": "c", "m": "d"}, [Edit("x.k", "a", "c"), Edit("x.l", "b", None), Edit("x.m", None, "d")]),
])  # fmt: skip
def test_words_lists_and_tables(old: object, new: object, expected: list[Edit]) -> None:
    """Of lists and of tables what is not on both sides."""
    assert list(told("x", old, new)) == expected


def test_keys_of_parts_and_tables() -> None:
    """Keys first, then the tables inside; those of parts are the table's own; a list of tables has a line for each."""
    old = RouteConfig("a")
    new = RouteConfig(
        "b",
        headers=HeadersConfig(HeaderRulesConfig(set=(("A", "x"),), remove=("B",))),
        filters=RouteFiltersConfig(methods=("GET",), refuse=(RefuseConfig("bots", header="User-Agent", value="*bot*"),)),
        timeouts=NearTimeoutsConfig(connect=1.5),
    )
    assert [(edit.key, edit.old, edit.new) for edit in edits(old, new, shape_of(RouteConfig))] == [
        ("pool", "a", "b"),
        ("methods", None, "GET"),
        ("request_headers.set.A", None, HIDDEN),
        ("request_headers.remove", None, "B"),
        ("refuse", None, "bots (header User-Agent, value *bot*)"),
        ("timeouts.connect", None, "1s500ms"),
    ]


def test_tables_that_come_and_go() -> None:
    """On or off, and what in them is no default."""
    old, new = PoolConfig("p", ()), PoolConfig("p", (), sticky=StickyConfig("c"))
    assert list(edits(old, new, shape_of(PoolConfig))) == [Edit("sticky", "off", "on"), Edit("sticky.cookie", "lbproxy", "c")]
