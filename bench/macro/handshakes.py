"""The load generator for full TLS handshakes: a new connection and no session for every request.

wrk cannot do this: it offers the ticket of its last connection, and nginx then resumes (seen in $ssl_session_reused for all but
the first 8 of 1,629 connections), which saves the certificate and its signature. `openssl s_time -new` speaks only HTTP/1.0
without Host. So a Python process (`python -m bench.macro.handshakes PORT SECONDS`) does it, with threads: OpenSSL works outside
the interpreter's lock. It needs more CPU than the proxy, which therefore is not saturated in this case; its CPU per handshake is
measured all the same.
"""

from __future__ import annotations

import socket
import ssl
import sys
import threading
import time
from statistics import quantiles

from bench.macro.errors import BenchError

THREADS = 32
REQUEST = b"GET /tiny HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"


def command(port: int, seconds: int) -> list[str]:
    return [sys.executable, "-m", "bench.macro.handshakes", str(port), str(seconds)]


def figures(taken: list[float], seconds: float, errors: int) -> str:
    """The line that wrk.parse reads; `taken` are seconds from connect to the last byte."""
    cuts = quantiles(taken, n=100) if len(taken) > 1 else [0.0] * 99
    return (
        f"figures requests={len(taken)} bytes=0 microseconds={seconds * 1e6:.0f} p50={cuts[49] * 1e6:.0f} p99={cuts[98] * 1e6:.0f} "
        f"connect={errors} read=0 write=0 status=0 timeout=0"
    )


def _one(port: int, context: ssl.SSLContext) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as plain, context.wrap_socket(plain) as tls:
        if tls.session_reused:
            raise BenchError("a handshake was resumed, wanted all of them in full")
        tls.sendall(REQUEST)
        answer = b""
        while chunk := tls.recv(16384):
            answer += chunk
        if not answer.startswith(b"HTTP/1.1 200 ") or not answer.endswith(b"ok\n"):
            raise OSError(f"wanted 200 and ok, got {answer[:100]!r}")


def _loop(port: int, seconds: int) -> str:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # duties.py has verified the certificate
    taken: list[float] = []
    failed: list[OSError] = []
    refused: list[BenchError] = []
    start = time.perf_counter()

    def work() -> None:
        while not refused and (begun := time.perf_counter()) < start + seconds:
            try:
                _one(port, context)
                taken.append(time.perf_counter() - begun)
            except OSError as error:  # with ssl.SSLError below it
                failed.append(error)
            except BenchError as error:  # a thread has nobody to raise to
                refused.append(error)

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if refused:
        raise refused[0]
    return figures(taken, time.perf_counter() - start, len(failed))


if __name__ == "__main__":
    print(_loop(int(sys.argv[1]), int(sys.argv[2])))
