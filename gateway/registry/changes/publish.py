"""Publishes a contract: compares it with the version in force, stores it, and moves the pointer of its major.

Theory of operation
1. The caller has checked the folder (`contracts.proof.check`). It is compared with the version in force of its major.
2. Refused are a breaking change, a change that needs a greater version step, a version number that does not grow, and a
   number published with other bytes. Refused is also a personal field that a grant shows newly, as long as it is not
   accepted by name, and one that a grant hides as personal and could not (`gateway.registry.changes.disclosing`).
3. The bundle is stored under its digest and the pointer of its major moves, in the caller's transaction, which also has
   the log entry. A door loads the new revision between two calls (`gateway.registry.registry`).
4. A rollback moves the pointer to the version before. It is refused while a system is pinned to the withdrawn version,
   or uses a format that came with it, and for fields that it shows newly, like a publication. A withdrawn version can
   be published again unchanged, but not pinned. Later versions are compared with the version in force.
Invariant: a stored bundle is never changed or deleted: pinned systems and queued messages need it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, select

from contracts.base.errors import Finding
from contracts.compiled.contract import CompiledContract, compile_bundle
from contracts.diff.changes import Change, Level
from contracts.diff.compare import differences, level_of
from contracts.folder.bundle import Bundle
from gateway.journal import processes
from gateway.journal.schema import tables
from gateway.registry import store, versions
from gateway.registry.changes import workflows
from gateway.registry.changes.disclosing import Disclosure, disclosures, standing, unhidable
from gateway.registry.changes.workflows import Proposed
from gateway.registry.errors import (
    CONTRACT_BREAKING,
    CONTRACT_DISCLOSES,
    CONTRACT_NO_OLDER,
    CONTRACT_NOT_HIDDEN,
    CONTRACT_OLDER_RUNS,
    CONTRACT_PINNED,
    CONTRACT_SMALL_STEP,
    CONTRACT_VERSION_LOW,
    CONTRACT_VERSION_TAKEN,
    unknown,
)
from gateway.registry.records import System
from gateway.registry.seals.sealing import Act
from gateway.registry.versions import Stored, minor_of
from security.transparency.entry import Json


@dataclass(frozen=True, slots=True)
class Publication:
    """The result: `before` is the bundle in force before, None for the first of its major."""

    now: Stored
    before: Stored | None
    changes: Sequence[Change] = ()
    how: str = "published"
    disclosed: Sequence[Disclosure] = ()
    workflow: Proposed = Proposed()

    @property
    def moved(self) -> bool:
        return self.before is None or self.before.digest != self.now.digest

    @property
    def level(self) -> Level:
        return level_of(list(self.changes))

    def facts(self) -> dict[str, Json]:
        """For the log entry."""
        now, before = self.now, self.before
        facts: dict[str, Json] = {
            "contract": now.contract,
            "how": self.how,
            "version": now.version,
            "bundle": now.digest,
        }
        if before is not None:
            facts |= {
                "before": {"version": before.version, "bundle": before.digest},
                "changes": [change.code for change in self.changes],
            }
        if self.disclosed:
            facts["discloses"] = [each.facts() for each in self.disclosed]
        return facts | self.workflow.facts()


@dataclass(frozen=True, slots=True)
class Accepted:
    """The fields, as `Message.path`, whose disclosure is accepted; at which time, for grants that have ended.

    `by` is the id of who publishes: an officer cannot sign the workflow that is proposed by it.
    """

    fields: Collection[str] = ()
    now: float = 0.0
    by: str | None = None


def planned(
    connection: Connection, bundle: Bundle, compiled: CompiledContract, accepted: Accepted = Accepted()
) -> Publication:
    """What `publish` would do, with its refusals; changes nothing."""
    contract = compiled.contract
    now = Stored(contract.name, contract.version, bundle.digest)
    before = versions.in_force(connection).get(contract.name)
    if before is not None and before.digest == now.digest:
        return Publication(now, before)
    for each in versions.stored(connection, contract.name):
        if each.version == now.version and each.digest != now.digest:
            raise CONTRACT_VERSION_TAKEN(contract=now.contract, version=now.version, digest=each.digest)
    if len(running := processes.versions(connection)) > 1:
        raise CONTRACT_OLDER_RUNS(versions=", ".join(running))
    changes: list[Change] = []
    disclosed: list[Disclosure] = []
    if before is not None:
        if now.number <= before.number:
            raise CONTRACT_VERSION_LOW(contract=now.contract, version=now.version, before=before.version)
        old = versions.load(connection, before.digest)
        changes = differences((old, compile_bundle(old)), (bundle, compiled))
        _check_step(now, before, changes)
        disclosed = _disclosed(connection, compile_bundle(old), compiled, accepted)
    return Publication(now, before, tuple(changes), disclosed=disclosed)


def publish(
    connection: Connection, bundle: Bundle, compiled: CompiledContract, accepted: Accepted = Accepted()
) -> Publication:
    """Put a checked contract in force. The same bytes change nothing."""
    _hold(connection, compiled.contract.name)
    done = planned(connection, bundle, compiled, accepted)
    before = None if done.before is None else versions.compiled_of(connection, done.before.digest)
    if done.moved:
        store.publish_bundle(connection, bundle, compiled)
        store.mark_withdrawn(connection, done.now.digest, False)
    return _proposing(connection, done, compiled, before, accepted)


def planned_roll_back(connection: Connection, contract: str, accepted: Accepted = Accepted()) -> Publication:
    """What `roll_back` would do, with its refusals; changes nothing."""
    before = versions.in_force(connection).get(contract)
    if before is None:
        raise unknown("contract", contract)
    older = [
        each for each in versions.stored(connection, contract) if each.number < before.number and not each.withdrawn
    ]
    if not older:
        raise CONTRACT_NO_OLDER(contract=contract, version=before.version)
    now = older[-1]
    blocking = _blocking(connection, now, before)
    if blocking:
        raise CONTRACT_PINNED(contract=contract, version=before.version, systems=", ".join(blocking))
    old, new = (compile_bundle(versions.load(connection, each.digest)) for each in (before, now))
    disclosed = _disclosed(connection, old, new, accepted)
    return Publication(now, before, how="rolled back", disclosed=disclosed)


def roll_back(connection: Connection, contract: str, accepted: Accepted = Accepted()) -> Publication:
    """Put the previous version in force again."""
    _hold(connection, contract)
    done = planned_roll_back(connection, contract, accepted)
    assert done.before is not None
    store.put_in_force(connection, contract, done.now.digest)
    store.mark_withdrawn(connection, done.before.digest, True)
    now, before = (versions.compiled_of(connection, each.digest) for each in (done.now, done.before))
    return _proposing(connection, done, now, before, accepted)


def _proposing(
    connection: Connection,
    done: Publication,
    now: CompiledContract,
    before: CompiledContract | None,
    accepted: Accepted,
) -> Publication:
    """With the workflow that is proposed by it."""
    proposed = workflows.propose(connection, now, before, accepted.now, accepted.by)
    if proposed.changes:
        store.raise_revision(connection)
    return replace(done, workflow=proposed)


def record(act: Act, done: Publication, now: float, actor: str, **facts: Json) -> None:
    """The entry of a publication; none if nothing changed."""
    if done.moved or done.workflow.changes:
        act.note("contract", {**done.facts(), **facts}, now, actor=actor)


def _disclosed(
    connection: Connection, old: CompiledContract, new: CompiledContract, accepted: Accepted
) -> list[Disclosure]:
    contract, version = new.contract.name, new.contract.version
    held = standing(connection, contract, accepted.now)
    if faults := unhidable(held, new):
        findings = [Finding("", fault, grant, "mask", "a field that can be absent") for grant, fault in faults]
        raise CONTRACT_NOT_HIDDEN(findings=findings, count=len(faults), contract=contract, version=version)
    found = disclosures(connection, held, old, new)
    if refused := [each for each in found if each.field not in accepted.fields]:
        findings = [
            Finding("", each.field, each.seen_by, "personal", f"accepted by `--accept-personal {each.field}`")
            for each in refused
        ]
        raise CONTRACT_DISCLOSES(findings=findings, count=len(refused), contract=contract, version=version)
    return found


def _blocking(connection: Connection, now: Stored, before: Stored) -> list[str]:
    """The systems that prevent a rollback: pinned to the withdrawn version, or using a format that came with it."""
    formats = compile_bundle(versions.load(connection, now.digest)).formats
    gone = minor_of(before.version) if minor_of(before.version) != minor_of(now.version) else None

    def blocks(system: System) -> bool:
        pin = system.pin(now.contract)
        dropped = (
            {rule.format for rule in system.drop.rules if rule.contract == now.contract}
            if system.drop is not None
            else set()
        )
        spoken = dropped | ({system.format(now.contract)} if pin is None else set())
        return gone is not None and pin == gone or not spoken <= set(formats)

    return sorted(system.id for system in store.systems(connection) if blocks(system))


def pins(connection: Connection, contract: str) -> dict[str, str]:
    """System -> minor version of this contract that it is pinned to; omits systems that follow the newest."""
    pinned = ((system.id, system.pin(contract)) for system in store.systems(connection))
    return {system: pin for system, pin in sorted(pinned) if pin is not None}


def _hold(connection: Connection, contract: str) -> None:
    """Locks the pointer until the end of the transaction."""
    table = tables.contract_in_force
    connection.execute(select(table.c.digest).where(table.c.contract == contract).with_for_update())


def _check_step(now: Stored, before: Stored, changes: list[Change]) -> None:
    needed = level_of(changes)
    grave = [change for change in changes if change.level is needed]
    facts: dict[str, Any] = {"contract": now.contract, "version": now.version, "before": before.version}
    facts |= {"findings": _findings(grave), "count": len(grave)}
    if needed is Level.MAJOR:
        raise CONTRACT_BREAKING(next_major=now.number[0] + 1, **facts)
    if needed is Level.MINOR and minor_of(now.version) == minor_of(before.version):
        wanted = f"{now.number[0]}.{now.number[1] + 1}.0"
        raise CONTRACT_SMALL_STEP(wanted=wanted, **facts)


def _findings(changes: list[Change]) -> list[Finding]:
    return [
        Finding(change.place, change.where, "", change.code, f"{change.say('vi')} / {change.say('en')}")
        for change in changes
    ]
