"""Clients and backends prove who they are: curl to lbproxy, which wants a certificate, to nginx, which wants one of lbproxy."""

from __future__ import annotations

import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography import x509

from tests.conftest import Stage
from tests.support.backends import Server
from tests.support.ports import free_port
from tests.support.process import LbProxy
from tests.support.tools import need
from tests.unit.tls.handshakes import Issuer

SPIFFE = "spiffe://example.org/ns/a/sa/web"


class Site(NamedTuple):
    proxy: LbProxy
    clients: Issuer
    folder: Path
    root: Path
    revoked: tuple[Path, Path]


def nginx(folder: Path, issuer: Issuer) -> Server:
    """Shows what it was sent of the client's certificate, to who shows one of the issuer's."""
    port = free_port()
    cert, key = issuer.issue("app.internal")
    config = folder / "nginx.conf"
    config.write_text(f"""
        daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx-error.log;
        events {{}}
        http {{
            access_log off;
            server {{
                listen 127.0.0.1:{port} ssl;
                ssl_certificate {cert}; ssl_certificate_key {key};
                set $told $http_x_client_cert_cn;
                ssl_client_certificate {issuer.file}; ssl_verify_client on; ssl_session_cache shared:x:1m;
                location / {{
                    return 200 "$ssl_client_verify $ssl_session_reused|$http_x_verify|$http_x_uri|$http_x_dns|$told";
                }}
            }}
        }}
    """)
    return Server([need("nginx"), "-c", str(config), "-e", f"{folder}/nginx-error.log"], port, folder)


