"""What proves machines to each other: keys that follow from the instance's hash key.

Whoever has the database alone has none of them. So nobody else can put a public key in the place of a machine's, or
hand a machine other keys than the instance's.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Final

from contracts.base import jcs
from gateway.keys.keyring import Keyring
from gateway.registry import identity
from gateway.settings import Settings
from security.seal import expand

_LABEL: Final = b"lgsp machines v1"


def instance_id(settings: Settings) -> str:
    """Names the instance: a digest of its origin, log key and authority (hex SHA-256)."""
    return hashlib.sha256(jcs.encode(dict(identity.of(settings)))).hexdigest()


@dataclass(frozen=True, slots=True)
class Secret:
    """Shared by the instance and one machine: the invitation has it, and every machine can derive it."""

    key: bytes = field(repr=False)
    machine: str
    instance: str

    def proof_of(self, public_key: str) -> str:
        """That whoever has the invitation hands in this public key. Hex."""
        return self._tag("public key", public_key)

    def proves(self, public_key: str, proof: str) -> bool:
        return hmac.compare_digest(self.proof_of(public_key).encode(), proof.encode())

    def mac(self, generation: int, sealed: str) -> str:
        """That the instance sealed these keys for this machine. Hex."""
        return self._tag("bundle", str(generation), sealed)

    def _tag(self, *parts: str) -> str:
        content = jcs.encode([self.instance, self.machine, *parts])
        return hmac.digest(self.key, content, hashlib.sha256).hex()


class Secrets:
    """Derives them. It needs the hash key, which each machine of the instance has."""

    def __init__(self, hash_key: bytes, instance: str) -> None:
        self._key: Final = expand(hash_key, _LABEL)
        self.instance: Final = instance

    @classmethod
    def of(cls, settings: Settings) -> Secrets:
        return cls(Keyring(settings).hash_key(), instance_id(settings))

    def of_machine(self, name: str, thumbprint: str) -> Secret:
        """`thumbprint`: of the certificate that invited it, empty for the first machine."""
        key = hmac.digest(self._key, jcs.encode(["machine", name, thumbprint]), hashlib.sha256)
        return Secret(key, name, self.instance)

    def digest(self, files: dict[str, bytes]) -> str:
        """Of the keys that all machines share: equal where they are, and tells nothing of them. Hex."""
        content = jcs.encode({name: hashlib.sha256(data).hexdigest() for name, data in files.items()})
        return hmac.digest(self._key, b"keys\0" + content, hashlib.sha256).hex()
