"""Grants in a registry document: who may what, checked against the contracts in force.

Invariant: a grant that is taken names operations and fields that exist, and hides no field that its readers' format could not show as absent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from contracts.compiled import CompiledContract
from contracts.model import Pattern
from gateway.registry.parts.parties import Minor, Parties
from gateway.registry.values import kind
from security.grants import ALL, Grant

_GRANT_ID: Final = re.compile(r"[A-Za-z0-9]+([-.][A-Za-z0-9]+)*")
_GRANT_NAMES: Final = {*Grant.__slots__} - {"state"}
FEED: Final = "feed"  # the operation that a grant names to let its holder read a contract's feed


class Grants(Parties):
    def __init__(self, contracts: Mapping[str, CompiledContract], fill: Mapping[str, str], minor: Minor) -> None:
        super().__init__(contracts, fill, minor)
        self._granted_ids: set[str] = set()

    def _grant(self, path: str, raw: Any) -> Grant | None:
        item = self._mapping(path, raw, _GRANT_NAMES)
        before = len(self.findings)
        agency, role = item.get("agency"), item.get("role")
        if (agency is None) == (role is None):
            self._wrong(path, "choice", "either an agency or a role", "both" if agency else "neither")
        if agency is not None and agency not in self._agencies:
            self._wrong(f"{path}.agency", "reference", "the code of an agency of this document", str(agency))
        if role is not None and role not in {each for known in self._agencies.values() for each in known.roles}:
            self._wrong(f"{path}.role", "reference", "a role of some agency of this document", str(role))
        contract = self._text(f"{path}.contract", item.get("contract"))
        compiled = self._contract(f"{path}.contract", contract)
        operations = [self._text(at, value) for at, value in self._list(f"{path}.operations", item.get("operations"))]
        fields = [self._text(at, value) for at, value in self._list(f"{path}.fields", item.get("fields", ["*"]))]
        if not operations:
            self._wrong(f"{path}.operations", "required", "at least one operation", "none")
        if compiled:
            self._granted(path, compiled, operations, fields)
        denies = item.get("denies", False)
        if not isinstance(denies, bool):
            self._wrong(f"{path}.denies", "type", "true or false", kind(denies))
        officers = [self._text(at, value) for at, value in self._list(f"{path}.approved_by", item.get("approved_by"))]
        if len(set(officers)) < 2 and not denies:
            self._wrong(f"{path}.approved_by", "officers", "two different officers", f"{len(set(officers))}")
        start = self._day(f"{path}.valid_from", item.get("valid_from"))
        end = self._day(f"{path}.valid_until", item.get("valid_until")) + 86400  # the last day counts
        if start and end > 86400 and end <= start:
            self._wrong(f"{path}.valid_until", "range", "a day after valid_from", "an earlier one")
        name = self._text(f"{path}.id", item.get("id"), _GRANT_ID, limit=64)
        if name in self._granted_ids:
            self._wrong(f"{path}.id", "unique", "an id of its own", f"{name}, used before")
        self._granted_ids.add(name)
        purpose, basis = self._text(f"{path}.purpose", item.get("purpose")), self._text(f"{path}.legal_basis", item.get("legal_basis"))
        if len(self.findings) > before:
            return None
        return Grant(
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
            approved_by=tuple(officers),
            denies=denies,
        )

    def _granted(self, path: str, compiled: CompiledContract, operations: list[str], fields: list[str]) -> None:
        """Fields are those of what the holder of the grant gets to see: an operation's answer, or the event of a feed."""
        known = compiled.contract.operations
        checked: set[str] = set()
        for number, name in enumerate(operations):
            if name == ALL:
                checked.update(operation.answer for operation in known.values())
            elif name == FEED:
                checked.update(operation.request for operation in known.values() if operation.pattern is Pattern.SUBMIT)
            elif name in known:
                checked.add(known[name].answer)
            elif name:
                self._wrong(f"{path}.operations[{number}]", "reference", f"one of {', '.join([*known, FEED, ALL])}", name)
        for message in sorted(checked):
            for problem in compiled.check_fields(message, fields):
                self._wrong(f"{path}.fields", "reference", f"fields of {message} that can be shown or masked", problem)
