"""A browser shows a page through lbproxy: document, style and scripts from nginx, data from an application on another route,
a WebSocket, server-sent events.
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from tests.conftest import Stage
from tests.support.backends import Conversation, Scripted, nginx, websocket_server
from tests.support.certificates import public_key_pin
from tests.support.tools import need

PAGE = """<!doctype html>
<html><head><link rel=stylesheet href=/style.css></head>
<body><p id=answer>nothing yet</p><p id=colour></p><p id=socket></p><script src=/script.js></script></body></html>
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
// Virtual time stands still while a request is under way, but not for a WebSocket: so events are listened to until both are over.
const source = new EventSource('/events/');
const streamed = new Promise(resolve => {
  source.onmessage = event => { seen.push(event.data); if (seen.length === 3) resolve(seen.join(',')); };
});
Promise.all([spoken, streamed]).then(([echoed, events]) => {
  source.close();
  document.getElementById('socket').textContent = 'echoed ' + echoed + ' events ' + events;
});
Promise.all(answers).then(lengths => {
  document.getElementById('answer').textContent = 'lengths ' + lengths.join(',');
  document.getElementById('colour').textContent = getComputedStyle(document.getElementById('answer')).color;
});
"""


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


def test_chromium_shows_the_page(stage: Stage, tmp_path: Path) -> None:
    """Chromium, headless, trusting exactly our certificate's key, runs the page's scripts to their end."""
    chromium = need("chromium", "chromium-browser", "google-chrome")
    with nginx(tmp_path) as files, websocket_server(tmp_path) as sockets, Scripted(events) as source:
        for name, text in {"index.html": PAGE, "style.css": STYLE, "script.js": SCRIPT}.items():
            (tmp_path / "www" / name).write_text(text)
        app = stage.app()
        config = stage.config(files.address, workers=2, route=[])
        for name, address in {"api": app.address, "socket": sockets.address, "events": source.address}.items():
            config["pool"][name] = {"backends": [address]}
            config["route"].append({"path": f"/{name}/", "pool": name})
        config["pool"]["events"]["timeouts"] = {"body_idle": f"{BODY_IDLE * 1000:.0f}ms"}
        config["route"].append({"pool": "app"})
        proxy = stage.run(config)
        pin = public_key_pin(Path(config["listen"][0]["certificates"][0]["cert"]))
        browsed = subprocess.run(
            [
                *(chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
                *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"),
                *(f"--user-data-dir={tmp_path}/profile", f"--ignore-certificate-errors-spki-list={pin}"),
                *("--virtual-time-budget=20000", "--dump-dom", f"https://localhost:{proxy.port()}/"),
            ],
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
    wanted = ",".join(str(1000 * number) for number in range(12))
    assert f"lengths {wanted}" in browsed.stdout, browsed.stdout + browsed.stderr
    assert "rgb(1, 2, 3)" in browsed.stdout
    assert "echoed hello,100000,4001 events 0,1,2" in browsed.stdout, browsed.stdout + browsed.stderr
