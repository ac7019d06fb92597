"""Names in clients' certificates, and which of them a route lets in."""

from __future__ import annotations

import pytest

from lbproxy.filter.certificate_names import CertificateNames, is_spiffe_id

WEB = "spiffe://example.org/ns/a/sa/web"


@pytest.mark.parametrize(("lists", "names", "admitted"), [
    ((["web.example"], [], [], []), (["web.example"], [], []), True),
    ((["web.example"], [], [], []), (["WEB.example."], [], []), True),
    ((["web.example"], [], [], []), (["a.web.example"], [], []), False),
    ((["*.svc.example"], [], [], []), (["a.svc.example"], [], []), True),
    ((["*.svc.example"], [], [], []), (["b.a.svc.example"], [], []), True),
    ((["*.svc.example"], [], [], []), (["svc.example"], [], []), False),
    ((["*.svc.example"], [], [], []), (["evilsvc.example"], [], []), False),
    ((["*.svc.example"], [], [], []), (["*.svc.example"], [], []), False),
    (([], ["ops@example.com"], [], []), ([], ["ops@EXAMPLE.com"], []), True),
    (([], ["ops@example.com"], [], []), ([], ["OPS@example.com"], []), False),
    (([], ["*@example.com"], [], []), ([], ["a@example.com"], []), True),
    (([], ["*@example.com"], [], []), ([], ["a@b@example.com"], []), False),
    (([], ["*@example.com"], [], []), ([], ["@example.com"], []), False),
    (([], ["*@example.com"], [], []), ([], ["a@sub.example.com"], []), False),
    (([], [], ["urn:device:*"], []), ([], [], ["urn:device:7"]), True),
    (([], [], ["https://ca.example/clients/*"], []), ([], [], ["https://ca.example/clients/a/b"]), False),
    (([], [], ["https://ca.example/**"], []), ([], [], ["https://ca.example/clients/a/b"]), True),
    (([], [], ["https://ca.example/a.b"], []), ([], [], ["https://ca.example/aXb"]), False),
    (([], [], [], [WEB]), ([], [], [WEB]), True),
    (([], [], [], [WEB]), ([], [], [WEB, "urn:a"]), False),
    (([], [], [], [WEB]), ([], [], [WEB + "\n"]), False),
    (([], [], [], ["spiffe://example.org/ns/*/sa/web"]), ([], [], [WEB]), True),
    (([], [], [], ["spiffe://example.org/ns/*/sa/web"]), ([], [], ["spiffe://example.org/ns/a/sa/b/sa/web"]), False),
    (([], [], [], ["spiffe://example.org/ns/*/sa/web"]), ([], [], ["spiffe://example.org/ns//sa/web"]), False),
    (([], [], [], ["spiffe://example.org/ns/a/**"]), ([], [], [WEB]), True),
    (([], [], [], ["spiffe://example.org/ns/a/**"]), ([], [], ["spiffe://example.org/ns/ab/sa"]), False),
    (([], [], [], ["spiffe://example.org/**"]), ([], [], ["spiffe://example.org.evil/ns"]), False),
    (([], [], [], ["spiffe://example.org/**"]), ([], [], ["spiffe://example.org/a/../b"]), False),
    (([], [], [], ["spiffe://example.org/**"]), ([], [], ["spiffe://example.org/a?x"]), False),
    (([], [], [], []), ([], [], []), True),
    ((["a.test"], [], [], [WEB]), (["b.test"], [], [WEB]), True),
    ((["a.test"], [], [], []), ([], ["a.test"], ["a.test"]), False),
])  # fmt: skip
def test_who_may_come_in(lists: tuple[list[str], ...], names: tuple[list[str], ...], admitted: bool) -> None:
    assert CertificateNames(*lists).admit(*names) is admitted


@pytest.mark.parametrize("uri", [
    "spiffe://Example.org/a", "spiffe://example.org", "spiffe://example.org/", "spiffe://example.org/a/", "spiffe://u@example.org/a",
    "spiffe://example.org:1/a", "spiffe:///a", "https://example.org/a", "spiffe://example.org/a/./b",
    "spiffe://example.org/" + "a" * 3000,
    "SPIFFE://example.org/a", "spiffe://example.org/%61",
])  # fmt: skip
def test_what_is_no_spiffe_id(uri: str) -> None:
    assert not is_spiffe_id(uri)
