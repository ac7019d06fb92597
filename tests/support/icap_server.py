"""c-icap, with ClamAV as docs/howto/icap.md sets it up, and one signature of our own: the test file of EICAR, by its bytes."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.backends import Server
from tests.support.howto import Page
from tests.support.tools import need
from tests.support.waiting import PATIENCE

EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
_MODULES = "/usr/lib/x86_64-linux-gnu/c_icap"
_SIGNATURES = "/var/lib/clamav"
_CONFIG = Path("/etc/c-icap")
_SERVICE = "/etc/default/c-icap"


def _edited(text: str, folder: Path, port: int) -> str:
    """Debian's configuration, with files and a port of the test's, one process, and few requests a connection."""
    own = {
        "PidFile": f"{folder}/c-icap.pid",
        "CommandsSocket": f"{folder}/c-icap.ctl",
        "ServerLog": f"{folder}/server.log",
        "AccessLog": f"{folder}/access.log",
        "TmpDir": str(folder),
        "Port": f"127.0.0.1:{port}",
        "StartServers": "1",
        "MaxServers": "1",
        "ThreadsPerChild": "8",
        "MinSpareThreads": "1",
        "MaxSpareThreads": "8",
        "MaxKeepAliveRequests": "3",
    }
    kept = [line for line in text.splitlines() if line.split(" ")[0] not in {*own, "User", "Group"}]
    return "\n".join([*kept, *(f"{name} {value}" for name, value in own.items()), ""])


def _as_the_page_says(page: Page, config: Path) -> None:
    """What is typed between the installation and the start of the service."""
    lines = page.block("sh", "virus_scan.conf").splitlines()
    others = ("apt-get ", "freshclam ", "service ")
    typed = [line for line in lines if not line.startswith(others) and _SERVICE not in line]
    script = "\n".join(typed).replace(f"{_CONFIG}/", f"{config}/")
    subprocess.run(["sh", "-euc", script], check=True, timeout=PATIENCE)


def c_icap(folder: Path, port: int, *, antivirus: Page | None = None) -> Server:
    """It closes each connection behind the third request. Skips where it is not installed. `antivirus`: how it is set up."""
    program = need("c-icap")
    modules = Path(_MODULES)
    if not (modules / "srv_echo.so").exists() or not (_CONFIG / "c-icap.conf").exists():
        pytest.skip("c-icap's modules are not where Debian has them")
    config, signatures = folder / "c-icap", folder / "db"
    shutil.copytree(_CONFIG, config)
    file = config / "c-icap.conf"
    file.write_text(_edited(file.read_text(), folder, port))
    command = [program, "-N", "-D", "-d", "1", "-f", str(file)]
    if antivirus is None:
        return Server(command, port, folder)
    if not (modules / "virus_scan.so").exists():
        pytest.skip("libc-icap-mod-virus-scan is not installed (scripts/test installs it as root on Debian)")
    if os.geteuid() or not Path(_SIGNATURES).is_dir():
        pytest.skip("ClamAV's folder can only be another one for root")
    signatures.mkdir()
    (signatures / "test.ndb").write_text(f"Test.EICAR:0:*:{EICAR.hex()}\n")
    _as_the_page_says(antivirus, config)
    # Both programs look in one place alone, which is ours in a world of its own.
    mounts = f"mount --bind {signatures} {_SIGNATURES} && mount --bind {config} {_CONFIG}"
    return Server(["unshare", "--mount", "sh", "-c", f'{mounts} && exec "$@"', "sh", *command], port, folder)
