"""Equal duties are proved, not believed: an nginx that leaves out a single one is refused by name; each installed peer passes."""

from __future__ import annotations

import http.client
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from bench.macro import cases, certificate, duties, machine, peers
from bench.macro.errors import BenchError
from bench.macro.peers import Maker, Peer
from bench.macro.process import Program, free_ports
from bench.macro.proxies.nginx import nginx
from bench.macro.rounds import Stage, stage_for
from bench.macro.site import Recipe, Site

REAL = ("nginx", "haproxy", "caddy", "proxy.py", peers.SUBJECT)


def installed(name: str) -> bool:
    try:
        peers.require_peer(name)
    except BenchError:
        return False
    return True


pytestmark = pytest.mark.skipif(not installed("nginx"), reason="needs nginx: it is the backends")


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    present = [name for name in REAL if installed(name)]
    with stage_for(present, machine.Cores(), backends=4, grpc=find_spec("grpc") is not None) as stage:
        yield stage


def changed(pattern: str, replacement: str) -> Maker:
    """An nginx whose configuration differs in one place."""

    def make(site: Site) -> Recipe:
        recipe = nginx(site)
        config = Path(recipe.command[-1])
        text, count = re.subn(pattern, replacement, config.read_text())
        assert count, f"{pattern} is not in the configuration"
        config.write_text(text)
        return recipe

    return make


def asked_of(stage: Stage, tmp_path: Path, make: Maker, waived: tuple[str, ...] = (), **asked: bool) -> str:
    """`asked`: what else is asked of it."""
    folder = tmp_path / "proxy"
    folder.mkdir()
    files = certificate.make(tmp_path)
    peer = Peer("nginx", make, folder, stage.backends.ports, files, machine.Cores())
    try:
        site = peer.site
        return duties.check("nginx", site.https, site.http, files.cert, site.access_log, waived=waived, **asked)
    finally:
        peer.stop()


WITHOUT = {
    "tls: .*": ("ssl_protocols .*?;", "ssl_protocols TLSv1.3;"),
    "tls: takes TLSv1.1": ("ssl_protocols .*?;", "ssl_protocols TLSv1.1 TLSv1.2 TLSv1.3; ssl_ciphers ALL:@SECLEVEL=0;"),
    "cipher: ": ("ssl_protocols", "ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256; ssl_protocols"),
    "forwarding: .*'for'": ("proxy_set_header X-Forwarded-For .*?;", ""),
    "forwarding: .*'real-ip'": ("proxy_set_header X-Real-IP .*?;", ""),
    "forwarding: .*'host'": ("proxy_set_header Host .*?;", ""),
    "forwarding: .*'proto'": ("proxy_set_header X-Forwarded-Proto .*?;", ""),
    "plain: .*'proto'": (r"X-Forwarded-Proto \$scheme", "X-Forwarded-Proto https"),
    "both backends: ": (r"(server 127\.0\.0\.1:\d+;) server 127\.0\.0\.1:\d+;", r"\1"),
    "kept backends: ": (r"keepalive \d+;", ""),
    "least connections: ": ("least_conn;", ""),
    "upload: ": ("client_max_body_size 0;", "client_max_body_size 10k;"),
    "websocket: wanted 101": ("proxy_set_header Upgrade .*?;", ""),
    "http/2: ALPN chooses http/1.1 of h2": (" http2 ", " "),
    "http/2: .*TooManyStreams": ("client_max_body_size 0;", "client_max_body_size 0; http2_max_concurrent_streams 4;"),
    "cache: /stored/nth was the same": (
        r"(?s)(upstream pool.*?)(location / )",
        r"proxy_cache_path stored keys_zone=s:1m; \1 location /stored/ { proxy_pass http://pool; proxy_cache s; } \2",
    ),
    "compression: /stored/text came in gzip": ("(access_log .*?;)", r"\1 gzip on; gzip_types *; gzip_proxied any;"),
    "access log: 0 lines": ("access_log .*?;", "access_log off;"),
}


@pytest.mark.parametrize("complaint", WITHOUT)
def test_who_leaves_one_out_is_refused_by_name(stage: Stage, tmp_path: Path, complaint: str) -> None:
    with pytest.raises(BenchError, match=f"^nginx: {complaint}"):
        asked_of(stage, tmp_path, changed(*WITHOUT[complaint]))


