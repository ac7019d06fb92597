"""What listeners show, judged; and what they are asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.audit import answers
from lbproxy.audit.answers import AuditHead, AuditQuestion, Leaf
from lbproxy.audit.finding import Severity
from tests.unit.audit.site import site

NOW = datetime(2026, 12, 1, tzinfo=UTC)
DAY = timedelta(days=1)
HERE = AuditQuestion("a.test", "/")


def leaf(start: int, end: int, *names: str) -> Leaf:
    return Leaf(names or ("a.test",), NOW + start * DAY, NOW + end * DAY)


@pytest.mark.parametrize(("shown", "expected"), [
    (leaf(-10, 80), []),
    (leaf(-80, 10), [("ends on 2026-12-11", None)]),
    (leaf(-4, 2), []),  # of six days, a third of them left
    (leaf(-6, 1), [("ends on", None)]),
    (leaf(-90, -1), [("expired on 2026-11-30", Severity.HIGH)]),
    (leaf(1, 90), [("is not valid before", Severity.HIGH)]),
    (leaf(-10, 80, "b.test", "*.test.a"), [("is for b.test, *.test.a", None)]),
    (leaf(-10, 80, "*.test"), []),
])  # fmt: skip
def test_certificates(shown: Leaf, expected: list[tuple[str, Severity | None]]) -> None:
    found = [evidence for _, evidence in answers.judge_leaf(0, "a.test", shown, NOW)]
    assert len(found) == len(expected)
    for evidence, (words, severity) in zip(found, expected, strict=True):
        assert words in evidence.value
        assert evidence.severity is severity


def test_who_says_no_name_gets_any() -> None:
    assert list(answers.judge_leaf(0, "", leaf(-10, 80, "b.test"), NOW)) == []


@pytest.mark.parametrize(("name", "host", "fits"), [
    ("a.test", "A.test.", True), ("*.a.test", "b.a.test", True), ("*.a.test", "a.test", False), ("*.a.test", "c.b.a.test", False),
    ("*.a.test", ".a.test", False), ("*", "test", False),
])  # fmt: skip
def test_stars_stand_for_one_label(name: str, host: str, fits: bool) -> None:
    assert answers.covers(name, host) is fits


@pytest.mark.parametrize(("tls", "expected"), [
    ("", ("1.0", "1.1")), ('tls = { profile = "modern" }', ("1.0", "1.1", "1.2")), ('tls = { profile = "old" }', ("1.0", "1.1")),
    ('tls = { min_version = "1.3" }', ("1.0", "1.1", "1.2")),
])  # fmt: skip
def test_versions_that_must_not_be_spoken(tls: str, expected: tuple[str, ...]) -> None:
    """Broken ones also where the configuration wants them."""
    assert answers.versions_below(site(listen=tls).listen[0]) == expected


@pytest.mark.parametrize(("changes", "expected"), [
    ({}, [False, True]),
    ({"instead": "redirect_to_https = true -> "}, [False, True]),
    ({"instead": '"0.0.0.0:80"\nredirect_to_https = true -> "127.0.0.1:80"'}, [False, False]),
])  # fmt: skip
def test_where_https_is_meant(changes: dict[str, str], expected: list[bool]) -> None:
    config = site(**changes)
    assert [answers.https_is_meant(config, listen) for listen in config.listen] == expected


def test_what_is_asked() -> None:
    """Each host and path once; a star's place is taken by a label."""
    route = '[[route]]\npool = "app"\nhost = "*.b.test"\npath = "/x"\n'
    other = route.replace("[[route]]", "[[route]]\nmatch = { methods = ['GET'] }")
    config = site(instead=f"[[route]] -> {other}{route}[[route]]")
    assert answers.questions(config, config.listen[0]) == [AuditQuestion("audit.b.test", "/x"), AuditQuestion("", "/")]


@pytest.mark.parametrize(("status", "fields", "secure", "plain"), [
    (200, (), ["live-hsts-missing"], ["live-plain-content"]), (301, (), ["live-hsts-missing"], []), (404, (), [], []),
    (502, (), [], []), (200, (("strict-transport-security", "max-age=1"),), [], ["live-plain-content"]),
])  # fmt: skip
def test_heads(status: int, fields: tuple[tuple[str, str], ...], secure: list[str], plain: list[str]) -> None:
    head = AuditHead(status, fields)
    assert [check.id for check, _ in answers.judge_secure(0, HERE, head)] == secure
    assert [check.id for check, _ in answers.judge_plain(0, HERE, head)] == plain


def test_heads_are_read() -> None:
    head = answers.parse_head(b"HTTP/1.1 200 OK\r\nStrict-Transport-Security: max-age=1\r\nodd")
    assert head == AuditHead(200, (("strict-transport-security", "max-age=1"),))


@given(st.binary())
def test_any_bytes_are_a_head_or_none(data: bytes) -> None:
    for each in (data, b"HTTP/1.1 " + data):
        head = answers.parse_head(each)
        assert head is None or 0 <= head.status <= 999
