"""A folder of certificates: which pairs of files are in it, by the layouts that people's tools leave behind.

    NAME.crt (.cer, .pem) and NAME.key      what openssl, mkcert and lego write
    NAME.pem                                both in one file, as HAProxy wants it
    NAME.p12 (.pfx)                         both in a PKCS #12 file, as Windows and Java export them
    NAME/fullchain.pem and privkey.pem      certbot's "live" folder
    NAME/fullchain.cer and NAME.key         acme.sh's, with NAME_ecc/ beside it for the other kind of key

What is in the files is judged elsewhere (tls/): here names are looked at, and nothing is opened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from lbproxy.config.model import CertificateConfig, Passphrase

CERTIFICATES = (".crt", ".cer", ".pem")
"""In this order, where one key has several beside it."""
CONTAINERS = (".p12", ".pfx")
"""With both halves: taken where neither of them stands beside them."""
FILES = (*CERTIFICATES, *CONTAINERS, ".key")
"""Endings of files: no folder that holds a pair is called so, and nobody has to look."""
CERTBOT = ("fullchain.pem", "privkey.pem")
ACME_SH = "fullchain.cer"
_ECC = "_ecc"


class FolderContents(NamedTuple):
    """What a folder holds, by the names of its files."""

    pairs: tuple[CertificateConfig, ...] = ()
    """In the order of their names: the first is the default."""
    odd: tuple[str, ...] = ()
    """What looks like half of one, in words."""


def pairs_in(
    folder: Path,
    key_mode: str = "private",
    passphrase: Passphrase | None = None,
    passing: Callable[[str], object] = lambda path: None,
) -> FolderContents:
    """Raises OSError when the folder cannot be read; one inside it that cannot is told of. `passing` is told of each before it is
    looked at, and of "" at the end."""
    passing(str(folder))
    try:
        return _pairs_in(folder, key_mode, passphrase, passing)
    finally:
        passing("")


def _pairs_in(folder: Path, key_mode: str, passphrase: Passphrase | None, passing: Callable[[str], object]) -> FolderContents:
    names = _listed(folder)
    pairs: list[tuple[str, CertificateConfig]] = []
    odd: list[str] = []
    for stem, cert, key in _beside(names):
        if cert is None:
            continue  # keys of other things
        pairs.append((stem, CertificateConfig(folder / cert, folder / (key or cert), key_mode, passphrase)))
    for name in names:
        _, dot, ending = name.rpartition(".")
        if f".{ending}" in FILES:
            continue
        passing(str(folder / name))
        if not dot or (folder / name).is_dir():
            try:
                inside = _inside(folder / name, key_mode, passphrase)
            except NotADirectoryError:
                continue
            except OSError as error:
                odd.append(f"{folder / name} cannot be read: {error.strerror or error}")
                continue
            if inside is not None:
                pairs.append((name, inside))
    found = tuple(pair for _, pair in sorted(pairs, key=lambda each: each[0]))
    joined = (".pem", *CONTAINERS)
    without = (f"{one.cert} has no key beside it" for one in found if one.cert == one.key and one.cert.suffix not in joined)
    kept = tuple(one for one in found if one.cert != one.key or one.cert.suffix in joined)
    return FolderContents(kept, (*odd, *without))


def _listed(folder: Path) -> list[str]:
    """Hidden files are nobody's: editors and Kubernetes leave some."""
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith(".") and not path.name.endswith("~"))


def _beside(names: Iterable[str]) -> Iterator[tuple[str, str | None, str | None]]:
    """By stem: the certificate's file and the key's."""
    stems: dict[str, dict[str, str]] = {}
    for name in names:
        stem, dot, ending = name.rpartition(".")
        if dot and stem:
            stems.setdefault(stem, {})["." + ending] = name
    for stem, files in stems.items():
        cert = next((files[ending] for ending in CERTIFICATES if ending in files), None)
        container = next((files[ending] for ending in CONTAINERS if ending in files), None)
        if cert is None and container is not None:
            yield stem, container, container
        else:
            yield stem, cert, files.get(".key")


def _inside(folder: Path, key_mode: str, passphrase: Passphrase | None) -> CertificateConfig | None:
    """One that has a folder to itself. Raises OSError."""
    names: Mapping[str, None] = dict.fromkeys(path.name for path in folder.iterdir())
    if all(name in names for name in CERTBOT):
        return CertificateConfig(folder / CERTBOT[0], folder / CERTBOT[1], key_mode, passphrase)
    key = f"{folder.name.removesuffix(_ECC)}.key"
    if ACME_SH in names and key in names:
        return CertificateConfig(folder / ACME_SH, folder / key, key_mode, passphrase)
    return None
