"""Keys that have to be opened before OpenSSL may have them: encrypted ones, and PKCS #12 files, which hold both halves of a pair.

They are opened in a process apart (fork.py) by `cryptography`, which is here anyhow and reads both in all their forms (Python's ssl
takes neither a passphrase without a copy in its memory, nor PKCS #12 at all), and written into the store of keys, in plain PEM, by
that process itself: neither passphrase nor key is ever in the memory of who asks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from lbproxy.config.model import CertificateConfig, Passphrase
from lbproxy.tls import passphrase, pem
from lbproxy.tls.files import Chain, FileFault, parsed, read_chain
from lbproxy.tls.fork import PATIENCE, apart
from lbproxy.tls.keystore import KeyStore, Piece, Stamp, content_of

if TYPE_CHECKING:
    from cryptography import x509

PER_PAIR = 0.1
"""Seconds more for each: a passphrase is stretched on purpose."""


class UnlockedPair(NamedTuple):
    """A pair without the passphrase that kept it shut."""

    chain: bytes
    """PEM; b"": it has a file of its own."""
    key: bytes
    """PEM, without a passphrase."""


class Shut(NamedTuple):
    """Why it cannot be opened."""

    fault: FileFault
    about: str
    """The key of the pair's table: key, passphrase, cert."""


class PairPieces(NamedTuple):
    """Where it stands in the store."""

    chain: Piece | None
    """None: it has a file of its own."""
    key: Piece


Known = dict[Passphrase, bytes]
"""Passphrases that were asked for already, in a process that ends soon."""


def is_container(files: CertificateConfig) -> bool:
    """Whether both halves stand in one file that is no PEM. Raises OSError."""
    if files.cert != files.key:
        return False
    with content_of(files.cert) as content:
        return content[:1] == pem.DER


def opened(files: CertificateConfig, known: Known) -> UnlockedPair | Shut | None:
    """In a process that ends soon. None: there is nothing to open, or nothing to read."""
    try:
        with content_of(files.key) as content:
            container = files.cert == files.key and content[:1] == pem.DER
            if not container and not pem.is_encrypted(content):
                return None
            word = _word(files, known)
            return _container(files, bytes(content), word) if container else _key(files, bytes(content), word)
    except passphrase.PassphraseUnknown as unknown:
        return Shut(unknown.fault, "passphrase")
    except OSError:
        return None  # told by whoever looks at files


def _word(files: CertificateConfig, known: Known) -> bytes | None:
    source = files.passphrase
    if source is None:
        return None
    if source not in known:
        known[source] = passphrase.read(source)
    return known[source]


def _key(files: CertificateConfig, content: bytes, word: bytes | None) -> UnlockedPair | Shut:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    if word is None:
        why = f"{files.key} is encrypted with a passphrase, and nobody is there to type it when lbproxy starts by itself"
        hint = 'say where it is: passphrase = { file = "..." }, or credential, command, fd'
        return Shut(FileFault(why, f"{hint}; or openssl pkey -in {files.key} -out plain.key && chmod 600 plain.key"), "key")
    try:
        return UnlockedPair(b"", _plain(load_pem_private_key(content, word)))
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return Shut(FileFault(*_wrong(files, f"openssl pkey -in {files.key} -noout")), "key")


def _container(files: CertificateConfig, content: bytes, word: bytes | None) -> UnlockedPair | Shut:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.hazmat.primitives.serialization.pkcs12 import load_key_and_certificates

    try:
        key, leaf, others = load_key_and_certificates(content, word)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        if word is None:
            hint = f'passphrase = {{ file = "..." }}; openssl pkcs12 -info -in {files.cert} -noout tells what it is'
            return Shut(FileFault(f"{files.cert} is no PEM, and as PKCS #12 it does not open without a passphrase", hint), "cert")
        return Shut(FileFault(*_wrong(files, f"openssl pkcs12 -in {files.cert} -noout")), "cert")
    if key is None or leaf is None:
        missing = "key" if key is None else "certificate of that key"
        return Shut(FileFault(f"{files.cert} is a PKCS #12 file without a {missing}", "export it with both"), "cert")
    chain = b"".join(one.public_bytes(Encoding.PEM) for one in _in_order(leaf, others))
    return UnlockedPair(chain, _plain(key))


def _wrong(files: CertificateConfig, command: str) -> tuple[str, str]:
    source = files.passphrase
    where = "" if source is None else f", which comes by {source.way} {source.words[0]}"
    return f"{files.key} does not open with its passphrase{where}", f"is it that of another file? {command}"


def _plain(key: Any) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    text: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return text


def _in_order(leaf: x509.Certificate, others: Sequence[x509.Certificate]) -> Iterator[x509.Certificate]:
    """As TLS wants them, the site's own first; PKCS #12 knows no order. Without roots: clients have their own."""
    left = list(others)
    one: x509.Certificate | None = leaf
    while one is not None:
        yield one
        if one.issuer == one.subject:
            return
        issuer = one.issuer
        one = next((each for each in left if each.subject == issuer and each.issuer != each.subject), None)
        if one is not None:
            left.remove(one)


# ---------------------------------------------------------------- for who asks


def unlock(pairs: Sequence[CertificateConfig], store: KeyStore, vault: KeyStore | None = None) -> list[PairPieces | Shut]:
    """Open them, and put what they hold into the store; `vault`: the one for keys, where they have their own. Raises StartError and
    OSError."""
    keys = vault or store

    def work() -> list[object]:
        known: Known = {}
        return [_into(store, keys, files, known) for files in pairs]

    told = apart(work, PATIENCE + PER_PAIR * len(pairs))
    store.catch_up()
    keys.catch_up()
    return [_heard(store, files, *facts) for files, facts in zip(pairs, told, strict=True)]


def _into(store: KeyStore, keys: KeyStore, files: CertificateConfig, known: Known) -> list[object]:
    """As JSON carries it."""
    stamps: dict[Any, Stamp] = {}
    with content_of(files.key, stamps) as content:
        digest = hashlib.sha256(content).hexdigest()
    found = opened(files, known)
    if found is None:
        found = Shut(FileFault(f"{files.key} has just changed", "once more"), "key")
    if isinstance(found, Shut):
        return [None, None, [*found.fault, found.about]]
    chain = store.note(found.chain) if found.chain else None
    return [[digest, stamps[files.key]], [chain, keys.note(found.key)], None]


def _heard(store: KeyStore, files: CertificateConfig, facts: Any, pieces: Any, fault: Any) -> PairPieces | Shut:
    if fault is not None:
        message, hint, about = fault
        return Shut(FileFault(message, hint), about)
    digest, stamp = facts
    store.digests[files.key], store.stamps[files.key] = bytes.fromhex(digest), Stamp(*stamp)
    chain, key = pieces
    return PairPieces(None if chain is None else Piece(*chain), Piece(*key))


def chain_of(files: CertificateConfig) -> Chain | FileFault:
    """The certificates of a pair, whatever they stand in, or why there are none."""
    try:
        if not is_container(files):
            return read_chain(files.cert)
    except OSError:
        return read_chain(files.cert)  # which tells why

    def work() -> list[str]:
        found = opened(files, {})
        if isinstance(found, UnlockedPair):
            return [found.chain.decode("ascii")]
        return [*found.fault] if isinstance(found, Shut) else []

    told = apart(work)
    if len(told) == 1:
        return [parsed(der) for der in pem.ders(told[0].encode("ascii"))]
    return FileFault(*told) if told else read_chain(files.cert)
