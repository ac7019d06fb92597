"""What backends may answer, as plain files: raw bytes in `accept/`, `reject/` and `cut/`, `index.toml` beside them the verdict.

- `reject`: nothing of it is passed on; the client gets a 502 that names `reason`
- `cut`: the head is sound, the body breaks: the client gets the head and sees that the body is not whole; `reason` as logged
- `accept`: `status` (200 unless told), `payload`; `reuse`: whether the connection may carry another request;
  `present`, `absent`: names of fields (lower case) that the client gets and does not get; `never`: text it does not get at all

In all of them: `method` of the request (GET unless told); `end`: the backend closes behind it; `interim`: 1xx come in front, which
are passed on as they come.
"""

from __future__ import annotations

from pathlib import Path

from tests.corpus.http1 import vectors as files

Vector = files.Vector

FOLDER = Path(__file__).resolve().parent


def vectors(kind: str) -> list[Vector]:
    """All of "accept", "reject" or "cut", in the order of the index."""
    return files.vectors(kind, FOLDER)
