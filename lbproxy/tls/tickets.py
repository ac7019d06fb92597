"""The keys of session tickets (RFC 5077, RFC 8446 4.6.1): who has them can read every session that is resumed with one.

Left to itself OpenSSL makes a key with each context and keeps it for ever. So the keys are ours: secrets of 80 random bytes, the
first of which makes tickets while the others are still taken. They are made by the master, or come from files that several machines
share, and change while lbproxy runs.

What a listener's context works with is derived from them (HMAC-SHA256) and from what it asks of clients: a session that was begun
where everybody comes in is none where certificates are asked for, nor one of a weak profile any where that is refused.

OpenSSL asks by a callback (SSL_CTX_set_tlsext_ticket_key_evp_cb, from 3.0 on). Where wire.pyx is compiled that is C, elsewhere it
is Python called by OpenSSL, as `ssl` itself does it with names (sni_callback): sound, and a little slower.
"""

from __future__ import annotations

import ctypes
import hmac
import os
import ssl
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from lbproxy.errors import StartError
from lbproxy.tls.contexts import OuterKey
from lbproxy.tls.keystore import content_of

SECRET = 80
"""Bytes of a secret, as nginx (ssl_session_ticket_key) and HAProxy have them in files; 48 are taken as well."""
SHORT = 48
NAME, MAC, CIPHER = 16, 32, 32
MOST = 8
"""Keys of a context."""
REFUSED, TAKEN, TO_BE_RENEWED = 0, 1, 2
FAILED = -1
TLS_1_3 = 0x0304
"""RFC 8446 C.4: a ticket is for one use there, so whoever resumes gets another. That flight also acknowledges the client's last of
the handshake; without it a client with Nagle's algorithm keeps its request back until the kernel does (40 ms)."""
OCTETS, TEXT = 5, 4  # OSSL_PARAM_OCTET_STRING, OSSL_PARAM_UTF8_STRING


def made() -> bytes:
    """A new secret."""
    return os.urandom(SECRET)


def read_secrets(paths: Sequence[Path]) -> tuple[bytes, ...]:
    """One of each file, in order. Raises StartError."""
    found = []
    for path in paths:
        try:
            with content_of(path) as content:
                secret = bytes(content)
        except OSError as error:
            raise StartError(f"ticket key {path}: {error.strerror or error}") from error
        if len(secret) not in (SECRET, SHORT):
            hint = f"openssl rand {SECRET} > {path}"
            raise StartError(f"ticket key {path}: wanted {SECRET} or {SHORT} bytes, came {len(secret)} ({hint})")
        found.append(secret)
    return tuple(found)


def packed(secrets: Sequence[bytes]) -> bytes:
    """As they stand in the store for workers."""
    return b"".join(len(each).to_bytes(1, "big") + each for each in secrets)


def unpacked(content: bytes) -> tuple[bytes, ...]:
    """What `packed` packed."""
    found = []
    while content:
        found.append(content[1 : 1 + content[0]])
        content = content[1 + content[0] :]
    return tuple(found)


def derived(secret: bytes, asked: bytes) -> bytes:
    """Name, key of the MAC and key of the cipher, for contexts that ask the same of clients."""
    blocks = (hmac.digest(secret, b"lbproxy ticket %d " % number + asked, "sha256") for number in range(3))
    return b"".join(blocks)[:SECRET]


def asked_of_clients(key: OuterKey) -> bytes:
    """What makes sessions of one listener none of another's: all that its context is made of but where it listens and what is
    spoken there."""
    return repr(tuple(key._replace(address="", protocols=()))).encode()


# ---------------------------------------------------------------- OpenSSL


@cache
def _library() -> ctypes.CDLL | None:
    """The OpenSSL that `ssl` uses; None when it has not what is needed, or hides it."""
    import _ssl

    try:
        library = ctypes.CDLL(_ssl.__file__)
        library.SSL_CTX_set_tlsext_ticket_key_evp_cb.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
        library.SSL_CTX_get_options.argtypes, library.SSL_CTX_get_options.restype = [ctypes.c_void_p], ctypes.c_uint64
        library.SSL_version.argtypes = [ctypes.c_void_p]
        library.EVP_aes_256_cbc.restype = ctypes.c_void_p
        for name in ("EVP_EncryptInit_ex", "EVP_DecryptInit_ex"):
            getattr(library, name).argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
        library.EVP_MAC_CTX_set_params.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    except (AttributeError, OSError):
        return None
    return library


