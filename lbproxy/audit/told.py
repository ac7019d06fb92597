"""A status answer, judged: what the running lbproxy tells of itself.

It may be of another version, and workers write some of what stands there: what is missing or of another kind is passed over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lbproxy.audit.checks.live import CERTIFICATE, DIFFERS, FAILURES, WALLS
from lbproxy.audit.finding import Check, Evidence, Path, Severity

Answer = Mapping[str, Any]
Judged = Iterator[tuple[Check, Evidence]]

MOST = 20
"""Of one kind; more are told of when these are mended."""
_GROWN = ("serving", "draining")
"""Phases: who is just starting has not let go of everything yet."""
_CONTROL: Path = ("proxy", "control")
_TLS_FAILURE = "TLS failure"
"""How a backend's `why` begins whose handshake failed (health/outcome.py, which is a stranger on this floor)."""


def judge(answer: Answer, version: str, digest: str, walls: Sequence[str]) -> Judged:
    """`version`: ours; `digest`: of the file (config/digest.py); `walls`: the names of all there are."""
    yield from _differences(answer, version, digest)
    yield from _walls(answer, walls)
    yield from _acme(answer)
    yield from _backends(answer)
    yield from _failures(answer)


def members(answer: Answer) -> list[tuple[str, int]]:
    """(what it is, its number) of the processes that strangers talk to, or that talk to strangers."""
    found: list[tuple[str, dict[str, Any]]] = []
    for generation in _tables(answer.get("generations")):
        found += [(f"worker {worker.get('worker', '?')}", worker) for worker in _tables(generation.get("workers"))]
        found += [(role, child) for role in ("control", "acme") for child in _tables([generation.get(role)])]
    return [(what, pid) for what, child in found if (pid := _number(child.get("pid"))) and child.get("phase") in _GROWN]


def _differences(answer: Answer, version: str, digest: str) -> Judged:
    """Of two versions the same file may say different things."""
    if answer.get("version") != version:
        yield DIFFERS, Evidence(_CONTROL, f"lbproxy {answer.get('version', '?')} runs, and this is {version}")
    elif "digest" in answer and answer["digest"] != digest:
        yield DIFFERS, Evidence(_CONTROL, f"it runs what {answer.get('config', 'another file')} said at its start or last reload")
    last = answer.get("last_reload")
    if isinstance(last, dict) and last.get("ok") is False:
        why = (str(last.get("error") or "no reason given").splitlines() or [""])[0]
        yield DIFFERS, Evidence(_CONTROL, f"the last reload was refused: {why}")


def _walls(answer: Answer, walls: Sequence[str]) -> Judged:
    for generation in _tables(answer.get("generations")):
        for worker in _tables(generation.get("workers")):
            stand = worker.get("walls")
            if worker.get("phase") != "serving" or "walls" not in worker:
                continue
            names = stand if isinstance(stand, list | tuple) else ()
            if missing := [wall for wall in walls if wall not in names]:
                who = f"worker {worker.get('worker', '?')}"
                bad = Severity.HIGH if len(missing) == len(walls) else None
                yield WALLS, Evidence(("proxy", "walls"), f"{who} is without {', '.join(missing)}", 0, bad)


def _acme(answer: Answer) -> Judged:
    for one in _tables(answer.get("acme"))[:MOST]:
        name, failed = one.get("name", "?"), _number(one.get("failures"))
        if one.get("self_signed"):
            yield CERTIFICATE, Evidence(("acme",), f"{name}: a self-signed one serves")
        elif failed:
            yield CERTIFICATE, Evidence(("acme",), f"{name}: renewals failed: {failed}: {one.get('why', '?')}", 0, Severity.LOW)


def _backends(answer: Answer) -> Judged:
    told = 0
    for pool in _tables(answer.get("pools")):
        for backend in _tables(pool.get("backends")):
            why = backend.get("why")
            if isinstance(why, str) and why.startswith(_TLS_FAILURE) and told < MOST:
                told += 1
                place = ("pool", str(pool.get("name", "?")), "backends")
                yield FAILURES, Evidence(place, f"{backend.get('name', '?')}: {why}", 0, Severity.MEDIUM)


def _failures(answer: Answer) -> Judged:
    """Who shows no certificate where one is asked for is a stranger, or the audit before this one."""
    totals = answer.get("totals")
    totals = totals if isinstance(totals, dict) else {}
    failed = totals.get("failed_handshakes")
    failed = failed if isinstance(failed, dict) else {}
    if count := _number(failed.get("client_certificate")):
        yield FAILURES, Evidence(("listen",), f"certificates of clients refused: {count}")
    if count := _number(failed.get("refused_by_client")):
        yield FAILURES, Evidence(("listen",), f"handshakes that clients refused, most often for the certificate: {count}")
    if count := _number(totals.get("backend_handshake_failures")):
        yield FAILURES, Evidence(("pool",), f"failed handshakes with backends: {count}")


def _tables(value: object) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list | tuple) else []


def _number(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0
