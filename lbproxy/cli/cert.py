"""`lbproxy cert list|show|check`: which certificates are served, to whom, and until when."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from lbproxy.cli import reach
from lbproxy.cli.check import look_at
from lbproxy.cli.options import Verbs, add_config, add_reach, add_verb, print_json, say, show
from lbproxy.cli.table import table
from lbproxy.errors import by_place
from lbproxy.master.operator.requests import CertificatesRequest

MOST_NAMES = 3
DAY = 86_400


def add(verbs: Verbs[argparse.ArgumentParser]) -> None:
    """The verb with its three actions."""
    text = "the certificates that are served, to whom, and until when"
    parser = verbs.add_parser("cert", help=text, description=text[0].upper() + text[1:] + ".")
    actions = parser.add_subparsers(title="actions", required=True, metavar="list|show|check")
    add_reach(add_verb(actions, "list", listing, "all that the running lbproxy serves, those that end first come first"))
    shows = add_verb(actions, "show", showing, "what the running lbproxy shows to a client that asks for a name")
    shows.add_argument("name", metavar="NAME", help="the name, or the address, that a client asks for")
    add_reach(shows)
    text = "judge the files that a configuration names, whether it runs or not; 1 if not all is well"
    checks = add_verb(actions, "check", checking, text)
    add_config(checks)
    checks.add_argument(
        "--json", action="store_true", help='on stdout: {"ok": ..., "complaints": [...], "warnings": [...], "certificates": [...]}'
    )


def listing(arguments: argparse.Namespace) -> int:
    """0: it answers."""
    answer = reach.ask(reach.instance(arguments), CertificatesRequest("")).answer
    if arguments.json:
        print_json(answer)
    elif answer["ok"]:
        show(*_rows(answer.get("certificates") or []))
    else:
        say(str(answer.get("error", "no reason given")))
    return 0 if answer["ok"] else 1


def showing(arguments: argparse.Namespace) -> int:
    """0: there is one; 1: a client that asks for the name is refused."""
    answer = reach.ask(reach.instance(arguments), CertificatesRequest(arguments.name)).answer
    found = answer.get("certificates") or []
    if arguments.json:
        print_json(answer)
    elif not answer["ok"]:
        say(str(answer.get("error", "no reason given")))
    elif not found:
        say(f"no listener shows a certificate to a client that asks for {arguments.name}")
    for number, one in enumerate(found if not arguments.json else ()):
        show(*([""] if number else []), *_details(one))
    return 0 if answer["ok"] and found else 1


def checking(arguments: argparse.Namespace) -> int:
    """0: all can be used, and there is nothing to say of any."""
    found = look_at(arguments.config)
    served = [] if found.config is None else list(_on_disk(found.config))
    complaints, warnings = by_place(found.complaints), by_place(found.warnings)
    ok = not complaints and not warnings
    if arguments.json:
        lists = {"complaints": complaints, "warnings": warnings}
        told = {key: [each.as_dict() for each in value] for key, value in lists.items()}
        print_json({"ok": ok, **told, "certificates": served})
    else:
        say(*map(str, complaints), *(f"warning: {warning}" for warning in warnings))
        show(*_rows(served))
    return 0 if ok else 1


def _on_disk(config: Any) -> Iterator[dict[str, Any]]:
    """The same facts as of a running one."""
    from lbproxy.tls.files import FileFault
    from lbproxy.tls.sni import UNKNOWN, candidate_of
    from lbproxy.tls.unlock import chain_of

    now = datetime.fromtimestamp(time.time(), UTC)
    for listen in config.listen:
        for pair in listen.pairs:
            chain = chain_of(pair)
            one = UNKNOWN if isinstance(chain, FileFault) else candidate_of(chain[0])
            if one is not UNKNOWN:
                yield {
                    "listener": str(listen.address),
                    "file": str(pair.cert),
                    "key": str(pair.key),
                    "names": [*one.names.dns, *one.names.ips],
                    "kind": one.kind,
                    "not_before": f"{one.start:%Y-%m-%dT%H:%M:%SZ}",
                    "not_after": f"{one.end:%Y-%m-%dT%H:%M:%SZ}",
                    "days_left": round((one.end - now).total_seconds() / DAY, 1),
                }


def _rows(certificates: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    heads = ["names", "key", "days left", "until", "listener", "file", "from", "renewed", "not renewed because"]
    facts = ("kind", "days_left", "not_after", "listener", "file")
    rows = [[_short(one["names"]), *(one[key] for key in facts), *_acme(one), _why(one)] for one in certificates]
    shown = [number for number in range(len(heads)) if number < 6 or any(row[number] for row in rows)]
    left = tuple(place for place, number in enumerate(shown) if number != 2)
    return table([heads[number] for number in shown], [[row[number] for number in shown] for row in rows], left=left)


def _acme(one: Mapping[str, Any]) -> tuple[str, str]:
    """Whom it was obtained from, and when it is renewed; both "" for what stands in files of somebody's own."""
    about = one.get("acme")
    if not about:
        return "", ""
    when = f"{datetime.fromtimestamp(about['next'], UTC):%Y-%m-%dT%H:%M:%SZ}" if about["next"] else "now"
    return "ACME" if about["authority"] else "self-signed, ACME to come", when


def _why(one: Mapping[str, Any]) -> str:
    about = one.get("acme")
    return str(one.get("refused") or (about["why"] if about else ""))


def _short(names: list[str]) -> str:
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more


def _details(one: Mapping[str, Any]) -> Iterator[str]:
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding

    from lbproxy.tls.backend_tls import pin_of

    why = ", as the default: no certificate has that name" if one.get("by_default") else ""
    yield f"{one['listener']} shows {one['file']}{why}"
    yield f"  key file      {one['key']} ({one['kind']})"
    yield f"  names         {', '.join(one['names']) or 'none'}"
    yield f"  good from     {one['not_before']} until {one['not_after']}, {one['days_left']} days left"
    if about := one.get("acme"):
        yield f"  by ACME       {about['authority'] or 'self-signed: the first one is on its way'}, seen to {_acme(one)[1]}"
    if why := _why(one):
        yield f"  not renewed   {why}"
    try:
        chain = x509.load_pem_x509_certificates(one["chain"].encode("ascii"))
    except ValueError:
        return
    for position, certificate in enumerate(chain, start=1):
        yield f"  {position}. subject    {certificate.subject.rfc4514_string() or 'none'}"
        yield f"     issuer     {certificate.issuer.rfc4514_string()}"
        yield f"     serial     {certificate.serial_number:x}"
        yield f"     SHA-256    {certificate.fingerprint(SHA256()).hex(':')}"
        yield f"     pin        {pin_of(certificate.public_bytes(Encoding.DER))}"
