"""Names in certificates as one line."""

from __future__ import annotations

import pytest

from lbproxy.http.tls_facts import Name, distinguished_name, listed


@pytest.mark.parametrize(("name", "expected"), [
    ((), ""),
    (((("countryName", "GB"),), (("organizationName", "Isode Limited"),), (("commonName", "Steve Kille"),)),
     "CN=Steve Kille,O=Isode Limited,C=GB"),
    (((("organizationalUnitName", "Sales"), ("commonName", "J.  Smith")),), "OU=Sales+CN=J.  Smith"),
    (((("commonName", 'James "Jim" Smith, III'),),), r"CN=James \"Jim\" Smith\, III"),
    (((("commonName", "Before\rAfter"),),), r"CN=Before\0DAfter"),
    (((("surname", "Lučić"),),), r"surname=Lu\C4\8Di\C4\87"),
    (((("commonName", "#a "),),), r"CN=\#a\ "),
    (((("commonName", " "),),), r"CN=\ "),
])  # fmt: skip
def test_rfc_4514(name: Name, expected: str) -> None:
    """Its own examples (section 4), and what it says about blanks."""
    assert distinguished_name(name) == expected


def test_alternative_names_in_one_value() -> None:
    """What could be taken for the end of one is written in percent."""
    odd = ("a.test", "b,c;d", 'e"f\\g', "h i\r\nEvil: 1", "\xe9")
    assert listed(odd) == "a.test,b%2Cc%3Bd,e%22f%5Cg,h%20i%0D%0AEvil:%201,%C3%A9"
    assert listed(()) == ""
