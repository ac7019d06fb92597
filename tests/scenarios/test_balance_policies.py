"""Who gets a request when something else than its load decides: its source, a cookie, whose turn it is, who is only a backup."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from tests.conftest import Stage
from tests.support.shared import assert_books_close
from tests.support.wire import Client


def name_of(client: Client, *fields: tuple[str, str]) -> str:
    response = client.request("GET", "/echo", fields)
    assert response.status == 200
    return str(json.loads(response.body)["name"])


def three(stage: Stage, workers: int = 2, **app: Any) -> tuple[list[Any], Any]:
    apps = [stage.app(f"app{number}") for number in range(3)]
    proxy = stage.proxy(*[one.address for one in apps], workers=workers, app=app)
    proxy.wait_up(*[one.address for one in apps])
    return apps, proxy


def test_round_robin_over_all_workers(stage: Stage) -> None:
    """Connections that end at different workers walk one round."""
    _, proxy = three(stage, balance="round_robin")
    counted = Counter(name_of(stage.client(proxy)) for _ in range(12))
    assert counted == {"app0": 4, "app1": 4, "app2": 4}
    assert_books_close(proxy)


def test_least_time_leaves_the_slow_one_alone(stage: Stage) -> None:
    """Once its time is known, to whichever worker; what one worker learnt the other goes by."""
    fast = stage.app("fast")
    with slow_server() as slow:
        proxy = stage.proxy(fast.address, slow, workers=2, app={"balance": "least_time"})
        proxy.wait_up(fast.address, slow)
        asked = [name_of(stage.client(proxy)) for _ in range(40)]
    assert asked.count("slow") in (1, 2), "each worker may ask it before the first answer is there"
    assert_books_close(proxy)


@contextmanager
def slow_server() -> Iterator[str]:
    """A backend that thinks for a while: its address."""

    class Slow(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:  # http.server's word
            time.sleep(1.0)  # as long as it takes; the other one is done in milliseconds
            body = b'{"name": "slow"}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_the_same_source_to_the_same_backend(stage: Stage) -> None:
    """Whichever worker it meets; when its backend dies it moves, and only those of that backend do."""
    apps, proxy = three(stage, balance="source_hash", hash="header X-User")
    users = [f"user{number}" for number in range(12)]

    def places() -> dict[str, str]:
        return {user: name_of(stage.client(proxy), ("X-User", user)) for user in users}

    before = places()
    assert len(set(before.values())) == 3
    assert places() == before
    apps[0].kill()
    proxy.wait_event("backend.down", backend=apps[0].address)
    after = places()
    assert {user for user in users if before[user] != after[user]} == {user for user in users if before[user] == "app0"}
    assert_books_close(proxy)


def test_a_client_stays_by_its_cookie(stage: Stage) -> None:
    """Over connections and workers; when its backend dies it is given another one."""
    apps, proxy = three(stage, sticky={"cookie": "srv"})
    first = stage.client(proxy).request("GET", "/echo")
    given = [value for name, value in first.fields if name.lower() == "set-cookie"]
    assert len(given) == 1
    assert given[0].endswith("; Path=/; HttpOnly; SameSite=Lax; Secure")
    cookie = ("Cookie", given[0].partition(";")[0])
    home = str(json.loads(first.body)["name"])
    assert {name_of(stage.client(proxy), cookie) for _ in range(6)} == {home}
    lost = next(app for app in apps if app.name == home)
    lost.kill()
    proxy.wait_event("backend.down", backend=lost.address)
    moved = stage.client(proxy).request("GET", "/echo", [cookie])
    assert json.loads(moved.body)["name"] != home
    assert any(name.lower() == "set-cookie" and value != given[0] for name, value in moved.fields)
    assert_books_close(proxy)


def test_a_backup_is_one(stage: Stage) -> None:
    """Unused while the other one lives, and again when it is back."""
    main, backup = stage.app("main"), stage.app("backup")
    health = {"interval": "100ms", "timeout": "10s", "fall": 1, "rise": 1}  # a dead one refuses at once, a busy machine does not
    backends = [{"address": main.address}, {"address": backup.address, "backup": True}]
    config = stage.config(app={"backends": backends, "health": health})
    proxy = stage.run(config)
    proxy.wait_up(main.address, backup.address)
    client = stage.client(proxy)
    assert {name_of(client) for _ in range(6)} == {"main"}
    main.kill()
    assert name_of(client) == "backup", "tried elsewhere; five such in a row, and main would be ejected for half a minute"
    # Its absence must not pass between two probes: it would never be up again.
    proxy.wait_event("backend.down", backend=main.address)
    assert {name_of(client) for _ in range(6)} == {"backup"}
    main.start()
    proxy.wait_event("backend.up", backend=main.address, skip=1)
    assert {name_of(client) for _ in range(6)} == {"main"}
    assert_books_close(proxy)
