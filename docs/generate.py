"""Pages' parts that come out of the code: keys from their declarations, verbs and their options from the parser, metrics from what
/metrics says."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

from lbproxy.cli.command_line import parser
from lbproxy.config.example import toml_value
from lbproxy.config.key import Key, Shape, shape_of
from lbproxy.config.model import Config
from lbproxy.config.parts import INCLUDE, INCLUDE_ABOUT
from lbproxy.observe.metrics import STATUS_CLASSES, BackendFacts, CertificateFacts, Snapshot, Totals, exposition
from lbproxy.observe.waf_totals import WafTotals


def generate(folder: Path) -> None:
    """Write keys.md, verbs.md and metrics.md into the folder."""
    folder.mkdir(exist_ok=True)
    (folder / "keys.md").write_text("\n".join(_keys()) + "\n", encoding="utf-8")
    (folder / "verbs.md").write_text("\n".join(_verbs()) + "\n", encoding="utf-8")
    (folder / "metrics.md").write_text("\n".join(_metrics()) + "\n", encoding="utf-8")


def _keys() -> Iterator[str]:
    yield f"| at the top | kind | default |\n|---|---|---|\n{_row(INCLUDE, 'list of files', '', INCLUDE_ABOUT)}\n"
    yield from _tables(shape_of(Config), "")


def _tables(shape: Shape, above: str) -> Iterator[str]:
    """A heading and a list of keys for each table inside."""
    for item, what in shape.tables():
        path = f"{above}{item.name}" + (".NAME" if what.how == "named" else "")
        header = f"[[{path}]]" if what.how == "tables" else f"[{path}]"
        yield f"## {header}\n\n{_escaped(what.about[0].upper() + what.about[1:])}.\n"
        yield "| key | kind | default | |\n|---|---|---|---|"
        for each in what.shape.own_keys():
            assert isinstance(each.what, Key)
            if each.usual is None:
                usual = "required"
            else:
                usual = f"`{toml_value(each.what.kind.write(each.usual()))}`" if each.spelled else ""
            about = f"{each.what.about}. Example: `{toml_value(each.example())}`"
            yield _row(each.name, each.what.kind.name, usual, about)
        yield ""
        yield from _tables(what.shape, f"{path}.")


def _row(name: str, kind: str, usual: str, about: str) -> str:
    return f"| `{name}` | {_escaped(kind)} | {usual} | {_escaped(about)} |"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*") if "`" not in text else text.replace("|", "\\|")


def verbs(of: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The sub-parsers of a parser, by name."""
    choices: dict[str, argparse.ArgumentParser] = {}
    for action in of._actions:
        if isinstance(action, argparse._SubParsersAction):
            choices |= action.choices
    return choices


def _verbs() -> Iterator[str]:
    os.environ["COLUMNS"] = "100"  # argparse breaks its lines there
    for name, verb in verbs(parser()).items():
        yield f"## {name}\n"
        for text in (verb, *verbs(verb).values()):
            yield f"```text\n{text.format_help().rstrip()}\n```\n"


def _metrics() -> Iterator[str]:
    facts = BackendFacts("pool", "backend", "up", *[0] * (len(BackendFacts._fields) - 4))  # type: ignore[arg-type]  # numbers all
    wanted = [name for name in Totals._fields if name not in Totals._field_defaults]
    counted: dict[str, object] = {name: (0,) * 24 if name == "latency" else 0 for name in wanted}
    counted["waf"] = WafTotals(alive=1)
    counted["statuses"] = (0,) * len(STATUS_CLASSES)
    yield "| name | kind | what it tells |\n|---|---|---|"
    kinds: dict[str, str] = {}
    helps: dict[str, str] = {}
    ends = (CertificateFacts("", "", "", 0.0),)
    for line in exposition(Snapshot("", 1, 0.0, 0.0, Totals(**counted), (facts,), ends)).splitlines():  # type: ignore[arg-type]
        match line.split(" ", 3):
            case ["#", "HELP", name, text]:
                helps[name] = text
            case ["#", "TYPE", name, kind]:
                kinds[name] = kind
    yield from (f"| `{name}` | {kinds[name]} | {text} |" for name, text in helps.items())
