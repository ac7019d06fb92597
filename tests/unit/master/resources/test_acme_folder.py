"""The folder of ACME, before anything is read from it."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

import pytest

from lbproxy.errors import StartError
from lbproxy.master.resources.acme_folder import provide
from tests.unit.config.test_acme_names import config


@pytest.fixture
def as_ourselves(monkeypatch: pytest.MonkeyPatch) -> None:
    """No other account: root's is tried in scenarios."""
    monkeypatch.setattr("lbproxy.master.resources.acme_folder.account_for", lambda config: None)


def test_every_name_has_a_pair(tmp_path: Path, as_ourselves: None) -> None:
    """That can be loaded; what is good stays, what is not is put aside."""
    wanted = config("a.test", "b.test", state=tmp_path / "state")
    provide(wanted)
    folder = tmp_path / "state" / "acme"
    before = (folder / "a.test.pem").read_bytes()
    (folder / "b.test.pem").write_bytes(b"half")
    provide(wanted)
    assert (folder / "a.test.pem").read_bytes() == before
    assert (folder / "b.test.pem.unusable").read_bytes() == b"half"
    for path in folder.glob("*.pem"):
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path)
        assert path.stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == folder.parent.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_cannot_be_had(tmp_path: Path, as_ourselves: None) -> None:
    """Is told with the key that names it."""
    with pytest.raises(StartError, match=r"proxy\.state_dir"):
        provide(config("a.test", state=tmp_path / "no" / "such"))
    os.symlink(tmp_path, tmp_path / "link")
    with pytest.raises(StartError):
        provide(config("a.test", state=tmp_path / "link"))


def test_nothing_is_made_where_nothing_is_configured(tmp_path: Path) -> None:
    """Not even the folder."""
    from dataclasses import replace

    provide(replace(config("a.test", state=tmp_path / "state"), acme=None))
    assert not (tmp_path / "state").exists()
