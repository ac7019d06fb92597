"""How Sphinx builds these pages: scripts/docs. Warnings are errors, so a link that leads nowhere fails."""

from __future__ import annotations

import sys
from pathlib import Path

from sphinx.application import Sphinx

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parent)]

from generate import generate  # noqa: E402  # the path comes first

from lbproxy import __version__  # noqa: E402

project = "lbproxy"
author = "the lbproxy maintainers"
release = version = __version__
copyright = f"2026, {author}"  # noqa: A001  # Sphinx's name for it

extensions = ["myst_parser"]
myst_enable_extensions = ["deflist", "colon_fence"]
myst_heading_anchors = 3
nitpicky = True

html_theme = "furo"
html_title = f"lbproxy {release}"
html_static_path = ["_static"]
html_show_copyright = False
exclude_patterns = ["_build", "_generated"]  # the latter is included by pages


def setup(app: Sphinx) -> None:
    """What can be asked of the code is not written down again."""
    app.connect("builder-inited", lambda _: generate(Path(__file__).parent / "_generated"))
