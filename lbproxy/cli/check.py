"""`lbproxy check`, `lbproxy init` and `lbproxy schema`: look at a file, begin one, and what there may be in it."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lbproxy.cli.options import Verbs, add_config, add_verb, print_json, say
from lbproxy.config.model import Config
from lbproxy.errors import Complaint, ConfigError, by_place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lbproxy.config.load import Located
    from lbproxy.config.read import Passing
    from lbproxy.tls.remarks import Remarks


def add(verbs: Verbs[argparse.ArgumentParser]) -> None:
    """The verbs and their options."""
    parser = add_verb(verbs, "check", check, "tell everything that start would refuse, with file, line and a hint")
    add_config(parser)
    parser.add_argument(
        "--strict",
        action="store_true",
        help="exit 1 for warnings, too: for pipelines. lbproxy starts in spite of them: certificates out of date, never shown, or "
        "for none of the routes' hosts, and some dangers that audit finds",
    )
    output = parser.add_mutually_exclusive_group()
    answer = '{"ok": ..., "complaints": [{file, line, key, message, hint}], "warnings": [the same]}'
    output.add_argument("--json", action="store_true", help=f"on stdout: {answer}")
    output.add_argument("--effective", action="store_true", help="print the configuration with every key and default written out")
    add_verb(verbs, "schema", schema, "a JSON Schema of the configuration, for editors: lbproxy schema > lbproxy.schema.json")
    add_verb(verbs, "init", init, "a commented configuration to start from: lbproxy init > lbproxy.toml")


def check(arguments: argparse.Namespace) -> int:
    """Everything that start would refuse, and everything it would warn of, at once."""
    found = _warned_of(look_at(arguments.config))
    ok = not found.complaints and not (arguments.strict and found.warnings)
    if arguments.json:
        lists = {"complaints": found.complaints, "warnings": found.warnings}
        print_json({"ok": ok} | {key: [complaint.as_dict() for complaint in value] for key, value in lists.items()})
        return 0 if ok else 1
    say(*map(str, found.complaints), *(f"warning: {warning}" for warning in found.warnings))
    if found.config is None or not ok:
        return 1
    if arguments.effective:
        from lbproxy.config.emit import emit

        print(emit(found.config), end="")
    else:
        print(f"{arguments.config} is fine: {_summary(found.config)}")
    return 0


class FileReport(NamedTuple):
    """What there is to say about a file."""

    config: Config | None
    """None: it cannot even be read."""
    complaints: list[Complaint]
    warnings: list[Complaint]
    read: Located | None = None
    """As it was read, before anything was done about files that ACME is still to bring; None: it cannot even be read."""
    ending: Sequence[Complaint] = ()
    """What is good, and will soon be out of date."""


def look_at(file: str) -> FileReport:
    """Raises nothing. "-": what comes on standard input, beside which files are looked for in the current folder."""
    from lbproxy.cli.answered import answered
    from lbproxy.config.load import locate_bytes
    from lbproxy.master.resources.acme_folder import stand_in
    from lbproxy.tls import passphrase

    try:
        if file == "-":
            found = locate_bytes(sys.stdin.buffer.read(), "stdin", Path.cwd(), os.environ)
        else:
            found = answered(partial(_located, file))
    except ConfigError as error:
        return FileReport(None, error.complaints, [])
    passphrase.adopt(found.config)
    with tempfile.TemporaryDirectory(prefix="lbproxy-check-") as folder:
        return _judged(stand_in(found.config, Path(folder)))._replace(read=found)


def _located(file: str, passing: Passing) -> Located:
    """What a file says, when all that it names has just answered."""
    from lbproxy.config.load import locate_file
    from lbproxy.master.resources.first_look import look_at_all

    found = locate_file(Path(file), environ=os.environ, passing=passing)
    look_at_all(found.config, passing)
    return found


def _warned_of(found: FileReport) -> FileReport:
    """With what is accepted, and dangerous."""
    from lbproxy.audit.audit import warnings

    if found.config is None or found.read is None:
        return found
    odd = warnings(found.config, datetime.now(UTC).date(), found.read.line_of)
    return found._replace(warnings=by_place([*found.warnings, *odd]))


def _judged(config: Config) -> FileReport:
    from lbproxy.master.inspection.inspectors import complaints as rules
    from lbproxy.master.resources.documents import complaints as documents
    from lbproxy.master.system.cache_memory import complaints as cache
    from lbproxy.tls.audit import audit
    from lbproxy.tls.folder_audit import audit_folder, without_unusable
    from lbproxy.tls.remarks import remarks

    unresolved, odd = _names(config)
    isolated = config.proxy.key_isolation
    config, none_left = without_unusable(config, [audit_folder(listen, isolated=isolated) for listen in config.listen])
    complaints = [*audit(config), *documents(config), *rules(config), *cache(config), *none_left, *unresolved]
    if not complaints:
        from lbproxy.cli import rehearsal

        complaints = rehearsal.complaints(config)
    found = remarks(config)
    return FileReport(config, by_place(complaints), by_place([*found.at(), *odd]), ending=_ending(found))


def _ending(found: Remarks) -> list[Complaint]:
    """No warnings: whoever renews a day before the end would be warned at each start."""
    from lbproxy.audit.answers import ends_soon

    now = datetime.now(UTC)
    dated = (one for one in found.dated if ends_soon(one.term.start, one.term.end, now))
    return [one.place.complaint(one.term.ending()) for one in dated]


def _summary(config: Config) -> str:
    counts = {
        "listener": len(config.listen),
        "route": len(config.routes),
        "pool": len(config.pools),
        "backend": sum(len(pool.backends) for pool in config.pools),
    }
    return ", ".join(f"{count} {what}{'' if count == 1 else 's'}" for what, count in counts.items())


def _names(config: Config) -> tuple[list[Complaint], list[Complaint]]:
    """What start would refuse about backends' names, and what it would tell."""
    from lbproxy.balance.endpoints import names_in
    from lbproxy.master.names.resolve import judge
    from lbproxy.names.lookup import lookup_all

    return judge(config, lookup_all(names_in(config), config.proxy.resolvers))


def init(_: argparse.Namespace) -> int:
    """A configuration to start from, on stdout."""
    from lbproxy.config.starter import STARTER

    print(STARTER, end="")
    return 0


def schema(_: argparse.Namespace) -> int:
    """What may stand in a configuration, as JSON Schema (draft 2020-12), on stdout."""
    from lbproxy.config.schema import schema

    print_json(schema())
    return 0
