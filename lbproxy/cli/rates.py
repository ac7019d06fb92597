"""Rates: what happened between two status answers, as lines for a terminal. Pure.

As in table.py nothing is relied on: a master of another version leaves things out, a restarted one begins its counts anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lbproxy.cli.table import backends_of, count, duration, over_http2, table

Answer = Mapping[str, Any]
UNITS = ("B", "KiB", "MiB", "GiB")


def screen(before: Answer, now: Answer, seconds: float) -> list[str]:
    """All that `top` shows; `before` was asked for `seconds` earlier, of the same lbproxy or another one in its place."""
    elapsed = seconds if all(before.get(name) == now.get(name) for name in ("pid", "started")) else 0.0
    lines = [*_head(before, now, elapsed)]
    known = {
        (pool.get("name"), backend.get("name")): backend
        for pool in before.get("pools") or []
        for backend in pool.get("backends") or []
    }
    for pool in now.get("pools") or []:
        lines += ["", *_pool(pool, known, elapsed)]
    return lines


def _head(before: Answer, now: Answer, elapsed: float) -> Iterator[str]:
    generations = now.get("generations") or []
    workers = [worker for generation in generations for worker in generation.get("workers") or []]
    stages = ", ".join(f"generation {each.get('number', '?')} {each.get('stage', '?')}" for each in generations)
    lags = [worker["lag_ms"] for worker in workers if isinstance(worker.get("lag_ms"), int)]
    who = f"lbproxy {now.get('version', '?')}, pid {now.get('pid') or '?'}, up {duration(now.get('uptime'))}"
    yield f"{who}; {stages or 'nothing serves'}"
    old, new = before.get("totals") or {}, now.get("totals") or {}
    classes = [
        f"{name} {per_second((old.get('statuses') or {}).get(name), number, elapsed)}"
        for name, number in (new.get("statuses") or {}).items()
        if number
    ]
    by_class = f" ({', '.join(classes)})" if classes else ""
    yield (
        f"{_rate(old, new, 'requests', elapsed)} requests/s{by_class}{_waits(old, new)}, "
        f"{count(new.get('live_requests'))} in flight, {count(new.get('connections'))} connections"
    )
    yield (
        f"{_volume(old, new, 'bytes_in', elapsed)} in, {_volume(old, new, 'bytes_out', elapsed)} out, "
        f"{_rate(old, new, 'retries', elapsed)} retries/s, {_rate(old, new, 'client_aborts', elapsed)} given up/s, "
        f"{len(workers)} workers, lag at most {max(lags, default=0)} ms"
    )
    if told := over_http2(new, backends_of(now)):
        yield f"{told}; {_rate(old, new, 'h2_requests', elapsed)} requests/s"


def _waits(old: Answer, new: Answer) -> str:
    """Between which powers of two the median and the 99th percentile are; "" when nothing came."""
    was, now = old.get("latency") or [], new.get("latency") or []
    if len(was) != len(now):
        return ""
    counts = [after.get("requests", 0) - earlier.get("requests", 0) for earlier, after in zip(was, now, strict=True)]
    total = sum(counts)
    if total <= 0 or min(counts) < 0:
        return ""
    return "".join(f", {name} {_below(now, counts, total * share)}" for name, share in (("p50", 0.5), ("p99", 0.99)))


def _below(buckets: Sequence[Answer], counts: Sequence[int], rank: float) -> str:
    passed = 0
    for bucket, number in zip(buckets, counts, strict=True):
        passed += number
        if passed >= rank:
            seconds = bucket.get("below_seconds")
            return f"< {seconds * 1000:g} ms" if isinstance(seconds, int | float) else "over the scale"
    return "?"


def _pool(pool: Answer, known: Mapping[tuple[object, object], Answer], elapsed: float) -> Iterator[str]:
    backends = pool.get("backends") or []
    yield f"pool {pool.get('name', '?')}: {pool.get('usable', '?')} of {len(backends)} backends usable"
    rows = []
    for backend in backends:
        old = known.get((pool.get("name"), backend.get("name"))) or {}
        health = backend.get("health", "?") if backend.get("admin") != "drained" else "drained"
        rates = [_rate(old, backend, name, elapsed) for name in ("requests", "failures", "connects")]
        rows.append((backend.get("name", "?"), health, count(backend.get("in_flight")), count(backend.get("queued")), *rates))
    yield from table(("backend", "health", "in flight", "queued", "requests/s", "failures/s", "connects/s"), rows, left=(0, 1))


def _rate(old: Answer, new: Answer, name: str, elapsed: float) -> str:
    return per_second(old.get(name), new.get(name), elapsed)


def per_second(old: object, new: object, elapsed: float) -> str:
    """ "12", "0.4", or "-" where there is nothing to compare with."""
    rate = _per_second(old, new, elapsed)
    if rate is None:
        return "-"
    return f"{rate:,.0f}" if rate >= 10 or rate == 0 else f"{rate:.1f}"


def _volume(old: Answer, new: Answer, name: str, elapsed: float) -> str:
    rate = _per_second(old.get(name), new.get(name), elapsed)
    if rate is None:
        return "-"
    unit = 0
    while rate >= 1024 and unit < len(UNITS) - 1:
        rate, unit = rate / 1024, unit + 1
    return f"{rate:.{1 if unit else 0}f} {UNITS[unit]}/s"


def _per_second(old: object, new: object, elapsed: float) -> float | None:
    """None where there is nothing to compare with. A count that shrank began anew."""
    if not isinstance(old, int) or not isinstance(new, int) or elapsed <= 0 or new < old:
        return None
    return (new - old) / elapsed
