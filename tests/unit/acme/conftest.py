"""A folder, and an authority of our own, for the process's work without a process."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("acme", reason="acme is not installed (pip install -e '.[test]')")

from lbproxy.acme.authority import AcmeAccount, AuthorityConnection
from lbproxy.acme.folder import AcmeFolder
from lbproxy.acme.lock import FolderLock
from lbproxy.acme.ordering import ChallengeAnswer, Surroundings, trusting
from lbproxy.acme.work import AcmeWork, Files
from lbproxy.config.model import AcmeConfig, AuthorityConfig
from lbproxy.ipc.messages import AcmeName, Message
from tests.support.acme_stub import AcmeStub


class Desk:
    """What a test works with."""

    def __init__(self, stub: AcmeStub, path: Path) -> None:
        self.stub = stub
        self.path = path
        self.folder = AcmeFolder(path)
        self.shown: list[ChallengeAnswer] = []
        self.told: list[AcmeName] = []

    def connection(self, **settings: str | Path | None) -> AuthorityConnection:
        authority = AuthorityConfig(self.stub.directory, **settings)  # type: ignore[arg-type]
        account = AcmeAccount(self.folder, authority)
        return AuthorityConnection(authority, "ops@example.com", account, trusting(self.stub.ca.read_bytes()), "c2VjcmV0LXNlY3JldA")

    @contextlib.contextmanager
    def show(self, answer: ChallengeAnswer) -> Iterator[None]:
        self.shown.append(answer)
        yield

    def around(self, key_type: str = "ec256") -> Surroundings:
        return Surroundings(key_type, "http-01", self.show, lambda: None)

    def work(self, *names: str, fallback: AuthorityConfig | None = None, **settings: str) -> AcmeWork:
        first = AuthorityConfig(self.stub.directory, **settings)  # type: ignore[arg-type]
        acme = AcmeConfig(True, first, fallback=fallback)
        files = {each.directory: Files(self.stub.ca.read_bytes()) for each in acme.authorities}
        lock = FolderLock(self.folder, time.monotonic, "test")
        return AcmeWork(acme, names, self.folder, _Shows(self), lock, self._say, files)  # type: ignore[arg-type]

    def _say(self, message: Message) -> None:
        assert isinstance(message, AcmeName)
        self.told.append(message)


class _Shows:
    def __init__(self, desk: Desk) -> None:
        self.shown: Callable[[ChallengeAnswer], contextlib.AbstractContextManager[None]] = desk.show

    def tidy(self) -> None:
        pass


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    (tmp_path / "folder").mkdir()
    with AcmeStub(tmp_path) as stub:
        yield Desk(stub, tmp_path / "folder")
