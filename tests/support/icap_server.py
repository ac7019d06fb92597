"""c-icap with ClamAV and one signature of our own: the test file of EICAR, by its bytes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.backends import Server
from tests.support.ports import free_port
from tests.support.tools import need

EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
_MODULES = "/usr/lib/x86_64-linux-gnu/c_icap"
_CONFIG = """
PidFile {folder}/c-icap.pid
CommandsSocket {folder}/c-icap.ctl
StartServers 1
MaxServers 1
ThreadsPerChild 8
MinSpareThreads 1
MaxSpareThreads 8
MaxKeepAliveRequests 3
Port 127.0.0.1:{port}
ServerAdmin nobody@example.com
ServerName icap.test
TmpDir {folder}
ModulesDir {modules}
ServicesDir {modules}
TemplateDir /usr/share/c_icap/templates/
LoadMagicFile /etc/c-icap/c-icap.magic
ServerLog {folder}/server.log
AccessLog {folder}/access.log
Service echo srv_echo.so
{antivirus}
"""
_ANTIVIRUS = """
Module common clamav_mod.so
clamav_mod.ClamAvTmpDir {folder}
Service antivirus_module virus_scan.so
ServiceAlias avscan virus_scan?allow204=on&sizelimit=off&mode=simple
virus_scan.ScanFileTypes TEXT DATA EXECUTABLE ARCHIVE GIF JPEG MSOFFICE
virus_scan.SendPercentData 0
virus_scan.MaxObjectSize 20M
virus_scan.DefaultEngine clamav
clamav_mod.MaxScanSize 20M
"""


def c_icap(folder: Path, *, antivirus: bool) -> Server:
    """It closes each connection behind the third request. Skips where it is not installed."""
    program = need("c-icap")
    modules = Path(_MODULES)
    if not (modules / "srv_echo.so").exists():
        pytest.skip("c-icap's modules are not where Debian has them")
    folder.mkdir()
    text = ""
    if antivirus:
        if not (modules / "virus_scan.so").exists():
            pytest.skip("libc-icap-mod-virus-scan is not installed (scripts/test installs it as root on Debian)")
        (folder / "db").mkdir()
        (folder / "db" / "test.ndb").write_text(f"Test.EICAR:0:*:{EICAR.hex()}\n")
        text = _ANTIVIRUS.format(folder=folder)
    port = free_port()
    file = folder / "c-icap.conf"
    file.write_text(_CONFIG.format(folder=folder, port=port, modules=_MODULES, antivirus=text))
    command = [program, "-N", "-D", "-d", "1", "-f", str(file)]
    if antivirus:  # the library looks in one place alone, which is ours in a world of its own
        if os.geteuid() or not Path("/var/lib/clamav").is_dir():
            pytest.skip("ClamAV's folder can only be another one for root")
        command = ["unshare", "--mount", "sh", "-c", f'mount --bind {folder}/db /var/lib/clamav && exec "$@"', "sh", *command]
    return Server(command, port, folder)
