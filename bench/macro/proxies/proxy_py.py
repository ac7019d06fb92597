"""proxy.py, the Python proxy that most people install: TLS in front, its reverse proxy plugin behind.

It is run with --threaded: in its default mode (threadless, 2.4.10) the second request on a kept connection ends the worker's loop
with FileNotFoundError. Everything that it does not do makes it cheaper than it would be with it, so its figures flatter it.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec

from bench.macro.errors import BenchError
from bench.macro.site import Recipe, Site

CASES = frozenset({"tiny", "browser", "1k", "100k"})
"""It has one kind of listener, and does not say Connection: close to whom it closes on."""
WAIVED = {
    "plain": "one port, with TLS",
    "least connections": "chooses at random",
    "kept backends": "a connection to a backend for each request",
    "access log": "a line for each connection, when it ends",
    "upload": "not asked for",
    "websocket": "not asked for",
    "http/2": "speaks HTTP/1.1 alone",
}

_PLUGIN = """\
from proxy.http import Url
from proxy.http.server import ReverseProxyBasePlugin
from random import choice

BACKENDS = {backends}


class Reverse(ReverseProxyBasePlugin):
    def routes(self):
        return ["/"]

    def before_routing(self, request):
        peer = self.client.addr[0].encode()
        request.add_header(b"X-Real-IP", peer)
        request.add_header(b"X-Forwarded-For", peer)
        request.add_header(b"X-Forwarded-Proto", b"https")
        return request

    def handle_route(self, request, pattern):
        return Url(scheme=b"http", hostname=b"127.0.0.1", port=choice(BACKENDS), remainder=request.path)
"""


def require_module() -> None:
    if find_spec("proxy") is None:
        raise BenchError("proxy.py is not installed (a peer); pip install proxy.py, or the bench extra")


def proxy_py(site: Site) -> Recipe:
    require_module()
    (site.folder / "reverse.py").write_text(_PLUGIN.format(backends=site.backends))
    options = {
        "--hostname": "127.0.0.1",
        "--port": str(site.https),
        "--num-workers": str(site.workers),
        "--num-acceptors": str(site.workers),
        "--cert-file": str(site.certificate.cert),
        "--key-file": str(site.certificate.key),
        "--plugins": "reverse.Reverse",
        "--timeout": "300",
        "--backlog": "4096",
        "--log-level": "INFO",
        "--log-file": str(site.access_log),
    }
    flags = ["--threaded", "--enable-reverse-proxy", "--disable-http-proxy"]
    command = [sys.executable, "-m", "proxy", *flags, *(word for option in options.items() for word in option)]
    return Recipe(command, {"PYTHONPATH": str(site.folder)}, site.folder)
