"""Interim answers (1xx), passed on until the final head is there.

A backend may send as many as it likes, over as long a time: 102 while it works, 103 with hints. What is limited is how much of them
comes in how much time, so that nobody keeps a worker busy with them: AT_ONCE bytes, and RATE a second beyond.
"""

from __future__ import annotations

from lbproxy.errors import RefusedAnswer, UpstreamError
from lbproxy.http.heads import KnownHead, ResponseHeads
from lbproxy.http.message import RequestHead
from lbproxy.http.upgrade import fault
from lbproxy.proxy.requester import Client
from lbproxy.proxy.response_head import next_head
from lbproxy.proxy.upload import Upload
from lbproxy.streams import NEVER, Stream

AT_ONCE = 64 * 1024
RATE = 4 * 1024


class Interim:
    """Of one try."""

    __slots__ = ("_client", "_head", "_patience", "_upload", "closes", "written")

    def __init__(self, client: Client, head: RequestHead, upload: Upload | None, patience: float) -> None:
        """`patience`: seconds that each next head may take, while no body is on its way."""
        self._client = client
        self._head = head
        self._upload = upload
        self._patience = patience
        self.closes = False
        """One of them said so, or was mended."""
        self.written = 0
        """Bytes that the client got."""

    def carry(self, stream: Stream, known: KnownHead, data: bytes, heads: ResponseHeads) -> tuple[KnownHead, bytes]:
        """`known`: the first of them; `data`: what is here behind it. The final head, or that of a 101, and what is behind it."""
        clock, head = self._client.service.clock, self._head
        begun, came = clock(), 0
        while known.head.status < 200:
            if known.head.status == 101:
                if reason := fault(head, known.head, self._upload is None or self._upload.sent):
                    raise RefusedAnswer(reason, "the backend switched protocols without being asked to, or to another one")
                break
            self.closes = self.closes or not known.head.keep_alive
            came += len(known.raw)
            if came > AT_ONCE + RATE * (clock() - begun):
                raise RefusedAnswer("response_endless_interim", f"{came} bytes of interim responses in {clock() - begun:.1f} s")
            if self._upload is not None and known.head.status == 100:
                self._upload.invited = True
            if head.minor == 1:  # RFC 9110 15.2: a 1.0 client does not know 1xx
                self._client.stream.write(known.out)
                self.written += len(known.out)
            pumping = self._upload is not None and self._upload.pumping
            stream.deadline = NEVER if pumping else clock() + self._patience
            try:
                known, data = next_head(stream, data, heads, head.method)
            except UpstreamError as error:
                if error.reason == "response_closed":  # but it had begun to answer: it did not die as an idle connection does
                    raise UpstreamError(502, "response_truncated", "the backend closed after an interim response") from error
                raise
        return known, data
