"""Files of users and hashed passwords: read as htpasswd writes them; hashes that cost nothing to try are refused."""

from __future__ import annotations

import pytest

from lbproxy.config.passwords import NOBODY, parse

BCRYPT = "$2y$10$8kWzJOaY7V0mUSD7q6WcAeO7OY0mPpuO5ZQlHTvRGOC1/8cSfNQQu"
ARGON2 = "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHRzb21lc2FsdA$iWh06vD8Fy27wf9npn6FXWiCX4K6pW6Ue1Bnzz07Z8A"


def test_a_file() -> None:
    """Comments and empty lines are nobody; what stands behind a second colon is not looked at."""
    users, faults = parse(f"# staff\nalice:{BCRYPT}\r\n\nbob smith:{ARGON2}\ncarol:{BCRYPT}:more\n")
    assert faults == []
    assert users.hashes == {"alice": BCRYPT, "bob smith": ARGON2, "carol": BCRYPT}
    assert users.kinds == {"bcrypt", "argon2"}
    assert users.stand_in == BCRYPT, "what most of them cost"


def test_nobody() -> None:
    """An empty file lets nobody in, and has nobody to stand in for others."""
    assert parse("") == (NOBODY, [])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("alice:$apr1$x$y", "MD5"), ("alice:$1$x$y", "MD5"), ("alice:{SHA}abc=", "SHA-1"), ("alice:$6$x$y", "SHA-512"),
        ("alice:$5$x$y", "SHA-256"), ("alice:secret", "plain text"), ("alice:abJnggxhB/yWI", "crypt"), ("alice:", "plain text"),
        (f"alice:{BCRYPT[:-1]}", "cut short"), (f"alice:{BCRYPT.replace('$10$', '$31$')}", "cost of 31"),
        (f"alice:{BCRYPT.replace('$10$', '$03$')}", "cost of 3"), (f"alice:{ARGON2.replace('65536', '99999999')}", "more memory"),
        (f"alice:{ARGON2.replace('t=3', 't=9999')}", "more memory"),
        (f":{BCRYPT}", "wanted name:hash"), ("alice", "wanted name:hash"),
        (f"al\x7fice:{BCRYPT}", "visible ASCII"), (f"al\xefce:{BCRYPT}", "visible ASCII"), (f"x:{BCRYPT}\nx:{BCRYPT}", "twice"),
    ],
)  # fmt: skip
def test_refused(line: str, message: str) -> None:
    """With its line, and what to write instead."""
    users, faults = parse(f"# users\n{line}\n")
    [fault] = faults
    assert message in fault.message
    assert fault.hint
    assert fault.line == 2 + line.count("\n")
    assert len(users.hashes) == line.count("\n")
