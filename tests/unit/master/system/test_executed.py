"""What is executed anew finds our modules where we find them, has what it was given, and nothing else of ours."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from lbproxy.master.system.executed import execute

PROGRAM = """
import json
import os

def main(said, other):
    os.write(other, b"there")
    found = sorted(int(each) for each in os.listdir("/proc/self/fd"))
    os.write(said, json.dumps([found, "A_SECRET" in os.environ]).encode())
"""


def test_it_has_what_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lbproxy_test_executed.py").write_text(PROGRAM)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("A_SECRET", "s3cret")
    (heard, said), (heard_too, other) = os.pipe(), os.pipe()
    pid = execute("lbproxy_test_executed", (said, other))
    for descriptor in (said, other):
        os.close(descriptor)
    assert os.waitpid(pid, 0)[1] == 0
    found, secret = json.loads(os.read(heard, 4096))
    assert os.read(heard_too, 100) == b"there"
    assert {0, 1, 2, said, other} < set(found)
    assert len(found) == 6  # the sixth is the folder that it looked at
    assert secret is False
    for descriptor in (heard, heard_too):
        os.close(descriptor)
