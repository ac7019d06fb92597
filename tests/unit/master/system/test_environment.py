"""Credentials of other programs are kept in variables: children do not have them."""

from __future__ import annotations

import ctypes
import os

import pytest

from lbproxy.master.system.environment import forget_others, kept


def test_what_makes_the_interpreter_work_stays() -> None:
    environ = {"PYTHONPATH": "/x", "LBPROXY_PURE": "1", "TZ": "UTC", "LC_ALL": "C", "AWS_SECRET_ACCESS_KEY": "s", "HOME": "/root"}
    assert sorted(kept(environ)) == ["LBPROXY_PURE", "LC_ALL", "PYTHONPATH", "TZ"]


def test_the_others_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """By libraries, too."""
    for name in os.environ:
        monkeypatch.setenv(name, os.environ[name])  # put back at the end
    monkeypatch.setenv("TOKEN", "secret")
    monkeypatch.setenv("TZ", "UTC")
    forget_others()
    assert os.environ["TZ"] == "UTC"
    assert kept(os.environ) == dict(os.environ)
    libc = ctypes.CDLL(None)
    libc.getenv.restype = ctypes.c_char_p
    assert libc.getenv(b"TOKEN") is None
