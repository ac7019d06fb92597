"""Who may come in, for real: a log-in server that is asked, passwords from a file, over HTTP/1.1 and 2, WebSockets, uploads."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.conftest import Stage
from tests.support.backends import websocket_server
from tests.support.process import LbProxy
from tests.support.sso_server import SsoServer
from tests.support.waiting import PATIENCE, eventually

bcrypt = pytest.importorskip("bcrypt", reason="bcrypt is not installed")
COPY = ["Remote-User", "Remote-Groups"]


def hashed(password: str, cost: int = 6) -> str:
    return str(bcrypt.hashpw(password.encode(), bcrypt.gensalt(cost)).decode())


@pytest.fixture(scope="module")
def sso() -> Iterator[SsoServer]:
    with SsoServer() as server:
        yield server


@pytest.fixture(scope="module")
def guarded(standing: Stage, sso: SsoServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LbProxy]:
    """Everything asks the log-in server, but for its own pages, and for a place with passwords."""
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "users").write_text(f"carol:{hashed('secret')}\n")
    with websocket_server(folder) as sockets:
        config = standing.config(standing.app().address, workers=2)
        config["listen"][0]["protocols"] = ["h2", "http/1.1"]
        config["pool"] |= {"sso": {"backends": [sso.address]}, "socket": {"backends": [sockets.address]}}
        asks = {"pool": "sso", "path": "/sso/verify", "copy": COPY, "user": "Remote-User"}
        config["route"] = [
            {"path": "/sso/", "pool": "sso"},
            {"path": "/staff/", "pool": "app", "basic_auth": {"file": str(folder / "users"), "header": "Remote-User"}},
            {"path": "/socket/", "pool": "socket", "authorize": asks},
            {"path": "/", "pool": "app", "authorize": asks},
        ]
        yield standing.run(config)


@pytest.fixture
def context(standing: Stage) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=standing.authority.file)


@pytest.mark.parametrize("http2", [False, True])
def test_a_browser_is_sent_to_log_in_and_comes_back(guarded: LbProxy, sso: SsoServer, context: ssl.SSLContext, http2: bool) -> None:
    """Then the backend hears who it is, from nobody but the log-in server, and what is not for all is not for bob."""
    base = f"https://localhost:{guarded.port()}"
    forged = {"Remote-User": "root", "Remote_User": "root", "Remote-Groups": "root", "Connection": "Remote-User"}
    headers = {"Accept": "text/html"} | ({} if http2 else forged)
    with httpx.Client(http2=http2, verify=context, timeout=PATIENCE, headers=headers) as browser:
        first = browser.get(f"{base}/echo?page=1")
        assert (first.status_code, first.headers.get_list("set-cookie")) == (302, ["state=1", "csrf=2"])
        assert first.http_version == ("HTTP/2" if http2 else "HTTP/1.1")
        back = browser.get(f"{base}{first.headers['location']}")
        assert back.status_code == 303
        page = browser.get(back.headers["location"])
        assert page.status_code == 200
        assert page.headers["set-cookie"] == "seen=1"
        said = [(name.lower(), value) for name, value in page.json()["fields"] if name.lower().startswith("remote")]
        assert said == [("remote-user", "alice"), ("remote-groups", "staff"), ("remote-groups", "admins")]
        browser.cookies.set("sso", "bob", domain="localhost.local")
    with httpx.Client(http2=http2, verify=context, timeout=PATIENCE, cookies={"sso": "bob"}) as bob:
        assert bob.get(f"{base}/echo").status_code == 200
        denied = bob.get(f"{base}/admin/echo")
        assert (denied.status_code, denied.text) == (403, "not for you")
        assert httpx.get(f"{base}/echo", verify=context, timeout=PATIENCE).status_code == 401
    path, fields = sso.asked[-1]
    assert (path, fields["x-forwarded-uri"], fields["x-forwarded-method"]) == ("/sso/verify", "/echo", "GET")


def test_passwords(guarded: LbProxy, context: ssl.SSLContext) -> None:
    """The backend hears who it is, and not the password."""
    url = f"https://localhost:{guarded.port()}/staff/echo"
    with httpx.Client(verify=context, timeout=PATIENCE) as client:
        assert client.get(url).headers["www-authenticate"] == 'Basic realm="restricted", charset="UTF-8"'
        assert client.get(url, auth=("carol", "wrong")).status_code == 401
        page = client.get(url, auth=("carol", "secret"))
    assert page.status_code == 200
    said = {name.lower(): value for name, value in page.json()["fields"]}
    assert said["remote-user"] == "carol"
    assert "authorization" not in said


def test_a_websocket_is_asked_about(guarded: LbProxy, context: ssl.SSLContext) -> None:
    """Before it is opened."""
    url = f"wss://localhost:{guarded.port()}/socket/"
    with pytest.raises(InvalidStatus) as refused:
        connect(url, ssl=context, open_timeout=PATIENCE).close()
    assert refused.value.response.status_code == 401
    with connect(url, ssl=context, open_timeout=PATIENCE, additional_headers={"Cookie": "sso=bob"}) as opened:
        opened.send("hello")
        assert opened.recv(timeout=PATIENCE) == "hello"


def test_a_denied_upload_of_50_megabytes_is_answered_at_once(guarded: LbProxy, context: ssl.SSLContext) -> None:
    """With no more of it sent than was on its way; who waits to be asked for it is not."""
    with context.wrap_socket(socket.create_connection(("127.0.0.1", guarded.port()), 30), server_hostname="localhost") as sock:
        head = f"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: {50 * 2**20}\r\n"
        sock.sendall(head.encode() + b"Expect: 100-continue\r\n\r\n")
        got = sock.recv(65536)
    assert got.startswith(b"HTTP/1.1 401 ")
    with httpx.Client(verify=context, timeout=PATIENCE) as client:
        denied = client.post(f"https://localhost:{guarded.port()}/echo", content=iter([b"x" * 65536] * 800))
    assert denied.status_code == 401
    told = guarded.wait_access(method="POST", status=401, count=2)
    assert all(line["bytes_in"] < 10 * 2**20 for line in told), "most of it was never read"


def test_what_became_of_requests_is_told(guarded: LbProxy, context: ssl.SSLContext) -> None:
    """In the log, by name; see also `lbproxy status`."""
    base = f"https://localhost:{guarded.port()}"
    with httpx.Client(verify=context) as client:
        client.get(f"{base}/staff/echo")
        client.get(f"{base}/staff/echo", auth=("carol", "secret"))
        client.get(f"{base}/echo")
        client.get(f"{base}/echo", headers={"Cookie": "sso=alice"})

    def told() -> set[Any]:
        return {(line.get("inspected"), line.get("user")) for line in guarded.access()}

    wanted = {("authorize=allowed", "alice"), ("authorize=denied", None), ("basic_auth=denied", None)}
    carol = {("basic_auth=allowed", "carol"), ("basic_auth=allowed_known", "carol")}
    eventually(lambda: wanted <= told() and carol & told(), "all kinds are in the log")


def test_a_file_of_passwords_that_changes_counts_without_a_reload(stage: Stage, context: ssl.SSLContext) -> None:
    """What is not good enough leaves the old one in place, and is told; costly hashes hold up nobody else's request."""
    users = Path(stage.directory) / "users"
    users.write_text(f"carol:{hashed('first')}\n")
    config = stage.config(stage.app().address)
    config["route"] = [
        {"path": "/staff/", "pool": "app", "basic_auth": {"file": str(users), "rate": "1000/s", "user_rate": "1000/s"}},
        {"pool": "app"},
    ]
    proxy = stage.run(config)
    base = f"https://localhost:{proxy.port()}"
    with httpx.Client(verify=context, timeout=60) as client:
        def status(password: str) -> int:
            return client.get(f"{base}/staff/echo", auth=("carol", password)).status_code

        assert (status("first"), status("second")) == (200, 401)
        users.write_text("carol:secret\n")
        event = proxy.wait_event("document.refused")
        assert "plain text" in event["why"]
        assert status("first") == 200
        users.write_text(f"carol:{hashed('second', 11)}\n")
        proxy.wait_event("document.renewed")
        eventually(lambda: status("second") == 200, "the new one counts")
        assert status("first") == 401
