# cython: boundscheck=False, wraparound=False
"""The chunked coding, taken off strictly and put on again (RFC 9112 7.1).

Theory: a body is never passed on in the sender's own chunks. The decoder accepts the narrow grammar below and gives payload; the
encoder writes chunks of ours. So chunk extensions (where parsers differ about quotes, bare LF and length) and leading zeros die
here. Of trailers the decoder keeps the lines; which of them are passed on is for http/trailers.py to say.

    size-line   1*8HEXDIG [BWS ";" ext] CRLF     ext: visible bytes, HTAB, SP, obs-text; the line at most 1 KiB
    data        that many bytes, then exactly CRLF
    last        0 CRLF, then trailer lines of the field grammar (at most 8 KiB), then CRLF

In answers there may be blanks around the size, and any number of zeros in front of it.

Everything but data is read a byte at a time through a table of moves: nothing is held back for a line that is not whole, and a byte
costs the same wherever the pieces end. Chunks of one byte took 1.5 us each when lines were matched by a pattern, and fifty clients
that sent them kept a worker to themselves; compiled, the table takes 15 ns, and the rest of a body is not slower (2026-11-28). For
the same reason short runs of data are gathered in one buffer: a piece of 64 KiB gives one payload, not ten thousand objects.
"""

from __future__ import annotations

from lbproxy.errors import LbproxyError

MAX_SIZE_LINE = 1024
MAX_TRAILERS = 8 * 1024
MAX_DIGITS = 8
LARGEST = 16**MAX_DIGITS
"""Bytes; every chunk is smaller."""
SHORT = 24
"""Bytes of a run that are copied one by one; for a longer one an object of its own costs less."""

LAST_CHUNK = b"0\r\n\r\n"


class ChunkError(LbproxyError):
    """The chunked body breaks the grammar; where it ends is anybody's guess, so the connection cannot be used any more."""


# ---------------------------------------------------------------- what may follow what

# States. DIGITS and those before it, and TRAILER and those behind it, are told by comparison.
_BROKEN, _BEGIN, _DIGITS, _PADDING, _BLANKS, _EXTENSION, _SIZE_CR, _SIZE_LF, _DATA, _DATA_END, _DATA_CR = range(11)
_TRAILER, _NAME, _VALUE, _TRAILER_CR, _LAST_CR, _DONE = range(11, 17)

_BAD, _CR, _LF, _HEX, _TOKEN, _COLON, _SEMICOLON, _BLANK, _TEXT = range(9)
_TCHAR = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"  # RFC 9110 5.6.2
_DIGIT_VALUES = b"0123456789abcdef"


def _kind(byte: int) -> int:
    if byte in b"0123456789ABCDEFabcdef":
        return _HEX
    if byte in _TCHAR:
        return _TOKEN
    by_itself = {0x0D: _CR, 0x0A: _LF, 0x3A: _COLON, 0x3B: _SEMICOLON, 0x20: _BLANK, 0x09: _BLANK}
    if byte in by_itself:
        return by_itself[byte]
    return _TEXT if 0x21 <= byte <= 0x7E or byte >= 0x80 else _BAD  # field-value bytes of RFC 9110 5.5, nothing else


_FIELD = (_HEX, _TOKEN, _COLON, _SEMICOLON, _BLANK, _TEXT)

MOVES: dict[tuple[int, int], int] = {
    (_BEGIN, _HEX): _DIGITS,
    (_DIGITS, _HEX): _DIGITS,
    (_DIGITS, _BLANK): _BLANKS,
    (_DIGITS, _SEMICOLON): _EXTENSION,
    (_DIGITS, _CR): _SIZE_CR,
    (_BLANKS, _BLANK): _BLANKS,
    (_BLANKS, _SEMICOLON): _EXTENSION,  # white space with nothing behind it is refused: "5 \r\n" is two things to two parsers
    **{(_EXTENSION, kind): _EXTENSION for kind in _FIELD},
    (_EXTENSION, _CR): _SIZE_CR,
    (_SIZE_CR, _LF): _SIZE_LF,
    (_DATA_END, _CR): _DATA_CR,
    (_DATA_CR, _LF): _BEGIN,
    (_TRAILER, _CR): _LAST_CR,
    (_TRAILER, _HEX): _NAME,
    (_TRAILER, _TOKEN): _NAME,
    (_NAME, _HEX): _NAME,
    (_NAME, _TOKEN): _NAME,
    (_NAME, _COLON): _VALUE,
    **{(_VALUE, kind): _VALUE for kind in _FIELD},
    (_VALUE, _CR): _TRAILER_CR,
    (_TRAILER_CR, _LF): _TRAILER,
    (_LAST_CR, _LF): _DONE,
}
"""(State, kind of byte) -> the next state. A pair that is missing breaks the grammar."""

