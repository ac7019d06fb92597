from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import PrivateFormat

from lbproxy.config.model import (
    Address,
    CertificateConfig,
    Config,
    ListenConfig,
    ListenTlsConfig,
    PoolConfig,
    PoolTlsConfig,
    ProcessConfig,
)
from lbproxy.errors import Complaint
from lbproxy.tls.audit import audit
from lbproxy.tls.folder_audit import audit_folder
from tests.unit.tls.files import container, ec_key, key_pem, pair, with_word, write

HERE = Address("127.0.0.1", 443)
NOBODY = 65534


def config(*certificates: CertificateConfig, tls: ListenTlsConfig | None = None, pool_tls: PoolTlsConfig | None = None) -> Config:
    pools = (PoolConfig("api", (), tls=pool_tls, line=21),) if pool_tls else ()
    listen = ListenConfig(HERE, certificates, tls or ListenTlsConfig(), line=7)
    return Config("lb.toml", (listen,), (), pools)


def only(complaints: list[Complaint]) -> Complaint:
    assert len(complaints) == 1, "\n".join(map(str, complaints))
    return complaints[0]


@pytest.fixture
def good(tmp_path: Path) -> CertificateConfig:
    return pair(tmp_path, "good.test")


def test_good_files_have_no_complaint(tmp_path: Path, good: CertificateConfig) -> None:
    """Listener, client authority, pool authority and pool certificate."""
    pool_tls = PoolTlsConfig(ca=good.cert, cert=good.cert, key=good.key)
    assert audit(config(good, pair(tmp_path, "b.test"), tls=ListenTlsConfig(client_ca=good.cert), pool_tls=pool_tls)) == []


def test_a_chain_with_its_intermediate_is_good(tmp_path: Path) -> None:
    """Leaf first, then who signed it."""
    leaf = trustme.CA().create_child_ca().issue_cert("good.test")
    assert len(leaf.cert_chain_pems) == 2
    chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
    files = CertificateConfig(write(tmp_path / "c.pem", chain), write(tmp_path / "k.pem", leaf.private_key_pem.bytes()))
    assert audit(config(files)) == []


def test_every_file_is_looked_at_and_all_is_told_at_once(tmp_path: Path, good: CertificateConfig) -> None:
    """In the order of the configuration, each with file, line and key."""
    gone = tmp_path / "gone.pem"
    broken = config(
        good,
        CertificateConfig(gone, gone),
        tls=ListenTlsConfig(client_ca=gone),
        pool_tls=PoolTlsConfig(ca=gone, cert=gone, key=gone),
    )
    complaints = audit(broken)
    assert [(complaint.file, complaint.line, complaint.key) for complaint in complaints] == [
        ("lb.toml", 7, "listen[0].certificates[1].cert"),
        ("lb.toml", 7, "listen[0].certificates[1].key"),
        ("lb.toml", 7, "listen[0].tls.client_ca"),
        ("lb.toml", 21, "pool.api.tls.ca"),
        ("lb.toml", 21, "pool.api.tls.cert"),
        ("lb.toml", 21, "pool.api.tls.key"),
    ]
    assert {complaint.message for complaint in complaints} == {f"{gone} does not exist"}


def empty(path: Path) -> Path:
    return write(path, b"")


def der(path: Path) -> Path:
    return write(path, b"\x30\x82\x01\x0a")


def text(path: Path) -> Path:
    return write(path, b"hello")


def folder(path: Path) -> Path:
    path.mkdir()
    return path


def fifo(path: Path) -> Path:
    os.mkfifo(path)
    return path


def request(path: Path) -> Path:
    return write(path, b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (empty, "it is empty"),
        (der, "DER or PKCS #12"),
        (text, "it is something else"),
        (folder, "is a directory"),
        (fifo, "is no regular file"),
        (request, "certificate request, not yet signed"),
    ],
)
def test_what_is_no_certificate_and_no_key(
    tmp_path: Path, good: CertificateConfig, make: Callable[[Path], Path], says: str
) -> None:
    """Told for certificates, keys and authorities alike; a FIFO does not block."""
    odd = make(tmp_path / "odd.pem")
    for broken in (CertificateConfig(odd, good.key), CertificateConfig(good.cert, odd)):
        complaint = only(audit(config(broken)))
        assert says in complaint.message
        assert str(odd) in complaint.message
    assert says in only(audit(config(good, tls=ListenTlsConfig(client_ca=odd)))).message


