"""Folders of certificates: which of their pairs cannot be used, and what stands in those that can.

Of very many each file is opened once: what was found good is put into a store as it was judged (harvest.py), and nobody reads it
again. A pair about which there is any doubt is looked at more closely (pair_audit.py), which has the words for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from lbproxy.config.model import CertificateConfig, Config, ListenConfig
from lbproxy.errors import Complaint
from lbproxy.tls import pem, remote_key
from lbproxy.tls.contexts import TRIED
from lbproxy.tls.facts import facts_of, told_facts
from lbproxy.tls.files import PRIVATE, Location, exposure, parsed
from lbproxy.tls.harvest import Crate
from lbproxy.tls.keystore import content_of, overwriting
from lbproxy.tls.pair_audit import MOST_SIBLINGS, at_a_glance, judged, of_another_kind, public_half, weakness
from lbproxy.tls.sni import kind_of
from lbproxy.tls.unlock import Known

Unusable = list[tuple[int, str]]
"""Numbers of a listener's `listed` pairs, each with the reason."""
NOWHERE = Location("", 0, "")


def audit_folder(
    listen: ListenConfig,
    span: range | None = None,
    *,
    isolated: bool = False,
    crate: Crate | None = None,
    taken: list[Any] | None = None,
) -> Unusable:
    """Which pairs of a listener's folder, or of some of them, cannot be used; `isolated`: with key_isolation. Raises nothing.

    `crate`: where what is good is put, if there are many; `taken` gets their numbers, and what is known of each.
    """
    found: Unusable = []
    many = len(listen.listed) > TRIED
    look = at_a_glance if many else judged
    siblings = listen.listed[:MOST_SIBLINGS]
    known: Known = {}
    with overwriting():
        for index in span or range(len(listen.listed)):
            pair = listen.listed[index]
            told = _taken(pair, crate, isolated=isolated) if many and crate is not None and taken is not None else None
            if told is not None and taken is not None:
                taken.append([index, *told])
                continue
            faults = list(look(NOWHERE, pair, siblings, known))
            faults += of_another_kind(NOWHERE, pair) if isolated else ()
            if faults:
                found.append((index, faults[0].message + (f" ({faults[0].hint})" if faults[0].hint else "")))
    return found


def _taken(pair: CertificateConfig, crate: Crate, *, isolated: bool) -> list[Any] | None:
    """Where a pair of plain PEM files stands in the crate, and what is known of it; None: it has to be looked at more closely."""
    try:
        with content_of(pair.key, crate.keys.stamps) as key:
            public = None if pem.is_encrypted(key) or PRIVATE not in key else public_half(bytes(key))
            if public is None or any(exposure(pair.key, pair.key_mode)):
                return None
            with content_of(pair.cert, crate.certificates.stamps) as text:
                ders = pem.ders(text)
                chain = [parsed(der) for der in ders]
                leaf = chain[0] if chain else None
                if leaf is None or any(weakness(leaf)) or pem.public_key_of(ders[0]) != public:
                    return None
                if (pair.cert != pair.key and PRIVATE in text) or (isolated and kind_of(leaf) not in remote_key.KINDS):
                    return None
                pieces = [*crate.certificates.put_chain(pair.cert, text, ders), *crate.keys.put(pair.key, key)]
    except (OSError, ValueError):
        return None
    return [pieces, *crate.files(pair), told_facts(facts_of(pair.cert, chain, ders[0]))]


def without_unusable(config: Config, unusable: Sequence[Unusable]) -> tuple[Config, list[Complaint]]:
    """The configuration with what can be used of each listener's folder, and a complaint about each of which that is nothing."""
    listens, complaints = [], []
    for number, (listen, found) in enumerate(zip(config.listen, unusable, strict=True)):
        out = {index for index, _ in found}
        kept = tuple(pair for index, pair in enumerate(listen.listed) if index not in out)
        if found and not kept:
            first = f"none of the certificates in {listen.folder} can be used: {found[0][1]}"
            complaints.append(Complaint(config.source, listen.line, f"listen[{number}].certificates", first))
        why = tuple(f"{listen.listed[index].cert} is left out: {reason}" for index, reason in found)
        listens.append(replace(listen, listed=kept, left_out=(*listen.left_out, *why)) if found else listen)
    return replace(config, listen=tuple(listens)), complaints
