"""The folder that accounts, keys, certificates and records are kept in, for one machine or several that share it.

Files are replaced whole, by a rename: whoever reads meets the old one or the new one. All are for their owner alone (0600).
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from lbproxy.acme.record import IssuedCertificate, NameRecord, read, written
from lbproxy.config.acme_names import file_of
from lbproxy.tls.selfsigned import is_placeholder

LARGEST = 256 * 1024
"""Bytes of any file in it."""
MOST_CHALLENGES = 64
PART = "~"
"""Begins the name of what is not whole yet; no host begins so."""
LEFT_BEHIND = 3600.0
CHALLENGE = ".challenge-"


class AcmeFolder:
    """Everything in it; raises OSError as files do."""

    def __init__(self, path: Path = Path()) -> None:
        self.path = path

    def read(self, name: str) -> bytes | None:
        """What a file holds; None: it is not there."""
        try:
            file = os.open(self.path / name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        with os.fdopen(file, "rb") as opened:
            content = opened.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise OSError(0, f"{name} has more than {LARGEST} bytes")
        return content

    def write(self, name: str, content: bytes, *, new: bool = False) -> bool:
        """All of it or nothing. `new`: only where it is not there yet, which holds among machines; False: it is there already."""
        part = self.path / f"{PART}{name}.{secrets.token_hex(6)}"
        file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            with os.fdopen(file, "wb") as opened:
                opened.write(content)
                opened.flush()
                os.fsync(opened.fileno())
            if new:
                os.link(part, self.path / name)
            else:
                os.rename(part, self.path / name)
        except FileExistsError:
            return False
        finally:
            with suppress(FileNotFoundError):
                os.unlink(part)
        return True

    def remove(self, name: str) -> None:
        """Whether it is there or not."""
        with suppress(FileNotFoundError):
            os.unlink(self.path / name)

    def sweep(self, now: float) -> None:
        """Remove what somebody who was killed left half written. `now`: seconds since 1970."""
        for name in os.listdir(self.path):
            if name.startswith(PART):
                with suppress(OSError):
                    if now - os.stat(self.path / name).st_mtime > LEFT_BEHIND:
                        os.unlink(self.path / name)

    # ---- names

    def record(self, name: str) -> NameRecord:
        """What is known of a name."""
        content = self.read(f"{file_of(name)}.json")
        return NameRecord() if content is None else read(content)

    def keep(self, name: str, record: NameRecord) -> None:
        """Replace what is known of a name."""
        self.write(f"{file_of(name)}.json", written(record))

    def held(self, name: str) -> IssuedCertificate | None:
        """The certificate that an authority gave for it; None: there is none that could be shown."""
        from cryptography import x509

        from lbproxy.tls.files import validity

        content = self.read(file_of(name))
        try:
            leaf = None if content is None else x509.load_pem_x509_certificate(content)
        except ValueError:
            return None
        if leaf is None or is_placeholder(leaf):
            return None
        start, end = validity(leaf)
        return IssuedCertificate(start.timestamp(), end.timestamp())

    def challenges(self) -> list[str]:
        """The files of challenges that are to be answered now, by all machines."""
        return sorted(name for name in os.listdir(self.path) if name.startswith(CHALLENGE))[:MOST_CHALLENGES]
