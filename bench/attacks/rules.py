"""A rule that refuses, added to a proxy's configuration: a field that is "refused", or that fits a pattern with many wild cards."""

from __future__ import annotations

from pathlib import Path

STARS = 12
"""Wild cards of the pattern, an "a" between each two, and a "b" that never comes."""

_GLOB = "*" + "a*" * (STARS - 1) + "b"
_EXPRESSION = ".*" + "a.*" * (STARS - 1) + "b"
_LBPROXY = """\
[[route]]
[[route.refuse]]
header = "X-Odd"
value = "refused"
[[route.refuse]]
header = "X-Odd"
value = "{glob}"
"""
PLACES: dict[str, tuple[str, str, str]] = {
    "nginx": (
        "nginx.conf",
        "        location / {\n",
        '        location / {{\n            if ($http_x_odd ~ "^(refused|{expression})$") {{ return 403; }}\n',
    ),
    "haproxy": (
        "haproxy.cfg",
        "    default_backend pool\n",
        "    http-request deny if {{ hdr_reg(x-odd) ^(refused|{expression})$ }}\n    default_backend pool\n",
    ),
    "lbproxy": ("lbproxy.toml", '[[route]]\npool = "pool"\n', '[[route]]\npool = "pool"\n' + _LBPROXY.partition("\n")[2]),
}
"""By the beginning of the proxy's name: the file, what stands in it, and what stands there instead."""


def add_to(name: str, folder: Path) -> None:
    """To the configuration in that folder, before the proxy reads it."""
    for begin, (file, before, after) in PLACES.items():
        if name.startswith(begin):
            text = (folder / file).read_text()
            if before not in text:
                raise ValueError(f"{file} has no {before!r}")
            (folder / file).write_text(text.replace(before, after.format(glob=_GLOB, expression=_EXPRESSION), 1))
            return
    raise ValueError(f"nobody knows how {name} is told to refuse something")
