"""What `lgsp audit verify` needs of the instance's keys; None for an account that may not read them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from contracts.base.errors import Failure

if TYPE_CHECKING:
    from cryptography import x509
    from sqlalchemy import Connection, Engine

    from gateway.audit.verify.rows.pieces import Files
    from gateway.registry.seals.accounts import Seal as AccountsSeal
    from gateway.registry.seals.sealing import Seal
    from gateway.settings import Settings


def issuers(settings: Settings) -> dict[str, x509.Certificate] | None:
    """None where the authority is kept elsewhere."""
    from gateway.keys.authority import EmbeddedAuthority

    own = EmbeddedAuthority(settings)
    try:
        return {name: own.certificate(name) for name in own.names()} or None
    except (OSError, Failure):
        return None


def hash_id(settings: Settings) -> Callable[[str], str] | None:
    """None for whoever may read the database and not the keys: then ids of messages are not held against the log."""
    from gateway.keys.keyring import Keyring
    from security.transparency.entry import keyed

    try:
        return partial(keyed, Keyring(settings).hash_key())
    except (OSError, Failure):
        return None


def files(settings: Settings, engine: Engine, open_all: bool) -> Files | None:
    """None for whoever may not read the vault's keys: then lists of large files are not opened."""
    from gateway.audit.verify.rows.pieces import Files
    from gateway.vault.stores import open_vault

    try:
        next(settings.vault_keys.iterdir(), None)
        return Files(open_vault(settings, engine), open_all)
    except (OSError, Failure):
        return None


def other_keys(connection: Connection, settings: Settings) -> list[str]:
    """Findings about keys of the vault that are not those that were recorded; none for whoever may not read them."""
    from gateway.vault import key_digests
    from gateway.vault.stores import open_keys

    try:
        found = key_digests.differing(connection, open_keys(settings, connection.engine))
        return [f"the vault's key {each} of this machine is not the one that was recorded" for each in found]
    except (OSError, Failure):
        return []


def head(settings: Settings, origin: str, unreadable: list[str]) -> Iterator[tuple[str, str]]:
    """The newest checkpoint in the second database, with its name; none for whoever may not read the keys."""
    from gateway.audit.log.head import LogHead
    from gateway.vault.stores import opened, shared

    if not shared(settings):
        return
    try:
        note = LogHead(opened(settings, None).second, origin).read()
    except OSError:
        return
    except Failure as trouble:
        unreadable.append(f"the second database cannot be asked for its checkpoint: {trouble.what('en')}")
        return
    if note is not None:
        yield "the checkpoint in the second database", note


def seal(settings: Settings) -> Seal | None:
    """None for whoever may not read the keys: then seals are not proved."""
    from gateway.registry.seals.sealing import Seal

    try:
        return Seal.of(settings)
    except (OSError, Failure):
        return None


def accounts_seal(settings: Settings) -> AccountsSeal | None:
    """The same, of the rows by which people sign in."""
    from gateway.registry.seals.accounts import Seal

    try:
        return Seal.of(settings)
    except (OSError, Failure):
        return None
