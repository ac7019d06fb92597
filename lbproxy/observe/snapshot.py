"""Reading the ledger into a Snapshot: the numbers of all processes at about one moment (nobody stops for us)."""

from __future__ import annotations

from collections.abc import Sequence

from lbproxy import __version__
from lbproxy.balance import path_tally, tally
from lbproxy.balance.backend import Backend
from lbproxy.balance.ledger import (
    LATENCY_BUCKETS,
    Header,
    HealthState,
    Ledger,
    PerSlot,
    Scalar,
    SlotState,
    is_drained,
    ordered_weight,
    state_at,
)
from lbproxy.health.outcome import words_of
from lbproxy.observe.cache_names import CACHE_COUNTS, CACHE_EVENTS, CACHE_GAUGES, CACHE_RESULTS, CACHE_UNSTORED
from lbproxy.observe.cache_totals import CacheTotals
from lbproxy.observe.metrics import (
    GRPC_CODES,
    H2_BACKEND_ENDS,
    H2_ENDS,
    INSPECTIONS,
    BackendFacts,
    Snapshot,
    Totals,
)
from lbproxy.observe.mirror_totals import MirrorTotals
from lbproxy.observe.waf_totals import INSPECTOR_CELLS, WafTotals

REFUSALS = (
    Scalar.REFUSED_ADDRESS,
    Scalar.REFUSED_RULE,
    Scalar.REFUSED_METHOD,
    Scalar.REFUSED_RATE,
    Scalar.REFUSED_CONCURRENCY,
)
FAILURES = (
    Scalar.HANDSHAKE_TIMEOUT,
    Scalar.HANDSHAKE_NOT_TLS,
    Scalar.HANDSHAKE_CERTIFICATE,
    Scalar.HANDSHAKE_NO_CERTIFICATE,
    Scalar.HANDSHAKE_PROTOCOL,
    Scalar.HANDSHAKE_REFUSED,
    Scalar.HANDSHAKE_LOST,
)
DENIALS = (
    Scalar.DENIED_ADDRESS,
    Scalar.DENIED_RATE,
    Scalar.DENIED_CONCURRENCY,
    Scalar.PROXY_STRANGERS,
    Scalar.PROXY_HEADERS,
    Scalar.PROXY_TIMEOUTS,
)
STATUSES = (Scalar.STATUS_1XX, Scalar.STATUS_2XX, Scalar.STATUS_3XX, Scalar.STATUS_4XX, Scalar.STATUS_5XX, Scalar.STATUS_OTHER)


def snapshot(ledger: Ledger, backends: Sequence[Backend], *, generation: int, started: float, now: float) -> Snapshot:
    """`backends`: those of this generation, in the order of the configuration. `started`, when it began, and `now` are wall clock
    seconds."""
    return Snapshot(__version__, generation, started, now, totals(ledger), facts(ledger, backends))


def totals(ledger: Ledger) -> Totals:
    """All scalars, summed over the children."""
    total = ledger.total
    statuses = tuple(map(total, STATUSES))
    failures = total(Scalar.HANDSHAKE_FAILURES)
    failed = tuple(map(total, FAILURES))
    return Totals(
        accepting=total(Scalar.ACCEPTING),
        connections=total(Scalar.CONNECTIONS),
        live_requests=total(Scalar.LIVE_REQUESTS),
        accepted=total(Scalar.ACCEPTED),
        handshakes=total(Scalar.HANDSHAKES),
        handshake_failures=failures,
        failed_handshakes=(*failed, max(0, failures - sum(failed))),
        h2_connections=total(Scalar.H2_CONNECTIONS),
        h2_requests=total(Scalar.H2_REQUESTS),
        h2_open=total(Scalar.H2_OPEN),
        h2_live=total(Scalar.H2_LIVE),
        h2_ended=tuple(total(Scalar.H2_ENDED + kind) for kind in range(len(H2_ENDS))),
        h2_backends_ended=tuple(total(Scalar.H2_BACKENDS_ENDED + kind) for kind in range(len(H2_BACKEND_ENDS))),
        grpc=tuple(total(Scalar.GRPC + code) for code in range(len(GRPC_CODES))),
        inspected=tuple(total(Scalar.INSPECTED + kind) for kind in range(len(INSPECTIONS))),
        waf=_waf(ledger),
        mirror=_mirror(ledger),
        silent=total(Scalar.SILENT),
        resumed=total(Scalar.RESUMED),
        backend_handshakes=total(Scalar.BACKEND_HANDSHAKES),
        backend_resumed=total(Scalar.BACKEND_RESUMED),
        backend_handshake_failures=total(Scalar.BACKEND_HANDSHAKE_FAILURES),
        passed=total(Scalar.PASSED),
        passed_failed=total(Scalar.PASSED_FAILED),
        compressed=total(Scalar.COMPRESSED),
        compress_busy=total(Scalar.COMPRESS_BUSY),
        compress_in=total(Scalar.COMPRESS_IN),
        compress_out=total(Scalar.COMPRESS_OUT),
        cache=cache_totals(ledger),
        requests=sum(statuses),  # what Scalar.REQUESTS is as well, but that one is only brought up to date with each heartbeat
        statuses=statuses,
        bytes_in=total(Scalar.BYTES_IN),
        bytes_out=total(Scalar.BYTES_OUT),
        retries=total(Scalar.RETRIES),
        access_dropped=total(Scalar.ACCESS_DROPPED),
        buffer_failures=total(Scalar.BUFFER_FAILURES),
        client_aborts=total(Scalar.CLIENT_ABORTS),
        latency=tuple(total(Scalar.LATENCY + bucket) for bucket in range(LATENCY_BUCKETS)),
        refused_requests=tuple(map(total, REFUSALS)),
        refused_connections=tuple(map(total, DENIALS)),
        unread_clients=total(Scalar.UNREAD_CLIENTS),
    )


