"""Reads and checks the registry document: YAML that officers can review.

It has the agencies, officers, people, systems with their keys, outside authorities, routes and grants of an instance.
It follows articles 12.3 (a contact for each agency) and 12.2 (routing) of the regulation.
Invariant: a document is accepted whole or not at all, and all its faults are reported at once, each with its path.
Invariant: nothing here uses a database.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from contracts.base import safeyaml
from contracts.base.errors import Finding
from contracts.compiled.contract import CompiledContract
from gateway.registry.changes.granting import Proposal
from gateway.registry.errors import REGISTRY_INVALID
from gateway.registry.parts.grants import Grants
from gateway.registry.parts.officers import OFFICER_ID, Officers
from gateway.registry.parts.parties import Minor
from gateway.registry.parts.routes import Routes
from gateway.registry.records import Agency, OutsideAuthority, Route, StatedKey, System
from gateway.registry.versions import minor_of
from security.grants.approvals import Officer


@dataclass(frozen=True, slots=True)
class Document:
    """A checked document. `stated` has the ids of agencies and systems whose state it gives; others keep theirs."""

    agencies: tuple[Agency, ...] = ()
    systems: tuple[System, ...] = ()
    routes: tuple[Route, ...] = ()
    grants: tuple[Proposal, ...] = ()
    stated: frozenset[str] = field(default_factory=frozenset)
    authorities: tuple[OutsideAuthority, ...] = ()
    keys: tuple[StatedKey, ...] = ()
    officers: tuple[Officer, ...] | None = None  # None: not mentioned
    proposed_by: str | None = None  # an officer, who then cannot approve what is proposed
    persons: tuple[Officer, ...] | None = None  # None: not mentioned


def parse(
    text: str | bytes,
    contracts: Mapping[str, CompiledContract],
    fill: Mapping[str, str] | None = None,
    minor: Minor | None = None,
) -> Document:
    """Read and check a document. Raises `REGISTRY_INVALID` with all findings.

    `fill` has the addresses for `{name}` placeholders. `minor` finds older versions that a system may be pinned to.
    """

    def only_newest(name: str, wanted: str) -> CompiledContract | None:
        compiled = contracts.get(name)
        return compiled if compiled is not None and minor_of(compiled.contract.version) == wanted else None

    reader = _Reader(contracts, fill or {}, minor or only_newest)
    document = reader.document(_load(text))
    if reader.findings:
        raise REGISTRY_INVALID(count=len(reader.findings), findings=reader.findings)
    return document


def parse_grants(
    text: str | bytes,
    contracts: Mapping[str, CompiledContract],
    agencies: Mapping[str, Agency],
    systems: Mapping[str, System],
) -> tuple[Proposal, ...]:
    """Read a file of grants only, for registered agencies and systems."""
    reader = _Reader(contracts, {}, lambda name, wanted: None)
    grants = reader.grants(_load(text), agencies, systems)
    if reader.findings:
        raise REGISTRY_INVALID(count=len(reader.findings), findings=reader.findings)
    return grants


def _load(text: str | bytes) -> Any:
    try:
        return safeyaml.load(text)
    except RecursionError:
        raise REGISTRY_INVALID(
            count=1, findings=[Finding("document", "", "nested too deep", "syntax", "YAML")]
        ) from None
    except yaml.YAMLError as trouble:
        mark = getattr(trouble, "problem_mark", None)
        raw = text if isinstance(text, bytes) else text.encode("utf-8", "replace")
        lines = raw.count(b"\n") + 1  # libyaml counts one line more at the end
        where = f"line {min(mark.line + 1, lines)}" if mark else "document"
        problem = getattr(trouble, "problem", None) or "not YAML"
        raise REGISTRY_INVALID(count=1, findings=[Finding(where, "", str(problem), "syntax", "YAML")]) from None


class _Reader(Routes, Officers, Grants):
    """Reads the raw document and collects findings instead of stopping at the first."""

    def document(self, raw: Any) -> Document:
        top = self._mapping(
            "", raw, {"agencies", "authorities", "officers", "people", "proposed_by", "systems", "routes", "grants"}
        )
        for path, item in self._list("authorities", top.get("authorities", [])):
            self._authority(path, item)
        for path, item in self._list("agencies", top.get("agencies", [])):
            self._agency(path, item)
        officers = self._officers(top.get("officers"))
        persons = self._persons(top.get("people"), officers or ())
        for path, item in self._list("systems", top.get("systems", [])):
            self._system(path, item)
        routes = [self._route(path, item) for path, item in self._list("routes", top.get("routes", []))]
        self._fallbacks([route for route in routes if route])
        grants = [self._grant(path, item) for path, item in self._list("grants", top.get("grants", []))]
        proposer = self._text("proposed_by", top["proposed_by"], OFFICER_ID) if "proposed_by" in top else None
        return Document(
            agencies=tuple(self._agencies.values()),
            systems=tuple(self._systems.values()),
            routes=tuple(route for route in routes if route),
            grants=tuple(grant for grant in grants if grant),
            stated=frozenset(self._stated),
            authorities=tuple(self._authorities.values()),
            keys=tuple(self._keys.values()),
            officers=officers,
            proposed_by=proposer,
            persons=persons,
        )

    def grants(self, raw: Any, agencies: Mapping[str, Agency], systems: Mapping[str, System]) -> tuple[Proposal, ...]:
        self._agencies, self._systems = dict(agencies), dict(systems)
        top = self._mapping("", raw, {"grants"})
        proposals = [self._grant(path, item) for path, item in self._list("grants", top.get("grants"))]
        return tuple(grant for grant in proposals if grant)
