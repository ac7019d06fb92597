"""Whatever grows by what peers send is bounded in bytes: every container that outlives a call is listed here with its bound.

A new one fails the first test until somebody has thought of what bounds it. The others fill those that peers can fill, as a hostile
one would, and measure.
"""

from __future__ import annotations

import ast
import tracemalloc
from collections.abc import Callable, Iterator
from ipaddress import ip_network

import pytest

from lbproxy.balance.ledger import SIZE, Ledger
from lbproxy.config.model import AddressListConfig, RouteFiltersConfig
from lbproxy.filter.addresses import parse_client
from lbproxy.filter.keys import LimitKeys
from lbproxy.filter.limiter import CLIENTS_KEPT
from lbproxy.http.edits import ResponseEdits
from lbproxy.http.forwarding import Forwarder
from lbproxy.http.h1.request import LastFields, parse_request
from lbproxy.http.h2.request_fields import RequestFields
from lbproxy.http.h2.response_fields import KEPT, ResponseFields
from lbproxy.http.heads import HEADS_KEPT, ResponseHeads
from lbproxy.http.message import FIELDS_KEPT
from lbproxy.observe.access import AccessLog
from lbproxy.proxy.steps.filters import Filters
from lbproxy.remembered import Budget
from tests.test_architecture import PACKAGE, module_name, source_files

WITHOUT_PEERS = ("cli", "config", "compiled")
"""Nothing that a peer sends comes there."""

