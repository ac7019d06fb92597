"""The answers that are shown right now."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("acme", reason="acme is not installed (pip install -e '.[test]')")

from lbproxy.acme.challenges import Challenges, packed, unpacked
from lbproxy.acme.folder import CHALLENGE, MOST_CHALLENGES, AcmeFolder
from lbproxy.acme.network import AuthorityRefused
from lbproxy.acme.ordering import ChallengeAnswer
from lbproxy.ipc.messages import ChallengeOver, ChallengeShown, Message

ANSWER = ChallengeAnswer("http-01", "a.test", "t" * 20, "t.thumb")


def test_what_is_in_the_folder_is_told(tmp_path: Path) -> None:
    """Once, also what another machine put there; and when it is gone."""
    told: list[Message] = []
    folder = AcmeFolder(tmp_path)
    challenges = Challenges(folder, told.append, 0.0, None)
    folder.write(f"{CHALLENGE}x", packed(ANSWER))
    folder.write(f"{CHALLENGE}y", packed(ANSWER._replace(kind="tls-alpn-01")))
    folder.write(f"{CHALLENGE}z", b"nonsense")
    for _ in range(2):
        challenges.look(0.0)
    first, second = told
    assert first == ChallengeShown("http-01", "a.test", "t" * 20, "t.thumb")
    assert isinstance(second, ChallengeShown)
    assert "BEGIN CERTIFICATE" in second.answer
    folder.remove(f"{CHALLENGE}x")
    challenges.look(0.0)
    assert told[2:] == [ChallengeOver("http-01", "a.test", "t" * 20)]


def test_there_are_never_very_many(tmp_path: Path) -> None:
    """Whoever else writes there."""
    told: list[Message] = []
    for number in range(MOST_CHALLENGES + 30):
        AcmeFolder(tmp_path).write(f"{CHALLENGE}{number}", packed(ANSWER._replace(token=f"{number:020}")))
    Challenges(AcmeFolder(tmp_path), told.append, 0.0, None).look(0.0)
    assert len(told) == MOST_CHALLENGES


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", packed(ANSWER._replace(kind="x")), packed(ANSWER._replace(token="a/b"))])
def test_what_is_not_understood_is_not_shown(content: bytes) -> None:
    """It may be half of one, or another version's."""
    assert unpacked(content) is None


def test_a_record_is_removed_whatever_happens(tmp_path: Path) -> None:
    """And one that a killed process left, by the next that has the lock."""
    asked: list[str] = []

    class Runner:
        def ask(self, action: str, name: str, text: str) -> str:
            asked.append(f"{action} {name}")
            return "" if action == "cleanup" or len(asked) < 3 else "no"

    folder = AcmeFolder(tmp_path)
    challenges = Challenges(folder, lambda message: None, 0.0, Runner())  # type: ignore[arg-type]
    answer = ANSWER._replace(kind="dns-01")
    with pytest.raises(ZeroDivisionError), challenges.shown(answer):
        raise ZeroDivisionError
    assert asked == ["present _acme-challenge.a.test", "cleanup _acme-challenge.a.test"]
    with pytest.raises(AuthorityRefused, match="no"), challenges.shown(answer):
        pass
    assert asked[3:] == ["cleanup _acme-challenge.a.test"]
    assert folder.challenges() == []
    folder.write(f"{CHALLENGE}left", packed(answer))
    challenges.tidy()
    assert asked[4:] == ["cleanup _acme-challenge.a.test"]
    assert folder.challenges() == []
