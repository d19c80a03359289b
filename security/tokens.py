"""Client assertions (RFC 7523) and access tokens bound to a certificate (RFC 9068, RFC 8705), as compact JWS.

The algorithm is that of the registered key; a token's header is only compared with it. Times are checked here, against
the given clock. The caller records an assertion's `jti`, so that it is used once.
Invariant: nothing of a token is used before its signature was verified, except `kid`, which only selects the key.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from contracts.base.errors import Theirs
from contracts.wire.jsontext import once
from security import jws
from security.errors import (
    TOKEN_ALGORITHM,
    TOKEN_CLAIM,
    TOKEN_EXPIRED,
    TOKEN_FROM_FUTURE,
    TOKEN_MALFORMED,
    TOKEN_OTHER_CERTIFICATE,
    TOKEN_UNKNOWN_KEY,
    TOKEN_WRONG,
)
from security.keys import SigningKey, VerifyKey

ISSUER: Final = "gateway"
LIFETIME: Final = 600
ASSERTION_LIFETIME: Final = 60
SKEW: Final = 5
MAX_LENGTH: Final = 8192
ACCESS_TYPE: Final = "at+jwt"

_HEADER_KNOWN: Final = frozenset({"alg", "kid", "typ"})
_LATEST: Final = 1 << 53  # seconds; larger numbers are not times
_ID: Final = re.compile(r"[\x21-\x7e]{1,128}")


@dataclass(frozen=True, slots=True)
class Token:
    """The claims of a verified access token."""

    system: str
    agency: str
    thumbprint: str
    jti: str
    issued: int
    expires: int

    def check_certificate(self, thumbprint: str | None) -> None:
        """TOKEN_OTHER_CERTIFICATE unless the token was issued to the connection's certificate."""
        if thumbprint != self.thumbprint:
            raise TOKEN_OTHER_CERTIFICATE()


@dataclass(frozen=True, slots=True)
class Assertion:
    """The claims of a verified client assertion. Record `jti` until `exp` + SKEW and reject its reuse."""

    system: str
    jti: str
    exp: int
    key: VerifyKey


class Holder(NamedTuple):
    """Whom an access token is for. `thumbprint` is that of the certificate it is bound to."""

    system: str
    agency: str
    thumbprint: str


def issue_token(
    holder: Holder, key: SigningKey, now: float, audience: str, lifetime: int = LIFETIME, *, issuer: str = ISSUER
) -> str:
    """An access token (RFC 9068) bound to a certificate (RFC 8705); times in Unix seconds, lifetime in seconds."""
    issued = int(now)
    claims = {
        "iss": issuer,
        "sub": holder.system,
        "client_id": holder.system,
        "aud": audience,
        "iat": issued,
        "exp": issued + lifetime,
        "jti": secrets.token_urlsafe(16),
        "agency": holder.agency,
        "cnf": {"x5t#S256": holder.thumbprint},
    }
    return _encode(claims, key, ACCESS_TYPE)


def verify_token(token: str, key: VerifyKey, now: float, audience: str) -> Token:
    """The token's claims. A `TOKEN_…` error otherwise."""
    parts, header = _read(token)
    if header.get("typ") != ACCESS_TYPE:
        raise TOKEN_MALFORMED(rule=f'"typ":"{ACCESS_TYPE}"')
    if header.get("kid") != key.key_id:
        raise TOKEN_UNKNOWN_KEY(key=str(header.get("kid"))[:80])
    claims = _verified(token, parts, header, key)
    if claims.get("iss") != ISSUER:
        raise TOKEN_CLAIM(claim="iss", rule=ISSUER)
    _check_audience(claims, audience)
    issued, expires = _times(claims, now)
    confirmation = claims.get("cnf")
    thumbprint = confirmation.get("x5t#S256") if isinstance(confirmation, dict) else None
    if not isinstance(thumbprint, str):
        raise TOKEN_CLAIM(claim="cnf", rule='{"x5t#S256":"…"}')
    return Token(
        system=_text(claims, "sub"),
        agency=_text(claims, "agency"),
        thumbprint=thumbprint,
        jti=_text(claims, "jti"),
        issued=issued,
        expires=expires,
    )


def make_assertion(
    system: str,
    key: SigningKey,
    now: float,
    audience: str,
    *,
    jti: str | None = None,
) -> str:
    """A client assertion (RFC 7523) of a system; `audience` is the token endpoint's URL."""
    issued = int(now)
    claims = {
        "iss": system,
        "sub": system,
        "aud": audience,
        "iat": issued,
        "exp": issued + ASSERTION_LIFETIME,
        "jti": jti or secrets.token_urlsafe(16),
    }
    return _encode(claims, key, "JWT")