CONFIG = "by the configuration"
SLOTS = "by the 1024 slots of the ledger"
CONNECTIONS = "by connections_per_worker, or a pool's limit of idle connections"
CHILDREN = "by the children that may live at once"
EMPTY = "nothing is put there"
STREAMS = "by limits.streams of a connection"
OPERATOR = "by what an operator asks for, over at most 16 connections"
BOUNDS = {
    "balance.pool._readers": "one entry",
    "balance.split._weights": CONFIG,
    "balance.slots._slots": SLOTS,
    "balance.source_hash._circles": CONFIG,
    "balance.source_hash._weights": CONFIG,
    "http.h2.engine._ended": "one entry",
    "cache.area._numbers": "NUMBERS and a half of files to come",
    "cache.writer._gone": "by the files that go for one answer; begun anew with each",
    "control.metrics_port._made": "one entry for each path that is served",
    "control.outlier_watch._pools": CONFIG,
    "control.readings._columns": "seven for each worker",
    "control.visitors._there": "by metrics.connections",
    "control.watch._greenlets": SLOTS,
    "control.watch._probers": SLOTS,
    "control.watch._watched": SLOTS,
    "filter.addresses._begins": CONFIG,
    "filter.addresses._ends": CONFIG,
    "filter.counts._alone": CONNECTIONS,
    "filter.keys._known": "a Budget, measured below",
    "health.outlier._samples": "by the window, two a second",
    "http.conditions._fields": "by the conditions there are, for one request",
    "acme.authority._directory": "256 KiB of an answer",
    "acme.challenges._told": "MOST_CHALLENGES",
    "acme.main._files": CONFIG,
    "acme.main._said": "names of the configuration and MOST_CHALLENGES, each when it changes",
    "acme.ordering._answered": "MOST_AUTHORIZATIONS",
    "acme.work._known": CONFIG,
    "acme.work._told": CONFIG,
    "control.metrics_port.acme": "by the master, who lets none through but names of the configuration",
    "master.watches.acme._challenges": "MOST_CHALLENGES",
    "master.watches.acme._names": "names of the configuration",
    "tls.challenge_hello._shown": "by the master: MOST_CHALLENGES",
    "worker.wiring.challenges.by_token": "by the master: MOST_CHALLENGES",
    "proxy.caching.fill._waiting": "by requests under way",
    "proxy.caching.shelf.fills": "by requests under way",
    "proxy.caching.intake._pieces": "IN_MEMORY bytes and a piece, for a request under way",
    "http.caching.directives._said": "the fields of one head, while that is looked at",
    "http.compression._known": "a Budget",
    "http.redirect._pieces": CONFIG,
    "http.h1.request._hosts": "512 Hosts of at most 260 bytes, measured below",
    "http.h2.backend_answer._known": "a Budget",
    "http.h2.backend_answer._lines": "512 names of at most 64 bytes",
    "http.h2.backend_request._over_tls": "a Budget",
    "http.h2.backend_request._plain": "a Budget",
    "http.h2.health_check.fields": "two lists of fields, by the bounds of the engine",
    "http.h2.floods._ALL_LEFT": EMPTY,
    "http.h2.floods._NOTHING": EMPTY,
    "http.h2.floods._left": "one entry for each kind of flood",
    "http.h2.floods._seen": "one entry for each kind of flood",
    "http.h2.request_fields._lines": "512 names of at most 64 bytes, measured below",
    "http.h2.response_fields._known": "a Budget, measured below",
    "http.h2.windows._NONE": EMPTY,
    "http.h2.windows._streams": STREAMS,
    "http.heads._known": "a Budget, measured below",
    "http.shown_heads._known": "MOST of LONGEST, measured in tests/unit/http/test_shown_heads.py",
    "http.trailers._everyday": "256 of at most 512 bytes",
    "ipc.pipe._descriptors": "by the master, who alone sends any",
    "ipc.pipe._queue": "QUEUE_LIMIT bytes",
    "ipc.handover.walls": "by the walls there are",
    "master.names.state.addresses": "by the configuration, 64 for each name",
    "master.names.state.left": SLOTS,
    "master.names.state.orders": CONFIG,
    "master.fleet.child.walls": "by the walls there are",
    "master.operator.control_socket._connections": "MAX_CONNECTIONS",
    "master.fleet.children._actions": "taken after each event",
    "master.fleet.children._children": CHILDREN,
    "master.fleet.children.generations": "three",
    "master.processes.forker._living": "two, while one takes over from the other",
    "master.fleet.generation.leaving": CHILDREN,
    "master.fleet.generation.posts": CHILDREN,
    "master.main._events": CHILDREN,
    "master.resources.preparation.plans": "three",
    "master.system.notify._kept": "by messages of ours",
    "master.operator.operator._wait_for_next": OPERATOR,
    "master.operator.operator._wait_for_this": OPERATOR,
    "master.resources.shared.outers": CONFIG,
    "master.resources.generation.pool_pems": CONFIG,
    "master.resources.shared.sockets": CONFIG,
    "master.resources.shared.warnings": CONFIG,
    "master.system.signals._before": "by the signals there are",
    "master.system.signals._noted": "emptied each turn; one signal of a kind is pending at a time",
    "master.fleet.health_news._states": SLOTS,
    "net.arrivals._noted": "a turn's streams",
    "net.deadlines._late": CONNECTIONS,
    "net.deadlines.streams": CONNECTIONS,
    "master.watches.cache._kept": "one for each living generation at most",
    "master.watches.cache._searches": OPERATOR,
    "net.body_files._held": "PIECE bytes and a piece, for a body that is written",
    "net.body_files._open": "KEPT_OPEN",
    "net.job_thread._done": "one for each strand that waits for the file, each file that goes, and MOST_WAITING passwords",
    "net.job_thread._jobs": "the same",
    "net.scratch._free": "by the blocks of the file, and emptied with it",
    "net.strands._idle": "by a constant",
    "net.strands._runners": "by the requests and connections under way, and those that wait for more",
    "net.work_budget._queue": CONNECTIONS,
    "observe.access._everyday": "4096 names of backends",
    "observe.access._hosts": "512 Hosts of at most 260 bytes, measured below",
    "observe.access._lines": "written five times a second; a line has at most 3 KiB, and a request of its own",
    "observe.log._buckets": "by the names of events",
    "observe.log._facts": "by constants",
    "observe.outlet._waiting": "BACKLOG bytes",
    "observe.standard._outlets": "stdout and stderr",
    "proxy.h2.backend._connections": "by requests in progress, one each at most; idle ones by connections.idle",
    "proxy.h2.backend._waiting": "by requests in progress",
    "proxy.h2.backend_stream._heads": "HEADS of backend_stream.py, and HEADS_SIZE bytes",
    "proxy.h2.backends._backends": SLOTS,
    "proxy.h2.shared_connection._lingering": "100 streams of a connection (STREAMS of backends.py)",
    "proxy.h2.shared_connection._resets": "100 streams of a connection (STREAMS of backends.py)",
    "proxy.h2.shared_connection._streams": "100 streams of a connection (STREAMS of backends.py)",
    "proxy.h2.shared_connection._wakes": "by what came in one read",
    "proxy.h2.stream._EMPTY": EMPTY,
    "proxy.h2.backend_wire._waiting_for_room": "100 streams of a connection (STREAMS of backends.py)",
    "proxy.h2.connection._NONE": EMPTY,
    "proxy.h2.connection._requests": STREAMS,
    "proxy.h2.connection._waiting_for_room": STREAMS,
    "proxy.h2.next_turn._NONE": EMPTY,
    "proxy.h2.next_turn._lost": STREAMS,
    "proxy.h2.next_turn._waiting": STREAMS,
    "proxy.h2.next_turn._wakes": "by what came in one read",
    "proxy.h2.unbegun._found": "one a reason, until the loop's next turn",
    "proxy.h2.stream._inbox": "by a stream's window",
    "proxy.h2.unwanted._due": STREAMS,
    "proxy.h2.unwanted._late": STREAMS,
    "proxy.bound.bound": SLOTS,
    "proxy.route_index._exact": CONFIG,
    "proxy.route_index.below": CONFIG,
    "proxy.route_index.children": CONFIG,
    "proxy.route_index.here": CONFIG,
    "proxy.router._by_domain": CONFIG,
    "proxy.steps.filters._known": "a Budget, measured below",
    "proxy.steps.filters._limiters": CONFIG,
    "proxy.steps.filters._tickets": "by the limits of a route",
    "worker.wiring.inspecting._contents": CONFIG,
    "master.watches.documents._refused": CONFIG,
    "master.watches.key_sets._states": CONFIG,
    "master.inspection.process._living": "by workers, each by inspectors of a route",
    "master.inspection.process._killed": "MOST_KILLED, and those of workers that have gone",
    "master.inspection.inspectors._workers": CHILDREN,
    "master.watches.rules._loading": "living generations",
    "master.watches.rules._pace": "living generations",
    "waf.engine._closing": "by sets of rules",
    "waf.faults._again": "rules of a set, while it is loaded",
    "net.inspector_link._asked": "by MOST_WAITING",
    "waf.engine._lines": "by MOST_LINES",
    "waf.engine._sets": CONFIG,
    "master.watches.key_sets._wanted": CONFIG,
    "master.resources.generation.key_authorities": CONFIG,
    "ipc.handover.key_set_contexts": CONFIG,
    "control.metrics_port.key_sets": CONFIG,
    "worker.wiring.inspecting._told": CONFIG,
    "proxy.steps.mirror._body": "by max_body of a mirror",
    "proxy.steps.mirror._waiting": "by queue of a mirror, each by max_body",
    "proxy.steps.icap._new": "what came in one read",
    "proxy.icap.server._options": "256 addresses",
    "http.icap.silence._heard": SLOTS,
    "http.icap.silence._mute": SLOTS,
    "http.icap.silence._spared": SLOTS,
    "ipc.handover.taps": CONFIG,
    "proxy.steps.tap._body": "by max_body of a tap",
    "proxy.steps.tap.body": "by max_body of a tap",
    "net.capture_files._fds": CONFIG,
    "net.tap_link._collected": "LARGEST bytes",
    "net.tap_thread._waiting": "by queue of a tap",
    "net.tap_thread._bell": "by queue of a tap",
    "net.tap_stream._waiting": "by reader_queue of a tap",
    "net.tap_interface._waiting": "by reader_queue of a tap",
    "net.tap_outputs.readers": "by readers of a tap",
    "net.tap_outputs._done": "six outcomes of three outputs",
    "observe.tapped._parts": "by MOST bytes",
    "master.tap.process._taps": CONFIG,
    "master.tap.process._workers": "by rows of the ledger",
    "master.tap.process._handlers": "by workers and readers",
    "master.tap.process._dirty": "by readers",
    "master.tap.process._quiet": "by readers",
    "master.tap.process._blocked": "by readers",
    "master.watches.taps._told": CONFIG,
    "master.tap.taps._wanted": CONFIG,
    "master.tap.taps._told": CONFIG,
    "master.tap.taps._workers": "by rows of the ledger",
    "master.tap.taps._work": CONFIG,
    "master.tap.taps._before": "by names of taps that there ever were, in one master's life",
    "master.tap.taps._failed": CONFIG,
    "control.metrics_port.taps": CONFIG,
    "proxy.steps.basic_auth._known": "a Budget",
    "proxy.steps.verdicts._flights": "by requests in progress",
    "proxy.steps.verdicts._known": "a Budget, measured in tests/unit/proxy/steps/test_verdicts.py",
    "proxy.steps.quick_cache._answers": "a Budget, measured in tests/unit/proxy/steps/test_quick_cache.py",
    "proxy.steps.flights.waiting": "by requests in progress",
    "proxy.steps.flights._flights": "by requests in progress",
    "proxy.queue._line": "by a pool's queue",
    "proxy.announced._idle": "by connections.idle of a pool, for each client connection",
    "proxy.upstream_pool._shelves": SLOTS,
    "proxy.upstream_pool.idle": CONNECTIONS,
    "proxy.router._by_host": CONFIG,
    "proxy.split._shares": CONFIG,
    "proxy.service.connections": CONNECTIONS,
    "proxy.spool._pieces": "by what a pool buffers of a body, in blocks",
    "proxy.request_body._kept": "64 KiB a request",
    "remembered._memories": CONFIG,
    "master.processes.keys._holders": CHILDREN,
    "tls.fork._inside": "one entry",
    "tls.remote_key._KEPT": "one, in a worker",
    "tls.signer._keys": "1000 keys",
    "tls.passphrase._why_not": CONFIG,
    "tls.harvest._crates": CONFIG,
    "tls.keystore._nested": CONFIG,
    "tls.keystore.digests": CONFIG,
    "tls.keystore.stamps": CONFIG,
    "tls.tickets._asked": CONFIG,
    "tls.tickets._plain": CONFIG,
    "tls.showcase._kinds": CONFIG,
    "master.resources.generation.refused": CONFIG,
    "master.watches.certificates._live": CONFIG,
    "master.watches.certificates._gone": "pairs of the configuration's folders",
    "master.watches.certificates._pending": "pairs whose files are there",
    "master.processes.child_pipes.on_stranger": "by kinds of processes",
    "master.watches.documents._live": CONFIG,
    "master.watches.documents._pending": CONFIG,
    "master.files.looks._missing": "pairs of the configuration's folders",
    "master.files.sightings._seen": "MOST_TOLD",
    "master.files.watch._killed": "a process that looks and one that reads for each disk that hangs",
    "master.files.watch._living": "one that looks, one that reads, and those that were killed",
    "master.files.watch._read_from": "four judges",
    "master.watches.certificates._refused": "pairs whose files are there",
    "master.watches.certificates._waste": "what was renewed in fifteen seconds",
    "master.watches.expiry._told": CONFIG,
    "tls.backend_tls._last": "MOST_SESSIONS of a pool",
    "tls.showcase._made": "1000 contexts",
    "tls.sni._report_others": "one entry",
    "worker.wakeups._waiting": CONFIG,
    "worker.log_writer._bell": "a ring for each time the thread rests",
    "worker.log_writer._queue": "BACKLOG bytes",
}

