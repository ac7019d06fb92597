"""The status page: one HTML document that needs nothing else, readable by day and by night, refreshed by the browser itself."""

from __future__ import annotations

import time
from collections.abc import Iterable
from html import escape

from lbproxy.observe.cache_totals import CacheTotals
from lbproxy.observe.metrics import BackendFacts, Snapshot
from lbproxy.observe.waf_totals import WafTotals

REFRESH = 2
"""Seconds."""

MOST_CERTIFICATES = 10

STYLE = """
:root {
  color-scheme: light dark; --ink: #1c2430; --paper: #fff; --rule: #d5dbe3; --soft: #5a6675;
  --good: #10743a; --bad: #b3261e; --wait: #8a5a00;
}
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e9f0; --paper: #14181f; --rule: #333c48; --soft: #9aa7b6; --good: #5fd38d; --bad: #ff8a80; --wait: #f0c060 }
}
body {
  font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  margin: 2rem auto; max-width: 66rem; padding: 0 1rem;
}
h1 { font-size: 1.3rem; margin: 0 }
h2 { font-size: 1.05rem; margin: 2rem 0 .4rem }
p, dt { color: var(--soft) }
p { margin: .2rem 0 }
dl { display: flex; flex-wrap: wrap; gap: .6rem 2.4rem; margin: 1.4rem 0 }
dt { font-size: .85rem }
dd { margin: 0; font-size: 1.3rem }
div.wide { overflow-x: auto }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { text-align: right; padding: .3rem .6rem; border-bottom: 1px solid var(--rule); white-space: nowrap }
th { color: var(--soft); font-weight: 500 }
th:nth-child(-n+2), td:nth-child(-n+2) { text-align: left }
.up { color: var(--good) }
.down { color: var(--bad) }
.unknown, .drained { color: var(--wait) }
"""

HEADINGS = (
    "Backend",
    "State",
    "For",
    "Why",
    "Asked next",
    "Weight",
    "In flight",
    "Queued",
    "Requests",
    "Failures",
    "Connects",
    "Checks",
    "Failed checks",
)


def page(snapshot: Snapshot) -> str:
    """The whole document. All text of the configuration is escaped."""
    totals = snapshot.totals
    figures = (
        ("Workers accepting", totals.accepting),
        ("Connections", totals.connections),
        ("of HTTP/2", totals.h2_open),
        ("Requests in flight", totals.live_requests),
        ("over HTTP/2", totals.h2_live),
        ("Requests", totals.requests),
        ("4xx", totals.statuses[3]),
        ("5xx", totals.statuses[4]),
        ("Retries", totals.retries),
        *_waf(totals.waf),
    )
    heads = "".join(f"<th>{heading}</th>" for heading in HEADINGS)
    pools = "".join(
        f"<h2>{escape(name)}</h2><div class=wide><table><tr>{heads}</tr>"
        f"{''.join(_row(facts, snapshot.taken) for facts in backends)}</table></div>"
        for name, backends in snapshot.pools().items()
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        f'<meta http-equiv="refresh" content="{REFRESH}"><meta name="viewport" content="width=device-width">'
        f"<title>lbproxy: {escape(_summary(snapshot))}</title><style>{STYLE}</style>"
        f"<h1>lbproxy: {escape(_summary(snapshot))}</h1>"
        f"<p>version {escape(snapshot.version)}, generation {snapshot.generation}, up for "
        f"{duration(snapshot.taken - snapshot.started)}, {time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(snapshot.taken))} UTC</p>"
        f"{_listed(figures)}{_listed(_cache(totals.cache))}"
        f"{pools}{_certificates(snapshot)}{_acme(snapshot)}</html>"
    )


def _listed(figures: Iterable[tuple[str, int]]) -> str:
    each = "".join(f"<div><dt>{name}</dt><dd>{value:,}</dd></div>" for name, value in figures)
    return f"<dl>{each}</dl>" if each else ""


