"""A browser shows a page through lbproxy: document, style and scripts from nginx, data from an application on another route."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.conftest import Stage
from tests.support.backends import nginx
from tests.support.certificates import public_key_pin
from tests.support.tools import need

PAGE = """<!doctype html>
<html><head><link rel=stylesheet href=/style.css></head>
<body><p id=answer>nothing yet</p><p id=colour></p><script src=/script.js></script></body></html>
"""
STYLE = "#answer { color: rgb(1, 2, 3) }\n"
SCRIPT = """
const answers = [...Array(12).keys()].map(async number => {
  const response = await fetch('/api/echo?n=' + number, { method: 'POST', body: 'x'.repeat(1000 * number) });
  return (await response.json()).length;
});
Promise.all(answers).then(lengths => {
  document.getElementById('answer').textContent = 'lengths ' + lengths.join(',');
  document.getElementById('colour').textContent = getComputedStyle(document.getElementById('answer')).color;
});
"""


def test_chromium_shows_the_page(stage: Stage, tmp_path: Path) -> None:
    """Chromium, headless, trusting exactly our certificate's key, runs the page's scripts to their end."""
    chromium = need("chromium", "chromium-browser", "google-chrome")
    with nginx(tmp_path) as files:
        for name, text in {"index.html": PAGE, "style.css": STYLE, "script.js": SCRIPT}.items():
            (tmp_path / "www" / name).write_text(text)
        app = stage.app()
        config = stage.config(files.address, workers=2, route=[{"path": "/api/", "pool": "api"}, {"pool": "app"}])
        config["pool"]["api"] = {"backends": [app.address]}
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
