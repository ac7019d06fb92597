"""The times of ACME: when a certificate is renewed, when a failure is tried again. Pure: clock and chance come in as arguments.

All times are seconds since 1970, `chance` is between 0 and 1.
"""

from __future__ import annotations

HOUR, DAY = 3600.0, 86400.0
FIRST_DELAY = 60.0
SPREAD = 1 / 30
"""Of a lifetime: certificates of one day are not all renewed in one minute."""
ARI_AGAIN = 6 * HOUR
"""RFC 9773 4.3.3: where the authority does not say when to ask again."""


def renewal_at(start: float, end: float, chance: float) -> float:
    """A third of the lifetime before its end, or a little earlier."""
    life = max(0.0, end - start)
    return end - life / 3 - chance * life * SPREAD


def back_off(failures: int, chance: float, asked: float = 0.0) -> float:
    """Seconds to wait after so many failures in a row: a minute, doubling up to a day. `asked`: as long as the authority wants,
    within a day."""
    delay = min(FIRST_DELAY * float(2 ** min(max(failures, 1) - 1, 20)), DAY)
    return min(max(delay * (0.8 + 0.2 * chance), asked), DAY)


def within_window(start: float, end: float, now: float, chance: float) -> float:
    """A time within the window that the authority suggests (RFC 9773 4.2); one that is over means now."""
    return max(now, start + chance * max(0.0, end - start)) if end > now else now


def ari_again(asked: float) -> float:
    """Seconds until the authority is asked for its window again. `asked`: what it said, 0 for nothing."""
    return ARI_AGAIN if asked <= 0 else min(max(asked, HOUR), DAY)


def retry_after(text: str | None) -> float:
    """Seconds that a Retry-After field asks for, a day at most; 0: it says nothing that we understand."""
    if text is None or not text.isascii() or not text.strip().isdigit() or len(text) > 9:
        return 0.0
    return min(float(text), DAY)
