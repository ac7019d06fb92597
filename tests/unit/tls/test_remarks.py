"""What is told about certificates, and refuses nothing."""

from __future__ import annotations

import ssl
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from lbproxy.config.model import (
    Address,
    CertificateConfig,
    Config,
    ListenConfig,
    ListenTlsConfig,
    PoolConfig,
    PoolTlsConfig,
    RouteConfig,
)
from lbproxy.errors import Complaint
from lbproxy.tls import files
from lbproxy.tls.audit import audit
from lbproxy.tls.remarks import NO_REMARKS, remarks
from tests.unit.tls.files import NOW, certificate, ec_key, key_pem, pair, trusted, write

OLD = timedelta(seconds=-5)


class Given(NamedTuple):
    tls: ListenTlsConfig = ListenTlsConfig()
    pool_tls: PoolTlsConfig | None = None
    host: str = "0.0.0.0"


DEFAULT = Given()


def config(*certificates: CertificateConfig, given: Given = DEFAULT) -> Config:
    pools = (PoolConfig("api", (), tls=given.pool_tls, line=21),) if given.pool_tls else ()
    return Config("lb.toml", (ListenConfig(Address(given.host, 443), certificates, given.tls, line=7),), (), pools)


def told(*certificates: CertificateConfig, given: Given = DEFAULT) -> list[Complaint]:
    whole = config(*certificates, given=given)
    assert audit(whole) == []  # it starts
    return remarks(whole).at()


def only(complaints: list[Complaint]) -> Complaint:
    assert len(complaints) == 1, "\n".join(map(str, complaints))
    return complaints[0]


def test_nothing_to_say(tmp_path: Path) -> None:
    """Good files; files that are not there, which `audit` tells; no files."""
    good = pair(tmp_path, "a.test")
    assert (
        told(good, given=Given(ListenTlsConfig(client_ca=good.cert), PoolTlsConfig(ca=good.cert, cert=good.cert, key=good.key)))
        == []
    )
    gone = tmp_path / "gone"
    lost = CertificateConfig(gone, gone)
    assert (
        remarks(config(lost, lost, given=Given(ListenTlsConfig(client_ca=gone), PoolTlsConfig(ca=gone, cert=gone, key=gone)))).at()
        == []
    )
    assert remarks(config()) == NO_REMARKS


def test_dates_are_judged_by_the_time_that_is_asked_for(tmp_path: Path) -> None:
    """A second too early, in time, too late; the same remarks tell it a month later."""
    good = pair(tmp_path, "good.test")
    about = remarks(config(good))
    assert about.at(NOW) == []
    early = only(about.at(NOW - timedelta(hours=2)))
    assert "the certificate of good.test is not valid before" in early.message
    assert early.hint == "is this machine's clock right?"
    late = only(about.at(NOW + timedelta(days=31)))
    assert late.message.startswith("the certificate of good.test expired on ")
    assert (late.file, late.line, late.key) == ("lb.toml", 7, "listen[0].certificates[0].cert")


def test_a_key_that_makes_handshakes_costly_is_told(tmp_path: Path) -> None:
    """RSA beyond 3072 bits, at a listener; what backends are shown costs nobody who can choose how often."""
    key = rsa.generate_private_key(65537, 4096)
    large = CertificateConfig(
        write(tmp_path / "c.pem", trusted(certificate(key, "large.test"))), write(tmp_path / "k.pem", key_pem(key))
    )
    complaint = only(told(large, given=Given(pool_tls=PoolTlsConfig(cert=large.cert, key=large.key))))
    assert complaint.message == "the RSA key of large.test has 4096 bits: each handshake costs many times one with 2048"
    assert (complaint.line, complaint.key) == (7, "listen[0].certificates[0].cert")
    assert "P-256" in complaint.hint


def test_every_certificate_with_a_date_is_looked_at(tmp_path: Path) -> None:
    """Listeners', clients' authorities, backends' authorities, what is shown to backends."""
    old = pair(tmp_path, "old.test", end=OLD)
    both = write(tmp_path / "ca.pem", certificate(ec_key(), "new root") + trusted(old.cert.read_bytes()))
    found = told(old, given=Given(ListenTlsConfig(client_ca=both), PoolTlsConfig(ca=old.cert, cert=old.cert, key=old.key)))
    assert [(each.line, each.key) for each in found] == [
        (7, "listen[0].certificates[0].cert"),
        (7, "listen[0].tls.client_ca"),
        (21, "pool.api.tls.ca"),
        (21, "pool.api.tls.cert"),
    ]
    assert all("old.test" in each.message and "expired" in each.message for each in found)


