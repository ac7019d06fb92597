"""`lbproxy audit`: the dangers of a configuration that `check` accepts."""

from __future__ import annotations

import argparse

from lbproxy.audit.finding import SEVERITIES
from lbproxy.cli.options import Verbs, add_config, add_verb, print_json, say, show

CHECK_SAYS_WHY = 2
"""The configuration is refused: there is nothing to judge."""


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
        default="medium",
        help="exit 1 for findings that are at least as bad, unless they are accepted. Default: medium",
    )
    parser.add_argument(
        "--accept",
        metavar="ID=REASON",
        action="append",
        type=_accepted,
        default=[],
        help="live with what that check finds, and say why; may be given several times",
    )


def audit(arguments: argparse.Namespace) -> int:
    """Exit 1 for what is bad enough, 2 where check refuses the file."""
    from lbproxy.audit.audit import audit as findings_of
    from lbproxy.audit.audit import worst
    from lbproxy.audit.report import as_json, sarif, text
    from lbproxy.cli.check import look_at

    looked = look_at(arguments.config)
    if looked.config is None or looked.complaints:
        say(*map(str, looked.complaints))
        return CHECK_SAYS_WHY
    findings = findings_of(looked.config, looked.warnings, dict(arguments.accept))
    if arguments.json:
        print_json(as_json(arguments.config, findings))
    elif arguments.sarif:
        print_json(sarif(arguments.config, findings))
    else:
        show(*text(arguments.config, findings))
        told = sum(not finding.accepted for finding in findings)
        show(f"{arguments.config}: {told or 'no'} finding{'' if told == 1 else 's'}")
    found = worst(findings)
    failing = arguments.fail_on != "never" and found is not None and found >= SEVERITIES.index(arguments.fail_on)
    return 1 if failing else 0


def _accepted(written: str) -> tuple[str, str]:
    from lbproxy.audit.audit import CHECKS

    name, equals, reason = written.partition("=")
    known = [check.id for check in CHECKS]
    if name not in known:
        raise argparse.ArgumentTypeError(f'no check is called "{name}"; there are {", ".join(known)}')
    if not equals or not reason.strip():
        raise argparse.ArgumentTypeError(f'wanted a reason, such as {name}="behind a firewall"')
    return name, reason.strip()
