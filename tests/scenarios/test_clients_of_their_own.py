"""Programs that use HTTP in ways of their own: Docker's exec, S3's names, HAProxy's oldest check, clients that half-close."""

from __future__ import annotations

import json
import socket
import ssl
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import Stage
from tests.support.backends import Conversation, Scripted, Server
from tests.support.ports import free_port
from tests.support.process import LbProxy
from tests.support.tools import need
from tests.support.waiting import PATIENCE, eventually


def both_ways(stage: Stage, backend: str) -> LbProxy:
    """TLS first, plainly second."""
    config = stage.config(backend)
    config["listen"].append({"address": f"127.0.0.1:{free_port()}"})
    return stage.run(config)


def docker_daemon(conversation: Conversation) -> None:
    """As much of one as exec needs: reads the description of the process, switches, and echoes what is typed."""
    head = conversation.read_head()
    assert head.startswith(b"POST /v1.41/exec/1/start HTTP/1.1\r\n")
    assert b"\r\nUpgrade: tcp\r\n" in head
    length = int(head.lower().partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0])
    asked = json.loads(conversation.read_exactly(length))
    assert asked == {"Tty": True, "Detach": False}
    conversation.send(
        b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
    )
    conversation.send(conversation.read_exactly(3).upper())


@pytest.mark.filterwarnings("ignore:Exception ignored")  # docker-py leaves its socket to the collector
@pytest.mark.parametrize("listener", [0, 1], ids=["tls", "plain"])
def test_docker_exec(stage: Stage, listener: int) -> None:
    """docker-py sends the description of the process with the request that asks for the upgrade, and then talks to the process."""
    docker: Any = pytest.importorskip("docker")
    with Scripted(docker_daemon) as daemon:
        proxy = both_ways(stage, daemon.address)
        scheme, tls = (
            ("http", False) if listener else ("https", docker.tls.TLSConfig(ca_cert=str(stage.authority.file), verify=True))
        )
        client = docker.APIClient(f"{scheme}://localhost:{proxy.port(listener)}", version="1.41", tls=tls, timeout=PATIENCE)
        client.trust_env = False
        typed = client.exec_start("1", tty=True, socket=True)
        try:
            raw = getattr(typed, "_sock", typed)
            raw.sendall(b"who")
            said = b""
            while len(said) < 3:
                said += raw.recv(100)
            assert said == b"WHO"
            raw.shutdown(socket.SHUT_RDWR)
        finally:
            typed._response.close()
            typed.close()
            client.close()
        assert proxy.wait_access(status=101)


def test_names_of_an_object_store(stage: Stage) -> None:
    """boto3 and moto, with raw_path: "/./" and a backslash are a part of a name, and stay so."""
    boto3: Any = pytest.importorskip("boto3")
    settings: Any = pytest.importorskip("botocore.config")
    pytest.importorskip("moto")
    port = free_port()
    store = stage.server(Server([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], port, stage.directory))
    config = stage.config(store.address)
    config["route"][0]["raw_path"] = True
    proxy = stage.run(config)
    client = boto3.client(
        "s3",
        endpoint_url=f"https://localhost:{proxy.port()}",
        verify=str(stage.authority.file),
        region_name="us-east-1",
        aws_access_key_id="id",
        aws_secret_access_key="secret",
        config=settings.Config(s3={"addressing_style": "path"}, proxies={}, retries={"max_attempts": 0}),
    )
    client.create_bucket(Bucket="bucket")
    names = ["a/./b", "a/b", "c\\d", "e/../f", "g//h", "i%5Cj", "k l+m"]
    for name in names:
        client.put_object(Bucket="bucket", Key=name, Body=name.encode())
    assert sorted(found["Key"] for found in client.list_objects_v2(Bucket="bucket")["Contents"]) == sorted(names)
    for name in names:
        assert client.get_object(Bucket="bucket", Key=name)["Body"].read() == name.encode()


