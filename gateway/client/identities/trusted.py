"""The trusted keys of the gateway: the pinned ones, and newer ones from `GET /keys`.

Invariant: a certificate from `GET /keys` is trusted only if the issuer of the pinned certificate signed it.
"""

from __future__ import annotations

from typing import Any

from gateway.client.answers import read_json
from gateway.client.identities.identity import Identity
from security.encryption_keys import EncryptKey
from security.keys import VerifyKey


class TrustedKeys:
    """`missed` is set when an answer names an unknown key: ask for newer ones. `encrypt` is the key to encrypt for."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._by_id: dict[str, VerifyKey] = {}
        self._by_thumbprint: dict[str, VerifyKey] = {}
        self.missed = False
        self.encrypt: EncryptKey | None = identity.gateway_encrypt_key
        self._add(identity.gateway_key)

    def by_id(self, key_id: str) -> VerifyKey | None:
        key = self._by_id.get(key_id)
        self.missed |= key is None
        return key

    def by_thumbprint(self, thumbprint: str) -> VerifyKey | None:
        key = self._by_thumbprint.get(thumbprint)
        self.missed |= key is None
        return key

    def learn(self, raw: bytes, now: float) -> bool:
        """Add the keys of an answer to `GET /keys`; True if one is new. A pinned id keeps its certificate."""
        learnt = False
        for use in ("sign", "encrypt"):
            for key_id, certificate, chain in _offered(raw, use):
                if use == "sign":
                    key = self._identity.newer_signing_key(certificate, chain, key_id, now)
                    if (
                        key is not None
                        # a handed-over certificate may lie beside the key id of the one before it
                        and not (key.thumbprint in self._by_thumbprint and key_id in self._by_id)
                        and key_id != self._identity.gateway_key.key_id
                    ):
                        self._add(key)
                        learnt = True
                else:
                    other = self._identity.newer_encryption_key(certificate, chain, key_id, now)
                    if other is not None and (self.encrypt is None or other.valid_from > self.encrypt.valid_from):
                        self.encrypt = other
                        learnt = True
        return learnt

    def _add(self, key: VerifyKey) -> None:
        self._by_id[key.key_id] = key
        self._by_thumbprint[key.thumbprint] = key


def _offered(raw: bytes, use: str) -> list[tuple[str, bytes, list[bytes]]]:
    """The current certificates of one use; none if the document is unreadable."""
    try:
        listed: list[dict[str, Any]] = read_json(raw)[use]
        current = [each for each in listed if use == "sign" or each.get("current") is True]
        return [
            (str(each["id"]), str(each["certificate"]).encode(), [str(pem).encode() for pem in each["chain"]])
            for each in current
        ]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []
