"""A worker that somebody else drives cannot open the file of a key: its account may not, nor do its walls let it, each alone."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lbproxy.sandbox import kernel
from tests.conftest import Stage

HOOK = """
import os
import sys
from importlib.machinery import PathFinder

MAIN = "lbproxy.worker.main"
TRIED = os.environ.get("TRIED", "").split(":")  # children forget what is none of theirs


class Hook:
    def find_spec(self, name, path=None, target=None):
        if name != MAIN:
            return None
        spec = PathFinder.find_spec(name, path, target)
        execute = spec.loader.exec_module

        def and_take_over(module):
            execute(module)
            serve = module.Worker._serve

            def taken_over(worker):
                serve(worker)
                for path in TRIED:
                    module.get_logger().warning("hook", path=path, outcome=tried(path))

            module.Worker._serve = taken_over

        spec.loader.exec_module = and_take_over
        return spec


def tried(path):
    try:
        return f"read {len(open(path.replace('MASTER', str(os.getppid())), 'rb').read())} bytes"
    except OSError as error:
        return type(error).__name__


sys.meta_path.insert(0, Hook())
"""
"""A sitecustomize: the interpreter imports it before anything of lbproxy's; its worker tries files as soon as it serves."""


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """A folder that everybody may pass through, as the folders of tests are not: the file alone says who may read it."""
    with tempfile.TemporaryDirectory(prefix="lbproxy-keys-", dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@pytest.mark.skipif(os.getuid() != 0, reason="dropping privileges needs root")
@pytest.mark.parametrize("alone", ["account", "walls"])
def test_a_worker_cannot_open_the_key_file(stage: Stage, open_to_all: Path, alone: str) -> None:
    """Neither by its name, nor by the master's view of the files; what everybody may read tells that it tries. It serves on."""
    if alone == "walls" and not kernel.landlock_version():
        pytest.skip("this kernel has no Landlock: files are the account's to guard")
    hooks = stage.directory / "hooks"
    hooks.mkdir()
    (hooks / "sitecustomize.py").write_text(HOOK)
    config: dict[str, Any] = stage.config(stage.app().address)
    [pair] = config["listen"][0]["certificates"]
    key = open_to_all / "site.key"
    shutil.copy(pair["key"], key)
    key.chmod(0o600)
    pair["key"] = str(key)
    config["proxy"] |= {"walls": False} if alone == "account" else {"user": "root"}
    tried = [str(key), f"/proc/MASTER/root{key}", "/dev/null"]
    denied = ("PermissionError", "FileNotFoundError")  # the latter where /proc shows nobody else's processes
    proxy = stage.run(config, under=("env", f"PYTHONPATH={hooks}", f"TRIED={':'.join(tried)}"))
    outcomes = {path: proxy.wait_event("hook", path=path)["outcome"] for path in tried}
    assert outcomes[tried[0]] == "PermissionError"
    assert outcomes[tried[1]] in denied
    assert outcomes[tried[2]] == "read 0 bytes"
    assert stage.client(proxy).request("GET", "/echo").status == 200
