"""Requests of an HTTP/2 connection that were over before they began: given up by their client, refused for what came behind their
heads, or still waiting when the connection ended. They have their line in the access log as others do.

But whoever gives up three hundred with one write pays 8 KB for it, and would have us write 100 KB: what is over by the same turn of
the loop, for the same reason, is one line, which tells of the first and has the number of all.
"""

from __future__ import annotations

from lbproxy.errors import RequestError
from lbproxy.http.grpc import GrpcCode, call_in, code_of
from lbproxy.http.h2.vocabulary import Fields
from lbproxy.http.message import RequestHead
from lbproxy.proxy.downstream import outcome_of
from lbproxy.proxy.grpc_call import LOGGED
from lbproxy.proxy.h2.h2_downstream import Bearer


class _Alike:
    """Those of one turn and reason."""

    __slots__ = ("came", "count", "fields", "status")

    def __init__(self, status: int, fields: Fields, came: float) -> None:
        self.status = status
        self.fields = fields
        self.came = came
        self.count = 1


class Unbegun:
    """Those of one connection and turn."""

    __slots__ = ("_bearer", "_found")

    def __init__(self, bearer: Bearer) -> None:
        self._bearer = bearer
        self._found: dict[str, _Alike] = {}

    def note(self, error: Exception | None, fields: Fields, came: float) -> None:
        """One more; `error`: see `outcome_of`; `fields`: its own, as far as they are known; `came`: when it did."""
        status, reason = outcome_of(error)
        alike = self._found.get(reason)
        if alike is None:
            self._found[reason] = _Alike(status, fields, came)
        else:
            alike.count += 1

    def tell(self) -> None:
        """The turn is there: count them, and write their lines."""
        for reason, alike in self._found.items():
            self._tell(reason, alike)

    def _tell(self, reason: str, alike: _Alike) -> None:
        client, service = self._bearer.client, self._bearer.service
        counters, access, ended = service.counters, service.access, service.clock()
        counters.count_alike(alike.status, alike.count, ended - alike.came)
        head, call = self._head_of(alike.fields), ""
        if head is not None and call_in(head)[0]:
            code = GrpcCode.CANCELLED if alike.status == 499 else code_of(alike.status, reason)
            counters.grpc[code] += alike.count
            call = LOGGED[code]
        if access is None:
            return
        about = client.about(head) if head is not None else access.describe(client.peer, b"-", b"", b"", "HTTP/2")
        if alike.count > 1:
            call += f',"requests":{alike.count}'
        came = alike.came
        access.record(about + call, alike.status, reason, 0, 0, "", 0, 0.0, came, came, came, came, ended)

    def _head_of(self, fields: Fields) -> RequestHead | None:
        """None where they are none that HTTP/1 could say, or not known."""
        try:
            return self._bearer.request_fields.read(fields, True, self._bearer.key) if fields else None
        except RequestError:
            return None
