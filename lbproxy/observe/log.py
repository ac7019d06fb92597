"""Lifecycle and error events on stderr: console on a terminal, one JSON object a line otherwise.

One os.write a line, so that the lines of several processes never mix. Logging must not be able to hurt: a reader that is gone or
asleep costs lines, nothing else; how many is told when it reads again (outlet.py). An event costs about 10 us: never one per
request (that is what the access log is for), and what a client can cause goes through `Noisy`.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, MutableMapping
from typing import Any

import structlog

from lbproxy.config.model import LogConfig
from lbproxy.observe import standard

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
STDERR = 2

_facts: dict[str, object] = {}
"""What stands on every line of this process: role, pid, and for children generation and worker."""

Event = MutableMapping[str, Any]


class _Stderr:
    """What structlog takes for a logger: a method per level that takes the finished line."""

    def __init__(self, *_: object) -> None:
        pass

    def msg(self, line: str) -> None:
        flush()
        standard.outlet(STDERR).write(line.encode("utf-8", "backslashreplace") + b"\n")

    log = debug = info = warning = error = critical = msg


def configure(settings: LogConfig, **facts: object) -> None:
    """Set this process up; `facts` (role=, generation=, ...) and the pid stand on every line. Call again after a fork."""
    standard.outlet(STDERR)  # opened by the master, while it may; children inherit it
    console = settings.format == "console" or (settings.format == "auto" and os.isatty(STDERR))
    render: list[structlog.typing.Processor]
    render = [_printable, _console()] if console else [_in_order, structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=[
            _add_facts,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,  # a plain traceback: the rich one shows local variables, keys among them
            *render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[settings.level]),
        logger_factory=_Stderr,
        cache_logger_on_first_use=False,  # a child configures anew
    )
    _facts.clear()
    _facts.update(pid=os.getpid(), **facts)


def flush() -> None:
    """Write what waits for room, and tell what was dropped for want of it. To be called by the process's loop now and then."""
    standard.flush_all()
    outlet = standard.outlet(STDERR)
    if outlet.dropped and not outlet.waiting:
        lines, outlet.dropped = outlet.dropped, 0
        get_logger().error("log.dropped", lines=lines)
        if outlet.dropped:  # nor was that taken: a disk that is still full, a reader that is gone
            outlet.dropped = lines


def set_level(level: str) -> None:
    """From now on, in this process."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]))


def get_logger() -> structlog.typing.FilteringBoundLogger:
    """A logger that follows the latest `configure`: `get_logger().info("ready", milliseconds=7)`."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger()
    return logger


def _add_facts(_: object, __: str, event: Event) -> Event:
    for name, value in _facts.items():
        event.setdefault(name, value)
    return event


def _in_order(_: object, __: str, event: Event) -> Event:
    """For people who read JSON: when, how bad, what; then the rest."""
    first = {name: event.pop(name) for name in ("timestamp", "level", "event")}
    return {**first, **event}


def _printable(_: object, __: str, event: Event) -> Event:
    """Escape what steers a terminal: text of clients and backends ends up here. JSON escapes by itself."""
    for name, value in event.items():
        if isinstance(value, str) and not value.isprintable() and name != "exception":
            event[name] = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in value)
    return event


def _console() -> structlog.dev.ConsoleRenderer:
    traceback = structlog.dev.plain_traceback
    return structlog.dev.ConsoleRenderer(colors=os.isatty(STDERR), exception_formatter=traceback, pad_event_to=16)


class Bucket:
    """A token bucket: `burst` events at once, `rate` a second in the long run. The clock comes in as an argument."""

    __slots__ = ("_burst", "_rate", "_since", "_tokens", "suppressed")

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._tokens = float(burst)
        self._since = -float("inf")
        self.suppressed = 0
        """Refused since the last one that passed."""

    def take(self, now: float) -> int | None:
        """None: hold it back. Otherwise it may pass, and the number tells how many were held back before it."""
        self._tokens = min(self._burst, self._tokens + (now - self._since) * self._rate)
        self._since = now
        if self._tokens < 1.0:
            self.suppressed += 1
            return None
        self._tokens -= 1.0
        held, self.suppressed = self.suppressed, 0
        return held


class Noisy:
    """Events that clients can cause at will: each name of event has its own bucket; a line tells how many were `suppressed`."""

    def __init__(self, rate: float = 1.0, burst: int = 10, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._buckets: dict[str, Bucket] = {}

    def info(self, event: str, **fields: object) -> None:
        self._log("info", event, fields)

    def warning(self, event: str, **fields: object) -> None:
        self._log("warning", event, fields)

    def _log(self, level: str, event: str, fields: dict[str, object]) -> None:
        bucket = self._buckets.get(event)
        if bucket is None:
            bucket = self._buckets[event] = Bucket(self._rate, self._burst)
        held = bucket.take(self._clock())
        if held is not None:
            if held:
                fields["suppressed"] = held
            getattr(get_logger(), level)(event, **fields)
