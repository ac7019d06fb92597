"""How each proxy is told to check, to time out and to try again: equal figures where they have the same knob.

    a connect or an answer's head     at most LATE seconds
    checks (HAProxy, lbproxy)         GET /health each second, half a second while turning; 3 to fall, 2 to rise, 500 ms at most
    what traffic tells (nginx, lbproxy)    after some failures out for AWAY seconds; lbproxy's default is 30 s, nginx's is 10 s
    GET                               may be tried once more, at another backend, after whatever went wrong before its answer began
    POST                              only if nothing was sent

nginx (the free one) has no checks; three failures within AWAY seconds take a backend out. HAProxy would send POST twice with
`retry-on all-retryable-errors` alone: its manual advises to exclude what is not idempotent, which is done here.

Where the backends have a name (Zone), every proxy asks for it again each second, about, which is its time to live. The free nginx
before 1.27.3 asks again only for a name in a variable: without an upstream block it has neither least connections, nor kept
connections to backends, nor a memory of failures. That is how its users do it, and what is measured.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from bench.faults.names import Zone
from bench.macro import peers
from bench.macro.backends import user_line
from bench.macro.site import Recipe, Site

WORKERS = 4
LATE = 1
AWAY = 2

_NGINX = """\
{user}
worker_processes {workers};
worker_rlimit_nofile 16384;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log crit;
events {{ worker_connections 4096; }}
http {{
    log_format faults '$msec $request_time $request_method $status $upstream_addr';
    access_log {access_log} faults;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u;
    scgi_temp_path {folder}/s;
    keepalive_timeout 300s; keepalive_requests 1000000000;
    {servers}
    server {{
        listen 127.0.0.1:{https} ssl backlog=4096;
        listen 127.0.0.1:{http} backlog=4096;
        ssl_certificate {certificate.cert}; ssl_certificate_key {certificate.key};
        location / {{
            proxy_pass http://{target};
            proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_connect_timeout {late}s; proxy_read_timeout {late}s; proxy_send_timeout {late}s;
            proxy_next_upstream error timeout http_500 http_502 http_503 http_504; proxy_next_upstream_tries 2;
        }}
    }}
}}
"""
_NGINX_POOL = """\
upstream pool {{
        zone pool 256k; least_conn;
        {servers}
        keepalive 64; keepalive_requests 1000000000;
    }}"""
_HAPROXY = """\
global
    log stdout format raw daemon
    nbthread {workers}
    maxconn 4000
defaults
    mode http
    log global
    log-format "%tr %Ta %HM %ST %s %si:%sp %rc"
    http-reuse always
    timeout connect {late}s
    timeout server {late}s
    timeout client 300s
    timeout http-keep-alive 300s
    timeout check 500ms
    retries 2
    option redispatch 1
    retry-on all-retryable-errors
frontend in
    bind 127.0.0.1:{https} ssl crt {certificate.both} backlog 4096
    bind 127.0.0.1:{http} backlog 4096
    default_backend pool
backend pool
    balance leastconn
    option httpchk GET /health
    http-request disable-l7-retry if METH_POST
    default-server check inter 1s fastinter 500ms downinter 1s fall 3 rise 2
{servers}
"""
_HAPROXY_NAMES = """\
    server-template app {zone.backends} {zone.name}:{zone.port} resolvers names resolve-prefer ipv4 init-addr none
resolvers names
    nameserver one {zone.server}
    timeout resolve 1s
    timeout retry 1s
    hold valid 1s
"""
_LBPROXY = """\
[proxy]
workers = {workers}
{resolvers}
[log]
access = "{access_log}"
[[listen]]
address = "127.0.0.1:{https}"
certificates = [{{ cert = "{certificate.cert}", key = "{certificate.key}" }}]
[[listen]]
address = "127.0.0.1:{http}"
[[route]]
pool = "pool"
[pool.pool]
backends = [{servers}]
[pool.pool.health]
type = "http"
path = "/health"
interval = "1s"
fast_interval = "500ms"
down_interval = "1s"
timeout = "500ms"
[pool.pool.outlier]
ejection = "{away}s"
longest = "{away}s"
[timeouts]
connect = "{late}s"
response_head = "{late}s"
keepalive = "300s"
"""


def _nginx(site: Site, zone: Zone | None) -> tuple[str, str]:
    if zone is not None:
        # Names no longer known than their time to live; what has expired is asked for by the next request, which waits.
        servers = f'resolver {zone.server} valid=1s ipv6=off;\n    map "" $app {{ default {zone.name}:{zone.port}; }}'
        target = "$app"
    else:
        each = (f"server 127.0.0.1:{port} max_fails=3 fail_timeout={AWAY}s;" for port in site.backends)
        servers, target = _NGINX_POOL.format(servers=" ".join(each)), "pool"
    return "nginx.conf", _told(_NGINX, site, servers=servers, target=target)


def _haproxy(site: Site, zone: Zone | None) -> tuple[str, str]:
    fixed = (f"    server s{number} 127.0.0.1:{port}" for number, port in enumerate(site.backends))
    return "haproxy.cfg", _told(_HAPROXY, site, servers=_HAPROXY_NAMES.format(zone=zone) if zone else "\n".join(fixed))


def _lbproxy(site: Site, zone: Zone | None) -> tuple[str, str]:
    backends = [f"{zone.name}:{zone.port}"] if zone else [f"127.0.0.1:{port}" for port in site.backends]
    resolvers = f'resolvers = ["{zone.server}"]' if zone else ""
    return "lbproxy.toml", _told(_LBPROXY, site, servers=", ".join(f'"{each}"' for each in backends), resolvers=resolvers)


def _told(config: str, site: Site, **more: str) -> str:
    return config.format(**site._asdict(), user=user_line(), late=LATE, away=AWAY, **more)


class Maker(Protocol):
    """Like bench.macro.peers.Maker."""

    def __call__(self, site: Site, zone: Zone | None = None) -> Recipe:
        """`zone`: the name that it is to ask for, instead of the site's backends."""
        ...


def maker(name: str, folder: Path) -> Maker:
    """The command that bench.macro starts a proxy with, and a configuration of ours; `folder`: see bench.macro.peers.maker."""
    start = peers.maker(name, folder)
    write = {"nginx": _nginx, "haproxy": _haproxy}.get(name, _lbproxy)

    def make(site: Site, zone: Zone | None = None) -> Recipe:
        recipe = start(site)
        file, text = write(site, zone)
        (site.folder / file).write_text(text)
        return recipe

    return make