@pytest.mark.parametrize("listener", [0, 1], ids=["tls", "plain"])
def test_the_plain_check_of_haproxy(stage: Stage, tmp_path: Path, listener: int) -> None:
    """option httpchk asks OPTIONS / in HTTP/1.0, without a Host, and must not find us down."""
    proxy = both_ways(stage, stage.app().address)
    talk = tmp_path / "haproxy.sock"
    config = tmp_path / "haproxy.cfg"
    config.write_text(
        f"""
        global
            stats socket {talk}
        defaults
            mode http
            timeout client 10s
            timeout server 10s
            timeout connect 10s
            timeout check 10s
        backend us
            option httpchk
            server us 127.0.0.1:{proxy.port(listener)} check inter 100ms {"" if listener else "check-ssl verify none"}
        frontend us
            bind 127.0.0.1:{(front := free_port())}
            default_backend us
        \n"""
    )
    stage.server(Server([need("haproxy"), "-db", "-f", str(config)], front, tmp_path))

    def verdict() -> str:
        if not talk.exists():
            return ""
        with socket.socket(socket.AF_UNIX) as asked:
            asked.connect(str(talk))
            asked.sendall(b"show stat\n")
            lines = asked.makefile().read().splitlines()
        names = lines[0].removeprefix("# ").split(",")
        [row] = [line.split(",") for line in lines[1:] if line.startswith("us,us,")]
        told = dict(zip(names, row, strict=False))
        found = f"{told['status']} {told['check_status']}"
        return "" if "INI" in found or "*" in found else found

    assert eventually(verdict, "HAProxy's verdict") == "UP L7OK"
    assert proxy.wait_access(method="OPTIONS", path="/")


@pytest.mark.parametrize("listener", [0, 1], ids=["tls", "plain"])
def test_a_client_that_half_closes(stage: Stage, listener: int) -> None:
    """With client_close = "answer" it gets what it asked for, though it has said goodbye: by FIN, or in TLS by close_notify."""
    config = stage.config(stage.app().address)
    config["listen"].append({"address": f"127.0.0.1:{free_port()}"})
    config["route"][0]["client_close"] = "answer"
    proxy = stage.run(config)
    request = b"GET /slow?ms=300 HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with socket.create_connection(("127.0.0.1", proxy.port(listener)), 20) as raw:
        if listener:
            raw.sendall(request)
            raw.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: raw.recv(65536), b""))
        else:
            answer = half_closed_tls(raw, stage.authority.file, request)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert proxy.wait_access(status=200, path="/slow?ms=300")


def half_closed_tls(raw: socket.socket, ca: Path, request: bytes) -> bytes:
    """The answer to a request that close_notify follows at once."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ssl.create_default_context(cafile=str(ca)).wrap_bio(incoming, outgoing, server_hostname="localhost")

    def turn() -> bool:
        raw.sendall(outgoing.read())
        came = raw.recv(65536)
        incoming.write(came)
        return bool(came)

    while True:
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            turn()
    tls.write(request)
    try:
        tls.unwrap()
    except ssl.SSLWantReadError:
        pass  # theirs is still to come; ours is in `outgoing`
    answer = b""
    while True:
        try:
            answer += tls.read(65536)
        except ssl.SSLWantReadError:
            if not turn():
                return answer
        except (ssl.SSLZeroReturnError, ssl.SSLSyscallError, ssl.SSLEOFError):
            return answer


@pytest.mark.parametrize("tls", [True, False])
def test_a_plain_client_reads_its_413(stage: Stage, tls: bool) -> None:
    """It sends on and on, with a pause longer than a good client's round trip, before it looks at what came: 413, and no reset."""
    config = stage.config(stage.app().address, limits={"body": "1KiB"})
    config["listen"].append({"address": f"127.0.0.1:{free_port()}"})
    proxy = stage.run(config)
    client = stage.client(proxy, tls=tls, listener=0 if tls else 1)
    client.send_head("POST", "/echo", length=1_000_000)
    client.send(b"x" * 100_000)
    assert proxy.wait_access(status=413)
    time.sleep(2.5)  # the pause is what is tried: whoever lingers for less has gone by then
    for _ in range(9):
        client.send(b"x" * 100_000)
    response = client.response("POST")
    assert response.status == 413
    assert response.get("date")


@pytest.mark.parametrize("listener", [0, 1], ids=["tls", "plain"])
def test_a_plain_client_of_http2_reads_its_413(stage: Stage, listener: int) -> None:
    """httpx sends all it has before it looks, whatever it is told meanwhile."""
    config = stage.config(stage.app().address, limits={"body": "1KiB"})
    config["listen"].append({"address": f"127.0.0.1:{free_port()}", "protocols": ["h2"]})
    proxy = stage.run(config)
    context = ssl.create_default_context(cafile=str(stage.authority.file))
    scheme = "http" if listener else "https"
    with httpx.Client(http1=False, http2=True, verify=context, trust_env=False, timeout=PATIENCE) as client:
        response = client.post(f"{scheme}://localhost:{proxy.port(listener)}/echo", content=b"x" * 1_000_000)
        assert (response.status_code, response.http_version) == (413, "HTTP/2")
        assert client.get(f"{scheme}://localhost:{proxy.port(listener)}/echo").status_code == 200
    assert [line["status"] for line in proxy.wait_access(count=2)] == [413, 200]
