"""Opaque bodies of contracts with encrypted bodies: opened as they come, encrypted for whoever fetches one.

They travel as `security.file_encryption` writes them. The vault keeps the file under its own seals, as it keeps the
messages of such contracts.
"""

from __future__ import annotations

import re
from typing import Final

from contracts.canonical.model import Contract
from gateway.doors.api.services import ApiRequest, Services
from gateway.doors.errors import BODY_MEDIA_TYPE, CHANNEL_MISMATCH
from gateway.exchange.answer_keys import demand_key
from gateway.registry.snapshot import Snapshot
from gateway.vault.opaque_bodies import Described
from security import file_encryption
from security.encryption_keys import EncryptKey, newest
from security.errors import BODY_ENCRYPTION_UNEXPECTED, BODY_NOT_ENCRYPTED, ENCRYPTION_NO_KEY
from security.file_encryption import FileKey, FileOpener, FileSealer

MEDIA: Final = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,100}/[A-Za-z0-9!#$&^_.+-]{1,100}(?:;[\x20-\x7e]{1,100})?")


def check_media(
    services: Services, request: ApiRequest, media: str, contract: Contract, snapshot: Snapshot
) -> EncryptKey | None:
    """The key for the answer to an upload; None if the contract only signs. Raises for a file in the other form."""
    if contract.protection == "signed":
        if media == file_encryption.MEDIA_TYPE:
            raise BODY_ENCRYPTION_UNEXPECTED(contract=contract.name, got=media)
        return None
    if media != file_encryption.MEDIA_TYPE:
        raise BODY_NOT_ENCRYPTED(contract=contract.name, expected=file_encryption.MEDIA_TYPE, got=media[:80] or "—")
    return demand_key(contract, snapshot, request.proven.system, services.clock())


def opener(services: Services, request: ApiRequest) -> FileOpener:
    """Opens a file that the caller signed and encrypted for the gateway."""

    def head(raw: bytes) -> FileKey:
        opened = services.rest.opener.open(raw, request.snapshot.key, request.received.theirs)
        mine = request.proven.system.id
        if opened.key.system != mine:
            raise CHANNEL_MISMATCH(channel=mine, other=opened.key.system, other_kind="JWS")
        key = file_encryption.file_key(opened)
        if MEDIA.fullmatch(key.media_type) is None:
            raise BODY_MEDIA_TYPE(got=key.media_type[:80], expected="type/subtype")
        return key

    return FileOpener(head)


def reader_key(request: ApiRequest, described: Described) -> EncryptKey | None:
    """The fetcher's newest key, if the body came encrypted or its contract asks for it now. `encryption.no-key`."""
    contract = request.snapshot.contract(described.contract)
    if not described.encrypted and (contract is None or contract.contract.protection == "signed"):
        return None
    system = request.proven.system
    key = newest(request.snapshot.encrypt_keys(system.id), request.received.theirs)
    if key is None:
        raise ENCRYPTION_NO_KEY(contract=described.contract, system=system.id, kind="RSA, EC P-256")
    return key


def sealer(services: Services, described: Described, size: int, receiver: EncryptKey) -> FileSealer:
    """Encrypts `size` bytes of a body for a fetcher, under a key of this answer alone."""
    key = file_encryption.new_key(size, described.media_type)
    return FileSealer(key.sealed(services.rest.signing_key, receiver), key)
