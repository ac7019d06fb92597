"""TLS to a pool's backends: what is demanded of them, by real handshakes in memory."""

from __future__ import annotations

import ssl
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from lbproxy.config.model import PoolConfig, PoolTlsConfig
from lbproxy.errors import StartError
from lbproxy.net.tls_failures import tls_failure
from lbproxy.tls.backend_tls import SESSION_LIFE, BackendTls, WrongPin, pin_of
from lbproxy.tls.contexts import client_context
from tests.support.certificates import public_key_pin
from tests.unit.tls.handshakes import Issuer, Joined, serving

NAME = "backend.test"


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    return Issuer(tmp_path)


def connect(side: BackendTls, server: ssl.SSLContext, place: str = "here") -> Joined:
    """As whoever opens a connection does."""
    joined = Joined(side.context, server, side.name(NAME))
    tls: Any = joined.client._sslobj  # type: ignore[attr-defined]
    side.begin(tls, place)
    joined.shake()
    side.judge(tls, place)
    return joined


def reason(settings: PoolTlsConfig, server: ssl.SSLContext) -> str:
    """Why there is no connection."""
    try:
        connect(BackendTls(settings, client_context(PoolConfig("app", (), tls=settings))), server)
    except ssl.SSLError as error:
        return tls_failure(error).reason
    return ""


def test_dates_and_names_and_authorities(issuer: Issuer, tmp_path: Path) -> None:
    """Each has its own word."""
    trusting = PoolTlsConfig(ca=issuer.file)
    stranger = Issuer(tmp_path, "stranger")
    assert reason(trusting, serving(*issuer.issue(NAME))) == ""
    assert reason(trusting, serving(*issuer.issue("other.test"))) == "tls_wrong_name"
    assert reason(trusting, serving(*issuer.issue(NAME, end=timedelta(minutes=-1)))) == "tls_expired"
    assert reason(trusting, serving(*issuer.issue(NAME, start=timedelta(hours=1)))) == "tls_not_yet_valid"
    assert reason(trusting, serving(*stranger.issue(NAME))) == "tls_unknown_authority"
    assert reason(PoolTlsConfig(ca=issuer.file, server_name="other.test"), serving(*issuer.issue("other.test"))) == ""


def test_versions_and_ciphers(issuer: Issuer) -> None:
    """Nothing in common has words, too."""
    server = serving(*issuer.issue(NAME))
    server.maximum_version = ssl.TLSVersion.TLSv1_2
    assert reason(PoolTlsConfig(ca=issuer.file, min_version="1.3"), server) == "tls_no_common_version"
    server.set_ciphers("ECDHE-ECDSA-AES256-GCM-SHA384")
    assert reason(PoolTlsConfig(ca=issuer.file, max_version="1.2", ciphers="ECDHE-ECDSA-AES128-GCM-SHA256"), server) != ""
    newest = serving(*issuer.issue(NAME))
    newest.minimum_version = ssl.TLSVersion.TLSv1_3
    assert reason(PoolTlsConfig(ca=issuer.file, max_version="1.2"), newest) == "tls_no_common_version"


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_revoked(issuer: Issuer, encoding: Encoding) -> None:
    """By a list in PEM or in DER, as authorities publish it."""
    good, bad = issuer.issue(NAME), issuer.issue(NAME)
    issuer.revoke(bad[0])
    settings = PoolTlsConfig(ca=issuer.file, crl=issuer.write_list(encoding=encoding))
    assert reason(settings, serving(*good)) == ""
    assert reason(settings, serving(*bad)) == "tls_revoked"
    issuer.write_list(end=timedelta(days=-1), encoding=encoding)
    assert reason(settings, serving(*good)) == "tls_revocation_unknown"


def test_a_list_of_somebody_else_tells_nothing(issuer: Issuer, tmp_path: Path) -> None:
    """A missing one lets nobody pass, and a certificate that stands in its file is trusted by nobody."""
    stranger = Issuer(tmp_path, "stranger")
    listed = stranger.write_list()
    listed.write_bytes(listed.read_bytes() + stranger.file.read_bytes())
    settings = PoolTlsConfig(ca=issuer.file, crl=listed)
    assert reason(settings, serving(*issuer.issue(NAME))) == "tls_revocation_unknown"
    assert reason(settings, serving(*stranger.issue(NAME))) == "tls_unknown_authority"
    listed.write_bytes(stranger.file.read_bytes())
    with pytest.raises(StartError, match="no list of revoked certificates"):
        client_context(PoolConfig("app", (), tls=settings))


def test_pins(issuer: Issuer) -> None:
    """One of several will do; a good chain with another key will not, and a pin alone does without a chain."""
    pair, backup = issuer.issue(NAME), issuer.issue(NAME)
    pins = (public_key_pin(backup[0]), public_key_pin(pair[0]))
    pinned = PoolTlsConfig(ca=issuer.file, pins=pins)
    assert reason(pinned, serving(*pair)) == reason(pinned, serving(*backup)) == ""
    side = BackendTls(pinned, client_context(PoolConfig("app", (), tls=pinned)))
    connect(side, serving(*pair))
    for _ in range(2):
        with pytest.raises(WrongPin):
            connect(side, serving(*issuer.issue(NAME)))
    alone = PoolTlsConfig(verify=False, pins=pins[:1])
    assert reason(alone, serving(*backup)) == ""
    with pytest.raises(WrongPin):
        reason(alone, serving(*pair))


def test_the_pin_of_no_certificate() -> None:
    assert pin_of(b"") == pin_of(b"\x30\x82") == pin_of(b"\x30\x03\x30\x01\x02") == ""


@pytest.mark.parametrize(("sni", "heard"), [(None, NAME), ("off", None), ("other.test", "other.test")])
def test_what_is_asked_for(issuer: Issuer, sni: str | None, heard: str | None) -> None:
    """No name, or another one; what is verified stays."""
    settings = PoolTlsConfig(ca=issuer.file, sni=sni)
    server = serving(*issuer.issue(NAME))
    asked: list[str | None] = []
    server.sni_callback = lambda connection, name, context: asked.append(name)
    assert reason(settings, server) == ""
    assert asked == [heard]
    assert reason(settings, serving(*issuer.issue("other.test"))) == "tls_wrong_name"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_are_resumed(issuer: Issuer, version: ssl.TLSVersion) -> None:
    """At the same place, for a time, and never over a change of the context."""
    settings = PoolTlsConfig(ca=issuer.file)
    server = serving(*issuer.issue(NAME))
    server.maximum_version = version
    now = [1000.0]
    side = BackendTls(settings, client_context(PoolConfig("app", (), tls=settings)), lambda: now[0])
    told: list[bool] = []
    side.on_handshake = told.append
    connect(side, server)
    connect(side, server)
    connect(side, server, "elsewhere")
    connect(side, server)
    assert told == [False, True, False, True]
    now[0] += SESSION_LIFE + 1
    connect(side, server)
    connect(side, server)
    side.renew(client_context(PoolConfig("app", (), tls=settings)))
    connect(side, server)
    assert told[4:] == [False, True, False]


def test_checks_shake_hands_in_full(issuer: Issuer) -> None:
    settings = PoolTlsConfig(ca=issuer.file)
    side = BackendTls(settings, client_context(PoolConfig("app", (), tls=settings)), resumes=False)
    told: list[bool] = []
    side.on_handshake = told.append
    server = serving(*issuer.issue(NAME))
    connect(side, server)
    connect(side, server)
    assert told == [False, False]
