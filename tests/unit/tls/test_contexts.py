from __future__ import annotations

import os
import socket
import ssl
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
import trustme

from lbproxy.config.model import Address, BackendConfig, CertificateConfig, ListenConfig, ListenTlsConfig, PoolConfig, PoolTlsConfig
from lbproxy.errors import StartError
from lbproxy.http.h2 import offered as h2
from lbproxy.tls.contexts import (
    Credentials,
    HeldPair,
    client_context,
    credentials,
    load_pair,
    offered,
    outer_context,
    outer_key,
    read_pem,
    spoken,
)
from lbproxy.tls.keystore import KeyStore
from lbproxy.tls.showcase import arm, server_context
from lbproxy.tls.sni import UNKNOWN, CertificateChooser, arrange
from tests.unit.tls.files import NOW, ec_key, key_pem, pair, write
from tests.unit.tls.wire import Ends, connect, talk

HERE = Address("127.0.0.1", 0)


def listen(*certificates: CertificateConfig, **tls: object) -> ListenConfig:
    return ListenConfig(HERE, certificates, ListenTlsConfig(**tls))  # type: ignore[arg-type]  # spelled out by each test


def pool(**tls: object) -> PoolConfig:
    return PoolConfig("api", (BackendConfig(Address("api.test", 443)),), tls=PoolTlsConfig(**tls))  # type: ignore[arg-type]  # as above


def unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def shown(server: ssl.SSLContext, name: str | None) -> bytes:
    """The certificate (DER) that a client asking for `name` gets."""
    got = connect(unverified(), server, name).client.getpeercert(binary_form=True)
    assert got is not None
    return got


def der(files: CertificateConfig) -> bytes:
    return ssl.PEM_cert_to_DER_cert(files.cert.read_text())


@pytest.fixture
def leaf(tmp_path: Path) -> CertificateConfig:
    return pair(tmp_path, "api.test")


# ---------------------------------------------------------------- listeners


def test_one_certificate_needs_no_python_in_the_handshake(leaf: CertificateConfig) -> None:
    """No SNI callback, and any name gets the one certificate."""
    server = server_context(listen(leaf))
    assert server.sni_callback is None
    assert {shown(server, name) for name in ("api.test", "other.test", None)} == {der(leaf)}


def test_several_certificates_are_chosen_by_name(tmp_path: Path) -> None:
    """Exact, wildcard, and the first one for everybody else; in TLS 1.3 and 1.2."""
    first, second, third = pair(tmp_path, "a.test"), pair(tmp_path, "b.test"), pair(tmp_path, "*.b.test")
    server = server_context(listen(first, second, third))
    expected = {"a.test": first, "b.test": second, "www.b.test": third, "x.y.b.test": first, "c.test": first, None: first}
    assert {name: shown(server, name) for name in expected} == {name: der(files) for name, files in expected.items()}
    old = unverified()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    assert connect(old, server, "www.b.test").client.getpeercert(binary_form=True) == der(third)


@pytest.mark.parametrize(
    ("protocols", "agreed"), [(None, "h2"), (("http/1.1",), "http/1.1"), (("http/1.1", "h2"), "http/1.1"), (("h2",), "h2")]
)
def test_what_is_agreed_on_by_alpn_is_the_listeners_choice_whatever_the_certificate(
    tmp_path: Path, protocols: tuple[str, ...] | None, agreed: str
) -> None:
    """Also after SNI has changed the context."""
    server = server_context(replace(listen(pair(tmp_path, "a.test"), pair(tmp_path, "b.test")), protocols=protocols))
    client = unverified()
    client.set_alpn_protocols(["h2", "http/1.1"])
    assert {connect(client, server, name).client.selected_alpn_protocol() for name in ("a.test", "b.test")} == {agreed}


def test_other_protocols_are_another_context(tmp_path: Path) -> None:
    """So that a reload offers what the file says now."""
    one = listen(pair(tmp_path, "a.test"))
    assert outer_key(one) != outer_key(replace(one, protocols=("http/1.1",)))
    assert outer_key(one) == outer_key(replace(one, protocols=("h2", "http/1.1")))


