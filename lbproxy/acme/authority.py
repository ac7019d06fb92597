"""An authority as we know it: its directory, our account there, and requests to it (RFC 8555 7.1 to 7.3)."""

from __future__ import annotations

import base64
import hashlib
import json
import ssl
from typing import Any

from acme import messages
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from josepy.jwk import JWKEC

from lbproxy.acme.folder import AcmeFolder
from lbproxy.acme.network import ATTEMPTS, AuthorityRefused, Json, Network, Payload, explained
from lbproxy.config.model import AuthorityConfig

VERSION = 1


class AcmeAccount:
    """A key and, when the authority knows it, the account's address; kept in the folder and shared by all who share that."""

    def __init__(self, folder: AcmeFolder, settings: AuthorityConfig) -> None:
        """Raises OSError."""
        about = f"{settings.directory} {settings.eab_key_id or ''}"
        self._name = f"account-{hashlib.sha256(about.encode()).hexdigest()[:16]}.json"
        self._folder = folder
        self._directory = settings.directory
        told = self._read()
        if told is None:
            key = ec.generate_private_key(ec.SECP256R1())
            text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")
            folder.write(self._name, self._written(text, ""), new=True)
            told = self._read()  # another machine's, if that was faster
        if told is None:
            raise OSError(0, f"{self._name} holds no account; remove it to make another one")
        self._text = told["key"]
        self.address: str = told["address"]
        self.key = JWKEC(key=load_pem_private_key(self._text.encode("ascii"), None))

    def _read(self) -> Json | None:
        content = self._folder.read(self._name)
        if content is None:
            return None
        try:
            told: Any = json.loads(content)
            if told["version"] == VERSION and isinstance(told["key"], str) and isinstance(told["address"], str):
                return dict(told)
        except (ValueError, KeyError, TypeError):
            pass
        raise OSError(0, f"{self._name} holds no account; remove it to make another one")

    def _written(self, key: str, address: str) -> bytes:
        told = {"version": VERSION, "directory": self._directory, "key": key, "address": address}
        return json.dumps(told).encode("ascii")

    def keep(self, address: str) -> None:
        """The authority knows the key by that address, or ("") does not know it any more."""
        self.address = address
        self._folder.write(self._name, self._written(self._text, address))

    def thumbprint(self) -> str:
        """Of the key, as challenges want it (RFC 8555 8.1)."""
        return base64.urlsafe_b64encode(self.key.thumbprint()).rstrip(b"=").decode("ascii")


class AuthorityConnection:
    """To one authority, for one order or one question. All raise Refused."""

    def __init__(
        self, settings: AuthorityConfig, email: str | None, account: AcmeAccount, context: ssl.SSLContext, eab_key: str
    ) -> None:
        """`eab_key`: what the file of that name holds."""
        self.settings = settings
        self._email = email
        self._account = account
        self._eab_key = eab_key
        self._net = Network(account.key, context)
        self._directory: Json = {}

    @property
    def thumbprint(self) -> str:
        """Of our account."""
        return self._account.thumbprint()

    @property
    def wait(self) -> float:
        """What the last answer's Retry-After asked for, seconds; 0: nothing."""
        return self._net.wait

    def directory(self) -> Json:
        """What the authority offers."""
        if not self._directory:
            self._directory = self._get(self.settings.directory)
        return self._directory

    def address(self, what: str) -> str:
        """A resource of the directory."""
        found = self.directory().get(what)
        if not isinstance(found, str):
            raise AuthorityRefused(f"its directory has no {what}")
        return found

    def _get(self, url: str) -> Json:
        try:
            return _object(self._net.get(url))
        except Exception as error:
            raise explained(error, self._net.wait) from None

    def get(self, url: str) -> Json:
        """Without a signature."""
        return self._get(url)

    def post(self, url: str, payload: Json | None) -> Any:
        """Signed; None: only to read (POST-as-GET). The response."""
        if not self._account.address:
            self._register()
        self._net.account = messages.RegistrationResource(body=messages.Registration(), uri=self._account.address)
        try:
            return self._sign(url, payload)
        except messages.Error as error:
            if str(error.typ or "").endswith(":accountDoesNotExist"):
                self._account.keep("")  # the next attempt registers
            raise explained(error, self._net.wait) from None
        except Exception as error:
            raise explained(error, self._net.wait) from None

    def ask(self, url: str, payload: Json | None) -> Json:
        """The same for an object."""
        return _object(self.post(url, payload))

    def _sign(self, url: str, payload: Json | None) -> Any:
        """The library tries again once where a nonce was refused; authorities that are busy refuse more of them."""
        for attempt in range(ATTEMPTS):
            try:
                body = None if payload is None else Payload(payload)
                return self._net.post(url, body, new_nonce_url=self.address("newNonce"))
            except messages.Error as error:
                if not str(error.typ or "").endswith(":badNonce") or attempt == ATTEMPTS - 1:
                    raise
        raise AssertionError("the last attempt raises or returns")

    def _register(self) -> None:
        meta = self.directory().get("meta")
        bound = isinstance(meta, dict) and meta.get("externalAccountRequired") is True
        wanted: Json = {"termsOfServiceAgreed": True}
        if self._email is not None:
            wanted["contact"] = [f"mailto:{self._email}"]
        if self.settings.eab_key_id is not None:
            public = self._account.key.public_key()
            try:
                binding = messages.ExternalAccountBinding.from_data(
                    public,
                    self.settings.eab_key_id,
                    self._eab_key,
                    messages.Directory({"newAccount": self.address("newAccount")}),
                )
            except Exception as error:
                raise AuthorityRefused(f"eab_key holds no key in base64url form ({type(error).__name__})") from None
            wanted["externalAccountBinding"] = binding
        elif bound:
            raise AuthorityRefused("it wants to know whose account this is to be: set eab_key_id and eab_key")
        self._net.account = None
        try:
            response = self._sign(self.address("newAccount"), wanted)
            found = response.headers.get("Location")
        except Exception as error:
            raise explained(error, self._net.wait) from None
        if not isinstance(found, str) or not found.startswith("https://"):
            raise AuthorityRefused("it made no account")
        self._account.keep(found)


def _object(response: Any) -> Json:
    try:
        told = response.json()
    except ValueError:
        raise AuthorityRefused("it answered with no JSON") from None
    if not isinstance(told, dict):
        raise AuthorityRefused("it answered with no object")
    return told
