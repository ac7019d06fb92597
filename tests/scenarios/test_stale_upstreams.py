"""A kept connection to a backend may die at the moment it is used again; the client does not hear of it."""

from __future__ import annotations

from tests.conftest import Stage
from tests.support.backends import Conversation, Scripted
from tests.support.load import Load, faults_in


def test_closed_without_a_word(stage: Stage) -> None:
    """A backend that closes every connection after a response that promised to keep it: no client sees an error."""
    app = stage.app()
    proxy = stage.proxy(app.address, workers=2)
    with Load(proxy.port(), stage.authority.file, connections=16, target="/farewell", length=len(b"farewell\n")) as load:
        proxy.wait_access(count=1000, status=200)
        outcomes = load.stop()
    assert outcomes["ok"] > 900
    assert not faults_in(outcomes), (outcomes, load.faults[:5])


def test_posts_too(stage: Stage) -> None:
    """Also what must not be sent twice: it is sent again only where the backend cannot have begun to work on it."""
    app = stage.app()
    client = stage.client(stage.proxy(app.address))
    for _ in range(200):
        assert client.request("POST", "/farewell", body=b"precious").body == b"farewell\n"
    assert app.state()["requests"] == 201, "each came exactly once (and this question)"


def test_a_fresh_connection_that_dies_is_no_reason_to_repeat_a_post(stage: Stage) -> None:
    """A POST that a backend may have worked on is not sent to another one."""

    def script(conversation: Conversation) -> None:
        conversation.read_head()
        conversation.read_exactly(4)

    with Scripted(script) as first, Scripted(script) as second:
        proxy = stage.proxy(first.address, second.address)
        client = stage.client(proxy)
        assert client.request("POST", "/", body=b"once").status == 502
        assert len(first.received()) + len(second.received()) == 1


def test_a_get_is_repeated_elsewhere(stage: Stage) -> None:
    """An idempotent request whose backend dies before answering goes to another one, once."""

    def script(conversation: Conversation) -> None:
        conversation.read_head()

    app = stage.app()
    with Scripted(script) as broken:
        proxy = stage.proxy(broken.address, app.address)
        client = stage.client(proxy)
        for _ in range(8):
            assert client.request("GET", "/echo").status == 200
    assert any(line["tries"] == 2 for line in proxy.wait_access(count=8))
