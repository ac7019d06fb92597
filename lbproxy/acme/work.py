"""The work of the process, in a thread of its own since it waits on a network: which name is due, and what becomes of it."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import urlsplit

from lbproxy.acme.authority import AcmeAccount, AuthorityConnection
from lbproxy.acme.challenges import Challenges
from lbproxy.acme.folder import AcmeFolder
from lbproxy.acme.lock import FolderLock
from lbproxy.acme.network import AuthorityRefused
from lbproxy.acme.ordering import Ordering, Surroundings, ari_id, trusting
from lbproxy.acme.record import IssuedCertificate, NameRecord
from lbproxy.acme.schedule import ARI_AGAIN, ari_again, back_off, renewal_at, within_window
from lbproxy.config.acme_names import file_of
from lbproxy.config.model import AcmeConfig, AuthorityConfig
from lbproxy.ipc.messages import AcmeName, Message
from lbproxy.observe.log import get_logger

LOOK_EVERY = 1.0
READ_EVERY = 5.0
"""Seconds until what other machines wrote into the folder is read again."""


class Files(NamedTuple):
    """What an authority's `ca` and `eab_key` hold."""

    ca: bytes | None = None
    eab_key: str = ""


class Stopped(Exception):
    """The process is to end."""


class Known(NamedTuple):
    """What is known of a name."""

    record: NameRecord
    held: IssuedCertificate | None


