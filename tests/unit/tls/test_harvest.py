"""Pairs of a large folder are read once, where they are judged, and are then what they would be if they were read."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from lbproxy.config.certificate_folder import pairs_in
from lbproxy.config.model import Address, Config, ListenConfig, ProcessConfig
from lbproxy.tls import contexts
from lbproxy.tls.apart import audit_apart
from lbproxy.tls.harvest import Harvest
from lbproxy.tls.keystore import KeyStore
from lbproxy.tls.remarks import remarks
from lbproxy.tls.stored import sources
from tests.unit.tls.handshakes import Issuer


def folder_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *names: str) -> ListenConfig:
    """Of few pairs, which are taken for many."""
    for module in ("folder_audit", "contexts"):
        monkeypatch.setattr(f"lbproxy.tls.{module}.TRIED", 1)
    issuer = Issuer(tmp_path)
    certs = tmp_path / "certs"
    certs.mkdir()
    for name in names:
        cert, key = issuer.issue(name)
        cert.rename(certs / f"{name}.crt")
        key.rename(certs / f"{name}.key")
    return ListenConfig(Address("127.0.0.1", 1), folder=certs, listed=pairs_in(certs).pairs)


@pytest.mark.parametrize("isolated", [False, True])
def test_what_was_judged_is_what_is_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, isolated: bool) -> None:
    listen = folder_of(tmp_path, monkeypatch, "a.test", "b.test", "c.test")
    config = Config("x.toml", (listen,), (), (), proxy=ProcessConfig(key_isolation=isolated))
    harvest = Harvest()
    judged, complaints = audit_apart(config, harvest)
    assert (judged, complaints) == (config, [])
    with closing(KeyStore()) as store, closing(KeyStore(beside=store)) as vault, closing(KeyStore()) as again:
        ready = harvest.into(store, vault if isolated else None)
        assert set(ready) == {*listen.listed}
        read = contexts.read_pems(listen.pairs, again)
        for files, pem in zip(listen.pairs, read, strict=True):
            one, other = ready[files], contexts.held_of(pem)
            assert one.facts == other.facts
            for (here, piece), (there, its) in zip(one.pem.pieces(), other.pem.pieces(), strict=True):
                assert here.text(*piece) == there.text(*its)
            assert (one.pem.pieces()[1][0] is vault) == isolated
            for path in (files.cert, files.key):
                assert (store.digests[path], store.stamps[path]) == (again.digests[path], again.stamps[path])


def test_nothing_is_read_a_second_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listen = folder_of(tmp_path, monkeypatch, "a.test", "b.test")
    config = Config("x.toml", (listen,), (), ())
    harvest = Harvest()
    audit_apart(config, harvest)
    for path in listen.folder.iterdir() if listen.folder is not None else ():
        path.unlink()
    with closing(KeyStore()) as store:
        ready = harvest.into(store, None)
        shown = contexts.credentials(listen, contexts.read_pems(listen.pairs, store, ready=ready), ready=ready)
        assert [one.candidate.names.dns for one in shown.held] == [("a.test",), ("b.test",)]
        assert [one.term.what for one in remarks(config, sources(config, [shown], {})).dated] == [
            "the certificate of a.test",
            "the certificate of b.test",
        ]


def test_what_is_not_plainly_good_is_looked_at_closely(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that others may read, one of another certificate, and one that is cut short: told in words, and in no store."""
    listen = folder_of(tmp_path, monkeypatch, "a.test", "b.test", "c.test", "d.test")
    folder = tmp_path / "certs"
    (folder / "b.test.key").chmod(0o644)
    (folder / "c.test.key").write_bytes((folder / "a.test.key").read_bytes())
    (folder / "d.test.key").write_bytes((folder / "d.test.key").read_bytes()[:60])
    harvest = Harvest()
    config, complaints = audit_apart(Config("x.toml", (listen,), (), ()), harvest)
    assert complaints == []
    assert [pair.cert.stem for pair in config.listen[0].listed] == ["a.test"]
    b, c, d = config.listen[0].left_out
    assert "everybody may use it" in b
    assert "does not match" in c
    assert "d.test.key" in d
    with closing(KeyStore()) as store:
        assert [files.cert.stem for files in harvest.into(store, None)] == ["a.test"]


def test_a_key_of_another_kind_is_none_for_a_process_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listen = folder_of(tmp_path, monkeypatch, "a.test", "b.test")
    monkeypatch.setattr("lbproxy.tls.remote_key.KINDS", ("RSA",))
    with closing(Harvest()) as harvest:
        whole = Config("x.toml", (listen,), (), (), proxy=replace(ProcessConfig(), key_isolation=True))
        config, complaints = audit_apart(whole, harvest)
        assert config.listen[0].listed == ()
        assert "none of the certificates" in complaints[-1].message