def test_who_signed_it_counts_and_who_signed_that_does_not(tmp_path: Path) -> None:
    """An intermediate that has run out fails every client; an old cross-signed root is there on purpose."""
    good = pair(tmp_path, "good.test")
    chain = good.cert.read_bytes() + certificate(ec_key(), "old root", end=OLD)
    assert told(CertificateConfig(write(tmp_path / "chain.pem", chain), good.key)) == []
    root, signer, key = ec_key(), ec_key(), ec_key()
    leaf = certificate(key, "leaf.test", issuer=("signer", signer))
    chain = leaf + certificate(signer, common="signer", end=OLD, issuer=("root", root))
    files = CertificateConfig(write(tmp_path / "leaf.pem", chain), write(tmp_path / "leaf.key", key_pem(key)))
    complaint = only(told(files))
    assert complaint.message.startswith("the intermediate CN=signer behind the certificate of leaf.test expired on ")


# ---------------------------------------------------------------- never shown


def test_a_duplicate_is_never_shown(tmp_path: Path) -> None:
    """Told with who has its names; a new name, or a wildcard, is one to be shown for."""
    first, twice = pair(tmp_path, "a.test", stem="1"), pair(tmp_path, "A.test", stem="2")
    more = pair(tmp_path, "a.test", "*.a.test", stem="3")
    complaint = only(told(first, twice, more))
    assert complaint.key == "listen[0].certificates[1].cert"
    assert complaint.message == f"{twice.cert} is never shown: a.test is served by {first.cert}"
    assert told(first, more) == []


def test_a_duplicate_of_what_is_out_of_date_is_the_one_that_is_shown(tmp_path: Path) -> None:
    """And the old one is told of for its date, and that it might go."""
    old, new = pair(tmp_path, "a.test", stem="old", end=OLD), pair(tmp_path, "a.test")
    messages = [complaint.message for complaint in told(old, new)]
    assert len(messages) == 2
    assert "expired" in messages[0]
    assert messages[1] == f"{old.cert} is never shown: a.test is served by {new.cert}"


def test_a_certificate_without_any_name_is_never_shown(tmp_path: Path) -> None:
    """Unless it is the first, and so everybody's who asks for nothing known."""
    named, nameless = pair(tmp_path, "a.test"), pair(tmp_path, common="Acme Incorporated")
    complaint = only(told(named, nameless))
    assert complaint.message == f"{nameless.cert} is never shown: there is no name in it that a client could ask for"
    assert told(nameless, named) == []
    assert told(nameless) == []


@pytest.mark.parametrize(
    ("host", "addresses", "seen"),
    [
        ("0.0.0.0", ["10.0.0.5"], True),
        ("10.0.0.5", ["10.0.0.5"], True),
        ("10.0.0.6", ["10.0.0.5"], False),
        ("10.0.0.6", ["10.0.0.5", "10.0.0.6"], True),
        ("::", ["10.0.0.5"], False),
        ("::", ["::1"], True),
    ],
)
def test_addresses_are_asked_for_where_the_listener_is(tmp_path: Path, host: str, addresses: list[str], seen: bool) -> None:
    """A certificate of an address serves who connects to it, and nobody can connect to another than the listener's."""
    named, numbered = pair(tmp_path, "a.test"), pair(tmp_path, *addresses, stem="ip")
    found = told(named, numbered, given=Given(host=host))
    assert found == [] if seen else "and this listener is at" in only(found).message


def test_what_only_openssl_understands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It serves, and its dates are not known."""
    odd, good = pair(tmp_path, "a.test"), pair(tmp_path, "b.test")
    der = ssl.PEM_cert_to_DER_cert(odd.cert.read_text())
    understand = files.parsed
    for module in ("files", "facts"):
        monkeypatch.setattr(f"lbproxy.tls.{module}.parsed", lambda this: None if this == der else understand(this))
    assert "breaks a rule of X.509" in only(told(good, odd)).message


# ---------------------------------------------------------------- chains, hosts, demands


def issued(*, extension: x509.ExtensionType | None = None) -> tuple[bytes, bytes, bytes]:
    """A certificate for a.test, the one that signed it, and the key."""
    key, signer = ec_key(), ec_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "signer")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("a.test")]), critical=False)
    )
    if extension is not None:
        builder = builder.add_extension(extension, critical=False)
    leaf = builder.sign(signer, hashes.SHA256()).public_bytes(Encoding.PEM)
    return leaf, certificate(signer, common="signer", issuer=("root", ec_key())), key_pem(key)


def noted(tmp_path: Path, content: bytes, key: bytes) -> list[str]:
    files = CertificateConfig(write(tmp_path / "c.pem", content), write(tmp_path / "k.pem", key))
    return [each.message for each in remarks(config(files)).at(NOW)]


def test_the_order_of_a_chain(tmp_path: Path) -> None:
    """The one that signed it comes next; what is behind a root is nobody's business."""
    leaf, signer, key = issued()
    stranger = certificate(ec_key(), common="stranger")
    assert noted(tmp_path, leaf + signer, key) == []
    assert noted(tmp_path, leaf, key) == []  # a private root may have signed it
    [told] = noted(tmp_path, leaf + stranger + signer, key)
    assert "certificate 2 of 3 in" in told
    assert "is not the one that signed the one before it" in told


