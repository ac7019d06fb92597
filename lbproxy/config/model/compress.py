"""The table [route.compress]."""

from __future__ import annotations

from dataclasses import dataclass

from lbproxy.config import route_values as said
from lbproxy.config.atoms import KIB, MIB
from lbproxy.config.key import key
from lbproxy.config.kinds import Kind, ListOf, size

_CODING = Kind("coding", said.coding, {"enum": ["gzip", "zstd", "br"]}, examples=("gzip", "zstd", "br"))
_TYPE = Kind("media type", said.type_or_family, {"type": "string", "pattern": "^[^/]+/[^/]+$"}, examples=("text/css", "text/*"))

TYPES = (
    "text/css", "text/javascript", "application/javascript", "application/wasm", "application/manifest+json", "text/plain",
    "text/xml", "application/xml", "application/rss+xml", "application/atom+xml", "image/svg+xml", "image/bmp",
    "font/ttf", "font/otf", "application/vnd.ms-fontobject",
)  # fmt: skip
"""Unless others are named."""
TELLING = ("text/html", "application/xhtml+xml", "application/json")
"""What may have in it both a secret and something that a stranger chose: its compressed length tells of the secret (BREACH)."""


@dataclass(frozen=True, slots=True)
class CompressConfig:
    """[route.compress], answers that are compressed on their way to clients who want that."""

    codings: tuple[str, ...] = key(
        ListOf(_CODING, 'a list of codings such as ["zstd", "gzip"]', empty=("coding", "leave the table out"), ordered=True),
        ("gzip",),
        "those that are offered, best first: gzip (by isal where that is installed, for a quarter of the CPU), "
        "zstd (needs zstandard), br (needs brotli; for what [route.cache] stores alone, it is too slow for more). All of them: "
        "pip install 'lbproxy[compress]'",
    )
    types: tuple[str, ...] = key(
        ListOf(_TYPE, 'a list of types such as ["text/css", "text/*"]', empty=("type", "leave the key out for the default")),
        (),
        "media types; text/* is all that begin so, but for text/event-stream, which is named or not meant. Default: style "
        "sheets, scripts, fonts, SVG, XML, plain text; not text/html and application/json, which may have in them a secret and "
        "something that a stranger chose: their compressed length tells of the secret (BREACH)",
        example=["text/*", "application/json"],
    )
    min_length: int = key(size(0, MIB), KIB, "answers that are known to be shorter are left as they are", example="512B")

    @property
    def all_types(self) -> tuple[str, ...]:
        """Those that are compressed."""
        return self.types or TYPES
