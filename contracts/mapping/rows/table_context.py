"""What every row of a table needs: document with lines, namespaces, code tables, findings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from contracts.canonical.model import CodeTable, Scalar
from contracts.folder.source_locations import Findings, Located, Path
from contracts.mapping.value_formats import Media


@dataclass(slots=True)
class TableContext:
    document: Located
    media: Media
    namespaces: Mapping[str, str]
    tables: Mapping[str, CodeTable]
    findings: Findings
    is_valid: Callable[[str, Scalar, str], bool] = field(default=lambda message, scalar, value: False)
    codes_at: str | None = None

    def bad(self, path: Path, where: str, got: str, rule: str, expected: str) -> None:
        self.findings.add(self.document.file, self.document.line(path), where, got, rule, expected)
