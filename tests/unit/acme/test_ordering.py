"""One order."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

pytest.importorskip("acme", reason="acme is not installed (pip install -e '.[test]')")

from lbproxy.acme.network import AuthorityRefused
from lbproxy.acme.ordering import Ordering, ari_id
from tests.unit.acme.conftest import Desk


@pytest.mark.parametrize("key_type", ["ec256", "ec384", "rsa2048"])
def test_key_and_chain_in_one_text(desk: Desk, key_type: str) -> None:
    """They belong together, and stand for the name."""
    text = Ordering("a.test", desk.connection(), desk.folder, desk.around(key_type)).run()
    leaf = x509.load_pem_x509_certificate(text)
    assert leaf.public_key() == load_pem_private_key(text, None).public_key()
    assert desk.stub.orders == [{"identifiers": [{"type": "dns", "value": "a.test"}]}]


def test_a_challenge_is_answered_while_it_is_looked_at(desk: Desk) -> None:
    """The order goes on when the authorization is valid."""
    proved = False

    def bent(path: str, payload: dict[str, object]) -> tuple[int, bytes] | None:
        nonlocal proved
        if path == "/order/0" and not proved:
            told = {"status": "pending", "authorizations": [f"{desk.stub.url}/authz/0"]}
            return 200, json.dumps(told).encode()
        if path == "/authz/0":
            challenge = {"type": "http-01", "url": f"{desk.stub.url}/challenge", "token": "t" * 43}
            return 200, json.dumps({"status": "valid" if proved else "pending", "challenges": [challenge]}).encode()
        if path == "/challenge":
            assert [answer.token for answer in desk.shown] == ["t" * 43]
            proved = True
            return 200, b"{}"
        return None

    connection = desk.connection()
    connection.ask(connection.address("newOrder"), {})
    record = desk.folder.record("a.test")
    desk.folder.keep("a.test", replace(record, order=f"{desk.stub.url}/order/0", order_at=desk.stub.directory))
    desk.stub.bent = bent
    ordering = Ordering("a.test", connection, desk.folder, desk.around())
    desk.folder.write("a.test.pem.key", _key())
    assert b"CERTIFICATE" in ordering.run()
    assert desk.shown[0].authorization == f"{'t' * 43}.{connection.thumbprint}"
    ordering.tidy()
    assert not (desk.path / "a.test.pem.key").exists()


def _key() -> bytes:
    from lbproxy.acme.ordering import KEYS

    return KEYS["ec256"]().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize(("path", "told", "why"), [
    ("/order/0", {"status": "invalid", "error": {"type": "x:rejectedIdentifier", "detail": "no"}}, "rejectedIdentifier: no"),
    ("/order/0", {"status": "revoked"}, "it is revoked"),
    ("/order/0", {"status": "valid", "certificate": "http://plain/"}, "no address"),
    ("/order/0", {"status": "pending", "authorizations": []}, "no authorizations"),
    ("/order/0", {"status": "pending", "authorizations": ["URL/a"] * 99}, "no authorizations"),
    ("/order/0", {"status": "pending", "authorizations": ["URL/authz/0"]}, "does not offer http-01"),
    ("/finalize/0", {"x": 1}, None),
])  # fmt: skip
def test_what_comes_to_nothing(desk: Desk, path: str, told: dict[str, object], why: str | None) -> None:
    """In the authority's words."""
    def bent(asked: str, payload: object) -> tuple[int, bytes] | None:
        if asked == "/authz/0":
            return 200, json.dumps({"status": "pending", "challenges": [{"type": "dns-01", "token": "t" * 43}]}).encode()
        text = json.dumps(told).replace("URL", desk.stub.url)
        if asked == path and why is not None:
            return 200, text.encode()
        return (403, b'{"type": "x:badCSR", "detail": "weak"}') if asked == path else None

    desk.stub.bent = bent
    with pytest.raises(AuthorityRefused, match=why or "badCSR: weak"):
        Ordering("a.test", desk.connection(), desk.folder, desk.around()).run()


def test_a_certificate_for_somebody_else_is_not_kept(desk: Desk) -> None:
    """Nor one for another key."""
    other = Ordering("b.test", desk.connection(), desk.folder, desk.around()).run()
    leaf = x509.load_pem_x509_certificate(other).public_bytes(Encoding.PEM)
    desk.stub.bent = lambda path, payload: (200, leaf) if path.startswith("/certificate") else None
    with pytest.raises(AuthorityRefused, match="another key"):
        Ordering("a.test", desk.connection(), desk.folder, desk.around()).run()


def test_profiles(desk: Desk) -> None:
    """One that is offered is asked for; another is told of, with those that are."""
    desk.stub.profiles = {"shortlived": "six days"}
    Ordering("a.test", desk.connection(profile="shortlived"), desk.folder, desk.around()).run()
    assert desk.stub.orders[0]["profile"] == "shortlived"
    with pytest.raises(AuthorityRefused, match='no profile "long"; there are: shortlived'):
        Ordering("b.test", desk.connection(profile="long"), desk.folder, desk.around()).run()


def test_an_order_that_was_under_way_is_fetched(desk: Desk) -> None:
    """A process that died between the order and the certificate costs no second order."""
    desk.stub.bent = lambda path, payload: (500, b"{}") if path.startswith("/certificate") else None
    with pytest.raises(AuthorityRefused):
        Ordering("a.test", desk.connection(), desk.folder, desk.around()).run()
    desk.stub.bent = lambda path, payload: None
    assert b"CERTIFICATE" in Ordering("a.test", desk.connection(), desk.folder, desk.around()).run()
    assert len(desk.stub.orders) == 1


def test_what_a_certificate_is_called_by_rfc_9773(desk: Desk) -> None:
    """Its signer's key and its serial number, as the library has them."""
    from acme.client import _renewal_info_path_component

    text = Ordering("a.test", desk.connection(), desk.folder, desk.around()).run()
    assert ari_id(text) == _renewal_info_path_component(x509.load_pem_x509_certificate(text))
