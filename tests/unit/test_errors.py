"""Complaints read well wherever they come from."""

from __future__ import annotations

import copy
import errno
import pickle

import pytest

from lbproxy import errors
from lbproxy.errors import Complaint


@pytest.mark.parametrize(
    ("complaint", "shown"),
    [
        (Complaint("a.toml", 3, "proxy.workers", "wanted a number", "try 4"), "a.toml:3: proxy.workers: wanted a number (try 4)"),
        (Complaint("a.toml", 0, "proxy.workers", "wanted a number"), "a.toml: proxy.workers: wanted a number"),
        (Complaint("a.toml", 0, "", "is empty"), "a.toml: is empty"),
        (Complaint("", 0, "listen.address", "in use"), "listen.address: in use"),
        (Complaint("", 0, "", "no backends"), "no backends"),
    ],
)
def test_a_complaint_names_what_it_can(complaint: Complaint, shown: str) -> None:
    assert str(complaint) == shown


def test_a_line_knows_its_file() -> None:
    """Where it is one of an included file; a number it is all the same."""
    line = errors.Line(7, "sites/a.toml")
    complaint = errors.Complaint("lb.toml", line, "route", "wanted another")
    assert str(complaint) == "sites/a.toml:7: route: wanted another"
    assert (complaint.place, complaint.as_dict()["file"], line + 1, f"line {line}") == (
        ("sites/a.toml", 7), "sites/a.toml", 8, "line 7 of sites/a.toml",
    )  # fmt: skip
    assert copy.deepcopy(line).file == pickle.loads(pickle.dumps(line)).file == "sites/a.toml"
    main = errors.Complaint("lb.toml", 3, "route", "wanted another")
    assert errors.by_place([main, complaint]) == [complaint, main]


def test_what_the_machine_lacks_has_a_way_out() -> None:
    """Limits on files, memory, processes and threads; nothing else is taken for one."""
    lacks = [OSError(number, "") for number in (errno.EMFILE, errno.ENFILE, errno.EFBIG, errno.ENOMEM, errno.EAGAIN)]
    for error in lacks:
        assert errors.shortage(error)
    ours = (OSError("?"), RuntimeError("?"), SystemError("bad argument"), ImportError("No module named 'x'"), KeyboardInterrupt())
    for other in (OSError(errno.ENOENT, ""), *ours, ValueError("can't start new thread")):
        assert errors.shortage(other) == ""


@pytest.mark.parametrize(("error", "wanted"), [
    (MemoryError(), "more memory"),
    (SystemError("<built-in function x> returned NULL without setting: error return without exception set"), "more memory"),
    (ImportError("_ssl.so: failed to map segment from shared object"), "more memory"),
    (ImportError("libc.so: cannot allocate memory in static TLS block"), "more memory"),
    (RuntimeError("can't allocate lock"), "more memory"),
    (RuntimeError("can't start new thread"), "more processes and threads, or memory for their stacks"),
])  # fmt: skip
def test_want_of_memory_has_many_names(error: Exception, wanted: str) -> None:
    """A thread is refused for want of either: both limits are named."""
    assert errors.shortage(error).startswith(wanted)
