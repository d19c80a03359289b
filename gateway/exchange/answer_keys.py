"""Selects the encryption key for an answer: the caller's newest key that the protocol supports.

JOSE encrypts for RSA and EC P-256, XML Encryption for RSA.
Invariant: a call that could not be answered is refused before any effect, in clear.
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
    """The key; None if the contract only signs bodies, or the caller has no such key."""
    if contract.protection == "signed":
        return None
    return newest(snapshot.encrypt_keys(caller.id), now, rsa.RSAPublicKey if soap else None)


def demand_key(
    contract: Contract, snapshot: Snapshot, caller: System, now: float, *, soap: bool = False
) -> EncryptKey | None:
    """The same. Raises ENCRYPTION_NO_KEY if a key is needed and missing."""
    key = answers_for(contract, snapshot, caller, now, soap=soap)
    if key is None and contract.protection == "encrypted":
        raise ENCRYPTION_NO_KEY(contract=contract.name, system=caller.id, kind="RSA" if soap else "RSA, EC P-256")
    return key
