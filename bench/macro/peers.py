"""The proxies that are compared, each told to do the same duties with one worker (or more, see Site).

The duties: TLS with the same certificate and both protocol versions on, session tickets as they come by default, least
connections over two backends with kept connections, X-Real-IP and X-Forwarded-For/-Proto, an access line per request in a file.
Where a peer's default would make it look worse than it is (nginx spools large bodies to disk and writes each access line by
itself), it is given the setting that an informed operator would choose. Where not all can do a thing (active health checks: nginx
cannot), those who can do it by default do it.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from bench.macro import duties
from bench.macro.backends import user_line
from bench.macro.certificate import Files
from bench.macro.errors import BenchError
from bench.macro.machine import Cores, pinned, require, version
from bench.macro.process import Program, free_port
from lbproxy import compiled

REPOSITORY = Path(__file__).parents[2]
SUBJECT = "lbproxy"
PURE = "lbproxy-pure"


class Site(NamedTuple):
    """What a proxy is to serve, and where it may write."""

    folder: Path
    https: int
    http: int
    backends: tuple[int, int]
    certificate: Files
    access_log: Path
    workers: int = 1


class Recipe(NamedTuple):
    """How a proxy is started."""

    command: list[str]
    env: dict[str, str]
    cwd: Path


_NGINX = """\
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
    upstream pool {{
        least_conn;
        server 127.0.0.1:{backends[0]}; server 127.0.0.1:{backends[1]};
        keepalive 64; keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{https} ssl backlog=4096;
        listen 127.0.0.1:{http} backlog=4096;
        ssl_certificate {certificate.cert}; ssl_certificate_key {certificate.key};
        ssl_protocols TLSv1.2 TLSv1.3;
        location / {{
            proxy_pass http://pool;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Real-IP $remote_addr;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_request_buffering off;
            proxy_buffers 8 32k; proxy_buffer_size 16k; proxy_busy_buffers_size 64k; proxy_max_temp_file_size 0;
        }}
    }}
}}
"""


def nginx(site: Site) -> Recipe:
    config = site.folder / "nginx.conf"
    config.write_text(_NGINX.format(**site._asdict(), access=site.access_log, user=user_line()))
    binary = require("nginx", "a peer")
    return Recipe([binary, "-p", str(site.folder), "-e", str(site.folder / "nginx.log"), "-c", str(config)], {}, site.folder)


# The access log goes to standard output, which is a file: HAProxy has no other way to write one by itself.
_HAPROXY = """\
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
    timeout http-keep-alive 300s
frontend in
    bind 127.0.0.1:{https} ssl crt {certificate.both} backlog 4096
    bind 127.0.0.1:{http} backlog 4096
    http-request set-header X-Real-IP %[src]
    http-request set-header X-Forwarded-Proto https if {{ ssl_fc }}
    http-request set-header X-Forwarded-Proto http unless {{ ssl_fc }}
    default_backend pool
backend pool
    balance leastconn
    server a 127.0.0.1:{backends[0]} check inter 2s
    server b 127.0.0.1:{backends[1]} check inter 2s
"""


def haproxy(site: Site) -> Recipe:
    config = site.folder / "haproxy.cfg"
    config.write_text(_HAPROXY.format(**site._asdict()))
    return Recipe([require("haproxy", "a peer"), "-W", "-db", "-f", str(config)], {}, site.folder)


_LBPROXY = """\
[proxy]
workers = {workers}
[log]
access = "{access}"
[[listen]]
address = "127.0.0.1:{https}"
certificates = [{{ cert = "{certificate.cert}", key = "{certificate.key}" }}]
[[listen]]
address = "127.0.0.1:{http}"
[[route]]
pool = "pool"
[pool.pool]
balance = "least_conn"
backends = ["127.0.0.1:{backends[0]}", "127.0.0.1:{backends[1]}"]
[timeouts]
keepalive = "300s"
"""


def lbproxy(site: Site, source: Path = REPOSITORY) -> Recipe:
    """`source` is the folder that holds the package: this checkout, or another revision's tree."""
    config = site.folder / "lbproxy.toml"
    config.write_text(_LBPROXY.format(**site._asdict(), access=site.access_log))
    return Recipe([sys.executable, "-m", "lbproxy", "start", "-c", str(config)], {"PYTHONPATH": str(source)}, source)


