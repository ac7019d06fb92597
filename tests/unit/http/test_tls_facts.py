"""Names in certificates as one line."""

from __future__ import annotations

import pytest

from lbproxy.http.tls_facts import Name, distinguished_name


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
