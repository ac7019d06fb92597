"""nginx as the backends, on loopback and cheap enough that the proxy in front is what is measured.

One nginx worker serves all addresses, which saves the load's core a process switch for every request. It keeps connections for
as long as the proxies want them, so that nobody pays for reconnecting.
"""

from __future__ import annotations

import http.client
import os
import socket
import sys
from functools import partial
from pathlib import Path

from bench.macro.cases import GRPC_BUSY_PATH, GRPC_MESSAGE, GRPC_PATH, STORED, Setup
from bench.macro.certificate import Files
from bench.macro.errors import BenchError
from bench.macro.machine import Cores, pinned, require
from bench.macro.process import Program, free_ports
from bench.macro.steps import DENIED, icap_command

REPOSITORY = Path(__file__).parents[2]

# /upload: nginx reads the whole body before it asks the socket below (proxy_request_buffering), so its 204 proves that the body
# came; `return 204` alone would answer first and read later. X-Read tells how many bytes of request were read by then.
# /duties: what a backend sees of a request, for duties.py. /slow: an answer that stays under way for seconds. /stored/nth and
# /stored/fresh: an answer that is another one each time it is asked for; the first may be stored.
# Who speaks HTTP/2 to them without TLS speaks nothing else (nginx 1.22). /bench.Echo/Unary: gRPC, by grpcio (grpc_echo.py);
# /bench.Echo/Busy: the same answer by nginx, after the whole request as with /upload.
# /ws: WebSockets are echoed by a process behind it (echo.py), which nginx cannot do itself.
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
    upstream message {{ server unix:{folder}/message.sock; keepalive 256; }}
    server {{ listen unix:{folder}/message.sock; default_type application/grpc; location / {{ return 200 "{message}"; }} }}
    upstream grpc {{ server unix:{folder}/grpc.sock; keepalive 256; }}
    upstream echo {{ server unix:{folder}/echo.sock; }}
    server {{ listen 127.0.0.1:{status}; location / {{ stub_status; }} }}
    {servers}
}}
"""
_SERVER = """\
    server {{
        listen 127.0.0.1:{port}{spoken} backlog=4096;
        root {folder}/files;
        location = /tiny {{ return 200 "ok\\n"; }}
        location = /duties {{
            return 200 "backend={name}
for=$http_x_forwarded_for
proto=$http_x_forwarded_proto
real-ip=$http_x_real_ip
host=$http_host
nth=$connection_requests
tls=$ssl_protocol
http=$server_protocol
";
        }}
        location /step/ {{ return 200 "ok\n"; }}
        location /step/large/ {{ rewrite ^ /100k break; }}
        location = /auth {{ if ($http_cookie = "{denied}") {{ return 401; }} return 204; }}
        location {stored}/ {{ alias {folder}/files/; add_header Cache-Control "public, max-age=86400"; }}
        location = {stored}/nth {{
            add_header Cache-Control "public, max-age=86400"; add_header ETag '"it"';
            return 200 $request_id;
        }}
        location = {stored}/fresh {{ return 200 $request_id; }}
        location = /slow {{ alias {folder}/files/100k; limit_rate 8k; add_header X-Backend {name}; }}
        location = /ws {{
            proxy_pass http://echo; proxy_http_version 1.1; proxy_read_timeout 1h;
            proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $http_connection;
        }}
        location = {grpc_path} {{ grpc_pass grpc://grpc; }}
        location = {busy_path} {{
            proxy_pass http://message; proxy_http_version 1.1; proxy_pass_request_body off; proxy_set_header Content-Length "";
            proxy_set_header Connection "";
            add_trailer grpc-status 0;
        }}
        location = /upload {{
            proxy_pass http://sink; proxy_http_version 1.1; proxy_pass_request_body off; proxy_set_header Content-Length "";
            proxy_set_header Connection "";
            add_header X-Read $request_length;
        }}
    }}
"""


class Backends:
    """Addresses on 127.0.0.1, called s0, s1 and so on in /duties.

    There are two more, s0 and s1 once again, that speak HTTP/2; and, with a certificate, two that speak TLS.
    """

    def __init__(
        self, folder: Path, cores: Cores, certificate: Files | None = None, *, count: int = 2, echo: bool = True,
        grpc: bool = False, icap: bool = False,
    ) -> None:  # fmt: skip
        """`folder` is empty and ours. `echo`: /ws answers; `grpc`: calls of gRPC are answered; `icap`: there is such a server."""
        self._folder = folder
        self._status, *self.all = free_ports(1 + count)
        self.ports = (self.all[0], self.all[1])
        self.grpc = grpc
        self.icap = free_ports(1)[0] if icap else 0
        """The port of the ICAP server; 0: there is none."""
        self.http2_ports = tuple(free_ports(2))
        self.tls_ports = tuple(free_ports(2)) if certificate else ()
        files = folder / "files"
        files.mkdir()
        for name, size in (("1k", 1024), ("100k", 100 * 1024), ("16m", 16 * 1024 * 1024)):
            (files / name).write_bytes(os.urandom(size))

        lines = (f"<p>{number}: the quick brown fox jumps over {number * number} lazy dogs</p>\n" for number in range(10_000))
        (files / "text").write_text("".join(lines)[: 100 * 1024])

        def server(number: int, port: int, spoken: str = "") -> str:
            return _SERVER.format(
                port=port, spoken=spoken, name=f"s{number}", folder=folder, grpc_path=GRPC_PATH, busy_path=GRPC_BUSY_PATH,
                denied=DENIED, stored=STORED,
            )  # fmt: skip

        servers = [server(number, port) for number, port in enumerate(self.all)]
        servers += [server(number, port, " http2") for number, port in enumerate(self.http2_ports)]
        if certificate:
            servers.append(f"ssl_certificate {certificate.cert}; ssl_certificate_key {certificate.key};")
            servers.append("ssl_protocols TLSv1.2 TLSv1.3;")
            servers += [server(number, port, " ssl") for number, port in enumerate(self.tls_ports)]
        config = folder / "backends.conf"
        message = GRPC_MESSAGE.decode("ascii")
        config.write_text(
            _CONFIG.format(folder=folder, servers="\n".join(servers), status=self._status, user=user_line(), message=message)
        )
        command = [require("nginx", "the backends"), "-p", str(folder), "-e", str(folder / "backends.log"), "-c", str(config)]
        self._programs = [self._start("backends (nginx)", command, cores)]
        try:
            for port in self.all:
                self._programs[0].wait_until(partial(_answers, port))
            if echo:
                sockets = [str(folder / "echo.sock"), str(folder / "echo-count.sock")]
                self._programs.append(self._start("echo", [sys.executable, "-m", "bench.macro.echo", *sockets], cores))
                self._programs[-1].wait_until(lambda: self.messages() == 0)
            if grpc:
                path = folder / "grpc.sock"
                self._programs.append(self._start("grpc", [sys.executable, "-m", "bench.macro.grpc_echo", str(path)], cores))
                self._programs[-1].wait_until(partial(_accepts, path))
            if icap:
                self._programs.append(self._start("icap", icap_command(folder, self.icap), cores))
                self._programs[-1].wait_until(partial(_listens, self.icap))
        except BaseException:
            self.stop()
            raise

    def _start(self, name: str, command: list[str], cores: Cores) -> Program:
        output = self._folder / name.split()[0]
        return Program(
            name, pinned(command, cores.load), stdout=output.with_suffix(".out"), stderr=output.with_suffix(".err"), cwd=REPOSITORY
        )

    def stop(self) -> None:
        for program in self._programs:
            program.stop()

    def ports_for(self, setup: Setup) -> tuple[int, ...]:
        """Those that the proxies of a setup are to ask."""
        if setup.backend_tls:
            return self.tls_ports
        return self.http2_ports if setup.backend_http2 else tuple(self.all[: setup.backends])

    def messages(self) -> int:
        """How many WebSocket messages have been sent back since the start."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(str(self._folder / "echo-count.sock"))
            return int(connection.recv(64))

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


def _accepts(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
    return True


def _listens(port: int) -> bool:
    socket.create_connection(("127.0.0.1", port), timeout=2).close()
    return True


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/tiny")
        return connection.getresponse().status == 200
    finally:
        connection.close()
