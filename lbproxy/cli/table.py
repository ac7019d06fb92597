"""A status answer as lines for a terminal. Pure.

The master that answers may be of another version than this program (the package was upgraded, the master not restarted): what is
missing is left out or "?", and nothing is relied on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lbproxy.sandbox.names import WALLS

Row = Sequence[object]
Answer = Mapping[str, Any]


def overview(answer: Answer, now: float) -> list[str]:
    """All that `status` shows. `now`: wall clock seconds."""
    lines = [*_head(answer)]
    for generation in answer.get("generations") or []:
        lines += ["", *_generation(generation)]
    for pool in answer.get("pools") or []:
        lines += ["", *_pool(pool, now)]
    lines += _certificates(answer)
    lines += _watched(answer, now)
    lines += _acme(answer, now)
    lines += _key_sets(answer, now)
    lines += _taps(answer)
    lines += ["", *_traffic(answer.get("totals") or {}, backends_of(answer))]
    lines += _reload(answer.get("last_reload"), now)
    return lines


def backends_of(answer: Answer) -> list[Answer]:
    """All of them."""
    return [backend for pool in answer.get("pools") or [] for backend in pool.get("backends") or []]


def _head(answer: Answer) -> Iterator[str]:
    level = f", log level {answer['log_level']}" if answer.get("log_level") else ""
    yield f"lbproxy {answer.get('version', '?')}, pid {answer.get('pid') or '?'}, up {duration(answer.get('uptime'))}{level}"
    if answer.get("config"):
        yield f"{answer['config']}"
    if listeners := answer.get("listeners"):
        yield f"listening on {', '.join(map(str, listeners))}"
    yield from (f"warning: {warning}" for warning in answer.get("warnings") or [])


def _certificates(answer: Answer) -> list[str]:
    """The ones that end first, in a line."""
    found = answer.get("certificates") or []
    if not found:
        return []
    soon = ", ".join(f"{(one.get('names') or [one.get('file')])[0]} in {one.get('days_left', '?')} days" for one in found[:3])
    tls = f", {answer['openssl']}" if answer.get("openssl") else ""
    return ["", f"certificates: {answer.get('certificates_total', len(found))}{tls}; the first to end: {soon}"]


MOST_TOLD = 10


def _watched(answer: Answer, now: float) -> list[str]:
    """When files were looked at, and what was seen."""
    watched = answer.get("watched") or {}
    if not watched.get("files"):
        return []
    when = f"looked at {duration(now - watched['looked'])} ago" if watched.get("looked") else "not looked at yet"
    lines = ["", f"files: {watched['files']}, {when}"]
    for one in (watched.get("changes") or [])[:MOST_TOLD]:
        what = "gone" if one.get("gone") else "changed"
        became = "" if one.get("taken_over") else ", not taken over"
        lines.append(f"  {one.get('file', '?')}: {what}, seen {duration(now - one.get('seen', now))} ago{became}")
    return lines


def _acme(answer: Answer, now: float) -> list[str]:
    """Names whose certificate is on its way, or failed to be renewed; of the others how many there are."""
    found = answer.get("acme") or []
    if not found:
        return []
    odd = [one for one in found if one.get("failures") or one.get("self_signed")]
    lines = [f"certificates by ACME: {len(found)}" + (f", {len(odd)} of them not as they should be" if odd else "")]
    for one in odd[:MOST_TOLD]:
        serves = "a self-signed one serves" if one.get("self_signed") else "the old one serves"
        due = one.get("next", 0) - now
        when = f"in {duration(due)}" if due > 0 else "now"
        lines.append(f"  {one.get('name', '?')}: {serves}, tried {when}" + (f"; {one['why']}" if one.get("why") else ""))
    return lines


def _key_sets(answer: Answer, now: float) -> list[str]:
    """Those that are fetched, a line each."""
    lines = []
    for one in (answer.get("key_sets") or [])[:MOST_TOLD]:
        age = f"fetched {duration(now - one['fetched'])} ago" if one.get("fetched") else "never fetched"
        why = f"; {one['why']}" if one.get("why") else ""
        lines.append(f"keys from {one.get('url', '?')}: {one.get('keys', 0)}, {age}{why}")
    return lines


def _taps(answer: Answer) -> list[str]:
    """Each output of each tap that is read as it happens, a line each."""
    lines = []
    for one in (answer.get("taps") or [])[:MOST_TOLD]:
        who = count(one.get("readers"))
        reads = {"listen": f"{who} reading", "fifo": "read" if one.get("readers") else "nobody reads"}
        state = reads.get(one.get("sink", ""), "up" if one.get("readers") else "down")
        outcomes = ("passed", "dropped", "lost", "unread", "refused")
        counted = ", ".join(f"{count(one.get(what))} {what}" for what in outcomes if what == "passed" or one.get(what))
        lines.append(f"tap {one.get('tap', '?')} {one.get('sink', '?')}: {state}, {counted}")
    return lines


def _generation(generation: Answer) -> Iterator[str]:
    forms = sorted({str(worker["form"]) for worker in generation.get("workers") or [] if worker.get("form")})
    number, stage, age = generation.get("number", "?"), generation.get("stage", "?"), duration(generation.get("age"))
    yield ", ".join([f"generation {number}: {stage}", f"{age} old", *forms])
    rows: list[Row] = [_worker(worker) for worker in generation.get("workers") or []]
    if control := generation.get("control"):
        rows.append(("control", control.get("pid", "?"), control.get("phase", "?"), "", "", "", "", ""))
    if acme := generation.get("acme"):
        rows.append(("acme", acme.get("pid", "?"), acme.get("phase", "?"), "", "", "", "", ""))
    yield from _walls(generation)
    yield from table(("process", "pid", "phase", "age", "connections", "requests", "memory", "lag"), rows, left=(0, 2))


def _walls(generation: Answer) -> Iterator[str]:
    """Around those that serve, and what is missing."""
    around = [one for one in generation.get("workers") or [] if one.get("phase") == "serving" and "walls" in one]
    if not around:
        return  # a master of before walls were told
    standing = [wall for wall in WALLS if all(wall in (one["walls"] or ()) for one in around)]
    missing = [wall for wall in WALLS if wall not in standing]
    yield f"walls: {', '.join(standing) or 'none'}" + (f" (missing: {', '.join(missing)})" if missing else "")


def _worker(worker: Answer) -> Row:
    return (
        f"worker {worker.get('worker', '?')}",
        worker.get("pid", "?"),
        worker.get("phase", "?"),
        duration(worker.get("age")),
        count(worker.get("connections")),
        count(worker.get("live_requests")),
        size(worker.get("rss_kib")),
        f"{count(worker.get('lag_ms'))} ms",
    )


def _pool(pool: Answer, now: float) -> Iterator[str]:
    backends = pool.get("backends") or []
    yield f"pool {pool.get('name', '?')}: {pool.get('usable', '?')} of {len(backends)} backends usable"
    rows = [
        (
            backend.get("name", "?"),
            backend.get("health", "?"),
            backend.get("admin", "?"),
            _weight(backend),
            count(backend.get("in_flight")),
            count(backend.get("queued")),
            count(backend.get("requests")),
            count(backend.get("failures")),
        )
        for backend in backends
    ]
    yield from table(("backend", "health", "admin", "weight", "in flight", "queued", "requests", "failures"), rows, left=(0, 1, 2))
    yield from (f"  {backend.get('name', '?')}: {_why(backend, now)}" for backend in backends if backend.get("why"))


def _why(backend: Answer, now: float) -> str:
    """ "bad status: 503, down for 4 min, asked again in 3 s"."""
    words = [str(backend["why"])]
    if since := backend.get("health_since"):
        words.append(f"{backend.get('health', '?')} for {duration(now - since)}")
    if asked := backend.get("next_check"):
        words.append(f"asked again in {duration(asked - now)}")
    return ", ".join(words)


def _weight(backend: Answer) -> str:
    weight, configured = backend.get("weight", "?"), backend.get("configured_weight")
    return str(weight) if configured in (None, weight) else f"{weight} (file: {configured})"


def over_http2(totals: Answer, backends: Sequence[Answer]) -> str:
    """How much of what is open is of HTTP/2, with clients and with backends; "" where nobody has spoken it."""
    told = []
    if totals.get("h2_connections"):
        told.append(f"clients {count(totals.get('h2_open'))} connections, {count(totals.get('h2_live'))} streams")
    if any(backend.get("h2_connects") for backend in backends):
        connections, streams = (sum(each.get(name) or 0 for each in backends) for name in ("h2_connections", "h2_streams"))
        told.append(f"backends {count(connections)} connections, {count(streams)} streams")
    return f"HTTP/2: {'; '.join(told)}" if told else ""


def _protocols(totals: Answer, backends: Sequence[Answer]) -> Iterator[str]:
    """HTTP/2 and gRPC, if they were spoken; why connections were ended, if any were."""
    if told := over_http2(totals, backends):
        yield f"{told}; {count(totals.get('h2_requests'))} requests came over it"
    for name, called in (("h2_ended", "HTTP/2 ended"), ("h2_backends_ended", "HTTP/2 of backends ended"), ("grpc", "gRPC calls")):
        if found := [f"{why.replace('h2_', '')}: {count(number)}" for why, number in (totals.get(name) or {}).items() if number]:
            yield f"{called}: {', '.join(found)}"


def _traffic(totals: Answer, backends: Sequence[Answer]) -> Iterator[str]:
    if not totals:
        return
    classes = ", ".join(f"{name}: {count(number)}" for name, number in (totals.get("statuses") or {}).items() if number)
    yield (
        f"{count(totals.get('requests'))} requests answered{f' ({classes})' if classes else ''}, "
        f"{count(totals.get('live_requests'))} in flight, {count(totals.get('connections'))} connections, "
        f"{count(totals.get('retries'))} retries, {count(totals.get('client_aborts'))} given up by clients"
    )
    yield from _protocols(totals, backends)
    inspected = [f"{name.replace('_', ' ')}: {count(number)}" for name, number in (totals.get("inspected") or {}).items() if number]
    if inspected:
        yield f"inspected: {', '.join(inspected)}"
    yield from _waf(totals.get("waf") or {})
    yield from _mirror(totals.get("mirror") or {})
    yield from _cache(totals.get("cache") or {})


def _mirror(paths: Answer) -> Iterator[str]:
    """The paths for which mirrors answered otherwise most."""
    told = sorted(paths.items(), key=lambda item: -sum(item[1].values()))
    for path, differences in told[:MOST_TOLD]:
        yield f"mirror differs: {path} ({', '.join(f'{name}: {count(number)}' for name, number in differences.items() if number)})"


def _waf(waf: Answer) -> Iterator[str]:
    """The rule engine's processes, and the rules that were met most."""
    hits = waf.get("rules") or {}
    if waf.get("alive") or waf.get("replaced") or hits:
        yield (
            f"inspectors: {count(waf.get('alive'))}, {count(waf.get('replaced'))} replaced "
            f"({count(waf.get('late'))} took too long), {count(waf.get('waiting'))} requests under way, "
            f"{count(waf.get('unanswered'))} without an answer in time"
        )
    if hits:
        told = sorted(hits.items(), key=lambda item: -item[1])
        rest = sum(number for _, number in told[MOST_TOLD:]) + (waf.get("other_rules") or 0)
        named = [f"{rule}: {count(number)}" for rule, number in told[:MOST_TOLD]] + ([f"others: {count(rest)}"] if rest else [])
        yield f"rules met: {', '.join(named)}"


