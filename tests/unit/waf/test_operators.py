"""Conditions of rules that can never be met are seen in the text, since the engine takes them without a word."""

from __future__ import annotations

import pytest

from lbproxy.waf.operators import KNOWN, ids, open_chain, operators, patterns

ACTIONS = '"id:1,phase:2,deny"'


@pytest.mark.parametrize(
    ("variables", "condition", "found"),
    [
        ("ARGS", '"@rx a b"', ["a b"]),
        ("ARGS", '"!@rx a\\"b"', ['a\\"b']),
        ("ARGS", '"(a|b)"', ["(a|b)"]),
        ("ARGS", '"!a"', ["a"]),
        ("ARGS", "(a|b)", ["(a|b)"]),
        ('"ARGS|!ARGS:/^x|y$/|ARGS_NAMES"', '"@RX z"', ["^x|y$", "z"]),
        ("ARGS:'/a\\/b/'", '"@contains ("', ["a\\/b"]),
        ("XML:/*|XML://@*", '"@contains ("', []),
        ("ARGS", '"@rx ^%{tx.a}$"', []),
        ("ARGS", '"@pm ( ["', []),
    ],
)
def test_patterns(variables: str, condition: str, found: list[str]) -> None:
    """Of operators, of those that are none, and of names of variables; not what is a path, or known when a request comes alone."""
    assert list(patterns(f"\n# SecRule\nSecRule {variables} {condition} {ACTIONS}\n")) == [(3, each) for each in found]


def test_patterns_elsewhere() -> None:
    """Of what is left out of another rule; and what stands on several lines is left to the engine."""
    assert list(patterns('SecRuleUpdateTargetById 1 "!ARGS:/a(/"')) == [(1, "a(")]
    assert list(patterns('SecRule ARGS "@rx a(\\\n   b)" \\\n "id:1"\n')) == []
    assert list(patterns('SecAction "id:1,msg:\'a: /(/\'"')) == []


def test_operators_are_named() -> None:
    """In small letters."""
    text = f'SecRule ARGS "!@pmFromFile a.data" {ACTIONS}\nSecRule ARGS "@new x" {ACTIONS}\nSecRule ARGS x {ACTIONS}\n'
    assert list(operators(text)) == [(1, "pmfromfile"), (2, "new"), (3, "rx")]
    assert [name in KNOWN for _, name in operators(text)] == [True, False, True]


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (["SecRule A b \"id:1,chain\"", "SecRule A c"], None),
        (["SecRule A b \"id:1\"", "SecRule A b \"id:2,chain\""], 2),
        (["SecRule A b \"id:2,chain,deny\"", "SecMarker x"], 1),
        (["SecRule A b \"id:2,chain,deny\"", "Include x"], None),
        (["SecRule A \"@rx chain\" \"id:2,msg:'a chain of'\""], None),
        (["SecRule A \"@rx ,chain,\" \"id:2,msg:'a, chain, of'\""], None),
        ([], None),
    ],
)  # fmt: skip
def test_a_chain_has_an_end(lines: list[str], found: int | None) -> None:
    """The line of the one that waits."""
    assert open_chain("\n".join(lines)) == found


def test_ids_have_lines() -> None:
    """Where a rule begins."""
    assert list(ids('\nSecRule A b \\\n  "phase:2,id:7"\nSecAction "id:\'8\'"\nSecMarker id:9\n')) == [(2, 7), (4, 8)]