def test_every_duty_is_left_out_by_one_of_them() -> None:
    left_out = {complaint.partition(":")[0] for complaint in WITHOUT}
    assert left_out | {"backend tls", "backend http/2", "grpc"} == set(duties.NAMES)


def test_plain_backends_are_told_from_encrypted_ones(stage: Stage, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"^nginx: backend tls: "):
        asked_of(stage, tmp_path, nginx, backend_tls=True)


def test_backends_of_http2_are_told_from_others(stage: Stage, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"^nginx: backend http/2: .*HTTP/1\.1.*, wanted HTTP/2\.0"):
        asked_of(stage, tmp_path, nginx, backend_http2=True)


def test_who_stores_nothing_is_told_from_others(stage: Stage, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"^nginx: cache: /stored/nth was another one"):
        asked_of(stage, tmp_path, nginx, cache=True)


@pytest.mark.skipif(find_spec("grpc") is None, reason="needs grpcio: it is the server")
def test_a_call_whose_status_is_lost_is_none(stage: Stage, tmp_path: Path) -> None:
    """HTTP/1.1 to the backends, and nginx: no trailers."""
    with pytest.raises(BenchError, match=r"^nginx: grpc: "):
        asked_of(stage, tmp_path, nginx, grpc=True)


def test_what_is_waived_is_not_asked(stage: Stage, tmp_path: Path) -> None:
    described = asked_of(stage, tmp_path, changed("least_conn;", ""), ("least connections",))
    assert described.startswith("TLSv1.3 TLS_AES_256_GCM_SHA384, resumes")


def test_http2_is_asked_for_where_a_case_needs_it(stage: Stage, tmp_path: Path) -> None:
    """Older revisions of lbproxy take part in all other cases."""
    asked_of(stage, tmp_path, changed(" http2 ", " "), (duties.HTTP2,))


def test_only_duties_that_there_are_are_waived() -> None:
    for name, kind in peers.KINDS.items():
        assert set(kind.waived) <= set(duties.NAMES), name
        assert kind.cases is None or kind.cases <= set(cases.NAMES), name


FOUR = cases.Setup("four backends", workers=2, backends=4)
EACH = [cases.USUAL, cases.RE_ENCRYPT, cases.H2_BACKENDS, cases.CACHE, cases.GZIP, FOUR]


@pytest.mark.parametrize("setup", EACH, ids=str)
@pytest.mark.parametrize("name", REAL)
def test_each_peer_does_its_duties(stage: Stage, name: str, setup: cases.Setup) -> None:
    if not installed(name):
        pytest.skip(f"{name} is not installed")
    taking_part = [case for case in cases.LOADS if case.setup == setup or setup not in cases.SETUPS]
    if not any(peers.takes(name, case.name) for case in taking_part):
        pytest.skip(f"{name} takes part in no such case")
    with stage.peer(name, setup) as peer:
        assert stage.check(peer, setup).startswith("TLSv1.3 ")


@pytest.mark.parametrize("name", [name for name in REAL if name != "proxy.py"])
def test_a_backend_that_another_authority_vouches_for_is_not_trusted(stage: Stage, tmp_path: Path, name: str) -> None:
    """Verified TLS is dearer than TLS."""
    if not installed(name):
        pytest.skip(f"{name} is not installed")
    tmp_path.chmod(0o755)
    other = tmp_path / "other"
    other.mkdir()
    https, http_port = free_ports(2)
    files, wrong = certificate.make(tmp_path), certificate.make(other)
    site = Site(tmp_path, https, http_port, stage.backends.tls_ports, files, tmp_path / "access.log", backend_ca=wrong.cert)
    recipe = peers.maker(name, tmp_path)(site)
    output = {"stdout": tmp_path / "stdout", "stderr": tmp_path / "stderr"}
    program = Program(name, recipe.command, stdout=output["stdout"], stderr=output["stderr"], env=recipe.env, cwd=recipe.cwd)
    statuses: list[int] = []

    def answers() -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", http_port, timeout=60)
        try:
            connection.request("GET", "/tiny")
            statuses.append(connection.getresponse().status)
        finally:
            connection.close()
        return True

    try:
        program.wait_until(answers)
    finally:
        program.stop()
    assert statuses[0] in (502, 503)