def available() -> bool:
    """Whether keys can be set here: from OpenSSL 3.0 on."""
    return _library() is not None


class _Parameter(ctypes.Structure):
    """An OSSL_PARAM of openssl/core.h, which ends a list when it is empty."""

    _fields_ = (
        ("key", ctypes.c_char_p),
        ("kind", ctypes.c_uint),
        ("data", ctypes.c_char_p),
        ("size", ctypes.c_size_t),
        ("returned", ctypes.c_size_t),
    )


UNMODIFIED = ctypes.c_size_t(-1).value
_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int
)


class PlainKeys:
    """The keys of contexts that ask the same, and the callback over them, in Python."""

    def __init__(self) -> None:
        self._keys: tuple[bytes, ...] = ()
        self._called = _CALLBACK(self._answer)  # OpenSSL keeps its address for as long as the process lives

    def set(self, keys: bytes) -> None:
        """From now on: so many of SECRET bytes each."""
        self._keys = tuple(keys[at : at + SECRET] for at in range(0, len(keys), SECRET))

    def address(self) -> int:
        """Of the callback."""
        return ctypes.cast(self._called, ctypes.c_void_p).value or 0

    def _answer(self, session: int, name: int, iv: int, cipher: int, mac: int, encrypt: int) -> int:
        library = _library()
        if library is None or not self._keys:
            return FAILED
        number = 0
        if encrypt:
            ctypes.memmove(name, self._keys[0][:NAME], NAME)
            ctypes.memmove(iv, os.urandom(16), 16)
        else:
            wanted = ctypes.string_at(name, NAME)
            number = next((at for at, key in enumerate(self._keys) if key[:NAME] == wanted), -1)
            if number < 0:
                return REFUSED
        key = self._keys[number]
        parameters = (_Parameter * 3)(
            _Parameter(b"key", OCTETS, key[NAME : NAME + MAC], MAC, UNMODIFIED),
            _Parameter(b"digest", TEXT, b"SHA256", 6, UNMODIFIED),
            _Parameter(None, 0, None, 0, 0),
        )
        begin = library.EVP_EncryptInit_ex if encrypt else library.EVP_DecryptInit_ex
        if not library.EVP_MAC_CTX_set_params(mac, parameters):
            return FAILED
        if not begin(cipher, library.EVP_aes_256_cbc(), None, key[NAME + MAC :], iv):
            return FAILED
        return TO_BE_RENEWED if number or library.SSL_version(session) >= TLS_1_3 else TAKEN


def ask_for_keys(context: ssl.SSLContext, address: int) -> bool:
    """Let OpenSSL ask the callback at this address. False: it cannot be done here.

    The context's SSL_CTX is the first pointer of the object, from Python 3.6 on; it is looked at (its options must be the
    context's) before it is used.
    """
    library = _library()
    if library is None or not address:
        return False
    pointer = ctypes.c_void_p.from_address(id(context) + object.__basicsize__).value
    if not pointer or library.SSL_CTX_get_options(pointer) != int(context.options):
        return False
    return bool(library.SSL_CTX_set_tlsext_ticket_key_evp_cb(pointer, address))


class TicketKeys:
    """The ticket keys of a worker's listeners."""

    def __init__(self, native: Callable[[int, bytes], int] | None = None) -> None:
        """`native`: sets the keys of a slot, and gives the address of its callback in C; 0 where there is none (any more)."""
        self._native = native
        self._asked: dict[bytes, int] = {}
        """What is asked of clients, and the slot of it."""
        self._plain: dict[int, PlainKeys] = {}

    def use(self, secrets: Sequence[bytes], listeners: Sequence[tuple[ssl.SSLContext, OuterKey]]) -> bool:
        """From now on, for these. False: some go on with the key that OpenSSL made."""
        done = True
        for context, key in listeners:
            asked = asked_of_clients(key)
            slot = self._asked.setdefault(asked, len(self._asked))
            keys = b"".join(derived(secret, asked) for secret in secrets[:MOST])
            address = self._native(slot, keys) if self._native is not None else 0
            if not address:
                plain = self._plain.setdefault(slot, PlainKeys())
                plain.set(keys)
                address = plain.address()
            done = ask_for_keys(context, address) and done
        return done
