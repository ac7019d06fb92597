"""Events on stderr: one line each, whole, with who said it; hostile text harmless; floods cut."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from lbproxy.config.model import LogConfig
from lbproxy.observe import log
from lbproxy.observe.log import Bucket, Noisy

PRELUDE = "from lbproxy.observe import log, standard\nfrom lbproxy.config.model import LogConfig\n"


def stderr_of(code: str) -> bytes:
    """What a fresh process wrote, its stderr being a pipe."""
    return subprocess.run([sys.executable, "-c", PRELUDE + code], stderr=subprocess.PIPE, check=True).stderr


def on_a_terminal(code: str) -> str:
    """The same, on a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen([sys.executable, "-c", PRELUDE + code], stderr=theirs) as process:
        os.close(theirs)
        text = b""
        try:
            while chunk := os.read(ours, 4096):
                text += chunk
        except OSError:  # how Linux tells that nobody has the terminal open any more
            pass
        os.close(ours)
        assert process.wait() == 0
    return text.decode()


def test_json_when_nobody_watches() -> None:
    code = """log.configure(LogConfig(), role='worker', generation=2, worker=1)
log.get_logger().info('started', workers=3, who='ü\\n')"""
    [line] = stderr_of(code).splitlines()
    event = json.loads(line)
    assert list(event)[:3] == ["timestamp", "level", "event"]
    assert event.pop("timestamp").endswith("Z")
    assert event.pop("pid") > 0
    assert event == {
        "level": "info", "event": "started", "role": "worker", "generation": 2, "worker": 1, "workers": 3, "who": "ü\n",
    }  # fmt: skip


def test_console_on_a_terminal() -> None:
    text = on_a_terminal("log.configure(LogConfig(), role='master')\nlog.get_logger().warning('backend.down', pool='web')")
    assert "backend.down" in text
    assert "\x1b[" in text  # colours
    assert not text.startswith("{")


def test_hostile_text_cannot_steer_a_terminal_or_forge_a_line() -> None:
    hostile = "'\\x1b]0;owned\\x07\\r\\nforged=1\\ud800'"
    code = f"log.configure(LogConfig(format='console'), role='x')\nlog.get_logger().info('a', why={hostile})"
    [line] = stderr_of(code).splitlines()
    escaped = rb"\x1b]0;owned\x07\r\nforged=1\ud800"
    assert escaped in line.replace(rb"\\", b"\\")  # newer renderers quote once more
    assert b"\x1b]" not in line


def test_levels() -> None:
    code = """log.configure(LogConfig(level='warning'), role='x')
l = log.get_logger()\nl.info('no')\nl.warning('yes')\nl.error('also')"""
    assert [json.loads(line)["event"] for line in stderr_of(code).splitlines()] == ["yes", "also"]


@pytest.mark.parametrize("style", ["json", "console"])
def test_an_exception_comes_with_its_traceback_and_without_local_variables(style: str) -> None:
    code = f"""
log.configure(LogConfig(format={style!r}), role='x')
def load(secret):
    raise ValueError('broken')
try:
    load('hunter' + '2')
except ValueError:
    log.get_logger().exception('crashed')
"""
    text = stderr_of(code).decode()
    assert "ValueError: broken" in text
    assert "in load" in text
    assert "hunter2" not in text


def test_a_child_configures_anew_after_a_fork() -> None:
    code = """
import os
log.configure(LogConfig(), role='master')
logger = log.get_logger()
logger.info('one')
if os.fork() == 0:
    log.configure(LogConfig(), role='worker', worker=1)
    logger.info('two')
    os._exit(0)
os.wait()
logger.info('three')
"""
    events = [json.loads(line) for line in stderr_of(code).splitlines()]
    assert [event["role"] for event in events] == ["master", "worker", "master"]
    assert events[0]["pid"] == events[2]["pid"] != events[1]["pid"]


def test_a_stderr_that_is_gone_costs_the_line_and_nothing_else() -> None:
    code = "import os\nos.close(2)\nlog.configure(LogConfig(), role='x')\nlog.get_logger().error('nobody hears')\nos._exit(0)"
    assert stderr_of(code) == b""


def test_an_event_is_one_write() -> None:
    """So that lines of several processes do not mix: five processes, long lines, one pipe."""
    code = """
import os
log.configure(LogConfig(), role='x')
for number in range(4):
    if os.fork() == 0:
        break
for turn in range(50):
    log.get_logger().info('turn', filler='x' * 3000)
standard.drain_all(60)
"""
    reader, writer = os.pipe()
    with subprocess.Popen([sys.executable, "-c", PRELUDE + code], stderr=writer):
        os.close(writer)
        with os.fdopen(reader, "rb") as stream:
            lines = stream.read().splitlines()
    assert len(lines) == 250
    assert all(json.loads(line)["event"] == "turn" for line in lines)


def test_a_bucket_lets_a_burst_pass_then_the_rate() -> None:
    bucket = Bucket(rate=2.0, burst=3)
    assert [bucket.take(100.0) for _ in range(5)] == [0, 0, 0, None, None]
    assert bucket.take(100.4) is None
    assert bucket.take(100.5) == 3
    assert bucket.take(100.5) is None
    assert [bucket.take(200.0) for _ in range(4)] == [1, 0, 0, None]  # never more than the burst


def test_noisy_events_tell_how_many_were_suppressed(capfd: pytest.CaptureFixture[str]) -> None:
    now = 50.0
    log.configure(LogConfig(format="json"), role="worker")
    noisy = Noisy(rate=1.0, burst=2, clock=lambda: now)
    for number in range(10):
        noisy.info("handshake.failed", number=number)
    noisy.warning("other", number=1)
    now += 1.0
    noisy.info("handshake.failed", number=10)
    events = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [(event["event"], event["number"], event.get("suppressed")) for event in events] == [
        ("handshake.failed", 0, None),
        ("handshake.failed", 1, None),
        ("other", 1, None),
        ("handshake.failed", 10, 8),
    ]


def test_the_file_says_it_is_never_for_requests() -> None:
    """A reminder with teeth: structlog stays out of the per-request modules."""
    for path in (Path(log.__file__).parent.parent / "http").rglob("*.py"):
        assert "observe.log" not in path.read_text()
