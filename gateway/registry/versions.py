"""Reads stored bundles by version number (Semantic Versioning 2.0.0, without suffixes) and by minor version.

Invariant: a bundle's content is compared with its digest whenever it is loaded.
Invariant: the bundle of a minor version is its newest published patch that was not withdrawn.
Invariant: a patch does not change what is exchanged.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, false, func, select

from contracts.compiled.contract import CompiledContract, alive, compile_bundle
from contracts.folder.bundle import Bundle
from gateway.journal.schema import tables
from gateway.registry.errors import REGISTRY_ALTERED, unknown


@dataclass(frozen=True, slots=True)
class Stored:
    """A bundle in the database, in force or not."""

    contract: str  # "<id>/v<major>"
    version: str
    digest: str
    withdrawn: bool = False  # no system can be pinned to it

    @property
    def number(self) -> tuple[int, ...]:
        return number_of(self.version)


def number_of(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def minor_of(version: str) -> str:
    """`1.1` of `1.1.3`."""
    return ".".join(version.split(".")[:2])


def stored(connection: Connection, contract: str | None = None) -> list[Stored]:
    """All bundles, or those of one contract, oldest version first."""
    table = tables.bundle.c
    query = select(table.contract, table.version, table.digest, func.coalesce(table.withdrawn, false()))
    if contract is not None:
        query = query.where(table.contract == contract)
    return sorted((Stored(*row) for row in connection.execute(query)), key=lambda each: (each.contract, each.number))


def by_minor(bundles: list[Stored]) -> dict[tuple[str, str], Stored]:
    """(contract, minor version) -> its newest bundle that was not withdrawn."""
    ordered = sorted(bundles, key=lambda each: each.number)
    return {(each.contract, minor_of(each.version)): each for each in ordered if not each.withdrawn}


def compiled(connection: Connection, contract: str, minor: str) -> CompiledContract | None:
    """The compiled contract of a minor version; None if none was published."""
    bundle = by_minor(stored(connection, contract)).get((contract, minor))
    return None if bundle is None else compile_bundle(load(connection, bundle.digest))


def load(connection: Connection, digest: str) -> Bundle:
    """Load a stored bundle, in force or not: queued messages and pinned systems need old ones."""
    content = connection.scalar(select(tables.bundle.c.content).where(tables.bundle.c.digest == digest))
    if content is None:
        raise unknown("bundle", digest)
    bundle = Bundle.from_bytes(content)
    if bundle.digest != digest:
        raise REGISTRY_ALTERED(rows=f"bundle {digest}: altered", count=1)
    return bundle


def compiled_of(connection: Connection, digest: str) -> CompiledContract:
    """The compiled contract of a stored bundle; one that this process has already is not compiled again."""
    return alive(digest) or compile_bundle(load(connection, digest))


def in_force(connection: Connection) -> dict[str, Stored]:
    """Contract -> the bundle in force."""
    bundle, force = tables.bundle.c, tables.contract_in_force
    joined = force.join(tables.bundle, bundle.digest == force.c.digest)
    rows = connection.execute(select(force.c.contract, bundle.version, bundle.digest).select_from(joined))
    return {row.contract: Stored(*row) for row in rows}
