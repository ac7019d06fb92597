"""A browser shows a page through lbproxy: document, style and scripts from nginx, data from an application on another route,
a WebSocket, server-sent events.
"""

from __future__ import annotations

import base64
import subprocess
import time
from pathlib import Path

import pytest

from tests.conftest import Stage
from tests.support.backends import Conversation, Scripted, nginx, websocket_server
from tests.support.certificates import public_key_pin
from tests.support.tools import need
from tests.support.waiting import PATIENCE, eventually

PAGE = """<!doctype html>
<html><head><link rel=stylesheet href=/style.css></head>
<body><p id=answer>nothing yet</p><script src=/script.js></script></body></html>
"""
STYLE = "#answer { color: rgb(1, 2, 3) }\n"
SCRIPT = """
const answers = [...Array(12).keys()].map(async number => {
  const response = await fetch('/api/echo?n=' + number, { method: 'POST', body: 'x'.repeat(1000 * number) });
  return (await response.json()).length;
});
const socket = new WebSocket('wss://' + location.host + '/socket/');
socket.binaryType = 'arraybuffer';
const echoes = [];
const spoken = new Promise(resolve => {
  socket.onopen = () => { socket.send('hello'); socket.send(new Uint8Array(100000)); };
  socket.onmessage = message => {
    echoes.push(typeof message.data === 'string' ? message.data : message.data.byteLength);
    if (echoes.length === 2) socket.close(4001, 'enough');
  };
  socket.onclose = close => resolve(echoes.join(',') + ',' + close.code);
});
const seen = [];
const source = new EventSource('/events/');
const streamed = new Promise(resolve => {
  source.onmessage = event => { seen.push(event.data); if (seen.length === 3) resolve(seen.join(',')); };
});
const pictures = [...Array(100).keys()].map(number => new Promise(resolve => {
  const picture = new Image();
  picture.onload = picture.onerror = () => resolve(picture.naturalWidth);
  picture.src = '/picture.gif?' + number;
}));
const shown = Promise.all(pictures).then(widths => {
  const entries = performance.getEntriesByType('resource').filter(entry => entry.initiatorType === 'img');
  const connections = entries.filter(entry => entry.connectEnd > entry.connectStart).length;
  return widths.filter(width => width === 7).length + ' over ' + connections + ' more connections';
});
Promise.all([...answers, spoken, streamed, shown]).then(all => {
  source.close();
  const colour = getComputedStyle(document.getElementById('answer')).color;
  const versions = performance.getEntriesByType('resource').map(entry => entry.nextHopProtocol);
  fetch('/report/', { method: 'POST', body: [...all, colour, [...new Set(versions)].join('+')].join(' | ') });
});
"""


PICTURE = base64.b64decode("R0lGODlhBwABAIAAAAAAAP///ywAAAAABwABAAACBISPqVEAOw==")
"""A GIF, 7 pixels wide."""
BODY_IDLE = 0.7
"""Seconds of silence that a body is allowed where events come from."""


def events(conversation: Conversation) -> None:
    """Three server-sent events, the last after a silence in which any other body would be given up, and an open end."""
    conversation.read_head()
    conversation.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 0\n\n")
    conversation.send(b"data: 1\n\n")
    time.sleep(3 * BODY_IDLE)
    conversation.send(b"data: 2\n\n")
    conversation.wait_close()


def report(conversation: Conversation) -> None:
    """What the page found."""
    head = conversation.read_head()
    length = int(head.lower().partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0])
    conversation.read_exactly(length)
    conversation.send(b"HTTP/1.1 204 No Content\r\n\r\n")


@pytest.mark.parametrize("protocols", [["h2", "http/1.1"], ["http/1.1"]], ids=["http2", "http1"])
def test_chromium_shows_the_page(stage: Stage, tmp_path: Path, protocols: list[str]) -> None:
    """Chromium, headless, trusting exactly our certificate's key, runs the page's scripts to their end, and sends what they found.
    Over HTTP/2 a hundred pictures come over the connection of the page.

    (Its virtual time, with which it could print the page itself, stops it from hearing of a WebSocket over HTTP/2.)
    """
    chromium = need("chromium", "chromium-browser", "google-chrome")
    with (
        nginx(tmp_path) as files, websocket_server(tmp_path) as sockets, Scripted(events) as source, Scripted(report) as found,
    ):  # fmt: skip
        for name, text in {"index.html": PAGE, "style.css": STYLE, "script.js": SCRIPT}.items():
            (tmp_path / "www" / name).write_text(text)
        (tmp_path / "www" / "picture.gif").write_bytes(PICTURE)
        app = stage.app()
        config = stage.config(files.address, workers=2, route=[])
        config["listen"][0]["protocols"] = protocols
        backends = {"api": app.address, "socket": sockets.address, "events": source.address, "report": found.address}
        for name, address in backends.items():
            config["pool"][name] = {"backends": [address]}
            config["route"].append({"path": f"/{name}/", "pool": name})
        config["pool"]["events"]["timeouts"] = {"body_idle": f"{BODY_IDLE * 1000:.0f}ms"}
        config["route"].append({"pool": "app"})
        proxy = stage.run(config)
        pin = public_key_pin(Path(config["listen"][0]["certificates"][0]["cert"]))
        browser = subprocess.Popen(
            [
                *(chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
                *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"),
                *(f"--user-data-dir={tmp_path}/profile", f"--ignore-certificate-errors-spki-list={pin}"),
                *("--remote-debugging-port=0", f"https://localhost:{proxy.port()}/"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            eventually(found.received, "the page has reported", within=90)
            eventually(lambda: b" | " in found.received()[0], "all of it", within=PATIENCE)
        finally:
            browser.terminate()
            browser.wait(30)
        said = found.received()[0].partition(b"\r\n\r\n")[2].decode()
    *lengths, spoken, streamed, shown, colour, versions = said.split(" | ")
    assert lengths == [str(1000 * number) for number in range(12)]
    assert (spoken, streamed, colour, versions) == ("hello,100000,4001", "0,1,2", "rgb(1, 2, 3)", protocols[0])
    pictures, connections = shown.removesuffix(" more connections").split(" over ")
    assert pictures == "100"
    assert connections == "0" or protocols == ["http/1.1"]
