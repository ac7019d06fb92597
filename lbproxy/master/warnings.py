"""Warnings to the log: what keeps nothing from serving, and somebody should see to."""

from __future__ import annotations

from lbproxy.compiled import Form
from lbproxy.errors import Complaint
from lbproxy.observe import log


def warn(*about: Complaint | tuple[str, str]) -> None:
    """Each as an event of its own: (event, why), or what stands in the configuration file and is odd."""
    for one in about:
        event, why = ("config.warning", str(one)) if isinstance(one, Complaint) else one
        log.get_logger().warning(event, why=why)


def plain_by_an_edit(form: Form) -> list[tuple[str, str]]:
    """The warning that the hot modules run as plain Python since somebody edited one, which costs more than anything else does."""
    return [("compiled.stale", f"everything runs as plain Python, several times slower: {form.stale}")] if form.stale else []