PADDED: dict[tuple[int, int], int] = {
    **MOVES,
    (_BEGIN, _BLANK): _PADDING,
    (_PADDING, _BLANK): _PADDING,
    (_PADDING, _HEX): _DIGITS,
    (_BLANKS, _CR): _SIZE_CR,
}
"""The same for answers, which many servers write with a size of fixed width. All readers agree about what such a size is, and the
client gets chunks of ours in any case."""

LINE_FEEDS: dict[tuple[int, int], int] = {
    **PADDED,
    (_DIGITS, _LF): _SIZE_LF,
    (_BLANKS, _LF): _SIZE_LF,
    (_EXTENSION, _LF): _SIZE_LF,
    (_DATA_END, _LF): _BEGIN,
    (_VALUE, _LF): _TRAILER,
    (_TRAILER, _LF): _DONE,
}
"""And where lines that end with LF alone are tolerated."""

# The same as bytes, for a loop in C: 16 kinds a state.
_KINDS = bytes(_kind(byte) for byte in range(256))
_VALUES = bytes(max(0, _DIGIT_VALUES.find(bytes([byte]).lower())) for byte in range(256))


def _table(moves: dict[tuple[int, int], int]) -> bytes:
    return bytes(moves.get((state, kind), _BROKEN) for state in range(_DONE + 1) for kind in range(16))


STRICT, LENIENT, LENIENT_LF = _table(MOVES), _table(PADDED), _table(LINE_FEEDS)
"""What a decoder goes by."""


class ChunkDecoder:
    """Feed it what arrives; it gives the payload back. After `done`, `rest` holds the bytes behind the body."""

    __slots__ = ("_left", "_length", "_most", "_moves", "_state", "done", "rest", "section")

    def __init__(self, moves: bytes = STRICT) -> None:
        """`moves`: STRICT for requests; for answers LENIENT, or LENIENT_LF."""
        self._moves = moves
        self._most = MAX_DIGITS if moves is STRICT else MAX_SIZE_LINE  # of digits, zeros in front included
        self._state = _BEGIN
        self._left = 0  # payload bytes of the chunk still to come; while its size is read, as far as that is known
        self._length = 0  # of the size line so far, or of all trailers
        self.done = False
        self.rest = b""
        self.section = b""
        """What came behind the last chunk, up to the end of the body: trailers, each with its line's end, and the empty line."""

    def feed(self, data: bytes) -> bytes:
        """Take `data`, return the payload in it (perhaps none). Raises ChunkError."""
        kinds, values, moves, most = _KINDS, _VALUES, self._moves, self._most
        begin, digits, size_lf, in_data, data_end, trailer, over = _BEGIN, _DIGITS, _SIZE_LF, _DATA, _DATA_END, _TRAILER, _DONE
        short, size, largest = SHORT, len(data), LARGEST
        line, trailers = MAX_SIZE_LINE, MAX_TRAILERS + 2  # with the CRLF behind them; in C, since every byte is compared with them
        state, left, length = self._state, self._left, self._length
        at = behind = 0  # `behind`: where the section of trailers begins, or goes on
        small = bytearray()
        pieces: list[bytes | bytearray] = []
        while at < size:
            if state == in_data:
                end = at + left if left < size - at else size
                left -= end - at
                if end - at > short:
                    if small:
                        pieces.append(small)
                        small = bytearray()
                    pieces.append(data[at:end])
                    at = end
                else:
                    while at < end:
                        small.append(data[at])
                        at += 1
                if left:
                    break
                state = data_end
                continue
            byte = data[at]
            at += 1
            before = state
            state = moves[state * 16 + kinds[byte]]
            length += 1
            if state <= digits:  # these also tell that it is broken, and where a size line begins
                if state == begin:
                    length = 0
                elif state == 0 or length > most:
                    raise ChunkError(_malformed(before))
                else:
                    left = left * 16 + values[byte]
                    if left >= largest:
                        raise ChunkError(_malformed(before))
            elif state >= trailer:
                if length > trailers:
                    raise ChunkError("trailers too long")
                if state == over:
                    self.done = True
                    self.rest = data[at:]
                    break
            elif length > line:
                raise ChunkError("chunk size line too long")
            elif state == size_lf:
                state = in_data if left else trailer
                length = 0
                behind = at
        if state >= trailer:
            self.section += data[behind:at]
        self._state, self._left, self._length = state, left, length
        if not pieces:
            return bytes(small)
        if small:
            pieces.append(small)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)  # type: ignore[return-value]  # a lone piece is one of data


def _malformed(state: int) -> str:
    """What was wrong, by where it was."""
    if state in (_DATA_END, _DATA_CR):
        return "chunk data is not followed by CRLF"
    return "trailer malformed" if state >= _TRAILER else "chunk size line malformed"


def last_chunk(lines: bytes) -> bytes:
    """The end of a body that has trailers; `lines`: each with its CRLF behind it."""
    return b"0\r\n%b\r\n" % lines


def encode_chunk(payload: bytes) -> bytes:
    """One chunk; `payload` must not be empty, since that would end the body."""
    return b"%x\r\n%b\r\n" % (len(payload), payload)
