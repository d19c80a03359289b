"""Passkeys of accounts (WebAuthn level 3): registered in a session, and then a way to sign in.

Theory of operation
1. A challenge has a random part, its expiry and a tag over both and its purpose, by a key of the instance. So nothing
   is stored for whoever only opens a page.
2. A response that brings the challenge uses it up: its digest is kept until it expires.
3. The browser names the relying party: the host name of the address. A bare address of the network has none.
Invariant: a challenge counts once, for one purpose, for five minutes.
Invariant: an authenticator that did not verify its user neither registers nor signs in.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
import secrets as randoms
import struct
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Connection, delete, insert, select

from gateway.console.accounts import store
from gateway.console.errors import PASSKEY_FAILED, PASSKEY_MANY, PASSKEY_UNKNOWN
from gateway.journal.schema import tables
from gateway.journal.schema.console_tables import console_challenge
from gateway.registry.seals.account_rows import Change, SealedRows
from security import jws

SECONDS: Final = 300.0
MOST: Final = 10  # of one account
MOST_BYTES: Final = 16_384  # of a response
SIGN_IN: Final = "sign-in"
ALGORITHMS: Final = (-7, -8, -257)  # COSE: ES256, EdDSA, RS256
_APPROVES: Final = -7
_FORM: Final = struct.Struct(">16sd32s")
_passkey, _used = tables.console_passkey, console_challenge
Unable = Literal["address", "loopback", "insecure"]


class Site(NamedTuple):
    """Where the browser is, and the key of the challenges."""

    origin: str
    key: bytes

    @property
    def rp_id(self) -> str:
        return urlsplit(self.origin).hostname or ""

    @property
    def unable(self) -> Unable | None:
        """Why browsers offer no passkeys here; None if they do."""
        try:
            address = ipaddress.ip_address(self.rp_id)
        except ValueError:
            secure = self.origin.startswith("https://") or self.rp_id == "localhost"
            return None if secure else "insecure"
        return "loopback" if address.is_loopback else "address"


def challenge(site: Site, purpose: str, now: float) -> bytes:
    nonce, until = randoms.token_bytes(16), now + SECONDS
    return _FORM.pack(nonce, until, _tag(site, purpose, nonce, until))


def _tag(site: Site, purpose: str, nonce: bytes, until: float) -> bytes:
    named = b"\0".join((b"lgsp console passkey v1", purpose.encode(), site.origin.encode(), nonce))
    return hmac.digest(site.key, named + struct.pack(">d", until), "sha256")


def user_handle(account: str) -> bytes:
    """What authenticators keep of an account, which is not its name."""
    return hashlib.sha256(b"lgsp console account " + account.encode()).digest()


def creation(rows: SealedRows, site: Site, account: str, name: str, now: float) -> dict[str, Any]:
    """The options of `navigator.credentials.create`."""
    user = {"id": _text(user_handle(account)), "name": account, "displayName": name}
    return {
        "challenge": _text(challenge(site, f"register {account}", now)),
        "rp": {"id": site.rp_id, "name": site.rp_id},
        "user": user,
        "pubKeyCredParams": [{"type": "public-key", "alg": each} for each in ALGORITHMS],
        "authenticatorSelection": {
            "residentKey": "required", "requireResidentKey": True, "userVerification": "required",
        },
        "excludeCredentials": [{"type": "public-key", "id": row.id} for row in listed(rows, account)],
        "attestation": "none",
        "timeout": int(SECONDS * 1000),
    }  # fmt: skip


def request(site: Site, wanted: bytes, credentials: tuple[str, ...] = ()) -> dict[str, Any]:
    """The options of `navigator.credentials.get`; without credentials any of this site that the authenticator has."""
    return {
        "challenge": _text(wanted),
        "rpId": site.rp_id,
        "allowCredentials": [{"type": "public-key", "id": each} for each in credentials],
        "userVerification": "required",
        "timeout": int(SECONDS * 1000),
    }


def listed(rows: SealedRows, account: str) -> list[Any]:
    found = rows.all(_passkey, _passkey.c.account == account)
    return sorted(found, key=lambda row: (row.created, row.id))


def register(change: Change, site: Site, account: str, given: tuple[str, str]) -> None:
    """`given` are the response and a label. Raises `passkey.failed`, `passkey.many`."""
    from webauthn import verify_registration_response
    from webauthn.helpers.cose import COSEAlgorithmIdentifier

    text, label = given
    response = _response(text)
    wanted = _take(change.connection, site, f"register {account}", response, change.now)
    try:
        verified = verify_registration_response(
            credential=response,
            expected_challenge=wanted,
            expected_rp_id=site.rp_id,
            expected_origin=site.origin,
            require_user_verification=True,
            supported_pub_key_algs=[COSEAlgorithmIdentifier(each) for each in ALGORITHMS],
        )
    except Exception as trouble:  # of the library and of what it parses with, of many kinds
        raise PASSKEY_FAILED(why=_why(trouble)) from None
    id = _text(verified.credential_id)
    if len(listed(change, account)) >= MOST:
        raise PASSKEY_MANY(most=MOST)
    if change.first(_passkey, _passkey.c.id == id) is not None:
        raise PASSKEY_FAILED(why="registered already")
    values = {
        "id": id,
        "account": account,
        "public_key": verified.credential_public_key,
        "count": verified.sign_count,
        "label": label,
        "created": change.now,
    }
    change.add(_passkey, values)
    change.note(store.ACCOUNT, {"account": account, "how": "passkey-added", "passkey": id})


def remove(change: Change, account: str, id: str) -> None:
    """Raises `passkey.unknown`."""
    if not change.remove(_passkey, account, id):
        raise PASSKEY_UNKNOWN()
    change.note(store.ACCOUNT, {"account": account, "how": "passkey-removed", "passkey": id})


def owner(rows: SealedRows, text: str) -> Any:
    """The row of the passkey that a response names; None if there is none. Nothing is proved by it."""
    id = _response(text).get("id")
    return rows.first(_passkey, _passkey.c.id == id) if isinstance(id, str) else None


def prove(change: Change, site: Site, row: Any, text: str) -> None:
    """Verify a sign-in by the passkey of this row, and keep its count. Raises `passkey.failed`."""
    from webauthn import verify_authentication_response

    response = _response(text)
    wanted = _take(change.connection, site, SIGN_IN, response, change.now)
    handle = _inner(response).get("userHandle")
    if handle is not None and handle != _text(user_handle(row.account)):
        raise PASSKEY_FAILED(why="another user")
    try:
        verified = verify_authentication_response(
            credential=response,
            expected_challenge=wanted,
            expected_rp_id=site.rp_id,
            expected_origin=site.origin,
            credential_public_key=row.public_key,
            credential_current_sign_count=row.count,
            require_user_verification=True,
        )
    except Exception as trouble:
        raise PASSKEY_FAILED(why=_why(trouble)) from None
    change.alter(_passkey, row, {"count": verified.new_sign_count})


def approving_key(public_key: bytes) -> ec.EllipticCurvePublicKey | None:
    """The public key of a passkey, if it is of the kind with which officers approve."""
    from webauthn.helpers import decode_credential_public_key
    from webauthn.helpers.decoded_public_key_to_cryptography import decoded_public_key_to_cryptography

    key = decode_credential_public_key(public_key)
    public = decoded_public_key_to_cryptography(key) if key.alg == _APPROVES else None
    return public if isinstance(public, ec.EllipticCurvePublicKey) else None


def assertion(text: str) -> tuple[bytes, bytes, bytes]:
    """Authenticator data, client data and signature of a response. Raises `passkey.failed`."""
    inner = _inner(_response(text))
    data, client, mark = (_bytes(inner.get(name)) for name in ("authenticatorData", "clientDataJSON", "signature"))
    return data, client, mark


def _take(connection: Connection, site: Site, purpose: str, response: dict[str, Any], now: float) -> bytes:
    """The challenge that a response answers, used up. Raises `passkey.failed`."""
    try:
        client = json.loads(_bytes(_inner(response).get("clientDataJSON")))
        raw = _bytes(client["challenge"])
        if client.get("crossOrigin", False) is not False or "topOrigin" in client:
            raise PASSKEY_FAILED(why="another site's frame")
        nonce, until, tag = _FORM.unpack(raw)
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError, struct.error):
        raise PASSKEY_FAILED(why="no challenge") from None
    if not hmac.compare_digest(tag, _tag(site, purpose, nonce, until)) or not now < until <= now + SECONDS:
        raise PASSKEY_FAILED(why="the challenge is old, or was made for something else")
    mark = hashlib.sha256(raw).hexdigest()
    connection.execute(delete(_used).where(_used.c.expires < now))
    if connection.execute(select(_used.c.digest).where(_used.c.digest == mark)).first() is not None:
        raise PASSKEY_FAILED(why="the challenge was used")
    connection.execute(insert(_used).values(digest=mark, expires=until))
    return raw


def _response(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text) if len(text) <= MOST_BYTES else None
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict) or not isinstance(value.get("response"), dict):
        raise PASSKEY_FAILED(why="no response of an authenticator")
    return value


def _inner(response: dict[str, Any]) -> dict[str, Any]:
    inner: dict[str, Any] = response["response"]
    return inner


def _bytes(value: Any) -> bytes:
    try:
        return jws.decoded(jws.split(value.encode("ascii"), 1)[0])
    except (AttributeError, ValueError):
        raise PASSKEY_FAILED(why="not base64url") from None


def _text(raw: bytes) -> str:
    return jws.encoded(raw).decode("ascii")


def _why(trouble: Exception) -> str:
    return f"{type(trouble).__name__}: {trouble}"[:160]
