"""Which store of keys an instance has, and opens it.

vault_database empty       the folder `keys/vault` of this machine (`keystore`)
vault_database set         a second PostgreSQL, which all machines share (`database_keys`)
"""

from __future__ import annotations

import os
import threading
from typing import Final

from sqlalchemy import Engine

from gateway.keys.key_encryption import AtRest
from gateway.keys.keyring import Keyring
from gateway.settings import Settings
from gateway.vault.classes import DEFAULT
from gateway.vault.database_keys import DatabaseKeys
from gateway.vault.key_digests import KeyDigests
from gateway.vault.keys import Keys
from gateway.vault.keystore import KeyStore
from gateway.vault.second import Second, sealer_of
from gateway.vault.vault import Vault


def shared(settings: Settings) -> bool:
    """Whether all machines have one store, so that a second machine may seal without keys of its own."""
    return bool(settings.vault_database)


_OPENED: Final[dict[tuple[int, Settings], DatabaseKeys]] = {}  # by process: a forked child has its own connections
_OPENING: Final = threading.Lock()


def open_keys(settings: Settings, engine: Engine | None, at_rest: AtRest | None = None) -> Keys:
    """The store of this instance. `engine`: of the main database, which also knows the destroyed keys."""
    if not shared(settings):
        rest = AtRest.of(settings) if at_rest is None else at_rest
        return KeyStore(settings.vault_keys, rest, settings.vault_copies)
    return opened(settings, engine)


def opened(settings: Settings, engine: Engine | None) -> DatabaseKeys:
    """The store in the second database; one a process."""
    with _OPENING:
        place = (os.getpid(), settings)
        known = _OPENED.get(place)
        if known is None:
            keyring = Keyring(settings)
            second = Second(settings.vault_database, sealer_of(keyring.hash_key()), settings.database_seconds)
            known = _OPENED[place] = DatabaseKeys(
                second,
                main=engine,
                folder=settings.vault_keys,
                at_rest=keyring.at_rest,
                copies=settings.vault_copies,
            )
        known.main = known.main or engine
        return known


def open_vault(
    settings: Settings, engine: Engine | None, at_rest: AtRest | None = None, retention: str = DEFAULT
) -> Vault:
    """The vault over the store of this instance. `engine`: of the main database; None: it never seals."""
    digests = None
    if engine is not None:
        digests = KeyDigests(engine) if shared(settings) else KeyDigests.of(engine)
    return Vault(open_keys(settings, engine, at_rest), retention, digests=digests)
