"""HAProxy."""

from __future__ import annotations

from bench.macro.machine import require
from bench.macro.site import Recipe, Site

# The access log goes to standard output, which is a file: HAProxy has no other way to write one by itself.
_CONFIG = """\
global
    log stdout format raw daemon
    nbthread {workers}
    maxconn 8000
    ssl-default-bind-options ssl-min-ver TLSv1.2
defaults
    mode http
    log global
    option httplog
    option forwardfor
    http-reuse always
    timeout connect 4s
    timeout client 300s
    timeout server 300s
    timeout tunnel 300s
    timeout http-keep-alive 300s
{stored}frontend in
    bind 127.0.0.1:{https} ssl crt {certificate.both} alpn h2,http/1.1 backlog 4096
    bind 127.0.0.1:{http} backlog 4096
    http-request set-header X-Real-IP %[src]
    http-request set-header X-Forwarded-Proto https if {{ ssl_fc }}
    http-request set-header X-Forwarded-Proto http unless {{ ssl_fc }}
    default_backend pool
backend pool
    balance leastconn
{caching}{servers}
"""
_STORED = """\
cache stored
    total-max-size 64
    max-object-size 1000000
    max-age 86400
"""
_CACHING = """\
    http-request cache-use stored
    http-response cache-store stored
"""
# Each hit anew: what it stores is what came.
_COMPRESSING = """\
    filter cache stored
    filter compression
    compression algo gzip
    compression type text/plain
"""


def haproxy(site: Site) -> Recipe:
    # Checks stay plain connects when requests go over TLS, as lbproxy's do.
    verified = f" ssl verify required ca-file {site.backend_ca} sni str(localhost) no-check-ssl" if site.backend_ca else ""
    spoken = verified + (" proto h2" if site.backend_http2 else "")
    servers = "\n".join(
        f"    server s{number} 127.0.0.1:{port} check inter 2s{spoken}" for number, port in enumerate(site.backends)
    )
    config = site.folder / "haproxy.cfg"
    told = {"stored": _STORED, "caching": _CACHING} if site.cache else {"stored": "", "caching": ""}
    if site.compress:
        told["caching"] += _COMPRESSING
    config.write_text(_CONFIG.format(**site._asdict(), servers=servers, **told))
    command = [require("haproxy", "a peer"), "-W", "-db", "-f", str(config)]
    return Recipe(command, {}, site.folder, log_is_stdout=True)
