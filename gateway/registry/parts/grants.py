"""Reads the grants of a registry document and checks them against the contracts in force.

A grant of a document is a proposal; its officers' signatures are verified when it is applied.
Invariant: an accepted grant names existing operations and fields.
Invariant: an accepted grant hides only fields that its readers' formats can mark as not permitted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar

from contracts.canonical.model import Operation, Pattern
from contracts.compiled.contract import CompiledContract
from gateway.registry.changes.granting import Proposal
from gateway.registry.own_feed import FEED as FEED
from gateway.registry.own_feed import OWN
from gateway.registry.parts.officers import OFFICER_ID
from gateway.registry.parts.parties import Minor, Parties
from gateway.registry.records import System
from gateway.registry.values import kind
from security.grants.grants import ALL, STANDING, Grant
from security.grants.windows import Hours, Quota

_GRANT_ID: Final = re.compile(r"[A-Za-z0-9]+([-.][A-Za-z0-9]+)*")
_NAMES: Final = {*Grant.__slots__} - STANDING | {"approvals"}
MOST_EDITIONS: Final = 1_000_000
T = TypeVar("T")


class Grants(Parties):
    def __init__(self, contracts: Mapping[str, CompiledContract], fill: Mapping[str, str], minor: Minor) -> None:
        super().__init__(contracts, fill, minor)
        self._granted_ids: set[str] = set()

    def _grant(self, path: str, raw: Any) -> Proposal | None:
        item = self._mapping(path, raw, _NAMES)
        before = len(self.findings)
        agency, role = (
            self._text(f"{path}.{name}", item[name]) if item.get(name) is not None else None
            for name in ("agency", "role")
        )
        if (agency is None) == (role is None):
            self._wrong(path, "choice", "either an agency or a role", "both" if agency else "neither")
        if agency and agency not in self._agencies:
            self._wrong(f"{path}.agency", "reference", "the code of a registered agency", str(agency))
        if role and role not in {each for known in self._agencies.values() for each in known.roles}:
            self._wrong(f"{path}.role", "reference", "a role of some agency", str(role))
        contract = self._text(f"{path}.contract", item.get("contract"))
        compiled = self._contract(f"{path}.contract", contract)
        operations = [self._text(at, value) for at, value in self._list(f"{path}.operations", item.get("operations"))]
        fields = [self._text(at, value) for at, value in self._list(f"{path}.fields", item.get("fields", ["*"]))]
        if not operations:
            self._wrong(f"{path}.operations", "required", "at least one operation", "none")
        denies, receives = self._switch(path, item, "denies"), self._switch(path, item, "receives")
        edition = item.get("edition", 1)
        if compiled:
            self._granted(path, compiled, operations, fields, receives)
        if receives:
            for name in ("hours", "quota"):
                if item.get(name) is not None:
                    self._wrong(f"{path}.{name}", "unknown", f"no {name} in a grant that receives", kind(item[name]))
        if isinstance(edition, bool) or not isinstance(edition, int) or not 1 <= edition <= MOST_EDITIONS:
            self._wrong(f"{path}.edition", "type", f"a whole number from 1 to {MOST_EDITIONS}", kind(edition))
        start = self._day(f"{path}.valid_from", item.get("valid_from"))
        end = self._day(f"{path}.valid_until", item.get("valid_until")) + 86400  # the last day counts
        if start and end > 86400 and end <= start:
            self._wrong(f"{path}.valid_until", "range", "a day after valid_from", "an earlier one")
        name = self._text(f"{path}.id", item.get("id"), _GRANT_ID, limit=64)
        if name in self._granted_ids:
            self._wrong(f"{path}.id", "unique", "an id of its own", f"{name}, used before")
        self._granted_ids.add(name)
        purpose, basis = (
            self._text(f"{path}.purpose", item.get("purpose")),
            self._text(f"{path}.legal_basis", item.get("legal_basis")),
        )
        hours, quota = (
            self._made(f"{path}.hours", item, Hours.from_json),
            self._made(f"{path}.quota", item, Quota.from_json),
        )
        proposer = self._text(f"{path}.proposed_by", item["proposed_by"], OFFICER_ID) if "proposed_by" in item else None
        signed = [self._approval(at, value) for at, value in self._list(f"{path}.approvals", item.get("approvals", []))]
        if compiled and not self.findings:  # else the formats of systems are unknown
            readers = receivers(self._systems.values(), self._holders(agency, role))
            shows = unshown_requests if receives else unshown
            for each, place, hidden in shows(compiled, operations, fields, readers):
                self._wrong(
                    f"{path}.fields", "mask", f"a format that can say `not-permitted` of {hidden}", f"{each} ({place})"
                )
        if len(self.findings) > before:
            return None
        grant = Grant(
            id=name,
            agency=agency,
            role=role,
            contract=contract,
            operations=tuple(operations),
            fields=tuple(fields),
            purpose=purpose,
            legal_basis=basis,
            valid_from=start,
            valid_until=end,
            hours=hours,
            quota=quota,
            denies=denies,
            proposed_by=proposer,
            edition=edition,
            receives=receives,
        )
        return Proposal(grant, tuple(signed))

    def _switch(self, path: str, item: Mapping[str, Any], name: str) -> bool:
        value = item.get(name, False)
        if not isinstance(value, bool):
            self._wrong(f"{path}.{name}", "type", "true or false", kind(value))
        return value is True

    def _holders(self, agency: str | None, role: str | None) -> set[str]:
        return {agency} if agency is not None else {each.code for each in self._agencies.values() if role in each.roles}

    def _made(self, path: str, item: Mapping[str, Any], make: Callable[[object], T]) -> T | None:
        value = item.get(path.rpartition(".")[2])
        if value is None:
            return None
        try:
            return make(value)
        except ValueError as wrong:
            self._wrong(path, "format", str(wrong), kind(value))
            return None

    def _approval(self, path: str, raw: Any) -> tuple[str, str]:
        item = self._mapping(path, raw, {"officer", "signature"})
        return self._text(f"{path}.officer", item.get("officer"), OFFICER_ID), self._text(
            f"{path}.signature", item.get("signature"), limit=1000
        )

    def _granted(
        self, path: str, compiled: CompiledContract, operations: list[str], fields: list[str], receives: bool
    ) -> None:
        known = [each.name for each in received(compiled)] if receives else _callable(compiled)
        for number, name in enumerate(operations):
            if name and name not in (*known, ALL) or not known:
                self._wrong(f"{path}.operations[{number}]", "reference", f"one of {', '.join([*known, ALL])}", name)
        for message, problem in field_faults(compiled, operations, fields, receives):
            self._wrong(f"{path}.fields", "reference", f"fields of {message} that can be shown or masked", problem)


def _callable(compiled: CompiledContract) -> list[str]:
    """What a grant can permit. The messages of some contracts are the gateway's own (`gateway.registry.own_feed`)."""
    return [FEED] if compiled.contract.name in OWN else [*compiled.contract.operations, FEED]