def test_without_the_library_http2_is_not_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing else is, lbproxy does not start, and says why."""
    monkeypatch.setattr(h2, "MISSING", "HTTP/2 is not offered: No module named 'ngh2'")
    one = listen(pair(tmp_path, "a.test"))
    assert offered(one) == ("http/1.1",)
    with pytest.raises(StartError, match="protocols: HTTP/2 is not offered: No module"):
        offered(replace(one, protocols=("h2",)))


def test_without_the_library_backends_are_spoken_to_in_http_1(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where either may be spoken; where it must be HTTP/2 lbproxy does not start."""
    assert spoken(PoolConfig("api", (), protocol="auto")) == ["h2", "http/1.1"]
    monkeypatch.setattr(h2, "MISSING", "HTTP/2 is not offered: No module named 'ngh2'")
    assert spoken(PoolConfig("api", (), protocol="auto")) == ["http/1.1"]
    with pytest.raises(StartError, match="pool api: protocol: HTTP/2 is not offered"):
        spoken(PoolConfig("api", (), protocol="h2"))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("name", ["a.test", "b.test"])
def test_a_client_that_comes_back_resumes(tmp_path: Path, version: ssl.TLSVersion, name: str) -> None:
    """With tickets of the outer context, so also when the certificate is another one than the default."""
    server = server_context(listen(pair(tmp_path, "a.test"), pair(tmp_path, "b.test")))
    client = unverified()
    client.maximum_version = version
    first = connect(client, server, name)
    talk(first)
    assert not first.server.session_reused
    assert connect(client, server, name, first.client.session).server.session_reused


def test_tickets_outlive_a_new_certificate(tmp_path: Path, leaf: CertificateConfig) -> None:
    """Renewed into the same context, the certificate changes and old tickets still resume."""
    server = server_context(listen(leaf))
    client = unverified()
    before = connect(client, server, "api.test")
    talk(before)
    renewed = pair(tmp_path, "api.test", end=timedelta(days=60))
    load_pair(server, renewed)
    assert connect(client, server, "api.test", before.client.session).server.session_reused
    assert shown(server, "api.test") == der(renewed)


