"""The numbers of a running lbproxy as text for Prometheus and as JSON for people's scripts. Pure: a Snapshot in, text out.

The text is the exposition format 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/): HELP and TYPE once per
family, all samples of a family together, base units (seconds, bytes), counters that end in `_total`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from lbproxy.observe.cache_totals import CacheTotals, cache_families
from lbproxy.observe.mirror_totals import MirrorTotals, mirror_families
from lbproxy.observe.tap_facts import TapFacts, tap_families
from lbproxy.observe.waf_totals import WafTotals, waf_families

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

STATUS_CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx", "other")
REFUSALS = ("address_denied", "denied", "method_not_allowed", "client_rate", "client_concurrency")
"""Why routes refuse requests, as the access log has it."""
DENIALS = (
    "address_denied", "connection_rate", "connections_per_client", "proxy_stranger", "proxy_header", "proxy_header_timeout",
)  # fmt: skip
"""Why listeners refuse connections, as the log has it."""
FAILURES = ("timeout", "not_tls", "client_certificate", "no_client_certificate", "protocol", "refused_by_client", "lost", "other")
"""Why handshakes fail."""
H2_ENDS = (
    "h2_resets", "h2_reset_share", "h2_settings", "h2_pings", "h2_empty_data", "h2_windows", "h2_priorities", "h2_malformed",
    "h2_large_heads", "h2_continuations", "h2_answers", "h2_header_size", "h2_header_count", "h2_glitches", "h2_stalled",
    "h2_protocol", "h2_flow_control", "h2_frame_size", "h2_compression", "h2_stream_closed", "h2_preface", "h2_engine", "other",
)  # fmt: skip
"""Why connections of HTTP/2 (or, "h2_stalled", streams) are ended by us, as the log has it."""
H2_BACKEND_ENDS = (
    "h2_settings", "h2_pings", "h2_empty_data", "h2_windows", "h2_unasked", "h2_continuations", "h2_answers", "h2_header_size",
    "h2_header_count", "h2_glitches", "h2_protocol", "h2_flow_control", "h2_frame_size", "h2_compression", "h2_ping_timeout",
    "h2_priorities", "h2_stalled", "h2_stream_closed", "h2_engine", "other",
)  # fmt: skip
"""Why connections to backends of HTTP/2 are."""
GRPC_CODES = (
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
    "UNAUTHENTICATED", "unheard",
)  # fmt: skip
"""How gRPC calls end; the last are those of which nobody said (gRPC-Web says it in the body, who is reset says nothing)."""
INSPECTIONS = (
    ("authorize", "allowed"), ("authorize", "allowed_known"), ("authorize", "denied"), ("authorize", "denied_known"),
    ("authorize", "failed"), ("basic_auth", "allowed"), ("basic_auth", "allowed_known"), ("basic_auth", "denied"),
    ("basic_auth", "limited"), ("basic_auth", "failed"), ("mirror", "sent"), ("mirror", "failed"), ("mirror", "dropped"),
    ("mirror", "skipped"), ("mirror", "same"), ("mirror", "other_status"), ("mirror", "other_length"), ("mirror", "other_digest"),
    ("jwt", "allowed"), ("jwt", "denied"), ("jwt", "failed"), ("icap", "passed"), ("icap", "changed"), ("icap", "blocked"),
    ("icap", "failed"), ("icap", "skipped"), ("icap_answer", "passed"), ("icap_answer", "changed"), ("icap_answer", "blocked"),
    ("icap_answer", "failed"), ("icap_answer", "skipped"), ("tap", "taken"), ("tap", "dropped"), ("tap", "lost"),
    ("waf", "clean"), ("waf", "found"), ("waf", "blocked"), ("waf", "failed"), ("waf", "over_cap"), ("waf", "skipped"),
    ("waf_answer", "clean"), ("waf_answer", "found"), ("waf_answer", "blocked"), ("waf_answer", "failed"),
    ("waf_answer", "over_cap"), ("waf_answer", "skipped"), ("icap", "unasked"), ("icap_answer", "unasked"),
    ("mirror", "suspended"),
)  # fmt: skip
"""What steps of routes made of requests: (step, outcome), in the order of their cells. New ones come last."""
HEALTH_STATES = ("unknown", "up", "down", "ejected", "trial", "warming")


class BackendFacts(NamedTuple):
    """One backend, counts summed over all children, dead ones included."""

    pool: str
    name: str
    health: str  # one of HEALTH_STATES
    health_since: float  # wall clock, seconds; 0 when never judged
    drained: bool  # by an operator
    weight: int  # the one that counts: an operator's, else the configured one
    configured_weight: int
    in_flight: int
    queued: int
    requests: int
    failures: int
    connects: int
    checks: int
    check_failures: int
    refused_answers: int = 0
    written: str = ""
    """As in the configuration, where the name tells the address as well: a written name may have several."""

    why: str = ""
    """What its last check found wrong, or that requests failed there; "" when all is well."""
    next_check: float = 0.0
    """Wall clock, seconds: when it is asked next; 0 when nobody knows."""
    h2_connections: int = 0
    """Open, and they speak HTTP/2; the next: streams on them. Then the same, counted since the start."""
    h2_streams: int = 0
    h2_connects: int = 0
    h2_requests: int = 0

    @property
    def usable(self) -> bool:
        """New requests go here."""
        return self.health in ("up", "trial", "warming") and not self.drained and self.weight > 0


class Totals(NamedTuple):
    """Over all children, dead ones included."""

    accepting: int  # workers that take new connections
    connections: int
    live_requests: int
    accepted: int
    handshakes: int
    handshake_failures: int
    requests: int
    statuses: tuple[int, ...]  # as STATUS_CLASSES
    bytes_in: int
    bytes_out: int
    retries: int
    access_dropped: int
    client_aborts: int
    latency: tuple[int, ...]
    """Requests per bucket, not cumulated: bucket i took less than 2**i * 100 us, the last one is unbounded."""
    buffer_failures: int = 0
    refused_requests: tuple[int, ...] = (0,) * len(REFUSALS)
    refused_connections: tuple[int, ...] = (0,) * len(DENIALS)
    failed_handshakes: tuple[int, ...] = (0,) * len(FAILURES)
    h2_connections: int = 0
    h2_requests: int = 0
    h2_open: int = 0
    h2_live: int = 0
    h2_ended: tuple[int, ...] = (0,) * len(H2_ENDS)
    h2_backends_ended: tuple[int, ...] = (0,) * len(H2_BACKEND_ENDS)
    grpc: tuple[int, ...] = (0,) * len(GRPC_CODES)
    """Calls that ended so."""
    silent: int = 0
    """Connections to TLS listeners that ended before a byte came: somebody looked whether the port is open."""
    unread_clients: int = 0
    """Requests whose client is unknown, since a trusted proxy wrote no address for it."""
    resumed: int = 0
    """Handshakes that resumed a session."""
    inspected: tuple[int, ...] = (0,) * len(INSPECTIONS)
    """What steps made of requests."""
    waf: WafTotals = WafTotals()
    mirror: MirrorTotals = MirrorTotals()
    backend_handshakes: int = 0
    """With backends; those that resumed a session are among them."""
    backend_resumed: int = 0
    backend_handshake_failures: int = 0
    compressed: int = 0
    """Answers; the next: those that were left as they are because too many were under way, or the CPU had no time for them."""
    compress_busy: int = 0
    compress_in: int = 0
    """Bytes before and after."""
    compress_out: int = 0
    passed: int = 0
    """Connections that were passed through to a backend; the next: that found none."""
    passed_failed: int = 0
    cache: CacheTotals = CacheTotals()


class CertificateFacts(NamedTuple):
    """A certificate that listeners show."""

    listener: str
    file: str
    name: str
    """The first of its names."""
    end: float
    """Wall clock, seconds."""


class AcmeFacts(NamedTuple):
    """A name that a certificate is obtained for."""

    name: str
    state: str
    """As in the message AcmeName: waiting | ordering | good."""
    next: float
    """When it is seen to, seconds since 1970."""
    failures: int
    why: str
    authority: str

    @property
    def self_signed(self) -> bool:
        """Whether nothing better serves yet."""
        return not self.authority


class KeyFacts(NamedTuple):
    """What the processes that hold keys were asked for."""

    signatures: int
    refused: int
    restarts: int


class KeySetFacts(NamedTuple):
    """A set of keys that is fetched."""

    url: str
    keys: int
    fetched: float
    """Wall clock, seconds; 0: it never was."""
    failures: int
    """In a row; then the last one."""
    why: str


class Snapshot(NamedTuple):
    """What there is to tell at one moment."""

    version: str
    generation: int
    started: float  # wall clock, seconds: when this generation began
    taken: float  # wall clock, seconds
    totals: Totals
    backends: tuple[BackendFacts, ...]
    certificates: tuple[CertificateFacts, ...] = ()
    """Those that end first, in that order."""
    acme: tuple[AcmeFacts, ...] = ()
    keys: KeyFacts | None = None  # keys are in the workers
    key_sets: tuple[KeySetFacts, ...] = ()
    taps: tuple[TapFacts, ...] = ()

    def pools(self) -> dict[str, list[BackendFacts]]:
        """The backends by pool, in the order of the configuration."""
        pools: dict[str, list[BackendFacts]] = {}
        for backend in self.backends:
            pools.setdefault(backend.pool, []).append(backend)
        return pools

    def unready(self) -> list[str]:
        """The pools without a single usable backend."""
        return [name for name, backends in self.pools().items() if not any(backend.usable for backend in backends)]


# ---------------------------------------------------------------- Prometheus


Labels = Mapping[str, str]
Sample = tuple[str, Labels, float]  # suffix to the family's name, labels, value


class Family(NamedTuple):
    name: str
    kind: str  # counter | gauge | histogram
    help: str
    samples: Sequence[Sample]


def exposition(snapshot: Snapshot) -> str:
    """The whole of /metrics."""
    lines: list[str] = []
    clients = (
        *_traffic(snapshot.totals),
        *(Family(*each) for each in waf_families(snapshot.totals.waf)),
        *(Family(*each) for each in mirror_families(snapshot.totals.mirror)),
        *(Family(*each) for each in cache_families(snapshot.totals.cache)),
        *(Family(*each) for each in tap_families(snapshot.taps)),
        _passthrough(snapshot.totals),
        *_certificates(snapshot),
        *_keys(snapshot),
        *_key_sets(snapshot),
    )
    for family in (*_process(snapshot), *clients, *_backend_tls(snapshot.totals), *_backends(snapshot.backends)):
        lines.append(f"# HELP {family.name} {_escape_help(family.help)}")
        lines.append(f"# TYPE {family.name} {family.kind}")
        lines += [f"{family.name}{suffix}{_labels(labels)} {_number(value)}" for suffix, labels, value in family.samples]
    return "\n".join(lines) + "\n"


def _one(name: str, kind: str, text: str, value: float) -> Family:
    return Family(name, kind, text, [("", {}, value)])


def _process(snapshot: Snapshot) -> Iterable[Family]:
    yield Family(
        "lbproxy_build_info", "gauge", "Always 1; the version stands in the label.", [("", {"version": snapshot.version}, 1)]
    )
    yield _one("lbproxy_generation", "gauge", "Number of the configuration that is being served.", snapshot.generation)
    yield _one("lbproxy_generation_start_time_seconds", "gauge", "When that configuration began to be served.", snapshot.started)


def _backend_tls(totals: Totals) -> Iterable[Family]:
    what = "TLS handshakes with backends completed."
    yield _one("lbproxy_backend_tls_handshakes_total", "counter", what, totals.backend_handshakes)
    what = "TLS handshakes with backends completed that resumed a session."
    yield _one("lbproxy_backend_tls_resumed_handshakes_total", "counter", what, totals.backend_resumed)
    what = "TLS handshakes with backends that failed; the log tells why."
    yield _one("lbproxy_backend_tls_handshake_failures_total", "counter", what, totals.backend_handshake_failures)


def _traffic(totals: Totals) -> Iterable[Family]:
    yield _one("lbproxy_accepting_workers", "gauge", "Workers that take new connections.", totals.accepting)
    yield _one("lbproxy_connections", "gauge", "Open client connections.", totals.connections)
    yield _one("lbproxy_live_requests", "gauge", "Requests being served.", totals.live_requests)
    yield _one("lbproxy_accepted_connections_total", "counter", "Client connections accepted.", totals.accepted)
    yield _one("lbproxy_tls_handshakes_total", "counter", "TLS handshakes completed.", totals.handshakes)
    what = "TLS handshakes completed that resumed a session: their share tells whether tickets work."
    yield _one("lbproxy_tls_resumed_handshakes_total", "counter", what, totals.resumed)
    failures = [("", {"reason": name}, count) for name, count in zip(FAILURES, totals.failed_handshakes, strict=True)]
    yield Family("lbproxy_tls_handshake_failures_total", "counter", "TLS handshakes that failed, by reason.", failures)
    what = "Connections to TLS listeners that ended before a byte came: checks of the port."
    yield _one("lbproxy_tls_silent_connections_total", "counter", what, totals.silent)
    yield _one("lbproxy_http2_connections", "gauge", "Open client connections that speak HTTP/2.", totals.h2_open)
    yield _one("lbproxy_http2_streams", "gauge", "Requests on them that are being served.", totals.h2_live)
    yield _one("lbproxy_http2_connections_total", "counter", "Connections that spoke HTTP/2.", totals.h2_connections)
    yield _one("lbproxy_http2_requests_total", "counter", "Requests that came over HTTP/2.", totals.h2_requests)
    ended = [("", {"reason": name}, count) for name, count in zip(H2_ENDS, totals.h2_ended, strict=True)]
    yield Family("lbproxy_http2_ended_total", "counter", "HTTP/2 connections (or stalled streams) ended, by reason.", ended)
    ended = [("", {"reason": name}, count) for name, count in zip(H2_BACKEND_ENDS, totals.h2_backends_ended, strict=True)]
    yield Family("lbproxy_http2_backends_ended_total", "counter", "HTTP/2 connections to backends ended, by reason.", ended)
    calls = [("", {"code": name}, count) for name, count in zip(GRPC_CODES, totals.grpc, strict=True)]
    yield Family("lbproxy_grpc_calls_total", "counter", "gRPC calls that ended, by grpc-status.", calls)
    yield _one("lbproxy_requests_total", "counter", "Requests answered.", totals.requests)
    responses = [("", {"class": name}, count) for name, count in zip(STATUS_CLASSES, totals.statuses, strict=True)]
    yield Family("lbproxy_responses_total", "counter", "Responses sent, by class of status.", responses)
    refusals = [("", {"reason": name}, count) for name, count in zip(REFUSALS, totals.refused_requests, strict=True)]
    yield Family("lbproxy_refused_requests_total", "counter", "Requests refused by what a route asks for, by reason.", refusals)
    inspected = [
        ("", {"step": step, "outcome": outcome}, count)
        for (step, outcome), count in zip(INSPECTIONS, totals.inspected, strict=True)
    ]
    yield Family("lbproxy_inspected_requests_total", "counter", "What steps of routes made of requests.", inspected)
    denials = [("", {"reason": name}, count) for name, count in zip(DENIALS, totals.refused_connections, strict=True)]
    yield Family("lbproxy_refused_connections_total", "counter", "Connections closed at once by a listener, by reason.", denials)
    text = "Requests for which a trusted proxy wrote no address where the client's should stand."
    yield _one("lbproxy_unread_clients_total", "counter", text, totals.unread_clients)
    yield _one("lbproxy_received_bytes_total", "counter", "Bytes received from clients.", totals.bytes_in)
    yield _one("lbproxy_sent_bytes_total", "counter", "Bytes sent to clients.", totals.bytes_out)
    yield _one("lbproxy_retries_total", "counter", "Requests tried again on another connection or backend.", totals.retries)
    yield _one("lbproxy_client_aborts_total", "counter", "Requests whose client went away first.", totals.client_aborts)
    text = "Access log lines dropped because the log was slow or its disk full."
    yield _one("lbproxy_access_lines_dropped_total", "counter", text, totals.access_dropped)
    yield from _compression(totals)
    text = "Bodies that could not be buffered because of the disk."
    yield _one("lbproxy_buffer_failures_total", "counter", text, totals.buffer_failures)
    yield Family(
        "lbproxy_request_duration_seconds", "histogram", "Time from request head to last byte.", list(_histogram(totals.latency))
    )


def _passthrough(totals: Totals) -> Family:
    text = "Connections passed through undecrypted, to a backend or in vain."
    outcomes = (("passed", totals.passed), ("failed", totals.passed_failed))
    samples = [("", {"outcome": outcome}, count) for outcome, count in outcomes]
    return Family("lbproxy_passthrough_connections_total", "counter", text, samples)


def _compression(totals: Totals) -> Iterable[Family]:
    yield _one("lbproxy_compressed_answers_total", "counter", "Answers that were compressed.", totals.compressed)
    text = "Answers left as they are because too many were being compressed, or the CPU had no time."
    yield _one("lbproxy_uncompressed_answers_total", "counter", text, totals.compress_busy)
    text = "Bytes of answers that were compressed, before ..."
    yield _one("lbproxy_compression_in_bytes_total", "counter", text, totals.compress_in)
    yield _one("lbproxy_compression_out_bytes_total", "counter", "... and after.", totals.compress_out)


def _certificates(snapshot: Snapshot) -> Iterable[Family]:
    ends = [("", {"listener": one.listener, "file": one.file, "name": one.name}, one.end) for one in snapshot.certificates]
    text = "When a listener's certificate ends; the fifty that end first."
    if ends:
        yield Family("lbproxy_certificate_not_after_seconds", "gauge", text, ends)
    if snapshot.acme:
        names = [({"name": one.name}, one) for one in snapshot.acme]
        text = "1 when the name has a certificate of an authority's, 0 while a self-signed one serves."
        yield Family("lbproxy_acme_obtained", "gauge", text, [("", name, float(not one.self_signed)) for name, one in names])
        text = "Orders for the name that failed in a row."
        yield Family("lbproxy_acme_failures", "gauge", text, [("", name, one.failures) for name, one in names])
        text = "When the name is seen to: a first order, a renewal, or another try."
        yield Family("lbproxy_acme_next_seconds", "gauge", text, [("", name, one.next) for name, one in names])


def _keys(snapshot: Snapshot) -> Iterable[Family]:
    if snapshot.keys is None:
        return
    done, refused, restarts = snapshot.keys
    yield _one("lbproxy_key_signatures_total", "counter", "Signatures made by the processes that hold keys.", done)
    text = "Questions of workers that these refused: none of ours asks them."
    yield _one("lbproxy_key_refusals_total", "counter", text, refused)
    yield _one("lbproxy_key_process_restarts_total", "counter", "Processes that held keys and had to be replaced.", restarts)


def _key_sets(snapshot: Snapshot) -> Iterable[Family]:
    told = [({"url": one.url}, one) for one in snapshot.key_sets]
    if told:
        text = "Keys in a set that is fetched for [route.jwt]; 0 until it has come."
        yield Family("lbproxy_jwks_keys", "gauge", text, [("", url, one.keys) for url, one in told])
        text = "When the set was fetched."
        yield Family("lbproxy_jwks_fetched_seconds", "gauge", text, [("", url, one.fetched) for url, one in told])
        text = "Tries to fetch it that failed in a row; the last good one stays."
        yield Family("lbproxy_jwks_failures", "gauge", text, [("", url, one.failures) for url, one in told])


def _histogram(buckets: Sequence[int]) -> Iterable[Sample]:
    """Cumulated, as Prometheus wants it. There is no `_sum`: the ledger keeps none, and none is better than a guess."""
    count = 0
    for index, requests in enumerate(buckets):
        count += requests
        bound = "+Inf" if index == len(buckets) - 1 else f"{(1 << index) / 10_000:g}"
        yield "_bucket", {"le": bound}, count
    yield "_count", {}, count


def _backends(backends: Sequence[BackendFacts]) -> Iterable[Family]:
    def family(name: str, kind: str, text: str, field: str) -> Family:
        return Family(f"lbproxy_backend_{name}", kind, text, [("", _who(facts), getattr(facts, field)) for facts in backends])

    states = [("", {**_who(facts), "state": state}, float(facts.health == state)) for facts in backends for state in HEALTH_STATES]
    yield Family("lbproxy_backend_health", "gauge", "1 for the state the backend is in.", states)
    yield family("health_since_seconds", "gauge", "When it came into that state.", "health_since")
    yield family("usable", "gauge", "1 when new requests go there.", "usable")
    yield family("drained", "gauge", "1 when taken out by the operator.", "drained")
    yield family(
        "weight", "gauge", "Its share of requests relative to others: as ordered at run time, else as configured.", "weight"
    )
    yield family("configured_weight", "gauge", "Configured weight.", "configured_weight")
    yield family("in_flight", "gauge", "Requests from pick to last byte.", "in_flight")
    yield family("queued", "gauge", "Requests waiting for it.", "queued")
    yield family("requests_total", "counter", "Tries.", "requests")
    yield family("failures_total", "counter", "Tries that ended without a whole answer.", "failures")
    yield family("refused_answers_total", "counter", "Answers that were refused for their form.", "refused_answers")
    yield family("connects_total", "counter", "Fresh connections.", "connects")
    yield family("http2_connections", "gauge", "Open connections that speak HTTP/2.", "h2_connections")
    yield family("http2_streams", "gauge", "Streams on them.", "h2_streams")
    yield family("http2_connects_total", "counter", "Fresh connections that speak HTTP/2.", "h2_connects")
    yield family("http2_requests_total", "counter", "Tries over HTTP/2.", "h2_requests")
    yield family("checks_total", "counter", "Health checks run.", "checks")
    yield family("check_failures_total", "counter", "Health checks failed.", "check_failures")


def _who(facts: BackendFacts) -> Labels:
    return {"pool": facts.pool, "backend": facts.name}


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escape_label(value)}"' for name, value in labels.items()) + "}"


def _escape_label(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _escape_help(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _number(value: float) -> str:
    """Integers exactly, whatever their size: "%g" would round a byte counter."""
    return str(int(value)) if value == int(value) else repr(float(value))


# ---------------------------------------------------------------- JSON


def status(snapshot: Snapshot) -> dict[str, object]:
    """What /status.json says: the snapshot's own names, backends grouped by pool."""
    pools = {
        name: {
            "ready": any(facts.usable for facts in backends),
            "backends": [{**facts._asdict(), "usable": facts.usable} for facts in backends],
        }
        for name, backends in snapshot.pools().items()
    }
    return {
        "version": snapshot.version,
        "generation": snapshot.generation,
        "started": snapshot.started,
        "taken": snapshot.taken,
        "totals": totals(snapshot.totals),
        "certificates": [
            {**one._asdict(), "days_left": round((one.end - snapshot.taken) / 86_400, 1)} for one in snapshot.certificates
        ],
        **{name: [one._asdict() for one in getattr(snapshot, name)] for name in ("acme", "key_sets", "taps")},
        "pools": pools,
    }