def field_faults(
    compiled: CompiledContract, operations: Iterable[str], fields: Sequence[str], receives: bool
) -> Iterator[tuple[str, str]]:
    """Message and fault, for each fault of a grant's fields. Request and answer in a feed need not both have a path."""
    together = set() if receives else fed(compiled, operations)
    shown = requests(compiled, operations) if receives else answers(compiled, operations) | together
    for message in sorted(shown):
        for fault in compiled.check_fields(message, fields, together if message in together else ()):
            yield message, fault


def answers(compiled: CompiledContract, operations: Iterable[str]) -> set[str]:
    """The messages that a grant shows: the answers of its operations, except the gateway's own to submissions."""
    wanted = set(operations)
    return {each.answer for each in compiled.contract.operations.values() if wanted & {each.name, ALL}}


def fed(compiled: CompiledContract, operations: Iterable[str]) -> set[str]:
    """The messages in a feed: the submissions, and both of a dispatch that has events."""
    if not {FEED, ALL} & set(operations):
        return set()
    return {message for each in compiled.contract.fed for message in each.fed}


def received(compiled: CompiledContract) -> tuple[Operation, ...]:
    """The operations whose requests reach a system: all but submissions, which the gateway takes itself."""
    return tuple(each for each in compiled.contract.operations.values() if each.pattern is not Pattern.SUBMIT)


def requests(compiled: CompiledContract, operations: Iterable[str]) -> set[str]:
    """The messages that a grant to receive shows."""
    wanted = set(operations)
    return {each.request for each in received(compiled) if wanted & {each.name, ALL}}


def judged(grant: Grant, in_force: Mapping[str, CompiledContract]) -> Grant:
    """An adopted grant with `personal` as the contract in force has it: a newer version may mark more."""
    compiled = in_force.get(grant.contract)
    if not grant.adopted or grant.personal or compiled is None:
        return grant
    return replace(grant, personal=any(compiled.personal(each) for each in requests(compiled, grant.operations)))


def receivers(systems: Iterable[System], agencies: set[str]) -> list[System]:
    return [system for system in systems if system.agency in agencies]


def unshown(
    compiled: CompiledContract, operations: Iterable[str], fields: Iterable[str], systems: Iterable[System]
) -> list[tuple[str, str, str]]:
    """Format, place and canonical path of hidden fields that a system's format cannot mark. Feeds are canonical."""
    name, chosen = compiled.contract.name, tuple(fields)
    shown = {each.answer for each in compiled.contract.operations.values() if each.pattern is not Pattern.SUBMIT}
    return [
        (f"{spoken}, {message}", here, path)
        for spoken in sorted({system.format(name) for system in systems} & compiled.formats.keys())
        for message in sorted(answers(compiled, operations) & shown)
        for path, here in compiled.unshown(message, spoken, chosen)
    ]


def unshown_requests(
    compiled: CompiledContract, operations: Iterable[str], fields: Iterable[str], systems: Iterable[System]
) -> list[tuple[str, str, str]]:
    """The same of what a grant to receive hides from the systems that are called."""
    name, wanted, chosen = compiled.contract.name, set(operations), tuple(fields)
    found = {
        (f"{system.format(name)}, {each.request}", here, path)
        for system in systems
        if system.endpoint is not None and system.format(name) in compiled.formats
        for each in received(compiled)
        if wanted & {each.name, ALL}
        for path, here in compiled.unshown_request(
            each, compiled.codec(system.format(name)), chosen, query=system.by_query
        )
    }
    return sorted(found)
