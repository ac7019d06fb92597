"""The framing of bodies, where each ends: one function a direction, step by step in the order of RFC 9112 6.3.

What the standard merely allows a recipient to repair is refused here.
"""

from __future__ import annotations

from collections.abc import Sequence

from lbproxy.errors import RefusedAnswer, RequestError
from lbproxy.http.grammar import CONTENT_LENGTH
from lbproxy.http.message import CHUNKED, NO_BODY, UNTIL_CLOSE


def request_body(lengths: Sequence[bytes], codings: Sequence[bytes], minor: int) -> int:
    """The body of a request from its Content-Length and Transfer-Encoding fields' values (lower case). Raises RequestError(400)."""
    if codings:
        if lengths:
            # RFC 9112 6.3 (3): "ought to be handled as an error". CL.TE and TE.CL smuggling begin here.
            raise RequestError(400, "length_and_encoding", "Content-Length together with Transfer-Encoding")
        if len(codings) > 1 or codings[0] != b"chunked" or minor == 0:
            # Any other coding leaves the length to the reader's imagination; and 1.0 has no codings (RFC 9112 6.1).
            raise RequestError(400, "transfer_encoding", "Transfer-Encoding other than one 'chunked' on HTTP/1.1")
        return CHUNKED
    if not lengths:
        return NO_BODY
    if len(lengths) > 1 or CONTENT_LENGTH.match(lengths[0]) is None:
        raise RequestError(400, "content_length", "Content-Length is not one plain number")
    return int(lengths[0])


def response_body(head_only: bool, status: int, lengths: Sequence[bytes], codings: Sequence[bytes], minor: int) -> int:
    """The body of a response; `head_only`: it answers HEAD. Raises RefusedAnswer."""
    if status == 204 or status == 304:
        return NO_BODY  # RFC 9112 6.3 (1): it ends at its head whatever stands there; what did not belong there: see misplaced
    if len(lengths) > 1 or (lengths and CONTENT_LENGTH.match(lengths[0]) is None):
        raise RefusedAnswer("response_content_length", "Content-Length of the response is not one plain number")
    if codings and (lengths or len(codings) > 1 or codings[0] != b"chunked" or minor == 0):
        raise RefusedAnswer(
            "response_transfer_encoding", "Transfer-Encoding other than one 'chunked', or beside Content-Length"
        )
    if head_only or status < 200:
        if status < 200 and (codings or (lengths and int(lengths[0]))):
            # RFC 9110 8.6, RFC 9112 6.1: neither field belongs here; a reader that believes it waits for a body that never comes.
            raise RefusedAnswer("response_unexpected_body", f"a {status} response that announces a body")
        return NO_BODY
    if codings:
        return CHUNKED
    if lengths:
        return int(lengths[0])
    return UNTIL_CLOSE


def misplaced(status: int, lengths: Sequence[bytes], codings: Sequence[bytes]) -> bool:
    """Whether a 204 or 304 says something about its body that does not belong there: a body may follow that nobody wants.

    RFC 9110 8.6, 15.4.5: a 304 may tell the length that a 200 would have; of a 204 a zero says the same as nothing.
    """
    if codings or len(lengths) > 1:
        return True
    if not lengths:
        return False
    return CONTENT_LENGTH.match(lengths[0]) is None or (status == 204 and int(lengths[0]) > 0)
