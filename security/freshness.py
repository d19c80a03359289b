"""When a signature holds by its own times, alike in RFC 9421 and in WS-Security."""

from __future__ import annotations

from typing import Final

from security.errors import SIGNATURE_EXPIRED, SIGNATURE_FROM_FUTURE, SIGNATURE_LIFETIME
from security.grants.windows import civil

SKEW: Final = 5  # seconds by which a sender's clock may be ahead of ours


def check_times(created: float, expires: float, now: float, longest: int) -> None:
    """Unix seconds; `Theirs` with `signature.lifetime`, `signature.from-future` or `signature.expired`."""
    if not 0 < expires - created <= longest:
        raise SIGNATURE_LIFETIME(lifetime=round(expires - created, 3), allowed=longest)
    if created <= now + SKEW and now <= expires:
        return
    made, seen = civil(created, seconds=True), civil(now, seconds=True)
    if created > now:
        raise SIGNATURE_FROM_FUTURE(created=made, now=seen, skew=round(created - now, 1), allowed=SKEW)
    raise SIGNATURE_EXPIRED(created=made, now=seen, late=round(now - expires, 1), skew=round(now - created, 1))
