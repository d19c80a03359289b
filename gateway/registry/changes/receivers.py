"""Asks the matrix the other way round: who receives a field, or personal data. For command line, pages and API."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from contracts.base.times import rfc3339
from contracts.codecs.cells.csvtext import guarded
from contracts.codecs.mask import Leaf
from gateway.registry.changes.matrix import MARKS, Receipt, names_field
from security.grants.windows import civil

COLUMNS: Final = (
    "agency",
    "systems",
    "how",
    "contract",
    "operation",
    "message",
    "field",
    "personal",
    "grants",
    "until",
)


@dataclass(frozen=True, slots=True)
class Asked:
    """Which fields are asked about: by name (`phone`, `staff.*`, `field-report:phone`), or by their mark."""

    field: str | None = None
    personal: bool = False
    sensitive: bool = False

    def fits(self, contract: str, leaf: Leaf | Receipt) -> bool:
        if self.sensitive and leaf.personal != MARKS[-1] or self.personal and leaf.personal is None:
            return False
        return self.field is None or names_field(self.field, contract, leaf.path)


def described(each: Receipt) -> dict[str, Any]:
    """For programs."""
    return {
        "agency": each.agency,
        "systems": list(each.systems),
        "how": each.way,
        "contract": each.contract,
        "operation": each.operation,
        "message": each.message,
        "field": each.path,
        "personal": each.personal,
        "grants": list(each.grants),
        "until": rfc3339(each.until),
    }


def csv_text(rows: Iterable[Receipt]) -> str:
    """A table for a spreadsheet."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for each in rows:
        row = {
            name: ", ".join(value) if isinstance(value, list) else value or ""
            for name, value in (described(each) | {"until": civil(each.until)}).items()  # the time in Vietnam
        }
        writer.writerow({name: guarded(str(value)) for name, value in row.items()})
    return out.getvalue()
