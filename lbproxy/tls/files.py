"""Certificate, key and authority files: what is in them, and why not, in words to act on."""

from __future__ import annotations

import os
import pwd
import re
import stat
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lbproxy.errors import Complaint
from lbproxy.tls import pem
from lbproxy.tls.keystore import NoFile, content_of

if TYPE_CHECKING:
    from cryptography import x509

PRIVATE = b"PRIVATE KEY-----"
BEGINS = tuple(b"-----BEGIN " + label + b"-----" for label in pem.CERTIFICATES)


class FileFault(NamedTuple):
    """A complaint that does not know yet where in the configuration it stands."""

    message: str
    hint: str = ""


class Location(NamedTuple):
    """Where the configuration names a file."""

    source: str
    line: int
    key: str

    def complaint(self, fault: FileFault) -> Complaint:
        return Complaint(self.source, self.line, self.key, fault.message, fault.hint)


Chain = Sequence["x509.Certificate | None"]
"""None: one that OpenSSL may understand, and we do not."""


def read_chain(path: Path) -> Chain | FileFault:
    """The certificates of a PEM file, at least one, or why there are none."""
    try:
        with content_of(path) as content:
            if not any(begin in content for begin in BEGINS):
                return FileFault(f"{path} holds no certificate in PEM form ({what_it_holds(content)})")
            try:
                ders = pem.ders(content)
            except ValueError as error:
                return FileFault(f"{path} holds a certificate that cannot be read: {error}")
    except NoFile:
        return no_file(path)
    except OSError as error:
        return os_fault(error, path)
    return [parsed(der) for der in ders] or FileFault(f"{path} holds a certificate that cannot be read: it has no end")


def read_lists(path: Path) -> Sequence[x509.CertificateRevocationList] | FileFault:
    """The lists of revoked certificates of a file, at least one, or why there are none."""
    from cryptography import x509

    try:
        with content_of(path) as content:
            try:
                return [x509.load_der_x509_crl(der) for der in pem.lists(content)]
            except ValueError as error:
                holds = what_it_holds(content) if b"X509 CRL" not in content else str(error)
                hint = "openssl crl -in FILE -text shows one"
                return FileFault(f"{path} holds no list of revoked certificates that can be read ({holds})", hint)
    except NoFile:
        return no_file(path)
    except OSError as error:
        return os_fault(error, path)


def parsed(der: bytes) -> x509.Certificate | None:
    """What `cryptography` makes of it; None where it is stricter than OpenSSL (negative serial numbers), whose judgement counts."""
    return _parsed_once(der) if len(der) <= pem.SHORT else _parsed(der)


@lru_cache(maxsize=64)
def _parsed_once(der: bytes) -> x509.Certificate | None:
    return _parsed(der)


def _parsed(der: bytes) -> x509.Certificate | None:
    from cryptography import x509  # not at the top: 50 ms that a start without TLS need not spend

    try:
        return x509.load_der_x509_certificate(der)
    except ValueError:
        return None


def read(path: Path) -> bytes | FileFault:
    """The content of a regular file."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # a FIFO would block us, a device feed us for ever
            return no_file(path)
        return path.read_bytes()
    except OSError as error:
        return os_fault(error, path)


def no_file(path: Path) -> FileFault:
    """What is there instead."""
    return FileFault(f"{path} is {'a directory' if path.is_dir() else 'no regular file'}, wanted a PEM file")


def os_fault(error: OSError, path: Path) -> FileFault:
    """Why a file cannot be read."""
    if isinstance(error, FileNotFoundError):
        if path.exists():  # what was not found is /proc/self/fd: OpenSSL reads keys from memory by that name
            return FileFault(f"{path} cannot be loaded without /proc", "mount -t proc proc /proc")
        return FileFault(f"{path} does not exist")
    if isinstance(error, PermissionError):
        return FileFault(f"{path} may not be read by {_who_am_i()}")
    return FileFault(f"{path} cannot be read: {error.strerror or error}")


def _who_am_i() -> str:
    uid = os.geteuid()
    try:
        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:  # a container's uid without an account
        return f"uid {uid}"


def what_it_holds(content: pem.Text) -> str:
    """What came instead, so that two swapped settings are seen at once. Never shows content: it may be a secret."""
    if re.search(rb"\S", content) is None:
        return "it is empty"
    if PRIVATE in content:
        return "it holds a private key"
    if b"-----BEGIN CERTIFICATE REQUEST-----" in content:
        return "it holds a certificate request, not yet signed"
    if any(begin in content for begin in BEGINS):
        return "it holds a certificate"
    if content.startswith(b"\x30"):  # ASN.1 SEQUENCE: how every DER or PKCS #12 file begins
        return "it looks like DER or PKCS #12: convert it with openssl"
    return "it is something else"


def subject(certificate: x509.Certificate) -> str:
    """What a person calls this certificate: its first DNS name, else its subject."""
    from cryptography import x509

    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        dns = names.get_values_for_type(x509.DNSName)
        if dns:
            return dns[0]
    except (x509.ExtensionNotFound, ValueError):
        pass  # no alternative names, or unreadable ones: the subject will do
    return certificate.subject.rfc4514_string() or "no name"


def validity(certificate: x509.Certificate) -> tuple[datetime, datetime]:
    """Start and end with their time zone, also where cryptography (before 42) gives them without."""
    if hasattr(certificate, "not_valid_after_utc"):
        return certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return certificate.not_valid_before.replace(tzinfo=UTC), certificate.not_valid_after.replace(tzinfo=UTC)


def exposure(path: Path, key_mode: str, what: str = "private key") -> Iterator[FileFault]:
    """A key that others than its owner may read.

    One habit is let through: root's key, readable by a group (0640), as Debian's ssl-cert package sets it up.
    """
    if key_mode == "any":
        return
    try:
        status = os.stat(path)
    except OSError as error:
        yield os_fault(error, path)
        return
    mode = stat.S_IMODE(status.st_mode)
    if mode & stat.S_IRWXO:
        who = "everybody"
    elif mode & stat.S_IRWXG and not (status.st_uid == 0 and mode & stat.S_IRWXG == stat.S_IRGRP):
        who = "its group"
    else:
        return
    yield FileFault(f"{path} holds a {what}, but {who} may use it (mode {mode:04o})", _chmod(path))


def _chmod(path: Path) -> str:
    return f'chmod 600 {path}, or key_mode = "any" beside it where that cannot be'


def update_times(listed: x509.CertificateRevocationList) -> tuple[datetime, datetime]:
    """From when a list of revoked certificates counts, and until when: for ever, where it does not say."""
    if hasattr(listed, "last_update_utc"):
        start, end = listed.last_update_utc, listed.next_update_utc
    else:  # before 42
        start, end = listed.last_update.replace(tzinfo=UTC), listed.next_update and listed.next_update.replace(tzinfo=UTC)
    return start, end or datetime.max.replace(tzinfo=UTC)
