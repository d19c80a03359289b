"""Tells whether proposed content still fits what is registered: it was read against the contracts of another day."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, select

from contracts.base.words import Words
from contracts.compiled.contract import CompiledContract
from gateway.journal.schema import tables
from gateway.registry import versions
from gateway.registry.changes.content import Content, Subject, named_agencies, sources_of
from gateway.registry.errors import words
from gateway.registry.owning import owner_of
from gateway.registry.records import NEWEST
from gateway.registry.workflows import WORKFLOW, holds


def misfit(connection: Connection, subject: Subject, content: Content) -> Words | None:
    """What the content names that is not there; None if it fits."""
    name = next(_missing(connection, subject, content), None)
    return None if name is None else words("proposal.missing", name=name)


def _missing(connection: Connection, subject: Subject, content: Content) -> Iterator[str]:
    if subject.what == "route":
        compiled = _in_force(connection, content["contract"])
        operation = compiled.contract.operations.get(content["operation"]) if compiled is not None else None
        if compiled is None or operation is None:
            yield subject.id
            return
        hours = compiled.workflow.hours if compiled.workflow is not None else {}
        for each in content["table"]:
            yield from compiled.check_fields(operation.request, ["*", *each["when"]])
            if isinstance(named := each.get("hours"), str) and named not in hours:
                yield named
        codes = set(connection.scalars(select(tables.agency.c.code)))
        yield from sorted(named_agencies(content) - codes)
        return
    if subject.what == WORKFLOW:
        compiled = _in_force(connection, content["contract"])
        if compiled is None or not holds(compiled, content):
            yield subject.id
        elif content["owner"] is None or owner_of(connection, compiled.contract) != content["owner"]:
            yield compiled.contract.owner_role
        elif not holds(versions.compiled_of(connection, content["bundle"]), content):
            yield str(content["bundle"])
        return
    named = content["agency"] if subject.what == "system" else content["code"]
    if connection.scalar(select(tables.agency.c.code).where(tables.agency.c.code == named)) is None:
        yield str(named)
    for contract, form in content.get("formats", {}).items():
        pinned = content.get("versions", {}).get(contract, NEWEST)
        compiled = (
            _in_force(connection, contract) if pinned == NEWEST else versions.compiled(connection, contract, pinned)
        )
        if compiled is None or form not in compiled.formats:
            yield f"{contract} {pinned} {form}"
    for rule in content.get("endpoint", {}).get("rules", ()):
        compiled = _in_force(connection, rule["contract"])
        if (
            compiled is None
            or rule["operation"] not in compiled.contract.operations
            or rule["format"] not in compiled.formats
        ):
            yield f"{rule['contract']} {rule['operation']} {rule['format']}"
    for source in sources_of(content):
        compiled = _in_force(connection, source.contract)
        operation = compiled.contract.operations.get(source.operation) if compiled is not None else None
        if compiled is None or operation is None:
            yield f"{source.contract} {source.operation}"
        else:
            yield from compiled.check_fields(operation.request, ["*", *source.when])


def _in_force(connection: Connection, contract: str) -> CompiledContract | None:
    stored = versions.in_force(connection).get(contract)
    return None if stored is None else versions.compiled_of(connection, stored.digest)
