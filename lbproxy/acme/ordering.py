"""One order of a certificate, from the request to the chain (RFC 8555 7.4), as the tables of order_states.py say.

An order's address and its key are kept before anything is asked for, so that a process that died goes on where the other was: what
was paid for with a validation is fetched, not ordered again.
"""

from __future__ import annotations

import base64
import re
import ssl
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from lbproxy.acme.authority import AuthorityConnection
from lbproxy.acme.folder import AcmeFolder
from lbproxy.acme.network import AuthorityRefused, Json
from lbproxy.acme.order_states import OrderStep, Proof, next_proof, next_step
from lbproxy.config.acme_names import file_of
from lbproxy.tls import pem, verification

PATIENCE = 120.0
"""Seconds for one state of an order to become another."""
POLL, MOST_POLL = 0.5, 10.0
MOST_AUTHORIZATIONS = 4
"""Of an order for one name there is one."""
_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,256}\Z")
KEYS: dict[str, Callable[[], ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey]] = {
    "ec256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ec384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "rsa2048": lambda: rsa.generate_private_key(65537, 2048),
    "rsa3072": lambda: rsa.generate_private_key(65537, 3072),
}


class ChallengeAnswer(NamedTuple):
    """What proves that a name is ours."""

    kind: str
    name: str
    token: str
    authorization: str
    """The key authorization (RFC 8555 8.1)."""


class Surroundings(NamedTuple):
    """What an order needs of the process around it."""

    key_type: str
    challenge: str
    shown: Callable[[ChallengeAnswer], AbstractContextManager[object]]
    """Shows an answer to whoever asks; when it is entered, it can be seen."""
    alive: Callable[[], None]
    """Raises Refused when the order is no longer ours to go on with."""


class Ordering:
    """One order at one authority."""

    def __init__(self, name: str, connection: AuthorityConnection, folder: AcmeFolder, around: Surroundings) -> None:
        self._name = name
        self._connection = connection
        self._folder = folder
        self._around = around
        self._key_file = f"{file_of(name)}.key"
        self._answered: set[str] = set()

    def run(self, replaces: str = "") -> bytes:
        """Key and chain in one text, as they are kept. Raises Refused and OSError. `replaces`: the certificate that this one takes
        the place of, as RFC 9773 names it; "": none."""
        url, order = self._begun(replaces)
        since, status = time.monotonic(), order.get("status")
        while True:
            self._around.alive()
            if order.get("status") != status:
                since, status = time.monotonic(), order.get("status")
            step = next_step(status)
            if step is OrderStep.GIVE_UP:
                raise AuthorityRefused(_reason(order))
            if step is OrderStep.FETCH:
                return self._fetch(order)
            if time.monotonic() - since > PATIENCE:
                raise AuthorityRefused(f"the order was {status} for {PATIENCE:g} s")
            if step is OrderStep.PROVE:
                self._prove(order)
            elif step is OrderStep.FINALIZE:
                self._connection.ask(_address(order, "finalize"), {"csr": self._request()})
            else:
                time.sleep(_pause(self._connection.wait))
            order = self._connection.ask(url, None)

    # ---- the steps

    def _begun(self, replaces: str) -> tuple[str, Json]:
        """The address of the order, and the order: one that is under way already, or a new one."""
        record = self._folder.record(self._name)
        if record.order and record.order_at == self._connection.settings.directory and self._folder.read(self._key_file):
            try:
                return record.order, self._connection.ask(record.order, None)
            except AuthorityRefused:
                pass  # it is over, or was never heard of
        make = KEYS[self._around.key_type]()
        self._folder.write(self._key_file, make.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        wanted: Json = {"identifiers": [{"type": "dns", "value": self._name}]}
        if self._connection.settings.profile is not None:
            wanted["profile"] = self._profile(self._connection.settings.profile)
        if replaces:
            wanted["replaces"] = replaces
        response = self._ordered(wanted)
        url = response.headers.get("Location")
        if not isinstance(url, str) or not url.startswith("https://") or len(url) > 1000:
            raise AuthorityRefused("it gave the order no address")
        order = response.json()
        if not isinstance(order, dict):
            raise AuthorityRefused("it answered with no order")
        self._folder.keep(self._name, replace(record, order=url, order_at=self._connection.settings.directory))
        return url, order

    def _ordered(self, wanted: Json) -> Any:
        """What the authority says to a new order. It may not want to hear what it replaces (RFC 9773 5): then it is not told."""
        where = self._connection.address("newOrder")
        try:
            return self._connection.post(where, wanted)
        except AuthorityRefused as error:
            if "replaces" not in wanted or error.lost:
                raise
            return self._connection.post(where, {key: value for key, value in wanted.items() if key != "replaces"})

    def _profile(self, wanted: str) -> str:
        meta = self._connection.directory().get("meta")
        offered = meta.get("profiles") if isinstance(meta, dict) else None
        if not isinstance(offered, dict) or wanted not in offered:
            known = ", ".join(map(str, offered)) if isinstance(offered, dict) and offered else "none"
            raise AuthorityRefused(f'it offers no profile "{wanted}"; there are: {known[:200]}')
        return wanted

    def _prove(self, order: Json) -> None:
        listed = order.get("authorizations")
        if not isinstance(listed, list) or not 0 < len(listed) <= MOST_AUTHORIZATIONS:
            raise AuthorityRefused("the order has no authorizations that we understand")
        for url in listed:
            self._prove_one(str(url))

    def _prove_one(self, url: str) -> None:
        authorization = self._connection.ask(url, None)
        proof = next_proof(authorization.get("status"), url in self._answered)
        if proof is Proof.DONE:
            return
        if proof is Proof.GIVE_UP:
            raise AuthorityRefused(_reason(authorization))
        challenge = self._challenge(authorization)
        token = challenge["token"]
        answer = ChallengeAnswer(
            self._around.challenge, self._name.removeprefix("*."), token, f"{token}.{self._connection.thumbprint}"
        )
        with self._around.shown(answer):
            self._around.alive()
            self._answered.add(url)
            self._connection.post(_address(challenge, "url"), {})
            self._await(url)

    def _challenge(self, authorization: Json) -> Json:
        listed = authorization.get("challenges")
        offered = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
        for each in offered:
            if each.get("type") == self._around.challenge:
                if not isinstance(each.get("token"), str) or not _TOKEN.match(each["token"]):
                    raise AuthorityRefused("its challenge has no token that we understand")
                return each
        kinds = ", ".join(str(each.get("type")) for each in offered)
        raise AuthorityRefused(f"it does not offer {self._around.challenge} for {self._name}; there are: {kinds[:200] or 'none'}")

    def _await(self, url: str) -> None:
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            self._around.alive()
            authorization = self._connection.ask(url, None)
            proof = next_proof(authorization.get("status"), True)
            if proof is Proof.DONE:
                return
            if proof is Proof.GIVE_UP:
                raise AuthorityRefused(_reason(authorization))
            time.sleep(_pause(self._connection.wait))
        raise AuthorityRefused(f"it did not look at the challenge within {PATIENCE:g} s")

    def _key(self) -> Any:
        content = self._folder.read(self._key_file)
        if content is None:
            raise AuthorityRefused("the key of the order is gone")
        return load_pem_private_key(content, None)

    def _request(self) -> str:
        names = x509.SubjectAlternativeName([x509.DNSName(self._name)])
        builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).add_extension(names, critical=False)
        der = builder.sign(self._key(), hashes.SHA256()).public_bytes(Encoding.DER)
        return base64.urlsafe_b64encode(der).rstrip(b"=").decode("ascii")

    def _fetch(self, order: Json) -> bytes:
        response = self._connection.post(_address(order, "certificate"), None)
        key = self._key()
        chain = checked(response.content, key, self._name)
        text: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return text + chain

    def tidy(self) -> None:
        """The order is over."""
        self._folder.remove(self._key_file)


