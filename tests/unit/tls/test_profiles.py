from __future__ import annotations

import ssl
import warnings
from pathlib import Path
from typing import Any

import pytest

from lbproxy.config.model import Address, ListenConfig, ListenTlsConfig
from lbproxy.tls import profiles
from lbproxy.tls.profiles import PROFILES
from lbproxy.tls.showcase import server_context
from tests.unit.tls.files import pair
from tests.unit.tls.wire import connect


def trusting(path: Path, **versions: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=path)
    for name, version in versions.items():
        setattr(context, name, version)
    return context


def test_modern_speaks_1_3_only(tmp_path: Path) -> None:
    """A client without TLS 1.3 is refused."""
    files = pair(tmp_path, "a.test")
    server = server_context(ListenConfig(Address("127.0.0.1", 0), (files,), ListenTlsConfig("modern")))
    assert connect(trusting(files.cert), server, "a.test").client.version() == "TLSv1.3"
    with pytest.raises(ssl.SSLError, match="PROTOCOL"):
        connect(trusting(files.cert, maximum_version=ssl.TLSVersion.TLSv1_2), server, "a.test")


def test_intermediate_speaks_1_2_with_forward_secrecy_and_nothing_older(tmp_path: Path) -> None:
    """TLS 1.2 with ECDHE and AEAD; 1.1 is refused even by a client that insists."""
    files = pair(tmp_path, "a.test")
    server = server_context(ListenConfig(Address("127.0.0.1", 0), (files,)))
    assert connect(trusting(files.cert), server, "a.test").client.version() == "TLSv1.3"
    old = connect(trusting(files.cert, maximum_version=ssl.TLSVersion.TLSv1_2), server, "a.test").client
    cipher = old.cipher()
    assert old.version() == "TLSv1.2"
    assert cipher is not None
    assert cipher[0].startswith("ECDHE-ECDSA-")
    assert [suite["name"] for suite in server.get_ciphers() if suite["protocol"] == "TLSv1.2"] == (
        PROFILES["intermediate"].ciphers or ""
    ).split(":")
    assert server.minimum_version is ssl.TLSVersion.TLSv1_2


CHACHA, AES_128, AES_256 = "CHACHA20-POLY1305", "AES128-GCM-SHA256", "AES256-GCM-SHA384"


@pytest.mark.parametrize("profile", ["intermediate", "old"])
@pytest.mark.parametrize(("first", "taken"), [(CHACHA, CHACHA), (AES_256, AES_128), (AES_128, AES_128)])
def test_our_order_but_for_those_who_have_no_aes(tmp_path: Path, first: str, taken: str, profile: str) -> None:
    """They put ChaCha20 first, and get it."""
    server = own(tmp_path, profile=profile)
    client = lenient()
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    client.set_ciphers(":".join(f"ECDHE-ECDSA-{each}" for each in dict.fromkeys((first, AES_256, CHACHA, AES_128))))
    cipher = connect(client, server, "a.test").server.cipher()
    assert cipher is not None
    assert cipher[0] == f"ECDHE-ECDSA-{taken}"


def test_a_list_of_ones_own_is_meant_as_it_stands(tmp_path: Path) -> None:
    """ChaCha20 stands behind, for whoever it is that puts it first."""
    client = lenient()
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    client.set_ciphers("ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES256-GCM-SHA384")
    server = own(tmp_path, ciphers="ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305")
    cipher = connect(client, server, "a.test").server.cipher()
    assert cipher is not None
    assert cipher[0] == "ECDHE-ECDSA-AES256-GCM-SHA384"


def test_options(tmp_path: Path) -> None:
    """No compression, no renegotiation, tickets on, and a missing close_notify stays an error."""
    options = server_context(ListenConfig(Address("127.0.0.1", 0), (pair(tmp_path, "a.test"),))).options
    assert options & ssl.OP_NO_COMPRESSION
    assert options & ssl.OP_NO_RENEGOTIATION
    assert not options & ssl.OP_NO_TICKET
    assert not options & ssl.OP_IGNORE_UNEXPECTED_EOF