def pure(site: Site) -> Recipe:
    """This checkout as plain Python, whatever is compiled."""
    recipe = lbproxy(site)
    return recipe._replace(env={**recipe.env, "LBPROXY_PURE": "1"})


def revision(name: str, folder: Path) -> Callable[[Site], Recipe]:
    """lbproxy as of another commit, run by this Python with this environment's libraries, and compiled if it can be.

    The tree is written below `folder`.
    """
    made = subprocess.run(["git", "-C", str(REPOSITORY), "archive", name], capture_output=True, check=False)
    if made.returncode != 0:
        raise BenchError(f"no lbproxy at revision {name!r}: {made.stderr.decode(errors='replace').strip()}")
    tree = folder / "tree"
    with tarfile.open(fileobj=io.BytesIO(made.stdout)) as archive:
        archive.extractall(tree, filter="data")
    if (tree / "setup.py").exists():
        subprocess.run([sys.executable, "-W", "ignore", "setup.py", "-q", "build_ext", "--inplace"], cwd=tree, check=True)
    return lambda site: lbproxy(site, tree)


class Peer:
    """A running proxy. Whoever makes it calls `stop`."""

    def __init__(
        self,
        name: str,
        make: Callable[[Site], Recipe],
        folder: Path,
        backends: tuple[int, int],
        certificate: Files,
        cores: Cores,
        workers: int = 1,
    ) -> None:
        """`folder` is empty and ours; returns once the proxy answers over TLS, BenchError when it does not."""
        self.name = name
        self.site = Site(folder, free_port(), free_port(), backends, certificate, folder / "access.log", workers)
        recipe = make(self.site)
        # For HAProxy standard output is the access log; the others keep silent there.
        stdout = self.site.access_log if name == "haproxy" else folder / "stdout"
        self._program = Program(
            name, pinned(recipe.command, cores.proxy), stdout=stdout, stderr=folder / "stderr", env=recipe.env, cwd=recipe.cwd
        )
        try:
            self._program.wait_until(lambda: duties.answers(self.site.https, certificate.cert))
        except BaseException:
            self._program.stop()
            raise

    @property
    def pid(self) -> int:
        return self._program.pid

    def stop(self) -> None:
        self._program.stop()


def maker(name: str, folder: Path) -> Callable[[Site], Recipe]:
    """nginx, haproxy, lbproxy, or lbproxy@REVISION (whose tree goes below `folder`)."""
    known: dict[str, Callable[[Site], Recipe]] = {"nginx": nginx, "haproxy": haproxy, SUBJECT: lbproxy, PURE: pure}
    if name in known:
        return known[name]
    base, at, rev = name.partition("@")
    if base == SUBJECT and at and rev:
        return revision(rev, folder)
    raise BenchError(f"unknown peer {name!r}: wanted {', '.join(known)} or {SUBJECT}@REVISION")


def about(name: str) -> str:
    """The version that stands in the report."""
    if name == "nginx":
        return version([require("nginx", "a peer"), "-v"]).removeprefix("nginx version: ")
    if name == "haproxy":
        return version([require("haproxy", "a peer"), "-v"])
    rev = name.partition("@")[2] or "HEAD"
    described = version(["git", "-C", str(REPOSITORY), "log", "-1", "--format=%h of %cs", rev])
    if rev == "HEAD":
        described += f", {'pure: asked for' if name == PURE else compiled.describe()}"
    if rev == "HEAD" and version(["git", "-C", str(REPOSITORY), "status", "--porcelain", "--", "lbproxy"]) != "unknown":
        described += ", with changes on top"
    return described
