"""Machines and containers that lack what others have: lbproxy runs, or says in one line what it lacks, and never in a traceback."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import toml

from tests.conftest import Stage
from tests.support.process import run_cli_under

USER = ("unshare", "--user", "--map-root-user")
MOUNTS = (*USER, "--mount", "sh", "-c")

BARE_DEV = "mount -t tmpfs none /mnt && touch /mnt/null && mount --bind /dev/null /mnt/null"


@pytest.fixture
def namespaces() -> None:
    """Skips where a kernel or a container does not let plain users make namespaces."""
    if subprocess.run([*MOUNTS, "true"], capture_output=True, check=False).returncode:
        pytest.skip("user namespaces are not to be had here (kernel.unprivileged_userns_clone, or the container)")


def refusal(stage: Stage, *under: str, config: dict[str, object] | None = None) -> str:
    """What `start` says there before it ends with 1."""
    file = stage.directory / "lbproxy.toml"
    file.write_text(toml.dumps(config or stage.config("127.0.0.1:9")))
    done = run_cli_under(under, "start", "-c", str(file))
    assert done.returncode == 1, done
    [line] = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert "Traceback" not in done.stderr
    return line


@pytest.mark.usefixtures("namespaces")
def test_root_that_may_not_change_its_user(stage: Stage) -> None:
    """Root of a user namespace: refused before anything is forked, with the way out; and the way out works."""
    config = stage.config(stage.app().address)
    line = refusal(stage, *USER, config=config)
    assert "proxy.user: cannot become" in line
    assert 'set user = "root"' in line
    config["proxy"]["user"] = "root"
    proxy = stage.run(config, under=USER)
    assert stage.client(proxy).request("GET", "/echo").status == 200
    assert proxy.stop() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has capabilities to give away")
def test_root_without_the_capability(stage: Stage) -> None:
    """A container that drops them all: the same line."""
    if subprocess.run(["setpriv", "--bounding-set=-setuid", "true"], capture_output=True, check=False).returncode:
        pytest.skip("setpriv is missing, or may not")
    line = refusal(stage, "setpriv", "--bounding-set=-setuid,-setgid", "--inh-caps=-setuid,-setgid")
    assert "proxy.user: cannot become" in line
    assert "CAP_SETUID" in line


@pytest.mark.usefixtures("namespaces")
@pytest.mark.parametrize(("how", "why"), [
    ("mount -t tmpfs -o ro none /dev/shm", "Read-only file system"),
    (f"{BARE_DEV} && mount --rbind /mnt /dev", "No such file or directory"),
])  # fmt: skip
def test_no_shared_memory(stage: Stage, how: str, why: str) -> None:
    """/dev/shm is missing or read-only: what it is needed for, and how to have it."""
    config = stage.config("127.0.0.1:9", proxy={"user": "root"})
    line = refusal(stage, *MOUNTS, f'{how} && exec "$@"', "sh", config=config)
    assert f"/dev/shm: {why}" in line
    assert "mount -t tmpfs" in line


@pytest.mark.parametrize("limit", ["-n 20", "-n 40", "-v 40000"])
def test_too_few_of_something(stage: Stage, limit: str) -> None:
    """Descriptors, memory: it says so and ends, wherever on the way it happens."""
    file = stage.directory / "lbproxy.toml"
    file.write_text(toml.dumps(stage.config("127.0.0.1:9", proxy={"workers": 2})))
    done = run_cli_under(("sh", "-c", f'ulimit {limit}; exec "$@"', "sh"), "start", "-c", str(file))
    assert done.returncode == 1, done
    assert "Traceback" not in done.stderr, done.stderr


@pytest.mark.usefixtures("namespaces")
@pytest.mark.parametrize("tls", [True, False], ids=["tls", "plain"])
def test_no_proc(stage: Stage, tls: bool) -> None:
    """A bare chroot: where to get one, before anything is forked."""
    config = stage.config("127.0.0.1:9", proxy={"user": "root"})
    if not tls:
        del config["listen"][0]["certificates"]
    line = refusal(stage, *MOUNTS, 'mount -t tmpfs none /proc && exec "$@"', "sh", config=config)
    assert "mount -t proc proc /proc" in line


def test_files_of_a_limited_length(stage: Stage) -> None:
    """`ulimit -f`: what is wanted, and where to say so."""
    line = refusal(stage, "sh", "-c", 'ulimit -f 1000; exec "$@"', "sh")
    assert "cannot go on: File too large" in line
    assert "LimitFSIZE=" in line


@pytest.mark.usefixtures("namespaces")
def test_a_full_disk_for_the_pid_file(stage: Stage) -> None:
    """No number would stand in it: refused, and nothing is left aside."""
    full = 'mount -t tmpfs -o size=4k none /mnt && head -c 4096 /dev/zero >/mnt/filler && "$@"; code=$?; ls /mnt >&2; exit $code'
    file = stage.directory / "lbproxy.toml"
    file.write_text(toml.dumps(stage.config("127.0.0.1:9", proxy={"user": "root", "pid_file": "/mnt/pid"})))
    done = run_cli_under((*MOUNTS, full, "sh"), "start", "-c", str(file))
    assert done.returncode == 1, done
    assert "lbproxy: cannot write the pid file /mnt/pid: No space left on device\n" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.endswith("filler\n"), done.stderr
    assert done.stderr.count("/mnt/pid") == 1


def test_certificates_that_were_joined_without_a_line_end(stage: Stage, tmp_path: Path) -> None:
    """`cat a.pem b.pem` of files without a final line end is what some authorities' mails lead to."""
    config = stage.config(stage.app().address)
    [certificate] = config["listen"][0]["certificates"]
    joined = tmp_path / "joined.pem"
    joined.write_bytes(Path(certificate["cert"]).read_bytes().rstrip() + stage.authority.file.read_bytes().rstrip())
    config["listen"][0]["certificates"] = [{**certificate, "cert": str(joined)}]
    proxy = stage.run(config)
    assert stage.client(proxy).request("GET", "/echo").status == 200
