"""lbproxy: this checkout, the same as plain Python, without its accept gate, or another revision."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

from bench.macro.errors import BenchError
from bench.macro.site import Recipe, Site

REPOSITORY = Path(__file__).parents[3]

_CONFIG = """\
[proxy]
workers = {workers}
[log]
access = "{access}"
[[listen]]
address = "127.0.0.1:{https}"
certificates = [{{ cert = "{certificate.cert}", key = "{certificate.key}" }}]
[[listen]]
address = "127.0.0.1:{http}"
[[route]]
pool = "pool"
[pool.pool]
balance = "least_conn"
backends = [{servers}]
{verified}
[timeouts]
keepalive = "300s"
"""


def lbproxy(site: Site, source: Path = REPOSITORY) -> Recipe:
    """`source` is the folder that holds the package: this checkout, or another revision's tree."""
    config = site.folder / "lbproxy.toml"
    config.write_text(
        _CONFIG.format(
            **site._asdict(),
            access=site.access_log,
            servers=", ".join(f'"127.0.0.1:{port}"' for port in site.backends),
            verified=f'tls = {{ ca = "{site.backend_ca}", server_name = "localhost" }}' if site.backend_ca else "",
        )
    )
    return Recipe([sys.executable, "-m", "lbproxy", "start", "-c", str(config)], {"PYTHONPATH": str(source)}, source)


def pure(site: Site) -> Recipe:
    """This checkout as plain Python, whatever is compiled."""
    recipe = lbproxy(site)
    return recipe._replace(env={**recipe.env, "LBPROXY_PURE": "1"})


def gateless(site: Site) -> Recipe:
    """This checkout with workers that never leave a connection to the others (gateless.py)."""
    recipe = lbproxy(site)
    python, *_, verb, option, config = recipe.command
    return recipe._replace(command=[python, "-m", "bench.macro.gateless", verb, option, config])


def revision(name: str, folder: Path) -> Callable[[Site], Recipe]:
    """lbproxy as of another commit, run by this Python with this environment's libraries, and compiled if it can be.

    The tree is written below `folder`.
    """
    made = subprocess.run(["git", "-C", str(REPOSITORY), "archive", name], capture_output=True, check=False)
    if made.returncode != 0:
        raise BenchError(f"no lbproxy at revision {name!r}: {made.stderr.decode(errors='replace').strip()}")
    tree = folder / "tree"
    with tarfile.open(fileobj=io.BytesIO(made.stdout)) as archive:
        archive.extractall(tree, filter="data")
    if (tree / "setup.py").exists():
        command = [sys.executable, "-W", "ignore", "setup.py", "-q", "build_ext", "--inplace"]
        built = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
        if built.returncode != 0:
            raise BenchError(f"lbproxy at {name!r} does not build: {(built.stderr or built.stdout).strip()[-400:]}")
    return lambda site: lbproxy(site, tree)
