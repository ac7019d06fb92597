"""Audits and certificates made apart are those made here."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from lbproxy.config.model import Address, CertificateConfig, Config, ListenConfig
from lbproxy.tls import selfsigned
from lbproxy.tls.apart import audit_apart, ensure_apart
from lbproxy.tls.audit import audit


def test_an_audit_says_the_same_apart(tmp_path: Path) -> None:
    config = Config(
        "x.toml", (ListenConfig(Address("127.0.0.1", 1), (CertificateConfig(tmp_path / "a", tmp_path / "b"),), line=7),), (), ()
    )
    _, complaints = audit_apart(config)
    assert complaints == audit(config)
    assert len(complaints) == 2


def test_a_certificate_made_apart_is_the_one_on_disk(tmp_path: Path) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    made = ensure_apart(tmp_path, ["localhost"], now)
    assert made.fresh
    kept = selfsigned.ensure(tmp_path, ["localhost"], now)
    assert (kept.cert, kept.key, kept.fingerprint, kept.expires) == (made.cert, made.key, made.fingerprint, made.expires)
