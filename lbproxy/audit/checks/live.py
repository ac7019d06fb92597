"""Dangers of what runs: nothing of a file tells of them, so whoever looks at processes and listeners brings the evidence."""

from __future__ import annotations

from lbproxy.audit.finding import Check, Severity


def _live(name: str, severity: Severity, danger: str, mend: str) -> Check:
    return Check(f"live-{name}", severity, danger, mend, lambda config: ())


ROOT = _live(
    "root",
    Severity.CRITICAL,
    "A process that reads what strangers send is root.",
    "Take user out of [proxy], or let it be an account that owns nothing; restart.",
)
PRIVILEGES = _live(
    "privileges",
    Severity.HIGH,
    "A process that reads what strangers send has rights that it does not need, or may gain some by a set-user-ID program.",
    "Start lbproxy as root, or as an account of its own, and leave walls on.",
)
MEMORY = _live(
    "memory",
    Severity.MEDIUM,
    "A crash writes keys and what clients sent to disk, or other processes of the same account can read them.",
    "Leave walls on, and restart.",
)
WALLS = _live(
    "walls",
    Severity.MEDIUM,
    "Whoever takes over a process meets fewer walls than there could be.",
    "Leave walls on; see SECURITY.md for what the kernel has to offer.",
)
OLD_TLS = _live(
    "tls-old",
    Severity.HIGH,
    "A listener speaks a version of TLS that is broken, or that its configuration forbids.",
    "Reload or restart, and take profile and min_version out; see whether somebody else listens there.",
)
CERTIFICATE = _live(
    "certificate",
    Severity.MEDIUM,
    "Clients refuse the certificate that a listener shows, or soon will.",
    "Renew it, or name one that is for that host; `lbproxy cert check` tells what became of the files.",
)
PLAIN = _live(
    "plain-content",
    Severity.MEDIUM,
    "A listener without TLS answers with content: passwords and cookies can be read on the way.",
    "Add redirect_to_https = true to the listener.",
)
HSTS = _live(
    "hsts-missing",
    Severity.LOW,
    "An answer over TLS came without Strict-Transport-Security: a browser's next request can be kept on plain HTTP.",
    'Add hsts = "365d" to [proxy], when all of the site is on HTTPS.',
)
METRICS = _live(
    "metrics-public",
    Severity.MEDIUM,
    "Metrics and status answer on an address that other machines reach; nobody is asked for a password.",
    "Let metrics.address be on 127.0.0.1, or give those who may read it a route with an allow.",
)
DIFFERS = _live(
    "differs",
    Severity.MEDIUM,
    "What runs is not what this file says: the other findings are about something else.",
    "Reload, and see what the answer says of a restart.",
)
FAILURES = _live(
    "tls-failures",
    Severity.LOW,
    "Handshakes failed over certificates, with clients or with backends, since this lbproxy was started.",
    "See the log for whom they were with, and why.",
)
UNSEEN = _live(
    "unseen",
    Severity.INFO,
    "Something could not be looked at: it may be good, or bad, or not there.",
    "Run the audit as root, on the same machine, while lbproxy serves.",
)
CHECKS = (ROOT, PRIVILEGES, MEMORY, WALLS, OLD_TLS, CERTIFICATE, PLAIN, HSTS, METRICS, DIFFERS, FAILURES, UNSEEN)
