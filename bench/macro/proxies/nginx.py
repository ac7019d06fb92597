"""nginx."""

from __future__ import annotations

from bench.macro import steps
from bench.macro.backends import user_line
from bench.macro.cases import STORED
from bench.macro.machine import require
from bench.macro.site import KEPT, Recipe, Site

_CONFIG = """\
{module}
{user}
worker_processes {workers};
worker_rlimit_nofile 16384;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log warn;
events {{ worker_connections 8192; }}
http {{
    access_log {access} combined buffer=64k flush=1s;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u;
    scgi_temp_path {folder}/s;
    keepalive_timeout 300s; keepalive_requests 1000000000;
    tcp_nodelay on;
    client_max_body_size 0;
    http2_body_preread_size 128k;
    {stored}
    map $http_upgrade $upgrade_or_kept {{ default upgrade; '' ''; }}
    upstream pool {{
        {zone}least_conn;
        {servers}
        keepalive {kept}; keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{https} ssl http2 backlog=4096;
        listen 127.0.0.1:{http} backlog=4096;
        ssl_certificate {certificate.cert}; ssl_certificate_key {certificate.key};
        ssl_protocols TLSv1.2 TLSv1.3;
        {locations}
        location / {{
            {passed}
        }}
        {caching}
    }}
}}
"""
_HTTP1 = """proxy_pass {scheme}://pool;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $upgrade_or_kept;
            proxy_set_header Host $http_host;
            proxy_set_header X-Real-IP $remote_addr;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_read_timeout 300s;
            proxy_request_buffering off;
            proxy_buffers 8 32k; proxy_buffer_size 16k; proxy_busy_buffers_size 64k; proxy_max_temp_file_size 0;
            {verified}"""
# Speaks HTTP/2 to backends, whatever is asked for; one request at a time on each connection.
_HTTP2 = """grpc_pass grpc://pool;
            grpc_set_header Host $http_host;
            grpc_set_header X-Real-IP $remote_addr;
            grpc_set_header X-Forwarded-For $remote_addr;
            grpc_set_header X-Forwarded-Proto $scheme;
            grpc_read_timeout 300s;
            grpc_buffer_size 16k;"""
# 1.22 does not speak TLS 1.3 to backends unless told to; the other two do.
_VERIFIED = (
    "proxy_ssl_verify on; proxy_ssl_trusted_certificate {ca}; proxy_ssl_server_name on; proxy_ssl_name localhost;"
    " proxy_ssl_protocols TLSv1.2 TLSv1.3;"
)

# Whose files stay open: of itself it opens one for each hit.
_STORED = (
    "proxy_cache_path {folder}/stored levels=1:2 keys_zone=stored:16m max_size=256m inactive=1h use_temp_path=off;"
    " open_file_cache max=1000; sendfile on;"
)
# Each hit anew, at the level that the others use: what it stores is what came.
_COMPRESSING = "gzip on; gzip_types text/plain; gzip_vary on; gzip_proxied any; gzip_comp_level 6; gzip_min_length 1024;"


def _caching(site: Site, passed: str) -> str:
    if not site.cache:
        return ""
    return f"location {STORED}/ {{ {passed} proxy_cache stored; proxy_cache_lock on; {_COMPRESSING if site.compress else ''} }}"


def nginx(site: Site) -> Recipe:
    config = site.folder / "nginx.conf"
    verified = _VERIFIED.format(ca=site.backend_ca) if site.backend_ca else ""
    http1 = _HTTP1.format(scheme="https" if site.backend_ca else "http", verified=verified)
    passed = _HTTP2 if site.backend_http2 else http1
    config.write_text(
        _CONFIG.format(
            **site._asdict(),
            access=site.access_log,
            module=steps.nginx_module() if site.steps else "",
            locations=steps.nginx_locations(site.folder, passed) if site.steps else "",
            user=user_line(),
            # Counts that all workers share, without which each balances by itself; one worker needs none.
            stored=_STORED.format(folder=site.folder) if site.cache else "",
            caching=_caching(site, passed),
            zone="zone pool 256k; " if site.workers > 1 else "",
            servers=" ".join(f"server 127.0.0.1:{port};" for port in site.backends),
            kept=max(KEPT, 2 * len(site.backends)),
            passed=passed,
        )
    )
    binary = require("nginx", "a peer")
    return Recipe([binary, "-p", str(site.folder), "-e", str(site.folder / "nginx.log"), "-c", str(config)], {}, site.folder)
