"""The loop that answers for keys: it holds so many at a time, and ends with who asks."""

from __future__ import annotations

import socket
from contextlib import closing
from pathlib import Path
from threading import Thread

import pytest

from lbproxy.tls import signer
from lbproxy.tls.keystore import KeyStore
from lbproxy.tls.signer import Signer
from lbproxy.tls.signing import DONE, ECDSA, PKCS1, REFUSED, SigningQuestion
from tests.unit.tls.files import ec_key, key_pem, write


def test_more_keys_than_are_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them sign, as often as they are asked, and never more than MOST are in memory."""
    monkeypatch.setattr(signer, "MOST", 2)
    with closing(KeyStore()) as store:
        places = [store.take(write(tmp_path / f"{number}.key", key_pem(ec_key()))) for number in range(4)]
        sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        held: list[int] = []
        one = Signer(theirs, store.fileno(), lambda done: held.append(len(one._keys)))
        thread = Thread(target=one.serve)
        thread.start()
        for _ in range(3):
            for at, size in places:
                sock.send(SigningQuestion(ECDSA, at, size, bytes(32)).packed())
                assert sock.recv(4096).startswith(DONE)
        sock.send(SigningQuestion(PKCS1, *places[0], bytes(36)).packed())  # of an EC key
        assert sock.recv(4096) == REFUSED
        sock.close()
        thread.join(60)
        assert not thread.is_alive()
        assert max(held) == 2
        theirs.close()
