"""Asks the matrix the other way round: who receives a field, or personal data. For command line, pages and API."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from contracts.base.times import rfc3339
from contracts.codecs.cells.csvtext import guarded
from gateway.registry.changes.called import Asked, Called, Place, named, near
from gateway.registry.changes.matrix import Cell, Dropped, Receipt, dropped, matrix, receipts
from gateway.registry.snapshot import Snapshot
from security.grants.windows import civil

COLUMNS: Final = (
    "agency",
    "systems",
    "how",
    "contract",
    "operation",
    "message",
    "field",
    "title",
    "found_by",
    "personal",
    "grants",
    "until",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receivers:
    """Who receives the fields that are asked about.

    `fields` are those that contracts in force have; empty if none is called so, then `near` has the nearest names.
    """

    rows: tuple[Receipt, ...]
    dead: tuple[Cell, ...]  # routes that lead to somebody who may not receive it
    files: tuple[Dropped, ...]  # such fields are handed in as files; the report has no value
    fields: Mapping[Place, Called]
    near: tuple[str, ...] = ()

    def called(self, each: Receipt) -> Called:
        return self.fields[each.contract, each.message, each.path]


def receivers(snapshot: Snapshot, asked: Asked, now: float, scope: str | None = None) -> Receivers:
    """`scope`: the one agency that is looked at; None: all."""
    fields = named(snapshot.contracts.values(), asked)
    messages = {(contract, message) for contract, message, _ in fields}
    cells = [each for each in matrix(snapshot, now) if scope in (None, each.agency)]

    def asks(each: Cell | Dropped) -> bool:
        operation = snapshot.contracts[each.contract].contract.operations[each.operation]
        return scope in (None, each.agency) and (each.contract, operation.request) in messages

    return Receivers(
        rows=tuple(each for each in receipts(snapshot, cells) if (each.contract, each.message, each.path) in fields),
        dead=tuple(each for each in cells if each.dead_route and asks(each)),
        files=tuple(each for each in dropped(snapshot) if asks(each)),
        fields=fields,
        near=() if fields or asked.field is None else near(snapshot.contracts.values(), asked.field),
    )


def given_by(snapshot: Snapshot, grant: str, now: float, scope: str | None = None) -> list[list[Receipt]]:
    """What somebody receives by a grant: the fields of one agency, way, operation and message together."""
    cells = (each for each in matrix(snapshot, now) if scope in (None, each.agency))
    rows = (each for each in receipts(snapshot, cells) if grant in each.grants)
    return [list(same) for _, same in groupby(rows, lambda each: (each.agency, each.way, each.operation, each.message))]


def described(each: Receipt, called: Called) -> dict[str, Any]:
    """For programs."""
    return {
        "agency": each.agency,
        "systems": list(each.systems),
        "how": each.way,
        "contract": each.contract,
        "operation": each.operation,
        "message": each.message,
        "field": each.path,
        "title": called.title,
        "found_by": called.by,
        "personal": each.personal,
        "grants": list(each.grants),
        "until": rfc3339(each.until),
    }


def as_json(found: Receivers) -> dict[str, Any]:
    return {
        "receivers": [described(each, found.called(each)) for each in found.rows],
        "unreceived": [
            {"agency": each.agency, "systems": list(each.systems), "contract": each.contract}
            | {"operation": each.operation, "reason": each.decision.reason}
            for each in found.dead
        ],
        "files": [
            {"agency": each.agency, "system": each.system, "folder": each.folder, "match": each.match}
            | {"contract": each.contract, "operation": each.operation}
            for each in found.files
        ],
        "fields": len(found.fields),
        "near": list(found.near),
    }


def csv_text(found: Receivers, header: Sequence[str] = COLUMNS) -> str:
    """A table for a spreadsheet. `header` names the columns; by default by their codes."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writerow(dict(zip(COLUMNS, header, strict=True)))
    for each in found.rows:
        row = {
            name: ", ".join(value) if isinstance(value, list) else value or ""
            for name, value in (
                described(each, found.called(each)) | {"until": civil(each.until)}
            ).items()  # the time in Vietnam
        }
        writer.writerow({name: guarded(str(value)) for name, value in row.items()})
    return out.getvalue()
