"""One of three backends fails while clients ask that never ask twice: what they notice of it, and where requests go meanwhile.

A process that is killed, stopped or answers 503 is told of in test_backend_lost.py and test_health_evidence.py. What the same
faults cost clients of nginx and HAProxy: `scripts/bench faults`, whose backends these are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from signal import SIGTERM

import pytest

from bench.faults.crew import Crew
from bench.macro.machine import Cores
from tests.conftest import Stage
from tests.support.certificates import Authority
from tests.support.load import Load, faults_in
from tests.support.process import LbProxy, run_cli
from tests.support.shared import assert_books_close
from tests.support.tools import need
from tests.support.waiting import eventually

MANY = 90
"""Requests."""


class Site:
    """An lbproxy with 4 workers before the crew, and clients that ask."""

    def __init__(self, stage: Stage, crew: Crew) -> None:
        self.crew, self._ca = crew, stage.authority.file
        self.addresses = [f"127.0.0.1:{port}" for port in crew.ports]
        health = {"type": "http", "path": "/health", "interval": "400ms", "timeout": "350ms", "fall": 5}
        self.proxy: LbProxy = stage.proxy(
            *self.addresses,
            workers=4,
            proxy={"control": "control.sock"},
            app={
                "health": health,
                "outlier": {"ejection": "200ms", "longest": "200ms"},
                "retry_on": ["connect", "closed", "timeout"],
            },
            timeouts={"response_head": "300ms", "connect": "300ms"},
        )
        self.proxy.wait_up(*self.addresses)

    def load(self) -> Load:
        return Load(self.proxy.port(), self._ca, connections=12, target="/tiny", length=3, pause=0.01)

    def asked(self) -> int:
        """Requests so far."""
        return len(self.proxy.access())

    def shares(self, first: int, count: int = MANY) -> Counter[str]:
        """Who answered of `count` requests from number `first` on, once they are over."""
        lines = self.proxy.wait_access(count=first + count)[first : first + count]
        return Counter(str(line["backend"]) for line in lines if line["status"] == 200)

    def left(self, address: str) -> None:
        """It is sent nothing any more, but a request on trial now and then."""
        eventually(lambda: self.shares(self.asked(), 50)[address] <= 2, "traffic leaves the backend")

    def back(self, address: str) -> None:
        """It has its share again."""
        eventually(lambda: self.shares(self.asked(), 60)[address] >= 15, "traffic is back")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Site]:
    """The same for all faults; after the last one `lbproxy status --verify` finds nothing to complain about."""
    need("nginx")
    directory = tmp_path_factory.mktemp("faults")
    (directory / "crew").mkdir()
    with ExitStack() as stack:
        crew = Crew(directory / "crew", Cores())
        stack.callback(crew.stop)
        made = Site(Stage(directory, authority, stack), crew)
        yield made
        ended = run_cli("status", "--verify", "-c", str(made.proxy.file))
        assert (ended.returncode, ended.stderr) == (0, ""), ended


@pytest.mark.parametrize("mood", ["reset", "mute"])
def test_nothing_of_an_answer_came(site: Site, mood: str) -> None:
    """Requests that are reset, or not answered in time, are answered by another backend, and then nobody goes there."""
    app = site.addresses[0]
    with site.load() as load:
        site.proxy.wait_access(count=site.asked() + MANY)
        site.crew.app.mood(mood)
        begun = site.asked()
        # Who waits for an answer that does not come is in no log yet: to see nobody there would not say that traffic has left.
        eventually(lambda: any(line["tries"] == 2 for line in site.proxy.access()[begun:]), "a request is answered elsewhere")
        site.left(app)
        shares = site.shares(site.asked())
        site.crew.app.mood("well")
        site.back(app)
        outcomes = load.stop()
    assert not faults_in(outcomes), (outcomes, load.faults[:5])
    assert min(shares[address] for address in site.addresses[1:]) >= MANY // 4, shares
    assert_books_close(site.proxy)


@pytest.mark.parametrize(("mood", "outcome"), [("cut", "truncated"), ("500-hidden", "status-500")])
def test_answers_that_had_begun(site: Site, mood: str, outcome: str) -> None:
    """They cannot be taken back, so clients see what is wrong with them, and nothing else; then nobody goes there, time after time:
    on trial it is sent a handful of requests."""
    app = site.addresses[0]
    with site.load() as load:
        site.proxy.wait_access(count=site.asked() + MANY)
        ejections = len(site.proxy.events("backend.ejected"))
        site.crew.app.mood(mood)
        for again in range(2):
            site.proxy.wait_event("backend.ejected", skip=ejections + again)
        site.left(app)
        site.crew.app.mood("well")
        site.back(app)
        outcomes = load.stop()
    faults = faults_in(outcomes)
    assert set(faults) == {outcome}, (outcomes, load.faults[:5])
    assert faults[outcome] <= 120, faults
    assert_books_close(site.proxy)


def test_slow(site: Site) -> None:
    """One that needs 200 ms gets less than the others meanwhile, nothing is lost, and it has its share when it is well again."""
    app = site.addresses[0]
    with site.load() as load:
        site.proxy.wait_access(count=site.asked() + MANY)
        site.crew.app.mood("slow")
        shares = site.shares(site.asked())
        site.crew.app.mood("well")
        site.back(app)
        outcomes = load.stop()
    assert shares[app] < min(shares[address] for address in site.addresses[1:]), shares
    assert not faults_in(outcomes), (outcomes, load.faults[:5])
    assert_books_close(site.proxy)


def test_restarted(site: Site) -> None:
    """An nginx that is told to end, and started again: nobody notices, though connections to it were kept."""
    nginx, address = site.crew.servers[1], site.addresses[1]
    with site.load() as load:
        site.proxy.wait_access(count=site.asked() + MANY)
        nginx.signal(SIGTERM)
        nginx.stop()
        site.left(address)
        nginx.start()
        site.back(address)
        outcomes = load.stop()
    assert not faults_in(outcomes), (outcomes, load.faults[:5])
    assert_books_close(site.proxy)


def test_a_post_is_not_sent_twice(site: Site, stage: Stage) -> None:
    """Of what reached the failing backend the client hears that it failed, though others are idle."""
    app = site.addresses[0]
    site.crew.app.mood("well")
    client = stage.client(site.proxy)

    def post() -> tuple[int, str | None]:
        answer = client.request("POST", "/upload", body=b"once")
        return answer.status, answer.get("x-backend")

    eventually(lambda: post() == (204, "app"), "it is in use")
    begun = len(site.proxy.access())
    site.crew.app.mood("reset")
    try:
        eventually(lambda: post()[0] == 502, "one that went there")
    finally:
        site.crew.app.mood("well")
    site.proxy.wait_access(status=502)
    assert {(line["backend"], line["tries"]) for line in site.proxy.access()[begun:] if line["status"] == 502} == {(app, 1)}