def totals(counted: Totals) -> dict[str, object]:
    """Totals for JSON: their own names, statuses and latency spelled out."""
    last = len(counted.latency) - 1
    latency = [
        {"below_seconds": None if index == last else (1 << index) / 10_000, "requests": requests}
        for index, requests in enumerate(counted.latency)
    ]
    named = {
        "statuses": dict(zip(STATUS_CLASSES, counted.statuses, strict=True)),
        "refused_requests": dict(zip(REFUSALS, counted.refused_requests, strict=True)),
        "refused_connections": dict(zip(DENIALS, counted.refused_connections, strict=True)),
        "failed_handshakes": dict(zip(FAILURES, counted.failed_handshakes, strict=True)),
        "grpc": dict(zip(GRPC_CODES, counted.grpc, strict=True)),
        "inspected": {f"{step} {outcome}": count for (step, outcome), count in zip(INSPECTIONS, counted.inspected, strict=True)},
        "waf": counted.waf.described(),
        "mirror": counted.mirror.described(),
        "cache": counted.cache.described(),
        "h2_ended": dict(zip(H2_ENDS, counted.h2_ended, strict=True)),
        "h2_backends_ended": dict(zip(H2_BACKEND_ENDS, counted.h2_backends_ended, strict=True)),
    }
    return {**counted._asdict(), **named, "latency": latency}
