"""Passwords (Argon2id, RFC 9106), one-time codes (RFC 6238), and random tokens.

Invariant: the database has no password, no token and no secret of a code in the clear. Secrets of codes are sealed by
  a key that is derived from the instance's hash key, which is a file.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import Final

import pyotp
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.console.errors import ACCOUNT_PASSWORD_WEAK

LEAST: Final = 12  # characters of a password
MOST: Final = 256
STEP: Final = 30  # seconds
_NONCE: Final = 12
_hasher: Final = PasswordHasher()  # the library's defaults: RFC 9106, low memory
_NOBODY: Final = _hasher.hash(secrets.token_hex(16))  # so that an unknown name costs as much as a known one


def hash_password(account: str, password: str) -> str:
    """Raises `account.password-weak`."""
    if not LEAST <= len(password) <= MOST:
        raise ACCOUNT_PASSWORD_WEAK(why=f"{len(password)} characters", least=LEAST)
    if account.casefold() in password.casefold() or len(set(password)) < 5:
        raise ACCOUNT_PASSWORD_WEAK(why="easily guessed", least=LEAST)
    return _hasher.hash(password)


def password_fits(stored: str | None, password: str) -> bool:
    """Takes the same time whether or not there is such an account."""
    if len(password) > MOST:
        return False
    try:
        return _hasher.verify(stored or _NOBODY, password) and stored is not None
    except (VerificationError, InvalidHashError):
        return False


def new_secret() -> str:
    """A secret for codes, in base32, as authenticators take it."""
    return pyotp.random_base32()


def provisioning(secret: str, account: str, instance: str) -> str:
    """The `otpauth:` address that authenticators read from a QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=account, issuer_name=instance)


def step_of(secret: str, code: str, now: float) -> int | None:
    """The time step whose code this is; the one before and the one after count too, since clocks differ."""
    if len(code) != 6 or not code.isascii() or not code.isdigit():
        return None
    totp, step = pyotp.TOTP(secret), int(now // STEP)
    fitting = [each for each in (step - 1, step, step + 1) if hmac.compare_digest(totp.generate_otp(each), code)]
    return fitting[-1] if fitting else None


class Sealer:
    """Seals secrets of codes for the database, bound to the account."""

    def __init__(self, hash_key: bytes) -> None:
        self._key: Final = HKDF(SHA256(), 32, None, b"lgsp console secrets v1").derive(hash_key)

    def seal(self, account: str, secret: str) -> bytes:
        nonce = secrets.token_bytes(_NONCE)
        return nonce + AESGCM(self._key).encrypt(nonce, secret.encode(), account.encode())

    def open(self, account: str, sealed: bytes) -> str | None:
        """None if the row was altered."""
        try:
            return AESGCM(self._key).decrypt(sealed[:_NONCE], sealed[_NONCE:], account.encode()).decode()
        except (InvalidTag, ValueError):
            return None


def new_token() -> str:
    """256 random bits."""
    return secrets.token_urlsafe(32)


def new_code() -> str:
    """80 random bits, as people read them out: A–Z and 2–7."""
    return base64.b32encode(secrets.token_bytes(10)).decode()


def digest(token: str) -> str:
    """What the database has of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def csrf_of(token: str) -> str:
    """The value that a form of this session must bring; it tells nothing of the token."""
    return hmac.digest(token.encode(), b"lgsp console form v1", "sha256").hex()
