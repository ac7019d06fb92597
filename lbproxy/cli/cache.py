"""`lbproxy cache purge|stats|show`: what is stored, and what must not be served any more."""

from __future__ import annotations

import argparse
import time
from typing import Any

from lbproxy.cli import reach
from lbproxy.cli.adjust import tell
from lbproxy.cli.options import Verbs, add_reach, add_verb, print_json, say, show
from lbproxy.cli.table import table
from lbproxy.config.units import format_size
from lbproxy.master.operator.requests import CacheAction, CacheRequest

HEADINGS = ("SIZE", "WHERE", "RING", "USES", "FRESH", "STATUS")


def add(verbs: Verbs[argparse.ArgumentParser]) -> None:
    """The verb with its three actions."""
    text = "what is stored of answers, and what must not be served any more"
    parser = verbs.add_parser("cache", help=text, description=text[0].upper() + text[1:] + ".")
    actions = parser.add_subparsers(title="actions", required=True, metavar="purge|stats|show")
    purges = add_verb(actions, "purge", purge, "from now on nothing of it is served, nor stored by who has asked for it before")
    what = purges.add_mutually_exclusive_group(required=True)
    what.add_argument("url", metavar="URL", nargs="?", help="one URL with all its variants, https://example.com/style.css")
    what.add_argument("--prefix", metavar="URL", help="all URLs that begin so")
    what.add_argument("--tag", help="all answers whose backend said so, in Cache-Tag or Surrogate-Key")
    what.add_argument("--all", action="store_true", help="everything")
    add_reach(purges)
    add_reach(add_verb(actions, "stats", stats, "how full it is, and what has become of answers since the start"))
    shows = add_verb(actions, "show", showing, "what is stored under a URL")
    shows.add_argument("url", metavar="URL", help="https://example.com/style.css")
    add_reach(shows)


def purge(arguments: argparse.Namespace) -> int:
    """0: it is done, for all workers."""
    words: tuple[tuple[CacheAction, str | None], ...] = (
        ("url", arguments.url), ("prefix", arguments.prefix), ("tag", arguments.tag)
    )  # fmt: skip
    action, text = next(((action, text) for action, text in words if text is not None), ("all", ""))
    answer = reach.ask(reach.instance(arguments), CacheRequest(action, text)).answer
    return tell(arguments, answer, f"{action} {text} is purged".replace("all  is", "everything is"))


def stats(arguments: argparse.Namespace) -> int:
    """0: there is a cache."""
    answer = reach.ask(reach.instance(arguments), CacheRequest("stats", "")).answer
    if arguments.json:
        print_json(answer)
    elif not answer["ok"]:
        say(str(answer.get("error", "no reason given")))
    else:
        usage, counts = answer["usage"], answer["counts"]
        sizes = {name for name in usage if name.endswith("_bytes")} | {"memory", "disk", "disk_used"}
        show(*(f"{name:<16} {format_size(value) if name in sizes else value}" for name, value in usage.items()), "")
        show(*(f"{name:<16} {value}" for name, value in counts.items()))
        for title in ("requests", "unstored"):
            show("", title, *(f"  {name:<16} {value}" for name, value in (answer.get(title) or {}).items()))
    return 0 if answer["ok"] else 1


def showing(arguments: argparse.Namespace) -> int:
    """0: there is something."""
    answer = reach.ask(reach.instance(arguments), CacheRequest("show", arguments.url)).answer
    now = time.monotonic()  # the clock by which workers count
    found = [_understood(one, now) for one in answer.get("entries") or []]
    answer |= {"entries": found} if answer["ok"] else {}
    if arguments.json:
        print_json(answer)
    elif not answer["ok"]:
        say(str(answer.get("error", "no reason given")))
    elif not found:
        say(f"nothing is stored under {arguments.url}")
    else:
        show(*table(HEADINGS, [_row(one) for one in found], left=(1, 2, 4, 5)))
    return 0 if found else 1


def _understood(one: dict[str, Any], now: float) -> dict[str, Any]:
    """With the head in place of the bytes that have it, its age, and for how many seconds it is what; fewer than 0: it was."""
    from lbproxy.http.caching.stored import StoredAnswer, read

    answer = read(one.pop("meta").encode("latin-1"))
    if isinstance(answer, StoredAnswer):
        life = answer.kept.lifetime
        until = {"fresh": life.fresh_until, "stale_while_revalidate": life.stale_until, "stale_if_error": life.error_until}
        lasts = {name: round(moment - now, 1) for name, moment in until.items()}
        one |= {"head": answer.head.decode("latin-1"), "age": life.age(now), "lasts": lasts}
    return one


def _row(one: dict[str, Any]) -> list[str]:
    lasts, head = one.get("lasts"), str(one.get("head") or "-")
    left = 0 if lasts is None else lasts["fresh"]
    fresh = "-" if lasts is None else f"for {left:.0f}s" if left > 0 else f"until {-left:.0f}s ago"
    return [format_size(one["size"]), one["where"], one["ring"], str(one["uses"]), fresh, head.partition("\r\n")[0]]
