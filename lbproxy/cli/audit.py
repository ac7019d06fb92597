"""`lbproxy audit`: the dangers of a configuration that `check` accepts."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from lbproxy.cli.options import Verbs, add_config, add_verb, print_json, say, show
from lbproxy.config.model import AcceptedConfig, Config
from lbproxy.config.vocabulary import AUDIT_CHECKS, SEVERITIES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lbproxy.audit.finding import Check, Evidence
    from lbproxy.cli.live.look import LiveLook

CHECK_SAYS_WHY = 2
"""The configuration is refused: there is nothing to judge."""
NOT_RUNNING = 3
"""With --live: nothing runs, or it cannot be asked. What the file itself is judged by is told all the same."""


def add(verbs: Verbs[argparse.ArgumentParser]) -> None:
    """The verb and its options."""
    parser = add_verb(verbs, "audit", audit, "tell the dangers of a configuration that check accepts, and what mends them")
    add_config(parser)
    form = parser.add_mutually_exclusive_group()
    answer = '{"file": ..., "findings": [{id, severity, file, line, key, value, danger, mend, accepted}]}'
    form.add_argument("--json", action="store_true", help=f"on stdout: {answer}")
    form.add_argument("--sarif", action="store_true", help="on stdout: SARIF 2.1.0, for code hosts")
    parser.add_argument(
        "--fail-on",
        choices=[*SEVERITIES, "never"],
        help="exit 1 for findings that are at least as bad, unless they are accepted. Default: [audit] fail_on, which is medium",
    )
    parser.add_argument(
        "--live",
        action="store_true",
        help="look at the running lbproxy as well: its processes, its listeners (harmless requests, a minute at most), what it "
        "counts. 3: it does not run, or cannot be asked",
    )
    parser.add_argument("--control", metavar="PATH", type=Path, help="with --live: its control socket. Default: the file's")
    parser.add_argument(
        "--accept",
        metavar="ID=REASON",
        action="append",
        type=_accepted,
        default=[],
        help="live with what that check finds, and say why; may be given several times",
    )


def audit(arguments: argparse.Namespace) -> int:
    """Exit 1 for what is bad enough, 2 where check refuses the file, 3 where what runs was to be looked at and nothing does."""
    from lbproxy.audit.audit import audit as findings_of
    from lbproxy.audit.audit import worst
    from lbproxy.audit.report import as_json, sarif, text
    from lbproxy.cli.check import look_at

    looked = look_at(arguments.config)
    if looked.config is None or looked.read is None or looked.complaints:
        say(*map(str, looked.complaints))
        return CHECK_SAYS_WHY
    today, line_of = datetime.now(UTC).date(), looked.read.line_of
    live = _live(looked.read.config, arguments) if arguments.live else None
    running, fault = (live.found, live.fault) if live is not None else ((), "")
    seen = (*_files(looked.config), *running)
    remarks = [*looked.warnings, *looked.ending]
    findings = findings_of(looked.config, remarks, arguments.accept, today=today, line_of=line_of, seen=seen)
    if arguments.json:
        answer = {} if live is None else {"live": {"pid": live.pid, "error": fault}}
        print_json(as_json(arguments.config, findings) | answer)
    elif arguments.sarif:
        print_json(sarif(arguments.config, findings, fault))
    else:
        show(*text(arguments.config, findings))
        told = sum(not finding.accepted for finding in findings)
        show(f"{arguments.config}: {told or 'no'} finding{'' if told == 1 else 's'}")
    if fault:
        say(*f"not looked at what runs: {fault}".splitlines())
        return NOT_RUNNING
    found, least = worst(findings), arguments.fail_on or looked.config.audit.fail_on
    return 1 if least != "never" and found is not None and found >= SEVERITIES.index(least) else 0


def _files(config: Config) -> Iterator[tuple[Check, Evidence]]:
    from lbproxy.audit.checks.keys import of_keys, unguarded
    from lbproxy.audit.checks.taps import of_files

    for tap in config.taps:
        yield from of_files(tap, _mode(tap.folder), _mode(tap.fifo))
    yield from of_keys((*key, _mode(key[0])) for key in unguarded(config))


def _mode(path: Path | None) -> int | None:
    """None: it is not there, or cannot be looked at."""
    try:
        return None if path is None else path.stat().st_mode
    except OSError:
        return None


def _live(config: Config, arguments: argparse.Namespace) -> LiveLook:
    from lbproxy.cli.live.look import look

    return look(config, argparse.Namespace(config=Path(arguments.config), control=arguments.control))


def _accepted(written: str) -> AcceptedConfig:
    name, equals, reason = written.partition("=")
    if name not in AUDIT_CHECKS:
        raise argparse.ArgumentTypeError(f'no check is called "{name}"; there are {", ".join(AUDIT_CHECKS)}')
    if not equals or not reason.strip():
        raise argparse.ArgumentTypeError(f'wanted a reason, such as {name}="behind a firewall"')
    return AcceptedConfig(name, reason.strip())