def cache_totals(ledger: Ledger) -> CacheTotals:
    """What the cache did, over all children, and how full it is."""

    def summed(first: int, names: tuple[str, ...]) -> tuple[int, ...]:
        return tuple(ledger.total(first + number) for number in range(len(names)))

    return CacheTotals(
        summed(Scalar.CACHE_STEP, CACHE_RESULTS),
        summed(Scalar.CACHE_STEP + len(CACHE_RESULTS), CACHE_EVENTS),
        summed(Scalar.CACHE_UNSTORED, CACHE_UNSTORED),
        summed(Scalar.CACHE, CACHE_COUNTS),
        tuple(ledger.cells[Header.CACHE : Header.CACHE + len(CACHE_GAUGES)]),
    )


def _waf(ledger: Ledger) -> WafTotals:
    alive, replaced, late = ledger.cells[Header.INSPECTORS : Header.INSPECTORS + len(INSPECTOR_CELLS)].tolist()
    hits, others = tally.summed(tally.read(ledger.cells, at) for at in ledger.cells_of(Scalar.RULE_HITS))
    under_way, unanswered = ledger.total(Scalar.INSPECTED_NOW), ledger.total(Scalar.UNANSWERED)
    return WafTotals(alive, replaced, late, under_way, unanswered, tuple(hits.items()), others)


def _mirror(ledger: Ledger) -> MirrorTotals:
    counted = path_tally.summed(path_tally.read(ledger.cells, at) for at in ledger.cells_of(Scalar.MIRRORED))
    return MirrorTotals(tuple(counted.paths.items()), counted.others)


def facts(ledger: Ledger, backends: Sequence[Backend]) -> tuple[BackendFacts, ...]:
    """State and counts of `backends`."""
    if not backends:
        return ()
    slots = 1 + max(max(backend.slot, backend.pool_slot) for backend in backends)
    sums = {what: ledger.slot_totals(what, slots) for what in PerSlot}
    firsts = {backend.pool: backend for backend in reversed(backends)}
    return tuple(_facts(ledger, backend, sums, firsts[backend.pool] is backend) for backend in backends)


def _facts(ledger: Ledger, backend: Backend, sums: dict[PerSlot, list[int]], first: bool) -> BackendFacts:
    """`first`: of its pool, whose queue it shows."""
    slot = backend.slot
    queue = backend.pool_slot if first and backend.pool_slot >= 0 else slot
    cells = ledger.cells
    orders = cells[state_at(SlotState.ADMIN, slot)]
    weight = ordered_weight(orders)
    return BackendFacts(
        pool=backend.pool,
        name=backend.name,
        health=ledger.health(slot).name.lower(),
        health_since=cells[state_at(SlotState.HEALTH_SINCE_MS, slot)] / 1000,
        drained=is_drained(orders),
        weight=backend.weight if weight is None else weight,
        configured_weight=backend.weight,
        in_flight=sums[PerSlot.IN_FLIGHT][slot],
        queued=sums[PerSlot.QUEUED][queue],
        requests=sums[PerSlot.REQUESTS][slot],
        failures=sums[PerSlot.FAILURES][slot],
        refused_answers=sums[PerSlot.REFUSED_ANSWERS][slot],
        connects=sums[PerSlot.CONNECTS][slot],
        h2_connections=sums[PerSlot.H2_OPEN][slot],
        h2_streams=sums[PerSlot.H2_STREAMS][slot],
        h2_connects=sums[PerSlot.H2_CONNECTS][slot],
        h2_requests=sums[PerSlot.H2_REQUESTS][slot],
        checks=cells[state_at(SlotState.CHECKS, slot)],
        check_failures=cells[state_at(SlotState.CHECK_FAILURES, slot)],
        written=str(backend.written),
        why=_why(ledger.health(slot), cells[state_at(SlotState.WHY, slot)]),
        next_check=cells[state_at(SlotState.NEXT_CHECK_MS, slot)] / 1000,
    )


def _why(health: HealthState, number: int) -> str:
    """Why it gets no requests, or only some."""
    if health is HealthState.EJECTED:
        return "requests failed there"
    return words_of(number)