def test_forked_workers_share_the_ticket_key(leaf: CertificateConfig) -> None:
    """A session begun in one process resumes in another that was forked from the same context."""
    server = server_context(listen(leaf))
    client = unverified()
    first = connect(client, server, "api.test")
    talk(first)
    pid = os.fork()
    if pid == 0:
        reused = False
        try:
            reused = bool(connect(client, server, "api.test", first.client.session).server.session_reused)
        finally:
            os._exit(0 if reused else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


# ---------------------------------------------------------------- generations


def shown_by(listening: ListenConfig) -> Credentials:
    """As the master reads them, before a fork."""
    store = KeyStore()
    return credentials(listening, [read_pem(files, store) for files in listening.certificates])


@contextmanager
def worker(outer: ssl.SSLContext, shows: Credentials) -> Iterator[socket.socket]:
    """A fork that arms its copy of the listener's context, and serves the client at the other end of the socket that is given."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        try:
            ours.close()
            theirs.settimeout(60)
            arm(outer, shows)
            with outer.wrap_socket(theirs, server_side=True) as stream:
                stream.sendall(stream.recv(100))
                with suppress(ssl.SSLError):  # what Python before 3.11.4 says when the client has gone
                    stream.recv(100)
            os._exit(0)
        finally:
            os._exit(1)
    theirs.close()
    ours.settimeout(60)
    with ours:
        yield ours
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


class Visit(NamedTuple):
    session: ssl.SSLSession | None
    reused: bool
    shown: bytes | None


def visit(outer: ssl.SSLContext, shows: Credentials, client: ssl.SSLContext, name: str, session: ssl.SSLSession | None) -> Visit:
    """A connection to a worker of its own."""
    with worker(outer, shows) as raw, client.wrap_socket(raw, server_hostname=name, session=session) as stream:
        stream.sendall(b"ping")
        assert stream.recv(100) == b"ping"
        return Visit(stream.session, bool(stream.session_reused), stream.getpeercert(binary_form=True))


def test_a_key_is_in_no_text_that_somebody_might_log(leaf: CertificateConfig) -> None:
    pem = read_pem(leaf, KeyStore())
    secrets = leaf.key.read_bytes().splitlines()[1:-1]
    given = Credentials(listen(leaf), (HeldPair(pem, UNKNOWN),), arrange([UNKNOWN], NOW))
    for text in (repr(pem), str(pem), f"{pem}", repr([pem]), repr(given), str(given)):
        assert not any(secret.decode() in text for secret in secrets)
        assert "PRIVATE" not in text
    assert str(leaf.key) in repr(pem)  # its name may be told


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("name", ["a.test", "b.test"])
def test_a_ticket_of_one_generation_resumes_in_another(tmp_path: Path, version: ssl.TLSVersion, name: str) -> None:
    """The outer context is made once, before any fork, and each worker arms its own copy of it with other certificates. It works
    both ways: while both generations live, a client meets either of them, and each shows its own."""
    (tmp_path / "new").mkdir()
    old = listen(pair(tmp_path, "a.test"), pair(tmp_path, "b.test"))
    new = listen(pair(tmp_path / "new", "a.test"), pair(tmp_path / "new", "b.test"))
    outer = outer_context(old)
    shows = {"old": shown_by(old), "new": shown_by(new)}
    expected = {when: {der(files) for files in where.certificates} for when, where in (("old", old), ("new", new))}
    client = unverified()
    client.maximum_version = version
    for here, there in (("old", "new"), ("new", "old")):
        first = visit(outer, shows[here], client, name, None)
        assert not first.reused
        assert first.shown in expected[here]
        assert visit(outer, shows[there], client, name, first.session).reused
        assert visit(outer, shows[there], client, name, None).shown in expected[there]
    assert outer.sni_callback is None  # the master's own stays as it was made


def test_what_a_worker_is_armed_with_needs_no_file_any_more(tmp_path: Path, leaf: CertificateConfig) -> None:
    """One that is replaced a week later shows what its generation shows, and has no right to read keys by then."""
    outer, shows, expected = outer_context(listen(leaf)), shown_by(listen(leaf)), der(leaf)
    leaf.cert.unlink()
    leaf.key.write_bytes(b"somebody is editing this")
    assert visit(outer, shows, unverified(), "api.test", None).shown == expected


def test_a_bad_pair_is_refused_before_any_worker_could_die_of_it(tmp_path: Path, leaf: CertificateConfig) -> None:
    """Whichever of them it is."""
    other = pair(tmp_path, "other.test")
    for certificates in ((CertificateConfig(leaf.cert, other.key),), (leaf, CertificateConfig(other.cert, leaf.key))):
        with pytest.raises(StartError, match="KEY_VALUES_MISMATCH"):
            shown_by(listen(*certificates))


def test_a_listener_has_another_context_when_tickets_must_not_outlive_a_change(tmp_path: Path, leaf: CertificateConfig) -> None:
    """Certificates may come and go; who may come in, and how, may not change under a ticket."""
    ca = write(tmp_path / "ca.pem", leaf.cert.read_bytes())
    key = outer_key(listen(leaf, client_ca=ca, client_auth="required"))
    assert outer_key(listen(pair(tmp_path, "b.test"), leaf, client_ca=ca, client_auth="required")) == key
    others = [
        outer_key(ListenConfig(Address("127.0.0.1", 1), (leaf,), ListenTlsConfig(client_ca=ca, client_auth="required"))),
        outer_key(listen(leaf, client_ca=ca, client_auth="optional")),
        outer_key(listen(leaf, client_ca=ca, client_auth="required", profile="modern")),
        outer_key(listen(leaf)),
    ]
    ca.write_bytes(pair(tmp_path, "c.test").cert.read_bytes())
    others.append(outer_key(listen(leaf, client_ca=ca, client_auth="required")))
    assert len({key, *others}) == 6
    ca.unlink()
    with pytest.raises(StartError, match=r"certificate authority .*ca\.pem: No such file"):
        outer_key(listen(leaf, client_ca=ca, client_auth="required"))


# ---------------------------------------------------------------- client certificates


@pytest.mark.parametrize("asked", ["a.test", "b.test"])
@pytest.mark.parametrize(
    ("auth", "presented", "accepted"),
    [
        ("required", "good", True),
        ("required", "none", False),
        ("required", "foreign", False),
        ("optional", "good", True),
        ("optional", "none", True),
        ("optional", "foreign", False),
    ],
)
def test_client_certificates(tmp_path: Path, asked: str, auth: str, presented: str, accepted: bool) -> None:
    """Required means required and optional means verified if shown, whichever name is asked for."""
    ours, foreign = trustme.CA(), trustme.CA()
    ours.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    server = server_context(
        listen(pair(tmp_path, "a.test"), pair(tmp_path, "b.test"), client_ca=tmp_path / "ca.pem", client_auth=auth)
    )
    client = unverified()
    if presented != "none":
        (ours if presented == "good" else foreign).issue_cert("client.test").configure_cert(client)
    if accepted:
        ends = connect(client, server, asked)
        talk(ends)
        assert bool(ends.server.getpeercert()) == (presented == "good")
    else:
        with pytest.raises(ssl.SSLError):
            connect(client, server, asked)


# ---------------------------------------------------------------- pools


def test_backends_are_verified_by_default(tmp_path: Path) -> None:
    """Against `ca`, chain and name; without `ca` against the system's store, which does not know this authority."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("api.test", "127.0.0.1").configure_cert(server)
    client = client_context(pool(ca=tmp_path / "ca.pem"))
    talk(connect(client, server, "api.test"))
    talk(connect(client, server, "127.0.0.1"))
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        connect(client, server, "other.test")
    with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"):
        connect(client_context(pool()), server, "api.test")


def test_an_expired_backend_is_refused(tmp_path: Path) -> None:
    """Dates count as well."""
    files = pair(tmp_path, "api.test", end=timedelta(seconds=-5))
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        connect(client_context(pool(ca=files.cert)), server_context(listen(files)), "api.test")


def test_verify_false_takes_any_certificate(leaf: CertificateConfig) -> None:
    """On request only: no chain, no name."""
    talk(connect(client_context(pool(verify=False)), server_context(listen(leaf)), "anything.test"))


def test_the_certificate_itself_may_be_the_authority(leaf: CertificateConfig) -> None:
    """A pinned self-signed backend."""
    talk(connect(client_context(pool(ca=leaf.cert)), server_context(listen(leaf)), "api.test"))


def test_an_intermediate_may_be_the_authority(tmp_path: Path) -> None:
    """What stands in `ca` is trusted, root or not."""
    intermediate = trustme.CA().create_child_ca()
    intermediate.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    intermediate.issue_cert("api.test").configure_cert(server)
    talk(connect(client_context(pool(ca=tmp_path / "ca.pem")), server, "api.test"))


def test_our_certificate_is_shown_to_backends(tmp_path: Path, leaf: CertificateConfig) -> None:
    """cert and key of the pool."""
    ours = pair(tmp_path, "proxy.test")
    server = server_context(listen(leaf, client_ca=ours.cert, client_auth="required"))
    talk(connect(client_context(pool(ca=leaf.cert, cert=ours.cert, key=ours.key)), server, "api.test"))


def test_client_side_speaks_http_1_1_and_nothing_below_tls_1_2(leaf: CertificateConfig) -> None:
    """ALPN and minimum version."""
    client = client_context(pool(ca=leaf.cert))
    assert connect(client, server_context(listen(leaf)), "api.test").server.selected_alpn_protocol() == "http/1.1"
    assert client.minimum_version is ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    ("settings", "highest", "spoken"),
    [
        ({}, "TLSv1_1", ""),
        ({"min_version": "1.0"}, "TLSv1", "TLSv1"),
        ({"min_version": "1.1"}, "TLSv1_1", "TLSv1.1"),
        ({"min_version": "1.1"}, "TLSv1", ""),
        ({"min_version": "1.3"}, "TLSv1_2", ""),
        ({"min_version": "1.3"}, "TLSv1_3", "TLSv1.3"),
    ],
)
def test_how_old_a_backend_may_be_is_the_pool_s_to_say(tmp_path: Path, settings: dict[str, str], highest: str, spoken: str) -> None:
    """1.2 unless it says so: a backend that speaks nothing better is what some people have."""
    files = pair(tmp_path, "api.test")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(files.cert, files.key)
    server.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        server.minimum_version = ssl.TLSVersion.TLSv1
        server.maximum_version = ssl.TLSVersion[highest]
    client = client_context(pool(ca=files.cert, **settings))
    if spoken:
        assert connect(client, server, "api.test").client.version() == spoken
    else:
        with pytest.raises(ssl.SSLError):
            connect(client, server, "api.test")


