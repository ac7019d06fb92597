"""Rules of later phases: those that a clean request does without, and those that cannot find what they look for.

An answer is looked at apart from its request, by another inspector maybe, and maybe a minute later: the request's head comes with
it, its body does not. To have the body's variables there all rules for bodies would have to run again, which costs more than the
answer's own; the Core Rule Set's for answers look at answers alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lbproxy.waf.overridden import directives

_PHASE = re.compile(r"phase:\s*'?\s*([1-5]|request|response|logging)\b", re.IGNORECASE)
_ID = re.compile(r"\bid:\s*'?\s*([0-9]{1,10})")
_CHAIN = re.compile(r"[\s\",']chain\s*[\",']", re.IGNORECASE)
_RULE = re.compile(r"(?:SecRule\s+(?:\"([^\"]*)\"|(\S+))|SecAction\b|SecRuleScript\b)", re.IGNORECASE)
_OF_BODY = re.compile(
    r"(ARGS_POST|ARGS_POST_NAMES|FILES\w*|MULTIPART_\w+|REQBODY_\w+|REQUEST_BODY|REQUEST_BODY_LENGTH|XML)\Z", re.IGNORECASE
)
_COUNTS = re.compile(r"setvar:\s*'?tx\.dos_burst_time_slice=", re.IGNORECASE)
_ANSWERS, _CLOSING = ("3", "4", "response"), ("5", "logging")
_TELLING = (range(980_000, 981_000), range(912_000, 913_000))
"""Ids of the Core Rule Set's rules for the end of a request: they add up what was found, and count where somebody asked for it."""


def closes_clean(text: str) -> bool:
    """Whether rules for the end of a request do anything about one in which nothing was found."""
    for _, directive, phase in _rules(text):
        if _COUNTS.search(directive):
            return True
        named = _ID.search(directive) if phase in _CLOSING else None
        if named is not None and not any(int(named[1]) in telling for telling in _TELLING):
            return True
    return False


def blind(text: str) -> Iterator[tuple[int, str]]:
    """Lines of rules for answers, and a variable in each that has nothing there: it came with the request's body."""
    for line, directive, phase in _rules(text):
        rule = _RULE.match(directive)
        if phase not in _ANSWERS or rule is None:
            continue
        for each in (rule[1] or rule[2] or "").split("|"):
            name = each.strip().lstrip("&").partition(":")[0]
            if _OF_BODY.match(name):
                yield line, name
                break


def _rules(text: str) -> Iterator[tuple[int, str, str]]:
    """With their phases; one that is chained to another has that one's."""
    phase, chained = "", False
    for line, directive in directives(text):
        if _RULE.match(directive) is None:
            continue
        said = _PHASE.search(directive)
        if not chained:
            phase = "2" if said is None else said[1].lower()
        chained = _CHAIN.search(directive) is not None
        yield line, directive, phase
