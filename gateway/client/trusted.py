"""The gateway's signing keys that are believed: the pinned one, and newer ones from `GET /keys` under the trusted signing issuer.

Invariant: what `GET /keys` says is never believed for its own sake; each certificate must be vouched for by the pinned one's issuer.
"""

from __future__ import annotations

from gateway.client.answers import read_json
from gateway.client.identity import Identity
from security.keys import VerifyKey


class TrustedKeys:
    """`missed` is set when an answer named a key that is not known here: reason to ask for newer ones."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._by_id: dict[str, VerifyKey] = {}
        self._by_thumbprint: dict[str, VerifyKey] = {}
        self.missed = False
        self._add(identity.gateway_key)

    def by_id(self, key_id: str) -> VerifyKey | None:
        found = self._by_id.get(key_id)
        self.missed |= found is None
        return found

    def by_thumbprint(self, thumbprint: str) -> VerifyKey | None:
        found = self._by_thumbprint.get(thumbprint)
        self.missed |= found is None
        return found

    def learn(self, raw: bytes, now: float) -> bool:
        """Take in what `GET /keys` gave; True if a key came to be known. An id that is pinned keeps its certificate."""
        learnt = False
        try:
            listed = read_json(raw)["sign"]
            offered = [(str(each["id"]), str(each["certificate"]), [str(pem).encode() for pem in each["chain"]]) for each in listed]
        except (ValueError, KeyError, TypeError):
            return False
        for key_id, certificate, chain in offered:
            key = self._identity.vouched(certificate.encode(), chain, key_id, now)
            if key is not None and key.thumbprint not in self._by_thumbprint and key_id != self._identity.gateway_key.key_id:
                self._add(key)
                learnt = True
        return learnt

    def _add(self, key: VerifyKey) -> None:
        self._by_id[key.key_id] = key
        self._by_thumbprint[key.thumbprint] = key
