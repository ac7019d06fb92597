"""Users who log in on a connection: curl and a real NTLM server."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Stage
from tests.support.backends import Server
from tests.support.ports import free_port


@pytest.mark.parametrize("idle", [0, 128])
@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "tls"])
def test_curl(stage: Stage, tmp_path: Path, encrypted: bool, idle: int) -> None:
    """Alice logs in, and stays so on her connection; nobody else is taken for her, wherever the requests go."""
    curl = shutil.which("curl")
    if curl is None or b"NTLM" not in subprocess.run([curl, "-V"], capture_output=True, check=True).stdout:
        pytest.skip("no curl that knows NTLM")
    pytest.importorskip("spnego")
    users = tmp_path / "users"
    users.write_text("DOMAIN:alice:secret\n")
    app: dict[str, object] = {"connections": {"idle": idle}}
    files = []
    if encrypted:
        certificate = stage.authority.issue("127.0.0.1")
        files = [certificate["cert"], certificate["key"]]
        app["tls"] = {"ca": str(stage.authority.file)}
    backends = []
    for port in (free_port(), free_port()):
        command = [sys.executable, "-m", "tests.support.ntlm_server", str(port), str(users), *files]
        backends.append(stage.server(Server(command, port, tmp_path)).address)
    proxy = stage.proxy(*backends, app=app)
    base = f"https://localhost:{proxy.port()}"
    others = [stage.client(proxy) for _ in range(4)]
    for other in others:
        assert other.request("GET", "/public").body == b"anybody"
    urls = [f"{base}/private/{number}" for number in range(4)]
    asked = subprocess.run(
        [curl, "-sS", "--cacert", str(stage.authority.file), "--ntlm", "-u", "DOMAIN\\alice:secret", *urls],
        capture_output=True, check=True, timeout=60,
    )  # fmt: skip
    assert asked.stdout == b"you are DOMAIN\\alice" * 4
    for other in others:
        assert other.request("GET", "/private").status == 401
    wrong = subprocess.run(
        [curl, "-sS", "--cacert", str(stage.authority.file), "--ntlm", "-u", "DOMAIN\\alice:wrong", urls[0]],
        capture_output=True, check=True, timeout=60,
    )  # fmt: skip
    assert wrong.stdout == b"not you"