@pytest.fixture(scope="module")
def site(standing: Stage, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Everybody may come in at open.test, who shows a good certificate at closed.test, and one named so below /web."""
    folder = tmp_path_factory.mktemp("mutual")
    clients, inside = Issuer(folder, "clients"), Issuer(folder, "inside")
    backend = standing.server(nginx(folder, inside))
    cert, key = inside.issue("lbproxy")
    revoked = clients.issue("gone.test")
    clients.revoke(revoked[0])
    certificate = standing.authority.issue("open.test", "closed.test", "localhost")
    closed = {
        "names": ["closed.test"], "client_ca": str(clients.file), "client_auth": "required",
        "client_crl": str(clients.write_list()),
    }  # fmt: skip
    told = {"set": {"X-Verify": "{client_verify}", "X-Uri": "{client_san_uri}", "X-Dns": "{client_san_dns}"}}
    config: dict[str, Any] = {
        "listen": [{"address": f"127.0.0.1:{free_port()}", "certificates": [certificate], "tls": {"name": [closed]}}],
        "proxy": {"workers": 1},
        "route": [
            {"path": "/web", "pool": "app", "client_certificate": {"spiffe": ["spiffe://example.org/ns/*/sa/web"]}},
            {"pool": "app", "request_headers": told},
        ],
        "pool": {"app": {
            "backends": [f"127.0.0.1:{backend.port}"], "connections": {"idle": 0},
            "tls": {"ca": str(inside.file), "server_name": "app.internal", "cert": str(cert), "key": str(key)},
        }},
        "metrics": {"address": f"127.0.0.1:{free_port()}"},
    }  # fmt: skip
    proxy = standing.run(config)
    proxy.wait_up(f"127.0.0.1:{backend.port}")
    return Site(proxy, clients, folder, standing.authority.file, revoked)


def curl(site: Site, name: str, path: str = "/", shown: tuple[Path, Path] | None = None, *more: str) -> tuple[int, str]:
    """The status, 0 where there was none, and the answer."""
    port = site.proxy.port()
    command = [
        need("curl"), "--silent", "--noproxy", "*", "--cacert", str(site.root), "--max-time", "60",
        "--connect-to", f"{name}:443:127.0.0.1:{port}", "--write-out", "\n%{http_code}", f"https://{name}{path}", *more,
    ]  # fmt: skip
    if shown is not None:
        command += ["--cert", str(shown[0]), "--key", str(shown[1])]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    body, _, status = ended.stdout.rpartition("\n")
    return int(status), body


def test_good_ones_and_what_backends_hear(site: Site) -> None:
    """Verified facts, and nothing that the client says of itself; nginx has verified lbproxy."""
    shown = site.clients.issue("me.test", x509.UniformResourceIdentifier(SPIFFE))
    forged = ("-H", "X-Verify: SUCCESS", "-H", "X_Uri: forged", "-H", "x-client-cert-cn: root")
    status, body = curl(site, "closed.test", "/", shown, *forged)
    assert status == 200
    assert body.startswith("SUCCESS ")
    assert body.split("|")[1:] == ["SUCCESS", SPIFFE, "me.test", ""]
    status, body = curl(site, "open.test", "/", shown, *forged)
    assert (status, body.split("|")[1:]) == (200, ["NONE", "", "", ""])


@pytest.mark.parametrize("http", ["--http1.1", "--http2"])
def test_bad_ones(site: Site, http: str) -> None:
    """Absent, expired, revoked, of another authority: nobody comes in."""
    strangers = Issuer(site.folder, f"strangers{http}")
    late = site.clients.issue("late.test", end=timedelta(minutes=-1))
    for shown in (None, late, site.revoked, strangers.issue("me.test")):
        assert curl(site, "closed.test", "/", shown, http)[0] == 0
    assert curl(site, "closed.test", "/", site.clients.issue("me.test"), http)[0] == 200


def test_names_in_certificates_by_route(site: Site) -> None:
    """Who is named may come in; others get 403, with a word of its own in the log."""
    named = site.clients.issue(x509.UniformResourceIdentifier(SPIFFE))
    other = site.clients.issue(x509.UniformResourceIdentifier("spiffe://example.org/ns/a/sa/b/sa/web"))
    assert curl(site, "closed.test", "/web", named)[0] == 200
    assert curl(site, "closed.test", "/web", other)[0] == 403
    assert curl(site, "open.test", "/web")[0] == 403
    assert site.proxy.wait_access(reason="client_certificate_denied")
    assert site.proxy.wait_access(reason="client_certificate_missing")


@pytest.mark.parametrize("http", ["--http1.1", "--http2"])
def test_another_host_than_the_one_in_the_handshake(site: Site, http: str) -> None:
    """421, and no backend hears of it; over HTTP/2 on a connection that served its own host a moment before."""
    assert curl(site, "open.test", "/", None, http, "-H", "Host: closed.test")[0] == 421
    assert curl(site, "closed.test", "/", site.clients.issue("me.test"), http, "-H", "Host: open.test")[0] == 421
    assert curl(site, "open.test", "/", None, http, "-H", "Host: elsewhere.test")[0] == 200
    assert site.proxy.wait_access(reason="misdirected_request")


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssl_brings_a_ticket_of_an_open_name_to_a_closed_one(site: Site, version: str) -> None:
    """It is resumed at the open one, and no way in at the closed one."""
    kept = str(site.folder / f"ticket{version}")
    assert "New, " in s_client(site, "open.test", version, "-sess_out", kept)
    assert "Reused, " in s_client(site, "open.test", version, "-sess_in", kept)
    closed = s_client(site, "closed.test", version, "-sess_in", kept)
    assert "Reused, " not in closed
    assert "HTTP/1.1 200" not in closed


def s_client(site: Site, name: str, *arguments: str) -> str:
    request = f"GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n"
    command = [need("openssl"), "s_client", "-connect", f"127.0.0.1:{site.proxy.port()}", "-servername", name, "-ign_eof",
               "-CAfile", str(site.root), *arguments]  # fmt: skip
    ended = subprocess.run(command, input=request, capture_output=True, text=True, timeout=90, check=False)
    return ended.stdout + ended.stderr


def test_backends_are_resumed(site: Site) -> None:
    """Each request here is a connection of its own: nginx says that it goes on with what the last one began."""
    answers = [curl(site, "open.test")[1] for _ in range(3)]
    assert [answer.split("|")[0].split(" ")[1] for answer in answers][1:] == ["r", "r"]