LEDGER = Ledger(bytearray(SIZE))
GROWING = ("dict", "set", "deque", "list", "defaultdict", "OrderedDict", "SimpleQueue", "Counter")


def grows(value: ast.expr | None) -> bool:
    """An empty container, or one that is made by calling its type: something will be put into it."""
    if isinstance(value, ast.Dict):
        return not value.keys
    if isinstance(value, ast.List):
        return not value.elts
    if isinstance(value, ast.Call):
        called = value.func
        if isinstance(called, ast.Attribute) and called.attr == "draws":
            return True
        if isinstance(called, ast.Name) and called.id == "field":
            return any(word.arg == "default_factory" and grows_by_name(word.value) for word in value.keywords)
        return grows_by_name(called)
    return False


def grows_by_name(called: ast.expr) -> bool:
    return (called.id if isinstance(called, ast.Name) else called.attr if isinstance(called, ast.Attribute) else "") in GROWING


def kept(tree: ast.Module) -> Iterator[str]:
    """Names of what outlives a call: attributes of objects, and of the module."""
    inside = [(node, False) for node in tree.body]
    while inside:
        node, in_function = inside.pop()
        deeper = in_function or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        inside += [(child, deeper) for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)]
        if isinstance(node, ast.Assign | ast.AnnAssign) and grows(node.value):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Attribute):
                    yield target.attr
                elif isinstance(target, ast.Name) and not in_function:
                    yield target.id


