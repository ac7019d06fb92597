"""Parts of the conditions of rules, since the engine takes without a word what can never be met: a pattern that is none, an
operator that it does not know (it takes that for a pattern), and a rule that waits for another one at the end of its file."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lbproxy.waf.overridden import directives

_RULE = re.compile(r'SecRule\s+("(?:[^"\\]|\\.)*"|\S+)\s+("(?:[^"\\]|\\.)*"|\S+)(?:\s+(.*))?$', re.IGNORECASE | re.DOTALL)
_UPDATE = re.compile(r"SecRuleUpdateTargetBy\w+\s+(?:\"[^\"]*\"|\S+)\s+(.*)$", re.IGNORECASE | re.DOTALL)
_LINK = re.compile(r"(?:SecRule|SecAction|SecRuleScript|Include)\s", re.IGNORECASE)
_SELECTED = re.compile(r"(?<!XML):'?/((?:[^/\\]|\\.)+)/", re.IGNORECASE)
_OPERATOR = re.compile(r"!?\s*@([A-Za-z0-9_]+)\s*(.*)\Z", re.DOTALL)
_SAID = re.compile(r"'(?:[^'\\]|\\.)*'")
_CHAIN = re.compile(r'(?:^|[,"])\s*chain\s*(?:[,"]|$)', re.IGNORECASE)
_ID = re.compile(r"\bid:\s*'?\s*([0-9]{1,10})")
_PATTERNS = ("rx", "rxglobal")
_OF_FILES = ("pmfromfile", "pmf", "ipmatchfromfile", "ipmatchf")
KNOWN = frozenset((
    "beginswith", "contains", "containsword", "detectsqli", "detectxss", "endswith", "eq", "fuzzyhash", "ge", "geolookup",
    "gsblookup", "gt", "inspectfile", "ipmatch", "ipmatchf", "ipmatchfromfile", "le", "lt", "nomatch", "pm", "pmf", "pmfromfile",
    "rbl", "rsub", "rx", "rxglobal", "streq", "strmatch", "unconditionalmatch", "validatebyterange", "validatedtd",
    "validatehash", "validateschema", "validateurlencoding", "validateutf8encoding", "verifycc", "verifycpf", "verifyssn",
    "verifysvnr", "within",
))  # fmt: skip
"""Operators of libmodsecurity 3.0.9, in small letters; of others an engine has to say whether it knows them."""


def patterns(text: str) -> Iterator[tuple[int, str]]:
    """With the lines of their rules, as the engine gets them: operators', and those that choose variables by their names. What is
    made of variables only when a request comes is left out, and so is what stands on several lines."""
    for line, directive in directives(text):
        found: list[str] = []
        if (rule := _RULE.match(directive)) is not None:
            found += _SELECTED.findall(rule[1])
            name, argument = _condition(rule[2])
            found += [argument] if name in _PATTERNS else []
        elif (update := _UPDATE.match(directive)) is not None:
            found += _SELECTED.findall(update[1])
        yield from ((line, each) for each in found if "%{" not in each and each in text)


def operators(text: str) -> Iterator[tuple[int, str]]:
    """Names in small letters, with the lines of their rules."""
    for line, directive in directives(text):
        if (rule := _RULE.match(directive)) is not None:
            yield line, _condition(rule[2])[0]


def data_files(text: str) -> Iterator[str]:
    """Those that conditions name, as they name them."""
    for _, directive in directives(text):
        if (rule := _RULE.match(directive)) is not None:
            name, argument = _condition(rule[2])
            if name in _OF_FILES:
                yield argument.strip()


def open_chain(text: str) -> int | None:
    """The line of a rule at the end that waits for another one, and so never does anything."""
    waits: int | None = None
    for line, directive in directives(text):
        if _LINK.match(directive) is not None:
            rule = _RULE.match(directive)
            actions = "" if rule is None else rule[3] or ""
            waits = line if _CHAIN.search(_SAID.sub("", actions)) is not None else None
    return waits


def ids(text: str) -> Iterator[tuple[int, int]]:
    """Lines, and the ids of their rules."""
    for line, directive in directives(text):
        if _LINK.match(directive) is not None and (named := _ID.search(directive)) is not None:
            yield line, int(named[1])


def _condition(quoted: str) -> tuple[str, str]:
    """Operator and argument."""
    said = quoted[1:-1] if quoted.startswith('"') else quoted
    if (named := _OPERATOR.match(said)) is not None:
        return named[1].lower(), named[2]
    return "rx", said.removeprefix("!")