def test_cipher_suites_towards_backends(tmp_path: Path) -> None:
    """Those that are named, and no others; one that OpenSSL does not know is told with its pool."""
    leaf = pair(tmp_path, "api.test")
    server = server_context(listen(leaf))
    server.maximum_version = ssl.TLSVersion.TLSv1_2
    name = "ECDHE-ECDSA-AES256-GCM-SHA384"
    used = connect(client_context(pool(ca=leaf.cert, ciphers=name)), server, "api.test").client.cipher()
    assert used is not None
    assert used[0] == name
    with pytest.raises(ssl.SSLError):
        connect(client_context(pool(ca=leaf.cert, ciphers="ECDHE-ECDSA-AES256-SHA")), server, "api.test")
    with pytest.raises(StartError, match=r"pool api: tls\.ciphers ROT13: "):
        client_context(pool(ciphers="ROT13"))


# ---------------------------------------------------------------- files that cannot be used


def test_unusable_files_are_named(tmp_path: Path, leaf: CertificateConfig) -> None:
    """StartError with the path, never an OSError or SSLError, and never a question on the terminal."""
    other = pair(tmp_path, "other.test")
    locked = write(tmp_path / "locked.key", key_pem(ec_key(), b"secret"))
    nothing = tmp_path / "nothing"
    for broken in (
        CertificateConfig(leaf.cert, other.key),
        CertificateConfig(leaf.cert, locked),
        CertificateConfig(nothing, leaf.key),
    ):
        with pytest.raises(StartError, match=r"certificate .*: "):
            server_context(listen(broken))
    with pytest.raises(StartError, match=r"certificate authority .*nothing: No such file"):
        client_context(pool(ca=nothing))
    with pytest.raises(StartError, match=r"certificate authority"):
        client_context(pool(ca=leaf.key))


