"""A site that keeps changing: backends, routes, listeners, certificates and workers come and go, the answers stay right.

Each change is proved on the running proxy: a reload that changes nothing would be easy to survive. Proofs wait for a moment: an
old worker may accept another connection before it reads that it should not.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from pathlib import Path

from bench.reload.job import Job
from tests.conftest import Stage
from tests.support.backends import Server, nginx
from tests.support.ports import free_port
from tests.support.process import LbProxy
from tests.support.reloads import Config, Reloads
from tests.support.waiting import eventually
from tests.support.wire import Client

SMALL, BIG, UPLOAD = "/small", "/big", "/mirror"
BIG_BYTES = 16 * 1024 * 1024


class MovingSite:
    """Three equal nginx (the third one comes and goes), an application for uploads, and lbproxy in front."""

    def __init__(self, stage: Stage, *, workers: int = 2, **proxy: str | int) -> None:
        self.stage = stage
        self.backends = [self._nginx(name) for name in ("a", "b", "c")]
        self.app = stage.app("uploads")
        self._certificates = [stage.authority.issue("localhost", "127.0.0.1"), stage.authority.issue("localhost", "second.test")]
        self._second_port = free_port()
        first, second, _ = (server.address for server in self.backends)
        config = stage.config(first, second, workers=workers, log={"access": "off"}, proxy=proxy)
        config["listen"][0]["certificates"] = [self._certificates[0]]
        config["route"] = [{"path": UPLOAD, "pool": "uploads"}, {"pool": "app"}]
        config["pool"]["uploads"] = {"backends": [self.app.address]}
        self.proxy: LbProxy = stage.run(config)
        self.reloads = Reloads(self.proxy)
        self.turn = 0
        self.proxy.wait_up(*config["pool"]["app"]["backends"], self.app.address)

    def _nginx(self, name: str) -> Server:
        directory: Path = self.stage.directory / f"site-{name}"
        www = directory / "www"
        www.mkdir(parents=True)
        (www / "small").write_bytes(b"small\n" * 300)
        (www / "big").write_bytes(bytes(range(256)) * (BIG_BYTES // 256))
        (www / "name").write_text(name)
        for folder in (directory, www):
            folder.chmod(0o755)
        return self.stage.server(nginx(directory))

    def job(self) -> Job:
        """The load of the promise: 8 busy, 24 idle, 2 fresh, 2 downloads; and 1 that uploads."""
        ca = str(self.stage.authority.file)
        return Job(self.proxy.port(), ca, small=SMALL, big=BIG, upload=UPLOAD, uploads=1, busy_pause=0.005)

    # ---- changes

    def next_change(self) -> str:
        """Reload with the next change, each kind in turn, there and back; proved before it returns. Its name."""
        kind, back = self.turn % len(CHANGES), (self.turn // len(CHANGES)) % 2 == 1
        self.turn += 1
        change = CHANGES[kind]
        change(self, back)
        return f"{change.__name__}{' back' if back else ''}"

    def backend(self, back: bool) -> None:
        """A third backend comes, or goes."""
        shown = {server.address for server in (self.backends[:2] if back else self.backends)}
        ups = len(self.proxy.events("backend.up"))

        def edit(config: Config) -> None:
            config["pool"]["app"]["backends"] = sorted(shown)

        self.reloads.reload(edit)
        if not back:
            if not any(event["backend"] == self.backends[2].address for event in self.proxy.events("backend.up")):
                self.proxy.wait_event("backend.up", skip=ups)
            eventually(lambda: self._name("/name") == b"c", "the new backend serves")
        else:
            eventually(lambda: b"c" not in {self._name("/name") for _ in range(8)}, "the removed backend gets nothing")

    def route(self, back: bool) -> None:
        """/routed goes to a pool of its own, or nowhere special."""

        def edit(config: Config) -> None:
            if back:
                del config["route"][0], config["pool"]["routed"]
            else:
                config["route"].insert(0, {"path": "/routed", "pool": "routed"})
                config["pool"]["routed"] = {"backends": [self.app.address]}

        self.reloads.reload(edit)
        eventually(lambda: self._status("/routed") == (404 if back else 200), "the route is " + ("gone" if back else "there"))

    def listener(self, back: bool) -> None:
        """A second listener is bound, or closed."""

        def edit(config: Config) -> None:
            if back:
                del config["listen"][1]
            else:
                config["listen"].append({**config["listen"][0], "address": f"127.0.0.1:{self._second_port}"})

        self.reloads.reload(edit)
        if back:
            eventually(lambda: not accepts(self._second_port), "the removed listener refuses")
        else:
            with Client(self._second_port, ca=self.stage.authority.file) as client:
                assert client.request("GET", SMALL).status == 200

    def certificate(self, back: bool) -> None:
        """The other certificate for the same name."""
        files = self._certificates[0 if back else 1]

        def edit(config: Config) -> None:
            for listen in config["listen"]:
                listen["certificates"] = [files]

        self.reloads.reload(edit)
        wanted = ssl.PEM_cert_to_DER_cert(Path(files["cert"]).read_text().split("-----END")[0] + "-----END CERTIFICATE-----\n")
        eventually(lambda: self._shown() == wanted, "the other certificate is shown")

    def workers(self, back: bool) -> None:
        """Three workers, or two again."""
        count = 2 if back else 3

        def edit(config: Config) -> None:
            config["proxy"]["workers"] = count

        self.reloads.reload(edit)
        eventually(lambda: len(self.reloads.workers()) == count, f"{count} workers of the new generation")

    def _client(self) -> Client:
        return Client(self.proxy.port(), ca=self.stage.authority.file)

    def _shown(self) -> bytes | None:
        with self._client() as client:
            return client.tls.getpeercert(binary_form=True)

    def _status(self, target: str) -> int:
        with self._client() as client:
            return client.request("GET", target).status

    def _name(self, target: str) -> bytes:
        with self._client() as client:
            return client.request("GET", target).body


def accepts(port: int) -> bool:
    """Whether anybody listens there."""
    try:
        socket.create_connection(("127.0.0.1", port), 60).close()
    except (ConnectionRefusedError, ConnectionResetError):  # reset: it was closed in this moment
        return False
    return True


CHANGES: list[Callable[[MovingSite, bool], None]] = [
    MovingSite.backend,
    MovingSite.route,
    MovingSite.listener,
    MovingSite.certificate,
    MovingSite.workers,
]