def _cache(cache: Answer) -> Iterator[str]:
    """What became of requests, and how full it is."""
    requests, usage = cache.get("requests") or {}, cache.get("usage") or {}
    told = [f"{name.replace('_', ' ')}: {count(number)}" for name, number in requests.items() if number]
    if told or usage.get("memory"):
        used = sum(usage.get(name) or 0 for name in ("probation_bytes", "main_bytes", "disk_used"))
        entries, evicted = count(usage.get("entries")), count((cache.get("storage") or {}).get("evicted"))
        told = told or ["nobody has asked"]
        yield f"cache: {', '.join(told)}; {entries} answers in {size(used // 1024) or '0 MiB'}, {evicted} evicted"


def _reload(last: Answer | None, now: float) -> Iterator[str]:
    if not last:
        return
    at = last.get("at")
    ago = f"{duration(now - at)} ago" if isinstance(at, int | float) else "at an unknown time"
    if last.get("ok"):
        yield f"last reload: {ago}, generation {last.get('generation', '?')}"
        yield from (f"  {change}" for change in last.get("changes") or [])
    else:
        yield f"last reload: {ago}, refused; what ran before runs on"
        yield from (f"  {line}" for line in str(last.get("error", "no reason given")).splitlines())


# ---------------------------------------------------------------- columns and numbers


def table(headings: Sequence[str], rows: Sequence[Row], *, left: Sequence[int]) -> Iterator[str]:
    """Lines of equal columns, indented; the columns `left` begin at their left edge, the others end at their right one."""
    cells = [list(headings), *([str(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        padded = (f"{cell:{'<' if at in left else '>'}{widths[at]}}" for at, cell in enumerate(row))
        yield f"  {'  '.join(padded)}".rstrip()


def duration(seconds: object) -> str:
    """As short as a table wants it: "3 s", "4 min", "2 h", "9 d"."""
    if not isinstance(seconds, int | float):
        return "?"
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return f"{max(0, int(seconds))} s"


def count(number: object) -> str:
    """12,345."""
    return f"{number:,}" if isinstance(number, int) else "?"


def size(kib: object) -> str:
    """In MiB; nothing before the first heartbeat told."""
    if not isinstance(kib, int):
        return "?"
    return f"{kib / 1024:.0f} MiB" if kib else ""
