"""The operator's requests about the cache, carried out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from lbproxy.balance.ledger import Ledger
from lbproxy.cache.keeper import ShownEntry
from lbproxy.cache.purges import Purge, url_of
from lbproxy.master.operator.requests import Answer, CacheRequest
from lbproxy.observe.snapshot import cache_totals

PURGES = {"url": Purge.URL, "prefix": Purge.PREFIX, "tag": Purge.TAG, "all": Purge.ALL}
NONE = "no cache is configured: it wants a table [cache]"


class Keeps(Protocol):
    """What there is to do it with (master/watches/cache.py)."""

    def purge(self, what: Purge, text: bytes) -> str: ...
    def usage(self) -> dict[str, int]: ...
    def search(self, url: bytes, told: Callable[[list[ShownEntry]], None]) -> bool: ...


def carry_out(request: CacheRequest, keeps: Keeps, ledger: Ledger, reply: Callable[[Answer], None]) -> None:
    """`reply` is called once: now, or when all that is stored was looked at."""
    if request.action == "stats":
        reply(_stats(keeps, ledger))
        return
    try:
        text = _text(request)
    except ValueError as error:
        reply({"ok": False, "error": f"{error}, came {request.text!r:.100}"})
        return
    if request.action == "show":
        if not keeps.search(text, lambda found: reply({"ok": True, "entries": [_told(one) for one in found]})):
            reply({"ok": False, "error": NONE})
        return
    why = keeps.purge(PURGES[request.action], text)
    reply({"ok": False, "error": why} if why else {"ok": True})


def _text(request: CacheRequest) -> bytes:
    if request.action in ("url", "show"):
        return url_of(request.text, whole=True)
    if request.action == "prefix":
        return url_of(request.text, whole=False)
    if request.action == "tag" and (not request.text.isascii() or not request.text.strip()):
        raise ValueError("wanted a tag as backends say it in Cache-Tag or Surrogate-Key")
    return request.text.encode("ascii", "replace")


def _stats(keeps: Keeps, ledger: Ledger) -> Answer:
    usage = keeps.usage()
    if not usage:
        return {"ok": False, "error": NONE}
    told = cache_totals(ledger).described()
    said = {name: told[name] for name in ("requests", "served_bytes", "refreshed", "refresh_failed", "waited_in_vain", "unstored")}
    return {"ok": True, "usage": usage, "counts": told["storage"], **said}


def _told(found: ShownEntry) -> Answer:
    """`meta` is the policy's: whoever asks understands it, and the master need not."""
    return {
        "url": found.url.decode("latin-1"),
        "size": found.size,
        "where": "file" if found.file else "memory",
        "ring": found.ring,
        "uses": found.uses,
        "meta": found.meta.decode("latin-1"),
    }
