"""The limit on how long a request may take as a whole: its route's (`timeouts.request`), or the deadline of a gRPC client."""

from __future__ import annotations

from lbproxy.errors import RequestError
from lbproxy.proxy.downstream import Downstream
from lbproxy.proxy.request_body import RequestBody


class TimeLimit:
    """One request's; it goes off in the request's greenlet, wherever that waits, unless it is stopped."""

    __slots__ = ("_alarm", "_client", "_reason", "_upload", "until")

    def __init__(self, client: Downstream, upload: RequestBody | None, until: float, reason: str = "request_timeout") -> None:
        """`until`: by the service's clock; `upload`: whose client is told 408 when it is him who keeps everybody waiting."""
        self._client = client
        self._upload = upload
        self._reason = reason
        self.until = until
        self._alarm = client.service.strands.alarm(max(0.0, until - client.service.clock()), self._over)

    def _over(self) -> None:
        strand = self._client.strand
        if strand is not None:
            late_client = self._upload is not None and self._upload.awaits_client
            strand.throw(RequestError(408 if late_client else 504, self._reason, "the request took too long as a whole"))

    def stop(self) -> None:
        """It may take as long as it likes from here on, or is over. Stopping twice is harmless."""
        self._alarm.stop()
