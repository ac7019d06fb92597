"""`lbproxy check` and `lbproxy init`: look at a file, begin one."""

from __future__ import annotations

import argparse
from pathlib import Path

from lbproxy.cli.options import Verbs, add_config, add_verb, print_json
from lbproxy.config.model import Config
from lbproxy.errors import Complaint, ConfigError


def add(verbs: Verbs[argparse.ArgumentParser]) -> None:
    """The verbs and their options."""
    parser = add_verb(verbs, "check", check, "tell everything that start would refuse, with file, line and a hint")
    add_config(parser)
    output = parser.add_mutually_exclusive_group()
    answer = '{"ok": ..., "complaints": [{file, line, key, message, hint}]}'
    output.add_argument("--json", action="store_true", help=f"on stdout: {answer}")
    output.add_argument("--effective", action="store_true", help="print the configuration with every key and default written out")
    add_verb(verbs, "init", init, "a commented configuration to start from: lbproxy init > lbproxy.toml")


def check(arguments: argparse.Namespace) -> int:
    """Everything that start would refuse, at once."""
    from lbproxy.config.load import load_file
    from lbproxy.tls.audit import audit

    try:
        config = load_file(Path(arguments.config))
        if complaints := [*audit(config), *_unresolvable(config)]:
            raise ConfigError(sorted(complaints, key=lambda complaint: complaint.line))
    except ConfigError as error:
        if not arguments.json:
            raise
        print_json(_as_json(error.complaints))
        return 1
    if arguments.json:
        print_json(_as_json([]))
    elif arguments.effective:
        from lbproxy.config.emit import emit

        print(emit(config), end="")
    else:
        print(f"{arguments.config} is fine: {_summary(config)}")
    return 0


def _as_json(complaints: list[Complaint]) -> dict[str, object]:
    return {"ok": not complaints, "complaints": [complaint._asdict() for complaint in complaints]}


def _summary(config: Config) -> str:
    counts = {
        "listener": len(config.listen),
        "route": len(config.routes),
        "pool": len(config.pools),
        "backend": sum(len(pool.backends) for pool in config.pools),
    }
    return ", ".join(f"{count} {what}{'' if count == 1 else 's'}" for what, count in counts.items())


def _unresolvable(config: Config) -> list[Complaint]:
    """A complaint for each backend whose name has no address."""
    from lbproxy.balance.places import names_in
    from lbproxy.master.resolve import complaints
    from lbproxy.names.lookup import lookup_all

    return complaints(config, lookup_all(names_in(config), config.proxy.resolvers))


def init(_: argparse.Namespace) -> int:
    """A configuration to start from, on stdout."""
    from lbproxy.config.starter import STARTER

    print(STARTER, end="")
    return 0