class AcmeWork:
    """`run` it in a thread; `stop` from another."""

    def __init__(
        self,
        acme: AcmeConfig,
        names: tuple[str, ...],
        folder: AcmeFolder,
        challenges: Challenges,
        lock: FolderLock,
        say: Callable[[Message], None],
        files: Mapping[str, Files],
    ) -> None:
        """`say`: to the master; `files`: by the authority's directory."""
        self._acme = acme
        self._names = names
        self._folder = folder
        self._challenges = challenges
        self._lock = lock
        self._say = say
        self._files = files
        self._stopping = threading.Event()
        self._known: dict[str, Known] = {}
        self._told: dict[str, AcmeName] = {}
        self._read_at = 0.0
        self.busy: tuple[str, float] | None = None
        """The name that is being seen to, and since when, monotonic seconds."""

    def run(self) -> None:
        """Until it is stopped."""
        while not self._stopping.is_set():
            try:
                self.look(time.time())
            except Stopped:
                return
            except OSError as error:
                get_logger().warning("acme.folder", why=f"{error.filename or ''} {error.strerror or error}".strip())
                self._stopping.wait(READ_EVERY)
            self._stopping.wait(LOOK_EVERY)

    def stop(self) -> None:
        """As soon as the authority has answered what it was asked."""
        self._stopping.set()

    def look(self, now: float) -> None:
        """See to what is due. `now`: seconds since 1970. Raises OSError."""
        if time.monotonic() >= self._read_at:
            self._read_at = time.monotonic() + READ_EVERY
            for name in self._names:
                self._read(name)
        due = [name for name in self._names if self._due(name, now)]
        if not due or not self._lock.take():
            return
        try:
            self._challenges.tidy()
            for name in due:
                self._alive()
                self._read(name)  # another machine may have been here
                if self._due(name, now):
                    self._see_to(name)
        finally:
            self.busy = None
            self._lock.give_back()

    def _due(self, name: str, now: float) -> bool:
        record, held = self._known[name]
        return record.due(held) <= now or (held is not None and record.ari_at <= now)

    def _read(self, name: str) -> None:
        record, held = self._folder.record(name), self._folder.held(name)
        if held is not None and not record.renew_at:  # somebody else put it there, or the record is lost
            record = replace(record, renew_at=renewal_at(held.start, held.end, random.random()))  # noqa: S311  # no secret
        self._know(name, record, held)

    def _know(self, name: str, record: NameRecord, held: IssuedCertificate | None, *, ordering: bool = False) -> None:
        self._known[name] = Known(record, held)
        state = "ordering" if ordering else "good" if held is not None else "waiting"
        told = AcmeName(name, state, int(max(0.0, record.due(held))), min(record.failures, 10**6), record.why, record.authority)
        if self._told.get(name) != told:
            self._told[name] = told
            self._say(told)

    def _alive(self) -> None:
        if self._stopping.is_set():
            raise Stopped
        if not self._lock.refresh():
            raise AuthorityRefused("another machine has taken the lock of the folder: this one was asleep")

    def _see_to(self, name: str) -> None:
        record, held = self._known[name]
        self.busy = (name, time.monotonic())
        now = time.time()
        if held is not None and record.due(held) > now:
            self._ask_window(name, record, held)
            return
        self._know(name, record, held, ordering=True)
        whys: list[str] = []
        wait, lost = 0.0, False
        for authority in self._acme.authorities:
            try:
                self._obtain(name, authority, record, held)
                return
            except AuthorityRefused as error:
                whys.append(f"{urlsplit(authority.directory).hostname}: {error}")
                wait, lost = max(wait, error.wait), error.lost
            except OSError as error:
                whys.append(f"{error.filename or ''} {error.strerror or error}".strip())
            except Stopped:
                raise
            except Exception as error:  # an authority's answer that a library trips over: no reason to end
                whys.append(f"{urlsplit(authority.directory).hostname}: {type(error).__name__}: {error}"[:300])
        failed = self._folder.record(name)
        failed = replace(failed, renew_at=failed.renew_at or record.renew_at)
        delay = back_off(failed.failures + 1, random.random(), wait)  # noqa: S311
        failed = failed.failed("; ".join(whys), time.time() + delay, lost=lost)
        self._folder.keep(name, failed)
        self._know(name, failed, held)
        get_logger().warning("acme.failed", name=name, why=failed.why, failures=failed.failures, again_in=round(delay))

    def _connection(self, authority: AuthorityConfig) -> AuthorityConnection:
        files = self._files[authority.directory]
        try:
            context = trusting(files.ca)
        except ValueError as error:
            raise AuthorityRefused(f"ca: {error}") from None
        return AuthorityConnection(authority, self._acme.email, AcmeAccount(self._folder, authority), context, files.eab_key)

    def _obtain(self, name: str, authority: AuthorityConfig, record: NameRecord, held: IssuedCertificate | None) -> None:
        connection = self._connection(authority)
        around = Surroundings(self._acme.key_type, self._acme.challenge, self._challenges.shown, self._alive)
        ordering = Ordering(name, connection, self._folder, around)
        replaces = ""
        if held is not None and record.authority == authority.directory and "renewalInfo" in connection.directory():
            replaces = ari_id(self._folder.read(file_of(name)) or b"")
        text = ordering.run(replaces)
        self._folder.write(file_of(name), text)
        got = self._folder.held(name)
        assert got is not None
        fresh = record.obtained(authority.directory, renewal_at(got.start, got.end, random.random()))  # noqa: S311
        self._folder.keep(name, fresh)
        ordering.tidy()
        self._know(name, fresh, got)
        what = "acme.renewed" if held is not None else "acme.obtained"
        until = _stamp(got.end)
        get_logger().info(what, name=name, authority=urlsplit(authority.directory).hostname, until=until)

    def _ask_window(self, name: str, record: NameRecord, held: IssuedCertificate) -> None:
        """When the authority would like it to be renewed (RFC 9773)."""
        authority = next((each for each in self._acme.authorities if each.directory == record.authority), None)
        fresh = replace(record, ari_at=time.time() + ARI_AGAIN)
        if authority is not None:
            try:
                fresh = self._window(name, self._connection(authority), fresh)
            except AuthorityRefused as error:
                get_logger().info("acme.no_window", name=name, why=str(error))
            except (ValueError, TypeError, OSError) as error:
                get_logger().info("acme.no_window", name=name, why=f"{type(error).__name__}: {error}"[:200])
        self._folder.keep(name, fresh)
        self._know(name, fresh, held)

    def _window(self, name: str, connection: AuthorityConnection, record: NameRecord) -> NameRecord:
        where = connection.directory().get("renewalInfo")
        called = ari_id(self._folder.read(file_of(name)) or b"")
        if not isinstance(where, str) or not called:
            return record
        told = connection.get(f"{where.rstrip('/')}/{called}")
        window = told.get("suggestedWindow")
        if not isinstance(window, dict):
            raise AuthorityRefused("it suggests no window")
        start, end = (datetime.fromisoformat(str(window.get(key)).replace("Z", "+00:00")).timestamp() for key in ("start", "end"))
        now = time.time()
        chosen = record.renew_at if start <= record.renew_at <= end else within_window(start, end, now, random.random())  # noqa: S311
        if chosen != record.renew_at:
            about = {"because": str(told["explanationURL"])[:300]} if isinstance(told.get("explanationURL"), str) else {}
            get_logger().info("acme.window", name=name, renewal=_stamp(chosen), **about)
        return replace(record, renew_at=chosen, ari_at=now + ari_again(connection.wait))


def _stamp(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"