def test_swapped_files_are_recognised(good: CertificateConfig) -> None:
    """The message says what came instead."""
    cert, key = audit(config(CertificateConfig(good.key, good.cert)))
    assert cert.message.endswith("holds no certificate in PEM form (it holds a private key)")
    assert key.message.endswith("holds no private key in PEM form (it holds a certificate)")


def test_a_broken_certificate(tmp_path: Path, good: CertificateConfig) -> None:
    """PEM outside, rubbish inside."""
    broken = write(tmp_path / "broken.crt", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    assert "cannot be read" in only(audit(config(CertificateConfig(broken, good.key)))).message


def test_a_broken_key(tmp_path: Path, good: CertificateConfig) -> None:
    """As OpenSSL sees it."""
    broken = write(tmp_path / "broken.key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    complaint = only(audit(config(CertificateConfig(good.cert, broken))))
    assert complaint.key == "listen[0].certificates[0].key"
    assert "cannot be used with" in complaint.message


@pytest.mark.parametrize("style", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_an_encrypted_key_is_refused_with_the_way_out(tmp_path: Path, style: PrivateFormat) -> None:
    """In both forms of encryption."""
    key = ec_key()
    files = pair(tmp_path, "good.test", key=key)
    files.key.write_bytes(key_pem(key, b"secret", style))
    complaint = only(audit(config(files)))
    assert "encrypted with a passphrase" in complaint.message
    assert "passphrase = {" in complaint.hint
    assert f"openssl pkey -in {files.key} " in complaint.hint


@pytest.mark.parametrize("style", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_a_passphrase_opens_it(tmp_path: Path, style: PrivateFormat) -> None:
    """A wrong one is told with file, line and a hint, and is told to nobody; so is one that is not there."""
    key = ec_key()
    files = pair(tmp_path, "good.test", key=key)
    files.key.write_bytes(key_pem(key, b"secret", style))
    word = write(tmp_path / "word", b"secret\nsomething else\n")
    files = with_word(files, word)
    assert audit(config(files)) == []
    assert audit_folder(ListenConfig(HERE, folder=tmp_path, listed=(files,) * 70)) == []
    write(word, b"s3cret-of-another\n")
    complaint = only(audit(config(files)))
    assert (complaint.file, complaint.line, complaint.key) == ("lb.toml", 7, "listen[0].certificates[0].key")
    assert "does not open with its passphrase" in complaint.message
    assert "openssl pkey" in complaint.hint
    assert "s3cret" not in str(complaint)
    word.chmod(0o644)
    complaint = only(audit(config(files)))
    assert complaint.key == "listen[0].certificates[0].passphrase"
    assert "everybody may use it" in complaint.message
    word.unlink()
    assert "does not exist" in only(audit(config(files))).message


def test_a_key_that_was_opened_and_belongs_to_another(tmp_path: Path, good: CertificateConfig) -> None:
    """It is told as of one without a passphrase."""
    key = ec_key()
    other = pair(tmp_path, "other.test", key=key)
    other.key.write_bytes(key_pem(key, b"secret"))
    word = write(tmp_path / "word", b"secret")
    wrong = with_word(CertificateConfig(good.cert, other.key), word)
    complaint = only(audit(config(wrong)))
    assert "does not match" in complaint.message


def test_pkcs12(tmp_path: Path) -> None:
    """As `openssl pkcs12 -export` writes it; judged like any pair."""
    word = write(tmp_path / "word", b"secret")
    both = with_word(container(tmp_path / "site.p12", "site.test", b"secret"), word)
    assert audit(config(both)) == []
    assert audit(config(container(tmp_path / "open.p12", "site.test", b""))) == []
    complaint = only(audit(config(replace(both, passphrase=None))))
    assert "does not open without a passphrase" in complaint.message
    both.cert.chmod(0o644)
    assert "everybody may use it" in only(audit(config(both))).message
    write(both.cert, b"\x30\x03\x02\x01\x03")
    assert "does not open with its passphrase" in only(audit(config(both))).message


# ---------------------------------------------------------------- who may read


@pytest.mark.parametrize(
    ("mode", "who"),
    [
        *((mode, "") for mode in (0o600, 0o400)),
        *((mode, "everybody") for mode in (0o604, 0o644, 0o666, 0o601)),
        *((mode, "its group") for mode in (0o660, 0o620, 0o650)),
    ],
)
def test_keys_that_others_may_read_are_refused(good: CertificateConfig, mode: int, who: str) -> None:
    """With the command that mends it."""
    good.key.chmod(mode)
    complaints = audit(config(good))
    if who:
        complaint = only(complaints)
        assert f"{who} may use it (mode {mode:04o})" in complaint.message
        assert complaint.hint == f'chmod 600 {good.key}, or key_mode = "any" beside it where that cannot be'
        assert complaint.key == "listen[0].certificates[0].key"
    else:
        assert complaints == []


def test_who_may_read_a_key_is_the_operator_s_to_say(tmp_path: Path, good: CertificateConfig) -> None:
    """As container runtimes mount secrets; a key of a pool and a file with both likewise."""
    good.key.chmod(0o444)
    both = write(tmp_path / "both.pem", good.cert.read_bytes() + good.key.read_bytes(), 0o444)
    pool_tls = PoolTlsConfig(cert=good.cert, key=good.key, key_mode="any")
    assert (
        audit(config(CertificateConfig(good.cert, good.key, "any"), CertificateConfig(both, both, "any"), pool_tls=pool_tls)) == []
    )
    assert len(audit(config(good, CertificateConfig(both, good.key), pool_tls=replace(pool_tls, key_mode="private")))) == 4


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_root_s_key_may_be_read_by_a_group(good: CertificateConfig) -> None:
    """As Debian's ssl-cert has it; the same mode of another owner is refused."""
    good.key.chmod(0o640)
    assert audit(config(good)) == []
    os.chown(good.key, NOBODY, NOBODY)
    assert "its group may use it (mode 0640)" in only(audit(config(good))).message


def test_the_link_s_target_counts(tmp_path: Path, good: CertificateConfig) -> None:
    """Links are always 0777; certbot's live/ folder is full of them."""
    link = tmp_path / "privkey.pem"
    link.symlink_to(good.key)
    assert audit(config(CertificateConfig(good.cert, link))) == []


def test_a_key_beside_the_certificate_is_guarded_too(tmp_path: Path, good: CertificateConfig) -> None:
    """A combined file, as HAProxy wants it, named as certificate."""
    both = write(tmp_path / "both.pem", good.cert.read_bytes() + good.key.read_bytes(), 0o644)
    assert only(audit(config(CertificateConfig(both, good.key)))).key == "listen[0].certificates[0].cert"
    both.chmod(0o600)
    assert audit(config(CertificateConfig(both, both))) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another account than the owner's")
def test_unreadable_says_who_we_are() -> None:
    """So that nobody checks as root and starts as somebody else."""
    with tempfile.TemporaryDirectory() as name:  # not tmp_path: nobody may enter pytest's folders
        directory = Path(name)
        directory.chmod(0o755)
        files = pair(directory, "good.test")
        told = write(directory / "told", b"", 0o666)
        pid = os.fork()
        if pid == 0:
            try:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
                told.write_text("\n".join(complaint.message for complaint in audit(config(files))))
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        assert told.read_text() == f"{files.key} may not be read by nobody (uid {NOBODY})"


# ---------------------------------------------------------------- do they belong together


def test_a_key_of_another_certificate_is_told_apart(tmp_path: Path, good: CertificateConfig) -> None:
    """When the other one is in the configuration, it is named."""
    other = pair(tmp_path, "other.test")
    stranger = write(tmp_path / "stranger.key", key_pem(ec_key()))
    complaint = only(audit(config(CertificateConfig(good.cert, other.key), other)))
    assert complaint.key == "listen[0].certificates[0].key"
    assert complaint.message == f"{other.key} does not match {good.cert}; it belongs to {other.cert}"
    complaint = only(audit(config(CertificateConfig(good.cert, stranger))))
    assert complaint.message == f"{stranger} does not match {good.cert} (good.test)"


def test_a_key_of_another_kind(tmp_path: Path, good: CertificateConfig) -> None:
    """RSA key, EC certificate."""
    key = write(tmp_path / "rsa.key", key_pem(rsa.generate_private_key(65537, 2048)))
    assert "does not match" in only(audit(config(CertificateConfig(good.cert, key)))).message


def test_a_chain_that_does_not_begin_with_the_leaf(tmp_path: Path) -> None:
    """Says at which place the key's certificate stands."""
    leaf = trustme.CA().create_child_ca().issue_cert("good.test")
    upside_down = b"".join(blob.bytes() for blob in reversed(leaf.cert_chain_pems))
    files = CertificateConfig(write(tmp_path / "c.pem", upside_down), write(tmp_path / "k.pem", leaf.private_key_pem.bytes()))
    complaint = only(audit(config(files)))
    assert complaint.message == f"{files.key} belongs to certificate 2 of 2 in {files.cert}, not to the first"
    assert "comes first" in complaint.hint


# ---------------------------------------------------------------- is it good


def test_dates_are_no_fault_of_a_file(tmp_path: Path) -> None:
    """Whatever is out of date, start goes on: see remarks."""
    old = pair(tmp_path, "old.test", end=timedelta(seconds=-5))
    early = pair(tmp_path, "early.test", start=timedelta(days=1))
    pool_tls = PoolTlsConfig(ca=old.cert, cert=old.cert, key=old.key)
    assert audit(config(old, early, tls=ListenTlsConfig(client_ca=early.cert), pool_tls=pool_tls)) == []


def test_weak_keys(tmp_path: Path) -> None:
    """Told once, with figures."""
    files = pair(tmp_path, "weak.test", key=rsa.generate_private_key(65537, 1024))
    assert only(audit(config(files))).message == "the RSA key of weak.test has 1024 bits, wanted at least 2048"
    assert audit(config(pair(tmp_path, "fit.test", key=rsa.generate_private_key(65537, 2048)))) == []


def test_cipher_suites_are_openssl_s_to_judge() -> None:
    """Whatever it knows; the rest is told with where to look."""
    for ciphers in ("ECDHE+AESGCM", "DEFAULT@SECLEVEL=0", "ECDHE-RSA-AES128-GCM-SHA256"):
        assert audit(config(pool_tls=PoolTlsConfig(ciphers=ciphers))) == []
    complaint = only(audit(config(pool_tls=PoolTlsConfig(ciphers="ROT13"))))
    assert (complaint.key, complaint.line) == ("pool.api.tls.ciphers", 21)
    assert 'got "ROT13"' in complaint.message


def test_no_key_material_in_any_complaint(tmp_path: Path, good: CertificateConfig) -> None:
    """Whatever is wrong with a key, its content stays out of the words."""
    secret = good.key.read_text().splitlines()[1]
    cut = write(tmp_path / "cut.key", good.key.read_bytes()[:-40])
    for broken in (CertificateConfig(good.key, good.key), CertificateConfig(good.cert, cut), CertificateConfig(cut, cut)):
        complaints = audit(config(broken, tls=ListenTlsConfig(client_ca=good.key)))
        assert complaints
        assert secret not in "\n".join(map(str, complaints))


# ---------------------------------------------------------------- tickets


def test_ticket_keys(tmp_path: Path) -> None:
    """Files of the right size that others cannot read."""
    good, short, loose = (write(tmp_path / name, bytes(size)) for name, size in (("a", 80), ("b", 81), ("c", 48)))
    loose.chmod(0o644)
    proxy = ProcessConfig(ticket_keys=(good, short, loose, tmp_path / "gone"))
    found = audit(replace(config(), proxy=proxy))
    assert [each.key for each in found] == [f"proxy.ticket_keys[{number}]" for number in (1, 2, 3)]
    words = ("wanted 80 or 48 bytes, came 81", "holds a ticket key, but everybody", "No such file")
    assert all(word in each.message for each, word in zip(found, words, strict=True)), found
