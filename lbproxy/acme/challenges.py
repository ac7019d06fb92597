"""The answers that are shown to authorities right now: files in the folder, so that all machines that share it show them.

Whoever orders puts one there; every machine's process looks once a second, and tells the master what its workers are to show.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from lbproxy.acme.challenge_certificate import challenge_certificate
from lbproxy.acme.dns_command import DnsRunner, record_of
from lbproxy.acme.folder import CHALLENGE, AcmeFolder
from lbproxy.acme.network import AuthorityRefused
from lbproxy.acme.ordering import ChallengeAnswer
from lbproxy.config.model.acme import DNS, HTTP, TLS_ALPN
from lbproxy.ipc.messages import ChallengeOver, ChallengeShown, Message

LOOK_EVERY = 1.0
STALE = 3600.0
"""Seconds after which what somebody left there is nobody's."""
PATIENCE = 20.0
_WORD = re.compile(r"[A-Za-z0-9._-]{1,512}\Z")


def packed(answer: ChallengeAnswer) -> bytes:
    """As it stands in its file."""
    return json.dumps({"version": 1, **answer._asdict()}).encode("ascii")


def unpacked(content: bytes) -> ChallengeAnswer | None:
    """What a file says; None where it says nothing that we understand."""
    try:
        told = json.loads(content)
        found = ChallengeAnswer(*(told[field] for field in ChallengeAnswer._fields))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    good = found.kind in (HTTP, TLS_ALPN, DNS) and all(isinstance(each, str) and _WORD.match(each) for each in found)
    return found if good else None


class Challenges:
    """One process's view of them; `look` from a thread of its own."""

    def __init__(self, folder: AcmeFolder, say: Callable[[Message], None], wait: float, runner: DnsRunner | None) -> None:
        """`say`: to the master; `wait`: see [acme] challenge_wait."""
        self._folder = folder
        self._say = say
        self._wait = wait
        self._runner = runner
        self._told: dict[str, ChallengeAnswer] = {}
        self._changed = threading.Condition()
        self._wake = threading.Event()

    def run(self) -> None:
        """For ever, in a thread that ends with the process."""
        while True:
            with suppress(OSError):  # the disk does not answer: the next look may find it
                self.look(time.time())
            self._wake.wait(LOOK_EVERY)
            self._wake.clear()

    def look(self, now: float) -> None:
        """Tell the master what came and went. `now`: seconds since 1970."""
        there: dict[str, ChallengeAnswer] = {}
        for name in self._folder.challenges():
            answer = self._told.get(name)
            if answer is None:
                content = self._folder.read(name)
                answer = None if content is None else unpacked(content)
            if answer is not None and answer.kind != DNS:
                there[name] = answer
        for name in [name for name in self._told if name not in there]:
            gone = self._told[name]
            self._say(ChallengeOver(gone.kind, gone.name, gone.token))
        for name, answer in there.items():
            if name not in self._told:
                shown = answer.authorization
                if answer.kind == TLS_ALPN:
                    shown = challenge_certificate(answer.name, answer.authorization, datetime.fromtimestamp(now, UTC))
                self._say(ChallengeShown(answer.kind, answer.name, answer.token, shown))
        with self._changed:
            self._told = there
            self._changed.notify_all()

    @contextmanager
    def shown(self, answer: ChallengeAnswer) -> Iterator[None]:
        """Shown while the context is open: by workers, or in the DNS. Raises Refused and OSError."""
        name = f"{CHALLENGE}{answer.token[:64]}"
        self._folder.write(name, packed(answer))
        try:
            if answer.kind == DNS:
                self._in_the_dns("present", answer)
            else:
                self._wait_for(name)
            time.sleep(self._wait)
            yield
        finally:
            if answer.kind == DNS:
                with suppress(AuthorityRefused):
                    self._in_the_dns("cleanup", answer)
            self._folder.remove(name)
            self._wake.set()

    def _wait_for(self, name: str) -> None:
        self._wake.set()
        with self._changed:
            if not self._changed.wait_for(lambda: name in self._told, PATIENCE):
                raise AuthorityRefused("the answer to its challenge could not be shown in time")

    def _in_the_dns(self, action: str, answer: ChallengeAnswer) -> None:
        if self._runner is None:
            raise AuthorityRefused("there is no dns_command")
        if why := self._runner.ask(action, *record_of(answer.name, answer.authorization)):
            raise AuthorityRefused(why)

    def tidy(self) -> None:
        """With the lock held, which nobody else has: what is left there is of processes that were killed."""
        for name in self._folder.challenges():
            content = self._folder.read(name)
            answer = None if content is None else unpacked(content)
            if answer is not None and answer.kind == DNS:
                with suppress(AuthorityRefused):
                    self._in_the_dns("cleanup", answer)
            self._folder.remove(name)
