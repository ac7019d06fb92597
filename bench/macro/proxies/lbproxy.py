"""lbproxy: this checkout, the same as plain Python, without its accept balance, or another revision."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

from bench.macro import steps
from bench.macro.errors import BenchError
from bench.macro.interpreter import interpreter
from bench.macro.site import Recipe, Site
from lbproxy import compiled

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
{routes}
[[route]]
pool = "pool"
{stored}
[pool.pool]
balance = "least_conn"
backends = [{servers}]
{spoken}
[timeouts]
keepalive = "300s"
"""


def lbproxy(site: Site, source: Path = REPOSITORY) -> Recipe:
    """`source` is the folder that holds the package: this checkout, or another revision's tree."""
    config = site.folder / "lbproxy.toml"
    verified = f'tls = {{ ca = "{site.backend_ca}", server_name = "localhost" }}' if site.backend_ca else ""
    config.write_text(
        _CONFIG.format(
            **site._asdict(),
            access=site.access_log,
            routes=steps.lbproxy_routes(site.folder, site.icap) if site.steps else "",
            servers=", ".join(f'"127.0.0.1:{port}"' for port in site.backends),
            stored=_stored(site),
            spoken='protocol = "h2"' if site.backend_http2 else verified,
        )
    )
    python = interpreter()
    return Recipe([python.program, "-m", "lbproxy", "start", "-c", str(config)], {"PYTHONPATH": python.path(source)}, source)


def _stored(site: Site) -> str:
    """Large bodies in files, as nginx has all."""
    if not site.cache:
        return ""
    bodies = site.folder / "bodies"
    bodies.mkdir(exist_ok=True)
    coded = '[route.compress]\ncodings = ["gzip"]\ntypes = ["text/plain"]\n' if site.compress else ""
    return f'{coded}[route.cache]\n[cache]\nmemory = "64MiB"\nfiles = "{bodies}"\ndisk = "256MiB"\n'


def pure(site: Site) -> Recipe:
    """This checkout as plain Python, whatever is compiled."""
    recipe = lbproxy(site)
    return recipe._replace(env={**recipe.env, "LBPROXY_PURE": "1"})


def greedy(site: Site) -> Recipe:
    """This checkout with workers that never leave a connection to the others (greedy.py)."""
    recipe = lbproxy(site)
    python, *_, verb, option, config = recipe.command
    return recipe._replace(command=[python, "-m", "bench.macro.greedy", verb, option, config])


def revision(name: str, folder: Path) -> Callable[[Site], Recipe]:
    """lbproxy as of another commit, run by this Python with this environment's libraries, in the form in which this checkout runs.

    Its hot modules are compiled if those of the checkout are, and if it is not older than that. The tree is written below `folder`.
    """
    made = subprocess.run(["git", "-C", str(REPOSITORY), "archive", name], capture_output=True, check=False)
    if made.returncode != 0:
        raise BenchError(f"no lbproxy at revision {name!r}: {made.stderr.decode(errors='replace').strip()}")
    tree = folder / "tree"
    with tarfile.open(fileobj=io.BytesIO(made.stdout)) as archive:
        if hasattr(tarfile, "data_filter"):
            archive.extractall(tree, filter="data")
        else:  # Python before 3.11.4; the archive is git's own, of our own commit
            archive.extractall(tree)
    if compiled.form().paths and (tree / "lbproxy" / "compiled.py").exists():
        _compile(name, tree)
    return lambda site: lbproxy(site, tree)


def _compile(name: str, tree: Path) -> None:
    """BenchError unless it runs compiled afterwards: a compiled checkout beside plain Python would be no comparison."""
    build = [sys.executable, "-W", "ignore", "setup.py", "-q", "build_ext", "--inplace"]
    built = subprocess.run(build, cwd=tree, capture_output=True, text=True, check=False)
    ask = [sys.executable, "-c", "from lbproxy import compiled; print(compiled.describe())"]
    asked = subprocess.run(ask, cwd=tree, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(tree)})
    if not asked.stdout.startswith("compiled"):
        said = (built.stderr + asked.stdout + asked.stderr).strip()
        raise BenchError(f"this checkout is compiled, and lbproxy at {name!r} could not be: {said[-400:]}")