def test_truncation_is_seen(tmp_path: Path) -> None:
    """An end of file without close_notify raises, at both ends."""
    files = pair(tmp_path, "a.test")
    ends = connect(trusting(files.cert), server_context(ListenConfig(Address("127.0.0.1", 0), (files,))), "a.test")
    ends.client.write(b"half a mess")
    ends.wires[0].write_eof()
    assert ends.server.read(100) == b"half a mess"
    with pytest.raises(ssl.SSLError) as caught:
        ends.server.read(100)
    # before Python 3.11.4 it has no class of its own
    assert isinstance(caught.value, ssl.SSLEOFError) or caught.value.reason == "UNEXPECTED_EOF_WHILE_READING"


# ---------------------------------------------------------------- what a listener says itself


def own(tmp_path: Path, **tls: object) -> ssl.SSLContext:
    return server_context(ListenConfig(Address("127.0.0.1", 0), (pair(tmp_path, "a.test"),), ListenTlsConfig(**tls)))  # type: ignore[arg-type]


def lenient(version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if version is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = context.maximum_version = version
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
    return context


@pytest.mark.parametrize(("version", "spoken"), [
    (ssl.TLSVersion.TLSv1, "TLSv1"), (ssl.TLSVersion.TLSv1_1, "TLSv1.1"), (ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (None, "TLSv1.3"),
])  # fmt: skip
def test_old_speaks_what_old_clients_speak(tmp_path: Path, version: ssl.TLSVersion | None, spoken: str) -> None:
    """From TLS 1.0 on; "intermediate" refuses those before 1.2."""
    assert connect(lenient(version), own(tmp_path, profile="old"), "a.test").client.version() == spoken
    if spoken < "TLSv1.2":
        with pytest.raises(ssl.SSLError):
            connect(lenient(version), own(tmp_path), "a.test")


def test_own_versions_suites_and_groups(tmp_path: Path) -> None:
    """Each is what the handshake is made with."""
    assert connect(lenient(), own(tmp_path, max_version="1.2"), "a.test").client.version() == "TLSv1.2"
    with pytest.raises(ssl.SSLError):
        connect(lenient(ssl.TLSVersion.TLSv1_2), own(tmp_path, min_version="1.3"), "a.test")
    suites = own(tmp_path, max_version="1.2", ciphers="ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256")
    cipher = connect(lenient(), suites, "a.test").client.cipher()
    assert cipher is not None
    assert cipher[0] == "ECDHE-ECDSA-AES256-GCM-SHA384"
    there = lenient()
    there.set_ecdh_curve("secp384r1")
    assert connect(there, own(tmp_path, groups=("X25519", "P-384")), "a.test").client.version() == "TLSv1.3"
    with pytest.raises(ssl.SSLError):
        connect(there, own(tmp_path, groups=("X25519", "P-256")), "a.test")


@pytest.mark.parametrize(("tls", "key", "message"), [
    ({"ciphers": "ECDHE+NOTHING"}, "ciphers", 'such as "ECDHE+AESGCM", got "ECDHE+NOTHING"'),
    ({"ciphers": "aNULL:@SECLEVEL=0"}, "ciphers", "encrypts nothing, or proves nobody's name"),
    ({"groups": ("X25519", "curve1")}, "groups", "knows no group curve1"),
    ({"groups": ("\u00e9",)}, "groups", "knows no group \u00e9"),
])  # fmt: skip
def test_what_this_openssl_has_not_is_told(tls: dict[str, Any], key: str, message: str) -> None:
    """With the key that asked for it."""
    with pytest.raises(profiles.NotInOpenSSL) as caught:
        profiles.apply_own(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ListenTlsConfig(**tls))
    assert caught.value.key == key
    assert message in str(caught.value)


def test_groups_of_finite_fields_are_not_offered(tmp_path: Path) -> None:
    """They make a server work far harder than its client; the hybrid one is there where OpenSSL has it."""
    known = profiles.usual_groups().split(":")
    assert known[-3:] == ["X25519", "P-256", "P-384"]
    there = lenient()
    if profiles._set_groups(there, "ffdhe2048"):
        with pytest.raises(ssl.SSLError):
            connect(there, own(tmp_path), "a.test")
