"""Checks the times of a signature, for RFC 9421 and WS-Security alike."""

from __future__ import annotations

from typing import Final

from security.errors import SIGNATURE_EXPIRED, SIGNATURE_FROM_FUTURE, SIGNATURE_LIFETIME
from security.grants.windows import civil

SKEW: Final = 5  # seconds that a sender's clock may be ahead


def check_times(created: float, expires: float, now: float, longest: int) -> None:
    """Unix seconds. SIGNATURE_LIFETIME, SIGNATURE_FROM_FUTURE or SIGNATURE_EXPIRED."""
    if not 0 < expires - created <= longest:
        raise SIGNATURE_LIFETIME(lifetime=round(expires - created, 3), allowed=longest)
    if created <= now + SKEW and now <= expires:
        return
    created_text, now_text = civil(created, seconds=True), civil(now, seconds=True)
    if created > now:
        raise SIGNATURE_FROM_FUTURE(created=created_text, now=now_text, skew=round(created - now, 1), allowed=SKEW)
    raise SIGNATURE_EXPIRED(
        created=created_text, now=now_text, late=round(now - expires, 1), skew=round(now - created, 1)
    )
