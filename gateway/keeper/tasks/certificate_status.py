"""Asks the outside authorities for lists and OCSP answers, proves them, and keeps them with the keys they are about.

Invariants:
- Only addresses of a registry that bears its seal are asked.
- What cannot be fetched or proved changes nothing; the last proved status ages until the doors fail closed.
- A change raises the registry's revision in its own transaction, so that every door sees it.
- A key that its authority revokes is named in the audit log.
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

from gateway.journal import jobs
from gateway.journal.database import snapshot, writing
from gateway.journal.filelock import FileLock
from gateway.journal.jobs import DONE, Job
from gateway.journal.schema import tables
from gateway.keeper.periodic import KeeperServices, PeriodicTask
from gateway.keeper.revocation_fetch import Unreachable, ask_responder, read_list
from gateway.registry import standing
from gateway.registry.changes.keys import outside
from gateway.registry.records import ACTIVE, OutsideAuthority
from gateway.registry.seals.revisions import raise_revision
from gateway.registry.seals.sealing import Seal, changing
from gateway.transfer import lease as leases
from gateway.transfer.lease import Lease
from security.pki import chains
from security.pki.revocation import RevocationList, Status, Unproven, ask, listed, read_crl, read_ocsp

ASKED: Final = "authorities-asked"  # a job of the desk
AGAIN_SECONDS: Final = 10.0  # before an authority is asked again that gave no word on a key
SOONER_SECONDS: Final = 60.0  # before one is asked again whose word could not be had
_AT_ONCE: Final = 8
_logger: Final = logging.getLogger("lgsp.revocation")


class Round(NamedTuple):
    """What the authorities answered: statuses by thumbprint, and what went wrong."""

    statuses: dict[str, list[Status]]
    troubles: list[str]


@dataclass(slots=True)
class OutsideAuthorities:
    """`every`: seconds between two rounds. A new key is asked about at once."""

    engine: Engine
    lock: FileLock | None
    session: aiohttp.ClientSession
    every: float
    seal: Seal | None = None
    clock: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    _due: dict[str, float] = field(default_factory=dict)  # authority -> when its next round is
    _again: dict[str, float] = field(default_factory=dict)

    async def run_once(self, lease: Lease) -> int:
        """Asks those authorities that are due; all of them, if somebody at the desk wants it."""
        asked = await asyncio.to_thread(self._asked)
        troubles = await self._work(lease, (lambda name, unknown: True) if asked else self._is_due)
        for job in asked:
            await asyncio.to_thread(self._told, job, lease, troubles)
        return 0

    def _asked(self) -> list[Job]:
        with self.engine.connect() as connection:
            return jobs.running(connection, ASKED)

    def _told(self, job: Job, lease: Lease, troubles: Sequence[str]) -> None:
        with writing(self.engine, self.lock) as connection:
            leases.check(connection, lease)
            jobs.change(connection, job, self.clock(), DONE, troubles=[each[:300] for each in troubles[:20]])

    async def ask_all(self) -> list[str]:
        """Asks all of them now, for a caller that may write the registry; returns what went wrong."""
        return await self._work(None, lambda name, unknown: True)

    async def _work(self, lease: Lease | None, wanted: Callable[[str, bool], bool]) -> list[str]:
        authorities, keys, known = await asyncio.to_thread(self._read)
        troubles: list[str] = []

        def due(name: str) -> list[Mapping[str, Any]]:
            own = [row for row in keys if row["authority"] == name]
            return own if own and wanted(name, any(row["thumbprint"] not in known for row in own)) else []

        if self.seal is not None and any(map(due, authorities)):  # an address that was changed is not asked
            authorities, keys, known = await asyncio.to_thread(self._read, self.seal)
        for name, authority in authorities.items():
            if not (own := due(name)):
                continue
            self._due[name], self._again[name] = self.monotonic() + self.every, self.monotonic() + AGAIN_SECONDS
            asked = await self.ask(authority, own)
            for trouble in asked.troubles:
                _logger.warning("authority %s: %s", name, trouble)
            if asked.troubles:
                self._due[name] = self.monotonic() + min(self.every, SOONER_SECONDS)
            troubles += [f"{name}: {trouble}" for trouble in asked.troubles]
            try:
                await asyncio.to_thread(self._keep, lease, authority, own, asked.statuses)
            except Exception:  # what was told must not wait for the next round
                self._due[name] = self._again[name]
                raise
        return troubles

    def _is_due(self, name: str, unknown: bool) -> bool:
        moment = self.monotonic()
        return moment >= self._due.get(name, 0.0) or unknown and moment >= self._again.get(name, 0.0)

    def _read(self, seal: Seal | None = None) -> tuple[dict[str, OutsideAuthority], list[Mapping[str, Any]], set[str]]:
        """With `seal` it raises `registry.altered` for rows that nobody wrote."""
        table, now = tables.system_key, self.clock()
        with snapshot(self.engine) as connection:
            if seal is not None:
                seal.check(connection)
            query = select(table).where(
                table.c.authority.is_not(None), table.c.state == ACTIVE, table.c.valid_until > now
            )
            keys: list[Mapping[str, Any]] = [dict(row) for row in connection.execute(query).mappings()]
            if not keys:
                return {}, [], set()
            return outside(connection), keys, set(connection.scalars(select(tables.certificate_status.c.thumbprint)))

    # --- asking -------------------------------------------------------------------------------------------------------

    async def ask(self, authority: OutsideAuthority, keys: Sequence[Mapping[str, Any]]) -> Round:
        """The authority's proved statuses of these keys."""
        now, troubles = self.clock(), list[str]()
        above = x509.load_pem_x509_certificates(authority.certificates.encode("ascii"))
        lists: list[RevocationList] = []
        for address in authority.crl:
            try:
                lists.append(await asyncio.to_thread(read_crl, await read_list(self.session, address), above, now))
            except (Unreachable, Unproven) as trouble:
                troubles.append(f"{address}: {trouble}")
        statuses: dict[str, list[Status]] = {}
        turns = asyncio.Semaphore(_AT_ONCE)

        async def one(row: Mapping[str, Any]) -> None:
            own = statuses[row["thumbprint"]] = list[Status]()
            try:
                path = chains.path(x509.load_pem_x509_certificate(row["certificate"].encode("ascii")), above, now)
                own += await asyncio.to_thread(_listed, lists, path)  # a long list takes long
                if authority.ocsp is not None:
                    async with turns:
                        nonce = token_bytes(16)
                        answer = await ask_responder(self.session, authority.ocsp, ask(path[0], path[1], nonce))
                    own.append(read_ocsp(answer, path[0], path[1], nonce, now))
            except ValueError as trouble:  # unreachable, unproven, or no path any more
                troubles.append(f"{row['key_id']} ({authority.ocsp or 'crl'}): {trouble}")

        await asyncio.gather(*(one(row) for row in keys))
        return Round(statuses, troubles)

    # --- keeping ------------------------------------------------------------------------------------------------------

    def _keep(
        self,
        lease: Lease | None,
        authority: OutsideAuthority,
        keys: Sequence[Mapping[str, Any]],
        statuses: Mapping[str, list[Status]],
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
                    connection, row["thumbprint"], authority.name, statuses.get(row["thumbprint"], ())
                )
            if not moved:
                return
            raise_revision(connection)
            after = standing.standings(connection)
            changes: list[Any] = []
            for row in keys:
                was, now_is = (standing.standing(row, known, each, 0) for each in (before, after))
                if was.state != now_is.state:
                    how = "revoked" if now_is.state != ACTIVE else "resumed"
                    changes.append(
                        {"what": "key", "id": row["key_id"], "how": how, "fields": [authority.name, now_is.reason]}
                    )
            what = "registry" if changes else "certificate-status"  # of a change to no key's state
            act.note(what, {"changes": changes}, now, actor=f"authority {authority.name}")


def _listed(lists: Sequence[RevocationList], path: Sequence[x509.Certificate]) -> list[Status]:
    """The lists' statuses of a certificate. A revoked issuing authority revokes it too; a good one adds nothing."""
    own = [status for each in lists if (status := listed(each, path[0])) is not None]
    of_issuers = [status for each in lists for issuer in path[1:-1] if (status := listed(each, issuer)) is not None]
    return own + [status for status in of_issuers if not status.good]


def _outside(services: KeeperServices) -> OutsideAuthorities:
    every = services.settings.status_seconds
    return OutsideAuthorities(services.engine, services.lock, services.web, every, services.seal)


TASK = PeriodicTask("outside authorities are not asked", _outside, seconds=1.0)
