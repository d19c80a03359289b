"""The keeper's round of the outside authorities: lists and OCSP answers are fetched, proved, and kept beside the keys they speak of.

Invariants: what cannot be fetched or proved changes nothing (the last word ages until the doors fail closed); a change raises the registry's revision in its own
transaction, so that every door sees it; a key that its authority revokes is named in the audit log.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from secrets import token_bytes
from typing import Any, Final, NamedTuple

import aiohttp
from cryptography import x509
from sqlalchemy import Engine, select

from gateway.audit.log import lease as leases
from gateway.audit.log.lease import Lease
from gateway.journal.filelock import FileLock
from gateway.journal.schema import tables
from gateway.keeper.revocation.fetch import Unreachable, ask_responder, read_list
from gateway.registry import standing
from gateway.registry.changes.keys import outside
from gateway.registry.records import ACTIVE, OutsideAuthority
from gateway.registry.seals.revisions import raise_revision
from gateway.registry.seals.sealing import Seal, changing
from security.pki import chains
from security.pki.revocation import RevocationList, Status, Unproven, ask, listed, read_crl, read_ocsp

LOOK_SECONDS: Final = 1.0
AGAIN_SECONDS: Final = 10.0  # before an authority is asked again that gave no word on a key
SOONER_SECONDS: Final = 60.0  # before one is asked again whose word could not be had
_AT_ONCE: Final = 8
_logger: Final = logging.getLogger("lgsp.revocation")


class Round(NamedTuple):
    """What came of asking: words by thumbprint, and what went wrong."""

    words: dict[str, list[Status]]
    troubles: list[str]


@dataclass(slots=True)
class OutsideAuthorities:
    """`every` is how many seconds pass between two rounds; a key that is new is asked about at once."""

    engine: Engine
    lock: FileLock | None
    session: aiohttp.ClientSession
    every: float
    seal: Seal | None = None
    clock: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    _look_at: float = 0.0
    _due: dict[str, float] = field(default_factory=dict)  # authority -> when its next round is
    _again: dict[str, float] = field(default_factory=dict)

    async def run_once(self, lease: Lease) -> int:
        """A round of those authorities that are due."""
        moment = self.monotonic()
        if moment >= self._look_at:
            self._look_at = moment + LOOK_SECONDS
            await self._work(lease, self._is_due)
        return 0

    async def ask_all(self) -> list[str]:
        """A round of all, now, by whoever may write the registry; what went wrong."""
        return await self._work(None, lambda name, unknown: True)

    async def _work(self, lease: Lease | None, wanted: Callable[[str, bool], bool]) -> list[str]:
        authorities, keys, known = await asyncio.to_thread(self._read)
        troubles: list[str] = []
        for name, authority in authorities.items():
            own = [row for row in keys if row["authority"] == name]
            if not own or not wanted(name, any(row["thumbprint"] not in known for row in own)):
                continue
            self._due[name], self._again[name] = self.monotonic() + self.every, self.monotonic() + AGAIN_SECONDS
            asked = await self.ask(authority, own)
            for trouble in asked.troubles:
                _logger.warning("authority %s: %s", name, trouble)
            if asked.troubles:
                self._due[name] = self.monotonic() + min(self.every, SOONER_SECONDS)
            troubles += [f"{name}: {trouble}" for trouble in asked.troubles]
            await asyncio.to_thread(self._keep, lease, authority, own, asked.words)
        return troubles

    def _is_due(self, name: str, unknown: bool) -> bool:
        moment = self.monotonic()
        return moment >= self._due.get(name, 0.0) or unknown and moment >= self._again.get(name, 0.0)

    def _read(self) -> tuple[dict[str, OutsideAuthority], list[Mapping[str, Any]], set[str]]:
        table, now = tables.system_key, self.clock()
        with self.engine.connect() as connection:
            query = select(table).where(
                table.c.authority.is_not(None), table.c.state == ACTIVE, table.c.valid_until > now
            )
            keys: list[Mapping[str, Any]] = [dict(row) for row in connection.execute(query).mappings()]
            if not keys:
                return {}, [], set()
            return outside(connection), keys, set(connection.scalars(select(tables.certificate_status.c.thumbprint)))

    # --- asking -------------------------------------------------------------------------------------------------------

    async def ask(self, authority: OutsideAuthority, keys: Sequence[Mapping[str, Any]]) -> Round:
        """What the authority says of these keys, proved."""
        now, troubles = self.clock(), list[str]()
        above = x509.load_pem_x509_certificates(authority.certificates.encode("ascii"))
        lists: list[RevocationList] = []
        for address in authority.crl:
            try:
                lists.append(await asyncio.to_thread(read_crl, await read_list(self.session, address), above, now))
            except (Unreachable, Unproven) as trouble:
                troubles.append(f"{address}: {trouble}")
        words: dict[str, list[Status]] = {}
        turns = asyncio.Semaphore(_AT_ONCE)

        async def one(row: Mapping[str, Any]) -> None:
            own = words[row["thumbprint"]] = list[Status]()
            try:
                path = chains.path(x509.load_pem_x509_certificate(row["certificate"].encode("ascii")), above, now)
                own += await asyncio.to_thread(_listed, lists, path)  # a long list takes its time
                if authority.ocsp is not None:
                    async with turns:
                        nonce = token_bytes(16)
                        answer = await ask_responder(self.session, authority.ocsp, ask(path[0], path[1], nonce))
                    own.append(read_ocsp(answer, path[0], path[1], nonce, now))
            except ValueError as trouble:  # unreachable, unproven, or no path any more
                troubles.append(f"{row['key_id']} ({authority.ocsp or 'crl'}): {trouble}")

        await asyncio.gather(*(one(row) for row in keys))
        return Round(words, troubles)

    # --- keeping ------------------------------------------------------------------------------------------------------

    def _keep(
        self,
        lease: Lease | None,
        authority: OutsideAuthority,
        keys: Sequence[Mapping[str, Any]],
        words: Mapping[str, list[Status]],
    ) -> None:
        now = self.clock()
        known = {authority.name: authority}
        with changing(self.engine, self.seal, self.lock) as act:
            connection = act.connection
            if lease is not None:
                leases.check(connection, lease)
            before, moved = standing.standings(connection), False
            for row in keys:
                moved |= standing.remember(
                    connection, row["thumbprint"], authority.name, words.get(row["thumbprint"], ())
                )
            if not moved:
                return
            raise_revision(connection)
            after = standing.standings(connection)
            changes: list[Any] = []
            for row in keys:
                was, now_is = (standing.standing(row, known, said, 0) for said in (before, after))
                if was.state != now_is.state:
                    how = "revoked" if now_is.state != ACTIVE else "resumed"
                    changes.append(
                        {"what": "key", "id": row["key_id"], "how": how, "fields": [authority.name, now_is.reason]}
                    )
            what = (
                "registry" if changes else "certificate-status"
            )  # words on certificates that change nobody's standing are rows too
            act.note(what, {"changes": changes}, now, actor=f"authority {authority.name}")


def _listed(lists: Sequence[RevocationList], path: Sequence[x509.Certificate]) -> list[Status]:
    """What the lists say of a certificate. An issuing authority that was revoked takes along what it issued; that it was not, needs no word of its own."""
    own = [said for said in (listed(each, path[0]) for each in lists) if said is not None]
    return own + [
        said
        for said in (listed(each, issuer) for each in lists for issuer in path[1:-1])
        if said is not None and not said.good
    ]
