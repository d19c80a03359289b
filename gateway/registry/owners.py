"""Who answers for a contract, as a catalogue names it: agency and contact (article 12.3 of the regulation)."""

from __future__ import annotations

from contracts.base.words import Words
from contracts.compiled.contract import CompiledContract
from contracts.faces.dcat import Publisher
from gateway.registry.contacts import lasting
from gateway.registry.errors import words
from gateway.registry.records import Agency
from gateway.registry.snapshot import Snapshot


def publisher(snapshot: Snapshot, contract: CompiledContract) -> Publisher:
    """The owner of a contract; the owner's role if there is no agency."""
    role, owner = contract.contract.owner_role, snapshot.owner(contract.contract)
    return Publisher(role, Words(role, role)) if owner is None else as_publisher(owner)


def centre(snapshot: Snapshot) -> Publisher:
    """Who publishes the catalogue."""
    known = snapshot.centre()
    return Publisher("centre", words("centre")) if known is None else as_publisher(known)


def as_publisher(agency: Agency) -> Publisher:
    at = lasting(agency.contacts)
    return Publisher(agency.code, agency.name, at.get("office", ""), at.get("phone", ""), at.get("email", ""))
