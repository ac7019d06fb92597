"""The names of authorities in requests for clients' certificates, as OpenSSL's own client shows them."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from lbproxy.config.model import Address, ListenConfig, ListenTlsConfig
from lbproxy.tls import client_names
from lbproxy.tls.client_names import announce
from lbproxy.tls.showcase import server_context
from tests.support.tools import need
from tests.unit.tls.files import certificate, ec_key, pair, trusted, write


def shown(context: ssl.SSLContext, version: str, name: str) -> str:
    """What a client is told."""
    openssl = need("openssl")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)

        def serve() -> None:
            sock, _ = server.accept()
            with sock, suppress(OSError):
                context.wrap_socket(sock, server_side=True).close()

        thread = threading.Thread(target=serve)
        thread.start()
        port = server.getsockname()[1]
        command = [openssl, "s_client", "-connect", f"127.0.0.1:{port}", "-servername", name, version]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
        thread.join()
    return done.stdout.decode("utf-8", "replace")


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize("name", ["a.test", "b.test"])
def test_clients_are_told_whose_certificates_are_taken(tmp_path: Path, version: str, name: str) -> None:
    """All of the file's, whichever certificate is shown, in both versions."""
    ca = write(tmp_path / "ca.pem", certificate(ec_key(), common="First CA") + trusted(certificate(ec_key(), common="Second CA")))
    tls = ListenTlsConfig(client_ca=ca, client_auth="optional")
    server = server_context(ListenConfig(Address("127.0.0.1", 0), (pair(tmp_path, "a.test"), pair(tmp_path, "b.test")), tls))
    told = shown(server, version, name)
    assert "Acceptable client certificate CA names" in told
    assert "CN = First CA" in told or "CN=First CA" in told
    assert "CN = Second CA" in told or "CN=Second CA" in told


def test_where_it_cannot_be_done_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another build of Python, or of its OpenSSL; and what is no certificate is passed over."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    assert announce(context, [b"\x30\x00"])

    def hidden() -> None:
        raise AttributeError("SSL_CTX_add_client_CA")

    monkeypatch.setattr(client_names, "_library", hidden)
    assert not announce(context, [])