def test_every_container_that_lasts_is_listed_with_its_bound() -> None:
    """And nothing else is."""
    found = set()
    for path in source_files("lbproxy"):
        folder = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if folder not in WITHOUT_PEERS:
            module = module_name(path).removeprefix("lbproxy.")
            found |= {f"{module}.{name}" for name in kept(ast.parse(path.read_text()))}
    assert found == set(BOUNDS)


# ---------------------------------------------------------------- as hostile peers fill them


def heads_of_backends_over_http2() -> list[object]:
    """As below, and as many fields as a head may have."""
    known = ResponseFields()
    for number in range(3000):
        fields = b"".join(b"X%d: %d\r\n" % (each, number) for each in range(number % 300))
        known.of(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nDate: %d\r\n%b\r\n" % (number, fields))
    return [known]


def names_of_fields() -> list[object]:
    """Endless ones of the greatest length that is remembered."""
    fields = RequestFields(8192, 100, 32768)
    get = ((b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"a"), (b":path", b"/"))
    for number in range(3000):
        fields.read((*get, (b"x%063d" % number, b"y")), True)
    return [fields]


def heads_of_backends() -> list[object]:
    """Forty routes with rules of their own, and backends that never say the same twice, in the largest heads that are kept."""
    budget = Budget(HEADS_KEPT)
    places = [ResponseHeads(500, ResponseEdits((), (("X-A", "b"),)), budget) for _ in range(40)]
    for number in range(3000):
        fields = b"".join(b"X%d: %d\r\n" % (each, number) for each in range(number % 300))
        places[number % 40].read(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nDate: %d\r\n%b\r\n" % (number, fields), b"GET")
    for number in range(500):
        value = b"x" * (FIELDS_KEPT - 80) + b"%d" % number
        places[number % 40].read(b"HTTP/1.1 200 OK\r\nConnection: %b\r\nContent-Length: 0\r\n\r\n" % value, b"GET")
    return [places]


def addresses_of_clients() -> list[object]:
    """A hundred limits, and clients with an IPv6 network each."""
    budget = Budget(CLIENTS_KEPT)
    limits = [LimitKeys(b"k" * 32, f"route {number}", budget) for number in range(100)]
    for number in range(20_000):
        limits[number % 100].of(parse_client(f"2001:db8:{number >> 8:x}:{number & 255:x}::1").site())
    return [limits]


def addresses_at_routes() -> list[object]:
    """A route that refuses some, and clients with as many addresses."""
    rules = RouteFiltersConfig(AddressListConfig(deny=(ip_network("192.0.2.0/24"),)))
    filters = Filters(rules, (), LEDGER, 0, lambda: 0.0)
    for number in range(20_000):
        filters._site(f"2001:db8:1234:5678:9abc:def0:{number >> 8:x}:{number & 255:x}")
    return [filters]


def hosts() -> list[object]:
    """Endless names of the greatest length."""
    for number in range(3000):
        name = ".".join(["x" * 60] * 3) + f".{number:060}"
        parse_request(f"GET / HTTP/1.1\r\nHost: {name}:12345\r\n\r\n".encode(), 8192, 100)
    return []


def hosts_in_the_log() -> list[object]:
    log = AccessLog(0.0, lambda second: "2026-01-01T00:00:00")
    for number in range(3000):
        log.describe("192.0.2.1", b"GET", b"x" * 250 + b"%d" % number, b"/", "HTTP/1.1")
    return [log]


def a_busy_client() -> list[object]:
    """The largest request that a connection remembers, in each of its memories."""
    last, forwarder = LastFields(), Forwarder("192.0.2.1", "https", 443, (ip_network("10.0.0.0/8"),))
    for number in range(50):
        value = "x" * (FIELDS_KEPT - 800) + str(number)
        head = f"GET /{number} HTTP/1.1\r\nHost: example.com\r\nX-Forwarded-Server: {value}\r\n\r\n".encode()
        sent = forwarder.request(parse_request(head, 8192, 100, last))
        forwarder.edited = (sent, None, sent[:-4] + b"\r\nX-More: y\r\n\r\n")
    return [last, forwarder]


@pytest.mark.parametrize(
    ("fill", "most"),
    [
        (heads_of_backends, HEADS_KEPT),
        (addresses_of_clients, CLIENTS_KEPT),
        (addresses_at_routes, CLIENTS_KEPT),
        (heads_of_backends_over_http2, KEPT),
        (names_of_fields, 512 * 1024),
        (hosts, 512 * 1024),
        (hosts_in_the_log, 512 * 1024),
        (a_busy_client, 32 * 1024),
    ],
)
def test_filled_by_a_hostile_peer_it_holds_no_more_bytes_than_it_says(fill: Callable[[], list[object]], most: int) -> None:
    """A tenth may be added for the containers themselves."""
    fill()  # what is made once: compiled patterns, caches of the interpreter
    tracemalloc.start()
    try:
        held = fill()
        taken = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert taken <= most * 1.1
    del held
