"""The code tables of a contract as one JSON document, with their words, days of validity and successors."""

from __future__ import annotations

import json

from contracts.canonical.model import CodeRow
from contracts.compiled.contract import CompiledContract


def codes_json(compiled: CompiledContract) -> bytes:
    """Table -> its codes, in the order of the file. `canonical` stands in the tables of other systems' codes."""
    tables = {name: [_code(row) for row in table.rows] for name, table in sorted(compiled.tables.items())}
    return json.dumps(tables, ensure_ascii=False).encode()


def _code(row: CodeRow) -> dict[str, str]:
    others = {
        "canonical": row.canonical or "",
        "valid_from": row.valid_from,
        "valid_until": row.valid_until,
        "replaced_by": row.replaced_by,
        "within": row.within,
    }
    return {"code": row.code, "vi": row.vi, "en": row.en} | {name: value for name, value in others.items() if value}