def _waf(waf: WafTotals) -> tuple[tuple[str, int], ...]:
    if waf == WafTotals():
        return ()
    hits = sum(count for _, count in waf.rules) + waf.other_rules
    return ("Inspectors", waf.alive), ("Replaced", waf.replaced), ("Being inspected", waf.waiting), ("Rules met", hits)


def _cache(cache: CacheTotals) -> tuple[tuple[str, int], ...]:
    if cache == CacheTotals():
        return ()
    hits, collapsed = cache.result("hit"), cache.result("collapsed")
    return (
        ("Cache hits", hits), ("Stale, given out", cache.given - hits - collapsed), ("Collapsed", collapsed),
        ("Cache misses", cache.asked - cache.given), ("Stored answers", cache.gauge("entries")),
        ("Stored KiB", cache.used // 1024), ("of KiB", (cache.gauge("memory") + cache.gauge("disk")) // 1024),
        ("Evicted", cache.stored("evicted")),
    )  # fmt: skip


def _certificates(snapshot: Snapshot) -> str:
    """Those that end first."""
    if not snapshot.certificates:
        return ""
    rows = "".join(
        f"<tr><td>{escape(one.name)}</td><td>{escape(one.listener)}</td>"
        f'<td class="{_judgement(one.end - snapshot.taken)}">{max(0, int((one.end - snapshot.taken) // 86_400)):,}</td></tr>'
        for one in snapshot.certificates[:MOST_CERTIFICATES]
    )
    heads = "<th>Certificate</th><th>Listener</th><th>Days left</th>"
    return f"<h2>Certificates</h2><div class=wide><table><tr>{heads}</tr>{rows}</table></div>"


def _acme(snapshot: Snapshot) -> str:
    """Names that fail or wait come first."""
    if not snapshot.acme:
        return ""
    told = sorted(snapshot.acme, key=lambda one: (not one.failures, not one.self_signed, one.name))[:MOST_CERTIFICATES]
    rows = "".join(
        f"<tr><td>{escape(one.name)}</td><td>{escape(one.why)}</td>"
        f'<td class="{"down" if one.failures else "unknown" if one.self_signed else "up"}">'
        f"{'self-signed' if one.self_signed else 'obtained'}</td><td>{_coming(one.next - snapshot.taken)}</td></tr>"
        for one in told
    )
    heads = "<th>ACME</th><th>Last failure</th><th>Certificate</th><th>Seen to</th>"
    return f"<h2>Certificates by ACME</h2><div class=wide><table><tr>{heads}</tr>{rows}</table></div>"


def _coming(seconds: float) -> str:
    return "now" if seconds <= 0 else f"in {duration(seconds)}"


def _judgement(seconds: float) -> str:
    return "down" if seconds <= 3 * 86_400 else "unknown" if seconds <= 14 * 86_400 else "up"


def duration(seconds: float) -> str:
    """As short as a table wants it: "3 s", "4 min", "2 h", "9 d"."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{max(0, int(seconds))} s"


def _summary(snapshot: Snapshot) -> str:
    unready = snapshot.unready()
    if unready:
        return f"no usable backend in {', '.join(unready)}"
    usable = sum(facts.usable for facts in snapshot.backends)
    return f"{usable} of {len(snapshot.backends)} backends usable"


def _row(facts: BackendFacts, now: float) -> str:
    state = "drained" if facts.drained else facts.health
    since = duration(now - facts.health_since) if facts.health_since else ""
    asked = f"in {duration(facts.next_check - now)}" if facts.next_check else ""
    traffic = (facts.in_flight, facts.queued, facts.requests, facts.failures, facts.connects)
    counts = (facts.weight, *traffic, facts.checks, facts.check_failures)
    numbers = "".join(f"<td>{count:,}</td>" for count in counts)
    words = f'<td class="{state}">{state}</td><td>{since}</td><td>{escape(facts.why)}</td><td>{asked}</td>'
    return f"<tr><td>{escape(facts.name)}</td>{words}{numbers}</tr>"