def test_a_chain_without_the_one_that_signed_it(tmp_path: Path) -> None:
    """Public authorities sign with intermediates; they tell where those are."""
    place = x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, x509.UniformResourceIdentifier("http://ca.test/1.crt"))
    leaf, signer, key = issued(extension=x509.AuthorityInformationAccess([place]))
    [told] = noted(tmp_path, leaf, key)
    assert "holds the certificate of a.test alone, without the one of CN=signer" in told
    assert noted(tmp_path, leaf + signer, key) == []


def test_must_staple_is_told(tmp_path: Path) -> None:
    leaf, signer, key = issued(extension=x509.TLSFeature([x509.TLSFeatureType.status_request]))
    [told] = noted(tmp_path, leaf + signer, key)
    assert "demands a stapled OCSP answer, which lbproxy does not send" in told


def test_hosts_of_routes_without_a_certificate(tmp_path: Path) -> None:
    """Exact, by a wildcard, and the wildcard itself; a host that no listener has one for is told at its route."""
    whole = config(pair(tmp_path, "a.test", "*.b.test"))
    hosts = ("a.test", "www.b.test", "*.b.test", None, "x.www.b.test", "c.test", "c.test")
    whole = replace(whole, routes=tuple(RouteConfig("api", host, line=30 + number) for number, host in enumerate(hosts)))
    found = remarks(whole).at(NOW)
    assert [(each.line, each.key) for each in found] == [(34, "route.host"), (35, "route.host")]
    assert found[1].message == "no certificate stands for c.test: over TLS its clients are shown another"
    plain = replace(whole, listen=(ListenConfig(Address("0.0.0.0", 80)),))
    assert remarks(plain) == NO_REMARKS


def test_what_was_left_out_of_a_folder_is_told(tmp_path: Path) -> None:
    """Twenty of them at most."""
    whole = config()
    good = pair(tmp_path, "a.test")
    why = tuple(f"{number} is left out" for number in range(30))
    listen = replace(whole.listen[0], folder=tmp_path, listed=(good,), left_out=why)
    found = remarks(replace(whole, listen=(listen,))).at(NOW)
    assert [each.message for each in found] == [f"{number} is left out" for number in range(20)]
    assert {each.key for each in found} == {"listen[0].certificates"}


def test_a_pool_with_nothing_to_choose_its_protocol_by() -> None:
    """Without TLS there is no ALPN: "auto" is HTTP/1.1, which somebody may not expect."""
    whole = replace(config(), pools=(PoolConfig("api", (), line=21, protocol="auto"), PoolConfig("app", (), protocol="h2")))
    remark = only(remarks(whole).at())
    assert (remark.line, remark.key) == (21, "pool.api.protocol")
    assert "HTTP/1.1" in remark.message
    assert 'say "h2"' in remark.hint
    over_tls = replace(config(), pools=(PoolConfig("api", (), line=21, protocol="auto", tls=PoolTlsConfig()),))
    assert remarks(over_tls) == NO_REMARKS


def test_a_certificate_for_a_name_that_is_passed_through(tmp_path: Path) -> None:
    """It is not shown for it; a wildcard above it is none for it alone."""
    both = pair(tmp_path, "db.test", "*.db.test")
    listen = replace(config(both).listen[0], passthrough=(("db.test", "api"), ("a.db.test", "api")))
    complaint = only(remarks(replace(config(both), listen=(listen,))).at())
    assert (complaint.line, complaint.key) == (7, "listen[0].certificates[0].cert")
    assert complaint.message == f"{both.cert} stands for db.test, whose clients are passed through: it is not shown to them"
    assert complaint.hint == "take db.test out of passthrough, if they are to be decrypted here"
