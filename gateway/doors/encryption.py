"""For whom answers are encrypted: where a contract demands it, for the newest encryption key of the caller that the protocol knows.

Invariant: nothing is done for a caller whom we could not answer; it is refused first, and hears of that in clear.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import rsa

from contracts.canonical.model import Contract
from gateway.registry.records import System
from gateway.registry.snapshot import Snapshot
from security.encryption_keys import EncryptKey, newest
from security.errors import ENCRYPTION_NO_KEY


def answers_for(
    contract: Contract, snapshot: Snapshot, caller: System, now: float, *, soap: bool = False
) -> EncryptKey | None:
    """None under a contract whose bodies are signed only, and where there is no such key: JOSE encrypts for RSA and EC P-256, XML Encryption for RSA."""
    if contract.protection == "signed":
        return None
    return newest(snapshot.encrypt_keys(caller.id), now, rsa.RSAPublicKey if soap else None)


def demand_key(
    contract: Contract, snapshot: Snapshot, caller: System, now: float, *, soap: bool = False
) -> EncryptKey | None:
    """The same; ENCRYPTION_NO_KEY where a key is needed and there is none."""
    found = answers_for(contract, snapshot, caller, now, soap=soap)
    if found is None and contract.protection == "encrypted":
        raise ENCRYPTION_NO_KEY(contract=contract.name, system=caller.id, kind="RSA" if soap else "RSA, EC P-256")
    return found
