"""Files that steps go by are looked at before they are needed: what is wrong is told with file, line and a hint."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lbproxy.config import documents
from lbproxy.config.documents import LARGEST, complaints
from lbproxy.config.load import load_text
from tests.unit.config.test_passwords import ARGON2, BCRYPT
from tests.unit.config.text import LEAST


def found(folder: Path) -> list[str]:
    text = LEAST.replace('pool = "app"', 'pool = "app"\nbasic_auth = { file = "users" }', 1)
    return [str(each) for each in complaints(load_text(text, "lbproxy.toml", folder))]


def test_a_good_one(tmp_path: Path) -> None:
    """Nothing is wrong with it; and without any there is nothing to look at."""
    (tmp_path / "users").write_text(f"alice:{BCRYPT}\nbob:{ARGON2}\n")
    assert found(tmp_path) == []
    assert complaints(load_text(LEAST, "", tmp_path)) == []


def test_what_is_wrong_in_it(tmp_path: Path) -> None:
    """By its own lines."""
    (tmp_path / "users").write_text(f"alice:{BCRYPT}\nbob:secret\n")
    [told] = found(tmp_path)
    assert told.startswith(f"{tmp_path}/users:2: the password of bob")
    assert "htpasswd -B" in told


@pytest.mark.parametrize("how", ["missing", "fifo", "binary", "huge", "folder"])
def test_what_is_no_file_of_users(how: str, tmp_path: Path) -> None:
    """By the line of the configuration; nobody waits for a FIFO."""
    path = tmp_path / "users"
    if how == "fifo":
        os.mkfifo(path)
    elif how == "binary":
        path.write_bytes(b"\xff\xfe")
    elif how == "huge":
        with path.open("wb") as file:
            file.truncate(LARGEST + 1)
    elif how == "folder":
        path.mkdir()
    [told] = found(tmp_path)
    assert told.startswith("lbproxy.toml:")
    assert "htpasswd" in told


def test_what_is_missing_to_check_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is named."""
    (tmp_path / "users").write_text(f"bob:{ARGON2}\n")
    monkeypatch.setattr(documents, "available", lambda name: False)
    [told] = found(tmp_path)
    assert "lbproxy[auth]" in told


LOADED = """
import sys
from pathlib import Path
from lbproxy.config.documents import complaints
from lbproxy.config.load import load_text
config = load_text(sys.argv[1], "", Path(sys.argv[2]))
assert complaints(config) == []
before = set(sys.modules)
from lbproxy.net.password_thread import fits
before |= {"lbproxy.net.password_thread", "lbproxy.net"} | {name for name in sys.modules if name.startswith(("gevent", "lbproxy"))}
for hashed in sys.argv[3:]:
    fits(b"nonsense", hashed)
print([name for name in ("jwt", "bcrypt", "argon2") if name not in sys.modules], "bcrypt" in before, "argon2" in before)
"""


def test_what_steps_need_is_loaded_before_there_are_workers(tmp_path: Path) -> None:
    """They cannot read its files; a file of users may have other kinds of passwords tomorrow."""
    (tmp_path / "users").write_text(f"alice:{BCRYPT}\n")
    step = 'basic_auth = { file = "users" }\njwt = { jwks_url = "https://id.example/jwks", algorithms = ["ES256"] }'
    text = LEAST.replace('pool = "app"', f'pool = "app"\n{step}', 1)
    command = [sys.executable, "-c", LOADED, text, str(tmp_path), BCRYPT, ARGON2]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip() == "[] True True"
