"""Keeps a trace of each call of a vendor, at the doors of a sandbox.

It is written after the answer was made and never delays it. When a door is killed, the traces of its last moment are
lost; the log is not.
Invariant: only calls of tenants are kept, each for the tenant that its certificate proves.
Invariant: what one tenant makes the sandbox keep in a minute is bounded.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable
from typing import Final

from contracts.base.errors import Ours
from contracts.compiled.contract import CompiledContract
from gateway.doors.reply import Reply
from gateway.journal.write import Write, Written
from gateway.journal.writer import Journal
from gateway.registry.tenants import is_tenant
from gateway.sandbox.calls.traces import (
    ANSWER,
    BASE_HEADER,
    MOST_BASE,
    MOST_BODY,
    PART,
    REQUEST,
    Told,
    Trace,
    shown_headers,
)
from gateway.transfer import entries
from gateway.transfer.stages import Answered, Received, Refused
from gateway.vault.classes import SHORT
from gateway.vault.vault import Vault

MOST_MINUTE: Final = 8_000_000  # bytes of one tenant
_FAULT: Final = 400
_log: Final = logging.getLogger("lgsp.sandbox")


class Recorder:
    """One for each door process."""

    def __init__(self, journal: Journal, vault: Vault, clock: Callable[[], float]) -> None:
        self._journal: Final = journal
        self._vault: Final = vault
        self._clock: Final = clock
        self._minute = 0
        self._kept: dict[str, int] = {}

    def __call__(self, ended: Answered | Refused, reply: Reply, contract: CompiledContract | None) -> None:
        """`contract`: the one that the call's address names."""
        received = ended.received if isinstance(ended, Refused) else ended.requested.received
        agency = _agency(ended, received)
        if not is_tenant(agency):
            return
        assert agency is not None
        parts = _parts(ended, received, reply, contract)
        now = self._clock()
        if not self._admits(agency, sum(len(data) for _, data in parts), now):
            return
        try:
            rows = tuple(self._vault.seal(received.transfer, part, data, now, SHORT) for part, data in parts)
            self._journal.commit(Write(vault=rows)).add_done_callback(_written)
        except Ours as failure:
            _log.warning("the trace of %s was not kept: %s", received.transfer, failure.code)

    def _admits(self, agency: str, size: int, now: float) -> bool:
        minute = int(now // 60)
        if minute != self._minute:
            self._minute, self._kept = minute, {}
        self._kept[agency] = kept = self._kept.get(agency, 0) + size
        return kept <= MOST_MINUTE


def _agency(ended: Answered | Refused, received: Received) -> str | None:
    if isinstance(ended, Answered):
        return ended.requested.caller.agency
    if ended.authenticated is not None:
        return ended.authenticated.caller.agency
    caller = entries.by_channel(received)
    return None if caller is None else caller.agency


def _parts(
    ended: Answered | Refused, received: Received, reply: Reply, contract: CompiledContract | None
) -> list[tuple[str, bytes]]:
    failure = ended.failure
    base = "" if failure is None else failure.signature_base
    body = reply.body if reply.parts is None else b""
    keeps = contract is not None and contract.contract.evidence == "full"
    refusal = failure is not None and reply.status >= _FAULT
    trace = Trace(
        method=received.method,
        target=received.target_uri,
        headers=shown_headers(received.headers),
        size=len(received.body),
        sha256=hashlib.sha256(received.body).hexdigest(),
        status=reply.status,
        answered=dict(reply.headers),
        problem=body.decode("utf-8", "replace") if refusal and len(body) <= MOST_BODY else "",
        told=None if failure is None else Told.of(failure),
        base=base[:MOST_BASE],
        whole=len(base) <= MOST_BASE,
        hers=received.headers.get(BASE_HEADER, "")[: 2 * MOST_BASE],
    )
    parts = [(PART, trace.text())]
    if keeps and isinstance(ended, Refused) and 0 < len(received.body) <= MOST_BODY:
        parts.append((REQUEST, received.body))
    if keeps and not refusal and 0 < len(body) <= MOST_BODY:
        parts.append((ANSWER, body))
    return parts


def _written(done: asyncio.Future[Written]) -> None:
    if not done.cancelled() and (failure := done.exception()) is not None:
        _log.warning("a trace was not kept: %s", failure)
