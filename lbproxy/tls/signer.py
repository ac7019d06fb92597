"""The loop of a process that holds keys: one question, one signature, until the worker that asks is gone.

Keys are read from the store, which the worker does not have, when they are first asked for. One that was wiped there (renewed, and
its time is over) is forgotten at the next question.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

from lbproxy.tls import libcrypto
from lbproxy.tls.keystore import overwriting, wiped
from lbproxy.tls.signing import DONE, ECDSA, LARGEST, PKCS1, PSS, REFUSED, SigningQuestion, unpacked

MOST = 1000
"""Keys that are held at a time; the one asked for last comes last."""
LARGEST_KEY = 128 * 1024
"""Bytes of a file with a key: others may stand beside it."""
_PADDING = {PSS: libcrypto.NO_PADDING, PKCS1: libcrypto.PKCS1_PADDING, ECDSA: 0}
_KINDS = {PSS: libcrypto.RSA, PKCS1: libcrypto.RSA, ECDSA: libcrypto.EC}


class Signer:
    """Answers one worker. `count` gets whether each question was answered with a signature."""

    def __init__(self, sock: socket.socket, store: int, count: Callable[[bool], object]) -> None:
        """`store`: a descriptor."""
        self._sock = sock
        self._store = store
        self._count = count
        self._keys: dict[tuple[int, int], int] = {}

    def serve(self) -> None:
        """Until the other end is closed."""
        while True:
            try:
                said = self._sock.recv(LARGEST + 1)
            except ConnectionError:
                return
            if not said:
                return
            signature = self._answer(said)
            self._count(signature is not None)
            try:
                self._sock.send(REFUSED if signature is None else DONE + signature)
            except OSError:
                return

    def _answer(self, said: bytes) -> bytes | None:
        question = unpacked(said)
        if question is None:
            return None
        key = self._key(question)
        if not key or libcrypto.functions().EVP_PKEY_get_base_id(key) != _KINDS[question.kind]:
            return None
        return libcrypto.sign(key, _PADDING[question.kind], question.data)

    def _key(self, question: SigningQuestion) -> int:
        """0: there is none."""
        place = (question.offset, question.size)
        known = self._keys.pop(place, 0)
        if known and not os.pread(self._store, 1, question.offset).strip(b"\0"):
            libcrypto.functions().EVP_PKEY_free(known)
            return 0
        if not known:
            known = self._read(question)
            while known and len(self._keys) >= MOST:
                libcrypto.functions().EVP_PKEY_free(self._keys.pop(next(iter(self._keys))))
        if known:
            self._keys[place] = known
        return known

    def _read(self, question: SigningQuestion) -> int:
        if not 0 < question.size <= LARGEST_KEY:
            return 0
        try:
            with wiped(question.size) as text, overwriting(sweep=False):
                if os.preadv(self._store, [text], question.offset) < question.size:
                    return 0
                return libcrypto.load(text)
        except (OSError, OverflowError):
            return 0
