"""nginx as two backends: plain HTTP on loopback, cheap enough that the proxy in front is what is measured.

One nginx worker serves both addresses, which saves the load's core a process switch for every request. It keeps connections for
as long as the proxies want them, so that nobody pays for reconnecting.
"""

from __future__ import annotations

import http.client
import os
from functools import partial
from pathlib import Path

from bench.macro.errors import BenchError
from bench.macro.machine import Cores, pinned, require
from bench.macro.process import Program, free_port

# /upload: nginx reads the whole body before it asks the socket below (proxy_request_buffering), so its 204 proves that the body
# came; `return 204` alone would answer first and read later. X-Read tells how many bytes of request were read by then.
# /duties: what a backend sees of a request, for duties.py.
_CONFIG = """\
{user}
worker_processes 1;
daemon off;
pid {folder}/backends.pid;
error_log {folder}/backends.log warn;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u;
    scgi_temp_path {folder}/s;
    keepalive_timeout 1h; keepalive_requests 1000000000;
    sendfile on; tcp_nopush on; tcp_nodelay on; open_file_cache max=16;
    client_max_body_size 1m; client_body_buffer_size 128k;
    default_type text/plain;
    upstream sink {{ server unix:{folder}/sink.sock; keepalive 64; }}
    server {{ listen unix:{folder}/sink.sock; location / {{ return 204; }} }}
    server {{ listen 127.0.0.1:{status}; location / {{ stub_status; }} }}
    {servers}
}}
"""
_SERVER = """\
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        root {folder}/files;
        location = /tiny {{ return 200 "ok\\n"; }}
        location = /duties {{
            return 200 "backend={name}
for=$http_x_forwarded_for
proto=$http_x_forwarded_proto
real-ip=$http_x_real_ip
host=$http_host
nth=$connection_requests
";
        }}
        location = /upload {{
            proxy_pass http://sink; proxy_http_version 1.1; proxy_pass_request_body off; proxy_set_header Content-Length "";
            proxy_set_header Connection "";
            add_header X-Read $request_length;
        }}
    }}
"""


class Backends:
    """Two addresses on 127.0.0.1, called a and b in /duties."""

    def __init__(self, folder: Path, cores: Cores) -> None:
        """`folder` is empty and ours."""
        self.ports = (free_port(), free_port())
        self._status = free_port()
        files = folder / "files"
        files.mkdir()
        for name, size in (("1k", 1024), ("100k", 100 * 1024), ("16m", 16 * 1024 * 1024)):
            (files / name).write_bytes(os.urandom(size))
        servers = "".join(_SERVER.format(port=port, name=name, folder=folder) for name, port in zip("ab", self.ports, strict=True))
        config = folder / "backends.conf"
        config.write_text(_CONFIG.format(folder=folder, servers=servers, status=self._status, user=user_line()))
        command = [require("nginx", "the backends"), "-p", str(folder), "-e", str(folder / "backends.log"), "-c", str(config)]
        self._program = Program(
            "backends (nginx)", pinned(command, cores.load), stdout=folder / "backends.out", stderr=folder / "backends.err"
        )
        try:
            for port in self.ports:
                self._program.wait_until(partial(_answers, port))
        except BaseException:
            self._program.stop()
            raise

    def stop(self) -> None:
        self._program.stop()

    def requests(self) -> int:
        """How many requests they have begun to read since their start, this question included; an upload counts twice (sink)."""
        connection = http.client.HTTPConnection("127.0.0.1", self._status, timeout=10)
        try:
            connection.request("GET", "/")
            return parse_status(connection.getresponse().read().decode("ascii"))
        finally:
            connection.close()


def parse_status(text: str) -> int:
    """The third number below "server accepts handled requests" (ngx_http_stub_status_module)."""
    head, _, rest = text.partition("server accepts handled requests\n")
    if not head or not rest:
        raise BenchError(f"the backends' status: wanted stub_status, got {text[:200]!r}")
    return int(rest.split()[2])


def user_line() -> str:
    """Root's nginx would drop its worker to an account that may not read our folder; others cannot change accounts anyway."""
    return "user root;" if os.geteuid() == 0 else ""


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/tiny")
        return connection.getresponse().status == 200
    finally:
        connection.close()
