"""Whom clients and backends are judged by changes with its files, while everybody is served: no reload, no request lost."""

from __future__ import annotations

import shutil
import socket
import ssl
from pathlib import Path
from typing import Any

from tests.conftest import Stage
from tests.support.backends import Server
from tests.support.load import Load, faults_in
from tests.support.ports import free_port
from tests.support.process import LbProxy
from tests.support.tools import need
from tests.support.waiting import eventually
from tests.support.wire import Client
from tests.unit.tls.handshakes import Issuer


def nginx(folder: Path, shown: tuple[Path, Path], authorities: Path) -> Server:
    """Tells who has signed the certificate that it was shown."""
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(f"""
        daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx-error.log;
        events {{}}
        http {{
            access_log off;
            server {{
                listen 127.0.0.1:{port} ssl;
                ssl_certificate {shown[0]}; ssl_certificate_key {shown[1]};
                ssl_client_certificate {authorities}; ssl_verify_client on; ssl_verify_depth 1;
                keepalive_requests 1000000;
                location / {{ return 200 "$ssl_client_i_dn"; }}
            }}
        }}
    """)
    return Server([need("nginx"), "-c", str(config), "-e", f"{folder}/nginx-error.log"], port, folder)


def let_in(proxy: LbProxy, context: ssl.SSLContext, session: ssl.SSLSession | None = None) -> ssl.SSLSession | None:
    """To the closed name; the session that it may come back with, None: it is not let in."""
    try:
        with context.wrap_socket(
            socket.create_connection(("127.0.0.1", proxy.port()), 60), server_hostname="closed.test", session=session
        ) as tls:
            tls.sendall(b"GET / HTTP/1.1\r\nHost: closed.test\r\nConnection: close\r\n\r\n")
            heard = tls.recv(65536)
            return tls.session if heard.startswith(b"HTTP/1.1 200 ") else None
    except (ssl.SSLError, ConnectionError):
        return None


def told(proxy: LbProxy) -> str:
    """By nginx, of the connection that a request went over."""
    with Client(proxy.port(), context=ssl._create_unverified_context(), name="localhost") as client:
        return client.request("GET", "/", [("Host", "localhost")]).body.decode()


def test_files_change_under_load(stage: Stage) -> None:
    """A client that is revoked comes in no more, by its ticket neither. The pool's certificate and authorities are swapped: the
    backend sees the new one, no request fails, no worker is replaced. With an authority that is not the backend's, checks find it
    down, with a reason that says so."""
    folder = stage.directory
    clients, old, new = (Issuer(folder, name) for name in ("clients", "old", "new"))
    both, ca = folder / "both.pem", folder / "pool-ca.pem"
    both.write_bytes(old.file.read_bytes() + new.file.read_bytes())
    shutil.copy(old.file, ca)
    cert, key = folder / "pool.crt", folder / "pool.key"
    for source, target in zip(old.issue("lbproxy"), (cert, key), strict=True):
        shutil.copy(source, target)
    backend = stage.server(nginx(folder, old.issue("app.internal"), both))
    me = clients.issue("me.test")
    config: dict[str, Any] = stage.config(f"127.0.0.1:{backend.port}", workers=2)
    config["listen"][0]["certificates"] = [stage.authority.issue("localhost", "closed.test")]
    lists = {"client_ca": str(clients.file), "client_crl": str(clients.write_list())}
    config["listen"][0]["tls"] = {"name": [{"names": ["closed.test"], "client_auth": "required", **lists}]}
    config["pool"]["app"] |= {
        "tls": {"ca": str(ca), "server_name": "app.internal", "cert": str(cert), "key": str(key)},
        "health": {"type": "http", "timeout": "30s", "fall": 1, "interval": "0.2s", "fast_interval": "0.2s"},
    }
    proxy = stage.run(config)
    proxy.wait_up(f"127.0.0.1:{backend.port}")
    pids = proxy.wait_workers(2)
    visitor = ssl.create_default_context(cafile=str(stage.authority.file))
    visitor.load_cert_chain(*me)
    session = let_in(proxy, visitor)
    assert session is not None
    assert told(proxy) == "CN=old"
    with Load(proxy.port(), stage.authority.file, connections=4, target="/") as load:
        clients.revoke(me[0])
        clients.write_list()
        shutil.copy(both, ca)
        for source, target in zip(new.issue("lbproxy"), (cert, key), strict=True):
            shutil.copy(source, target)
        proxy.wait_event("trust.renewed", pool="app")
        proxy.wait_event("certificate.renewed", pool="app")
        eventually(lambda: all(told(proxy) == "CN=new" for _ in range(6)), "backends are shown the new certificate")
        eventually(lambda: all(let_in(proxy, visitor, session) is None for _ in range(6)), "who is revoked is not let in")
        assert faults_in(load.stop()) == {}
    assert let_in(proxy, visitor) is None
    assert proxy.events("backend.down") == []
    shutil.copy(new.file, ca)
    assert "signed by nobody who is trusted" in proxy.wait_event("backend.down")["why"]
    assert proxy.wait_workers(2) == pids
