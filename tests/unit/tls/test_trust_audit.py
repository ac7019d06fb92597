"""Which authorities and lists of revoked certificates may go live."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from lbproxy.tls.trust_audit import Trust, unfit
from tests.unit.tls.files import NOW
from tests.unit.tls.handshakes import Issuer


def test_what_fits(tmp_path: Path) -> None:
    """Authorities alone, lists alone, both; several of which one has a list, in either form."""
    one, other = Issuer(tmp_path, "one"), Issuer(tmp_path, "other")
    both = tmp_path / "both.pem"
    both.write_bytes(one.file.read_bytes() + other.file.read_bytes())
    crl = one.write_list(encoding=Encoding.DER)
    for trust in (Trust(one.file, None), Trust(None, crl), Trust(both, crl), Trust(None, None)):
        assert unfit(trust, NOW) == ""
    assert Trust(both, crl).files == (both, crl)
    assert Trust(None, crl).files == (crl,)


def test_what_does_not(tmp_path: Path) -> None:
    """Each for a reason that says what to look at."""
    one, other = Issuer(tmp_path, "one"), Issuer(tmp_path, "other")
    crl = one.write_list()
    assert "is not signed by who is called so" in unfit(Trust(_namesake(tmp_path), crl), NOW)
    assert "holds no list of anybody in" in unfit(Trust(other.file, crl), NOW)
    assert "is good from" in unfit(Trust(one.file, crl), NOW + timedelta(days=8))
    assert "is good from" in unfit(Trust(one.file, crl), NOW - timedelta(days=30))
    assert "does not exist" in unfit(Trust(tmp_path / "gone", None), NOW)
    assert "holds no certificate" in unfit(Trust(crl, None), NOW)
    assert "holds no list of revoked certificates" in unfit(Trust(one.file, one.file), NOW)


def _namesake(folder: Path) -> Path:
    aside = folder / "aside"
    aside.mkdir()
    return Path(shutil.copy(Issuer(aside, "one").file, folder / "namesake.pem"))
