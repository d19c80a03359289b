"""Puts the large contents of a call into the vault before its intent, and takes them out if there is none.

Invariant: the contents are on disk before the intent that refers to them.
Invariant: of a call that is no new transfer (a repeat, a refusal) nothing stays. What a dying process leaves is removed
  by the keeper (`gateway.keeper.tasks.loose_contents`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Final

from sqlalchemy import Engine

from contracts.compiled.streaming import LargeForm, check_lifted
from contracts.wire.attachments import Spool
from gateway.exchange.terms import keep_of
from gateway.journal.errors import JOURNAL_FENCED
from gateway.journal.write import Verdict, Write
from gateway.journal.writer import Journal
from gateway.transfer.stages import Decoded, Message, Requested
from gateway.vault import attachments
from gateway.vault.classes import OPEN
from gateway.vault.vault import Vault

_log: Final = logging.getLogger("lgsp.exchange")
AT_ONCE: Final = 4  # pieces in memory


def check(requested: Requested, message: Message) -> None:
    """`message.invalid` where large contents are in a field that the contract does not declare as base64."""
    spool = requested.received.spool
    if spool is not None:
        form = LargeForm(requested.contract, requested.format)
        check_lifted(form, requested.request, message, spool, declared=True)


@dataclass(frozen=True, slots=True)
class LargeContents:
    journal: Journal
    vault: Vault
    engine: Engine

    @asynccontextmanager
    async def before(self, decoded: Decoded, now: float) -> AsyncIterator[list[bool]]:
        """The contents are kept within the block, and afterwards if it makes the list it gets true."""
        requested, committed = decoded.requested, list[bool]()
        spool = requested.received.spool
        if spool is None:
            yield committed
            return
        try:
            await self._keep(requested, spool, now)
            yield committed
        finally:
            if not committed:
                await asyncio.shield(asyncio.to_thread(self._discard, requested.received.transfer))

    def _discard(self, transfer: str) -> None:
        try:
            attachments.discard(self.engine, None, transfer)
        except Exception:  # the database is away, which the caller is told by the first failure
            _log.exception("transfer %s: its large contents stay until the keeper removes them", transfer)

    async def _keep(self, requested: Requested, spool: Spool, now: float) -> None:
        retention = keep_of(requested).of("canonical") or OPEN
        parts = attachments.pieces(spool)
        rows = attachments.sealed(self.vault, requested.received.transfer, parts, now, retention)
        while some := await asyncio.to_thread(lambda: tuple(islice(rows, AT_ONCE))):
            written = await self.journal.commit(Write(vault=some))
            if written.verdict is not Verdict.COMMITTED:
                raise JOURNAL_FENCED(retry_after=1)