def verify_assertion(
    assertion: str, find_key: Callable[[str], VerifyKey | None], now: float, audience: str | Sequence[str]
) -> Assertion:
    """`audience`: the token endpoint's URL; several where the issuer's name is accepted too."""
    parts, header = _read(assertion)
    if str(header.get("typ", "JWT")).upper() not in ("JWT", "CLIENT-AUTHENTICATION+JWT"):
        raise TOKEN_MALFORMED(rule='"typ":"JWT"')
    kid = header.get("kid")
    if not isinstance(kid, str):
        raise TOKEN_MALFORMED(rule='"kid":"…"')
    key = find_key(kid)
    if key is None:
        raise TOKEN_UNKNOWN_KEY(key=kid[:80])
    key.check_time(now)
    claims = _verified(assertion, parts, header, key)
    for claim in ("iss", "sub"):
        if claims.get(claim) != key.system:
            raise TOKEN_CLAIM(claim=claim, rule=key.system)
    _check_audience(claims, audience)
    issued, expires = _times(claims, now)
    if expires - issued > ASSERTION_LIFETIME or expires > now + ASSERTION_LIFETIME + SKEW:
        raise TOKEN_CLAIM(claim="exp", rule=f"exp - iat <= {ASSERTION_LIFETIME}")
    return Assertion(key.system, _text(claims, "jti"), expires, key)


def _encode(claims: dict[str, Any], key: SigningKey, kind: str) -> str:
    payload = json.dumps(claims, separators=(",", ":"), ensure_ascii=False).encode()
    return jws.sign(payload, key, typ=kind).decode("ascii")


def _read(token: str) -> tuple[list[bytes], dict[str, Any]]:
    """The parts of a token, and what its header says."""
    if len(token) > MAX_LENGTH or token.count(".") != 2:
        raise TOKEN_MALFORMED(rule=f"JWS compact, <= {MAX_LENGTH}")
    try:
        parts = jws.split(b".".join(map(_unpadded, token.encode("ascii").split(b"."))))
        header = jws.read_header(parts[0])
    except (ValueError, RecursionError):
        raise TOKEN_MALFORMED(rule="JWS header") from None
    for name in header:
        if (
            name not in _HEADER_KNOWN
        ):  # jku, jwk, x5u, crit, b64, zip …: none of them may choose a key or change the meaning
            raise TOKEN_MALFORMED(rule=f"alg, kid, typ; ≠ {str(name)[:40]}")
    if not isinstance(header.get("kid", ""), str):
        raise TOKEN_MALFORMED(rule='"kid":"…"')
    return parts, header


def _unpadded(part: bytes) -> bytes:
    """Some issuers pad base64url, which RFC 7515 §2 does not."""
    return part if len(part) % 4 else part.removesuffix(b"=").removesuffix(b"=")


def _verified(token: str, parts: list[bytes], header: dict[str, Any], key: VerifyKey) -> dict[str, Any]:
    if header.get("alg") != key.jose:
        raise TOKEN_ALGORITHM(algorithm=str(header.get("alg"))[:40], expected=key.jose)
    try:
        key.verify_jose(token.rpartition(".")[0].encode("ascii"), jws.decoded(parts[2]))
    except Theirs:
        raise TOKEN_WRONG(key=key.key_id) from None
    try:
        claims = json.loads(jws.decoded(parts[1]), object_pairs_hook=once)
    except (ValueError, RecursionError):
        raise TOKEN_MALFORMED(rule="JSON") from None
    if not isinstance(claims, dict):
        raise TOKEN_MALFORMED(rule="JSON {…}")
    return claims


def _text(claims: dict[str, Any], claim: str) -> str:
    value = claims.get(claim)
    if not isinstance(value, str) or _ID.fullmatch(value) is None:
        raise TOKEN_CLAIM(claim=claim, rule="1…128 × ASCII")
    return value


def _check_audience(claims: dict[str, Any], audience: str | Sequence[str]) -> None:
    audience_claim = claims.get("aud")
    accepted = (audience,) if isinstance(audience, str) else tuple(audience)
    if isinstance(audience_claim, list) and len(audience_claim) == 1:
        audience_claim = audience_claim[0]
    if audience_claim not in accepted:
        raise TOKEN_CLAIM(claim="aud", rule=accepted[0])


def _times(claims: dict[str, Any], now: float) -> tuple[int, int]:
    for claim in ("iat", "exp"):
        if type(claims.get(claim)) is not int or abs(claims[claim]) > _LATEST:
            raise TOKEN_CLAIM(claim=claim, rule="<Unix seconds>")
    issued, expires = claims["iat"], claims["exp"]
    if issued > now + SKEW:
        raise TOKEN_FROM_FUTURE(skew=round(issued - now, 1))
    if "nbf" in claims and (type(claims["nbf"]) is not int or claims["nbf"] > now + SKEW):
        raise TOKEN_CLAIM(claim="nbf", rule="<= now")
    if expires <= now:
        raise TOKEN_EXPIRED(late=round(now - expires, 1))
    return issued, expires
