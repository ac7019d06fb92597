from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from lbproxy.config.model import Address, CertificateConfig, Config, ListenConfig
from lbproxy.tls.folder_audit import audit_folder, without_unusable
from tests.unit.tls.files import pair, write


@pytest.mark.parametrize("tried", [0, 64])
def test_what_cannot_be_used_of_a_folder_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tried: int) -> None:
    """Told with the reason, the others serve; the same whether each is tried in OpenSSL or, of very many, looked at."""
    monkeypatch.setattr("lbproxy.tls.folder_audit.TRIED", tried)
    good, other = pair(tmp_path, "a.test"), pair(tmp_path, "b.test")
    weak = pair(tmp_path, "weak.test", key=rsa.generate_private_key(65537, 1024))
    loose = pair(tmp_path, "loose.test")
    loose.key.chmod(0o644)
    cut = CertificateConfig(write(tmp_path / "cut.crt", good.cert.read_bytes()[:-40]), good.key)
    listed = (
        good,
        CertificateConfig(other.cert, good.key),
        weak,
        loose,
        cut,
        CertificateConfig(tmp_path / "gone", good.key),
        other,
    )
    listen = ListenConfig(Address("127.0.0.1", 443), line=3, folder=tmp_path, listed=listed)
    found = audit_folder(listen)
    assert [index for index, _ in found] == [1, 2, 3, 4, 5]
    words = ("does not match", "1024 bits", "everybody may use it", "cannot be read", "does not exist")
    assert all(word in why for (_, why), word in zip(found, words, strict=True)), found
    config, complaints = without_unusable(Config("lb.toml", (listen,), (), ()), [found])
    assert config.listen[0].listed == (good, other)
    assert len(config.listen[0].left_out) == 5
    assert complaints == []


def test_a_folder_of_which_nothing_can_be_used_is_refused(tmp_path: Path) -> None:
    """At its line, with the first reason."""
    gone = CertificateConfig(tmp_path / "a.crt", tmp_path / "a.key")
    listen = ListenConfig(Address("127.0.0.1", 443), line=3, folder=tmp_path, listed=(gone,))
    _, complaints = without_unusable(Config("lb.toml", (listen,), (), ()), [audit_folder(listen)])
    assert [(each.line, each.key) for each in complaints] == [(3, "listen[0].certificates")]
    assert "a.crt does not exist" in complaints[0].message
