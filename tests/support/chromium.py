"""A headless Chromium that a test drives over its DevTools protocol: goes somewhere, and looks at or does what a script says."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from websockets.sync.client import ClientConnection, connect

from tests.support.tools import need
from tests.support.waiting import eventually


class Chromium:
    """As a context: running inside, gone after."""

    def __init__(self, profile: Path, *arguments: str) -> None:
        self._profile = profile
        program = need("chromium", "chromium-browser", "google-chrome")
        self._command = [
            *(program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
            *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"),
            *(f"--user-data-dir={profile}", "--remote-debugging-port=0", "--remote-allow-origins=*", *arguments, "about:blank"),
        ]
        self._number = 0
        self._stack = ExitStack()
        self._process: subprocess.Popen[bytes] | None = None
        self._page: ClientConnection | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        place = self._profile / "DevToolsActivePort"
        port = eventually(lambda: place.read_text().partition("\n")[0] if place.exists() else "", "it listens", within=60)
        pages = eventually(lambda: self._pages(port), "there is a page", within=60)
        self._page = self._stack.enter_context(connect(pages[0], max_size=None))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()
        assert self._process is not None
        self._process.terminate()
        self._process.wait(30)

    @staticmethod
    def _pages(port: str) -> list[str]:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=30) as answer:
            return [each["webSocketDebuggerUrl"] for each in json.load(answer) if each["type"] == "page"]

    def _ask(self, method: str, **parameters: Any) -> Any:
        assert self._page is not None
        self._number += 1
        self._page.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        until = time.monotonic() + 60
        while time.monotonic() < until:
            told = json.loads(self._page.recv(timeout=60))
            if told.get("id") == self._number:
                return told.get("result", {})
        raise AssertionError(f"no answer to {method}")

    def go(self, url: str) -> None:
        """Begin to load it."""
        self._ask("Page.navigate", url=url)

    def run(self, script: str) -> Any:
        """What an expression gives in the page that is shown; None when it fails."""
        return self._ask("Runtime.evaluate", expression=script, returnByValue=True).get("result", {}).get("value")