def test_a_pool_without_tls_has_no_context() -> None:
    """Asking is a mistake of the caller."""
    with pytest.raises(ValueError, match="does not re-encrypt"):
        client_context(PoolConfig("api", ()))


def test_certificates_without_alternative_names_serve_their_common_name(tmp_path: Path) -> None:
    """Old authorities still issue such; nobody would see them otherwise."""
    first, common = pair(tmp_path, "a.test"), pair(tmp_path, common="b.test")
    server = server_context(listen(first, common))
    assert shown(server, "b.test") == der(common)
    assert shown(server, "c.test") == der(first)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_who_asks_for_an_address_gets_its_certificate(tmp_path: Path, version: ssl.TLSVersion) -> None:
    """Chosen before the handshake; a name still decides where one is asked for, and tickets resume."""
    named, numbered, other = pair(tmp_path, "a.test"), pair(tmp_path, "10.0.0.5"), pair(tmp_path, "b.test")
    server = server_context(listen(named, numbered, other))
    chooser = server.sni_callback
    assert isinstance(chooser, CertificateChooser)
    assert chooser.at_address("10.0.0.6") is None
    client = unverified()
    client.maximum_version = version

    def visited(name: str | None, session: ssl.SSLSession | None = None) -> Ends:
        return connect(client, server, name, session, chooser.at_address("10.0.0.5"))

    for name, expected in ((None, numbered), ("a.test", named), ("b.test", other), ("unknown.test", named)):
        assert visited(name).client.getpeercert(binary_form=True) == der(expected)
    first = visited(None)
    talk(first)
    assert visited(None, first.client.session).server.session_reused


def test_a_certificate_that_is_out_of_date_gives_way_to_the_renewed_one(tmp_path: Path) -> None:
    """And is shown where there is no other: the first one as the default, too."""
    old = pair(tmp_path, "a.test", stem="old", end=timedelta(seconds=-5))
    new, early = pair(tmp_path, "a.test", "b.test"), pair(tmp_path, "c.test", start=timedelta(days=1))
    server = server_context(listen(old, new, early))
    expected = {"a.test": new, "b.test": new, "c.test": early, None: new}
    assert {name: shown(server, name) for name in expected} == {name: der(files) for name, files in expected.items()}
    assert shown(server_context(listen(old, early)), "a.test") == der(old)
