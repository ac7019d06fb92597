"""`lbproxy audit --live` at real processes: a good site is clean, a bad one is not, and nothing that does not run is."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from lbproxy.config.starter import STARTER
from tests.conftest import Stage
from tests.support.ports import free_port
from tests.support.waiting import eventually
from tests.unit.tls.files import pair


def audit(file: Path) -> tuple[int, dict[str, Any]]:
    """The exit code, and the answer."""
    command = [sys.executable, "-m", "lbproxy", "audit", "-c", str(file), "--live", "--json"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert "Traceback" not in ended.stderr
    return ended.returncode, json.loads(ended.stdout)


def test_what_init_writes_is_clean_and_what_stopped_is_told(stage: Stage) -> None:
    """Nothing is found but what the file alone has, neither at a listener without TLS, nor at one with it, nor at one that is for
    those who show a certificate alone; walls that this kernel cannot build are nobody's fault. Changed, the file is not what runs;
    stopped, it is judged all the same, and the exit code is 3."""
    text = STARTER.replace("# [proxy]", "[proxy]").replace(
        '# control = "/run/lbproxy/control.sock"', f'control = "{stage.directory}/c"\nhsts = "365d"'
    )
    leaf = stage.authority.issue("a.test")
    shown = f'certificates = [{{ cert = "{leaf["cert"]}", key = "{leaf["key"]}" }}]'
    for more in ("", f'tls = {{ client_ca = "{stage.authority.file}", client_auth = "required" }}'):
        text += f'\n[[listen]]\naddress = "127.0.0.1:{free_port()}"\n{shown}\n{more}\n'
    text = text.replace('"0.0.0.0:8080"', f'"127.0.0.1:{free_port()}"')
    text = text.replace("127.0.0.1:9000", stage.app().address).replace("127.0.0.1:9001", stage.app("other").address)
    proxy = stage.run(text)
    code, answer = audit(proxy.file)
    assert [each["id"] for each in answer["findings"] if each["id"] != "live-walls"] == ["body-unlimited"]
    assert (code, answer["live"]) == (0, {"pid": proxy.pid, "error": ""})

    proxy.file.write_text(text + "\n[limits]\nfields = 99\n")
    code, answer = audit(proxy.file)
    assert (code, {each["id"] for each in answer["findings"]} - {"live-walls"}) == (1, {"live-differs", "body-unlimited"})

    assert proxy.stop() == 0
    code, answer = audit(proxy.file)
    assert (code, [each["id"] for each in answer["findings"]]) == (3, ["body-unlimited"])
    assert "no lbproxy is running" in answer["live"]["error"]


def test_a_bad_one(stage: Stage) -> None:
    """An old certificate that is for somebody else, old versions, no HSTS, content without TLS, and no walls."""
    bad = pair(stage.directory, "other.test", end=timedelta(minutes=-5))
    proxy = {"control": str(stage.directory / "c"), "walls": False}
    config = stage.config(stage.app().address, proxy=proxy)
    [listen] = config["listen"]
    listen |= {"certificates": [{"cert": str(bad.cert), "key": str(bad.key)}], "tls": {"profile": "old"}}
    config["listen"].append({"address": f"0.0.0.0:{free_port()}"})
    config["route"] = [{"pool": "app", "host": "a.test"}]
    file = stage.run(config).file
    wanted = {"live-walls", "live-memory", "live-certificate", "live-tls-old", "live-hsts-missing", "live-plain-content"}

    def found() -> bool:
        """Again, where a machine stands still for longer than the audit has patience."""
        code, answer = audit(file)
        return code == 1 and wanted <= {each["id"] for each in answer["findings"]}

    eventually(found, f"{wanted} are found")
