"""Facts of a file are plain values: what they tell is seen in test_remarks.py, here that they travel, and what has none."""

from __future__ import annotations

import json
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lbproxy.tls.facts import facts_in, heard_facts, told_facts
from lbproxy.tls.sni import UNKNOWN
from tests.unit.tls.handshakes import Issuer

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_they_are_heard_as_they_were_told(tmp_path: Path) -> None:
    """Dates to the second, also of one that nobody but OpenSSL understands."""
    cert, _ = Issuer(tmp_path).issue("a.test", "10.0.0.5")
    strange = ssl.DER_cert_to_PEM_cert(b"\x30\x00").encode()
    for content in (cert.read_bytes(), strange):
        facts = facts_in(cert, content)
        assert heard_facts(json.loads(json.dumps(told_facts(facts)))) == facts
    assert facts_in(cert, strange).candidate is UNKNOWN
    assert UNKNOWN.current(NOW)
    assert "breaks a rule" in facts_in(cert, strange).notes[0].message


def test_of_what_is_no_certificate() -> None:
    path = Path("x.crt")
    with pytest.raises(ValueError, match="PEM"):
        facts_in(path, b"")
    with pytest.raises(ValueError, match=r"(?i)certificate"):
        facts_in(path, b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
