"""lbproxy: a TLS-terminating, load-balancing reverse proxy.

How a request travels through the folders below::

    net/listener     accepts on the shared socket, one connection per wake-up
    net/tls_stream   handshake and records; net/tcp_stream for plain listeners; net/deadlines cuts who is late,
                     net/arrivals keeps to the order of coming, net/work_budget lets those who bring much wait a moment;
                     below them net/tls_engine (TLS by Python's ssl) and net/wire (system calls, and TLS by ssl's own OpenSSL
                     where that is compiled)
    proxy/client     reads heads off a client's stream, one request after another; proxy/h2/connection does so for HTTP/2, over
                     http/h2 (frames by libnghttp2), with a greenlet for each request under way
    http/            decides: what the bytes mean, where a body ends, what is refused, what is forwarded
    proxy/router     host, path and more -> destination: the pool, or what else, and what the route wants (proxy/destination);
                     proxy/route_index finds one of thousands, proxy/split shares out, proxy/route_answer answers itself
    balance/         pool -> backend: least connections over the shared ledger; the lease counts until the last byte
    proxy/exchange   one request's journey, which knows no protocol: route, steps (proxy/steps), tries, line in the log
    proxy/icap       asks servers that look at messages, over http/icap
    proxy/tries      lease, connection (proxy/connect), send, answer; elsewhere when that is safe
    proxy/downstream whoever asked, and where the answer goes (proxy/sink): h1_downstream; proxy/request_body what it sends
    proxy/upstream   a connection to a backend, which returns its answer: h1_upstream; idle ones in proxy/upstream_pool
    proxy/relay      bodies from one to the other, a piece at a time; proxy/tunnel: bytes both ways after a 101; proxy/buffered
                     and proxy/spool: bodies that a pool wants whole, in memory and net/scratch, a file that a thread writes
    observe/access   one line for the log

Around it::

    master/   binds, loads certificates, forks generations of workers and, through a forker, control (which must not have the
              master's memory), reaps, respawns, reloads, answers the control socket; loads what its children run and
              never runs gevent's loop itself, never parses client bytes
    worker/   accepts (accept/) and proxies (one gevent loop each), drains; wiring/ makes its objects from the configuration
    control/  probes backends for the whole machine, serves metrics
    acme/     obtains certificates from authorities, in a process of its own; what it got stands in files (master/resources)
              that the watch over certificates shows
    demo/     the first minutes: `quick` without a file, throw-away backends
    ipc/      the pipes between them: small frames of a fixed schema
    config/   TOML -> typed values; each key is declared once, in config/model
    tls/      contexts, SNI, key-file checks; keys of tickets. Renewed files are seen by a process of their own (master/files),
              taken over by master/watches and shown by tls/showcase.py, one in each worker; so are those by which others are
              judged, and what backends are shown (master/watches/trust.py)
    health/   rise and fall
    names/    backends' DNS names to addresses: control asks (control/name_watch.py), the master gives new ones their slots
              (master/names/updates.py), workers follow without a reload (worker/wiring/relocation.py)
    sandbox/  walls around workers and control: what the kernel refuses them, whoever runs in them
    net/tap_* what was decrypted, as packets for an intrusion detection system: one process for all workers (master/tap/taps.py)
    waf/      rules that look for attacks, by libmodsecurity: in processes of their own (master/inspection), never in a worker
    filter/   who may come in, and how often: networks, rates and counts per client over all processes
    cache/    stored answers in memory that all workers share; http/caching says what may be stored, and for whom
    audit/    the dangers of a configuration that is accepted: checks in tables, reports
    prelude/  what stands in front of TLS or HTTP: PROXY headers both ways, hellos that are not answered here

A reload (master/fleet/fleet.py decides, master/main.py acts): the file is read and compared (config/plan.py), what it needs is
opened (master/resources/prepare.py), a generation of children is forked, and when all its workers are Ready they accept and the
older ones drain (worker/drain.py).

Imports point only down: 4 cli; 3 master, worker, control, acme, demo; 2 proxy, net, tls, names.lookup, observe.log,
observe.outlet, observe.standard, observe.process, observe.snapshot, ipc.pipe, ipc.uplink, ipc.master_link, ipc.handover,
cache.lock, sandbox, waf; 1 (pure: no socket, clock, randomness, logging) http, balance, health, filter, prelude, audit, cache,
names, config, acme.schedule, acme.order_states, acme.record, ipc.messages, ipc.codec, ipc.strict_json, waf.messages,
waf.rules_text, waf.arguments, waf.overridden, waf.phases, observe.access, observe.metrics, observe.cache_names,
observe.cache_totals, observe.waf_totals, observe.mirror_totals, observe.packets, observe.pcap, observe.tap_facts, observe.tapped;
0 errors, streams, remembered, compiled, and of config what keys are declared with: atoms, certificate_patterns, header_values,
key, kinds, model, route_values, units, values, vocabulary; below them globs, regex, coders and cells.
Folders on one floor do not know each other.

The modules that a request runs through are compiled where that can be done (compiled.py), from the same files.
"""

__version__ = "0.1.0"

from lbproxy import compiled

compiled.install()