def checked(chain: bytes, key: Any, name: str) -> bytes:
    """The certificates of an answer, and nothing else of it. Raises Refused for what is not what was ordered."""
    try:
        found = x509.load_pem_x509_certificates(chain)
        leaf = found[0]
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
        belongs = leaf.public_key() == key.public_key()
    except (ValueError, x509.ExtensionNotFound) as error:
        raise AuthorityRefused(f"what it gave is no certificate ({type(error).__name__})") from None
    if not belongs:
        raise AuthorityRefused("what it gave is a certificate for another key")
    if name not in [each.lower() for each in names]:
        raise AuthorityRefused(f"what it gave is a certificate for {', '.join(names)[:200] or 'nobody'}")
    return b"".join(each.public_bytes(Encoding.PEM) for each in found)


def ari_id(content: bytes) -> str:
    """What RFC 9773 4.1 calls a certificate: its signer's key and its serial number; "" where it does not say who signed it."""
    leaf = x509.load_pem_x509_certificate(content)
    try:
        signer = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    except (x509.ExtensionNotFound, ValueError):
        return ""
    if not signer:
        return ""
    number = leaf.serial_number
    serial = number.to_bytes(number.bit_length() // 8 + 1, "big")
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode("ascii") for part in (signer, serial))


def trusting(ca: bytes | None) -> ssl.SSLContext:
    """For the authority's own server; None: whom browsers trust. Raises ValueError for what holds no certificate."""
    context = verification.client()
    if ca is None:
        import certifi

        context.load_verify_locations(cafile=certifi.where())
        return context
    held = b"".join(pem.ders(ca))  # what stands between them may be in any language
    if not held:
        raise ValueError("it holds no certificate in PEM")
    try:
        context.load_verify_locations(cadata=held)
    except ssl.SSLError as error:
        raise ValueError(str(error.reason or error)) from None
    verification.trust_what_was_named(context)
    return context


def _address(told: Json, key: str) -> str:
    found = told.get(key)
    if not isinstance(found, str) or not found.startswith("https://") or len(found) > 1000:
        raise AuthorityRefused(f"it gave no address for {key}")
    return found


def _pause(asked: float) -> float:
    return min(max(POLL, asked), MOST_POLL)


def _reason(told: Json) -> str:
    """Why an order or an authorization is refused, in the authority's words."""
    listed = told.get("challenges")
    inside = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    for error in (each.get("error") for each in (told, *inside)):
        if isinstance(error, dict):
            kind = str(error.get("type", "")).rpartition(":")[2]
            return f"{kind}: {error.get('detail', '')}"[:400]
    return f"it is {told.get('status')}"[:100]
